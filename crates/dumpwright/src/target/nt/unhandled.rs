//! The exception that no handler took, where nobody named it: a thread is in
//! `UnhandledExceptionFilter`, which starts the debugger of crashes and waits for
//! it. Tested on what Wine's has on its stack (`suite/wine_outside.rs`,
//! `suite/windows_crashes.rs`).

use super::exports;
use super::pe::PeImage;
use super::read;
use crate::address::AddressRange;
use crate::target::{ExceptionSource, MemorySource, ThreadSnapshot};
use dumpwright_format::context::amd64::{CONTEXT_CONTROL, CONTEXT_INTEGER, ContextAmd64};
use dumpwright_format::context::x86::ContextX86;
use dumpwright_format::minidump::EXCEPTION_MAXIMUM_PARAMETERS;
use dumpwright_format::nt::{ExceptionRecord32, ExceptionRecord64};

/// More of a stack than the frames of an exception's handlers take.
const MOST: u64 = 1 << 20;

/// Bytes that the filter has at most, where no unwind table tells.
const LONGEST_FILTER: u32 = 4096;

/// Looks for threads that handle an exception which nobody took.
pub(crate) struct UnhandledFinder<'a> {
    memory: &'a dyn MemorySource,
    is_code: &'a dyn Fn(u64) -> bool,
    is_wide: bool,
    /// The function that is called for exceptions that no handler took.
    filter: AddressRange,
}

/// What a record says.
struct Record {
    code: u32,
    address: u64,
    parameters: u32,
}

/// What a context says.
struct Context {
    flags: u32,
    instruction_pointer: u64,
    stack_pointer: u64,
}

impl<'a> UnhandledFinder<'a> {
    /// Finds the function in `kernelbase`. `is_code` tells the addresses that
    /// threads run at.
    pub fn new(
        memory: &'a dyn MemorySource,
        kernelbase: &PeImage,
        is_code: &'a dyn Fn(u64) -> bool,
    ) -> Option<Self> {
        let start = exports::address_of(memory, kernelbase, "UnhandledExceptionFilter")?;
        let filter = if kernelbase.is_wide {
            kernelbase.function_of(memory, start)?
        } else {
            let rva = u32::try_from(start.checked_sub(kernelbase.base)?).ok()?;
            kernelbase.at(rva, LONGEST_FILTER)?
        };
        Some(UnhandledFinder { memory, is_code, is_wide: kernelbase.is_wide, filter })
    }

    /// Where record and context of the exception are, if the thread is in the
    /// filter, or in what that called: the return address is on the stack, and
    /// further up `EXCEPTION_POINTERS` that lead to a record and to a context
    /// which fit each other.
    pub fn find(&self, thread: &ThreadSnapshot, stack: AddressRange) -> Option<ExceptionSource> {
        let word = self.word();
        let start = thread.registers.stack_pointer.next_multiple_of(word);
        let end = stack.end.min(start.saturating_add(MOST));
        if !stack.contains(start) || start >= end {
            return None;
        }
        let stack = AddressRange::new(start, end);
        let mut bytes = vec![0; stack.len() as usize];
        if !self.memory.read_exact(start, &mut bytes) {
            return None;
        }
        let words = self.words(&bytes);
        let called = words.iter().position(|word| self.filter.contains(*word))?;
        let above = words.get(called..)?;
        let (pair, _) = above.windows(2).zip(called..).find(|(pair, index)| {
            let at = start + word * *index as u64;
            self.fits(stack, at, pair[0], pair[1])
        })?;
        Some(ExceptionSource {
            thread: Some(thread.tid),
            record: Some(pair[0]),
            context: Some(pair[1]),
            ..ExceptionSource::default()
        })
    }

    /// Bytes of an address.
    fn word(&self) -> u64 {
        if self.is_wide { 8 } else { 4 }
    }

    fn words(&self, bytes: &[u8]) -> Vec<u64> {
        if self.is_wide {
            bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect()
        } else {
            bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word).into()).collect()
        }
    }

    /// Whether pointers at `at` lead to a record and its context.
    fn fits(&self, stack: AddressRange, at: u64, record: u64, context: u64) -> bool {
        let is_above = |address: u64| {
            address > at && stack.contains(address) && address.is_multiple_of(self.word())
        };
        if !is_above(record) || !is_above(context) {
            return false;
        }
        let Some(found) = self.record(record) else { return false };
        let Some(registers) = self.context(context) else { return false };
        let kept = CONTEXT_CONTROL | CONTEXT_INTEGER;
        // Warnings and errors; the rest is no exception that ends a process.
        found.code >> 31 == 1
            && found.parameters as usize <= EXCEPTION_MAXIMUM_PARAMETERS
            && registers.flags & kept & 0xFFFF == kept & 0xFFFF
            && registers.stack_pointer > context
            && stack.contains(registers.stack_pointer)
            && (found.address == registers.instruction_pointer
                || (self.is_code)(registers.instruction_pointer))
    }

    fn record(&self, at: u64) -> Option<Record> {
        Some(if self.is_wide {
            let r: ExceptionRecord64 = read(self.memory, at)?;
            let parameters = r.number_parameters.get();
            Record { code: r.code.get(), address: r.address.get(), parameters }
        } else {
            let r: ExceptionRecord32 = read(self.memory, at)?;
            let parameters = r.number_parameters.get();
            Record { code: r.code.get(), address: r.address.get().into(), parameters }
        })
    }

    fn context(&self, at: u64) -> Option<Context> {
        Some(if self.is_wide {
            let c: ContextAmd64 = read(self.memory, at)?;
            Context {
                flags: c.context_flags.get(),
                instruction_pointer: c.rip.get(),
                stack_pointer: c.rsp.get(),
            }
        } else {
            let c: ContextX86 = read(self.memory, at)?;
            Context {
                flags: c.context_flags.get(),
                instruction_pointer: c.eip.get().into(),
                stack_pointer: c.esp.get().into(),
            }
        })
    }
}
