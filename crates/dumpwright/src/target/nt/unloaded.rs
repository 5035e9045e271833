//! The trace of unloaded modules that ntdll keeps (`RtlGetUnloadEventTraceEx`).

use super::{read, read_pointer, utf16};
use crate::target::{MemorySource, UnloadedModuleSnapshot};
use dumpwright_format::nt::{NtOffsets, UNLOAD_NAME_UNITS};
use zerocopy::little_endian::U32;

/// More entries, and larger ones, than any version of ntdll has.
const MOST: u32 = 1024;
const LARGEST: u32 = 4096;

/// Where ntdll keeps its trace: the addresses of three variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceVariables {
    /// Size of an entry.
    pub element_size: u64,
    /// Number of entries.
    pub element_count: u64,
    /// Address of the entries.
    pub trace: u64,
}

/// The modules of the trace. Entries that were never used have no address.
pub(crate) fn modules(
    memory: &dyn MemorySource,
    offsets: &NtOffsets,
    variables: TraceVariables,
) -> Option<Vec<UnloadedModuleSnapshot>> {
    let size: U32 = read(memory, variables.element_size)?;
    let count: U32 = read(memory, variables.element_count)?;
    let (size, count) = (size.get(), count.get());
    if u64::from(size) < offsets.unload_size || size > LARGEST || count > MOST {
        return None;
    }
    let trace = read_pointer(memory, offsets, variables.trace)?;
    if trace == 0 {
        return Some(Vec::new());
    }
    let entries = (0..count)
        .filter_map(|index| trace.checked_add(u64::from(index) * u64::from(size)))
        .filter(|at| at.checked_add(size.into()).is_some())
        .filter_map(|at| entry(memory, offsets, at));
    Some(entries.collect())
}

fn entry(
    memory: &dyn MemorySource,
    offsets: &NtOffsets,
    at: u64,
) -> Option<UnloadedModuleSnapshot> {
    let base = read_pointer(memory, offsets, at).filter(|base| *base != 0)?;
    let number = |offset| read::<U32>(memory, at + offset).map(U32::get);
    let mut name = [0; UNLOAD_NAME_UNITS * 2];
    if !memory.read_exact(at + offsets.unload_image_name, &mut name) {
        return None;
    }
    Some(UnloadedModuleSnapshot {
        base,
        size: read_pointer(memory, offsets, at + offsets.unload_size_of_image)?,
        name: utf16(&name),
        time_date_stamp: number(offsets.unload_time_date_stamp)?,
        check_sum: number(offsets.unload_check_sum)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::fake::FakeMemory;
    use super::*;

    const VARIABLES: TraceVariables =
        TraceVariables { element_size: 0x100, element_count: 0x108, trace: 0x110 };

    #[test]
    fn used_entries_of_the_trace_are_modules_and_unused_ones_are_not() {
        let mut memory = FakeMemory::default();
        memory.put_u32(0x100, 104);
        memory.put_u32(0x108, 2);
        memory.put_u64(0x110, 0x1000);
        memory.put(0x1000, [0; 208]);
        memory.put_u64(0x1000, 0x1800_0000);
        memory.put_u64(0x1008, 0x6000);
        memory.put_u32(0x1014, 0x1234_5678);
        memory.put_u32(0x1018, 0x9abc);
        memory
            .put(0x101C, "gone.dll".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>());
        let found = modules(&memory, &NtOffsets::WIDE, VARIABLES).unwrap();
        assert_eq!(
            found,
            [UnloadedModuleSnapshot {
                base: 0x1800_0000,
                size: 0x6000,
                name: "gone.dll".into(),
                time_date_stamp: 0x1234_5678,
                check_sum: 0x9abc,
            }]
        );
    }

    #[test]
    fn a_trace_at_the_end_of_the_address_space_ends_there() {
        let mut memory = FakeMemory::default();
        let top = u64::MAX - 0x1f;
        memory.put_u32(0x100, 104);
        memory.put_u32(0x108, 2);
        memory.put_u64(0x110, top);
        memory.put(top, [1; 0x1f]);
        assert_eq!(modules(&memory, &NtOffsets::WIDE, VARIABLES), Some(Vec::new()));
    }

    #[test]
    fn a_trace_of_another_shape_is_not_believed() {
        let mut memory = FakeMemory::default();
        memory.put_u32(0x100, 16);
        memory.put_u32(0x108, 64);
        memory.put_u64(0x110, 0x1000);
        assert_eq!(modules(&memory, &NtOffsets::WIDE, VARIABLES), None);
        memory.put_u32(0x100, 104);
        memory.put_u32(0x108, u32::MAX);
        assert_eq!(modules(&memory, &NtOffsets::WIDE, VARIABLES), None);
    }
}
