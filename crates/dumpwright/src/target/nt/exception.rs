//! The exception that a request names: `EXCEPTION_POINTERS`, `EXCEPTION_RECORD`,
//! `CONTEXT` or `JIT_DEBUG_INFO` in the target's memory.

use super::registers::registers;
use super::{read, read_pointer};
use crate::error::{Error, Result};
use crate::target::{
    Architecture, ExceptionSnapshot, ExceptionSource, MemorySource, Registers, ThreadSnapshot, Tid,
};
use dumpwright_format::context::amd64::ContextAmd64;
use dumpwright_format::context::arm64::ContextArm64;
use dumpwright_format::context::x86::ContextX86;
use dumpwright_format::minidump::EXCEPTION_MAXIMUM_PARAMETERS;
use dumpwright_format::nt::{ExceptionRecord32, ExceptionRecord64, JitDebugInfo, NtOffsets};

/// What a request for an exception is answered from.
pub(crate) struct Evidence<'a> {
    pub architecture: Architecture,
    pub offsets: &'a NtOffsets,
    pub memory: &'a dyn MemorySource,
    pub threads: &'a [ThreadSnapshot],
}

/// A record, of either width.
struct Record {
    code: u32,
    flags: u32,
    address: u64,
    parameters: Vec<u64>,
}

impl Evidence<'_> {
    /// The exception that `source` names; `None` if it names none.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if something of it cannot be read, or its
    /// thread is not one of the process.
    pub(crate) fn exception(&self, source: &ExceptionSource) -> Result<Option<ExceptionSnapshot>> {
        if !source.is_given() {
            return Ok(None);
        }
        let source = match source.jit_debug_info {
            Some(at) => self.told_to_a_debugger(at, source)?,
            None => *source,
        };
        let (record, context) = match source.pointers {
            Some(at) => {
                let pointer = |at| {
                    read_pointer(self.memory, self.offsets, at)
                        .ok_or_else(|| unreadable("EXCEPTION_POINTERS", "-xp", at))
                };
                let context = at.saturating_add(self.offsets.pointer);
                (Some(pointer(at)?), Some(pointer(context)?))
            }
            None => (source.record, source.context),
        };
        let record = match record {
            Some(at) => {
                Some(self.record(at).ok_or_else(|| unreadable("EXCEPTION_RECORD", "-xr", at))?)
            }
            None => None,
        };
        let context = match context {
            Some(at) => Some(self.context(at).ok_or_else(|| unreadable("CONTEXT", "-xc", at))?),
            None => None,
        };
        let thread = self.thread(source.thread, context.as_ref())?;
        let registers = context.unwrap_or_else(|| thread.registers.clone());
        let record = record.unwrap_or_else(|| Record {
            code: 0,
            flags: 0,
            address: registers.instruction_pointer,
            parameters: Vec::new(),
        });
        Ok(Some(ExceptionSnapshot {
            tid: thread.tid,
            code: record.code,
            flags: record.flags,
            address: record.address,
            parameters: record.parameters,
            registers,
        }))
    }

    /// What a `JIT_DEBUG_INFO` says, but for what `source` has itself.
    fn told_to_a_debugger(&self, at: u64, source: &ExceptionSource) -> Result<ExceptionSource> {
        let info: JitDebugInfo = read(self.memory, at)
            .filter(|info: &JitDebugInfo| info.size.get() as usize == size_of::<JitDebugInfo>())
            .ok_or_else(|| unreadable("JIT_DEBUG_INFO", "-j", at))?;
        Ok(ExceptionSource {
            thread: source.thread.or(Some(Tid(info.thread_id.get()))),
            record: source.record.or(Some(info.exception_record.get())),
            context: source.context.or(Some(info.context_record.get())),
            ..*source
        })
    }

    /// The thread that is named; else the one whose stack the context is on.
    fn thread(&self, named: Option<Tid>, context: Option<&Registers>) -> Result<&ThreadSnapshot> {
        if let Some(tid) = named {
            return self.threads.iter().find(|t| t.tid == tid).ok_or_else(|| {
                Error::InvalidRequest(format!("-xt {tid}: the process has no such thread"))
            });
        }
        let owner = context.and_then(|registers| {
            self.threads
                .iter()
                .find(|t| t.stack.is_some_and(|stack| stack.contains(registers.stack_pointer)))
        });
        owner.ok_or_else(|| {
            Error::InvalidRequest(
                "the exception's context is on no thread's stack; name its thread with -xt".into(),
            )
        })
    }

    fn record(&self, at: u64) -> Option<Record> {
        if self.offsets.pointer == 8 {
            let r: ExceptionRecord64 = read(self.memory, at)?;
            let count = (r.number_parameters.get() as usize).min(EXCEPTION_MAXIMUM_PARAMETERS);
            Some(Record {
                code: r.code.get(),
                flags: r.flags.get(),
                address: r.address.get(),
                parameters: r.information.iter().take(count).map(|p| p.get()).collect(),
            })
        } else {
            let r: ExceptionRecord32 = read(self.memory, at)?;
            let count = (r.number_parameters.get() as usize).min(EXCEPTION_MAXIMUM_PARAMETERS);
            Some(Record {
                code: r.code.get(),
                flags: r.flags.get(),
                address: r.address.get().into(),
                parameters: r.information.iter().take(count).map(|p| p.get().into()).collect(),
            })
        }
    }

    /// The fixed part of a `CONTEXT`: extended state behind it is where
    /// `CONTEXT_EX` says, which a context in memory need not have.
    fn context(&self, at: u64) -> Option<Registers> {
        /// `CONTEXT_XSTATE` of x86 and x86-64; a bit of no meaning on ARM64.
        const XSTATE: u32 = 0x40;
        let (size, flags_at) = match self.architecture {
            Architecture::Amd64 => (size_of::<ContextAmd64>(), 48),
            Architecture::X86 => (size_of::<ContextX86>(), 0),
            Architecture::Arm64 => (size_of::<ContextArm64>(), 0),
        };
        let mut context = vec![0; size];
        if !self.memory.read_exact(at, &mut context) {
            return None;
        }
        // The dump's context has nothing behind it, and must not say it had.
        context[flags_at] &= !(XSTATE as u8);
        registers(self.architecture, context)
    }
}

