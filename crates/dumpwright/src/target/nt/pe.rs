//! PE images as they stand in memory.

use super::read;
use crate::address::{AddressRange, RangeSet};
use crate::target::{DebugId, MemorySource, Protection, Segment};
use dumpwright_format::minidump::CV_SIGNATURE_RSDS;
use dumpwright_format::nt::{TlsDirectory32, TlsDirectory64};
use object::LittleEndian as LE;
use object::pe::{
    IMAGE_DEBUG_TYPE_CODEVIEW, IMAGE_DIRECTORY_ENTRY_DEBUG, IMAGE_DIRECTORY_ENTRY_EXCEPTION,
    IMAGE_DIRECTORY_ENTRY_TLS, IMAGE_DOS_SIGNATURE, IMAGE_FILE_MACHINE_AMD64,
    IMAGE_NT_OPTIONAL_HDR32_MAGIC, IMAGE_NT_OPTIONAL_HDR64_MAGIC, IMAGE_NT_SIGNATURE,
    IMAGE_SCN_MEM_EXECUTE, IMAGE_SCN_MEM_READ, IMAGE_SCN_MEM_WRITE, ImageDataDirectory,
    ImageDebugDirectory, ImageDosHeader, ImageFileHeader, ImageOptionalHeader32,
    ImageOptionalHeader64, ImageSectionHeader, SectionFlags,
};
use object::pod::{Pod, from_bytes};
use std::collections::BTreeSet;
use zerocopy::little_endian::U32;

/// More sections than any image has (the loader takes 96).
const MOST_SECTIONS: u16 = 1024;
/// More directories than are defined.
const MOST_DIRECTORIES: u32 = 16;
/// More debug entries than any image has.
const MOST_DEBUG_ENTRIES: u32 = 64;
/// More bytes of unwind tables than any image has.
const MOST_UNWIND_BYTES: u64 = 16 << 20;
/// `UNWIND_INFO` with 255 codes and a chained entry.
const LONGEST_UNWIND_INFO: u32 = 4 + 2 * 256 + 12;
/// The longest CodeView record: a path.
const LONGEST_RECORD: u32 = 4096;

/// An image in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeImage {
    /// Load address.
    pub base: u64,
    /// Bytes from the load address to the end.
    pub size: u64,
    /// `IMAGE_FILE_MACHINE_*`
    pub machine: u16,
    /// Whether it is a PE32+ image.
    pub is_wide: bool,
    /// `TimeDateStamp`
    pub time_date_stamp: u32,
    /// `CheckSum`
    pub check_sum: u32,
    /// `SizeOfHeaders`
    pub headers: u64,
    sections: Vec<Section>,
    /// RVA and size.
    directories: Vec<(u32, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Section {
    rva: u32,
    size: u32,
    characteristics: SectionFlags,
}

/// A template of thread-local storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TlsTemplate {
    /// Address of the index of the module's slot.
    pub index: u64,
    /// Bytes of a thread's copy.
    pub size: u64,
}

