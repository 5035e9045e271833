//! The parts of a module that unwinding and symbolising need and that hold no
//! data of the program: headers, notes, dynamic section and unwind tables.

use super::elf::{Bytes, Image};
use super::elf_file::ElfFile;
use crate::address::{AddressRange, RangeSet};
use crate::target::MemorySource;

/// Bytes read at a time while a table is walked.
const CHUNK: u64 = 64 * 1024;

/// `DW_EH_PE_*` pointer encodings (LSB core, "DWARF Extensions").
mod encoding {
    pub const OMIT: u8 = 0xff;
    pub const FORMAT: u8 = 0x0f;
    pub const APPLICATION: u8 = 0x70;
    pub const PCREL: u8 = 0x10;
    pub const DATAREL: u8 = 0x30;
    pub const INDIRECT: u8 = 0x80;
}

/// The ranges of header, program headers, notes, dynamic section,
/// `.eh_frame_hdr` and `.eh_frame` of an image.
pub(super) fn header_ranges(
    memory: &dyn MemorySource,
    image: &Image,
    file: Option<&ElfFile>,
    page_size: u64,
) -> Vec<AddressRange> {
    let tables = [image.dynamic, image.eh_frame_header].into_iter().flatten();
    let ranges = identity(image).chain(tables).chain(eh_frame(memory, image, file));
    within(image, page_size, ranges)
}

/// The ranges of header, program headers and notes, of which one is the build id.
pub(super) fn identity_ranges(image: &Image, page_size: u64) -> Vec<AddressRange> {
    within(image, page_size, identity(image))
}

fn identity(image: &Image) -> impl Iterator<Item = AddressRange> {
    // Size of ElfW(Ehdr) of a 64-bit image.
    let header = image.header.map(|at| AddressRange::with_len(at, 64));
    let notes = image.notes.iter().map(|(range, _)| *range);
    header.into_iter().chain([image.program_headers]).chain(notes)
}

fn within(
    image: &Image,
    page_size: u64,
    ranges: impl Iterator<Item = AddressRange>,
) -> Vec<AddressRange> {
    let image = image.range(page_size);
    ranges.map(|range| range.intersection(image)).collect::<RangeSet>().ranges().iter().collect()
}

/// Where `.eh_frame` is: as `.eh_frame_hdr` points to it, as long as the file
/// says; without the file as long as its entries go on.
fn eh_frame(
    memory: &dyn MemorySource,
    image: &Image,
    file: Option<&ElfFile>,
) -> Option<AddressRange> {
    let section = file
        .and_then(|f| f.section(".eh_frame"))
        .filter(|s| s.address != 0)
        .map(|s| AddressRange::with_len(image.bias.wrapping_add(s.address), s.size));
    let start = image.eh_frame_header.and_then(|header| eh_frame_pointer(memory, header.start));
    let start = start.or(section.map(|s| s.start))?;
    let load = image
        .loads
        .iter()
        .map(|l| AddressRange::with_len(l.address, l.memory_size))
        .find(|l| l.contains(start))?;
    let end = match section {
        Some(section) if section.start == start => section.end,
        _ => walk(memory, start, load.end),
    };
    Some(AddressRange::new(start, end.min(load.end)))
}

/// `eh_frame_ptr` of the `.eh_frame_hdr` at `header`.
fn eh_frame_pointer(memory: &dyn MemorySource, header: u64) -> Option<u64> {
    let head = Bytes::read(memory, header, 4)?;
    let &[version, how, ..] = head.as_slice() else { return None };
    if version != 1 || how == encoding::OMIT || how & encoding::INDIRECT != 0 {
        return None;
    }
    let at = header.checked_add(4)?;
    let value = match how & encoding::FORMAT {
        // absptr, udata8, sdata8
        0x0 | 0x4 | 0xc => memory.read_u64(at)?,
        // udata4
        0x3 => u64::from(read_u32(memory, at)?),
        // sdata4
        0xb => i64::from(read_u32(memory, at)? as i32) as u64,
        _ => return None,
    };
    match how & encoding::APPLICATION {
        0 => Some(value),
        encoding::PCREL => Some(at.wrapping_add(value)),
        encoding::DATAREL => Some(header.wrapping_add(value)),
        _ => None,
    }
}

