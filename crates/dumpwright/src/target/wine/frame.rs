//! The Windows registers of a thread that is not in Windows code: what it
//! entered a system call with, or what a signal interrupted.
//!
//! Where Wine keeps them is no interface. So a place is believed only if what
//! stands there is possible: the instruction pointer in Windows code, the stack
//! pointer on the Windows stack, the segments those of 64-bit code.

use super::teb::Teb;
use crate::address::AddressRange;
use crate::target::linux::arch::x86_64::{context_registers, registers_of};
use crate::target::nt::read;
use crate::target::{MemorySource, Registers, XstateLayout};
use dumpwright_format::context::amd64::{CONTEXT_DEBUG_REGISTERS, CONTEXT_SEGMENTS, ContextAmd64};
use dumpwright_format::elf_core::UserRegsAmd64;
use dumpwright_format::wine::{
    FRAME_FXSAVE, FRAME_SIZE, FRAME_XSAVE_HEADER, SyscallFrame, TEB_BLOCK, TEB_BLOCK_HEAD,
    TEB_SYSCALL_FRAME, TEB_WINE_DATA, TEB_WINE_DATA_SIZE,
};
use zerocopy::{FromBytes, FromZeros};

/// Selectors of 64-bit code and its stack on Linux (`__USER_CS`, `__USER_DS`).
const USER_CS: u16 = 0x33;
const USER_SS: u16 = 0x2B;
/// More than any thread's stack of system calls has (Wine gives it 1 MiB).
const SYSCALL_STACK: u64 = 2 << 20;
/// The feature bit of the YMM registers' upper halves, where the standard form
/// of an XSAVE area has them, and their size.
const YMM: u64 = 1 << 2;
const YMM_AT: usize = 576;
const YMM_SIZE: usize = 256;

/// What is needed to look for registers.
pub(super) struct FrameFinder<'a> {
    pub memory: &'a dyn MemorySource,
    pub layout: Option<&'a XstateLayout>,
    /// Whether an address is in Windows code.
    pub is_windows_code: &'a dyn Fn(u64) -> bool,
}

/// A frame that a system call was entered with.
pub(super) struct Found {
    /// Where it is.
    pub at: u64,
    pub registers: Registers,
}

impl FrameFinder<'_> {
    /// The registers that the thread, whose stack pointer is `stack_pointer` on
    /// the Unix side, entered its system call with.
    pub fn system_call(&self, teb: &Teb, stack_pointer: u64) -> Option<Found> {
        let usual = self.pointer(teb.address.checked_add(TEB_SYSCALL_FRAME)?);
        let others = (0..TEB_WINE_DATA_SIZE / 8)
            .filter_map(|index| self.pointer(teb.address.checked_add(TEB_WINE_DATA + 8 * index)?));
        // Frames are pushed: what is above the stack pointer is in use.
        usual
            .into_iter()
            .chain(others)
            .filter(|at| *at > stack_pointer && at - stack_pointer < SYSCALL_STACK)
            .find_map(|at| Some(Found { at, registers: self.frame(teb, at)? }))
    }

    fn pointer(&self, at: u64) -> Option<u64> {
        self.memory.read_u64(at).filter(|value| *value != 0 && value % 16 == 0)
    }

    fn frame(&self, teb: &Teb, at: u64) -> Option<Registers> {
        let frame: SyscallFrame = read(self.memory, at)?;
        let possible = frame.cs.get() == USER_CS
            && frame.ss.get() == USER_SS
            && (self.is_windows_code)(frame.rip.get())
            && teb.has_on_stack(frame.rsp.get());
        if !possible {
            return None;
        }
        let mut area = vec![0; YMM_AT + YMM_SIZE];
        let saved = AddressRange::with_len(at, FRAME_SIZE);
        let mut bytes = vec![0; saved.len() as usize];
        if !self.memory.read_exact(saved.start, &mut bytes) {
            return Some(registers_of(&general(&frame), None, None));
        }
        let fxsave: &[u8; 512] = bytes[FRAME_FXSAVE as usize..].first_chunk()?;
        area[..512].copy_from_slice(fxsave);
        // Header and YMM registers stand as in an XSAVE area.
        let (header, ymm) = bytes[FRAME_XSAVE_HEADER as usize..].split_at(YMM_AT - 512);
        let mut mask = [0; 8];
        mask.copy_from_slice(&header[..8]);
        let mask = u64::from_le_bytes(mask) & YMM;
        area[512..520].copy_from_slice(&(mask | 3).to_le_bytes());
        if mask != 0 {
            area[YMM_AT..].copy_from_slice(&ymm[..YMM_SIZE]);
        }
        let extended = self.layout.map(|layout| (layout, area.as_slice()));
        Some(registers_of(&general(&frame), Some(fxsave), extended))
    }

    /// The registers that a signal interrupted, if the thread is on the stack
    /// of its signal handlers.
    pub fn interrupted(&self, teb: &Teb, stack_pointer: u64) -> Option<Registers> {
        let stack = signal_stack(teb);
        if !stack.contains(stack_pointer) {
            return None;
        }
        let start = stack_pointer & !7;
        let mut bytes = vec![0; (stack.end - start) as usize];
        if !self.memory.read_exact(start, &mut bytes) {
            return None;
        }
        let at = find_ucontext(&bytes, start, stack)?;
        context_registers(self.memory, at, self.layout)
    }
}

