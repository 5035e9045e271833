//! What a target that is a dump itself does not have: reported, and not claimed.

use super::Context;
use crate::address::RangeSet;
use crate::request::DumpRequest;
use crate::soft_error::SoftError;
use crate::target::{Absent, HasStreams, OriginalDump};
use dumpwright_format::MinidumpType;

/// Kinds of memory that a flag asks for, by their type. A dump has them if it
/// was written with the same, or with full memory.
const MEMORY_TYPES: [(MinidumpType, &str); 6] = [
    (MinidumpType::WITH_PRIVATE_READ_WRITE_MEMORY, "PRIVATE_READ_WRITE_MEMORY"),
    (MinidumpType::WITH_INDIRECTLY_REFERENCED_MEMORY, "INDIRECT_MEMORY"),
    (MinidumpType::WITH_PROCESS_THREAD_DATA, "PROCESS_THREAD_DATA"),
    (MinidumpType::WITH_DATA_SEGS, "DATA_SEGMENTS"),
    (MinidumpType::WITH_CODE_SEGS, "CODE_SEGMENTS"),
    (MinidumpType::WITH_MODULE_HEADERS, "MODULE_HEADERS"),
];

/// What of a dump's own filtering stays true of every dump that is made of it.
const KEPT_FILTERS: MinidumpType = MinidumpType::FILTER_MEMORY
    .union(MinidumpType::FILTER_MODULE_PATHS)
    .union(MinidumpType::FILTER_TRIAGE);

/// Takes from `done` what the source cannot give, with a note for each, and adds
/// what was filtered in it already.
pub(super) fn streams(
    context: &Context<'_>,
    request: &DumpRequest,
    done: &mut MinidumpType,
    soft_errors: &mut Vec<SoftError>,
) {
    let has = context.snapshot.has;
    let HasStreams { handles, unloaded_modules, thread_info, memory_info, token, .. } = has;
    for (flag, subject, has) in [
        (MinidumpType::WITH_HANDLE_DATA, "HANDLE_DATA", handles),
        (MinidumpType::WITH_UNLOADED_MODULES, "UNLOADED_MODULES", unloaded_modules),
        (MinidumpType::WITH_THREAD_INFO, "THREAD_INFO", thread_info),
        (MinidumpType::WITH_FULL_MEMORY_INFO, "FULL_MEMORY_INFO", memory_info),
    ] {
        if done.contains(flag) && !has {
            done.remove(flag);
            soft_errors.push(SoftError::new(subject, "the source dump does not have it"));
        }
    }
    let extensions = &request.extensions;
    for (asked, subject, has) in [
        (extensions.token, "token", token),
        (extensions.vm_counters, "process memory counters", has.vm_counters),
        (extensions.system_memory, "system memory counters", has.system_memory),
    ] {
        if asked && !has {
            soft_errors.push(SoftError::new(subject, "the source dump does not have them"));
        }
    }
    if let Some(original) = &context.snapshot.original {
        memory_types(original, done, soft_errors);
        *done |= original.minidump_type & KEPT_FILTERS;
    }
}

fn memory_types(
    original: &OriginalDump,
    done: &mut MinidumpType,
    soft_errors: &mut Vec<SoftError>,
) {
    if original.full_memory {
        return;
    }
    let full = MinidumpType::WITH_FULL_MEMORY;
    if done.contains(full) {
        done.remove(full);
        let message = "the source dump is no full one; all memory that it holds was taken";
        soft_errors.push(SoftError::new("FULL_MEMORY", message));
    }
    for (flag, subject) in MEMORY_TYPES {
        if done.contains(flag) && !original.minidump_type.contains(flag) {
            done.remove(flag);
            let message = "the source dump was not written with it; what it holds of it was taken";
            soft_errors.push(SoftError::new(subject, message));
        }
    }
}

/// The parts of `set` that the source does not hold, with a note of how much it
/// is.
pub(super) fn memory(
    context: &Context<'_>,
    set: &RangeSet,
    soft_errors: &mut Vec<SoftError>,
) -> RangeSet {
    if context.snapshot.original.is_none() {
        return RangeSet::new();
    }
    let regions = context.snapshot.regions.iter().filter(|r| r.absent == Absent::Missing);
    let parts = regions.flat_map(|region| set.within(region.range));
    let missing: RangeSet = parts
        .flat_map(|part| {
            let held: RangeSet = context.memory.populated(part).into_iter().collect();
            held.missing_from(part)
        })
        .collect();
    if !missing.is_empty() {
        let list = missing.ranges().iter().take(LISTED).map(|range| range.to_string());
        let list: Vec<_> = list.collect();
        let more = if missing.ranges().len() > LISTED { ", …" } else { "" };
        soft_errors.push(SoftError::new(
            "memory",
            format!(
                "{} bytes of what belongs in this dump are not in the source: {}{more}",
                missing.len(),
                list.join(", ")
            ),
        ));
    }
    missing
}

/// Ranges that the note names.
const LISTED: usize = 8;
