//! The system: processor, operating system, memory counters.

use super::Rva;
use crate::wire;
use zerocopy::little_endian::{U16, U32, U64};

wire! {
    /// `MINIDUMP_SYSTEM_INFO`, minidumpapiset.h.
    pub struct SystemInfo [56] {
        /// `PROCESSOR_ARCHITECTURE_*`.
        pub processor_architecture: U16,
        /// Processor family.
        pub processor_level: U16,
        /// Model in the high byte, stepping in the low.
        pub processor_revision: U16,
        /// Processors, 255 at most.
        pub number_of_processors: u8,
        /// `VER_NT_*`: 1 workstation, 2 domain controller, 3 server.
        pub product_type: u8,
        /// Operating system version.
        pub major_version: U32,
        /// Operating system version.
        pub minor_version: U32,
        /// Operating system build.
        pub build_number: U32,
        /// `VER_PLATFORM_*`, or one of Breakpad's values.
        pub platform_id: U32,
        /// Offset of a `MINIDUMP_STRING`: service pack; on Linux kernel and distribution.
        pub csd_version_rva: Rva,
        /// `VER_SUITE_*`.
        pub suite_mask: U16,
        /// 0.
        pub reserved2: U16,
        /// `CPU_INFORMATION`: for x86, vendor id (12 bytes), CPUID 1 EAX and
        /// EDX, and AMD's extended features; for others a feature mask.
        pub cpu: [u8; 24],
    }

    /// `MINIDUMP_PROCESS_VM_COUNTERS_2`, minidumpapiset.h. The first form ends
    /// where `peak_virtual_size` starts, with `private_usage` in its place.
    pub struct ProcessVmCounters2 [152] {
        /// 2.
        pub revision: U16,
        /// `MINIDUMP_PROCESS_VM_COUNTERS*` flags: which fields count.
        pub flags: U16,
        /// Page faults.
        pub page_fault_count: U32,
        /// Bytes.
        pub peak_working_set_size: U64,
        /// Bytes.
        pub working_set_size: U64,
        /// Bytes.
        pub quota_peak_paged_pool_usage: U64,
        /// Bytes.
        pub quota_paged_pool_usage: U64,
        /// Bytes.
        pub quota_peak_non_paged_pool_usage: U64,
        /// Bytes.
        pub quota_non_paged_pool_usage: U64,
        /// Bytes.
        pub pagefile_usage: U64,
        /// Bytes.
        pub peak_pagefile_usage: U64,
        /// Bytes; counts with [`VM_COUNTERS_VIRTUALSIZE`].
        pub peak_virtual_size: U64,
        /// Bytes; counts with [`VM_COUNTERS_VIRTUALSIZE`].
        pub virtual_size: U64,
        /// Bytes; counts with [`VM_COUNTERS_EX`].
        pub private_usage: U64,
        /// Bytes; counts with [`VM_COUNTERS_EX2`].
        pub private_working_set_size: U64,
        /// Bytes; counts with [`VM_COUNTERS_EX2`].
        pub shared_commit_usage: U64,
        /// Job counters; they count with 0x10.
        pub job: [U64; 5],
    }

    /// `MINIDUMP_SYSTEM_MEMORY_INFO_1`, minidumpapiset.h.
    pub struct SystemMemoryInfo1 [492] {
        /// 1.
        pub revision: U16,
        /// `MINIDUMP_SYSMEMINFO1_*`.
        pub flags: U16,
        /// `MINIDUMP_SYSTEM_BASIC_INFORMATION`.
        pub basic: SystemBasicInformation,
        /// `MINIDUMP_SYSTEM_FILECACHE_INFORMATION`.
        pub file_cache: SystemFileCacheInformation,
        /// `MINIDUMP_SYSTEM_BASIC_PERFORMANCE_INFORMATION`.
        pub basic_performance: SystemBasicPerformanceInformation,
        /// `MINIDUMP_SYSTEM_PERFORMANCE_INFORMATION`.
        pub performance: SystemPerformanceInformation,
    }

    /// `MINIDUMP_SYSTEM_BASIC_INFORMATION`, minidumpapiset.h.
    pub struct SystemBasicInformation [52] {
        /// 100 ns units.
        pub timer_resolution: U32,
        /// Bytes.
        pub page_size: U32,
        /// Pages.
        pub number_of_physical_pages: U32,
        /// Page number.
        pub lowest_physical_page_number: U32,
        /// Page number.
        pub highest_physical_page_number: U32,
        /// Bytes.
        pub allocation_granularity: U32,
        /// Address.
        pub minimum_user_mode_address: U64,
        /// Address.
        pub maximum_user_mode_address: U64,
        /// Mask.
        pub active_processors_affinity_mask: U64,
        /// Count.
        pub number_of_processors: U32,
    }

    /// `MINIDUMP_SYSTEM_FILECACHE_INFORMATION`, minidumpapiset.h.
    pub struct SystemFileCacheInformation [52] {
        /// Bytes.
        pub current_size: U64,
        /// Bytes.
        pub peak_size: U64,
        /// Count.
        pub page_fault_count: U32,
        /// Pages.
        pub minimum_working_set: U32,
        /// Pages.
        pub maximum_working_set: U32,
        /// Pages.
        pub current_size_including_transition_in_pages: U64,
        /// Pages.
        pub peak_size_including_transition_in_pages: U64,
        /// Count.
        pub transition_re_purpose_count: U32,
        /// Flags.
        pub flags: U32,
    }

    /// `MINIDUMP_SYSTEM_BASIC_PERFORMANCE_INFORMATION`, minidumpapiset.h.
    pub struct SystemBasicPerformanceInformation [32] {
        /// Pages.
        pub available_pages: U64,
        /// Pages.
        pub committed_pages: U64,
        /// Pages.
        pub commit_limit: U64,
        /// Pages.
        pub peak_commitment: U64,
    }

    /// `MINIDUMP_SYSTEM_PERFORMANCE_INFORMATION`, minidumpapiset.h, as far as a
    /// system other than Windows can fill it.
    pub struct SystemPerformanceInformation [352] {
        /// 100 ns units.
        pub idle_process_time: U64,
        /// Bytes.
        pub io_read_transfer_count: U64,
        /// Bytes.
        pub io_write_transfer_count: U64,
        /// Bytes.
        pub io_other_transfer_count: U64,
        /// Count.
        pub io_read_operation_count: U32,
        /// Count.
        pub io_write_operation_count: U32,
        /// Count.
        pub io_other_operation_count: U32,
        /// Pages.
        pub available_pages: U32,
        /// Pages.
        pub committed_pages: U32,
        /// Pages.
        pub commit_limit: U32,
        /// Pages.
        pub peak_commitment: U32,
        /// Count.
        pub page_fault_count: U32,
        /// Counters of the Windows kernel's own pools and caches.
        pub rest: [u8; 288],
    }
}

