//! Virtual addresses of the guest: its page tables, walked.
//!
//! Tables are foreign bytes. A translation reads one entry a level and so ends
//! whatever they hold; a search of a range has a budget of tables.

use super::page_table::{Shape, Step};
use super::{Gpa, Gva, MachineArchitecture, PhysicalMemory};
use std::ops::{ControlFlow, Range};

/// An address space.
#[derive(Clone, Copy)]
pub struct AddressSpace<'a> {
    memory: &'a dyn PhysicalMemory,
    shape: &'static Shape,
    root: u64,
}

impl std::fmt::Debug for AddressSpace<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AddressSpace").field("root", &Gpa(self.root)).finish_non_exhaustive()
    }
}

/// Where an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The physical address.
    pub gpa: Gpa,
    /// Bytes of the page: 4 KiB, or a large one.
    pub page_size: u64,
}

impl<'a> AddressSpace<'a> {
    /// The address space that `root` (CR3, or TTBR1 on ARM64) names.
    pub fn new(
        memory: &'a dyn PhysicalMemory,
        architecture: MachineArchitecture,
        root: u64,
    ) -> Self {
        let shape = Shape::of(architecture);
        AddressSpace { memory, shape, root: shape.root(root) }
    }

    /// The space behind another root in the same memory.
    pub fn other(&self, root: u64) -> AddressSpace<'a> {
        AddressSpace { root: self.shape.root(root), ..*self }
    }

    /// The physical memory.
    pub fn memory(&self) -> &'a dyn PhysicalMemory {
        self.memory
    }

    /// The root of the tables, without flags.
    pub fn root(&self) -> u64 {
        self.root
    }

    /// Where an address leads; `None` if nothing is there, or only on disk.
    /// Pages that Windows took from a process and still has (transition) are
    /// there.
    pub fn translate(&self, at: Gva) -> Option<Translation> {
        if !self.is_canonical(at.0) {
            return None;
        }
        let mut table = self.root;
        for (level, &(shift, bits)) in self.shape.levels.iter().enumerate() {
            let index = at.0 >> shift & ((1 << bits) - 1);
            match self.shape.step(level, self.entry(table, index)?) {
                Step::Table(next) => table = next,
                Step::Page(base) => {
                    let page_size = 1 << shift;
                    let gpa = Gpa((base & !(page_size - 1)) | at.0 & (page_size - 1));
                    return Some(Translation { gpa, page_size });
                }
                Step::Nothing => return None,
            }
        }
        None
    }

    /// How its tables are built.
    pub(crate) fn shape(&self) -> &'static Shape {
        self.shape
    }

    fn is_canonical(&self, at: u64) -> bool {
        match self.shape.width {
            32 => at >> 32 == 0,
            width => matches!((at as i64) >> (width - 1), 0 | -1),
        }
    }

    fn entry(&self, table: u64, index: u64) -> Option<u64> {
        let at = Gpa(table.checked_add(index * self.shape.entry)?);
        let mut entry = [0; 8];
        let found = self.memory.read_exact(at, &mut entry[..self.shape.entry as usize]);
        found.then(|| u64::from_le_bytes(entry))
    }

    /// Reads exactly `buf.len()` bytes; `false`, with nothing promised of `buf`,
    /// if any of them is not there.
    pub fn read(&self, at: Gva, buf: &mut [u8]) -> bool {
        let mut done = 0;
        while done < buf.len() {
            let Some(here) = at.0.checked_add(done as u64) else { return false };
            let Some(found) = self.translate(Gva(here)) else { return false };
            let in_page = found.page_size - here % found.page_size;
            let len = in_page.min((buf.len() - done) as u64) as usize;
            if !self.memory.read_exact(found.gpa, &mut buf[done..done + len]) {
                return false;
            }
            done += len;
        }
        true
    }

    /// Reads so many bytes, of which there must not be more than the caller can
    /// hold.
    pub fn read_bytes(&self, at: Gva, len: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.read(at, &mut bytes).then_some(bytes)
    }

    /// Reads a structure.
    pub fn read_as<T: zerocopy::FromBytes + zerocopy::IntoBytes>(&self, at: Gva) -> Option<T> {
        let mut value = T::new_zeroed();
        self.read(at, value.as_mut_bytes()).then_some(value)
    }

    /// Reads a `u64`.
    pub fn read_u64(&self, at: Gva) -> Option<u64> {
        self.read_as::<zerocopy::little_endian::U64>(at).map(zerocopy::little_endian::U64::get)
    }

    /// Reads a `u32`.
    pub fn read_u32(&self, at: Gva) -> Option<u32> {
        self.read_as::<zerocopy::little_endian::U32>(at).map(zerocopy::little_endian::U32::get)
    }

    /// Calls `visit` with every present page in a range, in order, until it
    /// breaks or `budget` tables were read.
    pub fn for_each_page(
        &self,
        range: Range<u64>,
        budget: usize,
        visit: &mut dyn FnMut(Gva, Translation) -> ControlFlow<()>,
    ) {
        let mut search = Search { space: self, range, budget, visit };
        let _ = search.table(0, self.root, 0);
    }

    /// The address that an index stands for, its sign extended.
    fn address(&self, bits: u64) -> u64 {
        match self.shape.width {
            32 => bits,
            width => ((bits << (64 - width)) as i64 >> (64 - width)) as u64,
        }
    }
}

