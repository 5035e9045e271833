//! Writes notes: each with its owner, padded to 4 bytes.

use dumpwright_format::elf_core::NoteHeader;
use zerocopy::IntoBytes;

/// Alignment of a note's parts.
const ALIGN: usize = 4;

/// Notes, one behind the other.
#[derive(Clone, Debug, Default)]
pub(super) struct NoteWriter {
    /// Their bytes.
    pub bytes: Vec<u8>,
}

impl NoteWriter {
    /// Adds a note.
    pub fn put(&mut self, owner: &[u8], kind: u32, description: &[u8]) {
        self.bytes.extend(head(owner, kind, description.len()));
        self.bytes.extend_from_slice(description);
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
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
