//! kdump-compressed files, as QEMU's `dump-guest-memory -z` and makedumpfile
//! write them: QEMU's `include/sysemu/dump.h` and makedumpfile's `diskdump_mod.h`.
//!
//! A file is blocks: the header, the sub-header, two bitmaps of page frames (that
//! exist, that are there), and a [`PageDescriptor`] for each frame that is there.

use crate::wire;
use zerocopy::little_endian::{U32, U64};

/// How a file starts.
pub const KDUMP_SIGNATURE: [u8; 8] = *b"KDUMP   ";
/// How a flattened one starts.
pub const FLATTENED_SIGNATURE: [u8; 16] = *b"makedumpfile\0\0\0\0";
/// Bytes at the start of a flattened file, before its first [`FlattenedRecord`].
pub const FLATTENED_HEADER_SIZE: u64 = 4096;

/// Bytes of a field of `new_utsname`.
pub const UTSNAME_FIELD: usize = 65;
/// Which field of it is the machine.
pub const UTSNAME_MACHINE: usize = 4;

/// `DUMP_DH_COMPRESSED_ZLIB` of a page.
pub const KDUMP_ZLIB: u32 = 1;
/// `DUMP_DH_COMPRESSED_LZO`.
pub const KDUMP_LZO: u32 = 2;
/// `DUMP_DH_COMPRESSED_SNAPPY`.
pub const KDUMP_SNAPPY: u32 = 4;
/// `DUMP_DH_COMPRESSED_ZSTD`, of makedumpfile.
pub const KDUMP_ZSTD: u32 = 0x20;

wire! {
    /// `disk_dump_header`, up to where its width matters.
    pub struct KdumpHeaderStart [402] {
        /// [`KDUMP_SIGNATURE`].
        pub signature: [u8; 8],
        /// `header_version`.
        pub header_version: U32,
        /// `utsname`: six names.
        pub utsname: [u8; 390],
    }
    /// The rest of `disk_dump_header`. It stands at [`KDUMP_REST_64`] of a 64-bit
    /// machine's file, at [`KDUMP_REST_32`] of a 32-bit one's.
    pub struct KdumpHeaderRest [40] {
        /// `status`: how pages are compressed.
        pub status: U32,
        /// `block_size`: bytes of a block, and of a page.
        pub block_size: U32,
        /// `sub_hdr_size`, in blocks.
        pub sub_header_blocks: U32,
        /// `bitmap_blocks`, of both bitmaps.
        pub bitmap_blocks: U32,
        /// `max_mapnr`, where it has 32 bits.
        pub max_mapnr: U32,
        /// `total_ram_blocks`.
        pub total_ram_blocks: U32,
        /// `device_blocks`.
        pub device_blocks: U32,
        /// `written_blocks`.
        pub written_blocks: U32,
        /// `current_cpu`.
        pub current_cpu: U32,
        /// `nr_cpus`.
        pub nr_cpus: U32,
    }
    /// `kdump_sub_header` of a 64-bit machine, in block 1, up to its notes.
    pub struct KdumpSubHeader64 [64] {
        /// `phys_base`.
        pub phys_base: U64,
        /// `dump_level`: what makedumpfile left out.
        pub dump_level: U32,
        /// `split`: whether it is one of several files.
        pub split: U32,
        /// `start_pfn` and `end_pfn` of a split file.
        pub pfns: [U64; 2],
        /// `offset_vmcoreinfo`.
        pub offset_vmcoreinfo: U64,
        /// `size_vmcoreinfo`.
        pub size_vmcoreinfo: U64,
        /// `offset_note`: file offset of ELF notes.
        pub offset_note: U64,
        /// `size_note`.
        pub size_note: U64,
    }
    /// `kdump_sub_header` of a 32-bit machine, up to its notes.
    pub struct KdumpSubHeader32 [44] {
        /// `phys_base`.
        pub phys_base: U32,
        /// `dump_level`.
        pub dump_level: U32,
        /// `split`.
        pub split: U32,
        /// `start_pfn` and `end_pfn` of a split file.
        pub pfns: [U32; 2],
        /// `offset_vmcoreinfo`.
        pub offset_vmcoreinfo: U64,
        /// `size_vmcoreinfo`.
        pub size_vmcoreinfo: U32,
        /// `offset_note`.
        pub offset_note: U64,
        /// `size_note`.
        pub size_note: U32,
    }
    /// `page_desc`: where the page of a frame stands.
    pub struct PageDescriptor [24] {
        /// File offset.
        pub offset: U64,
        /// Bytes there.
        pub size: U32,
        /// How they are compressed; 0 if they are not.
        pub flags: U32,
        /// `page_flags` of the kernel.
        pub page_flags: U64,
    }
}

/// Where [`KdumpHeaderRest`] stands in a file of a 64-bit machine.
pub const KDUMP_REST_64: u64 = 424;
/// Where it stands in one of a 32-bit machine.
pub const KDUMP_REST_32: u64 = 412;

/// `makedumpfile_data_header`: before each piece of a flattened file; numbers
/// are big-endian, and offset -1 is the end.
#[derive(
    Clone,
    Copy,
    Debug,
    zerocopy::FromBytes,
    zerocopy::IntoBytes,
    zerocopy::KnownLayout,
    zerocopy::Immutable,
)]
#[repr(C)]
pub struct FlattenedRecord {
    /// Offset of the piece in the file that was flattened.
    pub offset: zerocopy::big_endian::I64,
    /// Its bytes.
    pub size: zerocopy::big_endian::I64,
}
const _: () = assert!(size_of::<FlattenedRecord>() == 16);
