//! Regions of an address space, and their packed form.

use crate::address::AddressRange;
use crate::packed::{Pack, Reader, Writer};
use bitflags::bitflags;
use dumpwright_format::minidump::MEM_PRIVATE;
use std::sync::Arc;

bitflags! {
    /// What may be done with memory.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Protection: u8 {
        /// Read.
        const READ = 1;
        /// Write.
        const WRITE = 2;
        /// Execute.
        const EXECUTE = 4;
    }
}

/// A mapped region of the address space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its addresses, in whole pages.
    pub range: AddressRange,
    /// Its protection now.
    pub protection: Protection,
    /// Whether stores are seen by other processes or reach a file.
    pub shared: bool,
    /// What its pages come from.
    pub backing: Backing,
    /// Path or label of what is mapped; empty for none.
    pub name: Arc<str>,
    /// Start of the allocation that it is part of.
    pub allocation_base: u64,
    /// Whether a dump may read it.
    pub access: Access,
    /// What pages that were never populated read as.
    pub absent: Absent,
    /// First address that has nothing behind it, because the file ends:
    /// `range.end` except for a mapping that reaches past its file.
    pub backed_end: u64,
    /// What `VirtualQuery` says of it, where the target is of Windows; elsewhere
    /// the planner makes it from the rest.
    pub page_state: Option<Box<PageState>>,
}

impl Region {
    /// Whether it is private memory that can be read and written, as
    /// PRIVATE_READ_WRITE_MEMORY means it: on Windows that is `MEM_PRIVATE`,
    /// elsewhere also what was privately mapped of a file.
    pub fn is_private_read_write(&self) -> bool {
        let private =
            self.page_state.as_ref().map_or(!self.shared, |s| s.memory_type == MEM_PRIVATE);
        private && self.protection.contains(Protection::READ | Protection::WRITE)
    }

    /// Whether a dump may read it and its protection lets the process read it.
    pub fn is_readable(&self) -> bool {
        self.access == Access::Normal && self.protection.contains(Protection::READ)
    }
}

/// A region as `VirtualQuery` describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PageState {
    /// `MEM_COMMIT` or `MEM_RESERVE`.
    pub state: u32,
    /// `PAGE_*` protection now.
    pub protect: u32,
    /// `PAGE_*` protection when it was allocated.
    pub allocation_protect: u32,
    /// `MEM_PRIVATE`, `MEM_MAPPED` or `MEM_IMAGE`.
    pub memory_type: u32,
}

/// What the pages of a region come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backing {
    /// Nothing but memory.
    Anonymous,
    /// A file that is not a loaded module.
    File,
    /// A loaded module: an index into
    /// [`ProcessSnapshot::modules`](super::ProcessSnapshot::modules).
    Image(usize),
}

/// Whether a dump may read a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Yes.
    Normal,
    /// No: a device, PFN-mapped or I/O mapping, or a kernel page such as
    /// `[vvar]`; reading could have effects.
    Forbidden,
    /// Only if the user insists: the process asked for it to stay out of dumps
    /// (`MADV_DONTDUMP`).
    DontDump,
}

/// What pages that were never populated read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Absent {
    /// Zero.
    Zero,
    /// The file's contents; reading brings them in.
    File,
    /// Nobody knows: a user-space pager would be asked. Never read.
    Unknown,
    /// Nobody knows: the core or dump that the process comes from was made
    /// without them.
    Missing,
}

/// What the packed form of a region leaves out if it is as before.
#[derive(Clone, Debug, Default)]
pub struct RegionBefore {
    end: u64,
    name: Arc<str>,
    page_state: Option<PageState>,
}

bitflags! {
    /// What follows in the packed form of a region.
    struct Parts: u8 {
        /// A file that is not a module.
        const FILE = 1;
        /// The index of a module.
        const IMAGE = 2;
        /// The last name.
        const NAMED = 4;
        /// A new name.
        const NEW_NAME = 8;
        /// An allocation that starts elsewhere.
        const ALLOCATION = 0x10;
        /// An end of what is behind it that is not its own.
        const BACKED_END = 0x20;
        /// The last page state.
        const STATE = 0x40;
        /// A new page state.
        const NEW_STATE = 0x80;
    }
}

impl Region {
    fn parts(&self, before: &RegionBefore) -> Parts {
        let state = self.page_state.as_deref();
        let mut parts = match self.backing {
            Backing::Anonymous => Parts::empty(),
            Backing::File => Parts::FILE,
            Backing::Image(_) => Parts::IMAGE,
        };
        parts.set(Parts::NAMED, !self.name.is_empty());
        parts.set(Parts::NEW_NAME, !self.name.is_empty() && self.name != before.name);
        parts.set(Parts::ALLOCATION, self.allocation_base != self.range.start);
        parts.set(Parts::BACKED_END, self.backed_end != self.range.end);
        parts.set(Parts::STATE, state.is_some());
        parts.set(Parts::NEW_STATE, state.is_some() && state != before.page_state.as_ref());
        parts
    }
}

impl Pack for Region {
    type Before = RegionBefore;

    fn range(&self) -> AddressRange {
        self.range
    }

