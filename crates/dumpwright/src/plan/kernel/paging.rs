//! Which frames a half of an address space maps, by the guest's page tables.

use super::page_set::PageSet;
use crate::target::machine::page_table::Step;
use crate::target::machine::{
    AddressSpace as GuestSpace, Gpa, Gva, MachineArchitecture, PAGE_SIZE, PageRun, Pfn,
    PhysicalMemory,
};
use std::collections::HashSet;
use std::ops::Range;

/// Where the kernel's half of a 32-bit address space starts unless KDBG says
/// otherwise.
pub const SYSTEM_RANGE_START_32: u64 = 0x8000_0000;

/// A half of an address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Addresses of processes.
    User,
    /// Addresses of the kernel.
    Kernel,
}

/// An address space of the guest, as far as a dump can hold it.
#[derive(Clone, Copy)]
pub struct AddressSpace<'a> {
    space: GuestSpace<'a>,
    /// RAM, in order: entries that lead elsewhere are passed over.
    ram: &'a [PageRun],
    architecture: MachineArchitecture,
    /// Where the kernel's half of a 32-bit space starts.
    system_range_start: u64,
}

/// What a walk found.
#[derive(Default)]
pub struct Walked {
    /// Frames that are mapped.
    pub pages: PageSet,
    /// Frames of tables.
    pub tables: PageSet,
}

impl Walked {
    fn insert(&mut self, run: Option<PageRun>, ram: &[PageRun]) {
        if let Some(run) = run {
            self.pages.insert_within(run, ram);
        }
    }
}

impl<'a> AddressSpace<'a> {
    /// The space behind a page table, in `ram`, which is in order and apart.
    pub fn new(
        memory: &'a dyn PhysicalMemory,
        ram: &'a [PageRun],
        architecture: MachineArchitecture,
        directory_table_base: u64,
    ) -> Self {
        AddressSpace {
            space: GuestSpace::new(memory, architecture, directory_table_base),
            ram,
            architecture,
            system_range_start: SYSTEM_RANGE_START_32,
        }
    }

    /// The same with the kernel's half of a 32-bit space elsewhere.
    pub fn with_system_range_start(self, system_range_start: u64) -> Self {
        AddressSpace { system_range_start, ..self }
    }

    /// The frame of the root.
    pub fn root(&self) -> Pfn {
        Gpa(self.space.root()).pfn()
    }

    /// Whether walks are possible.
    pub fn is_known(&self) -> bool {
        self.architecture != MachineArchitecture::Arm64
            && self.space.root() != 0
            && self.is_ram(self.root())
    }

    /// The half that an address belongs to; `None` for one that cannot be.
    pub fn half(&self, address: Gva) -> Option<Half> {
        let bits = match self.space.shape().width {
            32 => {
                let half =
                    if address.0 >= self.system_range_start { Half::Kernel } else { Half::User };
                return u32::try_from(address.0).is_ok().then_some(half);
            }
            width => width - 1,
        };
        match address.0 >> bits {
            0 => Some(Half::User),
            high if high == u64::MAX >> bits => Some(Half::Kernel),
            _ => None,
        }
    }

