//! A flattened file: pieces of another, each behind a record that says where it
//! belongs, so that it could be written through a pipe.

use super::read;
use crate::read::Source;
use dumpwright_format::machine::kdump::{FLATTENED_HEADER_SIZE, FlattenedRecord};
use std::io;
use std::sync::Arc;

/// Pieces that are kept track of. QEMU's have 16 KiB and more, so that these are
/// of some 250 GiB.
const MAX_PIECES: usize = 1 << 24;

/// A piece of the file that was flattened.
#[derive(Clone, Copy, Debug)]
struct Piece {
    start: u64,
    len: u64,
    /// Where it stands in the flattened one.
    at: u64,
}

impl Piece {
    fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }
}

/// The file that was flattened.
pub(super) struct Unflattened {
    source: Arc<dyn Source>,
    /// In order and apart.
    pieces: Vec<Piece>,
}

impl Unflattened {
    /// Finds all pieces. `Err` tells what is wrong.
    pub fn new(source: Arc<dyn Source>) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut at = FLATTENED_HEADER_SIZE;
        loop {
            let record: FlattenedRecord = read(&*source, at)?;
            let (start, len) = (record.offset.get(), record.size.get());
            at += size_of::<FlattenedRecord>() as u64;
            if start == -1 {
                break;
            }
            let piece = u64::try_from(start).ok().zip(u64::try_from(len).ok());
            let end = piece.and_then(|(_, len)| at.checked_add(len));
            let (Some((start, len)), Some(end)) = (piece, end.filter(|end| *end <= source.len()))
            else {
                return Err(format!(
                    "it is damaged or cut off in the piece at {at:#x}; take or copy it again"
                ));
            };
            if pieces.len() == MAX_PIECES {
                return Err(
                    "it is flattened and in too many pieces; put it together first (makedumpfile -R)".into(),
                );
            }
            if len > 0 {
                pieces.push(Piece { start, len, at });
            }
            at = end;
        }
        pieces.sort_by_key(|piece| piece.start);
        Ok(Unflattened { source, pieces: apart(pieces)? })
    }
}

/// Pieces without overlaps. What was written again counts as it was written
/// last: headers are, when all else is known.
fn apart(sorted: Vec<Piece>) -> Result<Vec<Piece>, String> {
    let mut out: Vec<Piece> = Vec::with_capacity(sorted.len());
    for mut piece in sorted {
        if let Some(last) = out.last_mut().filter(|last| last.end() > piece.start) {
            if piece.at < last.at {
                // The older one has what is behind the newer one's end.
                let ahead = last.end() - piece.start;
                if ahead >= piece.len {
                    continue;
                }
                piece.start += ahead;
                piece.at += ahead;
                piece.len -= ahead;
            } else if last.end() > piece.end() {
                return Err("it was changed in the middle of a piece, which cannot be read; put it together first (makedumpfile -R)".into());
            } else {
                last.len = piece.start - last.start;
                if last.len == 0 {
                    out.pop();
                }
            }
        }
        out.push(piece);
    }
    Ok(out)
}

impl Source for Unflattened {
    fn len(&self) -> u64 {
        self.pieces.last().map_or(0, Piece::end)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64).filter(|end| *end <= self.len());
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        // What was never written is zero, as in a file with holes.
        buf.fill(0);
        let first = self.pieces.partition_point(|piece| piece.end() <= offset);
        for piece in self.pieces[first..].iter().take_while(|piece| piece.start < end) {
            let (from, past) = (piece.start.max(offset), piece.end().min(end));
            let bytes = &mut buf[(from - offset) as usize..(past - offset) as usize];
            self.source.read_at(piece.at + (from - piece.start), bytes)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::IntoBytes;

    fn flattened(pieces: &[(i64, &[u8])]) -> Arc<dyn Source> {
        let mut file = vec![0; FLATTENED_HEADER_SIZE as usize];
        for (offset, bytes) in pieces.iter().chain([&(-1, &[][..])]) {
            let size = if *offset == -1 { -1 } else { bytes.len() as i64 };
            let record = FlattenedRecord { offset: (*offset).into(), size: size.into() };
            file.extend_from_slice(record.as_bytes());
            file.extend_from_slice(bytes);
        }
        Arc::new(file)
    }

    #[test]
    fn pieces_are_put_together_and_the_last_writing_counts() {
        let file = flattened(&[(0, b"head"), (8, b"tail"), (0, b"HE"), (12, b"more")]);
        assert!(Unflattened::new(file).is_err(), "a change within a piece");
        let file = flattened(&[(0, b"head"), (8, b"tail"), (0, b"HEAD"), (10, b"IL!!")]);
        let whole = Unflattened::new(file).unwrap();
        let mut bytes = [0xff; 14];
        whole.read_at(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"HEAD\0\0\0\0taIL!!");
        assert!(whole.read_at(1, &mut bytes).is_err());
    }

    #[test]
    fn a_file_that_ends_early_or_lies_is_refused() {
        let whole = flattened(&[(0, b"head"), (8, b"tail")]);
        let mut bytes = vec![0; whole.len() as usize];
        whole.read_at(0, &mut bytes).unwrap();
        for len in FLATTENED_HEADER_SIZE as usize..bytes.len() {
            assert!(Unflattened::new(Arc::new(bytes[..len].to_vec())).is_err(), "{len}");
        }
        for pieces in [(-5, &b"x"[..]), (i64::MAX, &b"x"[..])] {
            let file = flattened(&[pieces]);
            if let Ok(whole) = Unflattened::new(file) {
                assert!(whole.read_at(0, &mut [0; 8]).is_ok());
            }
        }
    }
}
