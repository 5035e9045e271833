//! Programs as they are: interpreters, a Rust program, a static one, one whose
//! file is gone, one whose name is not UTF-8.

use crate::support::cli::dump;
use crate::support::compile::{Kind, fixture};
use crate::support::processor::{process, traces};
use crate::support::readers::{
    assert_same_frames, cut_to, gdb_traces, lldb_traces, lldb_traces_of_process, pypi_minidump,
};
use crate::support::target::Target;
use crate::support::tools::command;
use minidump::{MinidumpModuleList, MinidumpThreadNames, Module};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::process::Command;

/// A program and how to start it.
pub struct Program {
    /// Its name.
    pub name: &'static str,
    command: fn() -> Option<Command>,
    speaks: bool,
}

impl Program {
    /// Starts it.
    pub fn start(&self) -> Target {
        let command = (self.command)().expect("listed as present");
        if self.speaks { Target::command(command) } else { Target::silent(command) }
    }
}

const PYTHON: &str = r#"
import threading, time
def deep(n, parked=threading.Event()):
    return deep(n - 1) if n else parked.wait()
for i in range(6):
    threading.Thread(target=deep, args=(20,), daemon=True).start()
time.sleep(0.2)
print("READY {}", flush=True)
threading.Event().wait()
"#;

const NODE: &str = r#"
const { Worker } = require("worker_threads");
new Worker("setInterval(() => {}, 3600000)", { eval: true })
    .on("online", () => setTimeout(() => console.log("READY {}"), 200));
"#;

/// The programs that are installed here.
pub fn commands() -> Vec<Program> {
    let all = [
        Program { name: "sleep", command: || arguments("sleep", &["1000"]), speaks: false },
        Program {
            name: "bash",
            command: || {
                arguments("bash", &["--norc", "-c", "echo READY {}; while read x; do :; done"])
            },
            speaks: true,
        },
        Program {
            name: "python3",
            command: || arguments("python3", &["-c", PYTHON]),
            speaks: true,
        },
        Program { name: "node", command: || arguments("node", &["-e", NODE]), speaks: true },
        Program {
            name: "rust",
            command: || Some(Command::new(fixture("program", Kind::Rust))),
            speaks: true,
        },
        Program {
            name: "static",
            command: || {
                let mut command = Command::new(fixture("threads", Kind::Static));
                command.arg("4");
                Some(command)
            },
            speaks: true,
        },
    ];
    all.into_iter().filter(|p| (p.command)().is_some()).collect()
}

fn arguments(program: &str, arguments: &[&str]) -> Option<Command> {
    let mut command = Command::new(command(program)?);
    command.args(arguments);
    Some(command)
}

#[test]
fn every_program_is_dumped_small_and_full_and_read_by_everyone() {
    for program in commands() {
        let target = program.start();
        for option in ["-m", "-ma"] {
            let written = dump(&target, &[option]);
            let loaded = written.load();
            assert_eq!(loaded.tids(), target.tids(), "{} {option}", program.name);
            assert!(!loaded.modules().is_empty(), "{} {option}: no modules", program.name);
            let state = process(&loaded);
            assert_eq!(state.process_id, Some(target.pid()), "{} {option}", program.name);
            if let Some(seen) = pypi_minidump(&written.file, &[]) {
                assert_eq!(seen["pid"], target.pid(), "{} {option}", program.name);
            }
        }
    }
}

/// LLDB does not find its way out of every function of an interpreter, in the
/// process no more than in the dump: so the dump has to show what LLDB sees in
/// the process, and that has to be GDB's frames as far as it goes. Node runs
/// just-in-time code and wakes up on its own; its frames differ between looks.
#[test]
fn lldb_sees_the_frames_of_programs_that_stand_still() {
    for program in commands() {
        if program.name == "node" {
            continue;
        }
        let target = program.start();
        let written = dump(&target, &["-m"]);
        let Some(seen) = lldb_traces(&written.file) else { return };
        let Some(live) = lldb_traces_of_process(target.pid()) else { return };
        eprintln!("{}", program.name);
        assert_same_frames(&seen, &live);
        let Some(truth) = gdb_traces(target.pid()) else { return };
        assert_same_frames(&seen, &cut_to(truth, &seen));
        assert!(seen.values().all(|frames| frames.len() >= 4), "{seen:x?}");
    }
}

