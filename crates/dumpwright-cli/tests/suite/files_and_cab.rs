//! Where a dump goes: published whole or not at all, never over a file that was
//! to be kept, into a CAB that everyone extracts, or down a pipe.

use crate::support::cli::{assert_verifies, command, dump, dumpwright, run};
use crate::support::dump::Loaded;
use crate::support::frozen::Frozen;
use crate::support::target::Target;
use crate::support::tools;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The names of what is in a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn dump_to(target: &Target, options: &[&str], file: &Path) -> crate::support::cli::Run {
    let pid = target.pid().to_string();
    run(command().args(["dump", "-p", &pid]).args(options).arg(file))
}

#[test]
fn an_existing_file_is_refused_and_left_as_it_was() {
    let target = Target::fixture("threads", &["1"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kept.dmp");
    fs::write(&file, "the old file").unwrap();
    let inode = fs::metadata(&file).unwrap().ino();
    for options in [&["-m"][..], &["-ma"], &["--no-overwrite"], &["-m", "-b"]] {
        let refused = dump_to(&target, options, &file);
        assert!(!refused.status.success(), "{options:?}");
        assert_eq!(fs::read(&file).unwrap(), b"the old file", "{options:?}");
        assert_eq!(fs::metadata(&file).unwrap().ino(), inode);
        assert_eq!(names(folder.path()), ["kept.dmp"], "{options:?}: debris");
    }
    let text = dump_to(&target, &["-m"], &file).refused();
    assert!(text.contains("kept.dmp") && text.contains("exists"), "{text}");
    assert_eq!(dump_to(&target, &["-m"], &file).status.code(), Some(1));
}

#[test]
fn o_replaces_the_file_at_once() {
    let target = Target::fixture("threads", &["1"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("old.dmp");
    fs::write(&file, "the old file").unwrap();
    dump_to(&target, &["-m", "-o"], &file).ok();
    Loaded::read(&file);
    assert_eq!(names(folder.path()), ["old.dmp"]);
}

#[test]
fn a_dump_is_for_its_owner_alone() {
    let target = Target::fixture("threads", &["1"]);
    let written = dump(&target, &["-m"]);
    let mode = fs::metadata(&written.file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600, "mode {mode:o}");
}

#[test]
fn no_overwrite_with_many_racing_writers_loses_no_file() {
    let target = Target::fixture("threads", &["2"]);
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let file = folder.path().join(format!("{round}.dmp"));
        let pid = target.pid().to_string();
        let racers: Vec<_> = (0..4)
            .map(|i| {
                let mut racer = command();
                racer.args(["dump", "-p", &pid, "-m", "--no-overwrite", "-c"]).arg(i.to_string());
                racer.arg(&file).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        let won: Vec<usize> = racers
            .into_iter()
            .enumerate()
            .filter_map(|(i, racer)| {
                racer.wait_with_output().unwrap().status.success().then_some(i)
            })
            .collect();
        assert_eq!(won.len(), 1, "round {round}: {won:?} all say that they wrote the file");
        let comment = Loaded::read(&file).raw(10).unwrap().to_vec();
        assert_eq!(comment, format!("{}\0", won[0]).into_bytes(), "the winner's file was lost");
    }
    assert_eq!(names(folder.path()).len(), 5, "{:?}", names(folder.path()));
}

#[test]
fn a_symbolic_link_in_the_way_is_not_written_through() {
    let target = Target::fixture("threads", &["1"]);
    let folder = tempfile::tempdir().unwrap();
    let victim = folder.path().join("victim.txt");
    let link = folder.path().join("link.dmp");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, &link).unwrap();
    assert!(!dump_to(&target, &["-m"], &link).status.success(), "a link counts as a file");
    dump_to(&target, &["-m", "-o"], &link).ok();
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    Loaded::read(&link);
    // A dangling link is in the way too.
    let dangling = folder.path().join("dangling.dmp");
    symlink(folder.path().join("nowhere"), &dangling).unwrap();
    assert!(!dump_to(&target, &["-m"], &dangling).status.success());
    assert!(!folder.path().join("nowhere").exists());
}

#[test]
fn a_relative_path_is_relative_to_where_the_program_started() {
    let target = Target::fixture("threads", &["1"]);
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("inner")).unwrap();
    let pid = target.pid().to_string();
    let relative = "inner/relative.dmp";
    run(command().current_dir(folder.path()).args(["dump", "-p", &pid, "-m", relative])).ok();
    Loaded::read(&folder.path().join(relative));
}

#[test]
fn a_name_without_extension_is_refused() {
    let target = Target::fixture("threads", &["1"]);
    let folder = tempfile::tempdir().unwrap();
    let text = dump_to(&target, &["-m"], &folder.path().join("plain")).refused();
    assert!(text.contains("extension"), "{text}");
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let target = Target::fixture("threads", &["1"]);
    let text = dump_to(&target, &["-m"], Path::new("/nonexistent-folder/a.dmp")).refused();
    assert!(text.contains("/nonexistent-folder"), "{text}");
    let text = dump_to(&target, &["-m"], Path::new("/proc/a.dmp")).refused();
    assert!(text.contains("/proc"), "{text}");
}

#[test]
fn a_full_disk_leaves_the_old_file_and_no_debris() {
    let target = Target::fixture("memory", &["{}"]);
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path(), 1 << 20) else { return };
    let file = disk.path.join("full.dmp");
    fs::write(&file, "the old file").unwrap();
    let text = dump_to(&target, &["-ma", "-o"], &file).refused();
    assert!(text.contains("full.dmp"), "{text}");
    assert_eq!(fs::read(&file).unwrap(), b"the old file");
    assert_eq!(names(&disk.path), ["full.dmp"], "debris");
    dump_to(&target, &["-m", "-o"], &file).ok();
    Loaded::read(&file);
}

/// A file system of a few bytes, in memory; unmounted on the way out.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    fn mount(folder: &Path, size: u64) -> Option<SmallDisk> {
        let path = folder.join("disk");
        fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(&path)
            .stderr(Stdio::null())
            .status();
        if !mounted.is_ok_and(|s| s.success()) {
            eprintln!("SKIPPED: a full disk: nothing may be mounted here");
            return None;
        }
        Some(SmallDisk { path })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

#[test]
fn a_dump_goes_down_a_pipe_and_is_the_same() {
    let target = Target::fixture("memory", &["{}"]);
    let frozen = Frozen::new(&target);
    let folder = tempfile::tempdir().unwrap();
    for option in ["-m", "-ma"] {
        let written = dump(&target, &[option]).load();
        let pid = target.pid().to_string();
        let piped = dumpwright(["dump", "-p", &pid, option, "-"]).ok();
        let file = folder.path().join("piped.dmp");
        fs::write(&file, &piped.stdout).unwrap();
        assert_verifies(&file);
        let piped = Loaded::parse(piped.stdout);
        assert_eq!(piped.flags(), written.flags());
        assert_eq!(piped.stream_types(), written.stream_types());
        let memory =
            |l: &Loaded| l.memory().iter().map(|m| (m.start, m.bytes.to_vec())).collect::<Vec<_>>();
        assert!(memory(&piped) == memory(&written), "{option}: other memory");
    }
    drop(frozen);
}

#[test]
fn a_reader_that_goes_away_ends_the_dump_with_an_error() {
    let target = Target::fixture("memory", &["{}"]);
    let pid = target.pid().to_string();
    let mut writer = command();
    writer.args(["dump", "-p", &pid, "-ma", "-"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut writer = writer.spawn().unwrap();
    let mut pipe = writer.stdout.take().unwrap();
    pipe.read_exact(&mut [0; 100]).unwrap();
    drop(pipe);
    let output = writer.wait_with_output().unwrap();
    assert!(!output.status.success(), "success after a write error");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
    target.wait_for("goes on", |t| t.states().iter().all(|s| *s != 't'));
}

/// A CAB's files by each extractor that is here; they must agree.
fn extract(cab: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = extract_by_crate(cab);
    if let Some(tool) = tools::command("cabextract") {
        let folder = tempfile::tempdir().unwrap();
        tools::run(Command::new(tool).arg("-q").arg("-d").arg(folder.path()).arg(cab));
        assert!(read_tree(folder.path()) == files, "cabextract extracts other bytes");
    }
    if let Some(tool) = tools::command("gcab") {
        let folder = tempfile::tempdir().unwrap();
        tools::run(Command::new(tool).arg("-x").arg("-n").arg("-C").arg(folder.path()).arg(cab));
        assert!(read_tree(folder.path()) == files, "gcab extracts other bytes");
    }
    files
}

fn extract_by_crate(cab: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut cabinet = cab::Cabinet::new(Cursor::new(fs::read(cab).unwrap())).expect("a CAB");
    let names: Vec<String> = cabinet
        .folder_entries()
        .flat_map(|f| f.file_entries().map(|e| e.name().to_owned()).collect::<Vec<_>>())
        .collect();
    let mut files = BTreeMap::new();
    for name in names {
        let mut bytes = Vec::new();
        cabinet.read_file(&name).unwrap().read_to_end(&mut bytes).unwrap();
        let again = files.insert(name.replace('\\', "/"), bytes);
        assert!(again.is_none(), "two files are called {name}");
    }
    files
}

fn read_tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(at) = pending.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

#[test]
fn a_cab_holds_the_dump_that_would_have_been_written() {
    let target = Target::fixture("memory", &["{}"]);
    let frozen = Frozen::new(&target);
    let folder = tempfile::tempdir().unwrap();
    for (i, options) in
        [&["-m", "-b"][..], &["-ma", "-b"], &["-ma", "--write-cab"]].iter().enumerate()
    {
        let file = folder.path().join(format!("app{i}.cab"));
        dump_to(&target, options, &file).ok();
        let files = extract(&file);
        assert_eq!(files.len(), 1, "{:?}", files.keys());
        let (name, bytes) = files.into_iter().next().unwrap();
        assert!(name.starts_with(&format!("app{i}.")), "the dump is called {name}");
        let extracted = folder.path().join("extracted.dmp");
        fs::write(&extracted, &bytes).unwrap();
        assert_verifies(&extracted);
        let packed = Loaded::parse(bytes);
        let plain = dump(&target, &options[..1]).load();
        assert_eq!(packed.flags(), plain.flags());
        assert_eq!(packed.tids(), plain.tids());
        let memory =
            |l: &Loaded| l.memory().iter().map(|m| (m.start, m.bytes.to_vec())).collect::<Vec<_>>();
        assert!(memory(&packed) == memory(&plain), "{options:?}: other memory");
    }
    drop(frozen);
    let left = names(folder.path());
    assert_eq!(left, ["app0.cab", "app1.cab", "app2.cab", "extracted.dmp"], "debris");
}

#[test]
fn a_cab_with_secondary_files_has_the_mapped_images() {
    let target = Target::fixture("threads", &["1"]);
    let folder = tempfile::tempdir().unwrap();
    for (name, options) in [
        ("b.cab", &["-m", "-ba"][..]),
        ("f.cab", &["-m", "-b", "--cab-secondary-files"]),
        ("a.cab", &["-m", "-b", "--cab-secondary-all-images"]),
    ] {
        let file = folder.path().join(name);
        dump_to(&target, options, &file).ok();
        let files = extract(&file);
        let libc = files.iter().find(|(n, _)| n.contains("libc.so.6"));
        let (_, bytes) = libc.unwrap_or_else(|| panic!("{name}: no libc in {:?}", files.keys()));
        let mapped = fs::read_to_string(format!("/proc/{}/maps", target.pid())).unwrap();
        let path = mapped.split_whitespace().find(|w| w.ends_with("libc.so.6")).unwrap();
        assert!(*bytes == fs::read(path).unwrap(), "{name}: another libc");
        assert!(files.keys().any(|n| n.contains("threads-")), "{name}: no program");
        for name in files.keys() {
            assert!(!name.starts_with('/') && !name.contains(".."), "unsafe name {name}");
        }
    }
}

#[test]
fn secondary_files_without_a_cab_are_ignored_as_documented() {
    let target = Target::fixture("threads", &["1"]);
    let loaded = dump(&target, &["-m", "--cab-secondary-files"]).load();
    assert_eq!(loaded.flags(), 0);
}

#[test]
fn the_shared_bit_means_images_with_a_cab_and_partial_pages_without() {
    let target = Target::fixture("threads", &["1"]);
    assert_eq!(dump(&target, &["--format-flags", "0x10000000"]).load().flags(), 0x80_0000);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shared.cab");
    dump_to(&target, &["--format-flags", "0x30000000"], &file).ok();
    let files = extract(&file);
    assert!(files.len() > 2, "no images: {:?}", files.keys());
    let dump = files.iter().find(|(n, _)| n.starts_with("shared.")).expect("the dump");
    assert_eq!(Loaded::parse(dump.1.clone()).flags(), 0);
}

#[test]
fn an_interrupt_leaves_nothing_and_frees_the_target() {
    let target = Target::fixture("memory", &["{}"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("interrupted.dmp");
    let pid = target.pid().to_string();
    for wait in [5, 15, 30, 60] {
        let mut writer = command();
        writer.args(["dump", "-p", &pid, "-ma", "-b", "-o"]).arg(&file);
        let writer = writer.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        let _ = Command::new("kill")
            .args(["-s", "INT", &writer.id().to_string()])
            .stderr(Stdio::null())
            .status();
        let done = writer.wait_with_output().unwrap().status.success();
        let left = names(folder.path());
        assert!(left.is_empty() || (left == ["interrupted.dmp"] && done), "{left:?}");
        target.wait_for("is free", |t| t.states().iter().all(|s| *s != 't'));
        if done {
            break;
        }
    }
}

/// Sends the signal of Ctrl-C.
fn interrupt(child: &std::process::Child) {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

#[test]
fn a_second_ctrl_c_ends_a_stuck_dump_and_leaves_nothing() {
    // It cannot be stopped, and is waited for.
    let target = Target::fixture("vfork", &[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stuck.dmp");
    let pid = target.pid().to_string();
    let mut child = command().args(["dump", "-p", &pid]).arg(&file).spawn().unwrap();
    let started = Instant::now();
    while names(folder.path()).is_empty() && started.elapsed() < Duration::from_secs(3) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(names(folder.path()).len(), 1, "it is being written");
    interrupt(&child);
    std::thread::sleep(Duration::from_millis(300));
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(started.elapsed() < Duration::from_secs(4), "it did not wait on");
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn secondary_files_that_the_disk_has_no_room_for_stay_out_and_the_dump_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let mount = |arguments: &[&str]| {
        let status = Command::new("mount").args(arguments).arg(folder.path()).status();
        status.is_ok_and(|status| status.success())
    };
    if !mount(&["-t", "tmpfs", "-o", "size=1m", "none"]) {
        tools::skip("a small disk", "only root may mount one");
        return;
    }
    let target = Target::fixture("threads", &["1"]);
    let file = folder.path().join("small.cab");
    let run = dump_to(&target, &["-m", "-ba", "--json"], &file);
    let left = names(folder.path());
    let _ = Command::new("umount").arg(folder.path()).status();
    let summary = run.ok().json();
    assert_eq!(left, ["small.cab"]);
    let notes = summary["soft_error_list"].to_string();
    assert!(notes.contains("the disk has no room left"), "{notes}");
    let inside = summary["cab_files"].as_array().unwrap();
    assert_eq!(inside[0], "small.dmp");
}
