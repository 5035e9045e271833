//! ELF cores of machines: QEMU's `dump-guest-memory`, and the like.

use super::notes::{self, Note};
use super::{Extent, Image, Refusal};
use crate::read::Source;
use crate::soft_error::SoftError;
use crate::target::machine::processor;
use crate::target::machine::snapshot::MachineArchitecture;
use dumpwright_format::kernel::{Header64, SIGNATURE, VALID_DUMP_64};
use dumpwright_format::machine::qemu::{
    LinuxUserRegsAmd64, LinuxUserRegsArm64, PRSTATUS_REGS_OFFSET, QEMU_NOTE_NAME,
    VMCOREINFO_NOTE_NAME,
};
use object::LittleEndian as LE;
use object::elf::{self, FileHeader32, FileHeader64};
#[cfg(target_os = "linux")]
use object::elf::{ProgramHeader32, ProgramHeader64};
use object::elf::{SectionHeader32, SectionHeader64};
use object::pod::{self, Pod};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};

/// Program headers that are read: a guest with paging can have tens of
/// thousands.
const MAX_PROGRAM_HEADERS: u64 = 1 << 20;
/// Bytes of notes that are read: some hundreds for each of thousands of
/// processors.
const MAX_NOTES: u64 = 16 << 20;

/// Bytes of the registers in the status of an x86-64 processor.
const REGS_AMD64: usize = size_of::<LinuxUserRegsAmd64>();

/// A program header, of either class.
#[derive(Clone, Copy, Debug)]
struct Segment {
    kind: elf::ProgramType,
    offset: u64,
    vaddr: u64,
    paddr: u64,
    file_size: u64,
}

/// The headers of a core.
#[derive(Debug)]
struct Headers {
    kind: elf::FileType,
    machine: elf::Machine,
    segments: Vec<Segment>,
}

pub(super) fn parse(source: &dyn Source) -> Result<Image, Refusal> {
    let headers = headers(source)?;
    if headers.kind != elf::ET_CORE {
        return Err(Refusal::NotOfAMachine);
    }
    let (notes, whole) = read_notes(source, &headers)?;
    if !is_of_a_machine(&headers, &notes) {
        return Err(Refusal::NotOfAMachine);
    }
    if !whole {
        return Err("it is cut off in its notes; take or copy it again".to_owned().into());
    }
    let mut image = described(headers.machine, &notes)?;
    image.extents = memory_of(&headers);
    if image.extents.is_empty() {
        return Err("it is an ELF core without memory; take the dump again".to_owned().into());
    }
    // Without paging QEMU writes no virtual address, or, in some versions, the
    // physical one once more.
    let mapped = |s: &Segment| s.kind == elf::PT_LOAD && ![0, s.paddr].contains(&s.vaddr);
    if headers.segments.iter().any(mapped) {
        image.soft_errors.push(SoftError::new(
            "memory",
            "the core was taken with paging: memory that no page table of its processors maps is in it and cannot be found; take it without -p to have all",
        ));
    }
    Ok(image)
}

/// The same for the start of a core that is read from a pipe, up to its memory:
/// extents then say what physical memory there is. `Err` with the number of
/// bytes that are wanted while `head` is too short.
#[cfg(target_os = "linux")]
pub(in crate::target::machine) fn parse_head(head: &[u8]) -> Result<Image, HeadError> {
    let source = head.to_vec();
    let header_size = size_of::<FileHeader64<LE>>();
    if head.len() < header_size {
        return Err(HeadError::Wants(header_size as u64));
    }
    let (offset, size) = program_header_table(head).map_err(HeadError::Bad)?;
    let past_headers = offset.saturating_add(size);
    if past_headers > MAX_PROGRAM_HEADERS * size_of::<ProgramHeader64<LE>>() as u64 {
        return Err(HeadError::Bad("its program headers stand too far into it".into()));
    }
    if (head.len() as u64) < past_headers {
        return Err(HeadError::Wants(past_headers));
    }
    let headers = headers(&source).map_err(HeadError::Bad)?;
    let notes = headers.segments.iter().filter(|s| s.kind == elf::PT_NOTE);
    let past_notes =
        notes.map(|s| s.offset.saturating_add(s.file_size)).max().unwrap_or(past_headers);
    if past_notes > past_headers + MAX_NOTES {
        return Err(HeadError::Bad("its notes stand too far into it".into()));
    }
    if (head.len() as u64) < past_notes {
        return Err(HeadError::Wants(past_notes));
    }
    let (notes, _) = read_notes(&source, &headers).map_err(HeadError::Bad)?;
    let mut image = described(headers.machine, &notes).map_err(HeadError::Bad)?;
    image.extents = memory_of(&headers);
    Ok(image)
}

