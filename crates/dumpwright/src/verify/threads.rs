//! Threads, their names and times, and the exception.

use super::contents::Contents;
use super::context;
use super::report::{Report, Severity};
use crate::read::Thread;
use dumpwright_format::minidump::{
    EXCEPTION_MAXIMUM_PARAMETERS, StreamType, THREAD_INFO_EXITED_THREAD,
};
use std::collections::HashSet;

const LIST: StreamType = StreamType::THREAD_LIST;

pub(super) fn check(report: &mut Report, contents: &Contents) {
    let mut ids = HashSet::new();
    for thread in contents.threads.iter().flatten() {
        let id = thread.thread_id;
        if !ids.insert(id) {
            report.error(LIST, None, || format!("thread id {id} occurs twice"));
        }
        check_stack(report, contents, thread);
    }
    check_names(report, contents, &ids);
    check_info(report, contents, &ids);
    check_exception(report, contents, &ids);
}

fn check_stack(report: &mut Report, contents: &Contents, thread: &Thread) {
    let whose = || format!("thread {}", thread.thread_id);
    let registers = context::check(report, LIST, contents.architecture(), thread.context, whose);
    let (start, place) = (thread.stack_start, thread.stack);
    if place.size == 0 {
        return;
    }
    let Some(end) = start.checked_add(place.size) else {
        report.error(LIST, None, || format!("the stack of {} wraps around", whose()));
        return;
    };
    if let Some(sp) = registers.map(|r| r.stack_pointer)
        && !(start..=end).contains(&sp)
    {
        report.warning(LIST, None, || {
            format!(
                "the stack of {} ({start:#x}-{end:#x}) does not hold its stack pointer {sp:#x}",
                whose()
            )
        });
    }
    if place.rva == 0 {
        check_stack_elsewhere(report, thread);
    } else if report.in_file(LIST, place, || format!("the stack of {}", whose())) {
        check_same_bytes(report, thread);
    }
}

/// A stack without bytes of its own: full dumps of Windows leave it to the
/// memory list, and then it has to be there.
fn check_stack_elsewhere(report: &mut Report, thread: &Thread) {
    let held = report.dump.memory_map().ok().and_then(|map| map.find(thread.stack_start)).is_some();
    let severity = if held { Severity::Warning } else { Severity::Error };
    report.add(severity, LIST, None, || {
        let elsewhere = if held { "; the memory list holds it" } else { "" };
        format!(
            "the stack of thread {} has {} bytes at file offset 0{elsewhere}",
            thread.thread_id, thread.stack.size
        )
    });
}

/// Where the memory lists hold a stack's addresses as well, they must be the
/// same bytes; the best way to that is the same place.
fn check_same_bytes(report: &mut Report, thread: &Thread) {
    let Ok(map) = report.dump.memory_map() else { return };
    let Some(range) = map.find(thread.stack_start) else { return };
    let skip = thread.stack_start - range.start;
    let in_list = range.file_offset + skip;
    if in_list == thread.stack.rva {
        return;
    }
    let both = thread.stack.size.min(range.size - skip);
    if let Some(at) = report.first_difference(thread.stack.rva, in_list, both) {
        report.error(LIST, thread.stack.rva + at, || {
            format!(
                "the stack of thread {} and the memory list hold different bytes for {:#x}",
                thread.thread_id,
                thread.stack_start + at
            )
        });
    }
}

fn check_names(report: &mut Report, contents: &Contents, ids: &HashSet<u32>) {
    const NAMES: StreamType = StreamType::THREAD_NAMES;
    let mut named = HashSet::new();
    for name in contents.thread_names.iter().flatten() {
        let id = name.thread_id;
        if !named.insert(id) {
            report.error(NAMES, None, || format!("thread {id} is named twice"));
        }
        if !ids.contains(&id) {
            report.warning(NAMES, None, || format!("thread {id} is not in the list of threads"));
        }
        report.string(NAMES, name.name_rva, || format!("the name of thread {id}"));
    }
}

fn check_info(report: &mut Report, contents: &Contents, ids: &HashSet<u32>) {
    const INFO: StreamType = StreamType::THREAD_INFO_LIST;
    let mut known = HashSet::new();
    for info in contents.thread_info.iter().flatten() {
        let id = info.thread_id;
        if !known.insert(id) {
            report.error(INFO, None, || format!("thread {id} occurs twice"));
        }
        let exited = info.dump_flags & THREAD_INFO_EXITED_THREAD != 0;
        if !ids.contains(&id) && !exited {
            report.warning(INFO, None, || format!("thread {id} is not in the list of threads"));
        }
    }
}

fn check_exception(report: &mut Report, contents: &Contents, ids: &HashSet<u32>) {
    const EXCEPTION: StreamType = StreamType::EXCEPTION;
    let Some(exception) = &contents.exception else { return };
    let id = exception.thread_id;
    if contents.threads.is_some() && !ids.contains(&id) {
        report.error(EXCEPTION, None, || {
            format!("it happened in thread {id}, which is not in the list of threads")
        });
    }
    let count = exception.number_parameters;
    if count as usize > EXCEPTION_MAXIMUM_PARAMETERS {
        report.error(EXCEPTION, None, || {
            format!("it states {count} parameters; {EXCEPTION_MAXIMUM_PARAMETERS} is the most")
        });
    }
    let whose = || "the exception".to_owned();
    context::check(report, EXCEPTION, contents.architecture(), exception.context, whose);
}
