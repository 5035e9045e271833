//! The loader's list of modules, as the PEB leads to it.

use super::{read, read_pointer, read_string};
use crate::target::MemorySource;
use dumpwright_format::nt::NtOffsets;
use std::collections::HashSet;
use zerocopy::little_endian::U32;

/// More entries than any process has; a list that is longer goes in circles.
const MOST: usize = 16 << 10;
/// More bytes than all their paths have.
const MOST_TEXT: usize = 16 << 20;

/// A module as the loader knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoadedModule {
    /// Address of its `LDR_DATA_TABLE_ENTRY`.
    pub entry: u64,
    /// Load address.
    pub base: u64,
    /// Size of the image.
    pub size: u64,
    /// Full path.
    pub path: String,
}

/// The modules in the order they were loaded in, the executable first. Ends
/// where the list cannot be read any further. `None` if there is no list, as in
/// a process that has only just begun.
pub(crate) fn modules(
    memory: &dyn MemorySource,
    offsets: &NtOffsets,
    peb: u64,
) -> Option<Vec<LoadedModule>> {
    let ldr = read_pointer(memory, offsets, peb.checked_add(offsets.peb_ldr)?)?;
    let head = ldr.checked_add(offsets.ldr_load_order).filter(|_| ldr != 0)?;
    let mut modules = Vec::new();
    let mut at = read_pointer(memory, offsets, head)?;
    // A list can lead back into itself, and many entries to one long name.
    let mut seen = HashSet::new();
    let mut text = 0;
    while at != head && at != 0 && seen.insert(at) && seen.len() <= MOST {
        let Some(module) = module(memory, offsets, at) else { break };
        text += module.path.len();
        if text > MOST_TEXT {
            break;
        }
        modules.push(module);
        let Some(next) = read_pointer(memory, offsets, at) else { break };
        at = next;
    }
    // While the loader links the executable in, others may stand before it.
    let image =
        peb.checked_add(offsets.peb_image_base).and_then(|at| read_pointer(memory, offsets, at));
    if let Some(position) = modules.iter().position(|m| Some(m.base) == image) {
        modules[..=position].rotate_right(1);
    }
    (!modules.is_empty()).then_some(modules)
}

fn module(memory: &dyn MemorySource, offsets: &NtOffsets, entry: u64) -> Option<LoadedModule> {
    let field = |offset: u64| entry.checked_add(offset);
    let base = read_pointer(memory, offsets, field(offsets.entry_dll_base)?)?;
    let size: U32 = read(memory, field(offsets.entry_size_of_image)?)?;
    let name =
        |offset| read_string(memory, offsets, field(offset)?).filter(|name| !name.is_empty());
    let path = name(offsets.entry_full_name)
        .or_else(|| name(offsets.entry_base_name))
        .unwrap_or_else(|| format!("image at {base:#x}"));
    Some(LoadedModule { entry, base, size: size.get().into(), path })
}

#[cfg(test)]
mod tests {
    use super::super::fake::FakeMemory;
    use super::*;

    const PEB: u64 = 0x7000;
    const LDR: u64 = 0x8000;

    fn entry(memory: &mut FakeMemory, at: u64, next: u64, base: u64, path: &str) {
        memory.put_u64(at, next);
        memory.put_u64(at + 0x30, base);
        memory.put_u32(at + 0x40, 0x5000);
        memory.put_string(at + 0x48, at + 0x100, path);
    }

    fn process() -> FakeMemory {
        let mut memory = FakeMemory::default();
        memory.put_u64(PEB + 0x10, 0x40_0000);
        memory.put_u64(PEB + 0x18, LDR);
        memory.put_u64(LDR + 0x10, 0x9000);
        entry(&mut memory, 0x9000, 0xA000, 0x7fff_0000, r"C:\windows\ntdll.dll");
        entry(&mut memory, 0xA000, LDR + 0x10, 0x40_0000, r"C:\app.exe");
        memory
    }

    #[test]
    fn modules_are_listed_with_the_executable_first() {
        let found = modules(&process(), &NtOffsets::WIDE, PEB).unwrap();
        let names: Vec<_> = found.iter().map(|m| m.path.as_str()).collect();
        assert_eq!(names, [r"C:\app.exe", r"C:\windows\ntdll.dll"]);
        assert_eq!((found[0].entry, found[0].base, found[0].size), (0xA000, 0x40_0000, 0x5000));
    }

    #[test]
    fn a_list_in_circles_or_cut_short_ends() {
        let mut memory = process();
        memory.put_u64(0xA000, 0x9000);
        assert_eq!(modules(&memory, &NtOffsets::WIDE, PEB).unwrap().len(), 2);
        memory.put_u64(0xA000, 0xdead_0000);
        assert_eq!(modules(&memory, &NtOffsets::WIDE, PEB).unwrap().len(), 2);
        memory.put_u64(PEB + 0x18, 0);
        assert_eq!(modules(&memory, &NtOffsets::WIDE, PEB), None);
    }
}
