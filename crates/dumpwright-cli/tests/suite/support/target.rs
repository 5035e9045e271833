//! Processes to dump. Each is a child of the test and is ended by its handle.

use super::compile::{Kind, fixture};
use super::tools::run;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running process that a test dumps.
pub struct Target {
    child: Child,
    /// What it said about itself; null for a program that says nothing.
    pub ready: Value,
    /// A folder of its own, for files that it opens.
    pub folder: TempDir,
    /// Held so that the process keeps a terminal-less but open input and output.
    input: Option<ChildStdin>,
    output: Option<BufReader<ChildStdout>>,
}

impl Target {
    /// Starts a C fixture; `{}` in an argument stands for the target's folder.
    pub fn fixture(name: &str, arguments: &[&str]) -> Target {
        Self::built(fixture(name, Kind::Program), arguments)
    }

    /// Starts a program of the fixtures' kind.
    pub fn built(program: PathBuf, arguments: &[&str]) -> Target {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().to_str().unwrap();
        let mut command = Command::new(program);
        command.args(arguments.iter().map(|a| a.replace("{}", text)));
        Self::start(command, folder)
    }

    /// Starts any command that prints a line beginning with READY.
    pub fn command(command: Command) -> Target {
        Self::start(command, tempfile::tempdir().unwrap())
    }

    /// Starts a command that prints nothing, and waits until it sleeps.
    pub fn silent(mut command: Command) -> Target {
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        let folder = tempfile::tempdir().unwrap();
        let input = child.stdin.take();
        let target = Target { child, ready: Value::Null, folder, input, output: None };
        // Asleep in its loader would be too early.
        std::thread::sleep(Duration::from_millis(300));
        target.settle();
        target
    }

    /// Starts a command in `folder`'s keeping and waits for its READY line.
    pub fn start(mut command: Command, folder: TempDir) -> Target {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        let input = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let Some(json) = line.strip_prefix("READY") else {
            let mut rest = String::new();
            let _ = output.read_to_string(&mut rest);
            panic!("{command:?} is not ready but said: {line}{rest}");
        };
        let ready = serde_json::from_str(json.trim()).unwrap_or(Value::Null);
        let target = Target { child, ready, folder, input, output: Some(output) };
        target.settle();
        target
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until every thread sleeps or is stopped, as far as they do: a
    /// fixture says READY just before it parks.
    pub fn settle(&self) {
        let end = Instant::now() + Duration::from_secs(2);
        let mut quiet = 0;
        while quiet < 5 && Instant::now() < end {
            let parked = self.states().iter().all(|s| matches!(s, 'S' | 'T'));
            quiet = if parked { quiet + 1 } else { 0 };
            std::thread::sleep(Duration::from_millis(4));
        }
    }

    /// The ids of its threads, as the kernel lists them.
    pub fn tids(&self) -> BTreeSet<u32> {
        fs::read_dir(format!("/proc/{}/task", self.pid()))
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect()
    }

    /// The state letters of its threads.
    pub fn states(&self) -> Vec<char> {
        self.tids()
            .iter()
            .filter_map(|tid| {
                let path = format!("/proc/{}/task/{tid}/stat", self.pid());
                let stat = String::from_utf8_lossy(&fs::read(path).ok()?).into_owned();
                stat.rsplit_once(") ")?.1.chars().next()
            })
            .collect()
    }

    /// The name of a thread.
    pub fn thread_name(&self, tid: u32) -> String {
        let path = format!("/proc/{}/task/{tid}/comm", self.pid());
        String::from_utf8_lossy(&fs::read(path).unwrap()).trim_end_matches('\n').to_owned()
    }

    /// A number of its READY line.
    pub fn number(&self, key: &str) -> u64 {
        self.ready[key].as_u64().unwrap_or_else(|| panic!("READY has no number {key}"))
    }

    /// Sends it a signal by name.
    pub fn signal(&self, name: &str) {
        run(Command::new("kill").args(["-s", name, &self.pid().to_string()]));
    }

    /// Stops it and waits until every thread is stopped.
    pub fn stop(&self) {
        self.signal("STOP");
        self.wait_for("stops", |t| t.states().iter().all(|s| *s == 'T'));
    }

    /// Lets it go on and waits until no thread is stopped.
    pub fn go_on(&self) {
        self.signal("CONT");
        self.wait_for("goes on", |t| t.states().iter().all(|s| *s != 'T'));
    }

    /// Waits until something holds of it.
    ///
    /// # Panics
    /// If it does not within the patience of a test.
    pub fn wait_for(&self, what: &str, holds: impl Fn(&Target) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < end, "never happened: process {} {what}", self.pid());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Sends it a byte of input.
    pub fn send(&mut self) {
        let input = self.input.as_mut().expect("its input is a pipe");
        input.write_all(b"x").and_then(|()| input.flush()).unwrap();
    }

    /// Waits until it has ended.
    pub fn wait_for_end(&mut self) {
        let end = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "process {} does not end", self.pid());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Reads the next line that it says by itself.
    pub fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.output.as_mut().expect("its output is a pipe").read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