/// Where a thread's signal handlers run: behind its TEB.
pub(super) fn signal_stack(teb: &Teb) -> AddressRange {
    let end = (teb.address & !(TEB_BLOCK - 1)).saturating_add(TEB_BLOCK);
    AddressRange::new(teb.address.saturating_add(TEB_BLOCK_HEAD).min(end), end)
}

/// The last `ucontext_t` (asm/ucontext.h) on the signal stack, whose bytes from
/// `start` on these are: it has no link, says that this is the stack, and has
/// its floating-point state behind it, where the kernel puts it.
fn find_ucontext(bytes: &[u8], start: u64, stack: AddressRange) -> Option<u64> {
    const STACK: usize = 16;
    const STACK_SIZE: usize = 32;
    const FPSTATE: usize = 40 + 184;
    let word = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let is_one = |at: usize| {
        let address = start + at as u64;
        let own = word(at + STACK)?;
        let size = word(at + STACK_SIZE)?;
        let float = word(at + FPSTATE)?;
        let inside = |value: u64| value >= stack.start && value < stack.end;
        let is_one = word(at)? < 16
            && word(at + 8)? == 0
            && own <= address
            && own >= stack.end - TEB_BLOCK
            && size >= 0x1000
            && own.saturating_add(size) <= stack.end
            && inside(float)
            && float > address
            && float % 64 == 0;
        is_one.then_some(address)
    };
    (0..bytes.len()).step_by(8).find_map(is_one)
}

fn general(frame: &SyscallFrame) -> UserRegsAmd64 {
    let mut user = UserRegsAmd64::new_zeroed();
    let [r8, r9, r10, r11, r12, r13, r14, r15] = frame.r8_to_r15;
    (user.rax, user.rbx, user.rcx, user.rdx) = (frame.rax, frame.rbx, frame.rcx, frame.rdx);
    (user.rsi, user.rdi, user.rbp, user.rsp) = (frame.rsi, frame.rdi, frame.rbp, frame.rsp);
    (user.r8, user.r9, user.r10, user.r11) = (r8, r9, r10, r11);
    (user.r12, user.r13, user.r14, user.r15) = (r12, r13, r14, r15);
    user.rip = frame.rip;
    user.eflags = frame.eflags;
    user.cs = u64::from(frame.cs.get()).into();
    user.ss = u64::from(frame.ss.get()).into();
    user
}

