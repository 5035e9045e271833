//! The bytes of a stream, packed where there are many.
//!
//! The text of the mappings of a process with hundreds of thousands of them is
//! more than everything else that a dumper needs, and packs to less than a tenth.

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::sync::Arc;

/// Bytes that are packed at once; what is shorter is not packed.
const PIECE: usize = 1 << 20;

/// Bytes of a stream, cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamBytes {
    /// As they are.
    Plain(Arc<Vec<u8>>),
    /// Text in many lines, packed.
    Packed(Arc<PackedText>),
}

/// Text in packed pieces, each of whole lines.
#[derive(Debug, PartialEq, Eq)]
pub struct PackedText {
    len: u64,
    /// Length and packed form of each piece.
    pieces: Vec<(usize, Box<[u8]>)>,
}

impl Default for StreamBytes {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl From<Vec<u8>> for StreamBytes {
    fn from(bytes: Vec<u8>) -> Self {
        StreamBytes::Plain(Arc::new(bytes))
    }
}

impl StreamBytes {
    /// How many.
    pub fn len(&self) -> u64 {
        match self {
            StreamBytes::Plain(bytes) => bytes.len() as u64,
            StreamBytes::Packed(text) => text.len,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Piece after piece; text that is packed comes in whole lines.
    pub fn pieces(&self) -> impl Iterator<Item = Cow<'_, [u8]>> {
        let (plain, packed) = match self {
            StreamBytes::Plain(bytes) => (Some(Cow::Borrowed(bytes.as_slice())), None),
            StreamBytes::Packed(text) => (None, Some(&text.pieces)),
        };
        let packed = packed.into_iter().flatten();
        plain.into_iter().chain(packed.map(|(len, piece)| Cow::Owned(unpack(*len, piece))))
    }

    /// All of them at once.
    pub fn to_bytes(&self) -> Cow<'_, [u8]> {
        match self {
            StreamBytes::Plain(bytes) => Cow::Borrowed(bytes),
            StreamBytes::Packed(_) => {
                Cow::Owned(self.pieces().fold(Vec::new(), |mut all, piece| {
                    all.extend_from_slice(&piece);
                    all
                }))
            }
        }
    }

    /// Writes them.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        self.pieces().try_for_each(|piece| out.write_all(&piece))
    }
}

/// What was packed here unpacks; should it not, the length stays what it was.
fn unpack(len: usize, piece: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len);
    if let Err(error) = DeflateDecoder::new(piece).take(len as u64).read_to_end(&mut bytes) {
        tracing::error!(%error, "packed text is damaged");
    }
    bytes.resize(len, 0);
    bytes
}

/// Packs text that comes line by line.
#[derive(Default)]
pub(crate) struct TextPacker {
    len: u64,
    pieces: Vec<(usize, Box<[u8]>)>,
    last: Vec<u8>,
}

impl TextPacker {
    /// Appends whole lines.
    pub(crate) fn push(&mut self, lines: &[u8]) {
        if !self.last.is_empty() && self.last.len() + lines.len() > PIECE {
            self.pack();
        }
        self.last.extend_from_slice(lines);
    }

    fn pack(&mut self) {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        // Writing to memory does not fail.
        let packed = encoder.write_all(&self.last).and_then(|()| encoder.finish());
        let packed = packed.unwrap_or_default().into_boxed_slice();
        self.len += self.last.len() as u64;
        self.pieces.push((self.last.len(), packed));
        self.last.clear();
    }

    /// What was pushed.
    pub(crate) fn finish(mut self) -> StreamBytes {
        if self.pieces.is_empty() {
            self.last.shrink_to_fit();
            return self.last.into();
        }
        self.pack();
        self.pieces.shrink_to_fit();
        StreamBytes::Packed(Arc::new(PackedText { len: self.len, pieces: self.pieces }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(lines: usize) -> (StreamBytes, Vec<u8>) {
        let mut packer = TextPacker::default();
        let mut plain = Vec::new();
        for line in (0..lines).map(|n| format!("{n:x}-{n:x} rw-p /a/long/path/{n}\n")) {
            packer.push(line.as_bytes());
            plain.extend_from_slice(line.as_bytes());
        }
        (packer.finish(), plain)
    }

    #[test]
    fn many_lines_are_packed_and_come_back_in_pieces_of_whole_lines() {
        let (text, plain) = packed(100_000);
        let StreamBytes::Packed(inner) = &text else { panic!("not packed") };
        let held: usize = inner.pieces.iter().map(|(_, piece)| piece.len()).sum();
        assert!(held < plain.len() / 2, "{held} bytes");
        assert_eq!(text.len(), plain.len() as u64);
        assert!(text.to_bytes() == plain);
        assert!(text.pieces().all(|piece| piece.ends_with(b"\n")));
        let mut written = Vec::new();
        text.write_to(&mut written).unwrap();
        assert!(written == plain);
    }

    #[test]
    fn little_text_stays_as_it_is() {
        let (text, plain) = packed(10);
        assert_eq!(text, StreamBytes::from(plain));
        assert!(packed(0).0.is_empty());
    }
}