fn read_u32(memory: &dyn MemorySource, at: u64) -> Option<u32> {
    let mut bytes = [0; 4];
    memory.read_exact(at, &mut bytes).then(|| u32::from_le_bytes(bytes))
}

/// Follows the lengths of CIEs and FDEs from `start` to the terminator, or as
/// far as they make sense before `limit`.
fn walk(memory: &dyn MemorySource, start: u64, limit: u64) -> u64 {
    let mut window = Window { memory, limit, start, bytes: Vec::new() };
    let mut at = start;
    loop {
        let Some(length) = window.get(at, 4) else { return at };
        let (head, length) = match length {
            0 => return at.saturating_add(4),
            0xffff_ffff => match window.get(at.saturating_add(4), 8) {
                Some(length) => (12, length),
                None => return at,
            },
            length => (4, length),
        };
        match at.checked_add(head).and_then(|a| a.checked_add(length)) {
            Some(next) if next <= limit && length > 0 => at = next,
            _ => return at,
        }
    }
}

/// A chunk of memory that moves along with a walk.
struct Window<'a> {
    memory: &'a dyn MemorySource,
    limit: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// The little-endian number of `len` bytes at `at`.
    fn get(&mut self, at: u64, len: u64) -> Option<u64> {
        let end = at.checked_add(len).filter(|end| *end <= self.limit)?;
        if at < self.start || end > self.start + self.bytes.len() as u64 {
            self.start = at;
            self.bytes = vec![0; CHUNK.min(self.limit - at) as usize];
            if !self.memory.read_exact(at, &mut self.bytes) {
                self.bytes.clear();
                return None;
            }
        }
        let offset = (at - self.start) as usize;
        let bytes = &self.bytes[offset..offset + len as usize];
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::linux::testkit::Flat;
    use proptest::prelude::*;

    #[test]
    fn entries_are_followed_to_the_terminator() {
        let mut table = Vec::new();
        for len in [20u32, 12] {
            table.extend_from_slice(&len.to_le_bytes());
            table.resize(table.len() + len as usize, 0xee);
        }
        table.extend_from_slice(&u32::MAX.to_le_bytes());
        table.extend_from_slice(&8u64.to_le_bytes());
        table.extend_from_slice(&[0xee; 8]);
        table.extend_from_slice(&[0; 4]);
        let len = table.len() as u64;
        table.extend_from_slice(&[0x77; 64]);
        let memory = Flat::new(0x1000, table);
        assert_eq!(walk(&memory, 0x1000, 0x1000 + len + 64), 0x1000 + len);
        // Cut in the middle of an entry, it ends before that entry.
        assert_eq!(walk(&memory, 0x1000, 0x1000 + 30), 0x1000 + 24);
    }

    #[test]
    fn the_pointer_is_decoded_relative_to_what_it_says() {
        let header = |how: u8, value: &[u8]| {
            let mut bytes = vec![1, how, 3, 0x3b];
            bytes.extend_from_slice(value);
            eh_frame_pointer(&Flat::new(0x2000, bytes), 0x2000)
        };
        assert_eq!(header(0x1b, &(-4i32).to_le_bytes()), Some(0x2000));
        assert_eq!(header(0x3b, &0x10i32.to_le_bytes()), Some(0x2010));
        assert_eq!(header(0x03, &0x10u32.to_le_bytes()), Some(0x10));
        assert_eq!(header(0x04, &0x10u64.to_le_bytes()), Some(0x10));
        assert_eq!(header(0xff, &[0; 8]), None);
        assert_eq!(header(0x9b, &[0; 8]), None);
    }

    proptest! {
        #[test]
        fn a_walk_over_garbage_ends_within_its_limit(
            bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(0xff), Just(4), any::<u8>()], 0..300),
            limit in 0u64..400,
        ) {
            let memory = Flat::new(0x1000, bytes);
            let end = walk(&memory, 0x1000, 0x1000 + limit);
            prop_assert!((0x1000..=0x1000 + limit.max(4)).contains(&end));
        }
    }
}
