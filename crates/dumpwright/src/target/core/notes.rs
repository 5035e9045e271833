//! The notes of a core.
//!
//! The kernel writes the thread that crashed first, and what belongs to the
//! process behind its status; gdb writes each thread's signal behind it. Both
//! ways a note of a thread belongs to the last `NT_PRSTATUS` before it.

use crate::address::AddressRange;
use dumpwright_format::elf_core::{
    FileNoteEntry, FileNoteHeader, NOTE_SOFT_ERRORS, NOTE_STREAMS, NOTE_ZERO, NT_ARM_TLS, NT_AUXV,
    NT_FILE, NT_FPREGSET, NT_PRPSINFO, NT_PRSTATUS, NT_SIGINFO, NT_X86_XSAVE_LAYOUT, NT_X86_XSTATE,
    NoteHeader, OWNER_CORE, OWNER_DUMPWRIGHT, OWNER_LINUX, PrPsInfo, PrStatus,
};
use zerocopy::FromBytes;

/// What the notes of a core say.
#[derive(Debug, Default)]
pub(in crate::target) struct Notes<'a> {
    /// Threads, in their order.
    pub threads: Vec<ThreadNotes<'a>>,
    /// The process.
    pub process: Option<PrPsInfo>,
    /// The auxiliary vector.
    pub auxv: &'a [u8],
    /// Mapped files.
    pub files: Vec<MappedFile<'a>>,
    /// Places of features in XSAVE areas: number, offset, size.
    pub xsave_layout: Vec<(u32, u32, u32)>,
    /// What we added to a core of ours.
    pub ours: OwnNotes<'a>,
    /// Whether it is memory of a machine.
    pub is_machine: bool,
}

/// A thread.
#[derive(Debug)]
pub(in crate::target) struct ThreadNotes<'a> {
    /// Status, without registers.
    pub status: PrStatus,
    /// General registers.
    pub general: &'a [u8],
    /// Floating-point registers.
    pub float: Option<&'a [u8]>,
    /// XSAVE area.
    pub xstate: Option<&'a [u8]>,
    /// `TPIDR_EL0`.
    pub tls: Option<&'a [u8]>,
    /// `siginfo_t`.
    pub siginfo: Option<&'a [u8]>,
}

/// A mapped part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::target) struct MappedFile<'a> {
    /// Where.
    pub range: AddressRange,
    /// From which offset on, in bytes.
    pub offset: u64,
    /// Its path, as the kernel says it.
    pub path: &'a [u8],
}

/// Notes that only our own cores have.
#[derive(Debug, Default)]
pub(in crate::target) struct OwnNotes<'a> {
    /// A minidump without memory.
    pub streams: Option<&'a [u8]>,
    /// What could not be had.
    pub soft_errors: Option<&'a [u8]>,
    /// Memory that was never used and is zero.
    pub zero: Vec<AddressRange>,
}

impl<'a> Notes<'a> {
    /// Takes in the bytes of a note segment.
    pub fn take(&mut self, bytes: &'a [u8], align: u64) {
        for note in Iter::new(bytes, align) {
            match note.owner {
                OWNER_CORE | OWNER_LINUX => self.take_system(&note),
                OWNER_DUMPWRIGHT => self.ours.take(&note),
                b"VMCOREINFO" | b"QEMU" => self.is_machine = true,
                _ => {}
            }
        }
    }

