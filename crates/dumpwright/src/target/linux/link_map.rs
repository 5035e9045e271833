//! The dynamic linker's own list of libraries: `r_debug` and its link maps, as
//! `link.h` declares them for debuggers (glibc, musl and bionic agree).

use super::elf::{Bytes, Image};
use crate::address::AddressRange;
use crate::soft_error::SoftError;
use crate::target::{DsoDebugSnapshot, LinkMapEntry, MemorySource};
use object::LittleEndian as LE;
use object::elf::DT_DEBUG;
use object::endian::U64;
use std::collections::HashSet;

/// Entries that are followed; more than this is taken for a damaged list.
const MAX_ENTRIES: usize = 4096;
/// Namespaces (`dlmopen`) that are followed; glibc has 16.
const MAX_NAMESPACES: usize = 64;
/// Bytes of a name; `PATH_MAX`.
const MAX_NAME: usize = 4096;
/// Bytes of `struct r_debug`: version, map, brk, state, ldbase.
const R_DEBUG: u64 = 40;
/// Bytes of `struct r_debug_extended`: `r_next` behind it, from version 2 on.
const R_DEBUG_EXTENDED: u64 = 48;
/// Bytes of the public part of `struct link_map`: addr, name, ld, next, prev.
const LINK_MAP: u64 = 40;

/// The list, and where in memory it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::target) struct LinkMap {
    /// The list.
    pub debug: DsoDebugSnapshot,
    /// The memory that it was read from.
    pub memory: Vec<AddressRange>,
}

impl LinkMap {
    /// Reads the list that the executable's `DT_DEBUG` leads to; `None` for a
    /// static executable, or before the dynamic linker has run.
    pub fn read(
        memory: &dyn MemorySource,
        executable: &Image,
        notes: &mut Vec<SoftError>,
    ) -> Option<LinkMap> {
        let dynamic = executable.read_dynamic(memory)?;
        let first = dynamic.value(DT_DEBUG).filter(|address| *address != 0)?;
        let mut walk = Walk { memory, list: LinkMap::default(), seen: HashSet::new(), notes };
        walk.list
            .memory
            .push(AddressRange::with_len(dynamic.address, dynamic.bytes.as_slice().len() as u64));
        let head = words(memory, first, R_DEBUG)?;
        walk.list.debug.version = head[0] as u32;
        walk.list.debug.brk = head[2];
        walk.list.debug.ldbase = head[4];
        walk.list.debug.dynamic = dynamic.address;
        walk.list.debug.dynamic_bytes = dynamic.bytes.as_slice().to_vec();
        walk.namespaces(first);
        Some(walk.list)
    }
}

struct Walk<'a> {
    memory: &'a dyn MemorySource,
    list: LinkMap,
    /// Link maps already taken: a list that leads back to one ends there.
    seen: HashSet<u64>,
    notes: &'a mut Vec<SoftError>,
}

impl Walk<'_> {
    fn namespaces(&mut self, first: u64) {
        let mut at = first;
        for _ in 0..MAX_NAMESPACES {
            let Some(head) = words(self.memory, at, R_DEBUG) else { break };
            self.list.memory.push(AddressRange::with_len(at, R_DEBUG));
            self.entries(head[1]);
            if (head[0] as u32) < 2 {
                break;
            }
            // glibc 2.35: further namespaces follow.
            let Some(next) = words(self.memory, at, R_DEBUG_EXTENDED).map(|w| w[5]) else { break };
            self.list.memory.push(AddressRange::with_len(at, R_DEBUG_EXTENDED));
            if next == 0 || next == first {
                break;
            }
            at = next;
        }
    }

    fn entries(&mut self, first: u64) {
        let mut at = first;
        while at != 0 && self.seen.insert(at) {
            if self.list.debug.entries.len() == MAX_ENTRIES {
                self.note(format!("was cut after {MAX_ENTRIES} entries"));
                return;
            }
            let Some(map) = words(self.memory, at, LINK_MAP) else {
                self.note(format!("ends at {at:#x}, which cannot be read"));
                return;
            };
            self.list.memory.push(AddressRange::with_len(at, LINK_MAP));
            self.entry(map[0], map[1], map[2]);
            at = map[3];
        }
    }

    fn entry(&mut self, addr: u64, name: u64, ld: u64) {
        // The dynamic linker itself stands in every namespace's list.
        if self.list.debug.entries.iter().any(|e| e.ld == ld && e.addr == addr) {
            return;
        }
        let bytes = if name == 0 { None } else { self.memory.read_c_string(name, MAX_NAME) };
        let bytes = bytes.unwrap_or_default();
        let name_range = AddressRange::with_len(name, bytes.len() as u64);
        if !bytes.is_empty() {
            self.list.memory.push(AddressRange::with_len(name, bytes.len() as u64 + 1));
        }
        let name = String::from_utf8_lossy(&bytes).into_owned();
        self.list.debug.entries.push(LinkMapEntry { addr, ld, name, name_range });
    }

    fn note(&mut self, message: String) {
        self.notes.push(SoftError::new("link map", message));
    }
}

