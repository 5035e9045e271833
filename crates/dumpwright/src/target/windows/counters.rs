//! Memory counters of the process and of the system.

use super::sys::information::{of_process, of_system_sized};
use super::sys::system::Machine;
use crate::soft_error::SoftError;
use dumpwright_format::minidump::{
    ProcessVmCounters2, SYSMEMINFO1_BASICPERF, SystemMemoryInfo1, SystemPerformanceInformation,
    VM_COUNTERS, VM_COUNTERS_EX, VM_COUNTERS_EX2, VM_COUNTERS_VIRTUALSIZE,
};
use std::os::windows::io::BorrowedHandle;
use windows_sys::Wdk::System::SystemInformation::{
    SystemBasicInformation, SystemPerformanceInformation as PERFORMANCE,
};
use windows_sys::Wdk::System::Threading::ProcessVmCounters;
use zerocopy::{FromZeros, IntoBytes};

/// Bytes of `SYSTEM_BASIC_INFORMATION`, winternl.h.
const BASIC_SIZE: usize = 64;
/// Bytes of `SYSTEM_PERFORMANCE_INFORMATION` that every version has. The
/// minidump's structure has the same fields and more behind them.
const PERFORMANCE_SIZE: usize = 312;

/// `VM_COUNTERS_EX2`, or what an older system has of it.
pub(super) fn of_this_process(
    process: BorrowedHandle<'_>,
    notes: &mut Vec<SoftError>,
) -> Option<ProcessVmCounters2> {
    let mut flags = VM_COUNTERS | VM_COUNTERS_VIRTUALSIZE | VM_COUNTERS_EX;
    let newest = of_process::<14>(process, ProcessVmCounters);
    let words = match newest {
        Ok(words) => {
            flags |= VM_COUNTERS_EX2;
            words
        }
        Err(_) => match of_process::<12>(process, ProcessVmCounters) {
            Ok(older) => {
                let mut words = [0; 14];
                words[..12].copy_from_slice(&older);
                words
            }
            Err(error) => {
                notes.push(SoftError::new("memory counters", format!("cannot be read: {error}")));
                return None;
            }
        },
    };
    let mut counters = ProcessVmCounters2::new_zeroed();
    counters.revision = 2.into();
    counters.flags = flags.into();
    counters.peak_virtual_size = words[0].into();
    counters.virtual_size = words[1].into();
    counters.page_fault_count = (words[2] as u32).into();
    counters.peak_working_set_size = words[3].into();
    counters.working_set_size = words[4].into();
    counters.quota_peak_paged_pool_usage = words[5].into();
    counters.quota_paged_pool_usage = words[6].into();
    counters.quota_peak_non_paged_pool_usage = words[7].into();
    counters.quota_non_paged_pool_usage = words[8].into();
    counters.pagefile_usage = words[9].into();
    counters.peak_pagefile_usage = words[10].into();
    counters.private_usage = words[11].into();
    counters.private_working_set_size = words[12].into();
    counters.shared_commit_usage = words[13].into();
    Some(counters)
}

/// Counters of the system.
pub(super) fn of_the_system(
    machine: Machine,
    notes: &mut Vec<SoftError>,
) -> Option<SystemMemoryInfo1> {
    let basic = of_system_sized(SystemBasicInformation, BASIC_SIZE);
    let performance = of_system_sized(PERFORMANCE, PERFORMANCE_SIZE);
    let (basic, performance) = match (basic, performance) {
        (Ok(basic), Ok(performance)) => (basic, performance),
        (Err(error), _) | (_, Err(error)) => {
            notes.push(SoftError::new("system memory", format!("cannot be read: {error}")));
            return None;
        }
    };
    let mut info = SystemMemoryInfo1::new_zeroed();
    info.revision = 1.into();
    // Reserved, timer resolution; page size, pages; lowest, highest page;
    // granularity (padded); lowest, highest address; processors' mask; count.
    let half = |index: usize| (basic[index / 2] >> (index % 2 * 32)) as u32;
    info.basic.timer_resolution = half(1).into();
    info.basic.page_size = (machine.page_size as u32).into();
    info.basic.number_of_physical_pages = half(3).into();
    info.basic.lowest_physical_page_number = half(4).into();
    info.basic.highest_physical_page_number = half(5).into();
    info.basic.allocation_granularity = half(6).into();
    info.basic.minimum_user_mode_address = basic[4].into();
    info.basic.maximum_user_mode_address = basic[5].into();
    info.basic.active_processors_affinity_mask = basic[6].into();
    info.basic.number_of_processors = machine.processors.into();

    let bytes = performance.as_bytes();
    let mut all = SystemPerformanceInformation::new_zeroed();
    all.as_mut_bytes()[..PERFORMANCE_SIZE].copy_from_slice(&bytes[..PERFORMANCE_SIZE]);
    info.flags = SYSMEMINFO1_BASICPERF.into();
    info.basic_performance.available_pages = u64::from(all.available_pages.get()).into();
    info.basic_performance.committed_pages = u64::from(all.committed_pages.get()).into();
    info.basic_performance.commit_limit = u64::from(all.commit_limit.get()).into();
    info.basic_performance.peak_commitment = u64::from(all.peak_commitment.get()).into();
    info.performance = all;
    Some(info)
}
