//! Extended processor state behind a `CONTEXT`: `CONTEXT_EX` and the XSAVE
//! area, winnt.h. A context with `CONTEXT_XSTATE` is
//! `CONTEXT`, [`ContextEx`], padding to 64 bytes, [`XsaveAreaHeader`], features.

use crate::wire;
use zerocopy::little_endian::{I32, U32, U64};

wire! {
    /// `CONTEXT_CHUNK`, winnt.h.
    pub struct ContextChunk [8] {
        /// Offset in bytes from the [`ContextEx`]; negative for the `CONTEXT`.
        pub offset: I32,
        /// Bytes.
        pub length: U32,
    }

    /// `CONTEXT_EX`, winnt.h.
    pub struct ContextEx [24] {
        /// All of the context.
        pub all: ContextChunk,
        /// The `CONTEXT`.
        pub legacy: ContextChunk,
        /// The XSAVE area from its header on.
        pub xstate: ContextChunk,
    }

    /// `XSAVE_AREA_HEADER`, winnt.h.
    pub struct XsaveAreaHeader [64] {
        /// `XSTATE_BV`: features that are not in their initial state.
        pub mask: U64,
        /// `XCOMP_BV`: bit 63 for the compacted form; 0 here.
        pub compaction_mask: U64,
        /// 0.
        pub reserved2: [U64; 6],
    }
}

/// Bytes of the legacy (FXSAVE) part of an XSAVE area; the header follows it.
pub const XSAVE_LEGACY_SIZE: usize = 512;
/// Alignment of the XSAVE area's header behind a `CONTEXT`.
pub const XSAVE_ALIGN: usize = 64;

/// `XSTATE_LEGACY_FLOATING_POINT` and `XSTATE_LEGACY_SSE` as a mask.
pub const XSTATE_MASK_LEGACY: u64 = 0x3;
/// `XSTATE_MASK_GSSE`: the high halves of YMM.
pub const XSTATE_MASK_AVX: u64 = 0x4;
/// `XSTATE_MASK_AVX512`: opmask, ZMM_Hi256, Hi16_ZMM.
pub const XSTATE_MASK_AVX512: u64 = 0xE0;
/// Protection-key register.
pub const XSTATE_MASK_PKRU: u64 = 0x200;

/// A short name for a feature's bit number.
pub fn feature_name(index: usize) -> Option<&'static str> {
    Some(match index {
        0 => "x87",
        1 => "SSE",
        2 => "AVX",
        3 => "BNDREGS",
        4 => "BNDCSR",
        5 => "AVX-512 opmask",
        6 => "AVX-512 ZMM_Hi256",
        7 => "AVX-512 Hi16_ZMM",
        8 => "PT",
        9 => "PKRU",
        10 => "PASID",
        11 => "CET_U",
        12 => "CET_S",
        17 => "AMX TILECFG",
        18 => "AMX TILEDATA",
        19 => "APX",
        _ => return None,
    })
}
