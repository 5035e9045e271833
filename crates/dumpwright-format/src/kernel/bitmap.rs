//! Bodies that say by a bitmap which page frames they hold.

use crate::wire;
use zerocopy::little_endian::{U32, U64};

/// `SDMP`: signature of the body of a kernel dump.
pub const SDMP_SIGNATURE: u32 = u32::from_le_bytes(*b"SDMP");

/// `FDMP`: signature of the body of a complete or active dump.
pub const FDMP_SIGNATURE: u32 = u32::from_le_bytes(*b"FDMP");

/// `DUMP`: `valid_dump` of each body.
pub const BODY_VALID_DUMP: u32 = u32::from_le_bytes(*b"DUMP");

wire! {
    /// Body of types 5, 6 and 7, behind the header; the bitmap follows, bit *n*
    /// for page frame *n*, the lowest bit of a byte first, and at `first_page`
    /// the pages whose bits are set. Layout by kdmp-parser.
    pub struct BitmapHeader [56] {
        /// [`SDMP_SIGNATURE`] or [`FDMP_SIGNATURE`].
        pub signature: U32,
        /// [`BODY_VALID_DUMP`].
        pub valid_dump: U32,
        /// Not described by anybody; filler here.
        pub reserved: [u8; 24],
        /// File offset of the first page.
        pub first_page: U64,
        /// Bits that are set.
        pub total_present_pages: U64,
        /// Bits of the bitmap.
        pub pages: U64,
    }

    /// Body of type 2 of a 64-bit kernel, behind the header, by Ghidra's
    /// description of it; the bitmap follows, and at `header_size` the pages.
    pub struct SummaryHeader64 [40] {
        /// [`SDMP_SIGNATURE`].
        pub signature: U32,
        /// [`BODY_VALID_DUMP`].
        pub valid_dump: U32,
        /// `DumpOptions`.
        pub dump_options: U32,
        /// File offset of the first page.
        pub header_size: U32,
        /// Bits of the bitmap.
        pub bitmap_size: U32,
        /// Bits that are set.
        pub pages: U32,
        /// `RTL_BITMAP.SizeOfBitMap`: bits of the bitmap again.
        pub size_of_bit_map: U32,
        /// Filler.
        pub padding: U32,
        /// `RTL_BITMAP.Buffer`: an address in the kernel that wrote it.
        pub buffer: U64,
    }

    /// Body of type 2 of a 32-bit kernel; as [`SummaryHeader64`].
    pub struct SummaryHeader32 [32] {
        /// [`SDMP_SIGNATURE`].
        pub signature: U32,
        /// [`BODY_VALID_DUMP`].
        pub valid_dump: U32,
        /// `DumpOptions`.
        pub dump_options: U32,
        /// File offset of the first page.
        pub header_size: U32,
        /// Bits of the bitmap.
        pub bitmap_size: U32,
        /// Bits that are set.
        pub pages: U32,
        /// `RTL_BITMAP.SizeOfBitMap`: bits of the bitmap again.
        pub size_of_bit_map: U32,
        /// `RTL_BITMAP.Buffer`: an address in the kernel that wrote it.
        pub buffer: U32,
    }
}
