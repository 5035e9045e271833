//! `ARM64_NT_CONTEXT` (`CONTEXT` of ARM64), winnt.h.

use crate::wire;
use zerocopy::little_endian::{U32, U64};

/// `CONTEXT_ARM64`
pub const CONTEXT_ARM64: u32 = 0x40_0000;
/// `CONTEXT_CONTROL`, `CONTEXT_INTEGER` and `CONTEXT_FLOATING_POINT`.
pub const CONTEXT_FULL: u32 = CONTEXT_ARM64 | 0x7;

/// Flag of Breakpad's older context.
pub const CONTEXT_ARM64_OLD: u32 = 0x8000_0000;

wire! {
    /// `ARM64_NT_CONTEXT`, winnt.h.
    pub struct ContextArm64 [912] {
        /// `CONTEXT_*`: which parts count.
        pub context_flags: U32,
        /// CPSR.
        pub cpsr: U32,
        /// X0 to X28, FP (X29), LR (X30).
        pub x: [U64; 31],
        /// SP.
        pub sp: U64,
        /// PC.
        pub pc: U64,
        /// V0 to V31, 16 bytes each.
        pub v: [[u8; 16]; 32],
        /// FPCR.
        pub fpcr: U32,
        /// FPSR.
        pub fpsr: U32,
        /// Breakpoint control.
        pub bcr: [U32; 8],
        /// Breakpoint values.
        pub bvr: [U64; 8],
        /// Watchpoint control.
        pub wcr: [U32; 2],
        /// Watchpoint values.
        pub wvr: [U64; 2],
    }
    /// `MDRawContextARM64_Old`, Breakpad's minidump_cpu_arm64.h.
    pub struct ContextArm64Old [796] {
        /// [`CONTEXT_ARM64_OLD`] and which parts count.
        pub context_flags: U64,
        /// X0 to X28, FP, LR, SP.
        pub x: [U64; 32],
        /// PC.
        pub pc: U64,
        /// CPSR.
        pub cpsr: U32,
        /// FPSR.
        pub fpsr: U32,
        /// FPCR.
        pub fpcr: U32,
        /// V0 to V31.
        pub v: [[u8; 16]; 32],
    }
}
