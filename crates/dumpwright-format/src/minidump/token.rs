//! Token information.

use crate::wire;
use zerocopy::little_endian::{U32, U64};

wire! {
    /// `MINIDUMP_TOKEN_INFO_LIST`, minidumpapiset.h: the head of the stream.
    pub struct TokenInfoList [16] {
        /// Bytes of the whole stream.
        pub token_list_size: U32,
        /// Entries that follow.
        pub token_list_entries: U32,
        /// 16.
        pub list_header_size: U32,
        /// Bytes of the header of each entry.
        pub element_header_size: U32,
    }

    /// `MINIDUMP_TOKEN_INFO_HEADER`, minidumpapiset.h.
    pub struct TokenInfoHeader [16] {
        /// Bytes of the entry.
        pub token_size: U32,
        /// The process or thread id that the token belongs to.
        pub token_id: U32,
        /// Handle value; 0 on Linux.
        pub token_handle: U64,
    }
}