/// Why the start of a core could not be read.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(in crate::target::machine) enum HeadError {
    /// So many bytes of it are needed.
    Wants(u64),
    /// It is not what it should be.
    Bad(String),
}

/// Offset and size of the program headers.
#[cfg(target_os = "linux")]
fn program_header_table(head: &[u8]) -> Result<(u64, u64), String> {
    let header: &FileHeader64<LE> = pod_at(head, 0)?;
    if header.e_ident.class != elf::ELFCLASS64 {
        let header: &FileHeader32<LE> = pod_at(head, 0)?;
        let count = u64::from(header.e_phnum.get(LE));
        return Ok((
            header.e_phoff.get(LE).into(),
            count * size_of::<ProgramHeader32<LE>>() as u64,
        ));
    }
    let count = u64::from(header.e_phnum.get(LE));
    Ok((header.e_phoff.get(LE), count * size_of::<ProgramHeader64<LE>>() as u64))
}

fn headers(source: &dyn Source) -> Result<Headers, String> {
    let mut ident = [0; size_of::<FileHeader64<LE>>()];
    let len = source.len().min(ident.len() as u64) as usize;
    read(source, 0, &mut ident[..len])?;
    match ident[4] {
        2 => headers_of::<FileHeader64<LE>, SectionHeader64<LE>>(source, &ident),
        1 => headers_of::<FileHeader32<LE>, SectionHeader32<LE>>(source, &ident),
        class => Err(format!("its ELF class is {class}; only 1 and 2 exist")),
    }
}

fn headers_of<H, S>(source: &dyn Source, ident: &[u8]) -> Result<Headers, String>
where
    H: FileHeader<Endian = LE, SectionHeader = S>,
    S: SectionHeader<Endian = LE> + Pod,
    H::ProgramHeader: Pod,
{
    let header: &H = pod_at(ident, 0)?;
    let offset: u64 = header.e_phoff(LE).into();
    let mut count = u64::from(header.e_phnum(LE));
    if count == u64::from(elf::PN_XNUM) {
        // More than fit: the first section header has the number.
        let mut first = vec![0; size_of::<S>()];
        read(source, header.e_shoff(LE).into(), &mut first)?;
        count = pod_at::<S>(&first, 0)?.sh_info(LE).into();
    }
    if count > MAX_PROGRAM_HEADERS {
        return Err(format!("it claims {count} program headers; no core has that many"));
    }
    let size = size_of::<H::ProgramHeader>();
    if usize::from(header.e_phentsize(LE)) != size && count != 0 {
        return Err(format!("its program headers do not have {size} bytes"));
    }
    let len = count * size as u64;
    if offset.checked_add(len).is_none_or(|end| end > source.len()) {
        return Err("it is cut off in its program headers; take or copy it again".into());
    }
    let mut table = vec![0; len as usize];
    read(source, offset, &mut table)?;
    let mut segments = Vec::with_capacity(count as usize);
    for entry in table.chunks_exact(size) {
        let entry: &H::ProgramHeader = pod_at(entry, 0)?;
        segments.push(Segment {
            kind: entry.p_type(LE),
            offset: entry.p_offset(LE).into(),
            vaddr: entry.p_vaddr(LE).into(),
            paddr: entry.p_paddr(LE).into(),
            file_size: entry.p_filesz(LE).into(),
        });
    }
    Ok(Headers { kind: header.e_type(LE), machine: header.e_machine(LE), segments })
}

