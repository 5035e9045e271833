//! From a wire `CONTEXT` to the register sets of a core.

use super::notes::Notes;
use crate::target::{Architecture, Registers, XstateLayout};
use dumpwright_format::context::amd64::{CONTEXT_FLOATING_POINT, CONTEXT_XSTATE, ContextAmd64};
use dumpwright_format::context::arm64::ContextArm64;
use dumpwright_format::context::xstate::{ContextEx, XSAVE_ALIGN, XSAVE_LEGACY_SIZE};
use dumpwright_format::elf_core::{
    FpsimdState, NT_ARM_TLS, NT_FPREGSET, NT_X86_XSTATE, OWNER_CORE, OWNER_LINUX, UserRegsAmd64,
    UserRegsArm64, XSAVE_XCR0_OFFSET,
};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// `CONTEXT_FLOATING_POINT` of 64-bit ARM.
const ARM64_FLOATING_POINT: u32 = 0x4;
/// Where the XSAVE header stands behind a `CONTEXT`.
const XSAVE_HEADER_AT: usize =
    (size_of::<ContextAmd64>() + size_of::<ContextEx>()).next_multiple_of(XSAVE_ALIGN);

/// The general registers of `NT_PRSTATUS`.
pub(super) fn general(
    architecture: Architecture,
    registers: &Registers,
    thread_pointer: u64,
) -> Vec<u8> {
    match architecture {
        Architecture::Arm64 => arm64(&registers.context),
        Architecture::Amd64 | Architecture::X86 => amd64(&registers.context, thread_pointer),
    }
}

fn amd64(context: &[u8], thread_pointer: u64) -> Vec<u8> {
    let mut user = UserRegsAmd64::new_zeroed();
    if let Ok((c, _)) = ContextAmd64::read_from_prefix(context) {
        user.rax = c.rax;
        user.rcx = c.rcx;
        user.rdx = c.rdx;
        user.rbx = c.rbx;
        user.rsp = c.rsp;
        user.rbp = c.rbp;
        user.rsi = c.rsi;
        user.rdi = c.rdi;
        user.r8 = c.r8;
        user.r9 = c.r9;
        user.r10 = c.r10;
        user.r11 = c.r11;
        user.r12 = c.r12;
        user.r13 = c.r13;
        user.r14 = c.r14;
        user.r15 = c.r15;
        user.rip = c.rip;
        user.eflags = u64::from(c.e_flags.get()).into();
        user.cs = u64::from(c.seg_cs.get()).into();
        user.ds = u64::from(c.seg_ds.get()).into();
        user.es = u64::from(c.seg_es.get()).into();
        user.fs = u64::from(c.seg_fs.get()).into();
        user.gs = u64::from(c.seg_gs.get()).into();
        user.ss = u64::from(c.seg_ss.get()).into();
    }
    user.fs_base = thread_pointer.into();
    // A context does not say which system call it stands in; −1 is none, which
    // no debugger would restart.
    user.orig_rax = u64::MAX.into();
    user.as_bytes().to_vec()
}

fn arm64(context: &[u8]) -> Vec<u8> {
    let mut user = UserRegsArm64::new_zeroed();
    if let Ok((c, _)) = ContextArm64::read_from_prefix(context) {
        user.x = c.x;
        user.sp = c.sp;
        user.pc = c.pc;
        user.pstate = u64::from(c.cpsr.get()).into();
    }
    user.as_bytes().to_vec()
}

/// The notes of the other registers in a wire `CONTEXT`.
pub(super) fn others(
    architecture: Architecture,
    context: &[u8],
    thread_pointer: u64,
    layout: Option<&XstateLayout>,
    notes: &mut Notes,
) {
    match architecture {
        Architecture::Arm64 => {
            if let Ok((c, _)) = ContextArm64::read_from_prefix(context)
                && c.context_flags.get() & ARM64_FLOATING_POINT != 0
            {
                let state = FpsimdState {
                    v: c.v,
                    fpsr: c.fpsr,
                    fpcr: c.fpcr,
                    reserved: [0.into(), 0.into()],
                };
                notes.put(OWNER_CORE, NT_FPREGSET, state.as_bytes());
            }
            // Not every core tells it.
            if thread_pointer != 0 {
                notes.put(OWNER_LINUX, NT_ARM_TLS, &thread_pointer.to_le_bytes());
            }
        }
        Architecture::Amd64 | Architecture::X86 => {
            let Ok((c, _)) = ContextAmd64::read_from_prefix(context) else { return };
            let has = |flags: u32| c.context_flags.get() & flags == flags;
            if has(CONTEXT_FLOATING_POINT) {
                notes.put(OWNER_CORE, NT_FPREGSET, &c.flt_save);
            }
            if let Some(area) = layout
                .filter(|_| has(CONTEXT_XSTATE))
                .and_then(|layout| xsave_area(&c.flt_save, context, layout))
            {
                notes.put(OWNER_LINUX, NT_X86_XSTATE, &area);
            }
        }
    }
}

/// The XSAVE area, legacy part included, of an extended context.
fn xsave_area(legacy: &[u8; 512], context: &[u8], layout: &XstateLayout) -> Option<Vec<u8>> {
    let extended = context.get(XSAVE_HEADER_AT..layout.context_size as usize)?;
    let mut area = legacy.to_vec();
    // Where the kernel says which features there are.
    area[XSAVE_XCR0_OFFSET..XSAVE_XCR0_OFFSET + 8].copy_from_slice(&layout.features.to_le_bytes());
    debug_assert_eq!(area.len(), XSAVE_LEGACY_SIZE);
    area.extend_from_slice(extended);
    area.resize(area.len().next_multiple_of(8), 0);
    Some(area)
}
