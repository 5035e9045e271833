//! The ELF file that a module was mapped from: its sections, which are not
//! mapped. Opened only where memory does not say enough.

use super::elf::{Bytes, Header, build_id_in};
use object::LittleEndian as LE;
use object::elf::{self, FileHeader64, SectionHeader64};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Bytes of section names that are looked at.
const MAX_NAMES: u64 = 4 << 20;
/// Bytes of a section of notes that are looked at.
const MAX_NOTES: u64 = 256 * 1024;

/// A section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::target) struct Section {
    /// Its name.
    pub name: Vec<u8>,
    /// Its type.
    pub kind: elf::SectionType,
    /// Its address before the bias; 0 if it is not loaded.
    pub address: u64,
    /// Its offset from the ELF header.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// Alignment.
    pub align: u64,
}

/// An ELF file, or an ELF image inside a larger file.
#[derive(Debug)]
pub(in crate::target) struct ElfFile {
    file: File,
    start: u64,
    /// Its sections.
    pub sections: Vec<Section>,
}

impl ElfFile {
    /// Reads the section headers of the image at offset `start` of `file`.
    pub fn new(file: File, start: u64) -> Option<Self> {
        let header = Header::parse(&read(&file, start, size_of::<FileHeader64<LE>>())?)?;
        let table = start.checked_add(header.shoff)?;
        let len = header.shnum * size_of::<SectionHeader64<LE>>();
        let bytes = read(&file, table, len)?;
        let headers = bytes.structs::<SectionHeader64<LE>>();
        let names = headers
            .get(header.shstrndx)
            .filter(|names| names.sh_size.get(LE) <= MAX_NAMES)
            .and_then(|names| {
                read(
                    &file,
                    start.checked_add(names.sh_offset.get(LE))?,
                    names.sh_size.get(LE) as usize,
                )
            })
            .unwrap_or_default();
        let sections = headers.iter().map(|s| section(s, names.as_slice())).collect();
        Some(ElfFile { file, start, sections })
    }

    /// The section called `name` that has contents in the file.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|s| s.name == name.as_bytes() && s.kind != elf::SHT_NOBITS)
    }

    /// The build id in its note sections.
    pub fn build_id(&self) -> Option<Vec<u8>> {
        self.sections.iter().filter(|s| s.kind == elf::SHT_NOTE).find_map(|section| {
            build_id_in(self.read(section, MAX_NOTES)?.as_slice(), section.align)
        })
    }

    /// At most `max` bytes from the start of a section.
    pub fn read(&self, section: &Section, max: u64) -> Option<Bytes> {
        let at = self.start.checked_add(section.offset)?;
        read(&self.file, at, section.size.min(max) as usize)
    }
}

fn section(header: &SectionHeader64<LE>, names: &[u8]) -> Section {
    let name = names.get(header.sh_name.get(LE) as usize..).unwrap_or_default();
    Section {
        name: name.split(|b| *b == 0).next().unwrap_or_default().to_vec(),
        kind: header.sh_type.get(LE),
        address: header.sh_addr.get(LE),
        offset: header.sh_offset.get(LE),
        size: header.sh_size.get(LE),
        align: header.sh_addralign.get(LE),
    }
}

fn read(file: &File, offset: u64, len: usize) -> Option<Bytes> {
    let mut bytes = Bytes::zeroed(len);
    file.read_exact_at(bytes.as_mut(), offset).ok()?;
    Some(bytes)
}
