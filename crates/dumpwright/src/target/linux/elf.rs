//! ELF images as they lie in memory: headers, segments, notes, dynamic section.
//!
//! Every byte here is foreign. Counts and sizes are capped, address arithmetic
//! wraps or is checked, and whatever does not make sense is "not an image"
//! rather than an error.

use crate::address::AddressRange;
use crate::target::{Architecture, MemorySource, Protection};
use object::LittleEndian as LE;
use object::elf::{self, Dyn64, FileHeader64, NoteHeader64, ProgramHeader64};
use object::pod::{self, Pod};

/// Program headers that an image may have. The kernel itself refuses more than
/// 64 KiB of them.
const MAX_PROGRAM_HEADERS: usize = 1024;
/// Bytes of a dynamic section that are looked at.
const MAX_DYNAMIC: u64 = 64 * 1024;
/// Bytes of notes that are looked at.
const MAX_NOTES: u64 = 256 * 1024;

/// The processor of an `e_machine`, if its images are read here.
fn architecture(machine: elf::Machine) -> Option<Architecture> {
    match machine {
        elf::EM_X86_64 => Some(Architecture::Amd64),
        elf::EM_AARCH64 => Some(Architecture::Arm64),
        _ => None,
    }
}

/// Foreign bytes, aligned so that structures can be read from them.
#[derive(Clone, Debug, Default)]
pub(in crate::target) struct Bytes {
    words: Vec<u64>,
    len: usize,
}

impl Bytes {
    /// Reads `len` bytes at `address`; `None` if any of them cannot be read.
    pub fn read(memory: &dyn MemorySource, address: u64, len: usize) -> Option<Self> {
        let mut bytes = Bytes::zeroed(len);
        memory.read_exact(address, bytes.as_mut()).then_some(bytes)
    }

    /// A copy of `bytes`.
    pub fn copy(bytes: &[u8]) -> Self {
        let mut copy = Bytes::zeroed(bytes.len());
        copy.as_mut().copy_from_slice(bytes);
        copy
    }

    /// `len` zero bytes.
    pub fn zeroed(len: usize) -> Self {
        Bytes { words: vec![0; len.div_ceil(8)], len }
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &pod::bytes_of_slice(&self.words)[..self.len]
    }

    /// The bytes, to be filled.
    pub fn as_mut(&mut self) -> &mut [u8] {
        &mut pod::bytes_of_slice_mut(&mut self.words)[..self.len]
    }

    /// As many whole structures as there are.
    pub fn structs<T: Pod>(&self) -> &[T] {
        let count = self.len / size_of::<T>();
        pod::slice_from_bytes(self.as_slice(), count).map_or(&[], |(structs, _)| structs)
    }
}

/// A load segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::target) struct Load {
    /// Where it starts in memory; not rounded to pages.
    pub address: u64,
    /// Where it starts in the file.
    pub file_offset: u64,
    /// Bytes from the file.
    pub file_size: u64,
    /// Bytes in memory.
    pub memory_size: u64,
    /// Protection that the file asks for.
    pub protection: Protection,
}

impl Load {
    /// Its addresses in whole pages.
    pub fn pages(&self, page_size: u64) -> AddressRange {
        AddressRange::with_len(self.address, self.memory_size).align_outward(page_size)
    }
}

/// An ELF image in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::target) struct Image {
    /// Address of the ELF header, where it is mapped.
    pub header: Option<u64>,
    /// What is added to the file's addresses.
    pub bias: u64,
    /// Entry point.
    pub entry: u64,
    /// Addresses of the program headers.
    pub program_headers: AddressRange,
    /// Load segments with memory, as the file lists them.
    pub loads: Vec<Load>,
    /// The dynamic section.
    pub dynamic: Option<AddressRange>,
    /// Note segments and their alignment.
    pub notes: Vec<(AddressRange, u64)>,
    /// `.eh_frame_hdr`.
    pub eh_frame_header: Option<AddressRange>,
    /// Bytes and alignment of its thread-local storage.
    pub tls: Option<(u64, u64)>,
}

