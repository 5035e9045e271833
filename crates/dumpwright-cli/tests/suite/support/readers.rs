//! Readers that are programs: PyPI's `minidump` and `udmp-parser`, LLDB, and
//! GDB on the living process. Each is `None` where it is not installed.

use super::tools::{command, reader_python, root, run};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// A frame as a debugger shows it: address and function. Inlined functions and
/// tail calls are concluded from debug information, by each debugger in its own
/// way, so they are not listed.
pub type Frame = (u64, String);

/// The frames of each thread.
pub type Traces = BTreeMap<u32, Vec<Frame>>;

/// What PyPI `minidump` says of a dump; `samples` are addresses and lengths
/// whose bytes it should read.
#[track_caller]
pub fn pypi_minidump(file: &Path, samples: &[(u64, u64)]) -> Option<Value> {
    python("pypi_minidump.py", file, samples)
}

/// What PyPI `udmp-parser` says of a full dump.
#[track_caller]
pub fn pypi_udmp(file: &Path, samples: &[(u64, u64)]) -> Option<Value> {
    python("pypi_udmp.py", file, samples)
}

#[track_caller]
fn python(script: &str, file: &Path, samples: &[(u64, u64)]) -> Option<Value> {
    let samples: Vec<String> =
        samples.iter().map(|(address, length)| format!("{address:x}:{length:x}")).collect();
    script_on(script, &[file], &samples)
}

/// What a script of `scripts/readers` prints of files, given more arguments.
#[track_caller]
pub fn script_on(script: &str, files: &[&Path], arguments: &[String]) -> Option<Value> {
    let mut python = Command::new(reader_python()?);
    python.arg(root().join("scripts/readers").join(script)).args(files).args(arguments);
    let output = run(&mut python);
    Some(serde_json::from_slice(&output.stdout).unwrap_or_else(|e| {
        panic!("{script} on {files:?}: {e}: {}", String::from_utf8_lossy(&output.stderr))
    }))
}

/// The backtraces of all threads by LLDB from a dump.
#[track_caller]
pub fn lldb_traces(file: &Path) -> Option<Traces> {
    lldb(&["-o", &format!("target create -c {}", file.display())], &[])
}

/// The backtraces of all threads by LLDB from the process itself.
#[track_caller]
pub fn lldb_traces_of_process(pid: u32) -> Option<Traces> {
    lldb(&["-p", &pid.to_string()], &["-o", "detach"])
}

