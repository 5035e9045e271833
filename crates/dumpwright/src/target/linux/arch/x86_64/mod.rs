//! Registers of x86-64 threads as `CONTEXT`.

#[cfg(all(feature = "crash-context", target_arch = "x86_64"))]
mod crash_context;
mod ucontext;
mod xstate;

#[cfg(all(feature = "crash-context", target_arch = "x86_64"))]
pub(in crate::target::linux) use crash_context::crash_registers;
#[cfg(target_arch = "x86_64")]
pub(in crate::target) use native::{sparse_registers, thread_registers};
pub(in crate::target) use ucontext::context_registers;
#[cfg(target_arch = "x86_64")]
pub(in crate::target) use xstate::xstate_layout;
pub(in crate::target) use xstate::{area_layout, layout_of};

use crate::target::{Registers, XstateLayout};
use dumpwright_format::context::amd64::{
    CONTEXT_CONTROL, CONTEXT_FLOATING_POINT, CONTEXT_INTEGER, CONTEXT_SEGMENTS, ContextAmd64,
};
use dumpwright_format::elf_core::UserRegsAmd64;
use zerocopy::{FromZeros, IntoBytes};

/// Offset of MXCSR in an FXSAVE area (Intel SDM volume 1, table 10-2).
const FXSAVE_MXCSR: usize = 24;

/// CS of 32-bit code (`__USER32_CS`), whose thread pointer is GS and not FS.
const USER32_CS: u64 = 0x23;

/// Registers as a core has them: the general ones, an FXSAVE area, and an XSAVE
/// area with its layout.
pub(in crate::target) fn registers_of(
    general: &UserRegsAmd64,
    fxsave: Option<&[u8; 512]>,
    extended: Option<(&XstateLayout, &[u8])>,
) -> Registers {
    let mut context = general_context(general);
    if let Some(fxsave) = fxsave {
        set_float_save(&mut context, fxsave);
        add_flags(&mut context, CONTEXT_FLOATING_POINT);
    }
    registers(&context, extended)
}

/// The thread pointer: GS base of 32-bit code, else FS base.
pub(in crate::target) fn thread_pointer(general: &UserRegsAmd64) -> u64 {
    if general.cs.get() == USER32_CS { general.gs_base.get() } else { general.fs_base.get() }
}

fn add_flags(context: &mut ContextAmd64, flags: u32) {
    context.context_flags = (context.context_flags.get() | flags).into();
}

/// Threads of this machine.
#[cfg(target_arch = "x86_64")]
mod native {
    use super::{
        USER32_CS, add_flags, general_context, registers, set_float_save, thread_pointer, xstate,
    };
    use crate::target::linux::arch::ThreadState;
    use crate::target::linux::sys;
    use crate::target::{Registers, Tid, XstateLayout};
    use dumpwright_format::context::amd64::{
        CONTEXT_CONTROL, CONTEXT_DEBUG_REGISTERS, CONTEXT_FLOATING_POINT, ContextAmd64,
    };
    use std::io;
    use zerocopy::FromZeros;

    /// The state of a stopped thread, with extended state behind the registers
    /// where a layout is given.
    ///
    /// # Errors
    /// The thread is gone, or not stopped by the calling OS thread.
    pub(in crate::target) fn thread_registers(
        tid: Tid,
        layout: Option<&XstateLayout>,
    ) -> io::Result<ThreadState> {
        let user = sys::general_registers(tid)?;
        let mut context = general_context(&user);
        // The general registers are what a thread is kept for; where a sandboxed
        // kernel lacks one of the other sets, its flag is left out.
        if let Ok(fxsave) = sys::fxsave_area(tid) {
            set_float_save(&mut context, &fxsave);
            add_flags(&mut context, CONTEXT_FLOATING_POINT);
        }
        if set_debug_registers(&mut context, tid).is_ok() {
            add_flags(&mut context, CONTEXT_DEBUG_REGISTERS);
        }
        let area = layout.and_then(|layout| {
            let mut area = vec![0; xstate::area_size(layout)];
            let len = sys::register_set(tid, sys::NT_X86_XSTATE, &mut area).ok()?;
            area.truncate(len);
            Some((layout, area))
        });
        let extended = area.as_ref().map(|(layout, area)| (*layout, area.as_slice()));
        Ok(ThreadState {
            registers: registers(&context, extended),
            thread_pointer: thread_pointer(&user),
            second_pointer: if user.cs.get() == USER32_CS { 0 } else { user.gs_base.get() },
        })
    }