impl PeImage {
    /// Reads the headers of the image at `base`. `None` if there is none.
    pub(crate) fn read(memory: &dyn MemorySource, base: u64) -> Option<PeImage> {
        let dos: ImageDosHeader = pod(memory, base)?;
        if dos.e_magic.get(LE) != IMAGE_DOS_SIGNATURE {
            return None;
        }
        let nt = base.checked_add(dos.nt_headers_offset().into())?;
        let signature: U32 = read(memory, nt)?;
        if signature.get() != IMAGE_NT_SIGNATURE {
            return None;
        }
        let file: ImageFileHeader = pod(memory, nt.checked_add(4)?)?;
        let optional = nt.checked_add(4 + size_of::<ImageFileHeader>() as u64)?;
        let magic: zerocopy::little_endian::U16 = read(memory, optional)?;
        let (is_wide, size, check_sum, headers, count, directories) = match magic.get() {
            IMAGE_NT_OPTIONAL_HDR64_MAGIC => {
                let h: ImageOptionalHeader64 = pod(memory, optional)?;
                let behind = size_of::<ImageOptionalHeader64>();
                let count = h.number_of_rva_and_sizes.get(LE);
                let sizes =
                    (h.size_of_image.get(LE), h.check_sum.get(LE), h.size_of_headers.get(LE));
                (true, sizes.0, sizes.1, sizes.2, count, behind)
            }
            IMAGE_NT_OPTIONAL_HDR32_MAGIC => {
                let h: ImageOptionalHeader32 = pod(memory, optional)?;
                let behind = size_of::<ImageOptionalHeader32>();
                let count = h.number_of_rva_and_sizes.get(LE);
                let sizes =
                    (h.size_of_image.get(LE), h.check_sum.get(LE), h.size_of_headers.get(LE));
                (false, sizes.0, sizes.1, sizes.2, count, behind)
            }
            _ => return None,
        };
        let directories =
            table(memory, optional.checked_add(directories as u64)?, count.min(MOST_DIRECTORIES))
                .map(|d: ImageDataDirectory| (d.virtual_address.get(LE), d.size.get(LE)))
                .collect();
        let sections = optional.checked_add(file.size_of_optional_header.get(LE).into())?;
        let count = file.number_of_sections.get(LE).min(MOST_SECTIONS);
        let sections = table(memory, sections, count.into())
            .map(|s: ImageSectionHeader| Section {
                rva: s.virtual_address.get(LE),
                size: s.virtual_size.get(LE).max(s.size_of_raw_data.get(LE)),
                characteristics: s.characteristics.get(LE),
            })
            .collect();
        Some(PeImage {
            base,
            size: size.into(),
            machine: file.machine.get(LE).0,
            is_wide,
            time_date_stamp: file.time_date_stamp.get(LE),
            check_sum,
            headers: headers.into(),
            sections,
            directories,
        })
    }

    /// The addresses of `size` bytes at an RVA, cut to the image.
    pub(crate) fn at(&self, rva: u32, size: u32) -> Option<AddressRange> {
        let start = self.base.checked_add(rva.into())?;
        let end = self.base.checked_add(self.size)?.min(start.checked_add(size.into())?);
        (start < end).then(|| AddressRange::new(start, end))
    }

    /// A directory that is there.
    pub(crate) fn directory(&self, index: usize) -> Option<AddressRange> {
        let (rva, size) = *self.directories.get(index)?;
        if rva == 0 { None } else { self.at(rva, size) }
    }

    /// The addresses of the function that `address` is in, by the unwind table.
    pub(crate) fn function_of(
        &self,
        memory: &dyn MemorySource,
        address: u64,
    ) -> Option<AddressRange> {
        /// Begin, end and unwind RVA: `IMAGE_RUNTIME_FUNCTION_ENTRY`.
        const ENTRY: u64 = 12;
        let table = self.directory(IMAGE_DIRECTORY_ENTRY_EXCEPTION)?;
        let rva = u32::try_from(address.checked_sub(self.base)?).ok()?;
        let number = |at: u64| read::<U32>(memory, at).map(U32::get);
        // The functions are sorted.
        let (mut low, mut high) = (0, table.len() / ENTRY);
        while low < high {
            let middle = low + (high - low) / 2;
            let at = table.start + middle * ENTRY;
            let (begin, end) = (number(at)?, number(at + 4)?);
            if rva < begin {
                high = middle;
            } else if rva >= end {
                low = middle + 1;
            } else {
                return self.at(begin, end - begin);
            }
        }
        None
    }

