//! The registers that a `ucontext_t` holds: what a signal handler is given, and
//! what crash handlers publish.
//!
//! Offsets are of the kernel's `struct ucontext` and `struct sigcontext_64`
//! (asm/ucontext.h, asm/sigcontext.h), which glibc's and musl's types agree
//! with as far as they go.

use super::{add_flags, registers, set_float_save};
use crate::target::{MemorySource, Registers, XstateLayout};
use dumpwright_format::context::amd64::{
    CONTEXT_CONTROL, CONTEXT_FLOATING_POINT, CONTEXT_INTEGER, ContextAmd64,
};
use dumpwright_format::context::xstate::XSAVE_LEGACY_SIZE;
use zerocopy::FromZeros;

/// Bytes up to and including `uc_mcontext.fpstate`.
const SIZE: usize = 232;
/// `uc_mcontext`
const MCONTEXT: usize = 40;
/// Words of `gregs` in an `mcontext_t`.
const GREGS: usize = 23;
/// `sw_reserved` in the FXSAVE area of a signal frame (`struct _fpx_sw_bytes`).
const SW_RESERVED: usize = 464;
/// `FP_XSTATE_MAGIC1`: an XSAVE area follows the FXSAVE area.
const FP_XSTATE_MAGIC1: u32 = 0x4650_5853;
/// More than any processor's XSAVE area has.
const MAX_AREA: usize = 64 * 1024;

/// Reads the `ucontext_t` at `address`, with the floating-point state that its
/// `fpregs` points to and, where a layout is given and the frame has it, the
/// extended state. `None` if the `ucontext_t` itself cannot be read.
pub(in crate::target) fn context_registers(
    memory: &dyn MemorySource,
    address: u64,
    layout: Option<&XstateLayout>,
) -> Option<Registers> {
    let mut raw = [0; SIZE];
    if !memory.read_exact(address, &mut raw) {
        return None;
    }
    let mut context = general_context(&raw);
    let Some(area) = float_area(memory, word(&raw, MCONTEXT + 184)) else {
        return Some(registers(&context, None));
    };
    let (fxsave, _) = area.split_first_chunk().expect("a float area has 512 bytes or more");
    set_float_save(&mut context, fxsave);
    add_flags(&mut context, CONTEXT_FLOATING_POINT);
    let extended = layout.filter(|_| area.len() > XSAVE_LEGACY_SIZE);
    Some(registers(&context, extended.map(|layout| (layout, area.as_slice()))))
}

/// What a signal frame holds of `CONTEXT`: no debug registers, and of the
/// segments only CS and SS.
fn general_context(raw: &[u8; SIZE]) -> ContextAmd64 {
    general_registers_context(&std::array::from_fn(|index| word(raw, MCONTEXT + 8 * index)))
}

/// The same from `gregs` of an `mcontext_t`.
pub(super) fn general_registers_context(gregs: &[u64; GREGS]) -> ContextAmd64 {
    let mut c = ContextAmd64::new_zeroed();
    c.context_flags = (CONTEXT_CONTROL | CONTEXT_INTEGER).into();
    c.r8 = gregs[0].into();
    c.r9 = gregs[1].into();
    c.r10 = gregs[2].into();
    c.r11 = gregs[3].into();
    c.r12 = gregs[4].into();
    c.r13 = gregs[5].into();
    c.r14 = gregs[6].into();
    c.r15 = gregs[7].into();
    c.rdi = gregs[8].into();
    c.rsi = gregs[9].into();
    c.rbp = gregs[10].into();
    c.rbx = gregs[11].into();
    c.rdx = gregs[12].into();
    c.rax = gregs[13].into();
    c.rcx = gregs[14].into();
    c.rsp = gregs[15].into();
    c.rip = gregs[16].into();
    c.e_flags = (gregs[17] as u32).into();
    // CS, GS, FS, SS as four 16-bit values; GS and FS are 0 in 64-bit frames.
    c.seg_cs = (gregs[18] as u16).into();
    c.seg_ss = ((gregs[18] >> 48) as u16).into();
    c
}

/// The FXSAVE area at `address`, and the XSAVE area that it is the beginning
/// of, where it says that it is one. `None` if there is none to read.
fn float_area(memory: &dyn MemorySource, address: u64) -> Option<Vec<u8>> {
    let mut area = vec![0; XSAVE_LEGACY_SIZE];
    if address == 0 || !memory.read_exact(address, &mut area) {
        return None;
    }
    let half = |at: usize| word(&area, at) as u32;
    let size = half(SW_RESERVED + 16) as usize;
    if half(SW_RESERVED) != FP_XSTATE_MAGIC1 || !(XSAVE_LEGACY_SIZE + 64..=MAX_AREA).contains(&size)
    {
        return Some(area);
    }
    let mut whole = vec![0; size];
    Some(if memory.read_exact(address, &mut whole) { whole } else { area })
}

fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