#[track_caller]
fn lldb(open: &[&str], close: &[&str]) -> Option<Traces> {
    let lldb = command("lldb-19")?;
    let output = run(Command::new(lldb)
        .args(["--no-lldbinit", "-b"])
        .args(open)
        .args(["-o", r#"settings set frame-format "FRAME ${frame.pc} ${function.name}\n""#])
        .args(["-o", "thread list", "-o", "bt all"])
        .args(close));
    let text = String::from_utf8_lossy(&output.stdout);
    let traces = parse_lldb(&text);
    assert!(!traces.is_empty(), "LLDB shows no thread by {open:?}:\n{text}");
    Some(traces)
}

/// `thread list` names index and id of each thread, `bt all` index and frames.
fn parse_lldb(text: &str) -> Traces {
    let mut ids = BTreeMap::new();
    let mut traces = Traces::new();
    let mut current = None;
    let mut inlined_at = None;
    for line in text.lines() {
        let line = line.trim_start_matches(['*', ' ']);
        if let Some(rest) = line.strip_prefix("thread #") {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let index: u32 = rest[..end].parse().unwrap();
            if let Some(tid) = rest.split("tid = ").nth(1).and_then(parse_number) {
                ids.insert(index, tid);
            } else {
                current = ids.get(&index).copied();
            }
        } else if let (Some(rest), Some(tid)) = (line.strip_prefix("frame #"), current) {
            // Its own format, where a frame has no function to name.
            let pc = rest.split("0x").nth(1).and_then(|hex| hex.split(' ').next()).unwrap();
            let pc = u64::from_str_radix(pc, 16).unwrap();
            traces.entry(tid).or_default().push((pc, String::new()));
        } else if let (Some(rest), Some(tid)) = (line.strip_prefix("FRAME "), current) {
            let (pc, name) = rest.split_once(' ').unwrap_or((rest, ""));
            // The innermost of a run of inlined functions has the frame's own
            // address; the function that is really called comes last.
            let pc = u64::from_str_radix(pc.trim_start_matches("0x"), 16).unwrap();
            let pc = *inlined_at.get_or_insert(pc);
            if !name.contains("[inlined]") {
                traces.entry(tid).or_default().push((pc, name.to_owned()));
                inlined_at = None;
            }
        }
    }
    traces
}

/// LLDB writes thread ids in decimal or hexadecimal, as the target has it.
fn parse_number(text: &str) -> Option<u32> {
    let word = text.split([',', ' ']).next()?;
    match word.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => word.parse().ok(),
    }
}

/// The backtraces of all threads by GDB from the process itself.
#[track_caller]
pub fn gdb_traces(pid: u32) -> Option<Traces> {
    gdb(&["-p".as_ref(), pid.to_string().as_ref()])
}

/// The backtraces of all threads by GDB from a core.
#[track_caller]
pub fn gdb_traces_of_core(program: &Path, core: &Path) -> Option<Traces> {
    gdb_traces_with(&[], program, core)
}

/// The same with options of GDB's.
#[track_caller]
pub fn gdb_traces_with(options: &[&str], program: &Path, core: &Path) -> Option<Traces> {
    let options = options.iter().map(OsStr::new);
    gdb(&options.chain([program.as_os_str(), core.as_os_str()]).collect::<Vec<_>>())
}

/// The backtraces of all threads by LLDB from a core, after a command.
#[track_caller]
pub fn lldb_traces_with(first: &str, program: &Path, core: &Path) -> Option<Traces> {
    let open = format!("target create {} -c {}", program.display(), core.display());
    lldb(&["-o", first, "-o", &open], &[])
}

#[track_caller]
fn gdb(open: &[&OsStr]) -> Option<Traces> {
    let gdb = command("gdb")?;
    let output = run(Command::new(gdb)
        .args(["-nx", "-batch"])
        .args(open)
        .arg("-x")
        .arg(root().join("scripts/readers/gdb_frames.py")));
    let text = String::from_utf8_lossy(&output.stdout);
    let json = text
        .lines()
        .find_map(|line| line.strip_prefix("FRAMES "))
        .unwrap_or_else(|| panic!("GDB gave no frames:\n{text}"));
    let threads: Vec<Value> = serde_json::from_str(json).unwrap();
    Some(threads.iter().map(gdb_thread).collect())
}

fn gdb_thread(thread: &Value) -> (u32, Vec<Frame>) {
    let frame = |f: &Value| (f[0].as_u64().unwrap(), f[1].as_str().unwrap_or_default().to_owned());
    let frames = thread["frames"].as_array().unwrap().iter().map(frame).collect();
    (thread["tid"].as_u64().unwrap() as u32, frames)
}

/// Asserts that a dump's frames are the process's, thread by thread: the same
/// addresses. (Names differ between debuggers where one address has several.)
#[track_caller]
pub fn assert_same_frames(dump: &Traces, process: &Traces) {
    let tids = |t: &Traces| t.keys().copied().collect::<Vec<_>>();
    assert_eq!(tids(dump), tids(process), "threads");
    for (tid, frames) in process {
        let seen = &dump[tid];
        let equal = seen.iter().map(|f| f.0).eq(frames.iter().map(|f| f.0));
        assert!(
            equal,
            "frames of thread {tid}\n of the dump: {seen:x?}\n of the process: {frames:x?}"
        );
    }
}

/// Cuts each trace to the length that it has in `other`.
pub fn cut_to(mut traces: Traces, other: &Traces) -> Traces {
    for (tid, frames) in &mut traces {
        frames.truncate(other.get(tid).map_or(0, Vec::len));
    }
    traces
}
