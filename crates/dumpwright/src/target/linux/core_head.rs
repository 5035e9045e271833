//! The head of the core that the kernel hands to a crash handler: ELF header,
//! program headers and the notes, which come first and are small, so that the
//! registers of all threads are known long before the memory is written.
//!
//! The notes are those of fs/binfmt_elf.c: a `NT_PRSTATUS` opens each thread,
//! the crashed one first, and the notes of that thread follow it.
//!
//! The bytes come from the kernel, but nothing here relies on it: sizes are
//! capped, and what does not make sense is refused.

#![forbid(unsafe_code)]

use super::sys::SIGINFO_SIZE;
use object::elf;
use std::io::{self, Read};

/// Bytes of an ELF header and of a program header, 64-bit (`elf.h`).
const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
/// The most that program headers may take; the kernel allows 65,535 and more
/// by `PN_XNUM`, each for a mapping.
const MAX_BEFORE_NOTES: u64 = 1 << 30;
/// The most that notes may take: some 12 KiB a thread with all of AMX.
const MAX_NOTES: u64 = 1 << 30;

/// `struct elf_prstatus` (linux/elfcore.h, 64-bit): where the current signal,
/// the thread id and the general registers stand.
const PRSTATUS_CURSIG: usize = 12;
const PRSTATUS_PID: usize = 32;
const PRSTATUS_REGISTERS: usize = 112;
/// `pr_fpvalid` and its padding, behind the registers.
const PRSTATUS_TAIL: usize = 8;
/// `NT_SIGINFO`: "SIGI".
const NT_SIGINFO: elf::NoteType = elf::NoteType(0x5349_4749);

/// What the head of a core says of a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoreHead {
    /// The threads, the crashed one first.
    pub(super) threads: Vec<NoteThread>,
    /// The `siginfo_t` of the crash.
    pub(super) siginfo: Option<[u8; SIGINFO_SIZE]>,
}

/// The registers of one thread, as the kernel writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NoteThread {
    /// Its id, as the process itself counts.
    pub(super) tid: u32,
    /// The signal that ends the process.
    pub(super) signal: i32,
    /// `user_regs_struct`, `user_pt_regs`.
    pub(super) general: Vec<u8>,
    /// `NT_PRFPREG`: FXSAVE area, `user_fpsimd_state`.
    pub(super) float: Vec<u8>,
    /// `NT_X86_XSTATE`: XSAVE area in standard form; empty where there is none.
    pub(super) xstate: Vec<u8>,
    /// `NT_ARM_TLS`; empty on x86-64, whose general registers have it.
    pub(super) thread_pointer: Vec<u8>,
}

impl CoreHead {
    /// Reads from `stream` up to the end of the notes, and no further. All that
    /// was taken from the stream is appended to `taken`, whatever comes of it:
    /// the core is `taken` and then the rest of the stream.
    ///
    /// # Errors
    /// The stream ends or fails before, or is no 64-bit core of this machine.
    pub fn read(stream: &mut dyn Read, taken: &mut Vec<u8>) -> io::Result<CoreHead> {
        let start = taken.len();
        let mut upto = |end: u64, taken: &mut Vec<u8>| {
            let missing = end.saturating_sub((taken.len() - start) as u64);
            let read = (&mut *stream).take(missing).read_to_end(taken)?;
            if (read as u64) < missing { Err(unfinished()) } else { Ok(()) }
        };
        upto(HEADER as u64, taken)?;
        let first = first_program_header(&taken[start..])?;
        upto(first.saturating_add(PROGRAM_HEADER as u64), taken)?;
        let (offset, size) = notes_at(&taken[start + first as usize..])?;
        upto(offset.saturating_add(size), taken)?;
        Self::parse(&taken[start + offset as usize..])
    }

