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

use super::{DumpLayout, HEAD_BUFFER, HOLES_RESERVE, Layout};
use crate::address::AddressRange;
use crate::error::Result;
use crate::packed::{self, Packed};
use crate::plan::core::CorePlan;
use crate::plan::{DumpPlan, note_head};
use crate::target::{ProcessSnapshot, Protection, Region};
use crate::write::soft_errors::{self, Holes};
use dumpwright_format::elf_core::{
    ET_CORE, FileHeader, NOTE_SOFT_ERRORS, NOTE_STREAMS, OWNER_DUMPWRIGHT, PN_XNUM, PT_LOAD,
    PT_NOTE, ProgramHeader, SectionHeader,
};
use std::io::{self, BufWriter, Read, Write};
use std::iter::Peekable;
use zerocopy::{FromZeros, IntoBytes};

/// Bytes before any memory that depend on the number of ranges: program headers
/// for a range and for what is left of its mapping on one side.
const PER_MAPPING: u64 = 2 * size_of::<ProgramHeader>() as u64;

/// Where everything in a core stands.
#[derive(Clone, Debug)]
pub struct CoreLayout {
    /// Program headers, those of both notes included.
    headers: usize,
    notes_at: u64,
    /// What the last note before memory holds.
    streams: Layout,
    head_size: u64,
    memory_size: u64,
    trailer_size: u64,
}

impl CoreLayout {
    /// Lays out a plan as a core. `time_date_stamp` is in seconds since 1970.
    ///
    /// # Errors
    /// [`Error::RvaOverflow`](crate::Error::RvaOverflow) when the streams that
    /// it carries do not fit under 4 GiB.
    pub fn new(
        plan: &DumpPlan,
        core: &CorePlan,
        snapshot: &ProcessSnapshot,
        time_date_stamp: u32,
    ) -> Result<CoreLayout> {
        let streams = Layout::of_streams(plan, time_date_stamp)?;
        // Two of notes.
        let headers = Segments::new(&snapshot.regions, &plan.memory.ranges).count() + 2;
        let table_end = size_of::<FileHeader>() + headers * size_of::<ProgramHeader>();
        let extended = if is_extended(headers) { size_of::<SectionHeader>() } else { 0 };
        let notes_at = (table_end + extended) as u64;
        let head_size = (notes_at + notes_size(core, &streams)).next_multiple_of(core.page_size);
        let memory_size = plan.memory.len();
        let trailer_at = (head_size + memory_size).next_multiple_of(4);
        let padding = trailer_at - head_size - memory_size;
        let text = soft_errors::encoded_len(&soft_errors::known(plan)) + HOLES_RESERVE;
        let note_size = last_note(0).len() as u64 + text.next_multiple_of(4);
        let trailer_size = padding + note_size;
        Ok(CoreLayout { headers, notes_at, streams, head_size, memory_size, trailer_size })
    }

    fn file_header(&self, core: &CorePlan) -> FileHeader {
        let table = size_of::<FileHeader>();
        let mut header = FileHeader::new_zeroed();
        header.ident[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        header.kind = ET_CORE.into();
        header.machine = core.machine.into();
        header.version = 1.into();
        header.phoff = (table as u64).into();
        header.ehsize = (table as u16).into();
        header.phentsize = (size_of::<ProgramHeader>() as u16).into();
        header.phnum = PN_XNUM.into();
        if is_extended(self.headers) {
            let table_end = table + self.headers * size_of::<ProgramHeader>();
            header.shoff = (table_end as u64).into();
            header.shentsize = (size_of::<SectionHeader>() as u16).into();
            header.shnum = 1.into();
        } else {
            header.phnum = (self.headers as u16).into();
        }
        header
    }

    fn write_core_head(
        &self,
        plan: &DumpPlan,
        snapshot: &ProcessSnapshot,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let core = plan.core.as_ref().ok_or_else(|| io::Error::other("the plan has no core"))?;
        let before_memory = notes_size(core, &self.streams);
        let memory_end = self.head_size + self.memory_size;
        let trailer_at = memory_end.next_multiple_of(4);
        let note_size = self.file_size() - trailer_at;
        out.write_all(self.file_header(core).as_bytes())?;
        out.write_all(note(self.notes_at, before_memory).as_bytes())?;
        let mut at = self.head_size;
        for segment in Segments::new(&snapshot.regions, &plan.memory.ranges) {
            out.write_all(segment.header(at, core.page_size).as_bytes())?;
            at += segment.stored();
        }
        debug_assert_eq!(at, memory_end);
        out.write_all(note(trailer_at, note_size).as_bytes())?;
        if is_extended(self.headers) {
            let mut section = SectionHeader::new_zeroed();
            section.size = 1.into();
            section.info = (self.headers as u32).into();
            out.write_all(section.as_bytes())?;
        }
        core.notes.write(out)?;
        out.write_all(&streams_note(&self.streams))?;
        self.streams.write_head(plan, snapshot, out)?;
        let padding = self.head_size - self.notes_at - before_memory;
        io::copy(&mut io::repeat(0).take(padding), out)?;
        out.flush()
    }
}

impl DumpLayout for CoreLayout {
    fn head_size(&self) -> u64 {
        self.head_size
    }