/// The `len` bytes at `address` as 64-bit words.
fn words(memory: &dyn MemorySource, address: u64, len: u64) -> Option<Vec<u64>> {
    let bytes = Bytes::read(memory, address, len as usize)?;
    Some(bytes.structs::<U64<LE>>().iter().map(|w| w.get(LE)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::linux::testkit::Flat;

    const BASE: u64 = 0x1000;
    const R_DEBUG_AT: u64 = 0x1040;
    const MAPS_AT: u64 = 0x1100;
    const NAME_AT: u64 = 0x1e00;

    /// Memory with a dynamic section, `r_debug`, and link maps that `next` chains.
    fn memory(version: u64, next: &[u64]) -> (Flat, Image) {
        let mut bytes = vec![0u8; 0x1000];
        let mut put = |at: u64, words: &[u64]| {
            for (i, word) in words.iter().enumerate() {
                let at = (at - BASE) as usize + 8 * i;
                bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
            }
        };
        put(BASE, &[21, R_DEBUG_AT, 0, 0]);
        put(R_DEBUG_AT, &[version, MAPS_AT, 0xb4, 0, 0x1d, 0]);
        for (i, next) in (0u64..).zip(next) {
            put(MAPS_AT + 40 * i, &[0x7000 * i, NAME_AT, 0x7f00 + i, *next, 0]);
        }
        put(NAME_AT, &[u64::from_le_bytes(*b"lib\xff.so\0")]);
        let image = Image {
            header: None,
            bias: 0,
            entry: 0,
            program_headers: AddressRange::new(0, 0),
            loads: Vec::new(),
            dynamic: Some(AddressRange::with_len(BASE, 32)),
            notes: Vec::new(),
            eh_frame_header: None,
            tls: None,
        };
        (Flat::new(BASE, bytes), image)
    }

    #[test]
    fn a_list_is_followed_to_its_end_with_names_as_they_can_be_shown() {
        let (memory, image) = memory(1, &[MAPS_AT + 40, 0]);
        let mut notes = Vec::new();
        let list = LinkMap::read(&memory, &image, &mut notes).unwrap();
        assert_eq!(list.debug.entries.len(), 2);
        assert_eq!(list.debug.entries[1].addr, 0x7000);
        assert_eq!(list.debug.entries[1].name, "lib\u{fffd}.so");
        assert_eq!(list.debug.entries[1].name_range, AddressRange::with_len(NAME_AT, 7));
        assert_eq!((list.debug.brk, list.debug.ldbase), (0xb4, 0x1d));
        assert_eq!(notes, []);
    }

    #[test]
    fn a_list_that_bites_its_tail_ends() {
        let (memory, image) = memory(1, &[MAPS_AT + 40, MAPS_AT]);
        let list = LinkMap::read(&memory, &image, &mut Vec::new()).unwrap();
        assert_eq!(list.debug.entries.len(), 2);
    }

    #[test]
    fn a_list_that_leads_nowhere_says_so() {
        let (memory, image) = memory(1, &[0xdead_0000]);
        let mut notes = Vec::new();
        let list = LinkMap::read(&memory, &image, &mut notes).unwrap();
        assert_eq!(list.debug.entries.len(), 1);
        assert!(notes[0].message.contains("0xdead0000"), "{notes:?}");
    }
}