    fn pack(&self, before: &mut RegionBefore, out: &mut Writer) {
        let parts = self.parts(before);
        out.byte(parts.bits());
        out.byte(
            self.protection.bits()
                | u8::from(self.shared) << 3
                | (self.access as u8) << 4
                | (self.absent as u8) << 6,
        );
        self.range.pack(&mut before.end, out);
        if let Backing::Image(index) = self.backing {
            out.number(index as u64);
        }
        if parts.contains(Parts::NEW_NAME) {
            out.bytes(before.name.as_bytes(), self.name.as_bytes());
            before.name = Arc::clone(&self.name);
        }
        if parts.contains(Parts::ALLOCATION) {
            out.address(self.range.start.wrapping_sub(self.allocation_base));
        }
        if parts.contains(Parts::BACKED_END) {
            out.address(self.range.end.wrapping_sub(self.backed_end));
        }
        if let Some(state) = self.page_state.as_deref().filter(|_| parts.contains(Parts::NEW_STATE))
        {
            let PageState { state: kind, protect, allocation_protect, memory_type } = *state;
            for number in [kind, protect, allocation_protect, memory_type] {
                out.number(number.into());
            }
            before.page_state = Some(*state);
        }
    }

    fn unpack(before: &mut RegionBefore, bytes: &mut Reader<'_>) -> Self {
        let parts = Parts::from_bits_retain(bytes.byte());
        let byte = bytes.byte();
        let range = AddressRange::unpack(&mut before.end, bytes);
        let backing = if parts.contains(Parts::IMAGE) {
            Backing::Image(bytes.number() as usize)
        } else if parts.contains(Parts::FILE) {
            Backing::File
        } else {
            Backing::Anonymous
        };
        if parts.contains(Parts::NEW_NAME) {
            before.name = String::from_utf8_lossy(&bytes.bytes(before.name.as_bytes())).into();
        }
        let mut distance = |part| if parts.contains(part) { bytes.address() } else { 0 };
        let allocation_base = range.start.wrapping_sub(distance(Parts::ALLOCATION));
        let backed_end = range.end.wrapping_sub(distance(Parts::BACKED_END));
        if parts.contains(Parts::NEW_STATE) {
            let mut number = || bytes.number() as u32;
            before.page_state = Some(PageState {
                state: number(),
                protect: number(),
                allocation_protect: number(),
                memory_type: number(),
            });
        }
        Region {
            range,
            protection: Protection::from_bits_truncate(byte),
            shared: byte & 8 != 0,
            backing,
            name: if parts.contains(Parts::NAMED) { Arc::clone(&before.name) } else { "".into() },
            allocation_base,
            access: match byte >> 4 & 3 {
                0 => Access::Normal,
                1 => Access::Forbidden,
                _ => Access::DontDump,
            },
            absent: match byte >> 6 {
                0 => Absent::Zero,
                1 => Absent::File,
                2 => Absent::Unknown,
                _ => Absent::Missing,
            },
            backed_end,
            page_state: before.page_state.filter(|_| parts.contains(Parts::STATE)).map(Box::new),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packed::Packed;
    use proptest::prelude::*;

    fn region() -> impl Strategy<Value = Region> {
        let backing = prop_oneof![
            Just(Backing::Anonymous),
            Just(Backing::File),
            (0usize..1000).prop_map(Backing::Image)
        ];
        let access =
            prop_oneof![Just(Access::Normal), Just(Access::Forbidden), Just(Access::DontDump)];
        let absent = prop_oneof![
            Just(Absent::Zero),
            Just(Absent::File),
            Just(Absent::Unknown),
            Just(Absent::Missing)
        ];
        let state = any::<[bool; 2]>().prop_map(|[is, other]| {
            let state = PageState {
                state: 0x1000,
                protect: if other { 4 } else { 0x104 },
                allocation_protect: 0x80,
                memory_type: 0x100_0000,
            };
            is.then(|| Box::new(state))
        });
        let name = prop_oneof![Just(""), Just("[stack]"), Just("/lib/ä.so"), Just("/lib/b.so")];
        let base = any::<(bool, u64)>();
        (0u8..8, any::<bool>(), backing, access, absent, state, name, base).prop_map(
            |(protection, shared, backing, access, absent, page_state, name, base)| Region {
                range: AddressRange::new(0x1000, 0x4000),
                protection: Protection::from_bits_truncate(protection),
                shared,
                backing,
                name: name.into(),
                allocation_base: if base.0 { 0x1000 } else { base.1 },
                access,
                absent,
                backed_end: if shared { 0x4000 } else { 0x2100 },
                page_state,
            },
        )
    }

    proptest! {
        #[test]
        fn regions_come_back_as_they_were(mut regions in proptest::collection::vec(region(), 0..150)) {
            for (n, region) in regions.iter_mut().enumerate() {
                let by = n as u64 * 0x3000;
                region.range = AddressRange::new(region.range.start + by, region.range.end + by);
                region.backed_end += by;
            }
            let packed: Packed<Region> = regions.iter().cloned().collect();
            prop_assert_eq!(packed.iter().collect::<Vec<_>>(), regions);
        }
    }
}
