//! Page tables of every x86 paging mode.

use crate::image::{Image, PAGE};

const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 5;
const LARGE: u64 = 1 << 7;
const TRANSITION: u64 = 1 << 11;
const NO_EXECUTE: u64 = 1 << 63;
const FRAME: u64 = 0x000f_ffff_ffff_f000;

/// How virtual addresses are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PagingMode {
    /// x86-64, four levels.
    Long4,
    /// x86-64, five levels.
    Long5,
    /// 32-bit with 64-bit entries.
    Pae,
    /// 32-bit with 32-bit entries.
    Legacy,
}

/// Size of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageSize {
    /// 4 KiB.
    Normal,
    /// 2 MiB, or 4 MiB of [`PagingMode::Legacy`].
    Large,
    /// 1 GiB.
    Huge,
}

/// What an entry says of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// For the kernel.
    Kernel,
    /// For user programs too.
    User,
    /// Not present, on its way to disk or back (Windows): the frame still holds
    /// the page.
    Transition,
    /// The same, of a user program.
    UserTransition,
}

impl Access {
    fn bits(self) -> u64 {
        match self {
            Access::Kernel => PRESENT | WRITE | ACCESSED,
            Access::User => PRESENT | WRITE | USER | ACCESSED,
            Access::Transition => TRANSITION | WRITE,
            Access::UserTransition => TRANSITION | WRITE | USER,
        }
    }
}

/// Page tables.
#[derive(Clone, Copy, Debug)]
pub struct AddressSpace {
    /// How addresses are split.
    pub mode: PagingMode,
    /// Physical address of the top table: what CR3 holds.
    pub root: u64,
}

/// A level: where its index stands in an address, and its bits.
struct Level {
    shift: u32,
    bits: u32,
}

impl PagingMode {
    fn levels(self) -> &'static [Level] {
        const LONG: [Level; 5] = [
            Level { shift: 48, bits: 9 },
            Level { shift: 39, bits: 9 },
            Level { shift: 30, bits: 9 },
            Level { shift: 21, bits: 9 },
            Level { shift: 12, bits: 9 },
        ];
        const PAE: [Level; 3] = [
            Level { shift: 30, bits: 2 },
            Level { shift: 21, bits: 9 },
            Level { shift: 12, bits: 9 },
        ];
        const LEGACY: [Level; 2] = [Level { shift: 22, bits: 10 }, Level { shift: 12, bits: 10 }];
        match self {
            PagingMode::Long4 => &LONG[1..],
            PagingMode::Long5 => &LONG,
            PagingMode::Pae => &PAE,
            PagingMode::Legacy => &LEGACY,
        }
    }

    fn entry_size(self) -> u64 {
        if self == PagingMode::Legacy { 4 } else { 8 }
    }

    fn is_32_bit(self) -> bool {
        matches!(self, PagingMode::Pae | PagingMode::Legacy)
    }
}

impl AddressSpace {
    /// An empty one, its top table in a free frame.
    pub fn new(image: &mut Image, mode: PagingMode) -> AddressSpace {
        let pfn = if mode.is_32_bit() { image.allocate_low() } else { image.allocate() };
        AddressSpace::at(image, mode, pfn * PAGE)
    }

    /// An empty one, its top table at this address.
    pub fn at(image: &mut Image, mode: PagingMode, root: u64) -> AddressSpace {
        // Written, so that the allocator sees the frame as taken.
        image.write(root, &[0]);
        AddressSpace { mode, root }
    }

    /// Maps a page that begins at `va` to the frame `pfn`.
    pub fn map(&self, image: &mut Image, va: u64, pfn: u64, size: PageSize, access: Access) {
        let levels = self.mode.levels();
        let depth = levels.len() - 1 - size as usize;
        let mut table = self.root;
        for level in &levels[..depth] {
            table = self.descend(image, table, level, va);
        }
        let at = self.entry_address(table, &levels[depth], va);
        let large = if size == PageSize::Normal { 0 } else { LARGE };
        let hidden = if self.mode == PagingMode::Legacy || access == Access::Kernel {
            0
        } else {
            NO_EXECUTE
        };
        let hidden = if access.bits() & PRESENT == 0 { 0 } else { hidden };
        self.write_entry(image, at, (pfn * PAGE) | access.bits() | large | hidden);
    }

