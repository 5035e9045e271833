//! A 64-bit ARM Linux guest: dumped while it runs and from what QEMU writes of the
//! same stop; and the cores that its kernel writes of programs that crash in it.

use super::machine_live::{Guest, elf_segments, linux};
use super::machine_x86::{assert_read_by_others, converted, raw_image, take};
use super::support::cli::{Written, assert_verifies, dump_file};
use super::support::compile::{ARM64_LIBRARIES, ARM64_ROOT, arm64_dynamic_fixture, arm64_fixture};
use super::support::initramfs::initramfs;
use super::support::processor::process;
use super::support::readers::lldb_traces;
use super::support::tools;
use minidump::{MinidumpException, MinidumpSystemInfo};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a guest may take to start, or to crash programs, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(150);
/// Where the machine of QEMU has its memory.
const RAM: u64 = 0x4000_0000;

/// A guest that ran programs to their crash: `dynamic.unmapped` runs
/// `/dynamic unmapped`.
fn guest(crashes: &[&str]) -> Option<Guest> {
    let qemu = tools::command("qemu-system-aarch64")?;
    let kernel = linux("vmlinuz-arm64")?;
    let mut files = vec![
        ("init", arm64_fixture("guest_init")?),
        ("static", arm64_fixture("crashes")?),
        ("dynamic", arm64_dynamic_fixture("crashes")?),
    ];
    files.extend(ARM64_LIBRARIES.map(|name| (name, Path::new(ARM64_ROOT).join(name))));
    let folder = tempfile::tempdir().unwrap();
    let (archive, serial) = (folder.path().join("initramfs"), folder.path().join("serial"));
    fs::write(&archive, initramfs(&files)).unwrap();
    let mut command = Command::new(qemu);
    command.args(["-machine", "virt", "-cpu", "cortex-a57", "-m", "128"]);
    command.arg("-kernel").arg(kernel).arg("-initrd").arg(archive);
    let line = format!("console=ttyAMA0 loglevel=4 -- crash {}", crashes.join(" "));
    command.args(["-append", &line, "-serial", &format!("file:{}", serial.display())]);
    let guest = Guest::launch(command, folder, None);
    let deadline = Instant::now() + PATIENCE;
    let is_done = || fs::read(&serial).is_ok_and(|bytes| bytes.ends_with(b"tick\n"));
    while !is_done() {
        assert!(Instant::now() < deadline, "the guest does not come up or to an end");
        std::thread::sleep(Duration::from_millis(100));
    }
    Some(guest)
}

#[test]
fn a_64_bit_arm_guest_is_dumped_while_it_runs_and_from_what_qemu_writes() {
    let Some(mut guest) = guest(&[]) else { return };
    let ticks = |guest: &Guest| fs::metadata(guest.path("serial")).unwrap().len();
    guest.dump("first.dmp");
    assert!(guest.monitor.is_running(), "it goes on");
    let before = ticks(&guest);
    let deadline = Instant::now() + PATIENCE;
    while ticks(&guest) == before {
        assert!(Instant::now() < deadline, "its program goes on, too");
        std::thread::sleep(Duration::from_millis(50));
    }
    fs::remove_file(guest.path("first.dmp")).unwrap();

    guest.monitor.say("stop", &json!({}));
    let live = guest.path("live.dmp");
    guest.dump("live.dmp");
    assert_verifies(&live);
    guest.compare("live.dmp");
    let elf = take(&mut guest, "q.elf", &json!({}));
    let raw = guest.path("q.raw");
    raw_image(&elf, &raw);
    let pages = elf_segments(&elf).iter().map(|(_, len, _)| len / 4096).sum();
    assert_read_by_others(&live, &raw, "WindowsCrashDump64Layer", pages);
    let asked = json!({ "command-line": "info registers" });
    let monitor = guest.monitor.say("human-monitor-command", &asked);
    let monitor = monitor.as_str().unwrap();
    assert_header(&live, monitor, pages);

    // QEMU takes this guest's memory the same way with paging and without, in pages
    // of 64 KiB where it packs them.
    for (name, more) in [
        ("q.elf", json!({})),
        ("p.elf", json!({ "paging": true })),
        ("q.kdump", json!({ "format": "kdump-zlib" })),
    ] {
        let from = take(&mut guest, name, &more);
        let told = converted(&guest, &from, &["-f", "-o"], "again.dmp");
        assert_eq!(told["soft_error_list"], json!([]), "{name}");
        guest.compare("again.dmp");
        assert_header(&guest.path("again.dmp"), monitor, pages);
    }
    guest.monitor.say("cont", &json!({}));
    assert!(guest.monitor.is_running());
}

