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

#[cfg(test)]
mod tests {
    use super::super::fake::FakeMemory;
    use super::super::registers::registers;
    use super::*;
    use crate::target::{Architecture, Tid};

    const FILTER: std::ops::Range<u64> = 0x7000..0x7100;
    const CODE: u64 = 0x4000;

    /// A thread with the stack pointer at 0x1_0000, of a stack to 0x1_2000.
    fn thread(architecture: Architecture) -> (ThreadSnapshot, AddressRange) {
        let (size, at) = match architecture {
            Architecture::X86 => (size_of::<ContextX86>(), 0xC4),
            _ => (size_of::<ContextAmd64>(), 0x98),
        };
        let mut context = vec![0; size];
        context[at..at + 4].copy_from_slice(&0x1_0000_u32.to_le_bytes());
        let stack = AddressRange::new(0x0F000, 0x1_2000);
        let thread = ThreadSnapshot {
            tid: Tid(7),
            name: String::new(),
            registers: registers(architecture, context).unwrap(),
            thread_pointer: 0,
            stack: Some(stack),
            suspend_count: 0,
            priority: 0,
            info: None,
            local_storage: Vec::new(),
        };
        (thread, stack)
    }

    fn find(memory: &FakeMemory, architecture: Architecture) -> Option<ExceptionSource> {
        let is_code = |address| address == CODE;
        let is_wide = architecture == Architecture::Amd64;
        let filter = AddressRange::new(FILTER.start, FILTER.end);
        let finder = UnhandledFinder { memory, is_code: &is_code, is_wide, filter };
        let (thread, stack) = thread(architecture);
        finder.find(&thread, stack)
    }

    /// The filter's frame, `EXCEPTION_POINTERS`, record and context of an access
    /// violation at `CODE`.
    fn crashed(architecture: Architecture) -> FakeMemory {
        let mut memory = FakeMemory::default();
        memory.put(0x1_0000, vec![0; 0x2000]);
        if architecture == Architecture::Amd64 {
            memory.put_u64(0x1_0080, 0x7020);
            memory.put_u64(0x1_0100, 0x1_0200);
            memory.put_u64(0x1_0108, 0x1_0400);
            memory.put_u64(0x1_0210, CODE);
            memory.put_u32(0x1_0400 + 48, 0x10_000F);
            memory.put_u64(0x1_0400 + 0x98, 0x1_1000);
            memory.put_u64(0x1_0400 + 0xF8, CODE);
        } else {
            memory.put_u32(0x1_0080, 0x7020);
            memory.put_u32(0x1_0100, 0x1_0200);
            memory.put_u32(0x1_0104, 0x1_0400);
            memory.put_u32(0x1_020C, CODE as u32);
            memory.put_u32(0x1_0400, 0x1_000F);
            memory.put_u32(0x1_0400 + 0xC4, 0x1_1000);
            memory.put_u32(0x1_0400 + 0xB8, CODE as u32);
        }
        memory.put_u32(0x1_0200, 0xC000_0005);
        memory
    }

    #[test]
    fn an_exception_that_nobody_took_is_found_on_the_stack_of_its_thread() {
        for architecture in [Architecture::Amd64, Architecture::X86] {
            let found = find(&crashed(architecture), architecture).unwrap();
            assert_eq!(found.thread, Some(Tid(7)));
            assert_eq!((found.record, found.context), (Some(0x1_0200), Some(0x1_0400)));
        }
    }

    #[test]
    fn what_only_looks_like_an_exception_is_none() {
        for (at, word) in [
            // Nobody called the filter.
            (0x1_0080, 0x7200),
            // Pointers to below the frame.
            (0x1_0100, 0x1_0000),
            // A code that is no warning and no error.
            (0x1_0200, 5),
            // A context of another stack.
            (0x1_0400 + 0x98, 0x9_0000),
            // A record of another place, and a context outside of any code.
            (0x1_0400 + 0xF8, 0x6666),
        ] {
            let mut memory = crashed(Architecture::Amd64);
            memory.put_u32(at, word);
            assert_eq!(find(&memory, Architecture::Amd64), None, "{at:#x}");
        }
    }
}