/// A search of a range.
struct Search<'s, 'a> {
    space: &'s AddressSpace<'a>,
    range: Range<u64>,
    budget: usize,
    visit: &'s mut dyn FnMut(Gva, Translation) -> ControlFlow<()>,
}

impl Search<'_, '_> {
    fn table(&mut self, level: usize, table: u64, base: u64) -> ControlFlow<()> {
        let Some(&(shift, bits)) = self.space.shape.levels.get(level) else {
            return ControlFlow::Continue(());
        };
        self.budget = match self.budget.checked_sub(1) {
            Some(rest) => rest,
            None => return ControlFlow::Break(()),
        };
        let mut entries = vec![0; (self.space.shape.entry << bits) as usize];
        if !self.space.memory.read_exact(Gpa(table), &mut entries) {
            return ControlFlow::Continue(());
        }
        for (index, entry) in entries.chunks(self.space.shape.entry as usize).enumerate() {
            let at = base | (index as u64) << shift;
            let start = self.space.address(at);
            let last = start.saturating_add((1 << shift) - 1);
            if last < self.range.start || start >= self.range.end {
                continue;
            }
            let mut word = [0; 8];
            word[..entry.len()].copy_from_slice(entry);
            match self.space.shape.step(level, u64::from_le_bytes(word)) {
                Step::Table(next) => self.table(level + 1, next, at)?,
                Step::Page(gpa) => {
                    let page_size = 1 << shift;
                    let gpa = Gpa(gpa & !(page_size - 1));
                    (self.visit)(Gva(start), Translation { gpa, page_size })?;
                }
                Step::Nothing => {}
            }
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
#[allow(clippy::precedence, reason = "flags are or-ed to addresses throughout")]
mod tests {
    use super::*;
    use crate::target::machine::PAGE_SIZE;
    use crate::target::machine::page_table::{PROTOTYPE, TRANSITION};
    use crate::target::machine::testkit::Ram;

    const PAGE: u64 = PAGE_SIZE;

    fn phys(space: &AddressSpace<'_>, at: u64) -> Option<u64> {
        space.translate(Gva(at)).map(|t| t.gpa.0)
    }

    #[test]
    fn four_levels_with_large_and_huge_pages() {
        let mut ram = Ram::new(16);
        let (pml4, pdpt, pd, pt) = (PAGE, 2 * PAGE, 3 * PAGE, 4 * PAGE);
        ram.put64(pml4 + 8 * 0x1f0, pdpt | 3);
        ram.put64(pdpt, pd | 3).put64(pdpt + 8, 0x4000_0000 | 0x83);
        ram.put64(pd, pt | 3).put64(pd + 8, (1 << 63) | 0x60_0000 | 0x83);
        ram.put64(pt + 8 * 5, (1 << 63) | 7 * PAGE | 3);
        let space = AddressSpace::new(&ram, MachineArchitecture::Amd64, pml4 | 0xfff);
        let base = 0xffff_f800_0000_0000;
        assert_eq!(phys(&space, base + 5 * PAGE + 0x123), Some(7 * PAGE + 0x123), "with NX");
        assert_eq!(phys(&space, base + 0x20_1234), Some(0x60_1234), "2 MiB");
        assert_eq!(phys(&space, base + 0x4abc_def0), Some(0x4abc_def0), "1 GiB");
        assert_eq!(phys(&space, base + 6 * PAGE), None);
        assert_eq!(phys(&space, 0x8000_0000_0000), None, "not canonical");
        let mut seen = Vec::new();
        space.for_each_page(base..u64::MAX, 100, &mut |at, found| {
            seen.push((at.0 - base, found.page_size));
            ControlFlow::Continue(())
        });
        assert_eq!(seen, [(5 * PAGE, PAGE), (0x20_0000, 1 << 21), (0x4000_0000, 1 << 30)]);
    }

    #[test]
    fn five_levels() {
        let mut ram = Ram::new(8);
        for (level, index) in [(1, 0x1ff), (2, 0x1f0), (3, 0), (4, 0), (5, 1)] {
            ram.put64(level * PAGE + 8 * index, (level + 1) * PAGE | 3);
        }
        let space = AddressSpace::new(&ram, MachineArchitecture::Amd64La57, PAGE);
        assert_eq!(phys(&space, 0xffff_f800_0000_1010), Some(6 * PAGE + 0x10));
        assert_eq!(phys(&space, 0x00f0_0000_0000_0000), None);
    }

    #[test]
    fn pages_in_transition_are_there_and_prototypes_are_not() {
        let mut ram = Ram::new(8);
        ram.put64(PAGE, 2 * PAGE | 3).put64(2 * PAGE, 3 * PAGE | 3).put64(3 * PAGE, 4 * PAGE | 3);
        ram.put64(4 * PAGE, 5 * PAGE | TRANSITION);
        ram.put64(4 * PAGE + 8, 5 * PAGE | TRANSITION | PROTOTYPE);
        ram.put64(4 * PAGE + 16, 5 * PAGE);
        let space = AddressSpace::new(&ram, MachineArchitecture::Amd64, PAGE);
        assert_eq!(phys(&space, 0x10), Some(5 * PAGE + 0x10));
        assert_eq!(phys(&space, PAGE), None);
        assert_eq!(phys(&space, 2 * PAGE), None);
    }

    #[test]
    fn thirty_two_bits_without_and_with_pae() {
        let mut ram = Ram::new(8);
        ram.put32(PAGE + 4 * 0x200, (2 * PAGE) as u32 | 3);
        ram.put32(2 * PAGE + 4 * 3, (5 * PAGE) as u32 | 3);
        ram.put32(PAGE + 4 * 0x201, 0x0040_0000 | 1 << 13 | 0x83);
        let space = AddressSpace::new(&ram, MachineArchitecture::X86, PAGE);
        assert_eq!(phys(&space, 0x8000_3004), Some(5 * PAGE + 4));
        assert_eq!(phys(&space, 0x8040_0004), Some(0x1_0040_0004), "4 MiB, PSE-36");
        assert_eq!(phys(&space, 0x1_8000_3004), None);

        let mut ram = Ram::new(8);
        ram.put64(PAGE + 0x20 + 8 * 2, 2 * PAGE | 1).put64(2 * PAGE, 3 * PAGE | 3);
        ram.put64(3 * PAGE + 8 * 3, 5 * PAGE | 3).put64(2 * PAGE + 8, 0x1_0020_0000 | 0x83);
        let space = AddressSpace::new(&ram, MachineArchitecture::X86Pae, PAGE + 0x20);
        assert_eq!(phys(&space, 0x8000_3004), Some(5 * PAGE + 4), "root aligned to 32 bytes");
        assert_eq!(phys(&space, 0x8020_0004), Some(0x1_0020_0004));
    }

    #[test]
    fn arm64_tables_and_blocks() {
        let mut ram = Ram::new(8);
        ram.put64(PAGE + 8 * 0x1f0, 2 * PAGE | 3).put64(2 * PAGE, 3 * PAGE | 3);
        ram.put64(3 * PAGE, 4 * PAGE | 3).put64(3 * PAGE + 8, 0x60_0000 | 1);
        ram.put64(4 * PAGE + 8, 5 * PAGE | 3).put64(4 * PAGE + 16, 5 * PAGE | 1);
        let space = AddressSpace::new(&ram, MachineArchitecture::Arm64, PAGE);
        let base = 0xffff_f800_0000_0000;
        assert_eq!(phys(&space, base + PAGE + 8), Some(5 * PAGE + 8));
        assert_eq!(phys(&space, base + 0x20_0008), Some(0x60_0008));
        assert_eq!(phys(&space, base + 2 * PAGE), None, "reserved at the last level");
    }

    #[test]
    fn tables_that_contain_themselves_end_a_search() {
        let mut ram = Ram::new(4);
        for index in 0..512 {
            ram.put64(PAGE + 8 * index, PAGE | 3);
        }
        let space = AddressSpace::new(&ram, MachineArchitecture::Amd64, PAGE);
        let mut seen = 0u64;
        space.for_each_page(0..u64::MAX, 50, &mut |_, _| {
            seen += 1;
            ControlFlow::Continue(())
        });
        assert!(seen > 0 && seen <= 50 * 512);
        assert_eq!(phys(&space, 0x1234), Some(PAGE + 0x234));
    }

    #[test]
    fn a_root_outside_of_memory_translates_nothing() {
        let ram = Ram::new(4);
        for architecture in [
            MachineArchitecture::Amd64,
            MachineArchitecture::Amd64La57,
            MachineArchitecture::X86,
            MachineArchitecture::X86Pae,
            MachineArchitecture::Arm64,
        ] {
            for root in [0, 0x5000_0000, u64::MAX] {
                let space = AddressSpace::new(&ram, architecture, root);
                assert_eq!(phys(&space, 0x1000), None);
                assert!(!space.read(Gva(u64::MAX - 3), &mut [0; 8]));
            }
        }
    }
}
