//! Page tables of the guest: which frames a half of an address space maps, and
//! where an address leads.

use super::page_set::PageSet;
use crate::target::machine::{
    Gpa, Gva, MachineArchitecture, PAGE_SIZE, PageRun, Pfn, PhysicalMemory,
};
use std::collections::HashSet;

/// Where the kernel's half of a 32-bit address space starts unless KDBG says
/// otherwise.
pub const SYSTEM_RANGE_START_32: u64 = 0x8000_0000;

const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;
/// A Windows entry that is not present and was taken from a list.
const PROTOTYPE: u64 = 1 << 10;
/// A Windows entry that is not present and whose frame still holds the page.
const TRANSITION: u64 = 1 << 11;
const FRAME: u64 = 0x000F_FFFF_FFFF_F000;
/// Frame bits of a transition entry: the ones above bit 47 are Windows' own.
const TRANSITION_FRAME: u64 = 0x0000_FFFF_FFFF_F000;

/// A half of an address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Addresses of processes.
    User,
    /// Addresses of the kernel.
    Kernel,
}

/// An address space of the guest.
#[derive(Clone, Copy)]
pub struct AddressSpace<'a> {
    /// The memory in which the tables stand.
    pub memory: &'a dyn PhysicalMemory,
    /// RAM, in order: entries that lead elsewhere are passed over.
    pub ram: &'a [PageRun],
    /// How many levels there are and how wide entries are.
    pub architecture: MachineArchitecture,
    /// The root of the tables.
    pub directory_table_base: u64,
    /// Whether entries that are not present follow the rules of Windows.
    pub windows: bool,
    /// Where the kernel's half of a 32-bit space starts.
    pub system_range_start: u64,
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

/// What an entry leads to.
enum Entry {
    Nothing,
    Table(Pfn),
    /// First frame and their number.
    Pages(Pfn, u64),
}

