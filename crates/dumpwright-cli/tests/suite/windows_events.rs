//! `dump --on`: waiting for what happens in a Windows process, and its dump there.

use crate::support::cli::{Run, assert_verifies};
use crate::support::compile::{Width, windows_fixture, windows_fixture_of};
use crate::support::dump::Loaded;
use crate::support::wine::{Alone, WindowsTarget, Wine, windows_path, wine};
use crate::support::{processor, readers};
use minidump::MinidumpException;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const ACCESS_VIOLATION: u32 = 0xC000_0005;
/// The exit code of a crash is the last byte of its exception's.
const CRASHED: i32 = 5;
/// What the target's own crash reporter exits with.
const REPORTED: i32 = 77;

/// A program to which things happen.
fn start(wine: &Wine, width: Width) -> WindowsTarget {
    WindowsTarget::program(wine, &windows_fixture_of(width, "crash"), &[])
}

/// A dumper that waits.
struct Watch {
    dumper: Child,
    folder: TempDir,
    _alone: Alone,
}

impl Watch {
    /// Starts it, and waits until it is the target's debugger.
    #[track_caller]
    fn start(wine: &Wine, target: &mut WindowsTarget, options: &[&str]) -> Watch {
        let alone = wine.alone();
        let folder = tempfile::tempdir().unwrap();
        let file = windows_path(&folder.path().join("event.dmp"));
        let mut command = wine.command(&wine.program);
        command.args(["dump", "-p", &target.pid().to_string()]).args(options).arg(file);
        let dumper = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let begun = Instant::now();
        while target.ask() != "WATCHED" {
            assert!(begun.elapsed() < Duration::from_secs(60), "nobody watches");
            sleep(Duration::from_millis(20));
        }
        Watch { dumper, folder, _alone: alone }
    }

    /// How it ended.
    fn end(self) -> (Run, TempDir) {
        let output = self.dumper.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).replace('\r', "");
        (Run { status: output.status, stdout: output.stdout, stderr }, self.folder)
    }

    /// The dump that it wrote.
    #[track_caller]
    fn dump(self) -> Event {
        let (run, folder) = self.end();
        run.ok();
        let file = folder.path().join("event.dmp");
        assert_verifies(&file);
        Event { loaded: Loaded::read(&file), file, _folder: folder }
    }

    /// Why it wrote none.
    #[track_caller]
    fn refused(self) -> String {
        let (run, folder) = self.end();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
        run.refused()
    }

    /// Signals the dumper: the child of `timeout`.
    fn signal(&self, signal: Signal) {
        let timeout = self.dumper.id();
        let children = fs::read_to_string(format!("/proc/{timeout}/task/{timeout}/children"));
        let pid = children.unwrap().split_whitespace().next().unwrap().parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }
}

/// The dump of an event.
struct Event {
    loaded: Loaded,
    file: PathBuf,
    _folder: TempDir,
}

/// What a cue leads to.
struct Crash {
    cue: &'static str,
    code: u32,
    parameters: &'static [u64],
    exit: i32,
}

const CRASHES: [Crash; 6] = [
    Crash { cue: "write", code: ACCESS_VIOLATION, parameters: &[1, 0x10], exit: CRASHED },
    Crash { cue: "execute", code: ACCESS_VIOLATION, parameters: &[8, 0x20], exit: CRASHED },
    Crash { cue: "divide", code: 0xC000_0094, parameters: &[], exit: 0x94 },
    Crash { cue: "stack", code: 0xC000_00FD, parameters: &[1], exit: 0xFD },
    Crash {
        cue: "throw",
        code: 0xE06D_7363,
        parameters: &[0x1993_0520, 0x1111, 0x2222],
        exit: 0x63,
    },
    Crash { cue: "int3", code: 0x8000_0003, parameters: &[], exit: 3 },
];

