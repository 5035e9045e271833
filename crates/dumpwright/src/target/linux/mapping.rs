//! A mapping of a process, and its packed form.

use crate::address::AddressRange;
use crate::packed::{Pack, Reader, Writer};
use crate::target::Protection;
use bitflags::bitflags;
use std::sync::Arc;

bitflags! {
    /// The `VmFlags` of a mapping that matter here (proc(5)).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in crate::target) struct VmFlags: u8 {
        /// `io`: memory-mapped I/O.
        const IO = 1;
        /// `pf`: page frames without `struct page`.
        const PFN = 2;
        /// `dd`: stays out of core dumps.
        const DONT_DUMP = 4;
        /// `um`, `uw` or `ui`: a userfaultfd watches it.
        const USER_FAULT = 8;
    }
}

/// One mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::target) struct Mapping {
    /// Its addresses.
    pub range: AddressRange,
    /// Its protection.
    pub protection: Protection,
    /// Whether it is `MAP_SHARED`.
    pub shared: bool,
    /// Offset in its file.
    pub offset: u64,
    /// Major and minor number of its file's device.
    pub device: (u32, u32),
    /// Inode of its file.
    pub inode: u64,
    /// Path or label, unescaped, as the kernel says it (with ` (deleted)`).
    pub name: Arc<[u8]>,
    /// Its flags, where the kernel tells them.
    pub flags: Option<VmFlags>,
}

impl Mapping {
    /// Whether it maps a file, or an object that the kernel keeps as one. The
    /// first System V shared memory segment has inode 0, but a device.
    pub fn is_file(&self) -> bool {
        self.inode != 0 || self.device != (0, 0)
    }

    /// Whether both map the same file.
    pub fn same_file(&self, other: &Mapping) -> bool {
        self.is_file() && self.inode == other.inode && self.device == other.device
    }

    /// Where in its file the byte at `address` is.
    pub fn offset_of(&self, address: u64) -> u64 {
        self.offset.wrapping_add(address.wrapping_sub(self.range.start))
    }

    /// Whether it has `flag`, as far as is known.
    pub fn has(&self, flag: VmFlags) -> bool {
        self.flags.is_some_and(|flags| flags.intersects(flag))
    }
}

/// What the packed form of a mapping leaves out if it is as before.
#[derive(Clone, Debug, Default)]
pub(in crate::target) struct MappingBefore {
    end: u64,
    /// Where in the last file the last mapping of it ended.
    file_end: u64,
    device: (u32, u32),
    inode: u64,
    name: Arc<[u8]>,
}

bitflags! {
    /// What the packed form of a mapping says first.
    struct Parts: u8 {
        /// `MAP_SHARED`.
        const SHARED = 8;
        /// Its flags are known.
        const FLAGS = 0x10;
        /// The last file or another, at an offset.
        const FILE = 0x20;
        /// The last name or a new one.
        const NAMED = 0x40;
        /// The last file and the last name are not its own.
        const NEW = 0x80;
    }
}

impl Pack for Mapping {
    type Before = MappingBefore;

    fn range(&self) -> AddressRange {
        self.range
    }

    fn pack(&self, before: &mut MappingBefore, out: &mut Writer) {
        let is_file = self.is_file() || self.offset != 0;
        let same_file = self.device == before.device && self.inode == before.inode;
        let mut parts = Parts::from_bits_retain(self.protection.bits());
        parts.set(Parts::SHARED, self.shared);
        parts.set(Parts::FLAGS, self.flags.is_some());
        parts.set(Parts::FILE, is_file);
        parts.set(Parts::NAMED, !self.name.is_empty());
        let new_file = is_file && !same_file;
        let new_name = !self.name.is_empty() && self.name != before.name;
        parts.set(Parts::NEW, new_file || new_name);
        out.byte(parts.bits());
        self.range.pack(&mut before.end, out);
        if let Some(flags) = self.flags {
            out.byte(flags.bits());
        }
        if is_file {
            if parts.contains(Parts::NEW) {
                out.number(self.device.0.into());
                out.number(self.device.1.into());
                out.number(self.inode.wrapping_sub(before.inode));
                before.file_end = 0;
            }
            out.address(self.offset.wrapping_sub(before.file_end));
            before.file_end = self.offset.wrapping_add(self.range.len());
            (before.device, before.inode) = (self.device, self.inode);
        }
        if parts.contains(Parts::NEW | Parts::NAMED) {
            out.bytes(&before.name, &self.name);
            before.name = Arc::clone(&self.name);
        }
    }

    fn unpack(before: &mut MappingBefore, bytes: &mut Reader<'_>) -> Self {
        let parts = Parts::from_bits_retain(bytes.byte());
        let mut mapping = Mapping {
            range: AddressRange::unpack(&mut before.end, bytes),
            protection: Protection::from_bits_truncate(parts.bits()),
            shared: parts.contains(Parts::SHARED),
            offset: 0,
            device: (0, 0),
            inode: 0,
            name: Arc::default(),
            flags: None,
        };
        if parts.contains(Parts::FLAGS) {
            mapping.flags = Some(VmFlags::from_bits_truncate(bytes.byte()));
        }
        if parts.contains(Parts::FILE) {
            if parts.contains(Parts::NEW) {
                before.device = (bytes.number() as u32, bytes.number() as u32);
                before.inode = before.inode.wrapping_add(bytes.number());
                before.file_end = 0;
            }
            (mapping.device, mapping.inode) = (before.device, before.inode);
            mapping.offset = before.file_end.wrapping_add(bytes.address());
            before.file_end = mapping.offset.wrapping_add(mapping.range.len());
        }
        if parts.contains(Parts::NAMED) {
            if parts.contains(Parts::NEW) {
                before.name = bytes.bytes(&before.name).into();
            }
            mapping.name = Arc::clone(&before.name);
        }
        mapping
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packed::Packed;
    use proptest::prelude::*;

    fn mapping() -> impl Strategy<Value = Mapping> {
        let name = prop_oneof![
            Just(&b""[..]),
            Just(&b"[x]\xff"[..]),
            Just(&b"/a/long/name, 1"[..]),
            Just(&b"/a/long/name, 2"[..])
        ];
        let flags = prop::option::of((0u8..16).prop_map(VmFlags::from_bits_truncate));
        let file = (prop_oneof![Just(0u64), Just(0x1000), any::<u64>()], 0u32..2, 0u64..3);
        (0u8..8, any::<bool>(), file, name, flags).prop_map(
            |(protection, shared, (offset, device, inode), name, flags)| Mapping {
                range: AddressRange::new(0x1000, 0x2000),
                protection: Protection::from_bits_truncate(protection),
                shared,
                offset,
                device: (device, device / 2),
                inode,
                name: name.into(),
                flags,
            },
        )
    }

    proptest! {
        #[test]
        fn mappings_come_back_as_they_were(
            mut mappings in proptest::collection::vec(mapping(), 0..150),
        ) {
            for (n, mapping) in mappings.iter_mut().enumerate() {
                let start = n as u64 * 0x2000;
                mapping.range = AddressRange::new(start, start + 0x1000 * (1 + n as u64 % 2));
            }
            let packed: Packed<Mapping> = mappings.iter().cloned().collect();
            prop_assert_eq!(packed.iter().collect::<Vec<_>>(), mappings);
        }
    }
}