    /// Adds the frames that a half maps, and those of its tables, to `found`.
    ///
    /// Each table is walked once, whatever leads to it again: a table that
    /// contains itself (Windows' own tables do) is neither walked as one of
    /// another level nor without end. Tables in `foreign` are not entered.
    pub fn walk(&self, half: Half, foreign: &PageSet, found: &mut Walked) {
        if !self.is_known() {
            return;
        }
        let shape = self.space.shape();
        found.tables.insert(self.root());
        let mut tables = vec![self.root()];
        // A table of garbage can name the same gigabyte again and again.
        let mut large_seen = HashSet::new();
        for (level, &(shift, bits)) in shape.levels.iter().enumerate() {
            let count = PAGE_SIZE.max(1 << shift) / PAGE_SIZE;
            let indexes = if level == 0 { self.root_indexes(half) } else { 0..1 << bits };
            let mut next = Vec::new();
            for table in tables {
                let mut page = [0; PAGE_SIZE as usize];
                if !self.read_page(table, &mut page) {
                    continue;
                }
                // Most tables map frames in order, which are added together.
                let mut open: Option<PageRun> = None;
                for index in indexes.clone() {
                    match shape.step(level, raw_entry(&page, shape.entry, index)) {
                        Step::Nothing => {}
                        Step::Page(base) => {
                            let base = Pfn(Gpa(base).pfn().0 & !(count - 1));
                            if count > 1 && !large_seen.insert(base) {
                                continue;
                            }
                            match &mut open {
                                Some(run) if run.end() == base => run.count += count,
                                _ => {
                                    let run = open.replace(PageRun { base, count });
                                    found.insert(run, self.ram);
                                }
                            }
                        }
                        Step::Table(at) => {
                            let pfn = Gpa(at).pfn();
                            if self.is_ram(pfn)
                                && !foreign.contains(pfn)
                                && found.tables.insert(pfn)
                            {
                                next.push(pfn);
                            }
                        }
                    }
                }
                found.insert(open, self.ram);
            }
            tables = next;
            // Pages of one level have one size, and those of another are others.
            large_seen.clear();
        }
    }

    /// Where an address leads; `None` if nothing is there that a dump can hold.
    pub fn translate(&self, address: Gva) -> Option<Gpa> {
        let at = self.space.translate(address)?.gpa;
        self.is_ram(at.pfn()).then_some(at)
    }

    /// Reads exactly `buf.len()` bytes at an address; `None` if any are missing.
    pub fn read(&self, address: Gva, buf: &mut [u8]) -> Option<()> {
        let mut done = 0;
        while done < buf.len() {
            let here = Gva(address.0.checked_add(done as u64)?);
            let at = self.translate(here)?;
            let len = (buf.len() - done).min((PAGE_SIZE - at.offset()) as usize);
            if !self.space.memory().read_exact(at, &mut buf[done..done + len]) {
                return None;
            }
            done += len;
        }
        Some(())
    }

    /// Reads `len` bytes at an address.
    pub fn read_vec(&self, address: Gva, len: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.read(address, &mut bytes).map(|()| bytes)
    }

    /// Reads a little-endian `u64`.
    pub fn read_u64(&self, address: Gva) -> Option<u64> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes).map(|()| u64::from_le_bytes(bytes))
    }

    fn is_ram(&self, pfn: Pfn) -> bool {
        let at = self.ram.partition_point(|r| r.end() <= pfn);
        self.ram.get(at).is_some_and(|r| r.contains(pfn))
    }

    fn read_page(&self, pfn: Pfn, page: &mut [u8; PAGE_SIZE as usize]) -> bool {
        let mut holes = Vec::new();
        self.space.memory().read_pages(PageRun { base: pfn, count: 1 }, page, &mut holes);
        holes.is_empty()
    }

    /// Entries of the root, as they stand in its page, that belong to a half.
    fn root_indexes(&self, half: Half) -> Range<usize> {
        let shape = self.space.shape();
        let (shift, bits) = shape.levels[0];
        let entries = 1 << bits;
        let middle = match shape.width {
            32 => ((self.system_range_start >> shift) as usize).min(entries),
            _ => entries / 2,
        };
        // The root of PAE is 32 bytes somewhere in a page.
        let first = (self.space.root() % PAGE_SIZE / shape.entry) as usize;
        match half {
            Half::User => first..first + middle,
            Half::Kernel => first + middle..first + entries,
        }
    }
}

#[inline]
fn raw_entry(page: &[u8; PAGE_SIZE as usize], size: u64, index: usize) -> u64 {
    if size == 4 {
        let (words, _) = page.as_chunks::<4>();
        return words.get(index).map_or(0, |word| u32::from_le_bytes(*word).into());
    }
    let (words, _) = page.as_chunks::<8>();
    words.get(index).map_or(0, |word| u64::from_le_bytes(*word))
}
