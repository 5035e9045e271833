//! Every offset of a dump, before its first byte is written.
//!
//! ```text
//! header, directory | streams | memory list | blobs | memory | soft errors
//! ```
//!
//! Everything but memory and soft errors is encoded here (the *head*; its size
//! depends on threads and modules, not on memory). Soft errors come last,
//! since memory that cannot be read is only known once it has been tried; their
//! stream has a fixed size, and what it does not need is filled with spaces,
//! which JSON ignores.
//!
//! A directory entry cannot point past 4 GiB. In a dump that is larger, the
//! stream stands in the head with what is known before memory is read, and
//! names offset and size of the list of holes at the end of the file.

#![forbid(unsafe_code)]

pub mod kernel;

use crate::address::AddressRange;
use crate::error::{Error, Result};
use crate::plan::assembly::{Assembly, Fixup, FixupKind, Section};
use crate::plan::core::CorePlan;
use crate::plan::{DumpPlan, MemoryForm};
use crate::soft_error::SoftError;
use crate::write::soft_errors::{self, Entry as SoftErrorEntry, Holes};
use dumpwright_format::MinidumpType;
use dumpwright_format::minidump::{
    Directory, Header, LocationDescriptor, Memory64ListHeader, MemoryDescriptor,
    MemoryDescriptor64, SIGNATURE, StreamType, VERSION,
};
use std::mem::size_of;
use zerocopy::IntoBytes;
use zerocopy::little_endian::U32;

/// Alignment of streams and blobs.
const ALIGN: u64 = 16;
/// Alignment of the memory of a `Memory64List`: whole pages of the target
/// become whole pages of the file.
const MEMORY64_ALIGN: u64 = 4096;
/// What is kept free in the soft-errors stream for memory that turns out to be
/// unreadable.
const HOLES_RESERVE: u64 = 4096;
/// What a size budget keeps free to say what it left out.
const LEFT_OUT_RESERVE: u64 = 2048;

pub mod core;

/// A dump of which every offset is known: a head, then the planned memory, then
/// a trailer.
pub trait DumpLayout: Sync {
    /// Everything before the memory.
    fn head(&self) -> &[u8];

    /// The exact size of the file.
    fn file_size(&self) -> u64;

    /// Everything behind the memory, with the holes that reading it found.
    fn trailer(&self, plan: &DumpPlan, holes: Holes<'_>) -> Vec<u8>;
}

/// Where everything stands.
#[derive(Clone, Debug)]
pub struct Layout {
    head: Vec<u8>,
    trailer_size: u64,
    trailer_holds_known: bool,
    memory_size: u64,
}

impl Layout {
    /// Lays out a plan. `time_date_stamp` is in seconds since 1970.
    ///
    /// # Errors
    /// [`Error::RvaOverflow`] when the head does not fit under 4 GiB.
    pub fn new(plan: &DumpPlan, time_date_stamp: u32) -> Result<Layout> {
        let known = soft_errors::known(plan);
        let memory_size = plan.memory.len();
        let trailer_size = soft_errors::encoded_len(&known) + HOLES_RESERVE;
        let reach = head_bound(&plan.assembly, plan.memory.ranges.len()) + memory_size;
        let trailer_holds_known = u32::try_from(reach + trailer_size).is_ok();
        let trailer_size = if trailer_holds_known { trailer_size } else { HOLES_RESERVE };
        let mut head = HeadBuilder::new(&plan.assembly, &plan.memory.ranges, plan.memory.form);
        if !trailer_holds_known {
            head.add_known_soft_errors(&known, memory_size, trailer_size);
        }
        let (types, time) = (plan.minidump_type, time_date_stamp);
        let head = head.encode(types, time, memory_size, Some(trailer_size))?;
        Ok(Layout { head, trailer_size, trailer_holds_known, memory_size })
    }

    /// Where target memory starts.
    pub fn memory_offset(&self) -> u64 {
        self.head.len() as u64
    }
}

impl DumpLayout for Layout {
    /// Header, directory, streams and blobs, and padding up to the memory.
    fn head(&self) -> &[u8] {
        &self.head
    }

    fn file_size(&self) -> u64 {
        self.memory_offset() + self.memory_size + self.trailer_size
    }

