//! Processes with so many mappings that what describes them is most of a dump.

use crate::support::cli::{assert_verifies, program};
use crate::support::dump::Loaded;
use crate::support::target::Target;
use crate::support::tools;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Mappings of each of two kinds: together just under what Linux allows unless it
/// is told to allow more.
const EACH: &str = "30000";
/// KiB that the writer may need for them beyond what it needs for a few: what does
/// not grow with them, and 56 bytes for each, so that a million fit in 64 MiB.
const MORE: u64 = (3 << 10) + 60_000 * 56 / 1024;

/// Dumps a process; the KiB that the writer had in memory at most.
fn peak(pid: u32, options: &[&str], file: &Path) -> u64 {
    const RUN: &str = "import resource, subprocess, sys
subprocess.check_call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let pid = pid.to_string();
    let mut command = Command::new("python3");
    command.args(["-c", RUN]).arg(program()).args(["dump", "-o", "-p", &pid]).args(options);
    let output = command.arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

#[test]
fn the_writer_needs_little_memory_for_many_mappings() {
    let Some(_) = tools::command("python3") else { return };
    let target = Target::fixture("scattered", &[EACH, "{}/mapped"]);
    let few = Target::fixture("scattered", &["10", "{}/mapped"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("many.dmp");
    for options in [&["-m"][..], &["-ma"], &["-mAr"], &["-ma", "--as", "core"], &["-ma", "-b"]] {
        let few = peak(few.pid(), options, &file);
        let many = peak(target.pid(), options, &file);
        assert!(many < few + MORE, "{options:?}: {few} KiB, {many} KiB");
    }
    peak(target.pid(), &["-ma"], &file);
    assert_verifies(&file);
    let maps = fs::read(format!("/proc/{}/maps", target.pid())).unwrap();
    assert!(
        Loaded::read(&file).raw(0x4767_0009) == Some(&maps[..]),
        "the text of the mappings is stored whole"
    );
}

#[test]
fn the_writer_needs_little_memory_for_many_files_with_long_names() {
    let Some(_) = tools::command("python3") else { return };
    let name = format!("{{}}/{}", "long-name".repeat(24));
    let target = Target::fixture("scattered", &["30000", &name, "each"]);
    let few = Target::fixture("scattered", &["10", &name, "each"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("many.dmp");
    for options in [&["-m"][..], &["-mAR"], &["-mA", "--as", "core"]] {
        let few = peak(few.pid(), options, &file);
        let many = peak(target.pid(), options, &file);
        // Filters rewrite the text, some pieces of it at a time.
        assert!(many < few + MORE + (4 << 10), "{options:?}: {few} KiB, {many} KiB");
    }
    peak(target.pid(), &["-m"], &file);
    assert_verifies(&file);
    let maps = fs::read(format!("/proc/{}/maps", target.pid())).unwrap();
    assert!(maps.len() > 6 << 20, "{} bytes of text", maps.len());
    assert!(
        Loaded::read(&file).raw(0x4767_0009) == Some(&maps[..]),
        "the text of the mappings is stored whole"
    );
}
