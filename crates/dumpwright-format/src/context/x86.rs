//! `CONTEXT` of 32-bit x86, winnt.h.

use crate::wire;
use zerocopy::little_endian::U32;

/// `CONTEXT_i386`
pub const CONTEXT_X86: u32 = 0x1_0000;
/// `CONTEXT_CONTROL`: SS:ESP, CS:EIP, flags, EBP.
pub const CONTEXT_X86_CONTROL: u32 = CONTEXT_X86 | 0x1;
/// `CONTEXT_INTEGER`: EAX, EBX, ECX, EDX, ESI, EDI.
pub const CONTEXT_X86_INTEGER: u32 = CONTEXT_X86 | 0x2;
/// `CONTEXT_SEGMENTS`: DS, ES, FS, GS.
pub const CONTEXT_X86_SEGMENTS: u32 = CONTEXT_X86 | 0x4;
/// `CONTEXT_EXTENDED_REGISTERS`: the FXSAVE area.
pub const CONTEXT_X86_EXTENDED_REGISTERS: u32 = CONTEXT_X86 | 0x20;

wire! {
    /// `CONTEXT` for x86, winnt.h.
    pub struct ContextX86 [716] {
        /// `CONTEXT_*`: which parts count.
        pub context_flags: U32,
        /// DR0 to DR3, DR6, DR7.
        pub debug: [U32; 6],
        /// `FloatSave`: `FLOATING_SAVE_AREA`.
        pub float_save: [u8; 112],
        /// GS.
        pub seg_gs: U32,
        /// FS.
        pub seg_fs: U32,
        /// ES.
        pub seg_es: U32,
        /// DS.
        pub seg_ds: U32,
        /// EDI.
        pub edi: U32,
        /// ESI.
        pub esi: U32,
        /// EBX.
        pub ebx: U32,
        /// EDX.
        pub edx: U32,
        /// ECX.
        pub ecx: U32,
        /// EAX.
        pub eax: U32,
        /// EBP.
        pub ebp: U32,
        /// EIP.
        pub eip: U32,
        /// CS.
        pub seg_cs: U32,
        /// EFLAGS.
        pub e_flags: U32,
        /// ESP.
        pub esp: U32,
        /// SS.
        pub seg_ss: U32,
        /// `ExtendedRegisters`: an FXSAVE area.
        pub extended_registers: [u8; 512],
    }
}