    /// The sections in whole pages.
    pub(crate) fn segments(&self, page_size: u64) -> Vec<Segment> {
        let segment = |section: &Section| {
            let has = |bit: SectionFlags| section.characteristics.0 & bit.0 != 0;
            let mut protection = Protection::empty();
            protection.set(Protection::READ, has(IMAGE_SCN_MEM_READ));
            protection.set(Protection::WRITE, has(IMAGE_SCN_MEM_WRITE));
            protection.set(Protection::EXECUTE, has(IMAGE_SCN_MEM_EXECUTE));
            let range = self.at(section.rva, section.size)?.align_outward(page_size);
            Some(Segment { range, protection })
        };
        self.sections.iter().filter_map(segment).collect()
    }

    /// What MODULE_HEADERS takes: the headers, the unwind table with what it
    /// points to, and the debug directory with its record.
    pub(crate) fn header_ranges(&self, memory: &dyn MemorySource) -> Vec<AddressRange> {
        let headers = self.at(0, self.headers.min(self.size) as u32);
        let unwind = self.directory(IMAGE_DIRECTORY_ENTRY_EXCEPTION);
        let debug = self.directory(IMAGE_DIRECTORY_ENTRY_DEBUG);
        let record = self.code_view(memory);
        let unwind_info = self.unwind_info(memory);
        headers.into_iter().chain(unwind).chain(debug).chain(record).chain(unwind_info).collect()
    }

    /// The `UNWIND_INFO` structures that the table of an x86-64 image points to.
    fn unwind_info(&self, memory: &dyn MemorySource) -> Vec<AddressRange> {
        /// Begin, end and unwind RVA: `IMAGE_RUNTIME_FUNCTION_ENTRY`.
        const ENTRY: usize = 12;
        let table = self.directory(IMAGE_DIRECTORY_ENTRY_EXCEPTION);
        let Some(table) = table.filter(|_| self.machine == IMAGE_FILE_MACHINE_AMD64.0) else {
            return Vec::new();
        };
        let mut entries = vec![0; table.len().min(MOST_UNWIND_BYTES) as usize];
        if !memory.read_exact(table.start, &mut entries) {
            return Vec::new();
        }
        let rvas: BTreeSet<u32> = entries
            .chunks_exact(ENTRY)
            .map(|entry| u32::from_le_bytes([entry[8], entry[9], entry[10], entry[11]]))
            // The lowest bit points to another entry of the table.
            .filter(|rva| rva % 2 == 0 && *rva != 0)
            .collect();
        let (Some(first), Some(last)) = (rvas.first(), rvas.last()) else { return Vec::new() };
        // They stand together, so one read gets them all.
        let span =
            (u64::from(last - first) + u64::from(LONGEST_UNWIND_INFO)).min(MOST_UNWIND_BYTES);
        let Some(span) = self.at(*first, span as u32) else { return Vec::new() };
        let mut bytes = vec![0; span.len() as usize];
        memory.read(&[span], &mut bytes, &mut Vec::new());
        let info = |rva: &u32| {
            // Version and flags, size of prolog, count of codes, frame register;
            // the codes; then at most a chained entry or a handler and its data.
            let codes = *bytes.get((rva - first) as usize + 2)?;
            let size = 4 + 2 * u32::from(codes).next_multiple_of(2) + ENTRY as u32;
            self.at(*rva, size)
        };
        let ranges: RangeSet = rvas.iter().filter_map(info).collect();
        ranges.ranges().iter().collect()
    }

    /// Where the CodeView record is.
    fn code_view(&self, memory: &dyn MemorySource) -> Option<AddressRange> {
        let directory = self.directory(IMAGE_DIRECTORY_ENTRY_DEBUG)?;
        let count = directory.len() / size_of::<ImageDebugDirectory>() as u64;
        let count = count.min(MOST_DEBUG_ENTRIES.into()) as u32;
        table(memory, directory.start, count)
            .filter(|d: &ImageDebugDirectory| d.typ.get(LE) == IMAGE_DEBUG_TYPE_CODEVIEW)
            .find_map(|d| {
                let size = d.size_of_data.get(LE).min(LONGEST_RECORD);
                self.at(d.address_of_raw_data.get(LE), size)
            })
    }

