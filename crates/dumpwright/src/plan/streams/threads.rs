//! ThreadList, ThreadNames and ThreadInfoList.

use crate::address::{AddressRange, RangeSet};
use crate::plan::Context;
use crate::plan::assembly::{Assembly, FixupKind, Section};
use crate::plan::filter_text::Privacy;
use crate::plan::stacks::Stack;
use crate::target::{ProcessSnapshot, ThreadSnapshot, Tid};
use dumpwright_format::minidump::{
    LocationDescriptor, MemoryDescriptor, STILL_ACTIVE, StreamType, THREAD_INFO_INVALID_INFO,
    Thread, ThreadInfo, ThreadInfoList, ThreadName,
};
use std::collections::HashMap;
use std::mem::{offset_of, size_of};
use zerocopy::little_endian::U32;

const NOWHERE: LocationDescriptor = LocationDescriptor { data_size: U32::ZERO, rva: U32::ZERO };

pub(super) fn thread_list(
    context: &Context<'_>,
    stacks: &[Stack],
    memory: &RangeSet,
    out: &mut Assembly,
) {
    let snapshot = context.snapshot;
    let described: HashMap<Tid, AddressRange> =
        stacks.iter().filter(|s| s.described).map(|s| (s.tid, s.live)).collect();
    let priority_class = snapshot.process.nt.as_ref().map_or(0, |nt| nt.priority_class);
    let mut section = Section::new();
    section.put(&U32::new(snapshot.threads.len() as u32));
    for (index, thread) in snapshot.threads.iter().enumerate() {
        let records = snapshot.original.as_ref().and_then(|original| original.threads.get(index));
        // A budget may have left nothing of the stack, or only its beginning.
        let stack = described.get(&thread.tid).and_then(|live| memory.within(*live).next());
        let at = section.put(&Thread {
            thread_id: thread.tid.0.into(),
            suspend_count: thread.suspend_count.into(),
            priority_class: records.map_or(priority_class, |records| records.priority_class).into(),
            priority: (thread.priority as u32).into(),
            teb: thread.thread_pointer.into(),
            stack: MemoryDescriptor {
                start_of_memory_range: stack.map_or(0, |s| s.start).into(),
                memory: NOWHERE,
            },
            thread_context: NOWHERE,
        });
        if let Some(stack) = stack {
            let location = offset_of!(Thread, stack) + offset_of!(MemoryDescriptor, memory);
            section.fix(at + location, FixupKind::Memory(stack));
        }
        if !thread.registers.context.is_empty() {
            let shown = context.registers(&thread.registers).into_owned();
            let registers = out.blob(Section::from_bytes(shown));
            section.fix(at + offset_of!(Thread, thread_context), FixupKind::Location(registers));
        }
    }
    out.stream(StreamType::THREAD_LIST, section);
}

/// Only threads that have a name are listed, and counted.
pub(super) fn thread_names(snapshot: &ProcessSnapshot, privacy: Privacy, out: &mut Assembly) {
    if !snapshot.has.thread_names {
        return;
    }
    let program = snapshot.program_name();
    let shown = |thread: &ThreadSnapshot| privacy.thread_name(&thread.name, program).into_owned();
    let named = snapshot.threads.iter().map(|thread| (thread, shown(thread)));
    let named: Vec<_> = named.filter(|(_, name)| !name.is_empty()).collect();
    let mut section = Section::new();
    section.put(&U32::new(named.len() as u32));
    for (thread, name) in named {
        let name = out.string(&name);
        let at = section
            .put(&ThreadName { thread_id: thread.tid.0.into(), rva_of_thread_name: 0.into() });
        section.fix(at + offset_of!(ThreadName, rva_of_thread_name), FixupKind::Rva64(name));
    }
    out.stream(StreamType::THREAD_NAMES, section);
}

pub(super) fn thread_info_list(snapshot: &ProcessSnapshot, out: &mut Assembly) {
    let mut section = Section::new();
    section.put(&ThreadInfoList {
        size_of_header: (size_of::<ThreadInfoList>() as u32).into(),
        size_of_entry: (size_of::<ThreadInfo>() as u32).into(),
        number_of_entries: (snapshot.threads.len() as u32).into(),
    });
    for (index, thread) in snapshot.threads.iter().enumerate() {
        let records = snapshot.original.as_ref().and_then(|original| original.threads.get(index));
        if let Some(info) = records.and_then(|records| records.info) {
            section.put(&info);
            continue;
        }
        let info = thread.info.unwrap_or_default();
        let dump_flags = if thread.info.is_some() { 0 } else { THREAD_INFO_INVALID_INFO };
        section.put(&ThreadInfo {
            thread_id: thread.tid.0.into(),
            dump_flags: dump_flags.into(),
            dump_error: 0.into(),
            exit_status: STILL_ACTIVE.into(),
            create_time: info.create_time.0.into(),
            exit_time: 0.into(),
            kernel_time: info.kernel_time.into(),
            user_time: info.user_time.into(),
            start_address: info.start_address.unwrap_or(0).into(),
            affinity: info.affinity.into(),
        });
    }
    out.stream(StreamType::THREAD_INFO_LIST, section);
}
