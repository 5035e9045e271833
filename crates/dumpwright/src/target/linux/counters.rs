//! Memory counters of the process and of the system, in the fields that
//! Windows has for them.

use super::file_text::kilobytes;
use super::proc_dir::ProcDir;
use super::stat::Stat;
use crate::soft_error::SoftError;
use dumpwright_format::minidump::{
    ProcessVmCounters2, SYSMEMINFO1_BASICPERF, SystemMemoryInfo1, VM_COUNTERS, VM_COUNTERS_EX,
    VM_COUNTERS_EX2, VM_COUNTERS_VIRTUALSIZE,
};
use zerocopy::FromZeros;

/// Counters of the process, from `status`: the working set is what is
/// resident, private usage is anonymous memory whether resident or swapped out.
/// Linux has no pools and keeps no peak of the private usage; what is known of
/// it now stands for it.
pub(super) fn of_process(
    proc: &ProcDir,
    stat: Option<&Stat>,
    notes: &mut Vec<SoftError>,
) -> Option<ProcessVmCounters2> {
    let status = match proc.read("status") {
        Ok(status) => String::from_utf8_lossy(&status).into_owned(),
        Err(error) => {
            notes.push(SoftError::new("memory counters", format!("cannot be read: {error}")));
            return None;
        }
    };
    let get = |key| kilobytes(&status, key).unwrap_or_default();
    let private = get("RssAnon") + get("VmSwap");
    let mut counters = ProcessVmCounters2::new_zeroed();
    counters.revision = 2.into();
    let flags = VM_COUNTERS | VM_COUNTERS_VIRTUALSIZE | VM_COUNTERS_EX | VM_COUNTERS_EX2;
    counters.flags = flags.into();
    counters.page_fault_count = (stat.map_or(0, Stat::faults) as u32).into();
    counters.peak_working_set_size = get("VmHWM").into();
    counters.working_set_size = get("VmRSS").into();
    counters.pagefile_usage = private.into();
    counters.peak_pagefile_usage = private.into();
    counters.peak_virtual_size = get("VmPeak").into();
    counters.virtual_size = get("VmSize").into();
    counters.private_usage = private.into();
    counters.private_working_set_size = get("RssAnon").into();
    counters.shared_commit_usage = get("RssShmem").into();
    Some(counters)
}

/// Counters of the system, from `/proc/meminfo`.
pub(super) fn of_system(
    page_size: u64,
    processors: u32,
    address_space_end: u64,
    notes: &mut Vec<SoftError>,
) -> Option<SystemMemoryInfo1> {
    let meminfo = match std::fs::read_to_string("/proc/meminfo") {
        Ok(text) => text,
        Err(error) => {
            notes.push(SoftError::new("/proc/meminfo", format!("cannot be read: {error}")));
            return None;
        }
    };
    let bytes = |key| kilobytes(&meminfo, key).unwrap_or_default();
    let pages = |key| bytes(key) / page_size;
    let narrow = |pages: u64| u32::try_from(pages).unwrap_or(u32::MAX);
    let mut info = SystemMemoryInfo1::new_zeroed();
    info.revision = 1.into();
    info.flags = SYSMEMINFO1_BASICPERF.into();

    let basic = &mut info.basic;
    // A tick of the clock that /proc counts in, in 100 ns units.
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    basic.timer_resolution = ((10_000_000 / ticks) as u32).into();
    basic.page_size = (page_size as u32).into();
    basic.number_of_physical_pages = narrow(pages("MemTotal")).into();
    basic.highest_physical_page_number = narrow(pages("MemTotal").saturating_sub(1)).into();
    basic.allocation_granularity = (page_size as u32).into();
    basic.minimum_user_mode_address = page_size.into();
    basic.maximum_user_mode_address = (address_space_end - 1).into();
    let mask = if processors >= 64 { u64::MAX } else { (1 << processors) - 1 };
    basic.active_processors_affinity_mask = mask.into();
    basic.number_of_processors = processors.into();

    let cached = bytes("Cached") + bytes("Buffers");
    info.file_cache.current_size = cached.into();
    info.file_cache.peak_size = cached.into();
    info.file_cache.current_size_including_transition_in_pages = (cached / page_size).into();

    info.basic_performance.available_pages = pages("MemAvailable").into();
    info.basic_performance.committed_pages = pages("Committed_AS").into();
    info.basic_performance.commit_limit = pages("CommitLimit").into();
    info.basic_performance.peak_commitment = pages("Committed_AS").into();

    info.performance.available_pages = narrow(pages("MemAvailable")).into();
    info.performance.committed_pages = narrow(pages("Committed_AS")).into();
    info.performance.commit_limit = narrow(pages("CommitLimit")).into();
    info.performance.peak_commitment = narrow(pages("Committed_AS")).into();
    Some(info)
}
