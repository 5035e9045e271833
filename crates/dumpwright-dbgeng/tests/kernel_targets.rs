//! A C program takes a machine as its target through the interfaces: what it is
//! told is what the test kit built, and its dumps are held against the image by
//! a reader that is not ours.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![cfg(target_os = "linux")]

mod support;

use dumpwright_testkit::output::{self, ElfNotes};
use dumpwright_testkit::{Nt, NtOptions, nt};
use kdmp_parser::{Gpa, Gxa as _, KernelDumpParser};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::compile_c;

/// What the program told of one of its targets.
type Facts = BTreeMap<String, Vec<String>>;

fn run(program: &Path, kind: &str, source: &Path, folder: &Path) -> BTreeMap<String, Facts> {
    let mut command = Command::new(program);
    command.arg(kind).arg(source).arg(folder).stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let failed: Vec<_> = text.lines().filter(|l| l.starts_with("FAILED")).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(output.status.success(), "{} {text}", output.status);
    let mut targets = BTreeMap::new();
    let mut target = String::new();
    for line in text.lines() {
        let Some((name, value)) = line.split_once(' ') else { continue };
        if name == "dump" {
            value.clone_into(&mut target);
        }
        let facts: &mut Facts = targets.entry(target.clone()).or_default();
        facts.entry(name.to_owned()).or_default().push(value.to_owned());
    }
    targets
}

/// What is true of every dump of the guest.
fn assert_told(nt: &Nt, name: &str, facts: &Facts) {
    let hex = |value: u64| vec![format!("{value:x}")];
    let (code, arguments) = nt.bug_check.unwrap();
    assert_eq!(facts["machine"], hex(0x8664), "{name}");
    assert_eq!(facts["processors"], hex(nt.processors.len() as u64), "{name}");
    assert_eq!(facts["build"], hex(nt::BUILD.into()), "{name}");
    assert_eq!(facts["bugcheck"], hex(code.into()), "{name}");
    let arguments: Vec<_> = arguments.iter().map(|a| format!("{a:x}")).collect();
    assert_eq!(facts["argument"], arguments, "{name}");
    let modules: Vec<_> = nt.modules.iter().map(|m| format!("{:x} {}", m.base, m.name)).collect();
    assert_eq!(facts["module"], modules, "{name}");
    assert_eq!(facts["kernel"], hex(nt::KERNEL), "{name}");
    assert_eq!(facts["kernbase"], hex(nt::KERNEL), "{name}");
    assert_eq!(facts["modulelist"], hex(nt.header().loaded_module_list), "{name}");
    let (threads, processes): (Vec<_>, Vec<_>) =
        nt.processors.iter().map(|p| (p.thread, nt.processes[p.process].eprocess)).unzip();
    let told = |fact: &str| {
        let value = facts.get(fact).unwrap_or_else(|| panic!("{name} tells of no {fact}"));
        u64::from_str_radix(&value[0], 16).unwrap()
    };
    assert!(threads.contains(&told("thread")), "{name}");
    assert!(processes.contains(&told("process")), "{name}");
    assert_eq!(
        facts.contains_key("physical"),
        !["small.dmp", "dot-m.dmp"].contains(&name),
        "{name}"
    );
}

/// Every page of a dump is the image's; how many there are.
fn assert_pages(nt: &Nt, file: &Path) -> usize {
    let parser = KernelDumpParser::new(file).unwrap();
    let pages: Vec<u64> = parser.physmem().map(|(gpa, _)| gpa.u64() / 4096).collect();
    let mut bytes = [0; 4096];
    for pfn in &pages {
        parser.phys_read_exact(Gpa::new(pfn * 4096), &mut bytes).unwrap();
        assert!(bytes == nt.image.page(*pfn), "{}: frame {pfn:#x}", file.display());
    }
    pages.len()
}

#[test]
fn a_c_program_dumps_a_machine_and_its_dumps() {
    let folder = tempfile::tempdir().unwrap();
    let options = NtOptions {
        bug_check: Some((0x7e, [0xffff_ffff_c000_0005, 2, 3, 0x1234_5678_9abc_def0])),
        ..NtOptions::default()
    };
    let nt = Nt::build(&options);
    let image = folder.path().join("guest.elf");
    let notes = ElfNotes { processors: &nt.registers(), vmcoreinfo: None };
    output::elf(&nt.image, &notes, &image).unwrap();
    let program = compile_c("kernel.c", folder.path(), &["-std=gnu11"]);

    let targets = run(&program, "run", &image, folder.path());
    let names: Vec<_> = targets.keys().map(String::as_str).collect();
    let expected = [
        "dot-ka.dmp",
        "dot-m.dmp",
        "full.dmp",
        "handle.cab",
        "kernel.cab",
        "kernel.dmp",
        "small.dmp",
        "source",
    ];
    assert_eq!(names, expected);
    for (name, facts) in &targets {
        assert_told(&nt, name, facts);
    }

    let all: u64 = nt.image.runs().iter().map(|run| run.count).sum();
    let pages = |name: &str| assert_pages(&nt, &folder.path().join(name));
    assert_eq!(pages("full.dmp") as u64, all);
    assert_eq!(pages("dot-f.dmp") as u64, all);
    let kernel = pages("kernel.dmp");
    assert_eq!(kernel, pages("dot-k.dmp"));
    assert!(kernel < pages("dot-ka.dmp"), "user memory is more");
    // A small dump of a small dump is the same, but for when it was written.
    let small = fs::read(folder.path().join("small.dmp")).unwrap();
    assert!(small.starts_with(b"PAGEDU64"));
}

/// Ends the guest with the test.
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A guest in its firmware; `None`, after a note, without QEMU.
fn start_qemu(socket: &Path) -> Option<Qemu> {
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-M", "pc", "-m", "32", "-smp", "2", "-display", "none", "-nodefaults", "-qmp"]);
    command.arg(format!("unix:{},server=on,wait=off", socket.display()));
    let Ok(child) = command.stdin(Stdio::null()).spawn() else {
        let required = std::env::var("DUMPWRIGHT_REQUIRE_READERS").is_ok_and(|v| v != "0");
        assert!(!required, "qemu-system-x86_64 is missing (DUMPWRIGHT_REQUIRE_READERS is set)");
        eprintln!("SKIPPED: AttachKernel: no qemu-system-x86_64; install qemu-system-x86");
        return None;
    };
    let qemu = Qemu(child);
    let patience = Instant::now() + Duration::from_secs(30);
    while !socket.exists() {
        assert!(Instant::now() < patience, "QEMU makes no monitor");
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(qemu)
}

#[test]
fn a_c_program_attaches_to_a_live_guest() {
    let folder = tempfile::tempdir().unwrap();
    let program = compile_c("kernel.c", folder.path(), &["-std=gnu11"]);
    let socket = folder.path().join("qmp");
    let Some(_qemu) = start_qemu(&socket) else { return };
    let targets = run(&program, "guest", &socket, folder.path());
    assert_eq!(targets["source"]["processors"], ["2"]);
    // 32 MiB, and the firmware's and the screen's own memory.
    let parser = KernelDumpParser::new(folder.path().join("full.dmp")).unwrap();
    assert!(parser.physmem().count() >= 32 << 8);
}
