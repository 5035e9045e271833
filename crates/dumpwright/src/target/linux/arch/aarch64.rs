//! Registers of 64-bit ARM threads as `ARM64_NT_CONTEXT`.

use crate::target::{MemorySource, Registers};
use dumpwright_format::context::arm64::{CONTEXT_ARM64, ContextArm64};
use dumpwright_format::elf_core::{FpsimdState, UserRegsArm64};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

#[cfg(target_arch = "aarch64")]
pub(in crate::target) use native::{sparse_registers, thread_registers, xstate_layout};

/// `CONTEXT_CONTROL` of winnt.h: FP, LR, SP, PC, CPSR.
const CONTEXT_CONTROL: u32 = CONTEXT_ARM64 | 0x1;
/// `CONTEXT_INTEGER` of winnt.h: X0 to X28.
const CONTEXT_INTEGER: u32 = CONTEXT_ARM64 | 0x2;
/// `CONTEXT_FLOATING_POINT` of winnt.h: V, FPCR, FPSR.
const CONTEXT_FLOATING_POINT: u32 = CONTEXT_ARM64 | 0x4;

/// Registers as a core or `ptrace` has them.
pub(in crate::target) fn registers_of(
    general: &UserRegsArm64,
    float: Option<&FpsimdState>,
) -> Registers {
    let mut context = general_context(general);
    context.context_flags = (CONTEXT_CONTROL | CONTEXT_INTEGER).into();
    if let Some(float) = float {
        context.v = float.v;
        context.fpsr = float.fpsr;
        context.fpcr = float.fpcr;
        context.context_flags = (context.context_flags.get() | CONTEXT_FLOATING_POINT).into();
    }
    registers(&context)
}

/// The registers of a `crash_context::CrashContext`.
#[cfg(all(feature = "crash-context", target_arch = "aarch64"))]
pub(in crate::target::linux) fn crash_registers(crash: &crash_context::CrashContext) -> Registers {
    let from = &crash.context.uc_mcontext;
    let mut general = UserRegsArm64::new_zeroed();
    for (x, value) in general.x.iter_mut().zip(from.regs) {
        *x = value.into();
    }
    general.sp = from.sp.into();
    general.pc = from.pc.into();
    general.pstate = from.pstate.into();
    let mut float = FpsimdState::new_zeroed();
    for (v, value) in float.v.iter_mut().zip(crash.float_state.vregs) {
        *v = value.to_le_bytes();
    }
    float.fpsr = crash.float_state.fpsr.into();
    float.fpcr = crash.float_state.fpcr.into();
    registers_of(&general, Some(&float))
}

/// Threads of this machine.
#[cfg(target_arch = "aarch64")]
mod native {
    use super::{CONTEXT_CONTROL, registers, registers_of};
    use crate::target::linux::arch::ThreadState;
    use crate::target::linux::sys;
    use crate::target::{Registers, Tid, Wants, XstateLayout};
    use dumpwright_format::context::arm64::ContextArm64;
    use dumpwright_format::elf_core::{FpsimdState, UserRegsArm64};
    use std::io;
    use zerocopy::{FromZeros, IntoBytes};

    /// Windows has no extended context for 64-bit ARM.
    pub(in crate::target) fn xstate_layout(_wants: &Wants) -> Option<XstateLayout> {
        None
    }

    /// Registers and thread pointer (`TPIDR_EL0`) of a stopped thread.
    ///
    /// # Errors
    /// The thread is gone, or not stopped by the calling OS thread.
    pub(in crate::target) fn thread_registers(
        tid: Tid,
        _layout: Option<&XstateLayout>,
    ) -> io::Result<ThreadState> {
        let mut general = UserRegsArm64::new_zeroed();
        let len = sys::register_set(tid, sys::NT_PRSTATUS, general.as_mut_bytes())?;
        if len < size_of::<UserRegsArm64>() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "it runs 32-bit code, whose registers do not fit an ARM64 context",
            ));
        }
        let mut float = FpsimdState::new_zeroed();
        sys::register_set(tid, sys::NT_PRFPREG, float.as_mut_bytes())?;
        let mut thread_pointer = [0; 8];
        sys::register_set(tid, sys::NT_ARM_TLS, &mut thread_pointer)?;
        Ok(ThreadState {
            registers: registers_of(&general, Some(&float)),
            thread_pointer: u64::from_le_bytes(thread_pointer),
            second_pointer: 0,
        })
    }

    /// A context of which only instruction and stack pointer are known.
    pub(in crate::target) fn sparse_registers(ip: u64, sp: u64) -> Registers {
        let mut context = ContextArm64::new_zeroed();
        context.context_flags = CONTEXT_CONTROL.into();
        context.pc = ip.into();
        context.sp = sp.into();
        let mut registers = registers(&context);
        registers.general = vec![sp];
        registers
    }
}

/// Reads the `ucontext_t` at `address` (asm/ucontext.h): flags, link and
/// `stack_t` (40 bytes), signal mask padded to 128 bytes, `struct sigcontext`
/// at 176 with the fault address, the registers as in `user_pt_regs`, and at
/// 464 a list of records, of which one holds the vector registers. `None` if
/// the part up to the list cannot be read.
pub(in crate::target) fn context_registers(
    memory: &dyn MemorySource,
    address: u64,
) -> Option<Registers> {
    const REGISTERS: u64 = 176 + 8;
    const RECORDS: u64 = 464;
    let mut general = UserRegsArm64::new_zeroed();
    if !memory.read_exact(address.checked_add(REGISTERS)?, general.as_mut_bytes()) {
        return None;
    }
    let float = fpsimd_record(memory, address.saturating_add(RECORDS));
    Some(registers_of(&general, float.as_ref()))
}

/// Finds `struct fpsimd_context` (asm/sigcontext.h): magic, size, FPSR, FPCR,
/// V0 to V31.
fn fpsimd_record(memory: &dyn MemorySource, mut at: u64) -> Option<FpsimdState> {
    const FPSIMD_MAGIC: u32 = 0x4650_8001;
    /// `sizeof(sigcontext.__reserved)`
    const MAX_RECORDS: u64 = 4096;
    let end = at.checked_add(MAX_RECORDS)?;
    while at < end {
        let mut head = [0; 8];
        if !memory.read_exact(at, &mut head) {
            return None;
        }
        let size = half(&head, 4);
        if half(&head, 0) == FPSIMD_MAGIC {
            let mut record = [0; 16 + 512];
            if !memory.read_exact(at, &mut record) {
                return None;
            }
            let mut state = FpsimdState::new_zeroed();
            let (v, _) = <[[u8; 16]; 32]>::ref_from_prefix(&record[16..]).ok()?;
            state.v = *v;
            state.fpsr = half(&record, 8).into();
            state.fpcr = half(&record, 12).into();
            return Some(state);
        }
        if size < 8 {
            return None;
        }
        at = at.checked_add(size.into())?;
    }
    None
}

fn general_context(general: &UserRegsArm64) -> ContextArm64 {
    let mut context = ContextArm64::new_zeroed();
    context.x = general.x;
    context.sp = general.sp;
    context.pc = general.pc;
    context.cpsr = (general.pstate.get() as u32).into();
    context
}

fn registers(context: &ContextArm64) -> Registers {
    Registers {
        context: context.as_bytes().to_vec(),
        instruction_pointer: context.pc.get(),
        stack_pointer: context.sp.get(),
        general: context.x.iter().chain([&context.sp]).map(|r| r.get()).collect(),
    }
}

fn half(bytes: &[u8], at: usize) -> u32 {
    let mut half = [0; 4];
    half.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(half)
}