impl AddressSpace<'_> {
    /// Whether walks are possible.
    pub fn is_known(&self) -> bool {
        self.architecture != MachineArchitecture::Arm64
            && self.directory_table_base != 0
            && self.is_ram(Gpa(self.directory_table_base).pfn())
    }

    /// The half that an address belongs to; `None` for one that cannot be.
    pub fn half(&self, address: Gva) -> Option<Half> {
        let bits = match self.architecture {
            MachineArchitecture::X86 | MachineArchitecture::X86Pae => {
                let half =
                    if address.0 >= self.system_range_start { Half::Kernel } else { Half::User };
                return u32::try_from(address.0).is_ok().then_some(half);
            }
            MachineArchitecture::Amd64La57 => 56,
            MachineArchitecture::Amd64 | MachineArchitecture::Arm64 => 47,
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
        let root = Gpa(self.directory_table_base).pfn();
        found.tables.insert(root);
        let mut tables = vec![root];
        // A table of garbage can name the same gigabyte again and again.
        let mut large_seen = HashSet::new();
        for level in (1..=self.levels()).rev() {
            let mut next = Vec::new();
            for table in tables {
                let mut page = [0; PAGE_SIZE as usize];
                if !self.read_page(table, &mut page) {
                    continue;
                }
                // Most tables map frames in order, which are added together.
                let mut open: Option<PageRun> = None;
                for index in self.indexes(level, half) {
                    match self.entry(self.raw_entry(&page, level, index), level) {
                        Entry::Nothing => {}
                        Entry::Pages(base, count) => {
                            if count > 1 && !large_seen.insert((base, count)) {
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
                        Entry::Table(pfn) => {
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
        }
    }

    /// Where an address leads; `None` if nothing is there.
    pub fn translate(&self, address: Gva) -> Option<Gpa> {
        self.half(address)?;
        let mut table = Gpa(self.directory_table_base).pfn();
        let mut page = [0; PAGE_SIZE as usize];
        for level in (1..=self.levels()).rev() {
            if !self.is_ram(table) || !self.read_page(table, &mut page) {
                return None;
            }
            let span = self.span(level);
            let index = (address.0 / span) as usize % self.entries(level);
            match self.entry(self.raw_entry(&page, level, index), level) {
                Entry::Nothing => return None,
                Entry::Table(pfn) => table = pfn,
                Entry::Pages(base, _) => return Some(Gpa(base.gpa().0 + address.0 % span)),
            }
        }
        None
    }

    /// Reads exactly `buf.len()` bytes at an address; `None` if any are missing.
    pub fn read(&self, address: Gva, buf: &mut [u8]) -> Option<()> {
        let mut done = 0;
        while done < buf.len() {
            let here = Gva(address.0.checked_add(done as u64)?);
            let at = self.translate(here)?;
            if !self.is_ram(at.pfn()) {
                return None;
            }
            let len = (buf.len() - done).min((PAGE_SIZE - at.offset()) as usize);
            if !self.memory.read_exact(at, &mut buf[done..done + len]) {
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
        self.memory.read_pages(PageRun { base: pfn, count: 1 }, page, &mut holes);
        holes.is_empty()
    }

    fn levels(&self) -> u32 {
        match self.architecture {
            MachineArchitecture::Amd64 | MachineArchitecture::Arm64 => 4,
            MachineArchitecture::Amd64La57 => 5,
            MachineArchitecture::X86Pae => 3,
            MachineArchitecture::X86 => 2,
        }
    }

    fn entries(&self, level: u32) -> usize {
        match self.architecture {
            MachineArchitecture::X86 => 1024,
            MachineArchitecture::X86Pae if level == 3 => 4,
            _ => 512,
        }
    }

    /// Bytes that an entry of a level maps.
    fn span(&self, level: u32) -> u64 {
        let bits = if self.architecture == MachineArchitecture::X86 { 10 } else { 9 };
        PAGE_SIZE << (bits * (level - 1))
    }

    /// Entries of a level that belong to a half; the root alone decides.
    fn indexes(&self, level: u32, half: Half) -> std::ops::Range<usize> {
        let entries = self.entries(level);
        if level != self.levels() {
            return 0..entries;
        }
        let middle = match self.architecture {
            MachineArchitecture::X86 | MachineArchitecture::X86Pae => {
                ((self.system_range_start / self.span(level)) as usize).min(entries)
            }
            _ => entries / 2,
        };
        match half {
            Half::User => 0..middle,
            Half::Kernel => middle..entries,
        }
    }

    fn raw_entry(&self, page: &[u8; PAGE_SIZE as usize], level: u32, index: usize) -> u64 {
        if self.architecture == MachineArchitecture::X86 {
            let (words, _) = page.as_chunks::<4>();
            return words.get(index).map_or(0, |w| u32::from_le_bytes(*w).into());
        }
        // The root of PAE is 32 bytes somewhere in a page.
        let first = if self.architecture == MachineArchitecture::X86Pae && level == 3 {
            (self.directory_table_base % PAGE_SIZE / 8) as usize & !3
        } else {
            0
        };
        let (words, _) = page.as_chunks::<8>();
        words.get(first + index).map_or(0, |w| u64::from_le_bytes(*w))
    }

    fn entry(&self, raw: u64, level: u32) -> Entry {
        if raw & PRESENT == 0 {
            let kept = self.windows && level == 1 && raw & TRANSITION != 0 && raw & PROTOTYPE == 0;
            return if kept {
                Entry::Pages(Gpa(raw & TRANSITION_FRAME).pfn(), 1)
            } else {
                Entry::Nothing
            };
        }
        let frames = self.span(level) / PAGE_SIZE;
        let can_be_large = match self.architecture {
            MachineArchitecture::X86 | MachineArchitecture::X86Pae => level == 2,
            _ => level == 2 || level == 3,
        };
        match level {
            1 => Entry::Pages(Gpa(raw & FRAME).pfn(), 1),
            _ if can_be_large && raw & LARGE != 0 => {
                let base = if self.architecture == MachineArchitecture::X86 {
                    // PSE-36: bits 13 to 20 are bits 32 to 39 of the address.
                    raw & 0xFFC0_0000 | (raw >> 13 & 0xFF) << 32
                } else {
                    raw & FRAME & !(self.span(level) - 1)
                };
                Entry::Pages(Gpa(base).pfn(), frames)
            }
            _ => Entry::Table(Gpa(raw & FRAME).pfn()),
        }
    }
}
