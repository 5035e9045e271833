//! Page tables: how each architecture builds them, and what their entries say.

use super::{MachineArchitecture, PAGE_SIZE};

/// Entry is present (x86), or valid (ARM64).
const PRESENT: u64 = 1;
/// x86: the entry of an upper level maps a page itself.
const LARGE: u64 = 1 << 7;
/// ARM64: the entry of an upper level is a table.
const ARM64_TABLE: u64 = 1 << 1;
/// Windows, entry not present: the page is described by another entry.
pub(crate) const PROTOTYPE: u64 = 1 << 10;
/// Windows, entry not present: its page frame still holds the page.
pub(crate) const TRANSITION: u64 = 1 << 11;
/// Page frame of a 64-bit entry; bits above are flags and protection keys.
const FRAME: u64 = 0x000f_ffff_ffff_f000;
/// Page frame of a 64-bit entry in transition, and of ARM64: 48 bits.
const FRAME_48: u64 = 0x0000_ffff_ffff_f000;

/// How an architecture's tables are built.
#[derive(Debug)]
pub(crate) struct Shape {
    /// For each level from the root: the address bits below its index, and how
    /// many bits the index has.
    pub levels: &'static [(u32, u32)],
    /// Bytes of an entry.
    pub entry: u64,
    /// Bits of an address that tables translate, sign included.
    pub width: u32,
    kind: Kind,
    /// Alignment of the root: bits of CR3 or TTBR below are flags.
    root_align: u64,
}

impl Shape {
    /// A root without its flags.
    pub fn root(&self, root: u64) -> u64 {
        root & FRAME_48 | root & (PAGE_SIZE - self.root_align)
    }

    /// The tables of an architecture.
    pub fn of(architecture: MachineArchitecture) -> &'static Shape {
        match architecture {
            MachineArchitecture::Amd64 => &AMD64,
            MachineArchitecture::Amd64La57 => &LA57,
            MachineArchitecture::X86 => &X86,
            MachineArchitecture::X86Pae => &PAE,
            MachineArchitecture::Arm64 => &ARM64,
        }
    }

    /// What an entry of a level says; the root's is level 0. Entries that are not
    /// present are read as Windows stores them.
    #[inline]
    pub fn step(&self, level: usize, entry: u64) -> Step {
        let last = level + 1 == self.levels.len();
        if self.kind == Kind::Arm64 {
            return match (entry & PRESENT != 0, entry & ARM64_TABLE != 0) {
                (true, true) if last => Step::Page(entry & FRAME_48),
                (true, true) => Step::Table(entry & FRAME_48),
                (true, false) if !last && level != 0 => Step::Page(entry & FRAME_48),
                _ => Step::Nothing,
            };
        }
        let narrow = self.entry == 4;
        let frame = if narrow { 0xffff_f000 } else { FRAME };
        if entry & PRESENT != 0 {
            // The four entries of PAE's root have no such bit; PML4 and PML5
            // keep it clear.
            let may_be_large = self.levels[level].0 <= 30 && self.levels[level].1 > 2;
            return match () {
                () if last => Step::Page(entry & frame),
                () if may_be_large && entry & LARGE != 0 && narrow => {
                    // PSE-36: bits 13 to 20 are address bits 32 to 39.
                    Step::Page(entry & 0xffc0_0000 | (entry >> 13 & 0xff) << 32)
                }
                () if may_be_large && entry & LARGE != 0 => Step::Page(entry & frame),
                () => Step::Table(entry & frame),
            };
        }
        let in_transition = entry & TRANSITION != 0 && entry & PROTOTYPE == 0;
        match (in_transition, self.levels.len() - level) {
            (true, 1) => Step::Page(entry & frame & FRAME_48),
            (true, 2) => Step::Table(entry & frame & FRAME_48),
            _ => Step::Nothing,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    X86,
    Arm64,
}

const AMD64: Shape = Shape {
    levels: &[(39, 9), (30, 9), (21, 9), (12, 9)],
    entry: 8,
    width: 48,
    kind: Kind::X86,
    root_align: PAGE_SIZE,
};
const LA57: Shape =
    Shape { levels: &[(48, 9), (39, 9), (30, 9), (21, 9), (12, 9)], width: 57, ..AMD64 };
const PAE: Shape =
    Shape { levels: &[(30, 2), (21, 9), (12, 9)], width: 32, root_align: 32, ..AMD64 };
const X86: Shape = Shape { levels: &[(22, 10), (12, 10)], entry: 4, width: 32, ..AMD64 };
const ARM64: Shape = Shape { kind: Kind::Arm64, ..AMD64 };

/// What an entry says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// The physical address of a table of the next level.
    Table(u64),
    /// The physical address of a page; of a large one, bits below its size count
    /// for nothing.
    Page(u64),
    /// Nothing that is in memory.
    Nothing,
}