impl Crash {
    /// Makes it happen while a dumper waits for it, and judges the dump.
    #[track_caller]
    fn is_dumped(&self, wine: &Wine, width: Width) {
        let Crash { cue, code, parameters, exit } = self;
        let mut target = start(wine, width);
        let worker = target.number("/worker") as u32;
        let watch = Watch::start(wine, &mut target, &["--on", "crash", "-m"]);
        target.tell(cue);
        let Event { loaded, file, _folder: folder } = watch.dump();
        // A crash ends the program as it does without a debugger.
        assert_eq!(target.end(), Some(*exit), "{cue}");

        let exception: MinidumpException<'_> = loaded.get();
        let record = &exception.raw.exception_record;
        assert_eq!((exception.thread_id, record.exception_code), (worker, *code), "{cue}");
        let (_, ip) = loaded.registers(worker);
        // Behind the breakpoint, or at it.
        assert!(ip - record.exception_address <= u64::from(*cue == "int3"), "{cue}: {ip:#x}");
        assert!(record.number_parameters as usize >= parameters.len());
        assert_eq!(&record.exception_information[..parameters.len()], *parameters, "{cue}");
        // Nobody else is in it: no thread of the debugger's.
        let threads = [target.number("/main") as u32, worker];
        assert_eq!(loaded.tids(), threads.into(), "{cue}");

        let state = processor::process(&loaded);
        let crashed = &state.threads[state.requesting_thread.unwrap()];
        assert_eq!(crashed.thread_id, worker);
        assert_eq!(crashed.frames[0].instruction, ip, "{cue}");
        // Of a thousand frames and more, and from where there is no code, less is known.
        if !matches!(*cue, "stack" | "execute") {
            let program = loaded.module(".exe");
            let walked: Vec<_> = crashed.frames.iter().map(|frame| frame.instruction).collect();
            assert!(walked.iter().any(|at| program.contains(at)), "{cue}: {walked:x?}");
            assert!(walked.len() >= 3, "{cue}: {walked:x?}");
        }
        if let Some(traces) = readers::lldb_traces(&file) {
            assert!(traces.contains_key(&worker), "{cue}: {traces:?}");
        }
        drop(folder);
    }
}

#[test]
fn a_crash_of_a_windows_process_is_dumped_where_it_happens() {
    let Some(wine) = wine() else { return };
    for crash in CRASHES {
        crash.is_dumped(wine, Width::Wide);
    }
}

#[test]
fn a_crash_of_a_32_bit_windows_process_is_dumped_where_it_happens() {
    let Some(wine) = wine() else { return };
    if !wine.runs_narrow_programs() {
        return;
    }
    // Wine 8 ends a 32-bit program at a breakpoint of its own, debugger or not.
    for crash in CRASHES.iter().filter(|crash| crash.cue != "int3") {
        crash.is_dumped(wine, Width::Narrow);
    }
}

#[test]
fn what_is_no_crash_neither_ends_the_waiting_nor_changes_the_windows_process() {
    let Some(wine) = wine() else { return };
    let mut target = start(wine, Width::Wide);
    let watch = Watch::start(wine, &mut target, &["--on", "crash", "-m"]);
    let plugin = windows_path(&windows_fixture("plugin"));
    let load = format!("load {plugin}");
    for cue in ["printed", "named", "close", "handled", "thread", &load] {
        target.tell(cue);
        assert_eq!(target.answer(), "WATCHED", "{cue}");
    }
    target.tell("write");
    let exception = watch.dump();
    let exception: MinidumpException<'_> = exception.loaded.get();
    assert_eq!(exception.raw.exception_record.exception_information[1], 0x10);
}

