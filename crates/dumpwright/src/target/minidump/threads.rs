//! Threads and the exception.

use crate::address::AddressRange;
use crate::read::{
    Minidump, ReadResult, Registers as ReadRegisters, Thread, ThreadInfo, decode_context,
};
use crate::soft_error::SoftError;
use crate::target::{
    ExceptionSnapshot, FileTime, Registers, ThreadRecords, ThreadSnapshot, ThreadTimes, Tid,
};
use dumpwright_format::context::amd64::{
    CONTEXT_AMD64, CONTEXT_FLOATING_POINT, CONTEXT_XSTATE, ContextAmd64,
};
use dumpwright_format::minidump::{
    self as wire, PROCESSOR_ARCHITECTURE_AMD64, THREAD_INFO_INVALID_INFO,
};
use std::collections::HashMap;
use std::mem::offset_of;

/// `CONTEXT_*` bits beyond those that name the architecture.
const XSTATE_BIT: u32 = CONTEXT_XSTATE & !CONTEXT_AMD64;

/// Reads contexts, with extended state or without.
pub(super) struct Contexts<'a> {
    pub dump: &'a Minidump,
    pub processor_architecture: u16,
    pub extended: bool,
}

impl Contexts<'_> {
    /// The registers at a place; without any where there is no context.
    pub(super) fn read(
        &self,
        context: crate::read::Location,
        subject: &dyn Fn() -> String,
        notes: &mut Vec<SoftError>,
    ) -> (Registers, bool) {
        let mut note = |message: String| notes.push(SoftError::new(subject(), message));
        if context.size == 0 {
            note("the source has no registers of it".into());
            return (Registers::none(), false);
        }
        let mut bytes = match self.dump.context_bytes(context) {
            Ok(bytes) => bytes,
            Err(error) => {
                note(format!("its registers cannot be read: {error}"));
                return (Registers::none(), false);
            }
        };
        if self.processor_architecture == PROCESSOR_ARCHITECTURE_AMD64 && fill_up(&mut bytes) {
            note("its context ends early in the source: what is not there is zero".into());
        }
        let Some(decoded) = decode_context(self.processor_architecture, &bytes) else {
            note("its registers cannot be made out and are carried as they are".into());
            return (Registers { context: bytes, ..Registers::none() }, false);
        };
        let has_extended = decoded.extended.is_some();
        if has_extended && !self.extended {
            without_extended_state(&mut bytes);
        }
        (registers(bytes, &decoded), has_extended)
    }
}

/// Fills a `CONTEXT` of x86-64 up with zeros that has its general registers and ends
/// behind them, as LLDB's do: readers find no registers in a shorter one. Its flags
/// then say what is there. Returns whether that was needed.
fn fill_up(context: &mut Vec<u8>) -> bool {
    const WHOLE: usize = size_of::<ContextAmd64>();
    let general_end = offset_of!(ContextAmd64, rip) + size_of::<u64>();
    let vectors_end = offset_of!(ContextAmd64, vector_register);
    if !(general_end..WHOLE).contains(&context.len()) {
        return false;
    }
    if context.len() < vectors_end {
        clear_flags(context, CONTEXT_FLOATING_POINT & !CONTEXT_AMD64);
    }
    context.resize(WHOLE, 0);
    true
}

/// Takes what stands behind a `CONTEXT` of x86-64 away.
fn without_extended_state(context: &mut Vec<u8>) {
    context.truncate(size_of::<ContextAmd64>());
    clear_flags(context, XSTATE_BIT);
}

/// Clears bits of `ContextFlags`.
fn clear_flags(context: &mut [u8], bits: u32) {
    let at = offset_of!(ContextAmd64, context_flags);
    if let Some(flags) = context.get_mut(at..at + 4) {
        let value = u32::from_le_bytes([flags[0], flags[1], flags[2], flags[3]]);
        flags.copy_from_slice(&(value & !bits).to_le_bytes());
    }
}

fn registers(context: Vec<u8>, decoded: &ReadRegisters) -> Registers {
    Registers {
        context,
        instruction_pointer: decoded.instruction_pointer,
        stack_pointer: decoded.stack_pointer,
        general: decoded.general.iter().map(|(_, value)| *value).collect(),
    }
}