    fn take_system(&mut self, note: &Note<'a>) {
        if note.kind == NT_PRSTATUS {
            if let Ok((status, general)) = PrStatus::read_from_prefix(note.bytes) {
                self.threads.push(ThreadNotes {
                    status,
                    general,
                    float: None,
                    xstate: None,
                    tls: None,
                    siginfo: None,
                });
            }
            return;
        }
        let bytes = note.bytes;
        let thread = self.threads.last_mut();
        match (note.kind, thread) {
            (NT_FPREGSET, Some(thread)) => thread.float = Some(bytes),
            (NT_X86_XSTATE, Some(thread)) => thread.xstate = Some(bytes),
            (NT_ARM_TLS, Some(thread)) => thread.tls = Some(bytes),
            (NT_SIGINFO, Some(thread)) => thread.siginfo = Some(bytes),
            (NT_PRPSINFO, _) => {
                self.process = PrPsInfo::read_from_prefix(bytes).ok().map(|(info, _)| info);
            }
            (NT_AUXV, _) => self.auxv = bytes,
            (NT_FILE, _) => self.files = files(bytes).unwrap_or_default(),
            (NT_X86_XSAVE_LAYOUT, _) => {
                self.xsave_layout =
                    bytes.chunks_exact(16).map(|c| (word(c, 0), word(c, 8), word(c, 4))).collect();
            }
            _ => {}
        }
    }
}

impl<'a> OwnNotes<'a> {
    fn take(&mut self, note: &Note<'a>) {
        let bytes = note.bytes;
        match note.kind {
            NOTE_STREAMS => self.streams = Some(bytes),
            NOTE_SOFT_ERRORS => self.soft_errors = Some(bytes),
            NOTE_ZERO => self.zero.extend(
                bytes.chunks_exact(16).map(|pair| AddressRange::new(wide(pair, 0), wide(pair, 8))),
            ),
            _ => {}
        }
    }
}

/// `NT_FILE`: count and unit, entries, and as many names.
fn files(bytes: &[u8]) -> Option<Vec<MappedFile<'_>>> {
    let (header, rest) = FileNoteHeader::read_from_prefix(bytes).ok()?;
    let count = usize::try_from(header.count.get()).ok()?;
    let table = count.checked_mul(size_of::<FileNoteEntry>())?;
    let (entries, names) = rest.split_at_checked(table)?;
    let entries = <[FileNoteEntry]>::ref_from_bytes(entries).ok()?;
    let mut files: Vec<MappedFile> = entries
        .iter()
        .zip(names.split(|b| *b == 0))
        .filter(|(entry, _)| entry.start.get() < entry.end.get())
        .map(|(entry, path)| MappedFile {
            range: AddressRange::new(entry.start.get(), entry.end.get()),
            offset: entry.offset.get().wrapping_mul(header.page_size.get()),
            path,
        })
        .collect();
    files.sort_by_key(|f| f.range.start);
    let mut end = 0;
    files.retain(|f| {
        let ordered = f.range.start >= end;
        if ordered {
            end = f.range.end;
        }
        ordered
    });
    Some(files)
}

fn wide(bytes: &[u8], at: usize) -> u64 {
    u64::from(word(bytes, at)) | u64::from(word(bytes, at + 4)) << 32
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

/// A note.
struct Note<'a> {
    /// Its owner, without the NUL.
    owner: &'a [u8],
    kind: u32,
    bytes: &'a [u8],
}

/// Walks over notes; ends where one does not make sense.
struct Iter<'a> {
    rest: &'a [u8],
    align: usize,
}

impl<'a> Iter<'a> {
    fn new(rest: &'a [u8], align: u64) -> Self {
        Iter { rest, align: if align == 8 { 8 } else { 4 } }
    }

    fn step(&mut self) -> Option<Note<'a>> {
        let (header, after) = NoteHeader::read_from_prefix(self.rest).ok()?;
        let (owner, _) = after.split_at_checked(header.namesz.get() as usize)?;
        let head = size_of::<NoteHeader>();
        let start = head.checked_add(owner.len())?.checked_next_multiple_of(self.align)?;
        let end = start.checked_add(header.descsz.get() as usize)?;
        let bytes = self.rest.get(start..end)?;
        let next = end.checked_next_multiple_of(self.align)?;
        self.rest = self.rest.get(next..).unwrap_or_default();
        let owner = owner.split(|b| *b == 0).next().unwrap_or_default();
        Some(Note { owner, kind: header.kind.get(), bytes })
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Note<'a>;

    fn next(&mut self) -> Option<Note<'a>> {
        self.step()
    }
}
