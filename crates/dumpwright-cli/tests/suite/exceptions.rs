//! The exception stream, from what a fault handler left in the target.

use crate::support::cli::{command, dump, run};
use crate::support::dump::Loaded;
use crate::support::processor::process;
use crate::support::readers::{lldb_traces, pypi_minidump};
use crate::support::target::Target;
use minidump::{MinidumpException, MinidumpSystemInfo};

/// A crashed fixture, parked in its handler.
fn crashed() -> Target {
    Target::fixture("crash", &[])
}

fn hex(target: &Target, key: &str) -> String {
    format!("{:#x}", target.number(key))
}

#[track_caller]
fn assert_the_fault(target: &Target, loaded: &Loaded) {
    let exception: MinidumpException<'_> = loaded.get();
    let system: MinidumpSystemInfo = loaded.get();
    assert_eq!(u64::from(exception.get_crashing_thread_id()), target.number("tid"));
    let record = &exception.raw.exception_record;
    assert_eq!(u64::from(record.exception_code), target.number("signal"));
    assert_eq!(u64::from(record.exception_flags), target.number("code"));
    assert_eq!(exception.get_crash_address(system.os, system.cpu), target.number("fault"));
    let reason = exception.get_crash_reason(system.os, system.cpu).to_string();
    assert!(reason.contains("SIGSEGV"), "{reason}");
    let context = exception.context(&system, None).expect("a context");
    assert_eq!(context.get_instruction_pointer(), target.number("pc"), "pc of the fault");
    assert_eq!(context.get_stack_pointer(), target.number("sp"), "sp of the fault");
}

#[test]
fn record_and_context_make_the_exception_that_was() {
    let target = crashed();
    let tid = target.number("tid").to_string();
    let (context, record) = (hex(&target, "ucontext"), hex(&target, "siginfo"));
    let written = dump(&target, &["-m", "-xt", &tid, "-xc", &context, "-xr", &record]);
    assert_the_fault(&target, &written.load());
    if let Some(seen) = pypi_minidump(&written.file, &[]) {
        let expected = serde_json::json!([[target.number("tid"), 11, target.number("fault")]]);
        assert_eq!(seen["exceptions"], expected);
    }
}

#[test]
fn exception_pointers_name_both() {
    let target = crashed();
    let pointers = hex(&target, "pointers");
    let tid = target.number("tid").to_string();
    for options in [&["-xp", &pointers][..], &["-xp", &pointers, "-xt", &tid]] {
        assert_the_fault(&target, &dump(&target, options).load());
    }
}

#[test]
fn the_thread_is_found_by_its_stack_when_it_is_not_given() {
    let target = crashed();
    let (context, record) = (hex(&target, "ucontext"), hex(&target, "siginfo"));
    // The handler runs on an alternate stack that belongs to no thread's own;
    // its stack pointer does.
    let loaded = dump(&target, &["-xc", &context, "-xr", &record]).load();
    assert_the_fault(&target, &loaded);
}

#[test]
fn the_faulting_functions_are_in_the_trace() {
    let target = crashed();
    let written = dump(&target, &["-m", "-xp", &hex(&target, "pointers")]);
    let loaded = written.load();
    let state = process(&loaded);
    let crashing = state.requesting_thread.expect("a crashing thread");
    let thread = &state.threads[crashing];
    assert_eq!(u64::from(thread.thread_id), target.number("tid"));
    assert_eq!(thread.frames[0].instruction, target.number("pc"));
    let own = thread
        .frames
        .iter()
        .filter(|f| f.module.as_ref().is_some_and(|m| m.name.contains("crash-")));
    assert!(own.count() >= 3, "faults, about_to_fault, worker: {:?}", thread.frames);
    let Some(seen) = lldb_traces(&written.file) else { return };
    let names: Vec<_> = seen[&thread.thread_id].iter().map(|(_, n)| n.as_str()).collect();
    for name in ["faults", "about_to_fault", "worker"] {
        assert!(names.iter().any(|n| n.starts_with(name)), "{name} in {names:?}");
    }
}

#[test]
fn the_memory_that_the_fault_needs_is_in_a_small_dump() {
    let target = crashed();
    let loaded = dump(&target, &["-m", "-xp", &hex(&target, "pointers")]).load();
    let (sp, pc) = (target.number("sp"), target.number("pc"));
    assert!(loaded.bytes_at(sp, 64).is_some(), "the stack at the fault");
    assert!(loaded.bytes_at(pc - 128, 256).is_some(), "the code at the fault");
    let (handler_sp, _) = loaded.registers(target.number("tid") as u32);
    assert!(loaded.bytes_at(handler_sp, 64).is_some(), "the alternate stack");
}

#[test]
fn a_thread_alone_is_marked_without_a_fault() {
    let target = Target::fixture("threads", &["4"]);
    let tid = target.ready["threads"][2]["tid"].as_u64().unwrap() as u32;
    let loaded = dump(&target, &["-xt", &tid.to_string()]).load();
    let exception: MinidumpException<'_> = loaded.get();
    assert_eq!(exception.get_crashing_thread_id(), tid);
    let (_, pc) = loaded.registers(tid);
    assert_eq!(exception.raw.exception_record.exception_address, pc);
}

#[test]
fn without_a_fault_there_is_no_exception() {
    let target = Target::fixture("threads", &["2"]);
    let loaded = dump(&target, &["-m"]).load();
    assert!(loaded.raw(6).is_none());
}

#[test]
fn wrong_addresses_and_threads_are_refused_by_name() {
    let target = crashed();
    let pid = target.pid().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.dmp");
    for (option, value) in [("-xc", "0x10"), ("-xr", "0x10"), ("-xp", "0x10"), ("-xt", "1")] {
        let text = run(command().args(["dump", "-p", &pid, option, value]).arg(&file)).refused();
        assert!(text.contains(value), "{option} {value}: {text}");
        assert!(!file.exists());
    }
    let both = ["-xp", &hex(&target, "pointers"), "-xr", &hex(&target, "siginfo")];
    assert!(!run(command().args(["dump", "-p", &pid]).args(both).arg(&file)).status.success());
}
