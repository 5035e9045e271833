//! Bodies of the types that the debugger writes (8, 9 and 10), by kdmp-parser.

use crate::wire;
use zerocopy::little_endian::{U32, U64};

/// `RdmpHeader.marker`.
pub const RDMP_MARKER: u32 = 0x40;

/// `RDMP`: signature of the body.
pub const RDMP_SIGNATURE: u32 = u32::from_le_bytes(*b"RDMP");

/// Bytes that `RdmpHeader.metadata_size` counts before the byte from which
/// `first_page_offset` counts on: `metadata_size - 0x20 == first_page_offset -
/// 0x2040` in every file, that is, metadata end where the pages start and begin
/// 0x20 bytes behind the header.
pub const RDMP_METADATA_START: u64 = 0x20;

wire! {
    /// What the bodies of types 8, 9 and 10 start with.
    pub struct RdmpHeader [32] {
        /// [`RDMP_MARKER`].
        pub marker: U32,
        /// [`RDMP_SIGNATURE`].
        pub signature: U32,
        /// [`BODY_VALID_DUMP`](super::BODY_VALID_DUMP).
        pub valid_dump: U32,
        /// 0.
        pub reserved: U32,
        /// Bytes from the end of this structure to the first page; a multiple
        /// of 16.
        pub metadata_size: U64,
        /// File offset of the first page.
        pub first_page_offset: U64,
    }

    /// Body of types 8 and 9; [`PfnRange`]s follow, up to one that is zero.
    pub struct KernelRdmpHeader [48] {
        /// What all have.
        pub header: RdmpHeader,
        /// Not described by anybody; 0 here.
        pub unknown1: U64,
        /// Not described by anybody; 0 here.
        pub unknown2: U64,
    }

    /// Body of type 10; [`PfnRange`]s follow.
    pub struct FullRdmpHeader [48] {
        /// What all have.
        pub header: RdmpHeader,
        /// Ranges that follow.
        pub number_of_ranges: U32,
        /// 0.
        pub reserved: U32,
        /// Page frames of all ranges.
        pub total_number_of_pages: U64,
    }

    /// Consecutive page frames, whose pages stand in the order of the ranges.
    ///
    /// Readers take a range that starts with frame 0 for the end of the list.
    pub struct PfnRange [16] {
        /// The first.
        pub page_frame_number: U64,
        /// How many.
        pub number_of_pages: U64,
    }
}
