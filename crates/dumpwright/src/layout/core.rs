//! Every offset of an ELF core, before its first byte is written.
//!
//! ```text
//! header | program headers | section header | notes | memory | last note
//! ```
//!
//! Behind the notes that cores have stands one with the streams of a minidump of
//! the same process, so that a core becomes a minidump again without losing
//! what cores have no notes for.
//!
//! The section header is there only if there are more program headers than the
//! header can count (`PN_XNUM`). The last note has what could not be had, which
//! is only known once memory has been read.

use super::{DumpLayout, HOLES_RESERVE};
use crate::address::AddressRange;
use crate::error::Result;
use crate::plan::core::CorePlan;
use crate::plan::{DumpPlan, note_head};
use crate::write::soft_errors::{self, Holes};
use dumpwright_format::elf_core::{
    ET_CORE, FileHeader, NOTE_SOFT_ERRORS, NOTE_STREAMS, OWNER_DUMPWRIGHT, PN_XNUM, PT_LOAD,
    PT_NOTE, ProgramHeader, SectionHeader,
};
use zerocopy::{FromZeros, IntoBytes};

/// Bytes before any memory that depend on the number of ranges: program headers
/// for a range and for what is left of its mapping on one side.
const PER_MAPPING: u64 = 2 * size_of::<ProgramHeader>() as u64;

/// Where everything in a core stands.
#[derive(Clone, Debug)]
pub struct CoreLayout {
    head: Vec<u8>,
    memory_size: u64,
    trailer_size: u64,
}

impl CoreLayout {
    /// Lays out a plan as a core. `time_date_stamp` is in seconds since 1970.
    ///
    /// # Errors
    /// [`Error::RvaOverflow`](crate::Error::RvaOverflow) when the streams that
    /// it carries do not fit under 4 GiB.
    pub fn new(plan: &DumpPlan, core: &CorePlan, time_date_stamp: u32) -> Result<CoreLayout> {
        let streams = super::streams_alone(plan, time_date_stamp)?;
        let mut notes = core.notes.clone();
        notes.extend(note_head(OWNER_DUMPWRIGHT, NOTE_STREAMS, streams.len()));
        notes.extend(streams);
        notes.resize(notes.len().next_multiple_of(4), 0);
        let segments = segments(core, &plan.memory.ranges);
        // Two of notes.
        let count = segments.len() + 2;
        let table = size_of::<FileHeader>();
        let table_end = table + count * size_of::<ProgramHeader>();
        let extended = count >= usize::from(PN_XNUM);
        let notes_at = table_end + if extended { size_of::<SectionHeader>() } else { 0 };
        let notes_end = notes_at + notes.len();
        let memory_at = (notes_end as u64).next_multiple_of(core.page_size);
        let memory_size = plan.memory.len();
        let trailer_at = (memory_at + memory_size).next_multiple_of(4);
        let padding = trailer_at - memory_at - memory_size;
        let text = soft_errors::encoded_len(&soft_errors::known(plan)) + HOLES_RESERVE;
        let note_size = last_note(0).len() as u64 + text.next_multiple_of(4);

        let mut header = FileHeader::new_zeroed();
        header.ident[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        header.kind = ET_CORE.into();
        header.machine = core.machine.into();
        header.version = 1.into();
        header.phoff = (table as u64).into();
        header.ehsize = (size_of::<FileHeader>() as u16).into();
        header.phentsize = (size_of::<ProgramHeader>() as u16).into();
        header.phnum = if extended { PN_XNUM } else { count as u16 }.into();
        if extended {
            header.shoff = (table_end as u64).into();
            header.shentsize = (size_of::<SectionHeader>() as u16).into();
            header.shnum = 1.into();
        }
        let mut head = header.as_bytes().to_vec();
        head.reserve(memory_at as usize);
        head.extend_from_slice(note(notes_at as u64, notes.len() as u64).as_bytes());
        let mut at = memory_at;
        for segment in &segments {
            head.extend_from_slice(segment.header(at, core.page_size).as_bytes());
            at += segment.stored();
        }
        head.extend_from_slice(note(trailer_at, note_size).as_bytes());
        if extended {
            let mut section = SectionHeader::new_zeroed();
            section.size = 1.into();
            section.info = (count as u32).into();
            head.extend_from_slice(section.as_bytes());
        }
        debug_assert_eq!(head.len(), notes_at);
        head.extend_from_slice(&notes);
        head.resize(memory_at as usize, 0);
        Ok(CoreLayout { head, memory_size, trailer_size: padding + note_size })
    }
}

impl DumpLayout for CoreLayout {
    fn head(&self) -> &[u8] {
        &self.head
    }

