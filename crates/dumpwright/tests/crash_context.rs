//! The examples of programs that are dumped when they crash, run as they are.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use dumpwright::verify::Severity;
use minidump::{Minidump, MinidumpException, MinidumpModuleList, MinidumpSystemInfo, Module};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

#[path = "../examples/crash_handler.rs"]
mod crash_handler_example;
#[path = "../examples/minidumper.rs"]
mod minidumper_example;

/// Names the example to be, which this program is too: `cargo test --test` builds
/// no examples, and without the test harness the arguments are the example's.
const EXAMPLE: &str = "DUMPWRIGHT_RUN_EXAMPLE";

fn main() {
    match std::env::var(EXAMPLE).as_deref() {
        Ok("crash_handler") => return crash_handler_example::main().unwrap(),
        Ok("minidumper") => return minidumper_example::main().unwrap(),
        _ => {}
    }
    let kinds = [
        ("crash_handler", "", "SIGSEGV / SEGV_MAPERR"),
        ("minidumper", "segv", "SIGSEGV / SEGV_MAPERR"),
        ("minidumper", "abort", "SIGABRT / SI_TKILL"),
        // The main thread's stack ends where nothing is mapped.
        ("minidumper", "overflow", "SIGSEGV / SEGV_MAPERR"),
    ];
    for (example, how, reason) in kinds {
        a_program_of_these_crates_is_dumped_with_its_fault(example, how, reason);
        println!("test a_program_of_these_crates_is_dumped_with_its_fault {example} {how} ... ok");
    }
}

fn a_program_of_these_crates_is_dumped_with_its_fault(example: &str, how: &str, reason: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.dmp");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(&file).args(Some(how).filter(|how| !how.is_empty())).env(EXAMPLE, example);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.signal().is_some(), "it crashed: {}, {said}", output.status);
    assert_the_fault(&file, how, reason, &said);
}

fn assert_the_fault(file: &Path, how: &str, reason: &str, said: &str) {
    let dump = Minidump::read_path(file).unwrap_or_else(|error| panic!("{error}: {said}"));
    let found = dumpwright::read::Minidump::open(file).unwrap();
    let faults = dumpwright::verify::verify(&found);
    // That the handler runs on a stack of its own is worth a warning.
    assert!(faults.iter().all(|f| f.severity != Severity::Error), "{faults:?}");

    let system = dump.get_stream::<MinidumpSystemInfo>().unwrap();
    let exception = dump.get_stream::<MinidumpException<'_>>().unwrap();
    assert_eq!(exception.get_crash_reason(system.os, system.cpu).to_string(), reason);
    let address = exception.get_crash_address(system.os, system.cpu);
    let context = exception.context(&system, None).unwrap();
    let (sp, pc) = (context.get_stack_pointer(), context.get_instruction_pointer());
    match how {
        "abort" => assert_eq!(address, pc),
        "overflow" => assert!(sp.abs_diff(address) < 8192, "{address:#x} is below {sp:#x}"),
        _ => assert_eq!(address, 0x1bad_d000),
    }
    let modules = dump.get_stream::<MinidumpModuleList>().unwrap();
    let module = modules.module_at_address(pc).unwrap();
    let expected = if how == "abort" { "libc.so" } else { "crash_context" };
    assert!(module.code_file().contains(expected), "{}", module.code_file());
    assert_the_stack_of_the_fault(&dump, sp, address);
}

/// What was on the stack that the fault came from is there, although the
/// handler runs on another.
fn assert_the_stack_of_the_fault(
    dump: &Minidump<'_, impl std::ops::Deref<Target = [u8]>>,
    sp: u64,
    address: u64,
) {
    let memory = dump.get_memory().unwrap();
    // After an overflow the stack pointer itself can be where no memory is.
    let at = sp.max(address).next_multiple_of(4096);
    assert!(memory.memory_at_address(at).is_some(), "stack at {at:#x}");
}
