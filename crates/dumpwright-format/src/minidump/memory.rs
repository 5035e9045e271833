//! Memory: contents and the map of the address space.

use super::LocationDescriptor;
use crate::wire;
use bitflags::bitflags;
use zerocopy::little_endian::{U32, U64};

wire! {
    /// `MINIDUMP_MEMORY_DESCRIPTOR`, minidumpapiset.h.
    pub struct MemoryDescriptor [16] {
        /// Address in the target.
        pub start_of_memory_range: U64,
        /// The bytes.
        pub memory: LocationDescriptor,
    }

    /// `MINIDUMP_MEMORY64_LIST` without its array, minidumpapiset.h. The
    /// stream is exactly this and the descriptors.
    pub struct Memory64ListHeader [16] {
        /// Descriptors that follow.
        pub number_of_memory_ranges: U64,
        /// File offset of the first byte of the first range; the others follow
        /// back to back.
        pub base_rva: U64,
    }

    /// `MINIDUMP_MEMORY_DESCRIPTOR64`, minidumpapiset.h.
    pub struct MemoryDescriptor64 [16] {
        /// Address in the target.
        pub start_of_memory_range: U64,
        /// Length in bytes.
        pub data_size: U64,
    }

    /// `MINIDUMP_MEMORY_INFO_LIST`, minidumpapiset.h: the head of the stream.
    pub struct MemoryInfoList [16] {
        /// 16.
        pub size_of_header: U32,
        /// 48.
        pub size_of_entry: U32,
        /// Entries that follow.
        pub number_of_entries: U64,
    }

    /// `MINIDUMP_MEMORY_INFO`, minidumpapiset.h.
    pub struct MemoryInfo [48] {
        /// First address.
        pub base_address: U64,
        /// First address of the allocation that the range is part of.
        pub allocation_base: U64,
        /// Protection given when it was allocated: [`PageProtection`].
        pub allocation_protect: U32,
        /// 0.
        pub alignment1: U32,
        /// Length in bytes.
        pub region_size: U64,
        /// One of [`MEM_COMMIT`], [`MEM_RESERVE`], [`MEM_FREE`].
        pub state: U32,
        /// Protection now: [`PageProtection`]; 0 where nothing is committed.
        pub protect: U32,
        /// One of [`MEM_PRIVATE`], [`MEM_MAPPED`], [`MEM_IMAGE`]; 0 for free.
        pub memory_type: U32,
        /// 0.
        pub alignment2: U32,
    }
}

/// `MEM_COMMIT`, winnt.h.
pub const MEM_COMMIT: u32 = 0x1000;
/// `MEM_RESERVE`, winnt.h.
pub const MEM_RESERVE: u32 = 0x2000;
/// `MEM_FREE`, winnt.h.
pub const MEM_FREE: u32 = 0x1_0000;
/// `MEM_PRIVATE`, winnt.h.
pub const MEM_PRIVATE: u32 = 0x2_0000;
/// `MEM_MAPPED`, winnt.h.
pub const MEM_MAPPED: u32 = 0x4_0000;
/// `MEM_IMAGE`, winnt.h.
pub const MEM_IMAGE: u32 = 0x100_0000;

bitflags! {
    /// `PAGE_*` protections of winnt.h.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct PageProtection: u32 {
        /// `PAGE_NOACCESS`
        const NO_ACCESS = 0x1;
        /// `PAGE_READONLY`
        const READ_ONLY = 0x2;
        /// `PAGE_READWRITE`
        const READ_WRITE = 0x4;
        /// `PAGE_WRITECOPY`
        const WRITE_COPY = 0x8;
        /// `PAGE_EXECUTE`
        const EXECUTE = 0x10;
        /// `PAGE_EXECUTE_READ`
        const EXECUTE_READ = 0x20;
        /// `PAGE_EXECUTE_READWRITE`
        const EXECUTE_READ_WRITE = 0x40;
        /// `PAGE_EXECUTE_WRITECOPY`
        const EXECUTE_WRITE_COPY = 0x80;
        /// `PAGE_GUARD`
        const GUARD = 0x100;
        /// `PAGE_NOCACHE`
        const NO_CACHE = 0x200;
        /// `PAGE_WRITECOMBINE`
        const WRITE_COMBINE = 0x400;
    }
}