/// `MINIDUMP_SYSMEMINFO1_BASICPERF`: `basic_performance` counts.
pub const SYSMEMINFO1_BASICPERF: u16 = 0x2;

/// `MINIDUMP_PROCESS_VM_COUNTERS`: the counters up to `peak_pagefile_usage` count.
pub const VM_COUNTERS: u16 = 0x1;
/// `MINIDUMP_PROCESS_VM_COUNTERS_VIRTUALSIZE`
pub const VM_COUNTERS_VIRTUALSIZE: u16 = 0x2;
/// `MINIDUMP_PROCESS_VM_COUNTERS_EX`
pub const VM_COUNTERS_EX: u16 = 0x4;
/// `MINIDUMP_PROCESS_VM_COUNTERS_EX2`
pub const VM_COUNTERS_EX2: u16 = 0x8;

/// `PROCESSOR_ARCHITECTURE_INTEL`, winnt.h.
pub const PROCESSOR_ARCHITECTURE_INTEL: u16 = 0;
/// `PROCESSOR_ARCHITECTURE_AMD64`, winnt.h.
pub const PROCESSOR_ARCHITECTURE_AMD64: u16 = 9;
/// `PROCESSOR_ARCHITECTURE_ARM64`, winnt.h.
pub const PROCESSOR_ARCHITECTURE_ARM64: u16 = 12;
/// Breakpad's older value for ARM64.
pub const PROCESSOR_ARCHITECTURE_ARM64_OLD: u16 = 0x8003;

/// `VER_PLATFORM_WIN32_WINDOWS`, winnt.h: Windows 95 and its kind.
pub const PLATFORM_WIN32_WINDOWS: u32 = 1;
/// `VER_PLATFORM_WIN32_NT`, winnt.h.
pub const PLATFORM_WIN32_NT: u32 = 2;
/// Breakpad: macOS.
pub const PLATFORM_MACOS: u32 = 0x8101;
/// Breakpad: Linux.
pub const PLATFORM_LINUX: u32 = 0x8201;
/// Breakpad: Android.
pub const PLATFORM_ANDROID: u32 = 0x8203;

/// A name for a platform id.
pub fn platform_name(platform_id: u32) -> &'static str {
    match platform_id {
        PLATFORM_WIN32_NT => "Windows",
        PLATFORM_MACOS => "macOS",
        0x8102 => "iOS",
        PLATFORM_LINUX => "Linux",
        0x8202 => "Solaris",
        PLATFORM_ANDROID => "Android",
        0x8204 => "PlayStation 3",
        0x8205 => "Native Client",
        0x8206 => "Fuchsia",
        _ => "unknown platform",
    }
}

/// A name for a processor architecture.
pub fn architecture_name(architecture: u16) -> &'static str {
    match architecture {
        PROCESSOR_ARCHITECTURE_INTEL | 10 => "x86",
        PROCESSOR_ARCHITECTURE_AMD64 => "x86-64",
        PROCESSOR_ARCHITECTURE_ARM64 | PROCESSOR_ARCHITECTURE_ARM64_OLD => "aarch64",
        5 => "arm",
        1 | 0x8004 => "mips",
        3 => "ppc",
        0x8002 => "ppc64",
        _ => "unknown architecture",
    }
}
