//! Full user-mode dumps of the old kind, as a second description of them has it.

use crate::support::cli::{command, run};
use crate::support::dump::Loaded;
use crate::support::processor::process;
use crate::support::readers::{lldb_traces, pypi_minidump};
use crate::support::redump::redump;
use crate::support::{tools, unhex};
use minidump::{MinidumpException, MinidumpMiscInfo};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const FORMS: [&str; 4] = ["with-version", "without-version", "no-guards", "reserved"];

/// Writes a dump; answers where it is and what is in it.
fn written(folder: &Path, width: &str, form: &str) -> Option<(PathBuf, Value)> {
    let python = tools::command("python3")?;
    let file = folder.join(format!("{width}-{form}.dmp"));
    let script = tools::root().join("crates/dumpwright-cli/tests/fixtures/userdump.py");
    let output = tools::run(Command::new(python).arg(script).args([width, form]).arg(&file));
    Some((file, serde_json::from_slice(&output.stdout).unwrap()))
}

#[test]
fn dumps_by_a_second_reading_of_the_format_are_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    for width in ["32", "64"] {
        for form in FORMS {
            let Some((file, truth)) = written(folder.path(), width, form) else { return };
            assert_is(&redump(&file, &["-ma"]).load(), &truth, &format!("{width} {form}"));
        }
    }
}

#[track_caller]
fn assert_is(loaded: &Loaded, truth: &Value, what: &str) {
    let threads = truth["threads"].as_array().unwrap();
    let state = process(loaded);
    assert_eq!(state.threads.len(), threads.len(), "{what}");
    for (seen, thread) in state.threads.iter().zip(threads) {
        assert_eq!(u64::from(seen.thread_id), thread["tid"].as_u64().unwrap(), "{what}");
        let frame = &seen.frames[0];
        assert_eq!(frame.instruction, thread["pc"].as_u64().unwrap(), "{what}");
        let registers = &frame.context;
        assert_eq!(registers.get_stack_pointer(), thread["sp"].as_u64().unwrap(), "{what}");
        let name = if what.starts_with("32") { "eax" } else { "rax" };
        assert_eq!(registers.get_register(name), thread["a"].as_u64(), "{what}");
    }
    let modules = truth["modules"].as_array().unwrap();
    for (seen, module) in loaded.modules().iter().zip(modules) {
        assert_eq!(seen.0, module[0].as_str().unwrap(), "{what}");
        assert_eq!(seen.1.start, module[1].as_u64().unwrap(), "{what}");
    }
    for region in truth["memory"].as_array().unwrap() {
        let (base, bytes) = (region[0].as_u64().unwrap(), unhex(region[1].as_str().unwrap()));
        let seen = loaded.bytes_at(base, bytes.len() as u64);
        // Guard pages are stored by some writers, and are no memory to be read.
        assert!(seen.is_none_or(|seen| seen == bytes), "{what}: bytes at {base:#x}");
    }
    for thread in threads {
        let at = thread["sp"].as_u64().unwrap();
        assert!(loaded.bytes_at(at, 0x800).is_some(), "{what}: no stack at {at:#x}");
    }
    for base in truth["absent"].as_array().unwrap() {
        assert_eq!(loaded.bytes_at(base.as_u64().unwrap(), 1), None, "{what}: {base} is made up");
    }
    let exception: MinidumpException<'_> = loaded.get();
    let raw = &exception.raw;
    let seen = [
        u64::from(raw.thread_id),
        u64::from(raw.exception_record.exception_code),
        raw.exception_record.exception_information[1],
    ];
    assert_eq!(serde_json::json!(seen), truth["exception"], "{what}");
    let misc: MinidumpMiscInfo = loaded.get();
    assert_eq!(misc.raw.process_id().copied().map(u64::from), truth["pid"].as_u64(), "{what}");
}

#[test]
fn a_small_dump_of_one_is_read_by_all_readers() {
    let folder = tempfile::tempdir().unwrap();
    for width in ["32", "64"] {
        let Some((file, truth)) = written(folder.path(), width, "with-version") else { return };
        let small = redump(&file, &["-m"]);
        let tids: Vec<u64> = truth["threads"]
            .as_array()
            .unwrap()
            .iter()
            .map(|thread| thread["tid"].as_u64().unwrap())
            .collect();
        assert_eq!(small.load().tids().into_iter().map(u64::from).collect::<Vec<_>>(), tids);
        pypi_minidump(&small.file, &[]);
        if let Some(traces) = lldb_traces(&small.file) {
            assert_eq!(traces.keys().copied().map(u64::from).collect::<Vec<_>>(), tids);
        }
    }
}

#[test]
fn a_damaged_one_is_an_error_or_a_dump_that_opens() {
    let folder = tempfile::tempdir().unwrap();
    for width in ["32", "64"] {
        let Some((file, _)) = written(folder.path(), width, "with-version") else { return };
        let whole = fs::read(&file).unwrap();
        let (damaged, out) = (folder.path().join("damaged"), folder.path().join("out.dmp"));
        let cuts = [0, 8, 32, 95, 200, 2000, 9000].into_iter();
        let cut = cuts.map(|length| whole[..length].to_vec());
        let wild = (8..96).step_by(4).flat_map(|at| {
            [0_u32, u32::MAX].map(|value| {
                let mut bytes = whole.clone();
                bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
                bytes
            })
        });
        for (index, bytes) in cut.chain(wild).enumerate() {
            fs::write(&damaged, bytes).unwrap();
            let run = run(command().args(["dump", "-o", "-ma", "-z"]).arg(&damaged).arg(&out));
            match run.status.code() {
                Some(0) => drop(Loaded::read(&out)),
                Some(1) => assert!(run.refused().contains("damaged"), "{width} {index}"),
                other => panic!("{width} {index}: {other:?}"),
            }
        }
    }
}
