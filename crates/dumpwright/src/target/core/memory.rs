//! The memory of a core: what stands in the file, and what the programs and
//! libraries of this machine fill in.

use crate::address::{AddressRange, RangeSet};
use crate::read::Source;
use crate::soft_error::{Hole, HoleReason};
use crate::target::MemorySource;
use std::fs::File;
use std::io::ErrorKind;

/// Memory with its place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its addresses.
    pub range: AddressRange,
    /// Where its first byte is.
    pub offset: u64,
    /// In which file: an index into [`CoreMemory`]'s files; 0 is the core.
    pub file: usize,
}

/// The memory of a core.
#[derive(Debug)]
pub(super) struct CoreMemory {
    /// The core, and what fills it in.
    files: Vec<File>,
    /// In order, without overlaps.
    pieces: Vec<Piece>,
    /// Whose holes in the file were never populated and are zero.
    sparse: RangeSet,
    /// What is not stored, and zero all the same.
    zero: RangeSet,
    page_size: u64,
}

impl CoreMemory {
    /// The memory that `core` holds: `pieces` in order, without overlaps.
    pub fn new(core: File, pieces: impl IntoIterator<Item = Piece>, page_size: u64) -> Self {
        let mut joined: Vec<Piece> = Vec::new();
        for piece in pieces {
            match joined.last_mut() {
                Some(last) if goes_on(last, &piece) => last.range.end = piece.range.end,
                _ => joined.push(piece),
            }
        }
        CoreMemory {
            files: vec![core],
            pieces: joined,
            sparse: RangeSet::new(),
            zero: RangeSet::new(),
            page_size,
        }
    }

    /// Takes in a file that fills something; answers its index for
    /// [`fill`](Self::fill).
    pub fn add_file(&mut self, file: File) -> usize {
        self.files.push(file);
        self.files.len() - 1
    }

    /// Fills what is missing from `range` in from a file, from `offset` on.
    pub fn fill(&mut self, range: AddressRange, file: usize, offset: u64) {
        let missing = self.present(range).missing_from(range);
        self.pieces.extend(missing.into_iter().map(|part| Piece {
            range: part,
            offset: offset + (part.start - range.start),
            file,
        }));
        self.pieces.sort_by_key(|p| p.range.start);
    }

    /// What there is of `range`.
    pub fn present(&self, range: AddressRange) -> RangeSet {
        let stored = self.pieces_in(range).map(|p| p.range.intersection(range));
        stored.chain(self.zero.within(range)).collect()
    }

    /// Says what is zero without being stored.
    pub fn set_zero(&mut self, zero: RangeSet) {
        self.zero = zero;
    }

    /// Fills a gap between pieces with zeros; a hole where they are made up.
    fn read_gap(&self, gap: AddressRange, buf: &mut [u8], holes: &mut Vec<Hole>) {
        buf.fill(0);
        for range in self.zero.missing_from(gap) {
            Hole { range, reason: HoleReason::NotInSource }.add_to(holes);
        }
    }

    /// Says where zeros that the file does not store are pages that the process
    /// never used.
    pub fn set_sparse(&mut self, sparse: RangeSet) {
        self.sparse = sparse;
    }

    fn pieces_in(&self, range: AddressRange) -> impl Iterator<Item = &Piece> {
        let first = self.pieces.partition_point(|p| p.range.end <= range.start);
        self.pieces[first..].iter().take_while(move |p| p.range.start < range.end)
    }

    fn read_piece(&self, piece: &Piece, part: AddressRange, buf: &mut [u8]) -> Result<(), i32> {
        let offset = piece.offset + (part.start - piece.range.start);
        let file = &self.files[piece.file];
        match file.read_at(offset, buf) {
            Ok(()) => Ok(()),
            // What is mapped past the end of a file is zero up to the page's end.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof && piece.file > 0 => {
                buf.fill(0);
                let len = Source::len(file).saturating_sub(offset).min(buf.len() as u64) as usize;
                file.read_at(offset, &mut buf[..len]).map_err(|e| errno(&e))
            }
            Err(error) => Err(errno(&error)),
        }
    }

    fn read_range(&self, range: AddressRange, buf: &mut [u8], holes: &mut Vec<Hole>) {
        let mut at = range.start;
        let place = |part: AddressRange| {
            (part.start - range.start) as usize..(part.end - range.start) as usize
        };
        for piece in self.pieces_in(range) {
            let part = piece.range.intersection(range);
            let gap = AddressRange::new(at, part.start);
            self.read_gap(gap, &mut buf[place(gap)], holes);
            let bytes = &mut buf[place(part)];
            if let Err(errno) = self.read_piece(piece, part, bytes) {
                bytes.fill(0);
                Hole { range: part, reason: HoleReason::Errno(errno) }.add_to(holes);
            }
            at = part.end;
        }
        let gap = AddressRange::new(at, range.end);
        self.read_gap(gap, &mut buf[place(gap)], holes);
    }

    /// The parts of a piece for which the core stores bytes.
    fn stored(&self, piece: &Piece, part: AddressRange) -> Vec<AddressRange> {
        let file = &self.files[piece.file];
        let base = piece.offset.wrapping_sub(piece.range.start);
        let (mut at, end) = (part.start.wrapping_add(base), part.end.wrapping_add(base));
        let mut stored = Vec::new();
        while at < end {
            let Some((start, stop)) = data_at(file, at) else { break };
            let data = AddressRange::new(
                start.max(at).min(end).wrapping_sub(base),
                stop.min(end).wrapping_sub(base),
            );
            if data.is_empty() {
                break;
            }
            stored.push(data.align_outward(self.page_size).intersection(part));
            at = stop;
        }
        stored
    }
}

/// The next stretch at or behind `offset` for which a file stores bytes; where
/// the file system cannot tell, all of the file.
fn data_at(file: &File, offset: u64) -> Option<(u64, u64)> {
    use rustix::fs::SeekFrom;
    use rustix::io::Errno;
    let all = (offset, u64::MAX);
    match rustix::fs::seek(file, SeekFrom::Data(offset)) {
        Ok(start) => match rustix::fs::seek(file, SeekFrom::Hole(start)) {
            Ok(stop) if stop > start => Some((start, stop)),
            _ => Some(all),
        },
        Err(Errno::NXIO) => None,
        Err(_) => Some(all),
    }
}

fn goes_on(last: &Piece, next: &Piece) -> bool {
    last.file == next.file
        && last.range.end == next.range.start
        && last.offset.checked_add(last.range.len()) == Some(next.offset)
}

fn errno(error: &std::io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

impl MemorySource for CoreMemory {
    fn read(&self, ranges: &[AddressRange], buf: &mut [u8], holes: &mut Vec<Hole>) {
        let mut rest = buf;
        for range in ranges {
            let (part, behind) = rest.split_at_mut(range.len() as usize);
            self.read_range(*range, part, holes);
            rest = behind;
        }
    }

    fn populated(&self, range: AddressRange) -> Vec<AddressRange> {
        let mut parts = Vec::new();
        for piece in self.pieces_in(range) {
            let part = piece.range.intersection(range);
            parts.extend(self.sparse.missing_from(part));
            for sparse in self.sparse.within(part) {
                parts.extend(self.stored(piece, sparse));
            }
        }
        parts.into_iter().collect::<RangeSet>().ranges().iter().collect()
    }
}
