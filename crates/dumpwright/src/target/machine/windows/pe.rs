//! PE images as they lie in the memory of a guest.

use crate::target::machine::{AddressSpace, Gva};
use object::endian::{LittleEndian as LE, U16};
use object::pe;
use object::pod::{self, Pod};
use std::fmt::Write;

/// Exports that are searched; ntoskrnl has some three thousand.
const MAX_EXPORTS: u32 = 65_536;
/// Where a header can start behind the DOS header.
const MAX_HEADER_OFFSET: u32 = 0x1000;
/// Debug directory entries that are looked at.
const MAX_DEBUG_ENTRIES: u32 = 64;
/// Sections that are looked at; ntoskrnl has some thirty.
const MAX_SECTIONS: u16 = 256;
/// Where the optional header is behind the signature and the file header.
const OPTIONAL_HEADER: u64 = size_of::<u32>() as u64 + size_of::<pe::ImageFileHeader>() as u64;
/// The longest name of an export, module or PDB.
const MAX_NAME: usize = 512;

/// A PE32+ image.
#[derive(Clone, Debug)]
pub(super) struct PeImage {
    base: u64,
    /// `SizeOfImage`.
    pub size: u32,
    /// Where its section headers are, and how many.
    sections: (u64, u16),
    exports: pe::ImageDataDirectory,
    debug: pe::ImageDataDirectory,
}

/// Which PDB belongs to an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::target::machine) struct PdbIdentity {
    /// File name.
    pub name: String,
    /// GUID as on the wire.
    pub guid: [u8; 16],
    /// Age.
    pub age: u32,
}

impl PdbIdentity {
    /// The GUID in digits and the age, as folders of symbol stores are named.
    pub fn key(&self) -> String {
        // The first three fields are little-endian numbers, the rest is bytes.
        let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
        let mut key = String::with_capacity(40);
        for index in order {
            // Writing to a string cannot fail.
            let _ = write!(key, "{:02X}", self.guid[index]);
        }
        let _ = write!(key, "{:X}", self.age);
        key
    }
}

impl PeImage {
    /// The image at an address, if there is one.
    pub fn at(space: &AddressSpace<'_>, base: Gva) -> Option<PeImage> {
        let dos: pe::ImageDosHeader = read(space, base.0)?;
        let offset = dos.e_lfanew.get(LE);
        if dos.e_magic.get(LE) != pe::IMAGE_DOS_SIGNATURE || offset > MAX_HEADER_OFFSET {
            return None;
        }
        let headers: pe::ImageNtHeaders64 = read(space, base.0.checked_add(offset.into())?)?;
        let optional = &headers.optional_header;
        if headers.signature.get(LE) != pe::IMAGE_NT_SIGNATURE
            || optional.magic.get(LE) != pe::IMAGE_NT_OPTIONAL_HDR64_MAGIC
        {
            return None;
        }
        let directories = base.0.checked_add(offset.into())?;
        let directories = directories.checked_add(size_of::<pe::ImageNtHeaders64>() as u64)?;
        let optional_size = u64::from(headers.file_header.size_of_optional_header.get(LE));
        let sections = base.0.checked_add(u64::from(offset) + OPTIONAL_HEADER + optional_size)?;
        let directory = |index: usize| {
            let at = directories.checked_add((index * size_of::<pe::ImageDataDirectory>()) as u64);
            at.and_then(|at| read::<pe::ImageDataDirectory>(space, at))
        };
        Some(PeImage {
            base: base.0,
            size: optional.size_of_image.get(LE),
            sections: (sections, headers.file_header.number_of_sections.get(LE)),
            exports: directory(pe::IMAGE_DIRECTORY_ENTRY_EXPORT)?,
            debug: directory(pe::IMAGE_DIRECTORY_ENTRY_DEBUG)?,
        })
    }

    /// Where the section headers end, and each section: as offsets from the base.
    pub fn ends(&self, space: &AddressSpace<'_>) -> Vec<u32> {
        let (start, count) = self.sections;
        let size = size_of::<pe::ImageSectionHeader>() as u64;
        let past = start.checked_add(size * u64::from(count));
        let headers = past.and_then(|past| u32::try_from(past.checked_sub(self.base)?).ok());
        let section = |index: u16| {
            let at = start.checked_add(size * u64::from(index))?;
            let header: pe::ImageSectionHeader = read(space, at)?;
            header.virtual_address.get(LE).checked_add(header.virtual_size.get(LE))
        };
        headers.into_iter().chain((0..count.min(MAX_SECTIONS)).filter_map(section)).collect()
    }

