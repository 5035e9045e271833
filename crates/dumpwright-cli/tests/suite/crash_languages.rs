//! Crashes of programs in several languages through the installed handler.

use crate::support::compile::{Kind, fixture};
use crate::support::crashes::{Crash, Installed};
use crate::support::processor::{file_name, process};
use crate::support::readers::lldb_traces;
use crate::support::tools::command as tool;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program, and what its crash has to look like.
struct Program {
    command: Command,
    /// Its executable.
    path: PathBuf,
    reason: &'static str,
    /// A module that has to be among the first frames.
    module: String,
    /// A function that LLDB has to name.
    function: Option<&'static str>,
}

fn built(name: &str, kind: Kind) -> Program {
    let path = fixture(name, kind);
    Program {
        command: Command::new(&path),
        module: file_name(path.to_str().unwrap()).to_owned(),
        path,
        reason: "SIGABRT / SI_TKILL",
        function: None,
    }
}

fn programs() -> Vec<Program> {
    let mut programs = Vec::new();
    if tool("c++").is_some() {
        programs.push(Program { function: Some("throws_it"), ..built("throws", Kind::Cpp) });
    }
    programs.push(Program {
        reason: "SIGSEGV / SEGV_MAPERR",
        function: Some("aborts::rust_faults"),
        ..built("aborts", Kind::Rust)
    });
    if tool("go").is_some() {
        let mut go = built("panics", Kind::Go);
        go.command.env("GOTRACEBACK", "crash");
        programs.push(Program { function: Some("runtime.raise"), ..go });
    }
    if let Some(python) = tool("python3") {
        let output = Command::new(&python)
            .args(["-c", "import os; print(os.path.realpath('/proc/self/exe'))"])
            .output()
            .unwrap();
        let path = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
        let mut command = Command::new(&path);
        command.args(["-c", "import ctypes; ctypes.string_at(0x4d0)"]);
        programs.push(Program {
            command,
            path,
            reason: "SIGSEGV / SEGV_MAPERR",
            module: "libc.so.6".into(),
            function: None,
        });
    }
    programs
}

#[test]
fn crashes_of_many_languages_have_their_reason_and_top_frames() {
    let mut programs = programs();
    let sections = programs.iter().map(|p| format!("[program.\"{}\"]\n", p.path.display()));
    let config = sections.collect::<String>();
    let Some(mut installed) = Installed::new(&config) else { return };
    let crashes: Vec<Crash> =
        programs.iter_mut().map(|program| installed.crash(&mut program.command)).collect();
    installed.take_away();
    for (program, crash) in programs.iter().zip(&crashes) {
        eprintln!("{}", program.path.display());
        assert_looks_like(program, crash);
    }
}

#[track_caller]
fn assert_looks_like(program: &Program, crash: &Crash) {
    let loaded = crash.load();
    let state = process(&loaded);
    let info = state.exception_info.as_ref().expect("an exception");
    assert_eq!(info.reason.to_string(), program.reason);
    if program.reason.contains("MAPERR") {
        assert_eq!(info.address.0, 0x4d0);
    }
    let thread = &state.threads[state.requesting_thread.expect("a crashing thread")];
    let modules: Vec<_> = thread
        .frames
        .iter()
        .take(12)
        .filter_map(|f| f.module.as_ref())
        .map(|m| file_name(&m.name))
        .collect();
    assert!(modules.contains(&program.module.as_str()), "{} in {modules:?}", program.module);
    let Some(function) = program.function else { return };
    let Some(seen) = lldb_traces(Path::new(&crash.file())) else { return };
    let names: Vec<_> = seen[&thread.thread_id].iter().map(|(_, name)| name.as_str()).collect();
    assert!(names.iter().any(|name| name.contains(function)), "{function} in {names:?}");
}