/// The notes that the file has, and whether those are all.
fn read_notes(source: &dyn Source, headers: &Headers) -> Result<(Vec<Note>, bool), String> {
    let mut all = Vec::new();
    let mut total = 0u64;
    for segment in headers.segments.iter().filter(|s| s.kind == elf::PT_NOTE) {
        total = total.saturating_add(segment.file_size);
        if total > MAX_NOTES {
            return Err(format!("it claims {total:#x} bytes of notes; no core has that"));
        }
        if segment.offset.checked_add(segment.file_size).is_none_or(|end| end > source.len()) {
            return Ok((all, false));
        }
        let mut bytes = vec![0; segment.file_size as usize];
        read(source, segment.offset, &mut bytes)?;
        all.extend(notes::split(&bytes));
    }
    Ok((all, true))
}

/// Whether a core is of a machine and not of a process: processes have an
/// auxiliary vector, and no physical addresses.
fn is_of_a_machine(headers: &Headers, notes: &[Note]) -> bool {
    let of_machine = |note: &Note| note.name == QEMU_NOTE_NAME || note.name == VMCOREINFO_NOTE_NAME;
    if notes.iter().any(of_machine) {
        return true;
    }
    let of_process = [elf::NT_PRPSINFO, elf::NT_AUXV, elf::NT_FILE];
    let is_process =
        notes.iter().any(|note| note.name == b"CORE" && of_process.contains(&note.kind));
    let mut loads = headers.segments.iter().filter(|s| s.kind == elf::PT_LOAD);
    let physical = loads.clone().any(|s| s.paddr != 0) || loads.all(|s| s.vaddr == 0);
    physical && !is_process
}

/// What the notes tell.
pub(super) fn described(machine: elf::Machine, notes: &[Note]) -> Result<Image, String> {
    let mut image = Image::default();
    let prepared = notes.iter().find(|note| note.name == VMCOREINFO_NOTE_NAME);
    image.prepared_header = prepared.and_then(|note| prepared_header(&note.contents));
    let qemu = notes.iter().filter(|note| note.name == QEMU_NOTE_NAME);
    image.processors = match machine {
        elf::EM_AARCH64 => {
            image.architecture = Some(MachineArchitecture::Arm64);
            let float = |index: usize| float_after(&notes[index..]);
            let states = notes.iter().enumerate().filter(|(_, note)| is_status(note));
            states
                .filter_map(|(index, note)| {
                    processor::from_arm64_status(&note.contents, float(index + 1))
                })
                .collect()
        }
        elf::EM_X86_64 | elf::EM_386 => {
            // A compressed dump names the emulator's machine, and only the size of
            // this note tells in which mode the guest's processors are.
            let is_32_bit = |status: &[u8]| status.len() < PRSTATUS_REGS_OFFSET + REGS_AMD64;
            let long = machine == elf::EM_X86_64 && !statuses(notes).any(is_32_bit);
            let states: Vec<_> =
                qemu.filter_map(|note| processor::qemu_state(&note.contents)).collect();
            let first = states.first().map(|state| processor::architecture(state, long));
            image.architecture = first.or(long.then_some(MachineArchitecture::Amd64));
            let architecture = image.architecture.unwrap_or(MachineArchitecture::X86);
            if states.is_empty() && long {
                statuses(notes).filter_map(processor::from_amd64_status).collect()
            } else {
                states.iter().map(|state| processor::from_qemu(state, architecture)).collect()
            }
        }
        other => {
            return Err(format!(
                "it is of a machine with processors that dumps have no form for (ELF machine {}); x86, x86-64 and 64-bit ARM do",
                other.0
            ));
        }
    };
    if image.processors.is_empty() {
        image.soft_errors.push(SoftError::new("processors", "the core has no registers"));
    }
    Ok(image)
}

fn statuses(notes: &[Note]) -> impl Iterator<Item = &[u8]> {
    notes.iter().filter(|note| is_status(note)).map(|note| note.contents.as_slice())
}

fn is_status(note: &Note) -> bool {
    note.name == b"CORE" && note.kind == elf::NT_PRSTATUS
}

/// Whether notes are of 64-bit ARM processors: no other's status has the size.
pub(super) fn are_of_arm64(notes: &[Note]) -> bool {
    // Registers, and at the end whether there are floating-point ones, padded.
    const SIZE: usize = PRSTATUS_REGS_OFFSET + size_of::<LinuxUserRegsArm64>() + 8;
    statuses(notes).next().is_some() && statuses(notes).all(|status| status.len() == SIZE)
}