    fn file_size(&self) -> u64 {
        self.head.len() as u64 + self.memory_size + self.trailer_size
    }

    fn trailer(&self, plan: &DumpPlan, holes: Holes<'_>) -> Vec<u8> {
        let padding = self.memory_size.next_multiple_of(4) - self.memory_size;
        let text = self.trailer_size - padding - last_note(0).len() as u64;
        let mut trailer = vec![0; padding as usize];
        trailer.extend(last_note(text as usize));
        trailer.extend(soft_errors::encode(&soft_errors::known(plan), holes, text as usize));
        trailer
    }
}

/// Bytes of a core before any memory, and of what does not depend on it, without
/// the streams that it carries.
pub(crate) fn fixed_size(core: &CorePlan) -> u64 {
    let headers = size_of::<FileHeader>() + size_of::<SectionHeader>();
    let table = PER_MAPPING * (core.mappings.len() as u64 + 2);
    headers as u64 + table + core.notes.len() as u64 + core.page_size + 64
}

fn last_note(len: usize) -> Vec<u8> {
    note_head(OWNER_DUMPWRIGHT, NOTE_SOFT_ERRORS, len)
}

/// A mapping, or a part of one of which the core holds all or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    range: AddressRange,
    flags: u32,
    held: bool,
}

impl Segment {
    fn stored(&self) -> u64 {
        if self.held { self.range.len() } else { 0 }
    }

    fn header(&self, offset: u64, page_size: u64) -> ProgramHeader {
        // Parts that begin inside a page are aligned to nothing.
        let aligned = (offset ^ self.range.start) & (page_size - 1) == 0;
        ProgramHeader {
            kind: PT_LOAD.into(),
            flags: self.flags.into(),
            offset: offset.into(),
            vaddr: self.range.start.into(),
            paddr: 0.into(),
            filesz: self.stored().into(),
            memsz: self.range.len().into(),
            align: if aligned { page_size } else { 1 }.into(),
        }
    }
}

fn note(offset: u64, size: u64) -> ProgramHeader {
    let mut header = ProgramHeader::new_zeroed();
    header.kind = PT_NOTE.into();
    header.offset = offset.into();
    header.filesz = size.into();
    header.align = 4.into();
    header
}

/// The mappings, cut where the memory that is held begins and ends. Each range
/// of `held` lies in one mapping.
fn segments(core: &CorePlan, held: &[AddressRange]) -> Vec<Segment> {
    let mut segments = Vec::with_capacity(core.mappings.len() + held.len());
    let mut next = 0;
    for (mapping, flags) in &core.mappings {
        let mut at = mapping.start;
        let mut add = |range: AddressRange, held| {
            if !range.is_empty() {
                segments.push(Segment { range, flags: *flags, held });
            }
        };
        while let Some(range) = held.get(next).filter(|r| r.start < mapping.end) {
            add(AddressRange::new(at, range.start), false);
            add(*range, true);
            at = range.end;
            next += 1;
        }
        add(AddressRange::new(at, mapping.end), false);
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> AddressRange {
        AddressRange::new(start, end)
    }

    #[test]
    fn mappings_are_cut_where_held_memory_begins_and_ends() {
        let core = CorePlan {
            machine: 62,
            notes: Vec::new(),
            mappings: vec![(range(0x1000, 0x4000), 6), (range(0x4000, 0x5000), 4)],
            page_size: 4096,
        };
        let held = [range(0x1800, 0x2000), range(0x2000, 0x2100), range(0x4000, 0x5000)];
        let found: Vec<_> = segments(&core, &held)
            .iter()
            .map(|s| (s.range.start, s.range.end, s.flags, s.held))
            .collect();
        assert_eq!(
            found,
            [
                (0x1000, 0x1800, 6, false),
                (0x1800, 0x2000, 6, true),
                (0x2000, 0x2100, 6, true),
                (0x2100, 0x4000, 6, false),
                (0x4000, 0x5000, 4, true),
            ]
        );
    }
}
