//! What Breakpad added for Linux: the dynamic linker's list of libraries.
//! The other Linux streams are the bytes of `/proc` files.

use super::Rva;
use crate::wire;
use zerocopy::little_endian::{U32, U64};

wire! {
    /// `MDRawDebug64`, Breakpad's minidump_format.h: the target's `r_debug`.
    /// The dynamic section's bytes follow it in the stream.
    pub struct DsoDebug64 [36] {
        /// `r_version`.
        pub version: U32,
        /// Offset of an array of [`LinkMap64`].
        pub map: Rva,
        /// Entries of the array.
        pub dso_count: U32,
        /// `r_brk`.
        pub brk: U64,
        /// `r_ldbase`.
        pub ldbase: U64,
        /// Address of the executable's dynamic section.
        pub dynamic: U64,
    }

    /// `MDRawLinkMap64`, Breakpad's minidump_format.h.
    pub struct LinkMap64 [20] {
        /// `l_addr`: load bias.
        pub addr: U64,
        /// Offset of a `MINIDUMP_STRING`: the library's name.
        pub name: Rva,
        /// `l_ld`: address of its dynamic section.
        pub ld: U64,
    }
}