    /// The general registers of the crashed thread are there.
    fn parse(notes: &[u8]) -> io::Result<CoreHead> {
        let mut head = CoreHead::default();
        for note in Notes(notes) {
            if note.kind == elf::NT_PRSTATUS {
                head.threads.push(NoteThread::parse(note.bytes)?);
                continue;
            }
            if note.kind == NT_SIGINFO {
                head.siginfo = note.bytes.first_chunk().copied();
                continue;
            }
            let Some(thread) = head.threads.last_mut() else { continue };
            match note.kind {
                elf::NT_PRFPREG => thread.float = note.bytes.to_vec(),
                elf::NT_X86_XSTATE => thread.xstate = note.bytes.to_vec(),
                elf::NT_ARM_TLS => thread.thread_pointer = note.bytes.to_vec(),
                _ => {}
            }
        }
        if head.threads.is_empty() {
            return Err(malformed("it has the registers of no thread"));
        }
        Ok(head)
    }
}

impl NoteThread {
    fn parse(status: &[u8]) -> io::Result<Self> {
        let end = status.len().saturating_sub(PRSTATUS_TAIL);
        let general = status.get(PRSTATUS_REGISTERS..end);
        let general = general.ok_or_else(|| malformed("a thread's status is too short"))?;
        Ok(NoteThread {
            tid: half(status, PRSTATUS_PID),
            signal: i32::from(half(status, PRSTATUS_CURSIG) as i16),
            general: general.to_vec(),
            ..NoteThread::default()
        })
    }
}

/// Checks the ELF header; answers where the program headers are.
fn first_program_header(header: &[u8]) -> io::Result<u64> {
    const IDENT: [u8; 6] = [0x7F, b'E', b'L', b'F', elf::ELFCLASS64.0, elf::ELFDATA2LSB.0];
    if !header.starts_with(&IDENT) {
        let is_32 = header.starts_with(&[0x7F, b'E', b'L', b'F', elf::ELFCLASS32.0]);
        return Err(malformed(if is_32 { "it is one of a 32-bit program" } else { "no ELF file" }));
    }
    let (kind, machine) = (half(header, 16) as u16, half(header, 18) as u16);
    if kind != elf::ET_CORE.0 {
        return Err(malformed("an ELF file of another type"));
    }
    if machine != super::elf::NATIVE_MACHINE.0 {
        return Err(malformed("it is one of another processor"));
    }
    let first = word(header, 32);
    if first < HEADER as u64 || first > MAX_BEFORE_NOTES {
        return Err(malformed("its program headers are nowhere"));
    }
    Ok(first)
}

/// Offset and size of the notes, which the first program header describes.
fn notes_at(header: &[u8]) -> io::Result<(u64, u64)> {
    if half(header, 0) != elf::PT_NOTE.0 {
        return Err(malformed("its notes do not come first"));
    }
    let (offset, size) = (word(header, 8), word(header, 32));
    if offset > MAX_BEFORE_NOTES || size > MAX_NOTES {
        return Err(malformed("its notes are larger than any"));
    }
    Ok((offset, size))
}

/// A note.
struct Note<'a> {
    kind: elf::NoteType,
    bytes: &'a [u8],
}

/// The notes one after another, up to the first that does not fit.
struct Notes<'a>(&'a [u8]);

impl<'a> Iterator for Notes<'a> {
    type Item = Note<'a>;

    fn next(&mut self) -> Option<Note<'a>> {
        const NOTE_HEADER: usize = 12;
        let header = self.0.get(..NOTE_HEADER)?;
        let padded = |size: u32| (size as usize).checked_next_multiple_of(4);
        let name = NOTE_HEADER.checked_add(padded(half(header, 0))?)?;
        let size = half(header, 4);
        let bytes = self.0.get(name..)?.get(..size as usize)?;
        self.0 = self.0.get(name + padded(size)?..).unwrap_or_default();
        Some(Note { kind: elf::NoteType(half(header, 8)), bytes })
    }
}

fn half(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |half| u32::from_le_bytes(*half))
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}

fn unfinished() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the core ends before its notes do")
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not a core of this machine: {what}"))
}

#[cfg(test)]
mod tests;
