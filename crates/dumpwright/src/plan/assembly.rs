//! The parts of a dump before they have places: streams, and the blobs that
//! they point to, with each pointer noted as a fixup.
//!
//! Works like an object file: a plan emits sections whose pointers are still
//! zero, [`layout`](crate::layout) gives each section its offset and then
//! resolves the fixups.

use crate::address::AddressRange;
use crate::target::StreamBytes;
use dumpwright_format::minidump::StreamType;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use zerocopy::{Immutable, IntoBytes};

/// Names a blob of an [`Assembly`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlobId(usize);

impl BlobId {
    /// Position in [`Assembly::blobs`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// A pointer inside a section, to be written once everything has its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixup {
    /// Offset of the field in the section.
    pub at: usize,
    /// What the field must say.
    pub kind: FixupKind,
}

/// What a fixed-up field says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FixupKind {
    /// A `u32`: the RVA of a blob.
    Rva(BlobId),
    /// A `u64`: the RVA of a blob.
    Rva64(BlobId),
    /// A `MINIDUMP_LOCATION_DESCRIPTOR`: size and RVA of a blob.
    Location(BlobId),
    /// A `MINIDUMP_LOCATION_DESCRIPTOR`: size and RVA of target memory that is
    /// in the dump. Zero and zero where its RVA does not fit in 32 bits or it
    /// is not there whole: readers then look the address up in the memory list.
    Memory(AddressRange),
}

/// Bytes that stay together in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// Shared with the snapshot where nothing had to be changed.
    bytes: Arc<Vec<u8>>,
    /// Text that stands instead of `bytes`: the mappings of a large process.
    packed: Option<StreamBytes>,
    fixups: Vec<Fixup>,
    text: Vec<Range<usize>>,
}

impl Section {
    /// An empty section.
    pub fn new() -> Self {
        Self::default()
    }

    /// A section of these bytes.
    pub fn from_bytes(bytes: impl Into<Arc<Vec<u8>>>) -> Self {
        Section { bytes: bytes.into(), ..Self::default() }
    }

    /// A section of bytes that are text, or may be.
    pub fn from_text(bytes: impl Into<Arc<Vec<u8>>>) -> Self {
        let mut section = Self::from_bytes(bytes);
        let whole = 0..section.bytes.len();
        section.mark_text(whole);
        section
    }

    /// A section of a stream's text.
    pub fn from_stream(text: StreamBytes) -> Self {
        match text {
            StreamBytes::Plain(bytes) => Self::from_text(bytes),
            packed @ StreamBytes::Packed(_) => Section { packed: Some(packed), ..Self::default() },
        }
    }

    /// The text that it is, where that is packed.
    pub fn packed(&self) -> Option<&StreamBytes> {
        self.packed.as_ref()
    }

    pub(crate) fn packed_mut(&mut self) -> Option<&mut StreamBytes> {
        self.packed.as_mut()
    }

    /// All that it is, pointers still zero.
    pub fn to_stream(&self) -> StreamBytes {
        self.packed.clone().unwrap_or_else(|| StreamBytes::Plain(Arc::clone(&self.bytes)))
    }

    /// Bytes of it in the file.
    pub fn size(&self) -> u64 {
        self.packed.as_ref().map_or(self.bytes.len() as u64, StreamBytes::len)
    }

    /// Appends bytes that are text, or may be, and returns their offset.
    pub fn put_text(&mut self, text: &[u8]) -> usize {
        let at = self.bytes.len();
        Arc::make_mut(&mut self.bytes).extend_from_slice(text);
        self.mark_text(at..self.bytes.len());
        at
    }

    /// Marks bytes as text: a redaction may overwrite what it finds in them.
    pub fn mark_text(&mut self, range: Range<usize>) {
        self.text.push(range);
    }

    /// The places of the text in it.
    pub fn text(&self) -> &[Range<usize>] {
        &self.text
    }

    /// The bytes of a place of text.
    pub(crate) fn text_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        Arc::make_mut(&mut self.bytes).get_mut(range).unwrap_or_default()
    }

    /// Appends a wire structure and returns its offset.
    pub fn put<T: IntoBytes + Immutable + ?Sized>(&mut self, value: &T) -> usize {
        let at = self.bytes.len();
        Arc::make_mut(&mut self.bytes).extend_from_slice(value.as_bytes());
        at
    }

    /// Notes a pointer at offset `at`.
    pub fn fix(&mut self, at: usize, kind: FixupKind) {
        self.fixups.push(Fixup { at, kind });
    }

    /// The bytes, pointers still zero; none of text that is [packed](Self::packed).
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The pointers.
    pub fn fixups(&self) -> &[Fixup] {
        &self.fixups
    }
}

/// All streams and blobs of a dump, without its memory.
#[derive(Clone, Debug, Default)]
pub struct Assembly {
    streams: Vec<(StreamType, Section)>,
    blobs: Vec<Section>,
    strings: HashMap<String, BlobId>,
}

impl Assembly {
    /// Adds a stream; they appear in the directory in this order.
    pub fn stream(&mut self, stream_type: StreamType, section: Section) {
        self.streams.push((stream_type, section));
    }

    /// Adds a blob.
    pub fn blob(&mut self, section: Section) -> BlobId {
        self.blobs.push(section);
        BlobId(self.blobs.len() - 1)
    }

    /// Adds a `MINIDUMP_STRING`: byte length, UTF-16, NUL. The same text is
    /// stored once.
    pub fn string(&mut self, text: &str) -> BlobId {
        if let Some(id) = self.strings.get(text) {
            return *id;
        }
        let units = utf16(text);
        let mut section = Section::new();
        section.put(&(units.len() as u32).to_le_bytes());
        section.put_text(units.as_slice());
        section.put(&[0u8; 2]);
        let id = self.blob(section);
        self.strings.insert(text.to_owned(), id);
        id
    }

    /// The streams, in the order of the directory.
    pub fn streams(&self) -> &[(StreamType, Section)] {
        &self.streams
    }

    /// Every section, with the type of the stream that it is.
    pub(crate) fn sections_mut(
        &mut self,
    ) -> impl Iterator<Item = (Option<StreamType>, &mut Section)> {
        let streams = self.streams.iter_mut().map(|(kind, section)| (Some(*kind), section));
        streams.chain(self.blobs.iter_mut().map(|blob| (None, blob)))
    }

    /// The blobs, by [`BlobId`].
    pub fn blobs(&self) -> &[Section] {
        &self.blobs
    }
}

/// The bytes of `text` in little-endian UTF-16, without a NUL.
pub fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_has_its_length_in_bytes_and_a_nul() {
        let mut assembly = Assembly::default();
        let id = assembly.string("aé");
        assert_eq!(assembly.blobs()[id.index()].bytes(), [4, 0, 0, 0, b'a', 0, 0xE9, 0, 0, 0]);
        assert_eq!(assembly.string("aé"), id);
        assert_eq!(assembly.blobs().len(), 1);
    }
}