    fn address(&self, rva: u32) -> Option<u64> {
        (rva != 0 && rva < self.size).then(|| self.base.checked_add(rva.into()))?
    }

    /// The name that the image exports itself by.
    pub fn export_name(&self, space: &AddressSpace<'_>) -> Option<String> {
        let directory = self.export_directory(space)?;
        text(space, self.address(directory.name.get(LE))?)
    }

    fn export_directory(&self, space: &AddressSpace<'_>) -> Option<pe::ImageExportDirectory> {
        read(space, self.address(self.exports.virtual_address.get(LE))?)
    }

    /// The address of what is exported by a name. Names are in order.
    pub fn export(&self, space: &AddressSpace<'_>, name: &str) -> Option<Gva> {
        let directory = self.export_directory(space)?;
        let names = self.address(directory.address_of_names.get(LE))?;
        let ordinals = self.address(directory.address_of_name_ordinals.get(LE))?;
        let functions = self.address(directory.address_of_functions.get(LE))?;
        let (mut low, mut high) = (0, directory.number_of_names.get(LE).min(MAX_EXPORTS));
        while low < high {
            let middle = low + (high - low) / 2;
            let at = self.address(space.read_u32(Gva(names + 4 * u64::from(middle)))?)?;
            match text(space, at)?.as_str().cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    let ordinal: U16<LE> = read(space, ordinals + 2 * u64::from(middle))?;
                    let at = functions + 4 * u64::from(ordinal.get(LE));
                    return self.address(space.read_u32(Gva(at))?).map(Gva);
                }
            }
        }
        None
    }

    /// Which PDB belongs to it.
    pub fn pdb(&self, space: &AddressSpace<'_>) -> Option<PdbIdentity> {
        let directory = self.address(self.debug.virtual_address.get(LE))?;
        let entry_size = size_of::<pe::ImageDebugDirectory>() as u32;
        let count = (self.debug.size.get(LE) / entry_size).min(MAX_DEBUG_ENTRIES);
        (0..count).find_map(|index| {
            let at = directory + u64::from(index * entry_size);
            let entry: pe::ImageDebugDirectory = read(space, at)?;
            if entry.typ.get(LE) != pe::IMAGE_DEBUG_TYPE_CODEVIEW {
                return None;
            }
            code_view(space, self.address(entry.address_of_raw_data.get(LE))?)
        })
    }
}

/// `CV_INFO_PDB70`: signature, GUID, age, name.
fn code_view(space: &AddressSpace<'_>, at: u64) -> Option<PdbIdentity> {
    let head: [u8; 24] = space.read_bytes(Gva(at), 24)?.try_into().ok()?;
    let (signature, rest) = head.split_first_chunk::<4>()?;
    let (guid, age) = rest.split_first_chunk::<16>()?;
    if signature != b"RSDS" {
        return None;
    }
    let path = text(space, at.checked_add(24)?)?;
    let name = path.rsplit(['\\', '/']).next()?.to_owned();
    Some(PdbIdentity { name, guid: *guid, age: u32::from_le_bytes(age.try_into().ok()?) })
}

fn read<T: Pod>(space: &AddressSpace<'_>, at: u64) -> Option<T> {
    let bytes = space.read_bytes(Gva(at), size_of::<T>())?;
    pod::from_bytes::<T>(&bytes).ok().map(|(value, _)| *value)
}

/// NUL-terminated text, byte for byte.
fn text(space: &AddressSpace<'_>, at: u64) -> Option<String> {
    let mut out = Vec::new();
    while out.len() < MAX_NAME {
        // Up to the end of a line of 64 bytes, so that no page is asked for that
        // the text does not reach.
        let here = at.checked_add(out.len() as u64)?;
        let chunk = space.read_bytes(Gva(here), (64 - here % 64) as usize)?;
        if let Some(end) = chunk.iter().position(|byte| *byte == 0) {
            out.extend_from_slice(&chunk[..end]);
            return String::from_utf8(out).ok();
        }
        out.extend(chunk);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_pdb_is_that_of_symbol_stores() {
        // {3844DBB9-2017-4967-BE7A-A4A2C20430FA}, age 2.
        let guid = [
            0xb9, 0xdb, 0x44, 0x38, 0x17, 0x20, 0x67, 0x49, 0xbe, 0x7a, 0xa4, 0xa2, 0xc2, 0x04,
            0x30, 0xfa,
        ];
        let identity = PdbIdentity { name: "ntkrnlmp.pdb".into(), guid, age: 0x12 };
        assert_eq!(identity.key(), "3844DBB920174967BE7AA4A2C20430FA12");
    }
}