/// The floating-point registers among the notes behind a processor's status.
fn float_after(notes: &[Note]) -> Option<&[u8]> {
    let of_this = notes.iter().take_while(|note| !is_status(note));
    let float = |note: &&Note| note.name == b"CORE" && note.kind == elf::NT_FPREGSET;
    of_this.into_iter().find(float).map(|note| note.contents.as_slice())
}

/// The `DUMP_HEADER64` in a VMCOREINFO note, if it is one.
fn prepared_header(contents: &[u8]) -> Option<Vec<u8>> {
    use zerocopy::FromBytes;
    let (header, _) = Header64::ref_from_prefix(contents).ok()?;
    let is_header = header.signature.get() == SIGNATURE && header.valid_dump.get() == VALID_DUMP_64;
    is_header.then(|| contents[..size_of::<Header64>()].to_vec())
}

fn memory_of(headers: &Headers) -> Vec<Extent> {
    let loads = headers.segments.iter().filter(|s| s.kind == elf::PT_LOAD && s.file_size != 0);
    loads.map(|s| Extent { start: s.paddr, len: s.file_size, offset: s.offset }).collect()
}

fn read(source: &dyn Source, offset: u64, buf: &mut [u8]) -> Result<(), String> {
    source.read_at(offset, buf).map_err(|error| {
        if error.kind() == std::io::ErrorKind::UnexpectedEof {
            format!("it is cut off: bytes at offset {offset:#x} are missing; take or copy it again")
        } else {
            format!("it cannot be read at offset {offset:#x}: {error}")
        }
    })
}