/// The header, by the offsets of the specification and not by our structures.
#[track_caller]
fn assert_header(dump: &Path, monitor: &str, pages: u64) {
    let mut header = vec![0; 0x2000];
    let file = File::open(dump).unwrap();
    file.read_exact_at(&mut header, 0).unwrap();
    let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap());
    let wide = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap());
    assert_eq!(&header[..8], b"PAGEDU64");
    assert_eq!((word(0x30), word(0x34)), (0xaa64, 2), "machine and processors");
    assert_eq!((word(0x88), wide(0x90)), (1, pages), "runs and pages");
    assert_eq!((wide(0x98), wide(0xa0)), (RAM >> 12, pages), "the run");
    assert_eq!(word(0xf98), 1, "DumpType");
    assert_eq!(wide(0xfa0), file.metadata().unwrap().len(), "RequiredDumpSpace");
    // The context at 0x348, as winnt.h has it: flags, CPSR, X, SP, PC, V.
    assert_eq!(word(0x348), 0x40_0007, "general and float registers");
    let shown = |name: &str, digits: usize| {
        let at = monitor.find(&format!("{name}=")).unwrap_or_else(|| panic!("no {name}"));
        let digits = &monitor[at + name.len() + 1..][..digits];
        u64::from_str_radix(digits, 16).unwrap()
    };
    assert_eq!(u64::from(word(0x34c)), shown("PSTATE", 8));
    for n in 0..31 {
        assert_eq!(wide(0x350 + 8 * n), shown(&format!("X{n:02}"), 16), "X{n}");
    }
    assert_eq!((wide(0x448), wide(0x450)), (shown("SP", 16), shown("PC", 16)));
    // `Q00=high:low`, where QEMU shows them.
    for n in (0..32).filter(|_| monitor.contains("Q31=")) {
        let text = monitor.split(&format!("Q{n:02}=")).nth(1).unwrap();
        let [high, low] =
            [&text[..16], &text[17..33]].map(|digits| u64::from_str_radix(digits, 16).unwrap());
        assert_eq!((wide(0x458 + 16 * n), wide(0x460 + 16 * n)), (low, high), "Q{n}");
    }
}

/// A way to crash, and what readers call it.
struct Sort {
    name: &'static str,
    reason: &'static str,
    /// Whether the fault has the address that the program said.
    address: bool,
}

const SORTS: [Sort; 7] = [
    Sort { name: "unmapped", reason: "SIGSEGV / SEGV_MAPERR", address: true },
    Sort { name: "protected", reason: "SIGSEGV / SEGV_ACCERR", address: true },
    Sort { name: "bus", reason: "SIGBUS / BUS_ADRERR", address: true },
    Sort { name: "illegal", reason: "SIGILL / ILL_ILLOPC", address: false },
    Sort { name: "trap", reason: "SIGTRAP / TRAP_BRKPT", address: false },
    Sort { name: "abort", reason: "SIGABRT / SI_TKILL", address: false },
    Sort { name: "system-call", reason: "SIGSYS / SYS_SECCOMP", address: false },
];

/// Takes the files apart that the guest's program sent.
fn unpack(serial: &[u8], folder: &Path) {
    const MARK: &[u8] = b"\nFILE ";
    let mut at = 0;
    while let Some(found) = super::support::find(&serial[at..], MARK) {
        let line = &serial[at + found + MARK.len()..];
        let end = line.iter().position(|b| *b == b'\n').unwrap();
        let (name, size) = std::str::from_utf8(&line[..end]).unwrap().split_once(' ').unwrap();
        at += found + MARK.len() + end + 1;
        let file = File::create(folder.join(name)).unwrap();
        let size: u64 = size.parse().unwrap();
        file.set_len(size).unwrap();
        loop {
            let place = u64::from_le_bytes(serial[at..at + 8].try_into().unwrap());
            at += 8;
            if place == u64::MAX {
                break;
            }
            let len = (size - place).min(4096) as usize;
            file.write_all_at(&serial[at..at + len], place).unwrap();
            at += 4096;
        }
    }
}

#[test]
fn cores_by_the_kernel_of_64_bit_arm_become_dumps_with_reason_and_frames() {
    let mut crashes = vec!["static.unmapped".to_owned(), "static.abort".to_owned()];
    crashes.extend(SORTS.iter().map(|sort| format!("dynamic.{}", sort.name)));
    let names: Vec<&str> = crashes.iter().map(String::as_str).collect();
    let Some(guest) = guest(&names) else { return };
    let serial = fs::read(guest.path("serial")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    drop(guest);
    unpack(&serial, folder.path());
    // The guest's files, for the pages that the cores leave to them.
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("lib")).unwrap();
    for name in ARM64_LIBRARIES {
        fs::copy(Path::new(ARM64_ROOT).join(name), root.join(name)).unwrap();
    }
    let build = |name: &str| match name {
        "static" => arm64_fixture("crashes"),
        _ => arm64_dynamic_fixture("crashes"),
    };
    for name in ["static", "dynamic"] {
        fs::copy(build(name).unwrap(), root.join(name)).unwrap();
    }
    for what in names {
        eprintln!("{what}");
        let (program, kind) = what.split_once('.').unwrap();
        let core = folder.path().join(format!("core.{what}"));
        let said = fs::read_to_string(folder.path().join(format!("said.{what}"))).unwrap();
        let said: Value =
            serde_json::from_str(said.trim().strip_prefix("READY ").unwrap()).unwrap();
        let sort = SORTS.iter().find(|sort| sort.name == kind).unwrap();
        for letter in ["-m", "-ma"] {
            let written = dump_file(&core, &["--sysroot", root.to_str().unwrap(), letter]);
            assert_the_crash(&written, program, sort, &said);
        }
        if ["unmapped", "abort"].contains(&kind) {
            assert_debuggers_agree(&core, &root, program, kind);
        }
    }
}

