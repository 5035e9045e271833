//! LiME memory images: a header before each range of RAM, lime.h.

use crate::wire;
use zerocopy::little_endian::{U32, U64};

/// `LIME_MAGIC`: "EMiL".
pub const LIME_MAGIC: u32 = 0x4c69_4d45;

wire! {
    /// `lime_mem_range_header`, lime.h. The range's bytes follow.
    pub struct LimeRangeHeader [32] {
        /// [`LIME_MAGIC`].
        pub magic: U32,
        /// 1.
        pub version: U32,
        /// Physical address of the first byte.
        pub s_addr: U64,
        /// Physical address of the last byte.
        pub e_addr: U64,
        /// Zero; compressed images say here how.
        pub reserved: [u8; 8],
    }
}
