//! What a process under Wine stopped for, where nobody named it: a signal that
//! is about to end it, or an exception that no handler took.

use super::code::function_of;
use super::teb::Teb;
use crate::address::AddressRange;
use crate::target::nt::exports;
use crate::target::nt::pe::PeImage;
use crate::target::nt::read;
use crate::target::{
    ExceptionSnapshot, ExceptionSource, MemorySource, Registers, ThreadSnapshot, Tid,
};
use dumpwright_format::context::amd64::{CONTEXT_CONTROL, CONTEXT_INTEGER, ContextAmd64};
use dumpwright_format::minidump::EXCEPTION_MAXIMUM_PARAMETERS;
use dumpwright_format::nt::ExceptionRecord64;

/// More of a stack than the frames of an exception's handlers take.
const MOST: u64 = 1 << 20;

/// `STATUS_*` for a signal that ends the process.
fn code(signal: u32) -> u32 {
    const SIGILL: u32 = 4;
    const SIGTRAP: u32 = 5;
    const SIGBUS: u32 = 7;
    const SIGFPE: u32 = 8;
    const SIGSEGV: u32 = 11;
    match signal {
        // STATUS_ILLEGAL_INSTRUCTION
        SIGILL => 0xC000_001D,
        // STATUS_BREAKPOINT
        SIGTRAP => 0x8000_0003,
        // STATUS_ACCESS_VIOLATION
        SIGSEGV | SIGBUS => 0xC000_0005,
        // STATUS_FLOAT_INVALID_OPERATION
        SIGFPE => 0xC000_0090,
        // STATUS_FATAL_APP_EXIT
        _ => 0x4000_0015,
    }
}

/// The exception that a signal is to thread `tid`, whose Windows registers are
/// `registers`. The signal and its code are the parameters.
pub(super) fn of_signal(
    signal: &ExceptionSnapshot,
    tid: Tid,
    registers: &Registers,
) -> ExceptionSnapshot {
    ExceptionSnapshot {
        tid,
        code: code(signal.code),
        flags: 0,
        address: signal.registers.instruction_pointer,
        parameters: vec![signal.code.into(), signal.flags.into()],
        registers: registers.clone(),
    }
}

/// Looks for threads that handle an exception which nobody took.
pub(super) struct UnhandledFinder<'a> {
    pub memory: &'a dyn MemorySource,
    pub is_windows_code: &'a dyn Fn(u64) -> bool,
    /// The function that is called for exceptions that no handler took.
    filter: AddressRange,
}

impl<'a> UnhandledFinder<'a> {
    /// Finds the function in `kernelbase`.
    pub fn new(
        memory: &'a dyn MemorySource,
        kernelbase: &PeImage,
        is_windows_code: &'a dyn Fn(u64) -> bool,
    ) -> Option<Self> {
        let start = exports::address_of(memory, kernelbase, "UnhandledExceptionFilter")?;
        let filter = function_of(memory, kernelbase, start)?;
        Some(UnhandledFinder { memory, is_windows_code, filter })
    }

    /// Where record and context of the exception are, if the thread is in the
    /// filter, or in what that called: the return address is on the stack, and
    /// further up `EXCEPTION_POINTERS` that lead to a record and to a context
    /// which fit each other.
    pub fn find(&self, thread: &ThreadSnapshot, teb: &Teb) -> Option<ExceptionSource> {
        let start = thread.registers.stack_pointer.next_multiple_of(8);
        let end = teb.stack_base.min(start.saturating_add(MOST));
        if !teb.has_on_stack(start) || start >= end {
            return None;
        }
        let stack = AddressRange::new(start, end);
        let mut bytes = vec![0; stack.len() as usize];
        if !self.memory.read_exact(start, &mut bytes) {
            return None;
        }
        let (words, _) = bytes.as_chunks::<8>();
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let called = words.iter().position(|word| self.filter.contains(*word))?;
        let above = words.get(called..)?;
        let pair = above.windows(2).zip(called..).find(|(pair, index)| {
            let at = start + 8 * *index as u64;
            self.fits(stack, at, pair[0], pair[1])
        })?;
        Some(ExceptionSource {
            thread: Some(thread.tid),
            record: Some(pair.0[0]),
            context: Some(pair.0[1]),
            ..ExceptionSource::default()
        })
    }

    /// Whether pointers at `at` lead to a record and its context.
    fn fits(&self, stack: AddressRange, at: u64, record: u64, context: u64) -> bool {
        let is_above =
            |address: u64| address > at && stack.contains(address) && address.is_multiple_of(8);
        if !is_above(record) || !is_above(context) {
            return false;
        }
        let Some(found) = read::<ExceptionRecord64>(self.memory, record) else { return false };
        let Some(registers) = read::<ContextAmd64>(self.memory, context) else { return false };
        let kept = CONTEXT_CONTROL | CONTEXT_INTEGER;
        let stack_pointer = registers.rsp.get();
        // Warnings and errors; the rest is no exception that ends a process.
        found.code.get() >> 31 == 1
            && found.number_parameters.get() as usize <= EXCEPTION_MAXIMUM_PARAMETERS
            && registers.context_flags.get() & kept == kept
            && stack_pointer > context
            && stack.contains(stack_pointer)
            && (found.address.get() == registers.rip.get()
                || (self.is_windows_code)(registers.rip.get()))
    }
}
