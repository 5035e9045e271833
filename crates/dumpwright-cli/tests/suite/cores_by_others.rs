//! Cores by other writers than gcore and this machine's kernel, of programs that
//! make it hard, and stored as other programs store them.

use crate::support::cli::{assert_verifies, command, dump, dump_file, run};
use crate::support::compile::{Kind, arm64_fixture, fixture};
use crate::support::cores::{gcore, kernel_core, may_dump_core};
use crate::support::crashes::core_pattern_stays;
use crate::support::dump::{Loaded, stream};
use crate::support::frozen::Frozen;
use crate::support::same_process::{
    assert_same_contexts, assert_same_memory, assert_same_process, modules,
};
use crate::support::target::Target;
use crate::support::tools::{self, skip};
use minidump::{MinidumpContext, MinidumpRawContext, MinidumpSystemInfo, MinidumpThreadList};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn arguments_and_environment_are_the_kernels_whatever_a_program_does_to_its_lists() {
    for arguments in [&[][..], &["one", "two", "three"]] {
        let mut environment = Command::new(fixture("environment", Kind::Program));
        environment.args(arguments).env_clear();
        for (name, value) in [("FIRST", "1"), ("GONE", "2"), ("LAST", "3")] {
            environment.env(name, value);
        }
        environment.env("GLIBC_TUNABLES", "glibc.malloc.check=0");
        let target = Target::command(environment);
        let Some(core) = gcore(&target) else { return };
        let written = dump_file(&core.file, &["-m"]).load();
        for (stream, file) in [(stream::CMD_LINE, "cmdline"), (stream::ENVIRON, "environ")] {
            let truth = fs::read(format!("/proc/{}/{file}", target.pid())).unwrap();
            let text = String::from_utf8_lossy(&truth);
            assert_eq!(written.raw(stream).map(String::from_utf8_lossy), Some(text), "{file}");
        }
    }
}

#[test]
fn what_no_core_holds_is_reported_and_not_claimed() {
    const HANDLE_DATA: u64 = 0x4;
    const THREAD_INFO: u64 = 0x1000;
    let target = Target::fixture("threads", &["1"]);
    let Some(core) = gcore(&target) else { return };
    let written = dump_file(&core.file, &["-mht", "--token", "--vm-counters", "--system-memory"]);
    assert_verifies(&written.file);
    for lacking in ["HANDLE_DATA", "token", "process memory", "system memory"] {
        assert!(written.mentions(lacking), "{lacking}: {}", written.summary);
    }
    let loaded = written.load();
    assert_eq!(loaded.flags() & (HANDLE_DATA | THREAD_INFO), THREAD_INFO);
    for stream in [stream::HANDLE_DATA, stream::TOKEN, stream::VM_COUNTERS, stream::SYSTEM_MEMORY] {
        assert!(loaded.raw(stream).is_none(), "stream {stream}");
    }
}

/// On Linux, LLDB saves minidumps only.
#[test]
fn what_lldb_saves_is_the_process() {
    let Some(lldb) = tools::command("lldb-19") else { return };
    let target = Target::fixture("threads", &["4"]);
    let live = dump(&target, &["-m"]).load();
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("saved.core");
    tools::run(
        Command::new(lldb)
            .args(["--no-lldbinit", "-b", "-p", &target.pid().to_string()])
            .args(["-o", &format!("process save-core --style=stack {}", saved.display())])
            .args(["-o", "detach"]),
    );
    let ours = dump_file(&saved, &["-mA"]);
    assert_verifies(&ours.file);
    let loaded = ours.load();
    assert_eq!(loaded.tids(), live.tids());
    // Its contexts end early, where readers find none; ours are whole.
    for tid in live.tids() {
        assert_eq!(loaded.registers(tid), live.registers(tid), "registers of {tid}");
    }
    let bases: Vec<u64> = modules(&loaded).into_iter().map(|module| module.1).collect();
    for (name, base, ..) in modules(&live) {
        assert!(bases.contains(&base), "{name} at {base:#x} is not among {bases:x?}");
    }
    // And as a core, for gdb.
    let core = dump_file(&saved, &["-mA", "--as", "core"]);
    assert_eq!(dump_file(&core.file, &["-mA"]).load().tids(), live.tids());
}

