//! Writes notes: each with its owner, padded to 4 bytes.

use dumpwright_format::elf_core::NoteHeader;
use std::sync::Arc;
use zerocopy::IntoBytes;

/// Alignment of a note's parts.
const ALIGN: usize = 4;

/// Notes, one behind the other.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// Their bytes, those of large streams shared with the streams.
    pieces: Vec<Arc<Vec<u8>>>,
    len: u64,
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

    /// The bytes, in pieces.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().map(|piece| piece.as_slice())
    }

    /// Adds a note.
    pub(super) fn put(&mut self, owner: &[u8], kind: u32, description: &[u8]) {
        self.append(&head(owner, kind, description.len()));
        self.append(description);
        self.pad();
    }

    /// Adds a note whose description is a number and bytes that others hold too.
    pub(super) fn put_shared(&mut self, owner: &[u8], kind: u32, number: u32, rest: Arc<Vec<u8>>) {
        self.append(&head(owner, kind, size_of::<u32>() + rest.len()));
        self.append(&number.to_le_bytes());
        self.len += rest.len() as u64;
        self.pieces.push(rest);
        self.pieces.push(Arc::default());
        self.pad();
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.pieces.is_empty() {
            self.pieces.push(Arc::default());
        }
        // The last one is never shared.
        if let Some(last) = self.pieces.last_mut() {
            Arc::make_mut(last).extend_from_slice(bytes);
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
