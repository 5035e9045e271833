//! Threads of 32-bit Windows programs that a 64-bit Wine runs (WOW64): their 32-bit
//! registers.
//!
//! In 32-bit code they are the processor's. Whatever leaves it for a system call
//! stores them where debuggers of the 64-bit side look for them, too.

use super::teb::Teb;
use crate::target::nt::registers::registers;
use crate::target::nt::wow64;
use crate::target::{Architecture, MemorySource, Registers};
use dumpwright_format::context::amd64::ContextAmd64;
use dumpwright_format::context::x86::{
    CONTEXT_X86, CONTEXT_X86_CONTROL, CONTEXT_X86_EXTENDED_REGISTERS, CONTEXT_X86_INTEGER,
    CONTEXT_X86_SEGMENTS, ContextX86,
};
use dumpwright_format::nt::WOW64_CPU_AREA_HEAD;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// Selector of 32-bit code on Linux (`__USER32_CS`).
const USER32_CS: u16 = 0x23;

/// The 32-bit registers that 64-bit ones are; `None` of a thread in 64-bit code.
pub(super) fn of_the_processor(wide: &Registers) -> Option<Registers> {
    let (c, _) = ContextAmd64::read_from_prefix(&wide.context).ok()?;
    if c.seg_cs.get() != USER32_CS {
        return None;
    }
    let low = |value: U64| U32::new(value.get() as u32);
    let segment = |value: U16| U32::new(value.get().into());
    let narrow = ContextX86 {
        context_flags: (CONTEXT_X86_CONTROL
            | CONTEXT_X86_INTEGER
            | CONTEXT_X86_SEGMENTS
            | CONTEXT_X86_EXTENDED_REGISTERS)
            .into(),
        seg_gs: segment(c.seg_gs),
        seg_fs: segment(c.seg_fs),
        seg_es: segment(c.seg_es),
        seg_ds: segment(c.seg_ds),
        edi: low(c.rdi),
        esi: low(c.rsi),
        ebx: low(c.rbx),
        edx: low(c.rdx),
        ecx: low(c.rcx),
        eax: low(c.rax),
        ebp: low(c.rbp),
        eip: low(c.rip),
        seg_cs: segment(c.seg_cs),
        e_flags: c.e_flags,
        esp: low(c.rsp),
        seg_ss: segment(c.seg_ss),
        extended_registers: c.flt_save,
        ..ContextX86::new_zeroed()
    };
    registers(Architecture::X86, narrow.as_bytes().to_vec())
}

/// The registers with which a thread left its 32-bit code.
pub(super) fn kept(memory: &dyn MemorySource, teb: &Teb) -> Option<Registers> {
    let area = wow64::cpu_area(memory, wow64::narrow_teb(memory, teb.address)?)?;
    let mut context = vec![0; size_of::<ContextX86>()];
    let is_there = memory.read_exact(area.start + WOW64_CPU_AREA_HEAD, &mut context);
    let (c, _) = ContextX86::read_from_prefix(&context).ok()?;
    let is_context = c.context_flags.get() & CONTEXT_X86 != 0;
    registers(Architecture::X86, context).filter(|_| is_there && is_context)
}

/// Registers of which nothing is known.
pub(super) fn unknown() -> Registers {
    let context = ContextX86 { context_flags: CONTEXT_X86.into(), ..ContextX86::new_zeroed() };
    registers(Architecture::X86, context.as_bytes().to_vec())
        .expect("a context has the size of a context")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(code: u16) -> Registers {
        let context = ContextAmd64 {
            seg_cs: code.into(),
            rip: 0x40_1000.into(),
            rsp: 0x31_fe00.into(),
            rax: 7.into(),
            ..ContextAmd64::new_zeroed()
        };
        registers(Architecture::Amd64, context.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_thread_in_32_bit_code_has_the_processor_s_registers() {
        let found = of_the_processor(&wide(0x23)).unwrap();
        assert_eq!((found.instruction_pointer, found.stack_pointer), (0x40_1000, 0x31_fe00));
        assert_eq!((found.general[0], found.context.len()), (7, 716));
        assert!(of_the_processor(&wide(0x33)).is_none());
    }
}