fn pod_at<T: Pod>(bytes: &[u8], at: usize) -> Result<&T, String> {
    let rest = bytes.get(at..).unwrap_or_default();
    pod::from_bytes(rest)
        .map(|(value, _)| value)
        .map_err(|()| "it is cut off in its headers".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::machine::testkit::{CoreBuilder, cpu_state};

    #[test]
    fn a_core_of_qemu_has_memory_and_registers() {
        let mut builder = CoreBuilder::default();
        builder.load(0, 0, &[1; 0x2000]).load(0x10_0000, 0, &[2; 0x1000]);
        builder.note(b"QEMU", 0, &cpu_state(0x1234, 0x8000_0000, 0x1000));
        let core = builder.build();
        let image = parse(&core).unwrap();
        assert_eq!(image.processors.len(), 1);
        assert_eq!(image.processors[0].instruction_pointer, 0x1234);
        assert_eq!(image.processors[0].control.unwrap().cr3, 0x1000);
        assert_eq!(image.architecture, Some(MachineArchitecture::Amd64));
        let starts: Vec<u64> = image.extents.iter().map(|e| e.start).collect();
        assert_eq!(starts, [0, 0x10_0000]);
    }

    #[test]
    fn only_a_core_with_paging_is_said_to_be_one() {
        for (virt, paging) in [(0, false), (0x10_0000, false), (0xc010_0000, true)] {
            let mut builder = CoreBuilder::default();
            builder.load(0, 0, &[1; 0x2000]).load(0x10_0000, virt, &[2; 0x1000]);
            builder.note(b"QEMU", 0, &cpu_state(0x1234, 0x8000_0000, 0x1000));
            let said = parse(&builder.build()).unwrap().soft_errors;
            assert_eq!(said.iter().any(|e| e.message.contains("paging")), paging, "{virt:#x}");
        }
    }

    #[test]
    fn a_32_bit_guest_of_a_64_bit_emulator_is_known_by_its_statuses() {
        const PAGING: u64 = 1 << 31;
        for (status, expected) in
            [(144, MachineArchitecture::X86), (336, MachineArchitecture::Amd64)]
        {
            let mut builder = CoreBuilder::default();
            builder.note(b"CORE", elf::NT_PRSTATUS.0, &vec![0; status]);
            builder.note(b"QEMU", 0, &cpu_state(0xc010_1234, PAGING, 0x1000));
            let notes = notes::split(builder.notes());
            let image = described(elf::EM_X86_64, &notes).unwrap();
            assert_eq!(image.architecture, Some(expected));
            assert_eq!(image.processors[0].instruction_pointer, 0xc010_1234);
        }
    }

    #[test]
    fn arm_processors_have_the_float_registers_that_follow_their_status() {
        use dumpwright_format::context::arm64::ContextArm64;
        use zerocopy::FromBytes;
        let mut builder = CoreBuilder::default();
        let status = |pc: u64| {
            let mut status = vec![0; 392];
            status[PRSTATUS_REGS_OFFSET + 32 * 8..][..8].copy_from_slice(&pc.to_le_bytes());
            status
        };
        let mut float = vec![0x11; 512];
        float.extend([1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        builder.note(b"CORE", elf::NT_PRSTATUS.0, &status(0x1000));
        builder.note(b"CORE", elf::NT_PRSTATUS.0, &status(0x2000));
        builder.note(b"CORE", elf::NT_FPREGSET.0, &float);
        let notes = notes::split(builder.notes());
        assert!(are_of_arm64(&notes) && !are_of_arm64(&notes[2..]));
        let image = described(elf::EM_AARCH64, &notes).unwrap();
        let contexts: Vec<_> = image
            .processors
            .iter()
            .map(|p| ContextArm64::read_from_bytes(&p.context).unwrap())
            .collect();
        assert_eq!((contexts[0].pc.get(), contexts[1].pc.get()), (0x1000, 0x2000));
        assert_eq!((contexts[0].v[31], contexts[1].v[31]), ([0; 16], [0x11; 16]));
        assert_eq!((contexts[1].fpsr.get(), contexts[1].fpcr.get()), (1, 2));
        assert_eq!(contexts[0].context_flags.get(), 0x40_0003);
        assert_eq!(contexts[1].context_flags.get(), 0x40_0007);
    }

    #[test]
    fn a_head_asks_for_what_it_needs_and_no_more() {
        let mut builder = CoreBuilder::default();
        builder.load(0, 0, &[1; 0x2000]);
        builder.note(b"QEMU", 0, &cpu_state(0x1234, 0x8000_0000, 0x1000));
        let core = builder.build();
        let mut have = 0;
        let image = loop {
            match parse_head(&core[..have]) {
                Ok(image) => break image,
                Err(HeadError::Wants(more)) => {
                    assert!(more as usize > have);
                    have = more as usize;
                }
                Err(HeadError::Bad(reason)) => panic!("{reason}"),
            }
        };
        assert!(have < core.len() - 0x2000 + 1);
        assert_eq!(image.extents[0].len, 0x2000);
    }

    #[test]
    fn a_prepared_header_is_taken_only_if_it_is_one() {
        let mut header = vec![0x50; 0x2000];
        header[..8].copy_from_slice(b"PAGEDU64");
        let mut builder = CoreBuilder::default();
        builder.load(0, 0, &[1; 0x1000]).note(b"VMCOREINFO", 0, &header);
        assert_eq!(parse(&builder.build()).unwrap().prepared_header, Some(header));
        let mut builder = CoreBuilder::default();
        builder.load(0, 0, &[1; 0x1000]).note(b"VMCOREINFO", 0, b"OSRELEASE=6.1\n");
        assert_eq!(parse(&builder.build()).unwrap().prepared_header, None);
    }

    #[test]
    fn a_core_of_a_process_is_not_one_of_a_machine() {
        let mut builder = CoreBuilder::default();
        builder.load(0, 0x40_0000, &[1; 0x1000]).note(b"CORE", elf::NT_AUXV.0, &[0; 16]);
        let core = builder.build();
        assert_eq!(parse(&core).unwrap_err(), Refusal::NotOfAMachine);
        // Nor is one whose notes are cut off.
        let cut = core[..core.len() - 0x1000 - 8].to_vec();
        assert_eq!(parse(&cut).unwrap_err(), Refusal::NotOfAMachine);
    }

    #[test]
    fn every_prefix_of_a_core_is_refused_or_read_without_panic() {
        let mut builder = CoreBuilder::default();
        builder.load(0, 0, &[1; 0x1000]);
        builder.note(b"QEMU", 0, &cpu_state(0x1234, 0x8000_0000, 0x1000));
        let core = builder.build();
        for len in 0..core.len() - 0x1000 {
            assert!(parse(&core[..len].to_vec()).is_err(), "{len}");
        }
        let mut absurd = core;
        absurd[56..58].copy_from_slice(&0xffffu16.to_le_bytes());
        assert!(parse(&absurd).is_err());
    }
}