    /// A context of which only instruction and stack pointer are known.
    pub(in crate::target) fn sparse_registers(ip: u64, sp: u64) -> Registers {
        let mut context = ContextAmd64::new_zeroed();
        context.context_flags = CONTEXT_CONTROL.into();
        context.rip = ip.into();
        context.rsp = sp.into();
        let mut registers = registers(&context, None);
        registers.general = vec![sp];
        registers
    }

    /// Each register is a system call, and a process can have thousands of
    /// threads. So the addresses are asked for only where DR7 switches one on;
    /// without that they mean nothing and stay 0.
    fn set_debug_registers(context: &mut ContextAmd64, tid: Tid) -> io::Result<()> {
        context.dr7 = sys::debug_register(tid, 7)?.into();
        context.dr6 = sys::debug_register(tid, 6)?.into();
        if context.dr7.get() != 0 {
            context.dr0 = sys::debug_register(tid, 0)?.into();
            context.dr1 = sys::debug_register(tid, 1)?.into();
            context.dr2 = sys::debug_register(tid, 2)?.into();
            context.dr3 = sys::debug_register(tid, 3)?.into();
        }
        Ok(())
    }
}

fn general_context(user: &UserRegsAmd64) -> ContextAmd64 {
    let mut c = ContextAmd64::new_zeroed();
    c.context_flags = (CONTEXT_CONTROL | CONTEXT_INTEGER | CONTEXT_SEGMENTS).into();
    c.seg_cs = (user.cs.get() as u16).into();
    c.seg_ds = (user.ds.get() as u16).into();
    c.seg_es = (user.es.get() as u16).into();
    c.seg_fs = (user.fs.get() as u16).into();
    c.seg_gs = (user.gs.get() as u16).into();
    c.seg_ss = (user.ss.get() as u16).into();
    c.e_flags = (user.eflags.get() as u32).into();
    c.rax = user.rax;
    c.rcx = user.rcx;
    c.rdx = user.rdx;
    c.rbx = user.rbx;
    c.rsp = user.rsp;
    c.rbp = user.rbp;
    c.rsi = user.rsi;
    c.rdi = user.rdi;
    c.r8 = user.r8;
    c.r9 = user.r9;
    c.r10 = user.r10;
    c.r11 = user.r11;
    c.r12 = user.r12;
    c.r13 = user.r13;
    c.r14 = user.r14;
    c.r15 = user.r15;
    c.rip = user.rip;
    c
}

fn set_float_save(context: &mut ContextAmd64, fxsave: &[u8; 512]) {
    context.flt_save = *fxsave;
    let mut mx_csr = [0; 4];
    mx_csr.copy_from_slice(&fxsave[FXSAVE_MXCSR..FXSAVE_MXCSR + 4]);
    context.mx_csr = u32::from_le_bytes(mx_csr).into();
}

/// The wire bytes of a context, with extended state behind it where a layout
/// and an XSAVE area are given.
fn registers(context: &ContextAmd64, extended: Option<(&XstateLayout, &[u8])>) -> Registers {
    let c = context;
    let general = [
        c.rax, c.rcx, c.rdx, c.rbx, c.rsp, c.rbp, c.rsi, c.rdi, c.r8, c.r9, c.r10, c.r11, c.r12,
        c.r13, c.r14, c.r15,
    ];
    Registers {
        context: match extended {
            None => context.as_bytes().to_vec(),
            Some((layout, area)) => xstate::extend(context, layout, area),
        },
        instruction_pointer: c.rip.get(),
        stack_pointer: c.rsp.get(),
        general: general.iter().map(|r| r.get()).collect(),
    }
}