    fn write_head(
        &self,
        plan: &DumpPlan,
        snapshot: &ProcessSnapshot,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut out = BufWriter::with_capacity(HEAD_BUFFER, out);
        self.write_core_head(plan, snapshot, &mut out)
    }

    fn file_size(&self) -> u64 {
        self.head_size + self.memory_size + self.trailer_size
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
    let table = PER_MAPPING * (core.mappings + 2);
    headers as u64 + table + core.notes.len() + core.page_size + 64
}

/// Whether there are more program headers than the header can count.
fn is_extended(headers: usize) -> bool {
    headers >= usize::from(PN_XNUM)
}

/// Bytes of the notes before memory. The head of a minidump ends aligned.
fn notes_size(core: &CorePlan, streams: &Layout) -> u64 {
    core.notes.len() + streams_note(streams).len() as u64 + streams.head_size()
}

fn streams_note(streams: &Layout) -> Vec<u8> {
    note_head(OWNER_DUMPWRIGHT, NOTE_STREAMS, streams.head_size() as usize)
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
/// of it lies in one mapping.
struct Segments<'a> {
    mappings: packed::Iter<'a, Region>,
    held: Peekable<packed::Iter<'a, AddressRange>>,
    /// What is left of the mapping that was begun, and its `PF_*` flags.
    rest: AddressRange,
    flags: u32,
}

impl<'a> Segments<'a> {
    fn new(mappings: &'a Packed<Region>, held: &'a Packed<AddressRange>) -> Self {
        let held = held.iter().peekable();
        Segments { mappings: mappings.iter(), held, rest: AddressRange::new(0, 0), flags: 0 }
    }
}

impl Iterator for Segments<'_> {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        while self.rest.is_empty() {
            let mapping = self.mappings.next()?;
            self.rest = mapping.range;
            self.flags = flags(mapping.protection);
        }
        let mut part = self.rest;
        let held = self.held.next_if(|held| held.start <= part.start);
        part.end = match held {
            Some(held) => held.end,
            None => self.held.peek().map_or(part.end, |next| next.start.min(part.end)),
        };
        self.rest.start = part.end;
        Some(Segment { range: part, flags: self.flags, held: held.is_some() })
    }
}

fn flags(protection: Protection) -> u32 {
    let bit = |flag, bit| if protection.contains(flag) { bit } else { 0 };
    bit(Protection::READ, 4) | bit(Protection::WRITE, 2) | bit(Protection::EXECUTE, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::region;

    fn range(start: u64, end: u64) -> AddressRange {
        AddressRange::new(start, end)
    }

    #[test]
    fn mappings_are_cut_where_held_memory_begins_and_ends() {
        let mut mappings = [region(0x1000, 0x4000), region(0x4000, 0x5000)];
        mappings[1].protection = Protection::READ;
        let mappings = mappings.into_iter().collect();
        let held = [range(0x1800, 0x2000), range(0x2000, 0x2100), range(0x4000, 0x5000)];
        let held = held.into_iter().collect();
        let found: Vec<_> = Segments::new(&mappings, &held)
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
