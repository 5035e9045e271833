//! The ELF file that a module was mapped from: its sections, which are not
//! mapped. Opened only where memory does not say enough.

use super::elf::{Bytes, Header, build_id_in};
use object::LittleEndian as LE;
use object::elf::{self, FileHeader64, SectionHeader64};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Bytes of section names that are looked at.
const MAX_NAMES: u64 = 4 << 20;
/// Bytes of one section's name: none that is looked for is longer.
const MAX_NAME: usize = 256;
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
        name: name.iter().copied().take(MAX_NAME).take_while(|b| *b != 0).collect(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn names_without_an_end_take_no_more_than_a_name() {
        const SECTIONS: u16 = 2000;
        let names_at = 64 + usize::from(SECTIONS) * 64;
        let names_size = 1 << 20;
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(16, 0);
        bytes.extend([3_u16, 62].iter().flat_map(|v| v.to_le_bytes()));
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend([0, 0, 64_u64].iter().flat_map(|v| v.to_le_bytes()));
        bytes.extend([0; 4]);
        bytes.extend([64, 56, 1, 64, SECTIONS, 1].iter().flat_map(|v| v.to_le_bytes()));
        for _ in 0..SECTIONS {
            let mut header = [0; 64];
            header[24..32].copy_from_slice(&(names_at as u64).to_le_bytes());
            header[32..40].copy_from_slice(&(names_size as u64).to_le_bytes());
            bytes.extend(header);
        }
        bytes.resize(names_at + names_size, b'x');
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let elf = ElfFile::new(file, 0).unwrap();
        assert_eq!(elf.sections.len(), usize::from(SECTIONS));
        assert!(elf.sections.iter().all(|section| section.name.len() == MAX_NAME));
    }
}