/// The parts of an ELF header that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::target) struct Header {
    /// Processor.
    pub architecture: Architecture,
    /// Entry point, before the bias.
    pub entry: u64,
    /// Offset of the program headers from the header.
    pub phoff: u64,
    /// Number of program headers.
    pub phnum: usize,
    /// Offset of the section headers.
    pub shoff: u64,
    /// Number of section headers.
    pub shnum: usize,
    /// Index of the section of section names.
    pub shstrndx: usize,
}

impl Header {
    /// Parses the header of an executable or library of this machine.
    pub fn parse(bytes: &Bytes) -> Option<Header> {
        let header = bytes.structs::<FileHeader64<LE>>().first()?;
        let native = header.e_ident.magic == elf::ELFMAG
            && header.e_ident.class == elf::ELFCLASS64
            && header.e_ident.data == elf::ELFDATA2LSB
            && matches!(header.e_type.get(LE), elf::ET_EXEC | elf::ET_DYN)
            && usize::from(header.e_phentsize.get(LE)) == size_of::<ProgramHeader64<LE>>();
        let architecture = architecture(header.e_machine.get(LE))?;
        let phnum = usize::from(header.e_phnum.get(LE));
        (native && (1..=MAX_PROGRAM_HEADERS).contains(&phnum)).then(|| Header {
            architecture,
            entry: header.e_entry.get(LE),
            phoff: header.e_phoff.get(LE),
            phnum,
            shoff: header.e_shoff.get(LE),
            shnum: usize::from(header.e_shnum.get(LE)),
            shstrndx: usize::from(header.e_shstrndx.get(LE).0),
        })
    }
}

impl Image {
    /// Reads the image whose ELF header is at `address`; `None` if there is
    /// none, or none that makes sense, or it is of another processor.
    pub fn at(
        memory: &dyn MemorySource,
        architecture: Architecture,
        address: u64,
        page_size: u64,
    ) -> Option<Image> {
        let header = Header::parse(&Bytes::read(memory, address, size_of::<FileHeader64<LE>>())?)?;
        if header.architecture != architecture {
            return None;
        }
        let table = address.checked_add(header.phoff)?;
        let bytes = Bytes::read(memory, table, header.phnum * size_of::<ProgramHeader64<LE>>())?;
        let headers = bytes.structs::<ProgramHeader64<LE>>();
        // The segment that the header itself is in tells the bias.
        let first = headers.iter().find(|p| {
            p.p_type.get(LE) == elf::PT_LOAD && p.p_offset.get(LE) & !(page_size - 1) == 0
        })?;
        let in_file = first.p_vaddr.get(LE).wrapping_sub(first.p_offset.get(LE));
        let bias = address.wrapping_sub(in_file);
        Image::build(Some(address), bias, header.entry, table, headers)
    }

    /// Reads the image whose program headers are at `table`, for an executable
    /// whose ELF header is not mapped. `entry` is where it really starts.
    pub fn of_program_headers(
        memory: &dyn MemorySource,
        table: u64,
        count: u64,
        entry: u64,
    ) -> Option<Image> {
        let count = usize::try_from(count).ok().filter(|n| *n <= MAX_PROGRAM_HEADERS)?;
        let bytes = Bytes::read(memory, table, count * size_of::<ProgramHeader64<LE>>())?;
        let headers = bytes.structs::<ProgramHeader64<LE>>();
        // Without PT_PHDR it is taken to be linked where it runs.
        let own = headers.iter().find(|p| p.p_type.get(LE) == elf::PT_PHDR);
        let bias = own.map_or(0, |p| table.wrapping_sub(p.p_vaddr.get(LE)));
        Image::build(None, bias, entry.wrapping_sub(bias), table, headers)
    }

