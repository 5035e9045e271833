//! What the tests of this folder share: children to look at, their memory, and
//! programs compiled for a test.

use super::proc_dir::ProcDir;
use crate::address::AddressRange;
use crate::soft_error::{Hole, HoleReason};
use crate::target::{MemorySource, Pid, Registers, ThreadSnapshot, Tid};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A process that a test started, ended when the test ends.
pub(crate) struct Child {
    process: std::process::Child,
    /// What it said when it was ready.
    pub words: Vec<String>,
}

impl Child {
    /// `sleep`, once it runs.
    pub fn sleeping() -> Self {
        let child = Child::start(Command::new("sleep").arg("1000"));
        // Until exec has happened it still has the mappings of this process,
        // and until the dynamic linker is done it is not what it will be.
        child.wait_until("it sleeps", |proc| {
            std::fs::read_to_string(proc.path("wchan")).is_ok_and(|w| w.contains("nanosleep"))
                || proc.read("stat").is_ok_and(|s| s.windows(4).any(|w| w == b") S "))
                    && proc.read("comm").is_ok_and(|c| c == b"sleep\n")
        });
        child
    }

    /// Starts a command that prints `ready` and some words when it is ready.
    pub fn ready(command: &mut Command) -> Self {
        let mut child = Child::start(command.stdout(Stdio::piped()));
        let mut line = String::new();
        let mut out = BufReader::new(child.process.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        child.process.stdout = Some(out.into_inner());
        let mut words = line.split_ascii_whitespace().map(str::to_owned);
        assert_eq!(words.next().as_deref(), Some("ready"), "the child did not come up");
        child.words = words.collect();
        child
    }

    fn start(command: &mut Command) -> Self {
        Child { process: command.stdin(Stdio::piped()).spawn().unwrap(), words: Vec::new() }
    }

    /// Word `index` of what it said, as a hexadecimal number.
    pub fn address(&self, index: usize) -> u64 {
        u64::from_str_radix(self.words[index].trim_start_matches("0x"), 16).unwrap()
    }

    /// Waits until something is so of it, ten seconds at most.
    pub fn wait_until(&self, what: &str, is_so: impl Fn(&ProcDir) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !is_so(&self.proc_dir()) {
            assert!(Instant::now() < deadline, "waited in vain until {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Its `/proc` directory.
    pub fn proc_dir(&self) -> ProcDir {
        ProcDir::new(Pid(self.pid()), Tid(self.pid()))
    }

    /// Its memory.
    pub fn memory(&self) -> ProcMem {
        ProcMem(File::open(self.proc_dir().path("mem")).unwrap())
    }

    /// Its threads, without registers.
    pub fn threads(&self) -> Vec<ThreadSnapshot> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let mut tids: Vec<u32> = tasks
            .map(|task| task.unwrap().file_name().to_str().unwrap().parse().unwrap())
            .collect();
        tids.sort_unstable();
        tids.into_iter().map(thread).collect()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.process.kill().expect("a child that is not reaped can be killed");
        self.process.wait().expect("a child can be waited for once");
    }
}

/// A thread without registers.
pub(crate) fn thread(tid: u32) -> ThreadSnapshot {
    ThreadSnapshot {
        tid: Tid(tid),
        name: String::new(),
        registers: Registers {
            context: Vec::new(),
            instruction_pointer: 0,
            stack_pointer: 0,
            general: Vec::new(),
        },
        thread_pointer: 0,
        stack: None,
        suspend_count: 0,
        priority: 0,
        info: None,
        local_storage: Vec::new(),
    }
}

/// Memory through `/proc/<pid>/mem`.
pub(crate) struct ProcMem(pub File);

impl MemorySource for ProcMem {
    fn read(&self, ranges: &[AddressRange], buf: &mut [u8], holes: &mut Vec<Hole>) {
        let mut rest = buf;
        for range in ranges {
            let (part, tail) = rest.split_at_mut(range.len() as usize);
            if self.0.read_exact_at(part, range.start).is_err() {
                part.fill(0);
                holes.push(Hole { range: *range, reason: HoleReason::Errno(libc::EIO) });
            }
            rest = tail;
        }
    }

    fn populated(&self, range: AddressRange) -> Vec<AddressRange> {
        vec![range]
    }
}

/// Some bytes at some address.
pub(crate) struct Flat {
    start: u64,
    bytes: Vec<u8>,
}

impl Flat {
    /// `bytes` at `start`, and nothing else.
    pub fn new(start: u64, bytes: Vec<u8>) -> Self {
        Flat { start, bytes }
    }
}

impl MemorySource for Flat {
    fn read(&self, ranges: &[AddressRange], buf: &mut [u8], holes: &mut Vec<Hole>) {
        let mut rest = buf;
        for range in ranges {
            let (part, tail) = rest.split_at_mut(range.len() as usize);
            let from = range.start.checked_sub(self.start).and_then(|from| {
                self.bytes.get(from as usize..(from as usize).checked_add(part.len())?)
            });
            match from {
                Some(from) => part.copy_from_slice(from),
                None => holes.push(Hole { range: *range, reason: HoleReason::NotInSource }),
            }
            rest = tail;
        }
    }

    fn populated(&self, range: AddressRange) -> Vec<AddressRange> {
        vec![range]
    }
}

/// Compiles a C program or library into `folder` and gives its path.
pub(crate) fn compile(folder: &Path, name: &str, source: &str, options: &[&str]) -> PathBuf {
    let input = folder.join(format!("{name}.c"));
    std::fs::write(&input, source).unwrap();
    let output = folder.join(name);
    let result = Command::new("cc")
        .arg(&input)
        .arg("-o")
        .arg(&output)
        .args(options)
        .output()
        .expect("these tests need a C compiler called cc");
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    output
}