#[test]
fn an_exception_that_a_windows_process_handles_can_be_waited_for() {
    let Some(wine) = wine() else { return };
    let mut target = start(wine, Width::Wide);
    let watch = Watch::start(wine, &mut target, &["--on", "exception", "-m"]);
    // Of what is raised for debuggers it hears nothing.
    for cue in ["printed", "named", "close"] {
        target.tell(cue);
        assert_eq!(target.answer(), "WATCHED", "{cue}");
    }
    target.tell("handled");
    let event = watch.dump();
    let exception: MinidumpException<'_> = event.loaded.get();
    let record = &exception.raw.exception_record;
    assert_eq!(record.exception_code, ACCESS_VIOLATION);
    assert_eq!(record.exception_information[..2], [1, 0x30]);
    // Its handler has taken it, and nobody debugs it any more.
    assert_eq!(target.answer(), "DONE");
    // Its own crash reporter is called again.
    target.tell("write");
    assert_eq!(target.end(), Some(REPORTED));
}

#[test]
fn an_exception_that_is_named_is_the_one_of_the_dump() {
    let Some(wine) = wine() else { return };
    let mut target = start(wine, Width::Wide);
    let main = target.number("/main").to_string();
    let watch = Watch::start(wine, &mut target, &["--on", "crash", "-m", "-xt", &main]);
    target.tell("write");
    let event = watch.dump();
    let exception: MinidumpException<'_> = event.loaded.get();
    assert_eq!(u64::from(exception.thread_id), target.number("/main"));
}

#[test]
fn the_end_of_a_windows_process_ends_the_waiting() {
    let Some(wine) = wine() else { return };
    // Of a process that has ended, Wine keeps no memory; Windows does until it is told.
    for on in ["crash", "exit"] {
        let mut target = start(wine, Width::Wide);
        let watch = Watch::start(wine, &mut target, &["--on", on, "-m"]);
        target.tell("exit 3");
        let (pid, message) = (target.pid().to_string(), watch.refused());
        assert!(message.contains(&pid) && message.contains("ended"), "{message}");
        assert_eq!(target.end(), Some(3));
    }
}

#[test]
fn waiting_in_a_windows_process_ends_in_time_and_leaves_it_alone() {
    let Some(wine) = wine() else { return };
    let mut target = start(wine, Width::Wide);
    let watch = Watch::start(wine, &mut target, &["--on", "crash", "--wait-seconds", "2"]);
    let message = watch.refused();
    assert!(message.contains("nothing that was waited for"), "{message}");
    assert_eq!(target.ask(), "DONE");
    target.tell("write");
    assert_eq!(target.end(), Some(REPORTED));
}

#[test]
fn ctrl_c_ends_the_waiting_and_leaves_the_windows_process_alone() {
    let Some(wine) = wine() else { return };
    let mut target = start(wine, Width::Wide);
    let watch = Watch::start(wine, &mut target, &["--on", "crash", "-m"]);
    // Wine makes Ctrl-C of it.
    watch.signal(Signal::INT);
    let message = watch.refused();
    assert!(message.contains("cancelled"), "{message}");
    assert_eq!(target.ask(), "DONE");
}

#[test]
fn a_windows_process_outlives_a_debugger_that_is_killed() {
    let Some(wine) = wine() else { return };
    let mut target = start(wine, Width::Wide);
    let watch = Watch::start(wine, &mut target, &["--on", "crash", "-m"]);
    watch.signal(Signal::KILL);
    let (run, _folder) = watch.end();
    assert!(!run.status.success());
    let since = Instant::now();
    while target.ask() != "DONE" {
        assert!(since.elapsed() < Duration::from_secs(10), "it is debugged still");
        sleep(Duration::from_millis(20));
    }
    target.tell("write");
    assert_eq!(target.end(), Some(REPORTED));
}

#[test]
fn a_windows_process_that_has_a_debugger_is_refused_another() {
    let Some(wine) = wine() else { return };
    let mut debugger = WindowsTarget::program(wine, &windows_fixture("odd"), &["debugged"]);
    let folder = tempfile::tempdir().unwrap();
    let file = windows_path(&folder.path().join("event.dmp"));
    let pid = debugger.pid().to_string();
    let message = wine.dumpwright(["dump", "-p", &pid, "--on", "crash", "-m", &file]).refused();
    assert!(message.contains("debugger") && message.contains(&pid), "{message}");
    debugger.assert_alive();
}