    /// The table below `table` for `va`, made if there is none.
    fn descend(&self, image: &mut Image, table: u64, level: &Level, va: u64) -> u64 {
        let at = self.entry_address(table, level, va);
        let entry = self.read_entry(image, at);
        if entry & PRESENT != 0 {
            assert!(entry & LARGE == 0, "{va:#x} lies in a large page");
            return entry & FRAME;
        }
        let pfn = if self.mode.is_32_bit() { image.allocate_low() } else { image.allocate() };
        image.write(pfn * PAGE, &[0]);
        // The entries of PAE's top table have neither access nor user bits.
        let top_of_pae = self.mode == PagingMode::Pae && level.bits == 2;
        let user = if va < self.kernel_start() { USER } else { 0 };
        let bits = if top_of_pae { PRESENT } else { PRESENT | WRITE | ACCESSED | user };
        self.write_entry(image, at, (pfn * PAGE) | bits);
        pfn * PAGE
    }

    /// The first address of the kernel's half.
    pub fn kernel_start(&self) -> u64 {
        match self.mode {
            PagingMode::Long4 => 0xffff_8000_0000_0000,
            PagingMode::Long5 => 0xff00_0000_0000_0000,
            PagingMode::Pae | PagingMode::Legacy => 0x8000_0000,
        }
    }

    fn entry_address(&self, table: u64, level: &Level, va: u64) -> u64 {
        table + (va >> level.shift & ((1 << level.bits) - 1)) * self.mode.entry_size()
    }

    fn read_entry(&self, image: &Image, at: u64) -> u64 {
        match self.mode.entry_size() {
            4 => u64::from(image.read_u32(at)),
            _ => image.read_u64(at),
        }
    }

    fn write_entry(&self, image: &mut Image, at: u64, entry: u64) {
        image.write(at, &entry.to_le_bytes()[..self.mode.entry_size() as usize]);
    }

    /// The physical address of the entry in the top table for `va`.
    pub fn top_entry(&self, va: u64) -> u64 {
        self.entry_address(self.root, &self.mode.levels()[0], va)
    }

    /// Points an entry of the top table at the top table, as Windows does to
    /// see its page tables. Only for [`PagingMode::Long4`].
    pub fn map_itself(&self, image: &mut Image, index: u64) {
        assert_eq!(self.mode, PagingMode::Long4);
        image.write(
            self.root + index * 8,
            &(self.root | PRESENT | WRITE | NO_EXECUTE).to_le_bytes(),
        );
    }

    /// Takes over the kernel's half of `other` (but for where it maps itself).
    pub fn share_kernel(&self, image: &mut Image, other: &AddressSpace) {
        let size = self.mode.entry_size();
        let entries = 1 << self.mode.levels()[0].bits;
        for i in entries / 2..entries {
            let entry = other.read_entry(image, other.root + i * size);
            if entry & FRAME != other.root {
                self.write_entry(image, self.root + i * size, entry);
            }
        }
    }

    /// The physical address of `va`; transition pages count.
    pub fn translate(&self, image: &Image, va: u64) -> Option<u64> {
        let levels = self.mode.levels();
        let mut table = self.root;
        for (i, level) in levels.iter().enumerate() {
            let entry = self.read_entry(image, self.entry_address(table, level, va));
            let last = i == levels.len() - 1;
            let here = entry & PRESENT != 0 || last && entry & TRANSITION != 0;
            if !here {
                return None;
            }
            if last || entry & LARGE != 0 && level.bits != 2 {
                let within = (1u64 << level.shift) - 1;
                return Some(entry & FRAME & !within | va & within);
            }
            table = entry & FRAME;
        }
        None
    }