/// Named and packed as systemd-coredump does it.
#[test]
fn cores_open_as_systemd_stores_them() {
    let target = Target::fixture("threads", &["2"]);
    let _frozen = Frozen::new(&target);
    let Some(core) = gcore(&target) else { return };
    let truth = dump_file(&core.file, &["-ma"]).load();
    let folder = tempfile::tempdir().unwrap();
    let id = "0f5e2a0c6d3b4c0f9b1e1f6a7d8c9b0a";
    for (tool, end) in [("zstd", "zst"), ("xz", "xz"), ("lz4", "lz4")] {
        let Some(tool) = tools::command(tool) else { continue };
        let name = format!("core.a\\x20b.0.{id}.{}.1700000000000000.{end}", target.pid());
        let packed = folder.path().join(name);
        // From a pipe, so without the size, as systemd's frames are.
        let input = fs::File::open(&core.file).unwrap();
        let output = Command::new(tool).args(["-1", "-c"]).stdin(input).output().unwrap();
        fs::write(&packed, output.stdout).unwrap();
        assert_same_process(&truth, &dump_file(&packed, &["-ma"]).load());
    }
}

/// A setting of the machine, changed until it is dropped.
struct Setting(&'static str, String);

impl Setting {
    fn at_least(file: &'static str, value: u64) -> Option<Setting> {
        let before = fs::read_to_string(file).ok()?;
        let now: u64 = before.trim().parse().ok()?;
        if now < value && fs::write(file, value.to_string()).is_err() {
            skip("a process with many mappings", &format!("{file} cannot be raised"));
            return None;
        }
        Some(Setting(file, before))
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        let _ = fs::write(self.0, &self.1);
    }
}

#[test]
fn more_mappings_than_a_header_counts_go_through_cores_of_the_kernel_and_ours() {
    const MAPPINGS: &str = "70000";
    let _turn = core_pattern_stays();
    let Some(_limit) = Setting::at_least("/proc/sys/vm/max_map_count", 80_000) else { return };
    let program = fixture("mappings", Kind::Program);
    let Some(mut target) = may_dump_core(program, &[MAPPINGS]) else { return };
    target.stop();
    let live = dump(&target, &["-ma"]).load();
    let end = |target: &mut Target| {
        target.signal("QUIT");
        target.signal("CONT");
    };
    let Some(core) = kernel_core(&mut target, end) else { return };
    let count = |file: &Path| {
        let bytes = fs::read(file).unwrap();
        assert_eq!(bytes[56..58], [0xFF, 0xFF], "PN_XNUM");
    };
    count(&core.file);
    let by_kernel = dump_file(&core.file, &["-ma"]);
    assert_verifies(&by_kernel.file);
    // Such a core does not list the files (the kernel gives the list 4 MiB), so
    // their names are the dynamic linker's.
    let loaded = by_kernel.load();
    assert_same_contexts(&loaded, &live);
    let ids = |l: &Loaded| modules(l).into_iter().map(|m| (m.1, m.2, m.3)).collect::<Vec<_>>();
    assert_eq!(ids(&loaded), ids(&live));
    let ends = |(name, ..): &(String, u64, u64, String)| name.rsplit('/').next().map(str::to_owned);
    let names = |l: &Loaded| modules(l).iter().map(ends).collect::<Vec<_>>();
    assert_eq!(names(&loaded), names(&live));
    assert_same_memory(&live, &loaded);
    let ours = dump_file(&core.file, &["-ma", "--as", "core"]);
    count(&ours.file);
    assert_same_memory(&live, &dump_file(&ours.file, &["-ma"]).load());
    let Some(gdb) = tools::command("gdb") else { return };
    for place in ["first", "last"] {
        let show = format!("x/4gx {:#x}", target.number(place));
        let ask = |core: &Path| {
            let output = tools::run(
                Command::new(&gdb).args(["-nx", "-batch", "-ex", &show, "-c"]).arg(core),
            );
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let shown = text.lines().rfind(|line| line.starts_with("0x")).map(str::to_owned);
            shown.unwrap_or_else(|| panic!("{text}"))
        };
        assert_eq!(ask(&ours.file), ask(&core.file), "{place}");
    }
}

/// The core of a crash of 64-bit ARM by QEMU's emulation of Linux, the program,
/// and the address of its text.
fn core_of_arm64(folder: &Path) -> Option<(PathBuf, PathBuf, u64)> {
    let qemu = tools::command("qemu-aarch64-static")?;
    let program = arm64_fixture("arm64")?;
    // QEMU crashes then as its guest did: its own core is not wanted.
    let script = "ulimit -Sc unlimited; exec \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(qemu)
        .arg(&program)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let at = u64::from_str_radix(&text, 16).unwrap_or_else(|_| panic!("it said {text:?}"));
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let core = files.filter(|f| f.extension().is_some_and(|e| e == "core")).last();
    Some((core.expect("QEMU writes a core"), program, at))
}

/// What GDB shows of each thread: registers by name, and the backtrace.
fn by_gdb(program: &Path, core: &Path) -> Option<Vec<(BTreeMap<String, u64>, String)>> {
    let gdb = tools::command("gdb-multiarch")?;
    let output = tools::run(
        Command::new(gdb)
            .args(["-nx", "-batch", "-ex", "thread apply all info registers"])
            .args(["-ex", "thread apply all bt 3"])
            .arg(program)
            .arg(core),
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let parts: Vec<&str> = text.split("\nThread ").skip(1).collect();
    let (registers, traces) = parts.split_at(parts.len() / 2);
    let parse = |part: &str| {
        let words = part.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let numbers = words.filter_map(|words| {
            let hex = words.get(1)?.strip_prefix("0x")?;
            Some((words[0].to_owned(), u64::from_str_radix(hex, 16).ok()?))
        });
        numbers.collect::<BTreeMap<_, _>>()
    };
    let frames = |part: &str| {
        let lines = part.lines().filter(|line| line.starts_with('#'));
        lines.map(|line| line.split(" at ").next().unwrap()).collect::<Vec<_>>().join("\n")
    };
    Some(registers.iter().zip(traces).map(|(r, t)| (parse(r), frames(t))).collect())
}

#[test]
fn a_core_of_64_bit_arm_becomes_a_dump_and_a_core_again() {
    let folder = tempfile::tempdir().unwrap();
    let Some((core, program, text)) = core_of_arm64(folder.path()) else { return };
    let written = dump_file(&core, &["-ma"]);
    assert_verifies(&written.file);
    let loaded = written.load();
    let planted = b"planted in the data of a 64-bit ARM program";
    assert_eq!(loaded.bytes_at(text, planted.len() as u64).as_deref(), Some(&planted[..]));
    let Some(truth) = by_gdb(&program, &core) else { return };
    assert_eq!(truth.len(), 4, "threads of {truth:?}");
    let threads: MinidumpThreadList<'_> = loaded.get();
    let system: MinidumpSystemInfo = loaded.get();
    let registers: Vec<BTreeMap<String, u64>> = threads
        .threads
        .iter()
        .map(|thread| registers_of(&thread.context(&system, None).expect("a context")))
        .collect();
    for (expected, _) in &truth {
        let same = |found: &&BTreeMap<String, u64>| found.iter().all(|(n, v)| expected[n] == *v);
        assert!(registers.iter().any(|r| same(&r)), "{expected:x?} in {registers:x?}");
    }
    let crashed = &registers[0];
    assert_eq!((crashed["x27"], crashed["x28"]), (0x2727, 0x2828));
    let again = dump_file(&core, &["-ma", "--as", "core"]);
    let of_dump = dump_file(&written.file, &["-ma", "--as", "core"]);
    for ours in [&again.file, &of_dump.file] {
        let seen = by_gdb(&program, ours).unwrap();
        assert!(seen[3].1.contains("dies"), "{}", seen[3].1);
        assert_eq!(seen, truth);
    }
    assert_same_contexts(&dump_file(&again.file, &["-ma"]).load(), &loaded);
}

fn registers_of(context: &MinidumpContext) -> BTreeMap<String, u64> {
    let MinidumpRawContext::Arm64(raw) = &context.raw else { panic!("no ARM64 context") };
    let general = (0..31).map(|n| (format!("x{n}"), raw.iregs[n]));
    general.chain([("sp".to_owned(), raw.sp), ("pc".to_owned(), raw.pc)]).collect()
}

#[test]
fn a_core_of_a_32_bit_process_is_refused_by_name() {
    // ELFCLASS32, ET_CORE, EM_386; a note segment with what the process was (NT_PRPSINFO).
    let mut bytes = vec![0; 0x1000];
    let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
    put(0, b"\x7fELF\x01\x01\x01");
    for (at, half) in [(16, 4u16), (18, 3), (40, 52), (42, 32), (44, 1)] {
        put(at, &half.to_le_bytes());
    }
    // e_phoff; p_type, p_offset, p_filesz; namesz, descsz, type.
    for (at, word) in [(28, 52u32), (52, 4), (56, 0x100), (68, 164)] {
        put(at, &word.to_le_bytes());
    }
    for (at, word) in [(0x100, 5u32), (0x104, 144), (0x108, 3)] {
        put(at, &word.to_le_bytes());
    }
    put(0x10C, b"CORE");
    let folder = tempfile::tempdir().unwrap();
    let core = folder.path().join("core");
    fs::write(&core, bytes).unwrap();
    let out = folder.path().join("x.dmp");
    let text = run(command().args(["dump", "-m", "-z"]).args([&core, &out])).refused();
    assert!(text.contains("32-bit"), "{text}");
    assert!(!out.exists());
}
