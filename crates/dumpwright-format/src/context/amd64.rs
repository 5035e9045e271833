//! `CONTEXT` of x86-64, winnt.h.

use crate::wire;
use zerocopy::little_endian::{U16, U32, U64};

/// `CONTEXT_AMD64`
pub const CONTEXT_AMD64: u32 = 0x10_0000;
/// `CONTEXT_CONTROL`: `SegSs`, `Rsp`, `SegCs`, `Rip`, `EFlags`.
pub const CONTEXT_CONTROL: u32 = CONTEXT_AMD64 | 0x1;
/// `CONTEXT_INTEGER`: the other general registers.
pub const CONTEXT_INTEGER: u32 = CONTEXT_AMD64 | 0x2;
/// `CONTEXT_SEGMENTS`: `SegDs`, `SegEs`, `SegFs`, `SegGs`.
pub const CONTEXT_SEGMENTS: u32 = CONTEXT_AMD64 | 0x4;
/// `CONTEXT_FLOATING_POINT`: `FltSave`.
pub const CONTEXT_FLOATING_POINT: u32 = CONTEXT_AMD64 | 0x8;
/// `CONTEXT_DEBUG_REGISTERS`: `Dr0` to `Dr3`, `Dr6`, `Dr7`.
pub const CONTEXT_DEBUG_REGISTERS: u32 = CONTEXT_AMD64 | 0x10;
/// `CONTEXT_XSTATE`: an extended context follows.
pub const CONTEXT_XSTATE: u32 = CONTEXT_AMD64 | 0x40;
/// `CONTEXT_ALL`
pub const CONTEXT_ALL: u32 = CONTEXT_CONTROL
    | CONTEXT_INTEGER
    | CONTEXT_SEGMENTS
    | CONTEXT_FLOATING_POINT
    | CONTEXT_DEBUG_REGISTERS;

wire! {
    /// `CONTEXT` for x86-64, winnt.h.
    pub struct ContextAmd64 [1232] {
        /// Home addresses of register parameters.
        pub p_home: [U64; 6],
        /// `CONTEXT_*`: which parts count.
        pub context_flags: U32,
        /// Copy of the FXSAVE area's MXCSR.
        pub mx_csr: U32,
        /// CS.
        pub seg_cs: U16,
        /// DS.
        pub seg_ds: U16,
        /// ES.
        pub seg_es: U16,
        /// FS.
        pub seg_fs: U16,
        /// GS.
        pub seg_gs: U16,
        /// SS.
        pub seg_ss: U16,
        /// EFLAGS.
        pub e_flags: U32,
        /// DR0.
        pub dr0: U64,
        /// DR1.
        pub dr1: U64,
        /// DR2.
        pub dr2: U64,
        /// DR3.
        pub dr3: U64,
        /// DR6.
        pub dr6: U64,
        /// DR7.
        pub dr7: U64,
        /// RAX.
        pub rax: U64,
        /// RCX.
        pub rcx: U64,
        /// RDX.
        pub rdx: U64,
        /// RBX.
        pub rbx: U64,
        /// RSP.
        pub rsp: U64,
        /// RBP.
        pub rbp: U64,
        /// RSI.
        pub rsi: U64,
        /// RDI.
        pub rdi: U64,
        /// R8.
        pub r8: U64,
        /// R9.
        pub r9: U64,
        /// R10.
        pub r10: U64,
        /// R11.
        pub r11: U64,
        /// R12.
        pub r12: U64,
        /// R13.
        pub r13: U64,
        /// R14.
        pub r14: U64,
        /// R15.
        pub r15: U64,
        /// RIP.
        pub rip: U64,
        /// `FltSave`: the 512 bytes of an FXSAVE area (`XMM_SAVE_AREA32`).
        pub flt_save: [u8; 512],
        /// `VectorRegister`.
        pub vector_register: [u8; 416],
        /// `VectorControl`.
        pub vector_control: U64,
        /// `DebugControl`.
        pub debug_control: U64,
        /// `LastBranchToRip`.
        pub last_branch_to_rip: U64,
        /// `LastBranchFromRip`.
        pub last_branch_from_rip: U64,
        /// `LastExceptionToRip`.
        pub last_exception_to_rip: U64,
        /// `LastExceptionFromRip`.
        pub last_exception_from_rip: U64,
    }
}