    /// Takes the page of an address away.
    pub fn unmap(&self, image: &mut Image, va: u64) {
        let levels = self.mode.levels();
        let (last, upper) = levels.split_last().unwrap();
        let table = upper.iter().fold(self.root, |table, level| {
            self.read_entry(image, self.entry_address(table, level, va)) & FRAME
        });
        self.write_entry(image, self.entry_address(table, last, va), 0);
    }

    /// Maps fresh frames to all pages of `va..va + length` that have none.
    pub fn back(&self, image: &mut Image, va: u64, length: u64, access: Access) {
        let mut page = va / PAGE * PAGE;
        while page < va + length {
            if self.translate(image, page).is_none() {
                let low = self.mode == PagingMode::Legacy;
                let pfn = if low { image.allocate_low() } else { image.allocate() };
                image.write(pfn * PAGE, &[0]);
                self.map(image, page, pfn, PageSize::Normal, access);
            }
            page += PAGE;
        }
    }

    /// Writes at a virtual address that is mapped.
    pub fn write(&self, image: &mut Image, va: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let at = va + done as u64;
            let gpa = self.translate(image, at).unwrap_or_else(|| panic!("{at:#x} is not mapped"));
            let length = (bytes.len() - done).min((PAGE - at % PAGE) as usize);
            image.write(gpa, &bytes[done..done + length]);
            done += length;
        }
    }

    /// Reads at a virtual address; `None` if any of it is not mapped.
    pub fn read(&self, image: &Image, va: u64, length: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let at = va + bytes.len() as u64;
            let take = (length - bytes.len()).min((PAGE - at % PAGE) as usize);
            bytes.extend(image.read(self.translate(image, at)?, take));
        }
        Some(bytes)
    }
}

/// Frames that a part of an address space is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// Frames of pages.
    pub pages: std::collections::BTreeSet<u64>,
    /// Frames of tables, the top one among them.
    pub tables: std::collections::BTreeSet<u64>,
}

impl AddressSpace {
    /// The frames of the kernel's half, and those of its tables. What maps
    /// itself is left out; pages in transition are not.
    pub fn kernel_frames(&self, image: &Image) -> Frames {
        let entries = self.top_entries();
        self.frames(image, entries / 2..entries)
    }

    /// The same of the user half.
    pub fn user_frames(&self, image: &Image) -> Frames {
        self.frames(image, 0..self.top_entries() / 2)
    }

    fn top_entries(&self) -> u64 {
        1 << self.mode.levels()[0].bits
    }

    fn frames(&self, image: &Image, entries: std::ops::Range<u64>) -> Frames {
        let mut frames = Frames::default();
        frames.tables.insert(self.root / PAGE);
        self.collect(image, self.root, 0, entries, &mut frames);
        frames
    }

    fn collect(
        &self,
        image: &Image,
        table: u64,
        depth: usize,
        entries: std::ops::Range<u64>,
        frames: &mut Frames,
    ) {
        let levels = self.mode.levels();
        let last = depth == levels.len() - 1;
        for i in entries {
            let entry = self.read_entry(image, table + i * self.mode.entry_size());
            let present = entry & PRESENT != 0;
            let pfn = (entry & FRAME) / PAGE;
            if last && (present || entry & TRANSITION != 0) {
                frames.pages.insert(pfn);
            } else if present && entry & LARGE != 0 && levels[depth].bits != 2 {
                let count = 1 << (levels[depth].shift - 12);
                frames.pages.extend((pfn..pfn + count).filter(|pfn| image.is_ram(*pfn)));
            } else if present && !last && frames.tables.insert(pfn) {
                let below = 1 << levels[depth + 1].bits;
                self.collect(image, pfn * PAGE, depth + 1, 0..below, frames);
            }
        }
    }
}