fn unreadable(what: &str, option: &str, at: u64) -> Error {
    Error::InvalidRequest(format!(
        "the {what} that {option} names cannot be read at {at:#x}; give its address in the target"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::fake::FakeMemory;
    use super::*;
    use crate::address::AddressRange;

    fn thread(tid: u32, stack: AddressRange) -> ThreadSnapshot {
        ThreadSnapshot {
            tid: Tid(tid),
            name: String::new(),
            registers: registers(Architecture::Amd64, vec![0; 1232]).unwrap(),
            thread_pointer: 0,
            stack: Some(stack),
            suspend_count: 0,
            priority: 0,
            info: None,
            local_storage: Vec::new(),
        }
    }

    fn crashed() -> FakeMemory {
        let mut memory = FakeMemory::default();
        memory.put_u64(0x100, 0x200);
        memory.put_u64(0x108, 0x400);
        memory.put(0x200, [0; 152]);
        memory.put_u32(0x200, 0xC000_0005);
        memory.put_u64(0x210, 0x1234);
        memory.put_u32(0x218, 2);
        memory.put_u64(0x220, 1);
        memory.put_u64(0x228, 0xdead);
        memory.put(0x400, [0; 1232]);
        memory.put_u32(0x400 + 48, 0x10_004F);
        memory.put_u64(0x400 + 0x98, 0x9_0800);
        memory.put_u64(0x400 + 0xF8, 0x1234);
        memory
    }

    #[test]
    fn exception_pointers_lead_to_record_context_and_thread() {
        let threads = [
            thread(8, AddressRange::new(0x8_0000, 0x9_0000)),
            thread(12, AddressRange::new(0x9_0000, 0xA_0000)),
        ];
        let memory = crashed();
        let evidence = Evidence {
            architecture: Architecture::Amd64,
            offsets: &NtOffsets::WIDE,
            memory: &memory,
            threads: &threads,
        };
        let source = ExceptionSource { pointers: Some(0x100), ..ExceptionSource::default() };
        let found = evidence.exception(&source).unwrap().unwrap();
        assert_eq!(found.tid, Tid(12));
        assert_eq!((found.code, found.address), (0xC000_0005, 0x1234));
        assert_eq!(found.parameters, [1, 0xdead]);
        assert_eq!(found.registers.instruction_pointer, 0x1234);
        assert_eq!(found.registers.context[48], 0x0F);
    }

    #[test]
    fn what_windows_tells_a_debugger_names_record_context_and_thread() {
        let threads = [
            thread(8, AddressRange::new(0x8_0000, 0x9_0000)),
            thread(12, AddressRange::new(0x9_0000, 0xA_0000)),
        ];
        let mut memory = crashed();
        memory.put(0x900, [0; 40]);
        memory.put_u32(0x900, 40);
        memory.put_u32(0x908, 8);
        memory.put_u64(0x918, 0x200);
        memory.put_u64(0x920, 0x400);
        let evidence = Evidence {
            architecture: Architecture::Amd64,
            offsets: &NtOffsets::WIDE,
            memory: &memory,
            threads: &threads,
        };
        let at = |at| ExceptionSource { jit_debug_info: Some(at), ..ExceptionSource::default() };
        let found = evidence.exception(&at(0x900)).unwrap().unwrap();
        assert_eq!((found.tid, found.code, found.address), (Tid(8), 0xC000_0005, 0x1234));
        assert_eq!(found.registers.instruction_pointer, 0x1234);
        // Not of the size that it must say, and not there at all.
        for wrong in [0x908, 0xF000] {
            let error = evidence.exception(&at(wrong)).unwrap_err().to_string();
            assert!(error.contains("JIT_DEBUG_INFO") && error.contains("-j"), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_read_or_has_no_thread_is_an_error_of_the_request() {
        let memory = crashed();
        let evidence = Evidence {
            architecture: Architecture::Amd64,
            offsets: &NtOffsets::WIDE,
            memory: &memory,
            threads: &[],
        };
        let at = |pointers| ExceptionSource { pointers, ..ExceptionSource::default() };
        assert!(evidence.exception(&at(None)).unwrap().is_none());
        for source in [at(Some(0xF000)), at(Some(0x100))] {
            assert!(matches!(evidence.exception(&source), Err(Error::InvalidRequest(_))));
        }
    }
}
