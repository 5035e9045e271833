//! Writes notes: each with its owner, padded to 4 bytes.

use super::files::FileNote;
use crate::address::AddressRange;
use crate::packed::Packed;
use dumpwright_format::elf_core::{NT_FILE, NoteHeader, OWNER_CORE};
use std::io::{self, Write};
use zerocopy::IntoBytes;

/// Alignment of a note's parts.
const ALIGN: usize = 4;

/// Notes, one behind the other.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    pieces: Vec<Piece>,
    len: u64,
}

#[derive(Clone, Debug)]
enum Piece {
    Bytes(Vec<u8>),
    Files(Box<FileNote>),
    Ranges(Packed<AddressRange>),
}

impl Notes {
    /// Bytes of all of them.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes them.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Bytes(bytes) => out.write_all(bytes),
            Piece::Files(files) => files.write(out),
            Piece::Ranges(ranges) => ranges.iter().try_for_each(|range| {
                out.write_all(&range.start.to_le_bytes())?;
                out.write_all(&range.end.to_le_bytes())
            }),
        })
    }

    /// Adds a note.
    pub(super) fn put(&mut self, owner: &[u8], kind: u32, description: &[u8]) {
        self.append(&head(owner, kind, description.len()));
        self.append(description);
        self.pad();
    }

    /// Adds the note of the mapped files.
    pub(super) fn put_files(&mut self, files: FileNote) {
        let size = files.size();
        self.append(&head(OWNER_CORE, NT_FILE, size as usize));
        self.len += size;
        self.pieces.push(Piece::Files(Box::new(files)));
        self.pad();
    }

    /// Adds a note of starts and ends of ranges.
    pub(super) fn put_ranges(&mut self, owner: &[u8], kind: u32, ranges: Packed<AddressRange>) {
        let size = ranges.len() * size_of::<[u64; 2]>();
        self.append(&head(owner, kind, size));
        self.len += size as u64;
        self.pieces.push(Piece::Ranges(ranges));
        self.pad();
    }

    fn append(&mut self, bytes: &[u8]) {
        match self.pieces.last_mut() {
            Some(Piece::Bytes(last)) => last.extend_from_slice(bytes),
            _ => self.pieces.push(Piece::Bytes(bytes.to_vec())),
        }
        self.len += bytes.len() as u64;
    }

    fn pad(&mut self) {
        let padding = self.len.next_multiple_of(ALIGN as u64) - self.len;
        self.append(&[0; ALIGN][..padding as usize]);
    }
}

/// What stands before the description of a note with `len` bytes.
pub(crate) fn head(owner: &[u8], kind: u32, len: usize) -> Vec<u8> {
    let header = NoteHeader {
        namesz: (owner.len() as u32 + 1).into(),
        descsz: (len as u32).into(),
        kind: kind.into(),
    };
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(owner);
    // The NUL that the name ends with, and padding.
    bytes.resize((bytes.len() + 1).next_multiple_of(ALIGN), 0);
    bytes
}
