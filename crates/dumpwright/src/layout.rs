//! Every offset of a dump, before its first byte is written.
//!
//! ```text
//! header, directory | streams | memory info | memory list | blobs | memory | soft errors
//! ```
//!
//! Everything but memory and soft errors is the *head*. It is placed here, and
//! encoded while it is written: a process with many mappings has tens of MiB of
//! them. Soft errors come last,
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
use crate::packed::Packed;
use crate::plan::assembly::{Assembly, Fixup, FixupKind, Section};
use crate::plan::core::CorePlan;
use crate::plan::streams::MemoryInfoPlan;
use crate::plan::{DumpPlan, MemoryForm};
use crate::soft_error::SoftError;
use crate::target::ProcessSnapshot;
use crate::write::soft_errors::{self, Holes};
use dumpwright_format::minidump::{
    Directory, Header, LocationDescriptor, Memory64ListHeader, MemoryDescriptor,
    MemoryDescriptor64, SIGNATURE, StreamType, VERSION,
};
use std::borrow::Cow;
use std::io::{self, BufWriter, Write};
use std::mem::size_of;
use zerocopy::IntoBytes;
use zerocopy::little_endian::U32;

/// Alignment of streams and blobs.
const ALIGN: u64 = 16;
/// Alignment of the memory of a `Memory64List`: whole pages of the target
/// become whole pages of the file.
const MEMORY64_ALIGN: u64 = 4096;
/// Bytes of the head that are written at once.
const HEAD_BUFFER: usize = 64 << 10;
/// What is kept free in the soft-errors stream for memory that turns out to be
/// unreadable.
const HOLES_RESERVE: u64 = 4096;
/// What a size budget keeps free to say what it left out.
const LEFT_OUT_RESERVE: u64 = 2048;

pub mod core;

/// A dump of which every offset is known: a head, then the planned memory, then
/// a trailer.
pub trait DumpLayout: Sync {
    /// Bytes before the memory.
    fn head_size(&self) -> u64;

    /// Writes everything before the memory, of the plan that was laid out.
    ///
    /// # Errors
    /// Those of `out`.
    fn write_head(
        &self,
        plan: &DumpPlan,
        snapshot: &ProcessSnapshot,
        out: &mut dyn Write,
    ) -> io::Result<()>;

    /// The exact size of the file.
    fn file_size(&self) -> u64;

    /// Everything behind the memory, with the holes that reading it found.
    fn trailer(&self, plan: &DumpPlan, holes: Holes<'_>) -> Vec<u8>;
}

/// Where everything stands.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Whether it holds memory and soft errors, and not streams alone.
    has_memory: bool,
    /// Header and directory.
    directory: Vec<u8>,
    /// RVA of each stream and blob of the assembly.
    streams: Vec<u64>,
    blobs: Vec<u64>,
    memory_info: u64,
    memory_list: u64,
    /// Soft errors that stand in the head.
    known: Option<(u64, Vec<u8>)>,
    head_size: u64,
    trailer_size: u64,
    memory_size: u64,
}

impl Layout {
    /// Lays out a plan. `time_date_stamp` is in seconds since 1970.
    ///
    /// # Errors
    /// [`Error::RvaOverflow`] when the head does not fit under 4 GiB.
    pub fn new(plan: &DumpPlan, time_date_stamp: u32) -> Result<Layout> {
        Self::place(plan, time_date_stamp, true)
    }

