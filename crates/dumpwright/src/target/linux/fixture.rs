//! Programs for tests to hold: compiled or started for one test, ended with it.

use super::{AttachOptions, LinuxProcess};
use crate::error::Result;
use crate::target::{Pid, Wants};
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running program, which is killed and reaped when this is dropped.
pub(super) struct Fixture {
    child: Child,
    voice: Arc<Voice>,
    lines: Mutex<Receiver<String>>,
    /// Holds the compiled program; removed with it.
    dir: Option<TempDir>,
}

/// The standard input of a fixture.
pub(super) struct Voice(Mutex<ChildStdin>);

impl Voice {
    /// Writes a line.
    pub(super) fn say(&self, line: &str) {
        let mut stdin = self.0.lock().unwrap();
        writeln!(stdin, "{line}").unwrap();
        stdin.flush().unwrap();
    }
}

impl Fixture {
    /// Compiles a C program and starts it.
    pub(super) fn c(source: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("fixture");
        let file = dir.path().join("fixture.c");
        std::fs::write(&file, source).unwrap();
        let output = Command::new("cc")
            .args(["-O1", "-g0", "-w", "-pthread", "-D_GNU_SOURCE", "-o"])
            .args([&program, &file])
            .output()
            .expect("tests need a C compiler, `cc`");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut fixture = Self::start(&mut Command::new(program));
        fixture.dir = Some(dir);
        fixture
    }

    /// Starts a program.
    pub(super) fn start(command: &mut Command) -> Self {
        Self::try_start(command).expect("it starts")
    }

    /// Starts a program that this machine may not be able to run.
    pub(super) fn try_start(command: &mut Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let voice = Voice(Mutex::new(child.stdin.take().unwrap())).into();
        // Read by a thread, so that a test whose line does not come fails.
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let _ = out.lines().map_while(io::Result::ok).try_for_each(|line| send.send(line));
        });
        Ok(Fixture { child, voice, lines: Mutex::new(lines), dir: None })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> Pid {
        Pid(self.child.id())
    }

    /// Its standard input.
    pub(super) fn voice(&self) -> Arc<Voice> {
        self.voice.clone()
    }

    /// The next line of its output.
    pub(super) fn line(&self) -> String {
        self.lines.lock().unwrap().recv_timeout(PATIENCE).expect("a line of the program")
    }

    /// The hexadecimal numbers of the next line of its output.
    pub(super) fn numbers(&self) -> Vec<u64> {
        let line = self.line();
        line.split_whitespace()
            .map(|n| u64::from_str_radix(n.trim_start_matches("0x"), 16).expect(&line))
            .collect()
    }

    /// Sends it a signal.
    pub(super) fn kill(&self, signal: i32) {
        // SAFETY: no memory is involved; the child has not been reaped.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    /// Waits for its end.
    pub(super) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Holds it.
    pub(super) fn hold(&self) -> LinuxProcess {
        self.hold_with(&Wants::default()).unwrap()
    }

    /// Holds it, and finds out what is wanted.
    pub(super) fn hold_with(&self, wants: &Wants) -> Result<LinuxProcess> {
        let options = AttachOptions { stop_timeout: Duration::from_secs(20) };
        LinuxProcess::attach_with(self.pid(), wants, options)
    }

    /// The state letters of its threads.
    pub(super) fn states(&self) -> String {
        let pid = self.pid();
        let tids = super::task::list(pid).unwrap();
        tids.iter()
            .filter_map(|tid| Some(super::stat::Stat::of_thread(pid, *tid)?.state()))
            .collect()
    }

    /// Who traces its main thread; 0 for nobody.
    pub(super) fn tracer(&self) -> u32 {
        let path = format!("/proc/{}/status", self.pid());
        super::task::TaskStatus::read(path).unwrap().number("TracerPid").unwrap()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something holds; fails the test if it does not in time.
pub(super) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}