    /// What identifies its PDB.
    pub(crate) fn debug_id(&self, memory: &dyn MemorySource) -> DebugId {
        /// Signature, GUID and age.
        const HEAD: usize = 24;
        let Some(range) = self.code_view(memory) else { return DebugId::None };
        let mut record = vec![0; range.len() as usize];
        if !memory.read_exact(range.start, &mut record) || record.len() < HEAD {
            return DebugId::None;
        }
        let (head, name) = record.split_at(HEAD);
        let word =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        if word(0) != CV_SIGNATURE_RSDS {
            return DebugId::None;
        }
        let mut guid = [0; 16];
        guid.copy_from_slice(&head[4..20]);
        let name = name.split(|b| *b == 0).next().unwrap_or_default();
        DebugId::Pdb70 { guid, age: word(20), name: String::from_utf8_lossy(name).into_owned() }
    }

    /// Its thread-local storage, if it has any.
    pub(crate) fn tls(&self, memory: &dyn MemorySource) -> Option<TlsTemplate> {
        let at = self.directory(IMAGE_DIRECTORY_ENTRY_TLS)?.start;
        let (start, end, index, zero) = if self.is_wide {
            let d: TlsDirectory64 = read(memory, at)?;
            (d.start.get(), d.end.get(), d.index.get(), d.size_of_zero_fill.get())
        } else {
            let d: TlsDirectory32 = read(memory, at)?;
            let wide = |field: U32| u64::from(field.get());
            (wide(d.start), wide(d.end), wide(d.index), d.size_of_zero_fill.get())
        };
        let size = end.checked_sub(start)?.checked_add(zero.into())?;
        Some(TlsTemplate { index, size: size.min(self.size) })
    }
}

/// Reads one of `object`'s structures.
pub(super) fn pod<T: Pod + Copy>(memory: &dyn MemorySource, address: u64) -> Option<T> {
    let mut buf = vec![0; size_of::<T>()];
    if !memory.read_exact(address, &mut buf) {
        return None;
    }
    from_bytes::<T>(&buf).ok().map(|(value, _)| *value)
}

