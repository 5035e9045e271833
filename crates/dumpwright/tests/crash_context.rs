//! The example of a program that is dumped when it crashes, run as it is.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use dumpwright::verify::Severity;
use minidump::{Minidump, MinidumpException, MinidumpModuleList, MinidumpSystemInfo, Module};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

#[path = "../examples/crash_handler.rs"]
mod example;

/// Set for the example, which is this program too: `cargo test --test` builds no
/// examples, and without the test harness the arguments are the example's.
const EXAMPLE: &str = "DUMPWRIGHT_RUN_EXAMPLE";

fn main() {
    if std::env::var_os(EXAMPLE).is_some() {
        example::main().unwrap();
        return;
    }
    a_program_with_a_crash_handler_is_dumped_with_its_fault();
    println!("test a_program_with_a_crash_handler_is_dumped_with_its_fault ... ok");
}

fn a_program_with_a_crash_handler_is_dumped_with_its_fault() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.dmp");
    let output = Command::new(std::env::current_exe().unwrap())
        .arg(&file)
        .env(EXAMPLE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let dump = Minidump::read_path(&file).unwrap_or_else(|error| panic!("{error}: {said}"));
    let found = dumpwright::read::Minidump::open(&file).unwrap();
    let faults = dumpwright::verify::verify(&found);
    // That the handler runs on a stack of its own is worth a warning.
    assert!(faults.iter().all(|f| f.severity != Severity::Error), "{faults:?}");

    let system = dump.get_stream::<MinidumpSystemInfo>().unwrap();
    let exception = dump.get_stream::<MinidumpException<'_>>().unwrap();
    let reason = exception.get_crash_reason(system.os, system.cpu);
    assert_eq!(reason.to_string(), "SIGSEGV / SEGV_MAPERR");
    assert_eq!(exception.get_crash_address(system.os, system.cpu), 0x1bad_d000);
    let context = exception.context(&system, None).unwrap();
    let modules = dump.get_stream::<MinidumpModuleList>().unwrap();
    let module = modules.module_at_address(context.get_instruction_pointer()).unwrap();
    assert!(module.code_file().contains("crash_context"), "{}", module.code_file());
    assert!(output.status.signal().is_some() || output.status.code() != Some(0), "it crashed");
}
