//! What an ELF file says of the files that describe it.
//!
//! The file is a stranger's: nothing is read beyond what its headers need, and
//! no header makes more be read than [`MOST`], nor all of them more than
//! [`MOST_IN_ALL`].

use object::elf::{FileHeader32, FileHeader64, NT_GNU_BUILD_ID};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::read::{ReadCache, ReadRef};
use object::{Endianness, FileKind};
use std::cell::Cell;
use std::fs::File;
use std::ops::Range;

/// The first bytes of every ELF file.
pub(super) const MAGIC: [u8; 4] = *b"\x7fELF";

/// Bytes that one read may have: the section table of a real image is smaller.
const MOST: u64 = 16 << 20;
/// Bytes that all reads of a file may have. They stay in memory to the end.
const MOST_IN_ALL: u64 = 64 << 20;

/// What identifies an ELF file and its debug files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Links {
    /// The GNU build id.
    pub(super) build_id: Option<Vec<u8>>,
    /// `.gnu_debuglink`: name and CRC-32 of the separate debug file.
    pub(super) debug_link: Option<(Vec<u8>, u32)>,
    /// `.gnu_debugaltlink`: name and build id of what dwz moved to a common
    /// file.
    pub(super) alternate: Option<(Vec<u8>, Vec<u8>)>,
}

impl Links {
    /// Reads them; `None` if `file` is not an ELF file.
    pub(super) fn read(file: &File) -> Option<Links> {
        Self::read_counted(file).0
    }

    /// The same, and how many bytes were read for it.
    pub(super) fn read_counted(file: &File) -> (Option<Links>, u64) {
        let cache = ReadCache::new(file);
        let left = Cell::new(MOST_IN_ALL);
        let data = Bounded(&cache, &left);
        let links = FileKind::parse(data).ok().and_then(|kind| match kind {
            FileKind::Elf32 => Self::parse::<FileHeader32<Endianness>>(data),
            FileKind::Elf64 => Self::parse::<FileHeader64<Endianness>>(data),
            _ => None,
        });
        (links, MOST_IN_ALL - left.get())
    }

    fn parse<Elf: FileHeader<Endian = Endianness>>(data: Bounded) -> Option<Links> {
        let header = Elf::parse(data).ok()?;
        let endian = header.endian().ok()?;
        Some(Links {
            build_id: build_id(header, endian, data),
            debug_link: section(header, endian, data, b".gnu_debuglink")
                .and_then(|section| debug_link(section, endian)),
            alternate: section(header, endian, data, b".gnu_debugaltlink").and_then(alternate),
        })
    }
}

/// Whether a file is an ELF file, by its first bytes.
pub(super) fn is_elf(file: &File) -> bool {
    let cache = ReadCache::new(file);
    Bounded(&cache, &Cell::new(MOST))
        .read_bytes_at(0, MAGIC.len() as u64)
        .is_ok_and(|start| start == MAGIC)
}

/// From the sections, which separate debug files still describe rightly, or
/// from the segments, which a file without sections has.
fn build_id<Elf: FileHeader<Endian = Endianness>>(
    header: &Elf,
    endian: Endianness,
    data: Bounded,
) -> Option<Vec<u8>> {
    let sections = header.section_headers(endian, data).unwrap_or_default().iter();
    let in_sections = sections.filter_map(|s| s.notes(endian, data).ok().flatten());
    let segments = header.program_headers(endian, data).unwrap_or_default().iter();
    let in_segments = segments.filter_map(|s| s.notes(endian, data).ok().flatten());
    in_sections.chain(in_segments).find_map(|mut notes| {
        while let Ok(Some(note)) = notes.next() {
            if note.name() == b"GNU" && note.n_type(endian) == NT_GNU_BUILD_ID {
                return Some(note.desc().to_vec());
            }
        }
        None
    })
}

fn section<'data, Elf: FileHeader<Endian = Endianness>>(
    header: &Elf,
    endian: Endianness,
    data: Bounded<'data>,
    name: &[u8],
) -> Option<&'data [u8]> {
    let sections = header.sections(endian, data).ok()?;
    let (_, section) = sections.section_by_name(endian, name)?;
    section.data(endian, data).ok()
}

/// A name, padded to four bytes, and a checksum.
fn debug_link(section: &[u8], endian: Endianness) -> Option<(Vec<u8>, u32)> {
    let length = section.iter().position(|b| *b == 0)?;
    let crc = section.get((length + 1).next_multiple_of(4)..)?.first_chunk()?;
    let crc = match endian {
        Endianness::Little => u32::from_le_bytes(*crc),
        Endianness::Big => u32::from_be_bytes(*crc),
    };
    (length > 0).then(|| (section[..length].to_vec(), crc))
}

/// A name and a build id.
fn alternate(section: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let length = section.iter().position(|b| *b == 0)?;
    let (name, id) = (&section[..length], &section[length + 1..]);
    (!name.is_empty() && !id.is_empty()).then(|| (name.to_vec(), id.to_vec()))
}

/// A file of which only reads of a sensible size are made, and how many bytes
/// more may be read.
#[derive(Clone, Copy)]
struct Bounded<'a>(&'a ReadCache<&'a File>, &'a Cell<u64>);

impl Bounded<'_> {
    fn take(self, size: u64) -> Result<(), ()> {
        let left = self.1.get().checked_sub(size).filter(|_| size <= MOST).ok_or(())?;
        self.1.set(left);
        Ok(())
    }
}

impl<'a> ReadRef<'a> for Bounded<'a> {
    fn len(self) -> Result<u64, ()> {
        self.0.len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        self.take(size)?;
        self.0.read_bytes_at(offset, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        let bytes = self.0.read_bytes_at_until(range, delimiter)?;
        self.take(bytes.len() as u64)?;
        Ok(bytes)
    }
}