    /// Lays out the streams of a plan, without memory and soft errors: what an
    /// ELF core carries.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_streams(plan: &DumpPlan, time_date_stamp: u32) -> Result<Layout> {
        Self::place(plan, time_date_stamp, false)
    }

    fn place(plan: &DumpPlan, time_date_stamp: u32, has_memory: bool) -> Result<Layout> {
        let assembly = &plan.assembly;
        let (held, form) = memory_of(plan, has_memory);
        let ranges = held.len();
        let (mut memory_size, mut trailer_size, mut trailer_holds_known) = (0, 0, true);
        let errors = soft_errors::known(plan);
        if has_memory {
            memory_size = plan.memory.len();
            trailer_size = soft_errors::encoded_len(&errors) + HOLES_RESERVE;
            let reach = head_bound(assembly, plan.memory_info, ranges) + memory_size;
            trailer_holds_known = u32::try_from(reach + trailer_size).is_ok();
            if !trailer_holds_known {
                trailer_size = HOLES_RESERVE;
            }
        }

        // The memory list, soft errors and memory information are streams too.
        let others = [true, has_memory, plan.memory_info.is_some()];
        let entries = assembly.streams().len() + others.iter().filter(|is| **is).count();
        let mut cursor = Cursor((size_of::<Header>() + entries * size_of::<Directory>()) as u64);
        let place = |cursor: &mut Cursor, s: &Section| cursor.place(s.size(), ALIGN);
        let streams = assembly.streams().iter().map(|(_, s)| place(&mut cursor, s)).collect();
        let memory_info = cursor.place(plan.memory_info.map_or(0, MemoryInfoPlan::size), ALIGN);
        let (list_size, memory_align) = match form {
            MemoryForm::List => (4 + size_of::<MemoryDescriptor>() * ranges, ALIGN),
            MemoryForm::List64 => (
                size_of::<Memory64ListHeader>() + size_of::<MemoryDescriptor64>() * ranges,
                MEMORY64_ALIGN,
            ),
        };
        let memory_list = cursor.place(list_size as u64, ALIGN);
        let blobs = assembly.blobs().iter().map(|b| place(&mut cursor, b)).collect();
        let known = (!trailer_holds_known).then(|| {
            // The text's length depends on the offset that it names; that
            // offset's digits are padded, so that it does not.
            let size = soft_errors::encode_with_pointer(&errors, 0, trailer_size).len() as u64;
            let at = cursor.place(size, ALIGN);
            let trailer = cursor.0.next_multiple_of(memory_align) + memory_size;
            (at, soft_errors::encode_with_pointer(&errors, trailer, trailer_size))
        });
        let head_size = cursor.0.next_multiple_of(memory_align);
        if head_size > u64::from(u32::MAX) {
            let what = "the end of the streams".into();
            return Err(Error::RvaOverflow { what, offset: head_size });
        }
        let mut layout = Layout {
            has_memory,
            directory: Vec::new(),
            streams,
            blobs,
            memory_info,
            memory_list,
            known,
            head_size,
            trailer_size,
            memory_size,
        };
        layout.directory = layout.encode_directory(plan, time_date_stamp, list_size as u64);
        Ok(layout)
    }

    fn encode_directory(&self, plan: &DumpPlan, time_date_stamp: u32, list_size: u64) -> Vec<u8> {
        let memory_type = match memory_of(plan, self.has_memory).1 {
            MemoryForm::List => StreamType::MEMORY_LIST,
            MemoryForm::List64 => StreamType::MEMORY64_LIST,
        };
        let soft_errors = match &self.known {
            Some((at, bytes)) => (*at, bytes.len() as u64),
            None => (self.head_size + self.memory_size, self.trailer_size),
        };
        let soft_errors = (StreamType::MOZ_SOFT_ERRORS, soft_errors.0, soft_errors.1);
        let own = plan.assembly.streams().iter().zip(&self.streams);
        let info = plan.memory_info.iter();
        let entries: Vec<Directory> = own
            .map(|((stream_type, section), at)| (*stream_type, *at, section.size()))
            .chain(info.map(|i| (StreamType::MEMORY_INFO_LIST, self.memory_info, i.size())))
            .chain([(memory_type, self.memory_list, list_size)])
            .chain(self.has_memory.then_some(soft_errors))
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
            flags: plan.minidump_type.bits().into(),
        };
        [header.as_bytes(), entries.as_bytes()].concat()
    }

    /// The bytes of a section, its pointers resolved.
    fn resolved<'a>(
        &self,
        section: &'a Section,
        assembly: &Assembly,
        memory: &MemoryPlaces<'_>,
    ) -> Cow<'a, [u8]> {
        let mut bytes = Cow::Borrowed(section.bytes());
        for fixup in section.fixups() {
            let value = self.resolve(fixup, assembly, memory);
            bytes.to_mut()[fixup.at..fixup.at + value.len()].copy_from_slice(&value);
        }
        bytes
    }

    fn resolve(&self, fixup: &Fixup, assembly: &Assembly, memory: &MemoryPlaces<'_>) -> Vec<u8> {
        match fixup.kind {
            FixupKind::Rva(blob) => (self.blobs[blob.index()] as u32).to_le_bytes().to_vec(),
            FixupKind::Rva64(blob) => self.blobs[blob.index()].to_le_bytes().to_vec(),
            FixupKind::Location(blob) => {
                let size = assembly.blobs()[blob.index()].bytes().len() as u64;
                location(size, self.blobs[blob.index()]).as_bytes().to_vec()
            }
            FixupKind::Memory(range) => {
                let at = memory.offset_of(range).filter(|at| u32::try_from(*at).is_ok());
                at.map_or(location(0, 0), |at| location(range.len(), at)).as_bytes().to_vec()
            }
        }
    }
}