#[test]
fn modules_are_the_mapped_images_with_their_build_ids() {
    let target = Target::fixture("threads", &["1"]);
    let loaded = dump(&target, &["-m"]).load();
    let maps = fs::read_to_string(format!("/proc/{}/maps", target.pid())).unwrap();
    for end in ["libc.so.6", "ld-linux-x86-64.so.2"] {
        let range = loaded.module(end);
        let lines = maps.lines().filter(|l| l.ends_with(end));
        let address = |t: &str| u64::from_str_radix(t, 16).unwrap();
        let ends = lines.map(|l| l.split(' ').next().unwrap().split_once('-').unwrap());
        let all: Vec<_> = ends.map(|(a, b)| (address(a), address(b))).collect();
        assert_eq!(range.start, all[0].0, "{end}: base");
        assert!(range.end >= all[all.len() - 1].1, "{end}: size");
    }
    let modules: MinidumpModuleList = loaded.get();
    assert!(modules.main_module().unwrap().code_file().contains("threads-"), "the program first");
    for module in modules.iter() {
        assert!(module.debug_identifier().is_some(), "{} has no id", module.code_file());
        assert!(module.code_identifier().is_some(), "{} has no id", module.code_file());
    }
    assert!(modules.iter().any(|m| m.code_file().contains("linux-gate")), "no vdso");
}

#[test]
fn a_deleted_program_and_an_unlinked_library_are_still_modules() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("gone");
    let library = folder.path().join("libplugin.so");
    fs::copy(fixture("loader", Kind::Program), &program).unwrap();
    fs::copy(fixture("plugin", Kind::Library), &library).unwrap();
    let mut command = Command::new(&program);
    command.arg(&library);
    let target = Target::command(command);
    fs::remove_file(&program).unwrap();
    fs::remove_file(&library).unwrap();
    for option in ["-m", "-ma", "-mdc", "--module-headers"] {
        let loaded = dump(&target, &[option]).load();
        let names: Vec<_> = loaded.modules().into_iter().map(|(n, _)| n).collect();
        assert!(names.iter().all(|n| !n.contains("(deleted)")), "{option}: {names:?}");
        let plugin = loaded.module("libplugin.so");
        assert!(plugin.contains(&target.number("plugin")), "{option}: {plugin:x?}");
        loaded.module("/gone");
    }
    let loaded = dump(&target, &["-m"]).load();
    let traces = traces(&loaded);
    let frames = &traces[&target.pid()];
    let inside =
        |f: &&crate::support::processor::Frame| f.module.as_deref() == Some("libplugin.so");
    assert!(frames.iter().any(|f| inside(&f)), "{frames:x?}");
}

#[test]
fn names_that_are_not_utf8_survive() {
    let folder = tempfile::tempdir().unwrap();
    let name = OsString::from_vec(b"odd-\xff\xfe\n name".to_vec());
    let program = folder.path().join(name);
    fs::copy(fixture("threads", Kind::Program), &program).unwrap();
    let mut command = Command::new(&program);
    command.arg("2");
    let target = Target::command(command);
    for option in ["-m", "-ma", "-mR"] {
        let loaded = dump(&target, &[option]).load();
        assert_eq!(loaded.tids(), target.tids());
        let modules = loaded.modules();
        assert!(modules.iter().any(|(n, _)| n.contains("odd-")), "{option}: {modules:?}");
    }
}

#[test]
fn threads_have_their_names() {
    let target = Target::fixture("threads", &["20"]);
    let loaded = dump(&target, &["-m"]).load();
    let names: MinidumpThreadNames = loaded.get();
    for tid in target.tids() {
        let seen = names.get_name(tid).map(std::borrow::Cow::into_owned);
        assert_eq!(seen, Some(target.thread_name(tid)), "thread {tid}");
    }
}
