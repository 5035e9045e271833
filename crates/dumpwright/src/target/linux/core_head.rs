//! The head of the core that the kernel hands to a crash handler: ELF header,
//! program headers and the notes, which come first and are small, so that the
//! registers of all threads are known long before the memory is written.
//!
//! The bytes come from the kernel, but nothing here relies on it: sizes are
//! capped, and what does not make sense is refused.

#![forbid(unsafe_code)]

use crate::target::core::notes::Notes;
use dumpwright_format::elf_core::{
    EM_AARCH64, EM_X86_64, ET_CORE, FileHeader, PT_NOTE, ProgramHeader,
};
use std::io::{self, Read};
use zerocopy::FromBytes;

/// Class and byte order behind the magic number: 64 bits, little-endian.
const IDENT: [u8; 6] = [0x7F, b'E', b'L', b'F', 2, 1];
/// The same of a 32-bit core.
const IDENT_32: [u8; 5] = [0x7F, b'E', b'L', b'F', 1];
/// `e_machine` of the processor this is compiled for.
const NATIVE_MACHINE: u16 = if cfg!(target_arch = "aarch64") { EM_AARCH64 } else { EM_X86_64 };
/// The most that program headers may take: one for each of some million mappings.
const MAX_BEFORE_NOTES: u64 = 1 << 30;
/// The most that notes may take: some 12 KiB a thread with all of AMX.
const MAX_NOTES: u64 = 1 << 30;

/// What the head of a core says of a crash: its notes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreHead {
    notes: Vec<u8>,
    align: u64,
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
        upto(size_of::<FileHeader>() as u64, taken)?;
        let first = first_program_header(&taken[start..])?;
        upto(first + size_of::<ProgramHeader>() as u64, taken)?;
        let segment = notes_segment(&taken[start + first as usize..])?;
        let (offset, size) = (segment.offset.get(), segment.filesz.get());
        upto(offset + size, taken)?;
        let notes = taken[start + offset as usize..].iter().take(size as usize);
        let head = CoreHead { notes: notes.copied().collect(), align: segment.align.get() };
        if head.notes().threads.is_empty() {
            return Err(malformed("it has the registers of no thread"));
        }
        Ok(head)
    }

    /// What the notes say.
    pub(super) fn notes(&self) -> Notes<'_> {
        let mut notes = Notes::default();
        notes.take(&self.notes, self.align);
        notes
    }
}

/// Checks the ELF header; answers where the program headers are.
fn first_program_header(bytes: &[u8]) -> io::Result<u64> {
    let (header, _) = FileHeader::read_from_prefix(bytes).map_err(|_| unfinished())?;
    if !header.ident.starts_with(&IDENT) {
        let is_32 = header.ident.starts_with(&IDENT_32);
        return Err(malformed(if is_32 { "it is one of a 32-bit program" } else { "no ELF file" }));
    }
    if header.kind.get() != ET_CORE {
        return Err(malformed("it is an ELF file of another type"));
    }
    if header.machine.get() != NATIVE_MACHINE {
        return Err(malformed("it is one of another processor"));
    }
    let first = header.phoff.get();
    if first < size_of::<FileHeader>() as u64 || first > MAX_BEFORE_NOTES {
        return Err(malformed("its program headers are nowhere"));
    }
    Ok(first)
}

/// Where the notes are, which the first program header says.
fn notes_segment(bytes: &[u8]) -> io::Result<ProgramHeader> {
    let (segment, _) = ProgramHeader::read_from_prefix(bytes).map_err(|_| unfinished())?;
    if segment.kind.get() != PT_NOTE {
        return Err(malformed("its notes do not come first"));
    }
    if segment.offset.get() > MAX_BEFORE_NOTES || segment.filesz.get() > MAX_NOTES {
        return Err(malformed("its notes are larger than any"));
    }
    Ok(segment)
}

fn unfinished() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the core ends before its notes do")
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not a core of this machine: {what}"))
}

#[cfg(test)]
mod tests;