impl DumpLayout for Layout {
    fn head_size(&self) -> u64 {
        self.head_size
    }

    /// Header, directory, streams and blobs, and padding up to the memory.
    fn write_head(
        &self,
        plan: &DumpPlan,
        snapshot: &ProcessSnapshot,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let (held, form) = memory_of(plan, self.has_memory);
        let memory = MemoryPlaces::new(held, self.head_size);
        let mut out = Placed { out: BufWriter::with_capacity(HEAD_BUFFER, out), at: 0 };
        out.write_all(&self.directory)?;
        let assembly = &plan.assembly;
        for ((_, section), at) in assembly.streams().iter().zip(&self.streams) {
            out.go_to(*at)?;
            match section.packed() {
                Some(text) => text.write_to(&mut out)?,
                None => out.write_all(&self.resolved(section, assembly, &memory))?,
            }
        }
        if let Some(info) = plan.memory_info {
            out.go_to(self.memory_info)?;
            info.write(snapshot, &plan.memory.ranges, &mut out)?;
        }
        out.go_to(self.memory_list)?;
        memory.write_list(form, self.head_size, &mut out)?;
        for (section, at) in assembly.blobs().iter().zip(&self.blobs) {
            out.go_to(*at)?;
            out.write_all(&self.resolved(section, assembly, &memory))?;
        }
        if let Some((at, bytes)) = &self.known {
            out.go_to(*at)?;
            out.write_all(bytes)?;
        }
        out.go_to(self.head_size)?;
        out.flush()
    }

    fn file_size(&self) -> u64 {
        self.head_size + self.memory_size + self.trailer_size
    }

    /// Soft errors.
    fn trailer(&self, plan: &DumpPlan, holes: Holes<'_>) -> Vec<u8> {
        let known = if self.known.is_none() { soft_errors::known(plan) } else { Vec::new() };
        soft_errors::encode(&known, holes, self.trailer_size as usize)
    }
}

/// The memory that a dump holds, and the form of its list.
fn memory_of(plan: &DumpPlan, has_memory: bool) -> (&Packed<AddressRange>, MemoryForm) {
    static NONE: Packed<AddressRange> = Packed::new();
    if has_memory { (&plan.memory.ranges, plan.memory.form) } else { (&NONE, MemoryForm::List) }
}

/// A head being written, that knows where it is.
struct Placed<W> {
    out: W,
    at: u64,
}

impl<W: Write> Placed<W> {
    /// Fills up to the place of the next part.
    fn go_to(&mut self, place: u64) -> io::Result<()> {
        // What stands there would be somewhere else than pointers say.
        let gap = place.checked_sub(self.at).filter(|gap| *gap < MEMORY64_ALIGN);
        let gap = gap.ok_or_else(|| io::Error::other("a part of the head has a wrong size"))?;
        self.write_all(&[0; MEMORY64_ALIGN as usize][..gap as usize])
    }
}

