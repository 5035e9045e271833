//! Dumps of processes that crash or end while they are waited for.

use crate::support::cli::{Run, assert_verifies, command, run};
use crate::support::compile::{Kind, fixture};
use crate::support::dump::Loaded;
use crate::support::processor::process;
use crate::support::readers::{gdb_traces_of_core, lldb_traces};
use crate::support::tools::command as tool;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program that says a line when it is ready, and a dumpwright that waits in it.
struct Watched {
    program: Child,
    dumper: Option<Child>,
    folder: TempDir,
}

impl Watched {
    /// Starts a program, and waits in it with these options.
    fn new(command: &mut Command, options: &[&str]) -> Watched {
        let folder = tempfile::tempdir().unwrap();
        command.current_dir(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut program = command.stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(program.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let mut watched = Watched { program, dumper: None, folder };
        watched.watch(options);
        watched
    }

    /// Starts a dumpwright.
    fn watch(&mut self, options: &[&str]) {
        let pid = self.program.id();
        let mut dumper = command();
        dumper.args(["dump", "--json", "-p", &pid.to_string()]).args(options).arg(self.file());
        let dumper = dumper.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        self.dumper = Some(dumper);
        let end = Instant::now() + PATIENCE;
        while !self.status().contains(&format!("\nTracerPid:\t{}\n", self.tracer())) {
            assert!(Instant::now() < end, "nobody attached: {}", self.status());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn status(&self) -> String {
        std::fs::read_to_string(format!("/proc/{}/status", self.program.id())).unwrap()
    }

    /// The thread of the dumper that traces, once it does.
    fn tracer(&self) -> String {
        let status = self.status();
        let line = status.lines().find_map(|line| line.strip_prefix("TracerPid:\t"));
        line.filter(|tid| *tid != "0").unwrap_or("nobody").to_owned()
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("it.dmp")
    }

    /// Tells the program to do it.
    fn cue(&mut self) {
        writeln!(self.program.stdin.as_mut().unwrap()).unwrap();
    }

    fn signal(&self, name: &str) {
        let pid = self.program.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// What the dumper left.
    fn dumped(&mut self) -> Run {
        let output = self.dumper.take().unwrap().wait_with_output().unwrap();
        Run {
            status: output.status,
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The dump, which must be right, and its summary.
    #[track_caller]
    fn dump(&mut self) -> (Loaded, Value) {
        let summary = self.dumped().ok().json();
        assert_verifies(&self.file());
        (Loaded::read(&self.file()), summary)
    }

    /// How the program ended, as its parent sees it.
    fn end(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.program.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "it does not end: {}", self.status());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        for child in [Some(&mut self.program), self.dumper.as_mut()].into_iter().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A shell that says that it is ready, waits for its cue and does something.
fn shell(script: &str, argument: &Path) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("echo ready; read cue; {script}")).arg("sh").arg(argument);
    shell
}

/// Asserts what a crash's dump says, and that the crashing frames have this name.
#[track_caller]
fn assert_crash(loaded: &Loaded, file: &Path, reason: &str, function: Option<&str>) -> u32 {
    let state = process(loaded);
    let info = state.exception_info.as_ref().expect("an exception");
    assert_eq!(info.reason.to_string(), reason);
    let thread = &state.threads[state.requesting_thread.expect("a crashing thread")];
    let first = thread.frames[0].instruction;
    if let Some(seen) = lldb_traces(file) {
        let frames = &seen[&thread.thread_id];
        assert_eq!(frames[0].0, first, "minidump-processor and LLDB");
        if let Some(function) = function {
            let found = frames.iter().any(|(_, name)| name.contains(function));
            assert!(found, "{function} in {frames:x?}");
        }
    }
    thread.thread_id
}

#[test]
fn crashes_are_dumped_where_they_happen_and_end_the_program_as_without_us() {
    let mut programs = vec![
        // The program comes by an exec, while it is waited for.
        (
            shell("exec \"$1\" unmapped", &fixture("crashes", Kind::Program)),
            "SIGSEGV / SEGV_MAPERR",
            11,
            Some("faults"),
        ),
        (
            shell("exec \"$1\" abort", &fixture("crashes", Kind::Program)),
            "SIGABRT / SI_TKILL",
            6,
            Some("about_to_fault"),
        ),
        (
            shell("exec \"$1\" overflow", &fixture("crashes", Kind::Program)),
            "SIGSEGV / SEGV_ACCERR",
            11,
            Some("overflows"),
        ),
        (
            shell("exec \"$1\" no-main", &fixture("crashes", Kind::Program)),
            "SIGSEGV / SEGV_MAPERR",
            11,
            Some("faults"),
        ),
        (
            shell("exec \"$1\"", &fixture("aborts", Kind::Rust)),
            "SIGSEGV / SEGV_MAPERR",
            11,
            Some("rust_faults"),
        ),
    ];
    if let Some(python) = tool("python3") {
        let mut command = Command::new(python);
        command.args([
            "-c",
            "import ctypes; print('ready', flush=True); input(); ctypes.string_at(0x4d0)",
        ]);
        programs.push((command, "SIGSEGV / SEGV_MAPERR", 11, None));
    }
    for (mut command, reason, signal, function) in programs {
        let mut watched = Watched::new(&mut command, &["-ma", "--on", "crash"]);
        watched.cue();
        let (loaded, summary) = watched.dump();
        assert_eq!(watched.end().signal(), Some(signal), "{command:?}");
        assert_crash(&loaded, &watched.file(), reason, function);
        // A main thread that has exited is named.
        let exited = summary["soft_error_list"].to_string().contains("has exited");
        assert_eq!(summary["soft_errors"], u64::from(exited), "{summary}");
    }
}

#[test]
fn gdb_reads_the_same_crash_from_a_core() {
    let program = fixture("crashes", Kind::Program);
    let mut watched =
        Watched::new(&mut shell("exec \"$1\" divide", &program), &["-ma", "--on", "crash"]);
    watched.cue();
    let (loaded, _) = watched.dump();
    let tid = assert_crash(&loaded, &watched.file(), "SIGFPE / FPE_INTDIV", Some("faults"));
    let core = watched.folder.path().join("it.core");
    run(command()
        .args(["dump", "-z"])
        .arg(watched.file())
        .args(["-ma", "--as", "core"])
        .arg(&core))
    .ok();
    let (Some(gdb), Some(lldb)) =
        (gdb_traces_of_core(&program, &core), lldb_traces(&watched.file()))
    else {
        return;
    };
    assert_eq!(gdb[&tid][0].0, lldb[&tid][0].0);
    assert_eq!(gdb[&tid][0].1, "faults");
}

#[test]
fn the_end_of_a_program_is_dumped_with_its_code() {
    let nothing = Path::new("");
    for (script, code) in [("exit 5", 5), ("exec true", 0)] {
        let mut watched = Watched::new(&mut shell(script, nothing), &["-ma", "--on", "exit"]);
        watched.cue();
        let (loaded, _) = watched.dump();
        assert_eq!(watched.end().code(), Some(code));
        assert!(process(&loaded).exception_info.is_none());
        assert!(loaded.memory_size() > 0);
    }
    let mut watched = Watched::new(&mut shell("", nothing), &["-ma", "--on", "exit"]);
    watched.signal("-TERM");
    watched.dump();
    assert_eq!(watched.end().signal(), Some(15));
}

#[test]
fn a_program_that_ends_otherwise_or_in_time_is_said_to() {
    let nothing = Path::new("");
    let mut watched = Watched::new(&mut shell("exit 0", nothing), &["--on", "crash"]);
    watched.cue();
    let message = watched.dumped().refused();
    assert!(message.contains("ended before"), "{message}");
    assert_eq!(watched.end().code(), Some(0));
    assert!(!watched.file().exists());

    let options = ["--on", "crash", "--wait-seconds", "1"];
    let mut watched = Watched::new(&mut shell("exit 3", nothing), &options);
    let message = watched.dumped().refused();
    assert!(message.contains("runs on"), "{message}");
    assert!(watched.status().contains("TracerPid:\t0\n"));
    watched.cue();
    assert_eq!(watched.end().code(), Some(3));
}

/// The program that waits is killed: the one that it waits in goes on.
#[test]
fn a_dumper_that_is_killed_ends_nothing() {
    let mut watched = Watched::new(&mut shell("exit 3", Path::new("")), &["--on", "crash"]);
    let mut dumper = watched.dumper.take().unwrap();
    dumper.kill().unwrap();
    dumper.wait().unwrap();
    watched.cue();
    assert_eq!(watched.end().code(), Some(3));
}

#[test]
fn a_program_that_forks_all_the_time_is_not_held_up_and_its_children_are_free() {
    let script =
        "i=0; while [ $i -lt 300 ]; do i=$((i+1)); ( : ); done; sh -c 'kill -SEGV $$'; exit 4";
    let mut watched = Watched::new(&mut shell(script, Path::new("")), &["--on", "crash"]);
    watched.cue();
    let message = watched.dumped().refused();
    assert!(message.contains("ended before"), "{message}");
    assert_eq!(watched.end().code(), Some(4));
}

#[test]
fn a_thousand_threads_are_held_at_the_crash_of_one() {
    let program = fixture("threads", Kind::Program);
    let mut watched = Watched::new(Command::new(program).arg("1000"), &["-m", "--on", "crash"]);
    watched.signal("-QUIT");
    let (loaded, summary) = watched.dump();
    assert_eq!(watched.end().signal(), Some(3));
    assert_eq!(summary["threads"], 1001);
    assert_eq!(loaded.tids().len(), 1001);
    let held = summary["held_ms"].as_f64().expect("the summary tells it");
    // No thread was waited for in vain.
    assert!(held < 5000.0, "the program stood still for {held} ms");
}
