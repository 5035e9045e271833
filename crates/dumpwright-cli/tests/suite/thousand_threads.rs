//! A process with a thousand threads: none is lost, cut or renamed.

use crate::support::cli::dump;
use crate::support::frozen::Frozen;
use crate::support::processor::process;
use crate::support::readers::{assert_same_frames, gdb_traces, lldb_traces, pypi_minidump};
use crate::support::target::Target;
use crate::support::unhex;
use minidump::{MinidumpThreadInfoList, MinidumpThreadNames};

#[test]
fn a_thousand_threads_are_all_there_with_names_and_stacks() {
    let target = Target::fixture("threads", &["1000"]);
    let frozen = Frozen::new(&target);
    let written = dump(&target, &["-mt"]);
    let loaded = written.load();
    assert_eq!(loaded.tids(), target.tids());
    assert_eq!(written.summary["threads"], 1001);
    let names: MinidumpThreadNames = loaded.get();
    let memory = loaded.memory();
    for thread in target.ready["threads"].as_array().unwrap() {
        let tid = thread["tid"].as_u64().unwrap() as u32;
        assert_eq!(names.get_name(tid).as_deref(), thread["name"].as_str(), "thread {tid}");
        let canary = thread["canary"].as_u64().unwrap();
        let value = unhex(thread["value"].as_str().unwrap());
        let next = memory.partition_point(|m| m.range().end <= canary);
        let stack = &memory[next];
        assert!(stack.range().contains(&canary), "thread {tid} has no stack");
        let at = (canary - stack.start) as usize;
        assert_eq!(&stack.bytes[at..at + 32], value, "thread {tid}");
    }
    let infos: MinidumpThreadInfoList = loaded.get();
    assert_eq!(infos.thread_infos.len(), 1001);
    drop(frozen);
}

#[test]
fn a_thousand_threads_are_read_by_everyone() {
    let target = Target::fixture("threads", &["1000"]);
    let written = dump(&target, &["-m"]);
    let state = process(&written.load());
    assert_eq!(state.threads.len(), 1001);
    assert!(state.threads.iter().all(|t| t.frames.len() >= 4), "a thread has no trace");
    if let Some(seen) = pypi_minidump(&written.file, &[]) {
        assert_eq!(seen["threads"].as_array().unwrap().len(), 1001);
    }
    let (Some(seen), Some(truth)) = (lldb_traces(&written.file), gdb_traces(target.pid())) else {
        return;
    };
    assert_same_frames(&seen, &truth);
}

#[test]
fn the_target_stands_still_for_less_than_a_second() {
    let target = Target::fixture("threads", &["1000"]);
    let written = dump(&target, &["-m"]);
    let held = written.summary["held_ms"].as_f64().expect("the summary tells it");
    assert!(held < 1000.0, "the target stood still for {held} ms");
}