impl<W: Write> Write for Placed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Bytes that `max` leaves for memory and its descriptors in a dump with these
/// streams.
///
/// # Errors
/// [`Error::InvalidRequest`] when not even the streams fit.
pub fn memory_budget(
    assembly: &Assembly,
    memory_info: Option<MemoryInfoPlan>,
    core: Option<&CorePlan>,
    known: &[SoftError],
    max: u64,
) -> Result<u64> {
    let known: u64 =
        known.iter().map(|e| (e.subject.len() + e.message.len()) as u64 * 2 + 64).sum();
    let streams = head_bound(assembly, memory_info, 0);
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
fn head_bound(
    assembly: &Assembly,
    memory_info: Option<MemoryInfoPlan>,
    memory_ranges: usize,
) -> u64 {
    let section = |s: &Section| s.size() + ALIGN;
    let streams: u64 = assembly.streams().iter().map(|(_, s)| section(s) + 12).sum();
    let blobs: u64 = assembly.blobs().iter().map(section).sum();
    let info = memory_info.map_or(0, MemoryInfoPlan::size);
    // Header, memory list and soft errors with their directory entries.
    streams + blobs + info + 16 * memory_ranges as u64 + 1024 + MEMORY64_ALIGN
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

/// Both values are known to fit: everything they are called with lies in the
/// head, or was checked.
fn location(size: u64, at: u64) -> LocationDescriptor {
    LocationDescriptor { data_size: U32::new(size as u32), rva: U32::new(at as u32) }
}

/// Where each range of memory stands in the file.
struct MemoryPlaces<'a> {
    ranges: &'a Packed<AddressRange>,
    /// Start and file offset of some of them.
    known: Vec<(u64, u64)>,
}

impl<'a> MemoryPlaces<'a> {
    /// Of so many ranges the place of one is remembered.
    const STEP: usize = 64;

    fn new(ranges: &'a Packed<AddressRange>, base: u64) -> Self {
        let places = ranges.iter().scan(base, |at, range| {
            let place = (range.start, *at);
            *at += range.len();
            Some(place)
        });
        MemoryPlaces { ranges, known: places.step_by(Self::STEP).collect() }
    }

    /// The file offset of `range`, if it lies in one range of the dump.
    fn offset_of(&self, range: AddressRange) -> Option<u64> {
        let next = self.known.partition_point(|(start, _)| *start <= range.start);
        let (start, mut at) = *self.known.get(next.checked_sub(1)?)?;
        for held in self.ranges.behind(start) {
            if held.end > range.start {
                let is_whole = held.start <= range.start && range.end <= held.end;
                return is_whole.then(|| at + (range.start - held.start));
            }
            at += held.len();
        }
        None
    }

    fn write_list(&self, form: MemoryForm, base: u64, out: &mut dyn Write) -> io::Result<()> {
        match form {
            MemoryForm::List => {
                out.write_all(U32::new(self.ranges.len() as u32).as_bytes())?;
                let mut at = base;
                for range in self.ranges {
                    let descriptor = MemoryDescriptor {
                        start_of_memory_range: range.start.into(),
                        memory: location(range.len(), at),
                    };
                    out.write_all(descriptor.as_bytes())?;
                    at += range.len();
                }
            }
            MemoryForm::List64 => {
                let header = Memory64ListHeader {
                    number_of_memory_ranges: (self.ranges.len() as u64).into(),
                    base_rva: base.into(),
                };
                out.write_all(header.as_bytes())?;
                for range in self.ranges {
                    let descriptor = MemoryDescriptor64 {
                        start_of_memory_range: range.start.into(),
                        data_size: range.len().into(),
                    };
                    out.write_all(descriptor.as_bytes())?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