    fn build(
        header: Option<u64>,
        bias: u64,
        entry: u64,
        table: u64,
        headers: &[ProgramHeader64<LE>],
    ) -> Option<Image> {
        let mut image = Image {
            header,
            bias,
            entry: bias.wrapping_add(entry),
            program_headers: AddressRange::with_len(table, size_of_val(headers) as u64),
            loads: Vec::new(),
            dynamic: None,
            notes: Vec::new(),
            eh_frame_header: None,
            tls: None,
        };
        for p in headers {
            let address = bias.wrapping_add(p.p_vaddr.get(LE));
            let size = p.p_memsz.get(LE);
            let range = AddressRange::with_len(address, size);
            match p.p_type.get(LE) {
                elf::PT_LOAD if size > 0 => image.loads.push(load(p, address)?),
                elf::PT_DYNAMIC => image.dynamic = Some(range),
                elf::PT_NOTE => image.notes.push((range, p.p_align.get(LE))),
                elf::PT_GNU_EH_FRAME => image.eh_frame_header = Some(range),
                elf::PT_TLS => image.tls = Some((size, p.p_align.get(LE))),
                _ => {}
            }
        }
        (!image.loads.is_empty()).then_some(image)
    }

    /// From the first page of the lowest segment to the last of the highest.
    pub fn range(&self, page_size: u64) -> AddressRange {
        let pages = || self.loads.iter().map(|l| l.pages(page_size));
        AddressRange::new(
            pages().map(|r| r.start).min().unwrap_or_default(),
            pages().map(|r| r.end).max().unwrap_or_default(),
        )
    }

    /// Whether `address` lies in one of its segments.
    pub fn contains(&self, address: u64) -> bool {
        self.loads
            .iter()
            .any(|l| AddressRange::with_len(l.address, l.memory_size).contains(address))
    }

    /// The build id that its notes hold in memory.
    pub fn build_id(&self, memory: &dyn MemorySource) -> Option<Vec<u8>> {
        self.notes.iter().find_map(|(range, align)| {
            let len = range.len().min(MAX_NOTES) as usize;
            let bytes = Bytes::read(memory, range.start, len)?;
            build_id_in(bytes.as_slice(), *align)
        })
    }

    /// Its dynamic section.
    pub fn read_dynamic(&self, memory: &dyn MemorySource) -> Option<Dynamic> {
        let range = self.dynamic?;
        let len = range.len().min(MAX_DYNAMIC) as usize;
        let bytes = Bytes::read(memory, range.start, len)?;
        Some(Dynamic { address: range.start, bytes })
    }

    /// Its `DT_SONAME`.
    pub fn soname(&self, memory: &dyn MemorySource) -> Option<Vec<u8>> {
        let dynamic = self.read_dynamic(memory)?;
        let strings = dynamic.value(elf::DT_STRTAB)?;
        let offset = dynamic.value(elf::DT_SONAME)?;
        // glibc has relocated the address in place; musl and the vDSO have not.
        let candidates = [strings, self.bias.wrapping_add(strings)];
        let table = candidates.into_iter().find(|a| self.contains(*a))?;
        memory.read_c_string(table.checked_add(offset)?, 1024).filter(|name| !name.is_empty())
    }
}

fn load(p: &ProgramHeader64<LE>, address: u64) -> Option<Load> {
    let flags = p.p_flags.get(LE).0;
    let memory_size = p.p_memsz.get(LE);
    // A segment that wraps around the address space is no segment.
    address.checked_add(memory_size)?;
    let set = |bit: elf::ProgramFlags, flag| {
        if flags & bit.0 == 0 { Protection::empty() } else { flag }
    };
    Some(Load {
        address,
        file_offset: p.p_offset.get(LE),
        file_size: p.p_filesz.get(LE).min(memory_size),
        memory_size,
        protection: set(elf::PF_R, Protection::READ)
            | set(elf::PF_W, Protection::WRITE)
            | set(elf::PF_X, Protection::EXECUTE),
    })
}

/// Finds the GNU build id in the bytes of a note segment or section.
pub(in crate::target) fn build_id_in(mut notes: &[u8], align: u64) -> Option<Vec<u8>> {
    const HEADER: usize = size_of::<NoteHeader64<LE>>();
    // gABI: 4, or 8 for notes whose segment is aligned so.
    let align = if align == 8 { 8 } else { 4 };
    while notes.len() >= HEADER {
        let copy = Bytes::copy(&notes[..HEADER]);
        let header = copy.structs::<NoteHeader64<LE>>().first()?;
        let name_end = HEADER.checked_add(header.n_namesz.get(LE) as usize)?;
        let start = name_end.checked_next_multiple_of(align)?;
        let end = start.checked_add(header.n_descsz.get(LE) as usize)?;
        let description = notes.get(start..end)?;
        if header.n_type.get(LE) == elf::NT_GNU_BUILD_ID
            && notes.get(HEADER..name_end)? == b"GNU\0"
            && !description.is_empty()
        {
            return Some(description.to_vec());
        }
        notes = notes.get(end.checked_next_multiple_of(align)?..)?;
    }
    None
}

