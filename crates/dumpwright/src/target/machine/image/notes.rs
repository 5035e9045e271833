//! Notes of an ELF core.

use object::LittleEndian as LE;
use object::elf::{NoteHeader64, NoteType};
use object::pod;
use object::read::elf::NoteHeader;

/// A note.
#[derive(Debug)]
pub(super) struct Note {
    /// Name, without the NUL.
    pub name: Vec<u8>,
    /// Type; what it means depends on the name.
    pub kind: NoteType,
    /// Contents.
    pub contents: Vec<u8>,
}

/// The notes of a segment, up to the first that does not fit into it. Headers of
/// both ELF classes are alike.
pub(super) fn split(mut bytes: &[u8]) -> Vec<Note> {
    let mut notes = Vec::new();
    while let Some((note, rest)) = first(bytes) {
        notes.push(note);
        bytes = rest;
    }
    notes
}

fn first(bytes: &[u8]) -> Option<(Note, &[u8])> {
    let (header, rest) = pod::from_bytes::<NoteHeader64<LE>>(bytes).ok()?;
    let (name, rest) = field(rest, header.n_namesz.get(LE))?;
    let (contents, rest) = field(rest, header.n_descsz.get(LE))?;
    let name = name.strip_suffix(&[0]).unwrap_or(name).to_vec();
    Some((Note { name, kind: header.n_type(LE), contents: contents.to_vec() }, rest))
}

/// A field and what follows it, which is aligned to four bytes.
fn field(bytes: &[u8], size: u32) -> Option<(&[u8], &[u8])> {
    let size = size as usize;
    let field = bytes.get(..size)?;
    let padded = size.checked_next_multiple_of(4)?;
    Some((field, bytes.get(padded..).unwrap_or_default()))
}
