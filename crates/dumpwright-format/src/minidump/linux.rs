//! What Breakpad added for Linux: the dynamic linker's list of libraries.
//! The other Linux streams are the bytes of `/proc` files.

use super::Rva;
use crate::wire;
use zerocopy::little_endian::{U32, U64};

wire! {
    /// `MDRawDebug64`, Breakpad's minidump_format.h: the target's `r_debug`,
    /// aligned as Breakpad's own dumps have it. The dynamic section's bytes
    /// follow it in the stream.
    pub struct DsoDebug64 [40] {
        /// `r_version`.
        pub version: U32,
        /// Offset of an array of [`LinkMap64`].
        pub map: Rva,
        /// Entries of the array.
        pub dso_count: U32,
        /// 0.
        pub padding: U32,
        /// `r_brk`.
        pub brk: U64,
        /// `r_ldbase`.
        pub ldbase: U64,
        /// Address of the executable's dynamic section.
        pub dynamic: U64,
    }

    /// `MDRawLinkMap64`, Breakpad's minidump_format.h, aligned likewise.
    pub struct LinkMap64 [24] {
        /// `l_addr`: load bias.
        pub addr: U64,
        /// Offset of a `MINIDUMP_STRING`: the library's name.
        pub name: Rva,
        /// 0.
        pub padding: U32,
        /// `l_ld`: address of its dynamic section.
        pub ld: U64,
    }

    /// [`DsoDebug64`] without padding, as minidump-writer stores it.
    pub struct DsoDebug64Packed [36] {
        /// `r_version`.
        pub version: U32,
        /// Offset of an array of [`LinkMap64Packed`].
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

    /// [`LinkMap64`] without padding.
    pub struct LinkMap64Packed [20] {
        /// `l_addr`.
        pub addr: U64,
        /// Offset of a `MINIDUMP_STRING`: the library's name.
        pub name: Rva,
        /// `l_ld`.
        pub ld: U64,
    }

    /// `MDRawDebug32`, Breakpad's minidump_format.h: [`DsoDebug64`] of a 32-bit
    /// process.
    pub struct DsoDebug32 [24] {
        /// `r_version`.
        pub version: U32,
        /// Offset of an array of [`LinkMap32`].
        pub map: Rva,
        /// Entries of the array.
        pub dso_count: U32,
        /// `r_brk`.
        pub brk: U32,
        /// `r_ldbase`.
        pub ldbase: U32,
        /// Address of the executable's dynamic section.
        pub dynamic: U32,
    }

    /// `MDRawLinkMap32`, Breakpad's minidump_format.h.
    pub struct LinkMap32 [12] {
        /// `l_addr`.
        pub addr: U32,
        /// Offset of a `MINIDUMP_STRING`: the library's name.
        pub name: Rva,
        /// `l_ld`.
        pub ld: U32,
    }
}
