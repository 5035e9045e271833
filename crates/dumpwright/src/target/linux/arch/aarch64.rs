//! Registers of 64-bit ARM threads as `ARM64_NT_CONTEXT`.

use crate::target::linux::core_head::NoteThread;
use crate::target::linux::sys;
use crate::target::{MemorySource, Registers, Tid, Wants, XstateLayout};
use dumpwright_format::context::arm64::{CONTEXT_ARM64, CONTEXT_FULL, ContextArm64};
use std::io;
use zerocopy::{FromZeros, IntoBytes};

/// `CONTEXT_CONTROL` of winnt.h: FP, LR, SP, PC, CPSR.
const CONTEXT_CONTROL: u32 = CONTEXT_ARM64 | 0x1;
/// `CONTEXT_INTEGER` of winnt.h: X0 to X28.
const CONTEXT_INTEGER: u32 = CONTEXT_ARM64 | 0x2;
/// `CONTEXT_FLOATING_POINT` of winnt.h: V, FPCR, FPSR.
const CONTEXT_FLOATING_POINT: u32 = CONTEXT_ARM64 | 0x4;

/// `struct user_pt_regs` (asm/ptrace.h): X0 to X30, SP, PC, PSTATE.
const PT_REGS_WORDS: usize = 34;
/// `struct user_fpsimd_state` (asm/ptrace.h): V0 to V31, FPSR, FPCR, padding.
const FPSIMD_SIZE: usize = 528;

/// Windows has no extended context for 64-bit ARM.
pub(in crate::target::linux) fn xstate_layout(_wants: &Wants) -> Option<XstateLayout> {
    None
}

/// Registers and thread pointer (`TPIDR_EL0`) of a stopped thread.
///
/// # Errors
/// The thread is gone, or not stopped by the calling OS thread.
pub(in crate::target::linux) fn thread_registers(
    tid: Tid,
    _layout: Option<&XstateLayout>,
) -> io::Result<(Registers, u64)> {
    let mut general = [0; PT_REGS_WORDS * 8];
    let len = sys::register_set(tid, sys::NT_PRSTATUS, &mut general)?;
    if len < general.len() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "it runs 32-bit code, whose registers do not fit an ARM64 context",
        ));
    }
    let mut context = general_context(&general);
    let mut float = [0; FPSIMD_SIZE];
    sys::register_set(tid, sys::NT_PRFPREG, &mut float)?;
    set_float(&mut context, &float[..512], half(&float, 512), half(&float, 516));
    context.context_flags = CONTEXT_FULL.into();
    let mut thread_pointer = [0; 8];
    sys::register_set(tid, sys::NT_ARM_TLS, &mut thread_pointer)?;
    Ok((registers(&context), u64::from_le_bytes(thread_pointer)))
}

/// Registers and thread pointer that the notes of a core hold. `None` if the
/// general registers are not those of a 64-bit thread.
pub(in crate::target::linux) fn note_registers(
    thread: &NoteThread,
    _layout: Option<&XstateLayout>,
) -> Option<(Registers, u64)> {
    let mut context = general_context(thread.general.as_slice().try_into().ok()?);
    context.context_flags = (CONTEXT_CONTROL | CONTEXT_INTEGER).into();
    if let Some(float) = thread.float.first_chunk::<FPSIMD_SIZE>() {
        set_float(&mut context, &float[..512], half(float, 512), half(float, 516));
        context.context_flags = CONTEXT_FULL.into();
    }
    let pointer = thread.thread_pointer.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
    Some((registers(&context), pointer))
}

/// The registers of a `crash_context::CrashContext`.
#[cfg(feature = "crash-context")]
pub(in crate::target::linux) fn crash_registers(crash: &crash_context::CrashContext) -> Registers {
    let general = &crash.context.uc_mcontext;
    let mut context = ContextArm64::new_zeroed();
    for (x, value) in context.x.iter_mut().zip(general.regs) {
        *x = value.into();
    }
    context.sp = general.sp.into();
    context.pc = general.pc.into();
    context.cpsr = (general.pstate as u32).into();
    let float = &crash.float_state;
    for (v, value) in context.v.iter_mut().zip(float.vregs) {
        *v = value.to_le_bytes();
    }
    context.fpsr = float.fpsr.into();
    context.fpcr = float.fpcr.into();
    context.context_flags = CONTEXT_FULL.into();
    registers(&context)
}

/// A context of which only instruction and stack pointer are known.
pub(in crate::target::linux) fn sparse_registers(ip: u64, sp: u64) -> Registers {
    let mut context = ContextArm64::new_zeroed();
    context.context_flags = CONTEXT_CONTROL.into();
    context.pc = ip.into();
    context.sp = sp.into();
    let mut registers = registers(&context);
    registers.general = vec![sp];
    registers
}

/// Reads the `ucontext_t` at `address` (asm/ucontext.h): flags, link and
/// `stack_t` (40 bytes), signal mask padded to 128 bytes, `struct sigcontext`
/// at 176 with the fault address, the registers as in `user_pt_regs`, and at
/// 464 a list of records, of which one holds the vector registers. `None` if
/// the part up to the list cannot be read.
pub(in crate::target::linux) fn context_registers(
    memory: &dyn MemorySource,
    address: u64,
    _layout: Option<&XstateLayout>,
) -> Option<Registers> {
    const REGISTERS: u64 = 176 + 8;
    const RECORDS: u64 = 464;
    let mut general = [0; PT_REGS_WORDS * 8];
    if !memory.read_exact(address.checked_add(REGISTERS)?, &mut general) {
        return None;
    }
    let mut context = general_context(&general);
    context.context_flags = (CONTEXT_CONTROL | CONTEXT_INTEGER).into();
    if let Some(record) = fpsimd_record(memory, address.saturating_add(RECORDS)) {
        set_float(&mut context, &record[16..528], half(&record, 8), half(&record, 12));
        context.context_flags = (context.context_flags.get() | CONTEXT_FLOATING_POINT).into();
    }
    Some(registers(&context))
}

/// Finds `struct fpsimd_context` (asm/sigcontext.h): magic, size, FPSR, FPCR,
/// V0 to V31.
fn fpsimd_record(memory: &dyn MemorySource, mut at: u64) -> Option<[u8; FPSIMD_SIZE]> {
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
            let mut record = [0; FPSIMD_SIZE];
            return memory.read_exact(at, &mut record).then_some(record);
        }
        if size < 8 {
            return None;
        }
        at = at.checked_add(size.into())?;
    }
    None
}

fn general_context(words: &[u8; PT_REGS_WORDS * 8]) -> ContextArm64 {
    let word = |index: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&words[8 * index..8 * index + 8]);
        u64::from_le_bytes(word)
    };
    let mut context = ContextArm64::new_zeroed();
    for (index, x) in context.x.iter_mut().enumerate() {
        *x = word(index).into();
    }
    context.sp = word(31).into();
    context.pc = word(32).into();
    context.cpsr = (word(33) as u32).into();
    context
}

fn set_float(context: &mut ContextArm64, vectors: &[u8], fpsr: u32, fpcr: u32) {
    for (v, bytes) in context.v.iter_mut().zip(vectors.chunks_exact(16)) {
        v.copy_from_slice(bytes);
    }
    context.fpsr = fpsr.into();
    context.fpcr = fpcr.into();
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
