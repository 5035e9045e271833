//! What PROCESS_THREAD_DATA means on Windows: PEB, process parameters,
//! environment and the loader's list; TEBs and thread-local storage.

use super::loader::LoadedModule;
use super::pe::TlsTemplate;
use super::{read, read_pointer};
use crate::address::{AddressRange, RangeSet};
use crate::target::MemorySource;
use dumpwright_format::nt::NtOffsets;
use zerocopy::little_endian::U32;

/// More bytes than the parameters or the environment of any process have.
const MOST: u64 = 1 << 20;
/// The slots of `TlsAlloc` beyond the first 64.
const EXPANSION_SLOTS: u64 = 1024;

/// The PEB and what it leads to.
pub(crate) fn process_data(
    memory: &dyn MemorySource,
    offsets: &NtOffsets,
    peb: u64,
    modules: &[LoadedModule],
) -> Vec<AddressRange> {
    let mut ranges = vec![AddressRange::with_len(peb, offsets.peb_size)];
    let follow = |offset: u64| {
        let pointer = read_pointer(memory, offsets, peb.checked_add(offset)?);
        pointer.filter(|pointer| *pointer != 0)
    };
    if let Some(ldr) = follow(offsets.peb_ldr) {
        ranges.push(AddressRange::with_len(ldr, offsets.ldr_size));
    }
    for module in modules {
        ranges.push(AddressRange::with_len(module.entry, offsets.entry_size));
        ranges.extend(text_at(
            memory,
            offsets,
            module.entry.saturating_add(offsets.entry_full_name),
        ));
    }
    if let Some(parameters) = follow(offsets.peb_process_parameters) {
        let length: Option<U32> = read(memory, parameters);
        let length = length.map_or(0, U32::get).into();
        ranges.push(AddressRange::with_len(parameters, MOST.min(length)));
        ranges.extend(environment(memory, offsets, parameters));
    }
    distinct(ranges)
}

/// The ranges without what is empty or said twice.
fn distinct(ranges: Vec<AddressRange>) -> Vec<AddressRange> {
    let set: RangeSet = ranges.into_iter().filter(|range| !range.is_empty()).collect();
    set.ranges().iter().collect()
}

/// The text of a `UNICODE_STRING`.
fn text_at(memory: &dyn MemorySource, offsets: &NtOffsets, at: u64) -> Option<AddressRange> {
    let length: zerocopy::little_endian::U16 = read(memory, at)?;
    let buffer = read_pointer(memory, offsets, at.checked_add(offsets.string_buffer)?)?;
    (buffer != 0).then(|| AddressRange::with_len(buffer, u64::from(length.get())))
}

fn environment(
    memory: &dyn MemorySource,
    offsets: &NtOffsets,
    parameters: u64,
) -> Option<AddressRange> {
    let field = |offset: u64| read_pointer(memory, offsets, parameters.checked_add(offset)?);
    let start = field(offsets.parameters_environment).filter(|start| *start != 0)?;
    let size = field(offsets.parameters_environment_size).unwrap_or(0).min(MOST);
    Some(AddressRange::with_len(start, size))
}

/// Where a thread's stack is, as its TEB says.
pub(crate) fn stack(
    memory: &dyn MemorySource,
    offsets: &NtOffsets,
    teb: u64,
) -> Option<AddressRange> {
    let field = |offset: u64| read_pointer(memory, offsets, teb.checked_add(offset)?);
    let start = field(offsets.teb_deallocation_stack)?;
    let end = field(offsets.teb_stack_base)?;
    (start != 0 && start < end).then(|| AddressRange::new(start, end))
}

/// A thread's TEB and its thread-local storage.
pub(crate) fn thread_data(
    memory: &dyn MemorySource,
    offsets: &NtOffsets,
    teb: u64,
    templates: &[TlsTemplate],
) -> Vec<AddressRange> {
    let mut ranges = vec![AddressRange::with_len(teb, offsets.teb_size)];
    let field = |offset: u64| {
        let pointer = read_pointer(memory, offsets, teb.checked_add(offset)?);
        pointer.filter(|pointer| *pointer != 0)
    };
    if let Some(expansion) = field(offsets.teb_tls_expansion) {
        ranges.push(AddressRange::with_len(expansion, EXPANSION_SLOTS * offsets.pointer));
    }
    if let Some(array) = field(offsets.teb_tls_pointer) {
        for template in templates {
            let Some(index) = read::<U32>(memory, template.index) else { continue };
            let slot = array.saturating_add(u64::from(index.get()) * offsets.pointer);
            let Some(copy) = read_pointer(memory, offsets, slot).filter(|copy| *copy != 0) else {
                continue;
            };
            ranges.push(AddressRange::with_len(slot, offsets.pointer));
            ranges.push(AddressRange::with_len(copy, template.size));
        }
    }
    distinct(ranges)
}

#[cfg(test)]
mod tests {
    use super::super::fake::FakeMemory;
    use super::*;

    const OFFSETS: &NtOffsets = &NtOffsets::WIDE;

    #[test]
    fn a_teb_leads_to_stack_and_thread_local_storage() {
        let mut memory = FakeMemory::default();
        memory.put_u64(0x10_0008, 0x20_0000);
        memory.put_u64(0x10_0000 + 0x1478, 0x1F_0000);
        memory.put_u64(0x10_0058, 0x30_0000);
        memory.put_u32(0x40_0000, 3);
        memory.put_u64(0x30_0018, 0x31_0000);
        assert_eq!(
            stack(&memory, OFFSETS, 0x10_0000),
            Some(AddressRange::new(0x1F_0000, 0x20_0000))
        );
        let template = TlsTemplate { index: 0x40_0000, size: 0x28 };
        let gone = TlsTemplate { index: 0x50_0000, size: 0x28 };
        assert_eq!(
            thread_data(&memory, OFFSETS, 0x10_0000, &[template, gone]),
            [
                AddressRange::new(0x10_0000, 0x10_2000),
                AddressRange::new(0x30_0018, 0x30_0020),
                AddressRange::new(0x31_0000, 0x31_0028),
            ]
        );
    }

    #[test]
    fn a_peb_leads_to_parameters_and_environment() {
        let mut memory = FakeMemory::default();
        memory.put_u64(0x1020, 0x5000);
        memory.put_u32(0x5000, 0x600);
        memory.put_u64(0x5080, 0x9000);
        memory.put_u64(0x53F0, 0x123);
        let found = process_data(&memory, OFFSETS, 0x1000, &[]);
        assert_eq!(
            found,
            [
                AddressRange::new(0x1000, 0x17C8),
                AddressRange::new(0x5000, 0x5600),
                AddressRange::new(0x9000, 0x9123),
            ]
        );
    }
}
