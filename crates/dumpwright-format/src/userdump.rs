//! Full user-mode dumps of the old kind (`.dump /f` before minidumps had full
//! memory, Dr. Watson's `user.dmp`).
//!
//! The structures are those of Microsoft's public symbols
//! (`_USERMODE_CRASHDUMP_HEADER32` and `64`, `_CRASH_MODULE32`, …). The file is
//! the header and the parts that it points to: threads, contexts in the same
//! order, modules with their names, regions, and the contents of the regions
//! back to back.
//!
//! Which of the two thread offsets leads to what, their names do not say; Ghidra's
//! reader (`UserdumpFileHeader`, `Userdump`) takes contexts at the first.

use crate::wire;
use zerocopy::little_endian::{U32, U64};

/// `USERMODE_CRASHDUMP_SIGNATURE`: the bytes `USER`.
pub const SIGNATURE: u32 = 0x5245_5355;
/// `USERMODE_CRASHDUMP_VALID_DUMP32`: the bytes `DUMP`.
pub const VALID_DUMP32: u32 = 0x504D_5544;
/// `USERMODE_CRASHDUMP_VALID_DUMP64`: the bytes `DU64`.
pub const VALID_DUMP64: u32 = 0x3436_5544;
/// `IMAGE_FILE_MACHINE_I386`, winnt.h.
pub const MACHINE_I386: u32 = 0x14C;
/// `IMAGE_FILE_MACHINE_AMD64`, winnt.h.
pub const MACHINE_AMD64: u32 = 0x8664;
/// `EXCEPTION_DEBUG_EVENT`, minwinbase.h.
pub const EXCEPTION_DEBUG_EVENT: u32 = 1;

wire! {
    /// The start of both headers.
    pub struct HeaderStart [32] {
        /// [`SIGNATURE`].
        pub signature: U32,
        /// [`VALID_DUMP32`] or [`VALID_DUMP64`].
        pub valid_dump: U32,
        /// Operating system.
        pub major_version: U32,
        /// Operating system.
        pub minor_version: U32,
        /// `IMAGE_FILE_MACHINE_*`.
        pub machine: U32,
        /// Threads.
        pub thread_count: U32,
        /// Modules.
        pub module_count: U32,
        /// Regions.
        pub region_count: U32,
    }

    /// Offsets of the parts, in a 64-bit dump; a 32-bit one has them in 32 bits.
    pub struct Offsets64 [64] {
        /// `ThreadOffset`: contexts.
        pub contexts: U64,
        /// Modules.
        pub modules: U64,
        /// Contents of regions.
        pub data: U64,
        /// Regions.
        pub regions: U64,
        /// `DEBUG_EVENT`.
        pub debug_event: U64,
        /// `ThreadStateOffset`: threads, in the order of the contexts.
        pub threads: U64,
        /// [`VersionInfo`].
        pub version_info: U64,
        /// 0.
        pub spare: U64,
    }

    /// The same of a 32-bit dump.
    pub struct Offsets32 [32] {
        /// `ThreadOffset`: contexts.
        pub contexts: U32,
        /// Modules.
        pub modules: U32,
        /// Contents of regions.
        pub data: U32,
        /// Regions.
        pub regions: U32,
        /// `DEBUG_EVENT`.
        pub debug_event: U32,
        /// `ThreadStateOffset`: threads, in the order of the contexts.
        pub threads: U32,
        /// [`VersionInfo`].
        pub version_info: U32,
        /// 0.
        pub spare: U32,
    }

    /// `CRASH_THREAD64`.
    pub struct Thread64 [80] {
        /// Thread id.
        pub thread_id: U32,
        /// Suspend count.
        pub suspend_count: U32,
        /// Priority class.
        pub priority_class: U32,
        /// Priority.
        pub priority: U32,
        /// TEB.
        pub teb: U64,
        /// 0.
        pub spare: [U64; 7],
    }

    /// `CRASH_THREAD32`.
    pub struct Thread32 [48] {
        /// Thread id.
        pub thread_id: U32,
        /// Suspend count.
        pub suspend_count: U32,
        /// Priority class.
        pub priority_class: U32,
        /// Priority.
        pub priority: U32,
        /// TEB.
        pub teb: U32,
        /// 0.
        pub spare: [U32; 7],
    }

    /// `CRASH_MODULE64` without its name.
    pub struct Module64 [16] {
        /// Load address.
        pub base: U64,
        /// Size.
        pub size: U32,
        /// Bytes of the name behind it, its NUL included.
        pub name_length: U32,
    }

    /// `CRASH_MODULE32` without its name.
    pub struct Module32 [12] {
        /// Load address.
        pub base: U32,
        /// Size.
        pub size: U32,
        /// Bytes of the name behind it, its NUL included.
        pub name_length: U32,
    }

    /// `MEMORY_BASIC_INFORMATION32`, winnt.h. The 64-bit one is laid out as
    /// [`MemoryInfo`](crate::minidump::MemoryInfo).
    pub struct MemoryBasicInformation32 [28] {
        /// First address.
        pub base: U32,
        /// First address of the allocation.
        pub allocation_base: U32,
        /// `PAGE_*` of the allocation.
        pub allocation_protect: U32,
        /// Bytes.
        pub size: U32,
        /// `MEM_COMMIT`, …
        pub state: U32,
        /// `PAGE_*`.
        pub protect: U32,
        /// `MEM_PRIVATE`, …
        pub memory_type: U32,
    }

    /// `CRASHDUMP_VERSION_INFO`.
    pub struct VersionInfo [8] {
        /// Whether the contents of guard pages were left out.
        pub ignore_guard_pages: U32,
        /// 32 or 64.
        pub pointer_size: U32,
    }

    /// `DEBUG_EVENT` before its union, without what aligns that in 64 bits.
    pub struct DebugEventHead [12] {
        /// `EXCEPTION_DEBUG_EVENT`, …
        pub code: U32,
        /// Process id.
        pub process_id: U32,
        /// Thread id.
        pub thread_id: U32,
    }
}