/// The threads, what further the dump says of them, and whether any context has
/// extended state.
pub(super) struct Threads {
    pub list: Vec<ThreadSnapshot>,
    pub records: Vec<ThreadRecords>,
    pub extended: bool,
}

pub(super) fn threads(
    contexts: &Contexts<'_>,
    stored: &[Thread],
    names: Option<Vec<crate::read::ThreadName>>,
    infos: Option<Vec<ThreadInfo>>,
    notes: &mut Vec<SoftError>,
) -> Threads {
    let mut names: HashMap<u32, String> =
        names.into_iter().flatten().filter_map(|name| Some((name.thread_id, name.name?))).collect();
    let infos: HashMap<u32, ThreadInfo> =
        infos.into_iter().flatten().map(|info| (info.thread_id, info)).collect();
    let mut out = Threads { list: Vec::new(), records: Vec::new(), extended: false };
    for thread in stored {
        let subject = || format!("thread {}", thread.thread_id);
        let (registers, extended) = contexts.read(thread.context, &subject, notes);
        let info = infos.get(&thread.thread_id);
        out.extended |= extended;
        out.list.push(ThreadSnapshot {
            tid: Tid(thread.thread_id),
            name: names.remove(&thread.thread_id).unwrap_or_default(),
            registers,
            thread_pointer: thread.teb,
            stack: (thread.stack.size > 0)
                .then(|| AddressRange::with_len(thread.stack_start, thread.stack.size)),
            suspend_count: thread.suspend_count,
            priority: thread.priority as i32,
            info: info.filter(|i| i.dump_flags & THREAD_INFO_INVALID_INFO == 0).map(times),
            local_storage: Vec::new(),
        });
        out.records.push(ThreadRecords {
            priority_class: thread.priority_class,
            info: info.map(stored_info),
        });
    }
    out
}

fn times(info: &ThreadInfo) -> ThreadTimes {
    ThreadTimes {
        create_time: FileTime(info.create_time),
        kernel_time: info.kernel_time,
        user_time: info.user_time,
        start_address: Some(info.start_address),
        affinity: info.affinity,
    }
}

fn stored_info(info: &ThreadInfo) -> wire::ThreadInfo {
    wire::ThreadInfo {
        thread_id: info.thread_id.into(),
        dump_flags: info.dump_flags.into(),
        dump_error: info.dump_error.into(),
        exit_status: info.exit_status.into(),
        create_time: info.create_time.into(),
        exit_time: info.exit_time.into(),
        kernel_time: info.kernel_time.into(),
        user_time: info.user_time.into(),
        start_address: info.start_address.into(),
        affinity: info.affinity.into(),
    }
}

/// The exception, and the address of a chained one.
pub(super) fn exception(
    contexts: &Contexts<'_>,
    stored: ReadResult<Option<crate::read::Exception>>,
    notes: &mut Vec<SoftError>,
) -> Option<(ExceptionSnapshot, u64)> {
    let exception = super::system::or_note("exception", stored, notes)?;
    let (registers, _) = contexts.read(exception.context, &|| "exception".into(), notes);
    let snapshot = ExceptionSnapshot {
        tid: Tid(exception.thread_id),
        code: exception.code,
        flags: exception.flags,
        address: exception.address,
        parameters: exception.parameters,
        registers,
    };
    Some((snapshot, exception.nested_record))
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::{FromZeros, IntoBytes};

    #[test]
    fn a_context_without_its_extended_state_does_not_claim_it() {
        let mut context = ContextAmd64::new_zeroed();
        context.context_flags = (CONTEXT_XSTATE | 0x1F).into();
        let mut bytes = context.as_bytes().to_vec();
        bytes.extend([7; 600]);
        without_extended_state(&mut bytes);
        assert_eq!(bytes.len(), size_of::<ContextAmd64>());
        assert_eq!(bytes[0x30..0x34], (CONTEXT_AMD64 | 0x1F).to_le_bytes());
    }
}
