//! Handles: on Linux, open file descriptors.

use super::Rva;
use crate::wire;
use zerocopy::little_endian::{U32, U64};

wire! {
    /// `MINIDUMP_HANDLE_DATA_STREAM`, minidumpapiset.h: the head of the stream.
    pub struct HandleDataStream [16] {
        /// 16.
        pub size_of_header: U32,
        /// 32 or 40.
        pub size_of_descriptor: U32,
        /// Descriptors that follow.
        pub number_of_descriptors: U32,
        /// 0.
        pub reserved: U32,
    }

    /// `MINIDUMP_HANDLE_DESCRIPTOR`, minidumpapiset.h.
    pub struct HandleDescriptor [32] {
        /// Handle value.
        pub handle: U64,
        /// Offset of a `MINIDUMP_STRING`, or 0.
        pub type_name_rva: Rva,
        /// Offset of a `MINIDUMP_STRING`, or 0.
        pub object_name_rva: Rva,
        /// `OBJ_*` attributes; on Linux 2 (`OBJ_INHERIT`) without `FD_CLOEXEC`.
        pub attributes: U32,
        /// Access mask.
        pub granted_access: U32,
        /// Handles to the object.
        pub handle_count: U32,
        /// Kernel pointers to the object.
        pub pointer_count: U32,
    }

    /// `MINIDUMP_HANDLE_DESCRIPTOR_2`, minidumpapiset.h.
    pub struct HandleDescriptor2 [40] {
        /// The first form.
        pub base: HandleDescriptor,
        /// Offset of a [`HandleObjectInformation`], or 0.
        pub object_info_rva: Rva,
        /// 0.
        pub reserved0: U32,
    }

    /// `MINIDUMP_HANDLE_OBJECT_INFORMATION`, minidumpapiset.h; its data follows.
    pub struct HandleObjectInformation [12] {
        /// Offset of the next one, or 0.
        pub next_info_rva: Rva,
        /// What follows.
        pub info_type: U32,
        /// Length of what follows in bytes.
        pub size_of_info: U32,
    }
}

/// `MiniMutantInformation1`, minidumpapiset.h: `MUTANT_BASIC_INFORMATION` of
/// winternl.h, count and two flags.
pub const MUTANT_INFORMATION_1: u32 = 2;
/// `MiniMutantInformation2`: process and thread that hold it.
pub const MUTANT_INFORMATION_2: u32 = 3;
/// `MiniEventInformation1`: `EVENT_BASIC_INFORMATION`, type and state.
pub const EVENT_INFORMATION_1: u32 = 6;
/// `MiniSemaphoreInformation1`: `SEMAPHORE_BASIC_INFORMATION`, count and maximum.
pub const SEMAPHORE_INFORMATION_1: u32 = 8;

/// `OBJ_INHERIT`, ntdef.h.
pub const OBJ_INHERIT: u32 = 0x2;

/// `FILE_GENERIC_READ`, winnt.h.
pub const FILE_GENERIC_READ: u32 = 0x12_0089;
/// `FILE_GENERIC_WRITE`, winnt.h.
pub const FILE_GENERIC_WRITE: u32 = 0x12_0116;
/// `FILE_APPEND_DATA`, winnt.h.
pub const FILE_APPEND_DATA: u32 = 0x4;

/// The type of a [`HandleObjectInformation`] that dumpwright writes for a Linux
/// file descriptor: UTF-8 text, one `key: value` a line (`pos`, `flags`,
/// `ino`, `local`, `peer`, …). Chosen far above the values of
/// `MINIDUMP_HANDLE_OBJECT_INFORMATION_TYPE`, so that readers pass over it.
pub const LINUX_FD_INFORMATION: u32 = 0x6477_0001;
