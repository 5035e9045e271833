//! A dump leaves no trace in its target: it goes on as it was, or stays stopped
//! as it was, and loses no signal.

use crate::support::cli::{command, dump};
use crate::support::dump::Loaded;
use crate::support::frozen::Frozen;
use crate::support::target::Target;
use std::fs;
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// One of the fixture's counters, read from outside without stopping anything.
fn counter(target: &Target, name: &str) -> u64 {
    let memory = fs::File::open(format!("/proc/{}/mem", target.pid())).unwrap();
    let mut bytes = [0; 8];
    memory.read_exact_at(&mut bytes, target.number(name)).unwrap();
    u64::from_le_bytes(bytes)
}

fn heartbeat(target: &Target) -> u64 {
    counter(target, "heartbeat")
}

#[track_caller]
fn assert_untraced(target: &Target) {
    let status = fs::read_to_string(format!("/proc/{}/status", target.pid())).unwrap();
    assert!(status.contains("TracerPid:\t0"), "somebody still traces it");
}

#[test]
fn a_running_target_goes_on() {
    let target = Target::fixture("threads", &["16", "heartbeat", "spin"]);
    for option in ["-m", "-ma"] {
        dump(&target, &[option]);
        assert_untraced(&target);
        let before = heartbeat(&target);
        target.wait_for("counts on", |t| heartbeat(t) > before + 20);
        assert!(target.states().iter().all(|s| *s != 'T' && *s != 't'));
    }
}

#[test]
fn a_stopped_target_stays_stopped_and_can_be_continued() {
    let target = Target::fixture("threads", &["8", "heartbeat"]);
    let frozen = Frozen::new(&target);
    let before = heartbeat(&target);
    for option in ["-m", "-ma", "-m"] {
        let loaded = dump(&target, &[option]).load();
        assert_eq!(loaded.tids(), target.tids());
        target.wait_for("is stopped as before", |t| t.states().iter().all(|s| *s == 'T'));
        assert_untraced(&target);
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(heartbeat(&target), before, "it ran in between");
    }
    drop(frozen);
    target.wait_for("counts on", |t| heartbeat(t) > before + 20);
}

#[test]
fn waits_are_not_interrupted_by_being_dumped() {
    // EINTR from a system call that a debugger interrupted would end this sleep.
    let script = r#"
import ctypes, time
libc = ctypes.CDLL(None, use_errno=True)
class Pause(ctypes.Structure): _fields_ = [("s", ctypes.c_long), ("ns", ctypes.c_long)]
print("READY {}", flush=True)
began = time.monotonic()
failed = libc.nanosleep(ctypes.byref(Pause(1, 500000000)), None)
print(failed, int((time.monotonic() - began) * 10), flush=True)
input()
"#;
    let mut python = Command::new("python3");
    python.args(["-c", script]);
    let mut target = Target::command(python);
    let end = Instant::now() + Duration::from_secs(1);
    while Instant::now() < end {
        dump(&target, &["-m"]);
    }
    let line = target.next_line();
    let (failed, tenths) = line.split_once(' ').unwrap();
    assert_eq!(failed, "0", "nanosleep was interrupted");
    assert!(tenths.parse::<u32>().unwrap() >= 15, "it slept for {tenths} tenths of a second");
    assert_untraced(&target);
}

#[test]
fn signals_sent_while_it_is_dumped_arrive_once_each() {
    let target = Target::fixture("threads", &["16", "signals"]);
    let pid = target.pid().to_string();
    // Real-time signals queue: each of them counts.
    let sender = std::thread::spawn(move || {
        for _ in 0..60 {
            let sent = Command::new("kill").args(["-s", "RTMIN", &pid]).status().unwrap();
            assert!(sent.success());
        }
    });
    while !sender.is_finished() {
        dump(&target, &["-m"]);
    }
    sender.join().unwrap();
    target.wait_for("handles all signals", |t| counter(t, "signals") >= 60);
    target.settle();
    assert_eq!(counter(&target, "signals"), 60);
}

#[test]
fn it_can_be_dumped_by_two_at_once() {
    let target = Target::fixture("threads", &["64", "heartbeat"]);
    let folder = tempfile::tempdir().unwrap();
    let pid = target.pid().to_string();
    let mut runs: Vec<_> = (0..4)
        .map(|i| {
            let file = folder.path().join(format!("{i}.dmp"));
            let mut run = command();
            run.args(["dump", "-p", &pid, "-m"]).arg(&file);
            (run.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap(), file)
        })
        .collect();
    let mut good = 0;
    for (run, file) in &mut runs {
        // Only one may trace at a time: the others wait or say so.
        if run.wait().unwrap().success() {
            assert!(Loaded::read(file).tids().len() >= 65);
            good += 1;
        } else {
            assert!(!file.exists());
        }
    }
    assert!(good >= 1, "nobody got a dump");
    let before = heartbeat(&target);
    target.wait_for("counts on", |t| heartbeat(t) > before + 20);
}

#[test]
fn killing_the_dumper_frees_the_target() {
    let target = Target::fixture("threads", &["200", "heartbeat"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("killed.dmp");
    fs::write(&file, "the old file").unwrap();
    let pid = target.pid().to_string();
    for wait in [0, 2, 5, 10, 20, 40, 80] {
        let mut run = command();
        run.args(["dump", "-p", &pid, "-ma", "-o"]).arg(&file);
        let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        let _ = run.kill();
        let finished = run.wait().unwrap().success();
        target.wait_for("is free", |t| t.states().iter().all(|s| *s != 't'));
        let before = heartbeat(&target);
        target.wait_for("counts on", |t| heartbeat(t) > before + 5);
        if finished || fs::read(&file).unwrap().starts_with(b"MDMP") {
            Loaded::read(&file);
            break;
        }
        assert_eq!(fs::read(&file).unwrap(), b"the old file", "killed after {wait} ms");
    }
}

#[test]
fn a_target_that_starts_and_ends_threads_is_dumped_all_the_same() {
    let script = r#"
import threading, time
def brief(): time.sleep(0.001)
print("READY {}", flush=True)
while True:
    for t in [threading.Thread(target=brief) for _ in range(8)]: t.start()
    time.sleep(0.001)
"#;
    let mut python = Command::new("python3");
    python.args(["-c", script]);
    let target = Target::command(python);
    for _ in 0..10 {
        let loaded = dump(&target, &["-mt"]).load();
        assert!(loaded.tids().contains(&target.pid()));
    }
    assert_untraced(&target);
}