/// Reads entries of a table until one cannot be read.
pub(super) fn table<T: Pod + Copy>(
    memory: &dyn MemorySource,
    address: u64,
    count: u32,
) -> impl Iterator<Item = T> + '_ {
    let entry = move |index: u32| {
        let offset = u64::from(index) * size_of::<T>() as u64;
        pod(memory, address.checked_add(offset)?)
    };
    (0..count).map_while(entry)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::fake::FakeMemory;
    use super::*;

    pub(in super::super) const BASE: u64 = 0x1_4000_0000;

    /// A PE32+ image with `.text`, `.data`, a CodeView record and TLS.
    pub(in super::super) fn image() -> FakeMemory {
        let mut memory = FakeMemory::default();
        memory.put(BASE, vec![0; 0x4000]);
        memory.put(BASE, *b"MZ");
        memory.put_u32(BASE + 0x3C, 0x80);
        let nt = BASE + 0x80;
        memory.put(nt, *b"PE\0\0");
        memory.put(nt + 4, 0x8664u16.to_le_bytes());
        memory.put(nt + 6, 2u16.to_le_bytes());
        memory.put_u32(nt + 8, 0x5f00_0001);
        memory.put(nt + 20, 240u16.to_le_bytes());
        let optional = nt + 24;
        memory.put(optional, 0x20bu16.to_le_bytes());
        memory.put_u32(optional + 56, 0x4000);
        memory.put_u32(optional + 60, 0x400);
        memory.put_u32(optional + 64, 0xabcd);
        memory.put_u32(optional + 108, 16);
        memory.put_u32(optional + 112 + 8 * 6, 0x3000);
        memory.put_u32(optional + 112 + 8 * 6 + 4, 28);
        memory.put_u32(optional + 112 + 8 * 9, 0x3100);
        memory.put_u32(optional + 112 + 8 * 9 + 4, 40);
        let sections = optional + 240;
        for (index, (rva, size, flags)) in
            [(0x1000, 0x800, 0x6000_0020), (0x2000, 0x1001, 0xC000_0040_u32)]
                .into_iter()
                .enumerate()
        {
            let at = sections + 40 * index as u64;
            memory.put_u32(at + 8, size);
            memory.put_u32(at + 12, rva);
            memory.put_u32(at + 36, flags);
        }
        memory.put_u32(BASE + 0x3000 + 12, 2);
        memory.put_u32(BASE + 0x3000 + 16, 24 + 8);
        memory.put_u32(BASE + 0x3000 + 20, 0x3200);
        memory.put(BASE + 0x3200, *b"RSDS0123456789abcdef\x05\0\0\0app.pdb\0");
        memory.put_u64(BASE + 0x3100, BASE + 0x3300);
        memory.put_u64(BASE + 0x3108, BASE + 0x3310);
        memory.put_u64(BASE + 0x3110, BASE + 0x2000);
        memory.put_u32(BASE + 0x3120, 8);
        memory
    }

    #[test]
    fn an_image_in_memory_tells_what_identifies_it() {
        let memory = image();
        let pe = PeImage::read(&memory, BASE).unwrap();
        assert!(pe.is_wide);
        assert_eq!((pe.size, pe.check_sum, pe.time_date_stamp), (0x4000, 0xabcd, 0x5f00_0001));
        let id = DebugId::Pdb70 { guid: *b"0123456789abcdef", age: 5, name: "app.pdb".into() };
        assert_eq!(pe.debug_id(&memory), id);
        assert_eq!(pe.tls(&memory), Some(TlsTemplate { index: BASE + 0x2000, size: 24 }));
        let segments = pe.segments(0x1000);
        assert_eq!(segments[0].range, AddressRange::new(BASE + 0x1000, BASE + 0x2000));
        assert_eq!(segments[0].protection, Protection::READ | Protection::EXECUTE);
        assert_eq!(segments[1].range, AddressRange::new(BASE + 0x2000, BASE + 0x4000));
        assert_eq!(segments[1].protection, Protection::READ | Protection::WRITE);
        assert_eq!(pe.header_ranges(&memory)[0], AddressRange::new(BASE, BASE + 0x400));
    }

    #[test]
    fn unwind_tables_come_with_what_they_point_to() {
        let mut memory = image();
        let directory = BASE + 0x80 + 24 + 112 + 8 * 3;
        memory.put_u32(directory, 0x3400);
        memory.put_u32(directory + 4, 24);
        memory.put_u32(BASE + 0x3408, 0x3500);
        memory.put_u32(BASE + 0x3414, 0xFFFF_FFFE);
        memory.put(BASE + 0x3502, [3]);
        let pe = PeImage::read(&memory, BASE).unwrap();
        let ranges = pe.header_ranges(&memory);
        assert!(ranges.contains(&AddressRange::with_len(BASE + 0x3400, 24)), "the table");
        assert!(ranges.contains(&AddressRange::with_len(BASE + 0x3500, 4 + 8 + 12)), "its records");
    }

    #[test]
    fn what_lies_outside_of_the_image_is_not_part_of_it() {
        let mut memory = image();
        memory.put_u32(BASE + 0x3000 + 20, 0xFFFF_FFF0);
        let pe = PeImage::read(&memory, BASE).unwrap();
        assert_eq!(pe.debug_id(&memory), DebugId::None);
        assert_eq!(pe.at(0x4000, 1), None);
        assert_eq!(pe.at(0x3FFF, u32::MAX).unwrap().len(), 1);
        assert_eq!(PeImage::read(&memory, BASE + 8), None);
        assert_eq!(PeImage::read(&memory, u64::MAX - 4), None);
    }
}
