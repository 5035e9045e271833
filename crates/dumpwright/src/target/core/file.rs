//! The structure of an ELF core: header, segments, notes.
//!
//! Every byte is foreign: offsets are checked, tables have a limit, and what a
//! truncated file lacks is missing and no error.

use crate::address::AddressRange;
use crate::read::Source;
use crate::target::{Architecture, Protection};
use dumpwright_format::elf_core::{
    EM_AARCH64, EM_X86_64, ET_CORE, FileHeader, PN_XNUM, PT_LOAD, PT_NOTE, ProgramHeader,
    SectionHeader,
};
use std::fs::File;
use std::io;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// Program headers that are looked at. Linux gives a process 65,530 mappings
/// unless told otherwise.
const MAX_SEGMENTS: u64 = 4 << 20;
/// Bytes of notes that are looked at: some 4 KiB a thread.
const MAX_NOTES: u64 = 512 << 20;

/// The structure of a core.
#[derive(Debug)]
pub(super) struct CoreFile {
    /// Processor.
    pub architecture: Architecture,
    /// Memory, in order of address, without overlaps.
    pub segments: Vec<Segment>,
    /// The note segments' bytes, each with its alignment.
    pub notes: Vec<(Vec<u8>, u64)>,
    /// What is wrong with the file, in words.
    pub troubles: Vec<String>,
}

/// A `PT_LOAD`: a mapping, and as much of it as the core holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Its addresses.
    pub range: AddressRange,
    /// Where its bytes are in the file.
    pub offset: u64,
    /// How many of them the file has.
    pub present: u64,
    /// Its protection.
    pub protection: Protection,
}

impl CoreFile {
    /// Reads the structure of a core; why not, in words, if it is none that can
    /// be read.
    pub fn read(file: &File) -> Result<CoreFile, String> {
        let cannot = |error: io::Error| format!("it cannot be read: {error}");
        let size = Source::len(file);
        let mut header = FileHeader::new_zeroed();
        if size < size_of::<FileHeader>() as u64 {
            return Err("it ends before its ELF header does".into());
        }
        file.read_at(0, header.as_mut_bytes()).map_err(cannot)?;
        let architecture = check(&header)?;
        let count = segment_count(file, &header)?;
        let mut troubles = Vec::new();
        let table = header.phoff.get();
        let entry = size_of::<ProgramHeader>() as u64;
        let room = size.saturating_sub(table) / entry;
        let read = count.min(room).min(MAX_SEGMENTS);
        if read < count {
            troubles.push(format!(
                "{} of its {count} program headers are missing or beyond {MAX_SEGMENTS}; their memory was left out",
                count - read
            ));
        }
        let mut bytes = vec![0; (read * entry) as usize];
        if read > 0 {
            file.read_at(table, &mut bytes).map_err(cannot)?;
        }
        let headers = <[ProgramHeader]>::ref_from_bytes(&bytes)
            .map_err(|_| "its program headers cannot be read".to_owned())?;
        let mut core = CoreFile { architecture, segments: Vec::new(), notes: Vec::new(), troubles };
        core.take_segments(headers, size);
        core.take_notes(headers, file, size);
        Ok(core)
    }

    fn take_segments(&mut self, headers: &[ProgramHeader], size: u64) {
        let mut truncated = 0;
        let mut segments = Vec::with_capacity(headers.len());
        for header in headers.iter().filter(|h| h.kind.get() == PT_LOAD) {
            let start = header.vaddr.get();
            let Some(end) = start.checked_add(header.memsz.get()) else { continue };
            let said = header.filesz.get().min(header.memsz.get());
            let present = said.min(size.saturating_sub(header.offset.get()));
            truncated += said - present;
            segments.push(Segment {
                range: AddressRange::new(start, end),
                offset: header.offset.get(),
                present,
                protection: protection(header.flags.get()),
            });
        }
        segments.retain(|s| !s.range.is_empty());
        segments.sort_by_key(|s| (s.range.start, std::cmp::Reverse(s.present)));
        // Overlaps make no sense: an address is what the first segment says.
        let mut end = 0;
        let all = segments.len();
        segments.retain(|s| {
            let ordered = s.range.start >= end;
            if ordered {
                end = s.range.end;
            }
            ordered
        });
        if segments.len() < all {
            let overlapping = all - segments.len();
            self.troubles.push(format!("{overlapping} segments overlap others and were left out"));
        }
        if truncated > 0 {
            self.troubles.push(format!(
                "it is truncated: {truncated} bytes of memory that it should hold are missing"
            ));
        }
        self.segments = segments;
    }

    fn take_notes(&mut self, headers: &[ProgramHeader], file: &File, size: u64) {
        let mut room = MAX_NOTES;
        for header in headers.iter().filter(|h| h.kind.get() == PT_NOTE) {
            let offset = header.offset.get();
            let said = header.filesz.get();
            let len = said.min(size.saturating_sub(offset)).min(room);
            room -= len;
            let mut bytes = vec![0; len as usize];
            if len < said {
                self.troubles.push(format!("{} bytes of its notes are missing", said - len));
            }
            match file.read_at(offset, &mut bytes) {
                Ok(()) => self.notes.push((bytes, header.align.get())),
                Err(error) => self.troubles.push(format!("its notes cannot be read: {error}")),
            }
        }
    }
}

/// Whether it is a core of a processor that is known.
fn check(header: &FileHeader) -> Result<Architecture, String> {
    let [0x7f, b'E', b'L', b'F', class, order, ..] = header.ident else {
        return Err("it is no ELF file".into());
    };
    if header.kind.get() != ET_CORE {
        return Err("it is an ELF file, and no core: a program, library or object".into());
    }
    if class != 2 {
        return Err("it is a core of a 32-bit process, and only 64-bit ones are read; gdb opens it with the program".into());
    }
    if order != 1 {
        return Err("it is a big-endian core; only little-endian ones are read".into());
    }
    if usize::from(header.phentsize.get()) != size_of::<ProgramHeader>() {
        return Err("its program headers do not have the size of ELF's".into());
    }
    match header.machine.get() {
        EM_X86_64 => Ok(Architecture::Amd64),
        EM_AARCH64 => Ok(Architecture::Arm64),
        other => Err(format!(
            "it is a core of another processor (e_machine {other}); those of x86-64 and 64-bit ARM are read"
        )),
    }
}

/// How many program headers there are; with `PN_XNUM` the first section header
/// says it.
fn segment_count(file: &File, header: &FileHeader) -> Result<u64, String> {
    if header.phnum.get() != PN_XNUM {
        return Ok(header.phnum.get().into());
    }
    let mut section = SectionHeader::new_zeroed();
    file.read_at(header.shoff.get(), section.as_mut_bytes())
        .map_err(|error| format!("the number of its program headers cannot be read: {error}"))?;
    Ok(section.info.get().into())
}

fn protection(flags: u32) -> Protection {
    let set = |bit, protection| {
        if flags & bit == 0 { Protection::empty() } else { protection }
    };
    set(4, Protection::READ) | set(2, Protection::WRITE) | set(1, Protection::EXECUTE)
}
