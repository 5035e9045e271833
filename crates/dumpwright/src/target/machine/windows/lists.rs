//! Lists of the kernel: modules, unloaded modules, processes.

use super::kernel::KernelImage;
use crate::soft_error::SoftError;
use crate::target::machine::{
    AddressSpace, Gva, KernelModule, KernelProcess, MachineSnapshot, UnloadedKernelModule,
};
use dumpwright_format::kernel::DebuggerData;
use dumpwright_format::machine::windows::{
    KldrDataTableEntry64, UNLOADED_DRIVERS, UnicodeString64, UnloadedDriver64,
};
use std::collections::HashSet;
use zerocopy::{FromBytes, IntoBytes};

/// Bytes of a module's entry that are kept, up to its time stamp.
const ENTRY_SIZE: usize = 0xa0;
/// Entries that a list may have.
const MAX_MODULES: usize = 4096;
const MAX_PROCESSES: usize = 65_536;
/// Bytes of a module's name: a path of Windows.
const MAX_NAME: usize = 1024;

/// Fills in the lists.
pub(super) fn fill(
    space: &AddressSpace<'_>,
    data: &DebuggerData,
    kernel: Option<&KernelImage>,
    snapshot: &mut MachineSnapshot,
) {
    let head = snapshot.loaded_module_list;
    let entries = walk(space, head, MAX_MODULES, "modules", &mut snapshot.soft_errors);
    snapshot.modules = entries.into_iter().filter_map(|entry| module(space, entry)).collect();
    snapshot.unloaded_modules = unloaded(space, data);
    processes(space, data, kernel, snapshot);
}

/// Addresses of the entries of a list, the links at their start. A list that
/// does not come back to its head is cut where it stops making sense.
fn walk(
    space: &AddressSpace<'_>,
    head: Gva,
    most: usize,
    name: &str,
    soft_errors: &mut Vec<SoftError>,
) -> Vec<Gva> {
    let mut entries = Vec::new();
    if head.0 == 0 {
        return entries;
    }
    let mut seen = HashSet::from([head]);
    let mut at = space.read_u64(head).map(Gva);
    let fault = loop {
        match at {
            Some(entry) if entry == head => return entries,
            Some(_) if entries.len() == most => break "is longer than any",
            Some(entry) if !seen.insert(entry) => break "leads into itself",
            Some(entry) => {
                entries.push(entry);
                at = space.read_u64(entry).map(Gva);
            }
            None => break "leads to memory that is not there",
        }
    };
    // The last one is where it went wrong.
    if fault == "leads to memory that is not there" {
        entries.pop();
    }
    soft_errors.push(SoftError::new(
        format!("list of {name}"),
        format!("it {fault} after {} entries, and is cut there", entries.len()),
    ));
    entries
}

fn module(space: &AddressSpace<'_>, at: Gva) -> Option<KernelModule> {
    let entry: KldrDataTableEntry64 = space.read_as(at)?;
    let full = text(space, &entry.full_dll_name).filter(|name| !name.is_empty());
    let name = full.or_else(|| text(space, &entry.base_dll_name)).unwrap_or_default();
    Some(KernelModule {
        entry: at,
        base: Gva(entry.dll_base.get()),
        size: entry.size_of_image.get(),
        name,
        // Behind what is wired stands the image's time stamp, in most builds.
        entry_bytes: space.read_bytes(at, ENTRY_SIZE).unwrap_or_else(|| entry.as_bytes().to_vec()),
    })
}

fn text(space: &AddressSpace<'_>, string: &UnicodeString64) -> Option<String> {
    let len = usize::from(string.length.get()).min(MAX_NAME) & !1;
    let bytes = space.read_bytes(Gva(string.buffer.get()), len)?;
    let units: Vec<u16> =
        bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    Some(String::from_utf16_lossy(&units))
}

/// Modules that were unloaded, the last one first, as debuggers list them.
fn unloaded(space: &AddressSpace<'_>, data: &DebuggerData) -> Vec<UnloadedKernelModule> {
    const SIZE: usize = size_of::<UnloadedDriver64>();
    let array = Gva(data.mm_unloaded_drivers.get());
    let last = Gva(data.mm_last_unloaded_driver.get());
    if array.0 == 0 || last.0 == 0 {
        return Vec::new();
    }
    let next = space.read_u32(last).unwrap_or(0) as usize % UNLOADED_DRIVERS;
    let bytes = space
        .read_u64(array)
        .filter(|array| *array != 0)
        .and_then(|array| space.read_bytes(Gva(array), SIZE * UNLOADED_DRIVERS))
        .unwrap_or_default();
    let entries: Vec<UnloadedDriver64> = bytes
        .chunks_exact(SIZE)
        .filter_map(|e| UnloadedDriver64::read_from_bytes(e).ok())
        .collect();
    let (after, before) = entries.split_at(next.min(entries.len()));
    let newest_first = after.iter().rev().chain(before.iter().rev());
    newest_first
        .filter(|entry| entry.start_address.get() != 0)
        .map(|entry| UnloadedKernelModule {
            start: Gva(entry.start_address.get()),
            end: Gva(entry.end_address.get()),
            name: text(space, &entry.name).unwrap_or_default(),
        })
        .collect()
}

fn processes(
    space: &AddressSpace<'_>,
    data: &DebuggerData,
    kernel: Option<&KernelImage>,
    snapshot: &mut MachineSnapshot,
) {
    let head = snapshot.active_process_head;
    let entries = walk(space, head, MAX_PROCESSES, "processes", &mut snapshot.soft_errors);
    let Some(first) = entries.first() else { return };
    // The system process is the first in the list, and exported: so far into it
    // its links are.
    let system = kernel
        .and_then(|kernel| kernel.export(space, "PsInitialSystemProcess"))
        .and_then(|at| space.read_u64(at));
    let links = system.and_then(|system| first.0.checked_sub(system));
    let size = u64::from(data.size_eprocess.get());
    let Some(links) = links.filter(|links| *links < size.max(0x1000)) else {
        snapshot.soft_errors.push(SoftError::new(
            "processes",
            "the system process is not the first in the list of processes, so the list cannot be read",
        ));
        return;
    };
    let offset = |field: zerocopy::little_endian::U16| u64::from(field.get());
    let (table, peb) =
        (offset(data.offset_eprocess_directory_table_base), offset(data.offset_eprocess_peb));
    let field = |process: u64, offset: u64| {
        let at = process.checked_add(offset).filter(|_| offset != 0);
        at.and_then(|at| space.read_u64(Gva(at))).unwrap_or_default()
    };
    snapshot.processes = entries
        .iter()
        .filter_map(|entry| entry.0.checked_sub(links))
        .map(|process| KernelProcess {
            eprocess: Gva(process),
            directory_table_base: field(process, table),
            peb: Gva(field(process, peb)),
        })
        .collect();
}