/// A dynamic section.
#[derive(Clone, Debug)]
pub(in crate::target) struct Dynamic {
    /// Its address.
    pub address: u64,
    /// Its bytes.
    pub bytes: Bytes,
}

impl Dynamic {
    /// The first value of a tag.
    pub fn value(&self, tag: elf::DynamicTag) -> Option<u64> {
        self.bytes
            .structs::<Dyn64<LE>>()
            .iter()
            .take_while(|entry| entry.d_tag.get(LE) != elf::DT_NULL)
            .find(|entry| entry.d_tag.get(LE) == tag)
            .map(|entry| entry.d_val.get(LE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::linux::arch::NATIVE;
    use crate::target::linux::testkit::Flat;
    use proptest::prelude::*;
    use std::io::Read;

    fn own_executable() -> Vec<u8> {
        let mut bytes = vec![0; 64 * 1024];
        std::fs::File::open("/proc/self/exe").unwrap().read_exact(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn an_image_is_placed_by_the_segment_that_holds_its_header() {
        let image = Image::at(&Flat::new(0x5000_0000, own_executable()), NATIVE, 0x5000_0000, 4096)
            .unwrap();
        assert_eq!(image.range(4096).start, 0x5000_0000);
        assert!(image.contains(image.entry) && image.dynamic.is_some());
        assert!(image.loads.iter().any(|l| l.protection.contains(Protection::EXECUTE)));
    }

    #[test]
    fn an_image_of_another_machine_or_class_is_none() {
        for (offset, value) in [(4, 1), (5, 2), (18, 8), (54, 32)] {
            let mut bytes = own_executable();
            bytes[offset] = value;
            assert_eq!(Image::at(&Flat::new(0x5000_0000, bytes), NATIVE, 0x5000_0000, 4096), None);
        }
    }

    #[test]
    fn a_build_id_is_found_behind_other_notes_and_by_either_alignment() {
        let note = |kind: u32, name: &[u8], desc: &[u8], align: usize| {
            let mut note = Vec::new();
            for n in [name.len() as u32, desc.len() as u32, kind] {
                note.extend_from_slice(&n.to_le_bytes());
            }
            note.extend_from_slice(name);
            note.resize(note.len().next_multiple_of(align), 0);
            note.extend_from_slice(desc);
            note.resize(note.len().next_multiple_of(align), 0);
            note
        };
        for align in [4, 8] {
            let mut notes = note(5, b"GNU\0", &[1; 13], align);
            notes.extend(note(3, b"Other\0", &[9; 20], align));
            notes.extend(note(3, b"GNU\0", &[7; 20], align));
            assert_eq!(build_id_in(&notes, align as u64), Some(vec![7; 20]), "{align}");
            notes.truncate(notes.len() - 5);
            assert_eq!(build_id_in(&notes, align as u64), None, "torn");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn damaged_images_never_panic_and_stay_in_the_address_space(
            changes in prop::collection::vec((0usize..1200, any::<u8>()), 1..12),
            address in prop_oneof![Just(0x5000_0000u64), Just(0u64), Just(u64::MAX - 0xffff)],
        ) {
            let mut bytes = own_executable();
            for (at, value) in changes {
                bytes[at] = value;
            }
            let memory = Flat::new(address, bytes);
            if let Some(image) = Image::at(&memory, NATIVE, address, 4096) {
                let _ = image.build_id(&memory);
                let _ = image.soname(&memory);
                let _ = super::super::unwind::header_ranges(&memory, &image, None, 4096);
                let _ = super::super::link_map::LinkMap::read(&memory, &image, &mut Vec::new());
                for load in &image.loads {
                    prop_assert!(load.address.checked_add(load.memory_size).is_some());
                }
            }
        }

        #[test]
        fn garbage_notes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), align in 0u64..9) {
            let _ = build_id_in(&bytes, align);
        }
    }
}