/// Completes registers that memory told with those that only the processor
/// has, from the thread's own: debug registers and data segments.
pub(super) fn complete(registers: &mut Registers, own: &Registers) {
    let Ok((own, _)) = ContextAmd64::read_from_prefix(&own.context) else { return };
    let Ok((context, _)) = ContextAmd64::mut_from_prefix(&mut registers.context) else { return };
    let flags = own.context_flags.get() & (CONTEXT_DEBUG_REGISTERS | CONTEXT_SEGMENTS);
    context.context_flags = (context.context_flags.get() | flags).into();
    (context.seg_ds, context.seg_es) = (own.seg_ds, own.seg_es);
    (context.seg_fs, context.seg_gs) = (own.seg_fs, own.seg_gs);
    (context.dr0, context.dr1, context.dr2) = (own.dr0, own.dr1, own.dr2);
    (context.dr3, context.dr6, context.dr7) = (own.dr3, own.dr6, own.dr7);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::nt::fake::FakeMemory;
    use crate::target::{Pid, Tid};

    const TEB: Teb = Teb {
        address: 0x6_0000,
        peb: 0x5_0000,
        pid: Pid(32),
        tid: Tid(36),
        stack_limit: 0x20_0000,
        stack_base: 0x22_0000,
    };
    const FRAME: u64 = 0x31_FC00;

    fn finder(memory: &FakeMemory) -> FrameFinder<'_> {
        let is_windows_code = &|address: u64| (0x1_7000_0000..0x1_7001_0000).contains(&address);
        FrameFinder { memory, layout: None, is_windows_code }
    }

    fn in_a_call(rip: u64, rsp: u64) -> FakeMemory {
        let mut memory = FakeMemory::default();
        memory.put(TEB.address + TEB_WINE_DATA, vec![0; TEB_WINE_DATA_SIZE as usize]);
        memory.put_u64(TEB.address + TEB_SYSCALL_FRAME, FRAME);
        memory.put(FRAME, vec![0; FRAME_SIZE as usize]);
        memory.put_u64(FRAME + 0x08, 0xB);
        memory.put_u64(FRAME + 0x70, rip);
        memory.put_u64(FRAME + 0x78, USER_CS.into());
        memory.put_u64(FRAME + 0x88, rsp);
        memory.put(FRAME + 0x90, USER_SS.to_le_bytes());
        memory
    }

    #[test]
    fn a_system_call_s_frame_has_the_windows_registers() {
        let memory = in_a_call(0x1_7000_E3A4, 0x21_F9E8);
        let found = finder(&memory).system_call(&TEB, 0x31_F860).unwrap();
        assert_eq!((found.at, found.registers.stack_pointer), (FRAME, 0x21_F9E8));
        assert_eq!(found.registers.instruction_pointer, 0x1_7000_E3A4);
        // RBX is the fourth of a context's registers.
        assert_eq!(found.registers.general[3], 0xB);
        assert!(finder(&memory).system_call(&TEB, FRAME + 8).is_none(), "a call that is over");
    }

    #[test]
    fn a_frame_elsewhere_in_wine_s_part_of_the_teb_is_found_too() {
        let mut memory = in_a_call(0x1_7000_E3A4, 0x21_F9E8);
        memory.put_u64(TEB.address + TEB_SYSCALL_FRAME, 0);
        memory.put_u64(TEB.address + 0x378, FRAME);
        assert_eq!(finder(&memory).system_call(&TEB, 0x31_F860).unwrap().at, FRAME);
    }

    #[test]
    fn a_frame_that_leads_out_of_windows_code_or_stack_is_not_believed() {
        for (rip, rsp) in [(0x7F00_0000_0000, 0x21_F9E8), (0x1_7000_E3A4, 0x31_F860)] {
            assert!(finder(&in_a_call(rip, rsp)).system_call(&TEB, 0x31_F860).is_none());
        }
    }

    #[test]
    fn a_signal_frame_on_the_handlers_stack_has_what_was_interrupted() {
        let mut memory = FakeMemory::default();
        let stack = signal_stack(&TEB);
        assert_eq!((stack.start, stack.end), (0x6_3800, 0x7_0000));
        let (start, context, float) = (0x6_E000, 0x6_E100, 0x6_E400);
        memory.put(start, vec![0; (stack.end - start) as usize]);
        memory.put_u64(context, 7);
        memory.put_u64(context + 16, stack.start);
        memory.put_u64(context + 32, stack.end - stack.start);
        memory.put_u64(context + 40 + 8 * 15, 0x21_F000);
        memory.put_u64(context + 40 + 8 * 16, 0x1_7000_1000);
        memory.put_u64(context + 40 + 184, float);
        let found = finder(&memory).interrupted(&TEB, start).unwrap();
        assert_eq!(found.instruction_pointer, 0x1_7000_1000);
        assert_eq!(found.stack_pointer, 0x21_F000);
        assert!(finder(&memory).interrupted(&TEB, 0x21_F000).is_none(), "not on that stack");
        memory.put_u64(context + 40 + 184, 0x1_0000);
        assert!(finder(&memory).interrupted(&TEB, start).is_none(), "its state is elsewhere");
    }
}
