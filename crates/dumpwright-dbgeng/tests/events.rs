//! A C program debugs processes through the library and dumps them for what happens in
//! them; what becomes of the processes is what their parent sees.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![cfg(target_os = "linux")]

mod support;

use dumpwright::read::Minidump;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use support::{Child, compile_c};
use tempfile::TempDir;

/// What the program did to a target of a kind.
struct Debugged {
    folder: TempDir,
    target: Child,
}

impl Debugged {
    fn run(kind: &str, target: &str) -> Debugged {
        let folder = tempfile::tempdir().unwrap();
        let program = compile_c("events.c", folder.path(), &["-std=gnu11"]);
        let cue = folder.path().join("cue");
        let target = Child::start(Command::new(&program).args(["target", target]).arg(&cue));
        let output = Command::new(&program)
            .args(["run", kind])
            .arg(target.id().to_string())
            .arg(&cue)
            .arg(folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{kind}: {} {text}", output.status);
        Debugged { folder, target }
    }

    fn ends(&mut self) -> ExitStatus {
        self.target.wait()
    }

    fn dump(&self, name: &str) -> Minidump {
        let path = self.folder.path().join(name);
        judge(&path);
        Minidump::open(&path).unwrap()
    }
}

fn judge(path: &Path) {
    let dump = Minidump::open(path).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(dumpwright::verify::verify(&dump), [], "{}", path.display());
    minidump::Minidump::read_path(path).unwrap();
}

#[test]
fn a_crash_is_waited_for_and_dumped_with_its_exception() {
    let mut debugged = Debugged::run("crash", "crash");
    assert_eq!(debugged.ends().signal(), Some(11));
    let exception = debugged.dump("crash.dmp").exception().unwrap().unwrap();
    assert_eq!((exception.code, exception.address), (11, 0x10));
    assert_ne!(exception.thread_id, debugged.target.id(), "the second thread crashed");
}

#[test]
fn callbacks_see_what_the_process_handles_and_can_dump_it() {
    let mut debugged = Debugged::run("handled", "handled");
    assert_eq!(debugged.ends().code(), Some(5));
    let exception = debugged.dump("callback.dmp").exception().unwrap().unwrap();
    assert_eq!((exception.code, exception.address), (11, 0x10));
}

#[test]
fn a_breakpoint_of_the_program_is_passed() {
    let mut debugged = Debugged::run("trap", "trap");
    assert_eq!(debugged.ends().code(), Some(3));
    assert_eq!(debugged.dump("trap.dmp").exception().unwrap().unwrap().code, 5);
}

#[test]
fn callbacks_hear_of_threads() {
    assert_eq!(Debugged::run("threads", "threads").ends().code(), Some(4));
}

#[test]
fn the_end_of_a_process_can_be_dumped() {
    let mut debugged = Debugged::run("exit", "exit");
    assert_eq!(debugged.ends().code(), Some(7));
    debugged.dump("exit.dmp");
}

#[test]
fn an_interrupt_breaks_in_and_the_process_lives_on() {
    let debugged = Debugged::run("hang", "hang");
    assert!(debugged.target.is_alive(), "it was only looked at");
    assert!(debugged.dump("hang.dmp").exception().unwrap().is_none());
}

#[test]
fn a_process_that_runs_under_the_debugger_can_be_ended() {
    assert_eq!(Debugged::run("terminate", "hang").ends().signal(), Some(9));
}