    /// Soft errors.
    fn trailer(&self, plan: &DumpPlan, holes: Holes<'_>) -> Vec<u8> {
        let known = if self.trailer_holds_known { soft_errors::known(plan) } else { Vec::new() };
        soft_errors::encode(&known, holes, self.trailer_size as usize)
    }
}

/// A minidump of everything in a plan but memory and soft errors.
///
/// # Errors
/// [`Error::RvaOverflow`] when that does not fit under 4 GiB.
pub(crate) fn streams_alone(plan: &DumpPlan, time_date_stamp: u32) -> Result<Vec<u8>> {
    let head = HeadBuilder::new(&plan.assembly, &[], MemoryForm::List);
    head.encode(plan.minidump_type, time_date_stamp, 0, None)
}

/// Bytes that `max` leaves for memory and its descriptors in a dump with these
/// streams.
///
/// # Errors
/// [`Error::InvalidRequest`] when not even the streams fit.
pub fn memory_budget(
    assembly: &Assembly,
    core: Option<&CorePlan>,
    known: &[SoftError],
    max: u64,
) -> Result<u64> {
    let known: u64 =
        known.iter().map(|e| (e.subject.len() + e.message.len()) as u64 * 2 + 64).sum();
    let streams = head_bound(assembly, 0);
    // A core has its own head, and the streams in a note.
    let fixed =
        core.map_or(0, core::fixed_size) + streams + known + HOLES_RESERVE + LEFT_OUT_RESERVE;
    max.checked_sub(fixed).ok_or_else(|| {
        Error::InvalidRequest(format!(
            "a dump of this process has {fixed} bytes before any memory and --max-size allows {max}; allow more, or ask for fewer streams"
        ))
    })
}

/// No head is larger than this.
fn head_bound(assembly: &Assembly, memory_ranges: usize) -> u64 {
    let section = |s: &Section| s.bytes().len() as u64 + ALIGN;
    let streams: u64 = assembly.streams().iter().map(|(_, s)| section(s) + 12).sum();
    let blobs: u64 = assembly.blobs().iter().map(section).sum();
    // Header, memory list and soft errors with their directory entries.
    streams + blobs + 16 * memory_ranges as u64 + 1024 + MEMORY64_ALIGN
}

/// Gives out offsets.
struct Cursor(u64);

impl Cursor {
    fn place(&mut self, len: u64, align: u64) -> u64 {
        let at = self.0.next_multiple_of(align);
        self.0 = at + len;
        at
    }
}

/// Places the sections of the head and encodes them.
struct HeadBuilder<'a> {
    cursor: Cursor,
    assembly: &'a Assembly,
    ranges: &'a [AddressRange],
    form: MemoryForm,
    streams: Vec<u64>,
    memory_list: u64,
    memory_list_size: u64,
    blobs: Vec<u64>,
    memory_align: u64,
    /// Soft errors that stand in the head.
    known: Option<(u64, Vec<u8>)>,
}

impl<'a> HeadBuilder<'a> {
    fn new(assembly: &'a Assembly, ranges: &'a [AddressRange], form: MemoryForm) -> Self {
        // The memory list and soft errors are streams too.
        let directory = (assembly.streams().len() + 2) * size_of::<Directory>();
        let mut cursor = Cursor((size_of::<Header>() + directory) as u64);
        let place = |cursor: &mut Cursor, s: &Section| cursor.place(s.bytes().len() as u64, ALIGN);
        let streams = assembly.streams().iter().map(|(_, s)| place(&mut cursor, s)).collect();
        let count = ranges.len();
        let (memory_list_size, memory_align) = match form {
            MemoryForm::List => (4 + size_of::<MemoryDescriptor>() * count, ALIGN),
            MemoryForm::List64 => (
                size_of::<Memory64ListHeader>() + size_of::<MemoryDescriptor64>() * count,
                MEMORY64_ALIGN,
            ),
        };
        let memory_list_size = memory_list_size as u64;
        let memory_list = cursor.place(memory_list_size, ALIGN);
        let blobs = assembly.blobs().iter().map(|b| place(&mut cursor, b)).collect();
        HeadBuilder {
            cursor,
            assembly,
            ranges,
            form,
            streams,
            memory_list,
            memory_list_size,
            blobs,
            memory_align,
            known: None,
        }
    }

    /// Puts the soft errors that are known already into the head, with a
    /// pointer to the list of holes at the end of the file.
    fn add_known_soft_errors(&mut self, known: &[SoftErrorEntry], memory: u64, trailer_size: u64) {
        // The text's length depends on the offset that it names; that offset's
        // digits are padded, so that it does not.
        let size = soft_errors::encode_with_pointer(known, 0, trailer_size).len() as u64;
        let at = self.cursor.place(size, ALIGN);
        let trailer = self.cursor.0.next_multiple_of(self.memory_align) + memory;
        self.known = Some((at, soft_errors::encode_with_pointer(known, trailer, trailer_size)));
    }