#[track_caller]
fn assert_the_crash(written: &Written, program: &str, sort: &Sort, said: &Value) {
    assert_verifies(&written.file);
    let loaded = written.load();
    let exception: MinidumpException<'_> = loaded.get();
    let system: MinidumpSystemInfo = loaded.get();
    let tid = said["tid"].as_u64().unwrap();
    assert_eq!(u64::from(exception.get_crashing_thread_id()), tid);
    assert_eq!(loaded.tids().len(), 3);
    let modules = loaded.modules();
    let expected = if program == "static" { 2 } else { 4 };
    assert_eq!(modules.len(), expected, "program, libraries and vDSO: {modules:x?}");
    for (index, (name, range)) in modules.iter().enumerate() {
        let apart = |other: &(String, std::ops::Range<u64>)| {
            other.1.end <= range.start || range.end <= other.1.start
        };
        assert!(modules[index + 1..].iter().all(apart), "{name} overlaps: {modules:x?}");
    }
    let state = process(&loaded);
    let info = state.exception_info.as_ref().expect("an exception");
    assert_eq!(info.reason.to_string(), sort.reason);
    let context = exception.context(&system, None).expect("a context");
    let pc = context.get_instruction_pointer();
    if sort.address {
        assert_eq!(info.address.0, said["address"].as_u64().unwrap());
    } else {
        assert_eq!(info.address.0, pc);
    }
    let thread = &state.threads[state.requesting_thread.expect("a crashing thread")];
    assert_eq!(thread.frames[0].instruction, pc);
    let own = |f: &&minidump_unwind::StackFrame| {
        f.module.as_ref().is_some_and(|m| m.name.rsplit('/').next() == Some(program))
    };
    let frames = thread.frames.iter().filter(own).count();
    assert!(frames >= 2 || program == "static", "{:?}", thread.frames);
    if let Some(marker) = loaded.bytes_at(said["marker"].as_u64().unwrap(), 32) {
        assert_eq!(marker, super::support::unhex(said["value"].as_str().unwrap()));
    }
}

/// GDB shows the same of the kernel's core and of ours, and LLDB reads the dump.
#[track_caller]
fn assert_debuggers_agree(core: &Path, root: &Path, program: &str, kind: &str) {
    let sysroot = root.to_str().unwrap();
    let Some(gdb) = tools::command("gdb-multiarch") else { return };
    let ours = dump_file(core, &["--sysroot", sysroot, "-ma", "--as", "core"]);
    let shown = |core: &Path| {
        let mut gdb = Command::new(&gdb);
        gdb.args(["-nx", "-batch", "-ex", &format!("set sysroot {sysroot}")]);
        gdb.args(["-ex", "thread apply all info registers general", "-ex", "thread apply all bt"]);
        let output = tools::run(gdb.arg(root.join(program)).arg("-c").arg(core));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // Each thread without its number, since cores differ in their order. TPIDR2
        // is of processors with SME, and in no minidump.
        let thread = |part: &str| {
            let part = part.split_once(' ').map_or(part, |(_, rest)| rest).trim_end();
            let lines = part.lines().filter(|line| !line.starts_with("tpidr2"));
            lines.collect::<Vec<_>>().join("\n")
        };
        let mut threads: Vec<String> = text.split("\nThread ").skip(1).map(thread).collect();
        threads.sort();
        threads
    };
    let (theirs, ours_shown) = (shown(core), shown(&ours.file));
    assert_eq!(theirs.len(), 6, "registers and frames of three threads: {theirs:#?}");
    assert_eq!(ours_shown, theirs);
    let expected = if kind == "abort" { "abort" } else { "faults" };
    assert!(theirs.concat().contains(expected), "{theirs:#?}");
    let whole = dump_file(core, &["--sysroot", sysroot, "-ma"]);
    let Some(seen) = lldb_traces(&whole.file) else { return };
    assert_eq!(seen.len(), 3, "{seen:?}");
}