    /// Soft errors are in the head, or in a trailer if there is one.
    fn encode(
        self,
        flags: MinidumpType,
        time_date_stamp: u32,
        memory_size: u64,
        trailer_size: Option<u64>,
    ) -> Result<Vec<u8>> {
        let end = self.cursor.0.next_multiple_of(self.memory_align);
        if end > u64::from(u32::MAX) {
            return Err(Error::RvaOverflow { what: "the end of the streams".into(), offset: end });
        }
        let memory = MemoryPlaces::new(self.ranges, end);
        let mut head = vec![0; end as usize];
        let mut put = |at: u64, bytes: &[u8]| {
            head[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
        };
        let soft_errors = match &self.known {
            Some((at, bytes)) => {
                put(*at, bytes);
                Some((*at, bytes.len() as u64))
            }
            None => trailer_size.map(|size| (end + memory_size, size)),
        };
        put(0, &self.directory(flags, time_date_stamp, soft_errors));
        put(self.memory_list, &memory.encode_list(self.form, end));
        let streams = self.assembly.streams().iter().map(|(_, s)| s).zip(&self.streams);
        let blobs = self.assembly.blobs().iter().zip(&self.blobs);
        for (section, at) in streams.chain(blobs) {
            put(*at, section.bytes());
            for fixup in section.fixups() {
                put(at + fixup.at as u64, &self.resolve(fixup, &memory));
            }
        }
        Ok(head)
    }

    fn directory(
        &self,
        flags: MinidumpType,
        time_date_stamp: u32,
        soft_errors: Option<(u64, u64)>,
    ) -> Vec<u8> {
        let memory_type = match self.form {
            MemoryForm::List => StreamType::MEMORY_LIST,
            MemoryForm::List64 => StreamType::MEMORY64_LIST,
        };
        let own = self.assembly.streams().iter().zip(&self.streams);
        let entries: Vec<Directory> = own
            .map(|((stream_type, section), at)| (*stream_type, *at, section.bytes().len() as u64))
            .chain([(memory_type, self.memory_list, self.memory_list_size)])
            .chain(soft_errors.map(|(at, size)| (StreamType::MOZ_SOFT_ERRORS, at, size)))
            .map(|(stream_type, at, size)| Directory {
                stream_type: stream_type.0.into(),
                location: location(size, at),
            })
            .collect();
        let header = Header {
            signature: SIGNATURE.into(),
            version: u32::from(VERSION).into(),
            number_of_streams: (entries.len() as u32).into(),
            stream_directory_rva: (size_of::<Header>() as u32).into(),
            check_sum: 0.into(),
            time_date_stamp: time_date_stamp.into(),
            flags: flags.bits().into(),
        };
        [header.as_bytes(), entries.as_bytes()].concat()
    }

    fn resolve(&self, fixup: &Fixup, memory: &MemoryPlaces<'_>) -> Vec<u8> {
        match fixup.kind {
            FixupKind::Rva(blob) => (self.blobs[blob.index()] as u32).to_le_bytes().to_vec(),
            FixupKind::Rva64(blob) => self.blobs[blob.index()].to_le_bytes().to_vec(),
            FixupKind::Location(blob) => {
                let size = self.assembly.blobs()[blob.index()].bytes().len() as u64;
                location(size, self.blobs[blob.index()]).as_bytes().to_vec()
            }
            FixupKind::Memory(range) => {
                let at = memory.offset_of(range).filter(|at| u32::try_from(*at).is_ok());
                at.map_or(location(0, 0), |at| location(range.len(), at)).as_bytes().to_vec()
            }
        }
    }
}

/// Both values are known to fit: everything they are called with lies in the
/// head, or was checked.
fn location(size: u64, at: u64) -> LocationDescriptor {
    LocationDescriptor { data_size: U32::new(size as u32), rva: U32::new(at as u32) }
}

/// Where each range of memory stands in the file.
struct MemoryPlaces<'a> {
    ranges: &'a [AddressRange],
    offsets: Vec<u64>,
}

impl<'a> MemoryPlaces<'a> {
    fn new(ranges: &'a [AddressRange], base: u64) -> Self {
        let offsets = ranges
            .iter()
            .scan(base, |at, range| {
                let start = *at;
                *at += range.len();
                Some(start)
            })
            .collect();
        MemoryPlaces { ranges, offsets }
    }

    /// The file offset of `range`, if it lies in one range of the dump.
    fn offset_of(&self, range: AddressRange) -> Option<u64> {
        let index = self.ranges.partition_point(|r| r.end <= range.start);
        let held = self.ranges.get(index)?;
        (held.start <= range.start && range.end <= held.end)
            .then(|| self.offsets[index] + (range.start - held.start))
    }

    fn encode_list(&self, form: MemoryForm, base: u64) -> Vec<u8> {
        let mut list = Section::new();
        match form {
            MemoryForm::List => {
                list.put(&U32::new(self.ranges.len() as u32));
                for (range, at) in self.ranges.iter().zip(&self.offsets) {
                    list.put(&MemoryDescriptor {
                        start_of_memory_range: range.start.into(),
                        memory: location(range.len(), *at),
                    });
                }
            }
            MemoryForm::List64 => {
                list.put(&Memory64ListHeader {
                    number_of_memory_ranges: (self.ranges.len() as u64).into(),
                    base_rva: base.into(),
                });
                for range in self.ranges {
                    list.put(&MemoryDescriptor64 {
                        start_of_memory_range: range.start.into(),
                        data_size: range.len().into(),
                    });
                }
            }
        }
        list.bytes().to_vec()
    }
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
