//! Physical memory that lies in pieces of a file.

use super::Extent;
use crate::read::Source;
use crate::soft_error::{HoleReason, SoftError};
use crate::target::machine::{PAGE_SIZE, PageHole, PageRun, Pfn, PhysicalMemory};
use std::fs::File;
use std::io;
use std::sync::Arc;

/// Pieces that an image may have. Real ones have some dozens; those of a guest
/// with paging, some ten thousand.
const MAX_PIECES: usize = 1 << 20;
/// Physical addresses end here (52 bits, x86-64 and 64-bit ARM).
const MAX_ADDRESS: u64 = 1 << 52;

/// Frames that lie back to back in the file.
#[derive(Clone, Copy, Debug)]
struct Piece {
    run: PageRun,
    source: usize,
    offset: u64,
}

/// Memory in pieces of one or several [`Source`]s.
pub struct ExtentMemory {
    sources: Vec<Arc<dyn Source>>,
    pieces: Vec<Piece>,
    runs: Vec<PageRun>,
}

impl std::fmt::Debug for ExtentMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExtentMemory").field("runs", &self.runs).finish_non_exhaustive()
    }
}

impl ExtentMemory {
    /// Sorts and checks what an image says. `Err` tells what is wrong with it.
    pub(in crate::target::machine) fn new(
        source: Arc<dyn Source>,
        extents: Vec<Extent>,
    ) -> Result<(Self, Vec<SoftError>), String> {
        Self::of_several(vec![(source, extents)])
    }

    /// The same for memory that lies in several files.
    pub(in crate::target::machine) fn of_several(
        parts: Vec<(Arc<dyn Source>, Vec<Extent>)>,
    ) -> Result<(Self, Vec<SoftError>), String> {
        let count: usize = parts.iter().map(|(_, extents)| extents.len()).sum();
        if count > MAX_PIECES {
            return Err(format!("it claims {count} ranges of memory; no machine has that"));
        }
        let mut soft_errors = Vec::new();
        let mut pieces = Vec::with_capacity(count);
        let mut sources = Vec::with_capacity(parts.len());
        for (source, extents) in parts {
            let size = source.len();
            for extent in extents {
                let whole = whole_pages(extent, size, &mut soft_errors)?;
                pieces.extend(whole.map(|(run, offset)| Piece {
                    run,
                    source: sources.len(),
                    offset,
                }));
            }
            sources.push(source);
        }
        pieces.sort_by_key(|piece| (piece.run.base, piece.run.count));
        let pieces = joined(pieces)?;
        let mut runs: Vec<PageRun> = Vec::new();
        for piece in &pieces {
            match runs.last_mut() {
                Some(last) if last.end() == piece.run.base => last.count += piece.run.count,
                _ => runs.push(piece.run),
            }
        }
        if runs.is_empty() {
            return Err("it holds no whole page of memory".into());
        }
        Ok((ExtentMemory { sources, pieces, runs }, soft_errors))
    }
}

#[cfg(test)]
impl ExtentMemory {
    /// Of extents that are right: start, length, offset.
    pub(crate) fn of_file(file: Arc<File>, extents: &[(u64, u64, u64)]) -> Self {
        let extents =
            extents.iter().map(|&(start, len, offset)| Extent { start, len, offset }).collect();
        Self::new(file, extents).unwrap().0
    }
}

/// The whole page frames of an extent.
fn whole_pages(
    extent: Extent,
    file_size: u64,
    soft_errors: &mut Vec<SoftError>,
) -> Result<Option<(PageRun, u64)>, String> {
    let Extent { start, len, offset } = extent;
    let end = start.checked_add(len).filter(|end| *end <= MAX_ADDRESS).ok_or_else(|| {
        format!("it claims memory at {start:#x}+{len:#x}, where no machine has any")
    })?;
    if offset.checked_add(len).is_none_or(|past| past > file_size) {
        return Err(format!(
            "it is cut off: memory {start:#x}-{end:#x} should be at offset {offset:#x}, and the file ends at {file_size:#x}; take or copy it again"
        ));
    }
    let first = start.next_multiple_of(PAGE_SIZE);
    let past = end - end % PAGE_SIZE;
    let lost = len - past.saturating_sub(first);
    if lost != 0 {
        soft_errors.push(SoftError::new(
            format!("memory {start:#x}-{end:#x}"),
            format!("{lost} bytes at its ends do not fill a page frame and were left out"),
        ));
    }
    let run =
        PageRun { base: Pfn(first / PAGE_SIZE), count: past.saturating_sub(first) / PAGE_SIZE };
    Ok((run.count != 0).then(|| (run, offset + (first - start))))
}

/// Pieces without overlaps. An image with virtual addresses (paging on) names
/// the same bytes once for each mapping; two places for one frame are a fault.
fn joined(sorted: Vec<Piece>) -> Result<Vec<Piece>, String> {
    let mut out: Vec<Piece> = Vec::with_capacity(sorted.len());
    for piece in sorted {
        let Some(last) = out.last_mut().filter(|last| piece.run.base <= last.run.end()) else {
            out.push(piece);
            continue;
        };
        let ahead = (piece.run.base.0 - last.run.base.0) * PAGE_SIZE;
        let goes_on = last.source == piece.source;
        if goes_on && last.offset.checked_add(ahead) == Some(piece.offset) {
            let end = piece.run.end().max(last.run.end());
            last.run.count = end.0 - last.run.base.0;
        } else if piece.run.base < last.run.end() {
            return Err(format!(
                "it has two different contents for physical memory at {}; the file is damaged",
                piece.run.base.gpa()
            ));
        } else {
            out.push(piece);
        }
    }
    Ok(out)
}

impl PhysicalMemory for ExtentMemory {
    fn runs(&self) -> &[PageRun] {
        &self.runs
    }

    fn in_file(&self, run: PageRun) -> Option<(&File, u64)> {
        let index = self.pieces.partition_point(|piece| piece.run.end() <= run.base);
        let piece = self.pieces.get(index)?;
        let ahead = run.base.0.checked_sub(piece.run.base.0)?;
        (run.end() <= piece.run.end()).then_some(())?;
        let file = self.sources[piece.source].as_file()?;
        Some((file, piece.offset + ahead * PAGE_SIZE))
    }

    fn contents(&self, run: PageRun) -> Vec<PageRun> {
        let mut found: Vec<PageRun> = Vec::new();
        let mut add = |base: u64, end: u64| match found.last_mut() {
            _ if base >= end => {}
            Some(last) if last.end().0 >= base => {
                last.count = last.count.max(end - last.base.0);
            }
            _ => found.push(PageRun { base: Pfn(base), count: end - base }),
        };
        let mut at = run.base.0;
        let first = self.pieces.partition_point(|piece| piece.run.end() <= run.base);
        for piece in self.pieces[first..].iter().take_while(|piece| piece.run.base < run.end()) {
            let base = piece.run.base.0.max(at);
            let end = piece.run.end().min(run.end()).0;
            // Frames that the source does not have are found missing by reading.
            add(at, base);
            let offset = piece.offset + (base - piece.run.base.0) * PAGE_SIZE;
            let len = (end - base) * PAGE_SIZE;
            for (from, to) in self.sources[piece.source].contents(offset, len) {
                let page = |at: u64| base + (at - offset) / PAGE_SIZE;
                add(page(from), page(to + PAGE_SIZE - 1));
            }
            at = end;
        }
        add(at, run.end().0);
        found
    }

    fn mapped(&self, run: PageRun) -> Option<&[u8]> {
        let index = self.pieces.partition_point(|piece| piece.run.end() <= run.base);
        let piece = self.pieces.get(index)?;
        let ahead = run.base.0.checked_sub(piece.run.base.0)?;
        if run.end() > piece.run.end() {
            return None;
        }
        let offset = piece.offset + ahead * PAGE_SIZE;
        self.sources[piece.source].in_memory(offset, run.count.checked_mul(PAGE_SIZE)?)
    }

    fn read_pages(&self, run: PageRun, buf: &mut [u8], holes: &mut Vec<PageHole>) {
        let end = run.end();
        let mut at = run.base;
        let mut next = self.pieces.partition_point(|piece| piece.run.end() <= at);
        while at < end {
            let piece = self.pieces.get(next).filter(|piece| piece.run.base < end);
            let found = piece.map_or(end, |piece| piece.run.base.max(at));
            if at < found {
                let gap = PageRun { base: at, count: found.0 - at.0 };
                bytes_of(run, gap, buf).fill(0);
                holes.push(PageHole { run: gap, reason: HoleReason::NotInSource });
                at = found;
            }
            let Some(piece) = piece else { continue };
            let part = PageRun { base: at, count: piece.run.end().min(end).0 - at.0 };
            let offset = piece.offset + (at.0 - piece.run.base.0) * PAGE_SIZE;
            read_part(&*self.sources[piece.source], part, offset, bytes_of(run, part, buf), holes);
            at = part.end();
            next += 1;
        }
    }
}

/// Reads frames that lie back to back; page by page where that fails, so that
/// only what cannot be read is a hole.
fn read_part(
    source: &dyn Source,
    part: PageRun,
    offset: u64,
    buf: &mut [u8],
    holes: &mut Vec<PageHole>,
) {
    let Err(error) = source.read_at(offset, buf) else { return };
    if part.count == 1 {
        buf.fill(0);
        holes.push(PageHole { run: part, reason: reason(&error) });
        return;
    }
    let half = part.count / 2;
    let (first, second) = buf.split_at_mut((half * PAGE_SIZE) as usize);
    let middle = Pfn(part.base.0 + half);
    read_part(source, PageRun { base: part.base, count: half }, offset, first, holes);
    let rest = PageRun { base: middle, count: part.count - half };
    read_part(source, rest, offset + half * PAGE_SIZE, second, holes);
}

fn reason(error: &io::Error) -> HoleReason {
    match error.raw_os_error() {
        Some(errno) => HoleReason::Errno(errno),
        None if error.kind() == io::ErrorKind::BrokenPipe => HoleReason::TargetEnded,
        None => HoleReason::PastEndOfFile,
    }
}

/// The bytes of `part` in the buffer of `whole`.
pub(in crate::target::machine) fn bytes_of(
    whole: PageRun,
    part: PageRun,
    buf: &mut [u8],
) -> &mut [u8] {
    let from = ((part.base.0 - whole.base.0) * PAGE_SIZE) as usize;
    &mut buf[from..][..(part.count * PAGE_SIZE) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(extents: &[(u64, u64, u64)], size: usize) -> Result<ExtentMemory, String> {
        let bytes: Vec<u8> = (0..size).map(|i| (i / 4096) as u8 + 1).collect();
        let extents =
            extents.iter().map(|&(start, len, offset)| Extent { start, len, offset }).collect();
        ExtentMemory::new(Arc::new(bytes), extents).map(|(memory, _)| memory)
    }

    #[test]
    fn frames_between_pieces_are_zero_and_listed() {
        let memory = memory(&[(0x1000, 0x1000, 0), (0x3000, 0x2000, 0x1000)], 0x3000).unwrap();
        let mut buf = vec![9; 6 * 4096];
        let mut holes = Vec::new();
        memory.read_pages(PageRun { base: Pfn(0), count: 6 }, &mut buf, &mut holes);
        let firsts: Vec<u8> = buf.chunks(4096).map(|page| page[0]).collect();
        assert_eq!(firsts, [0, 1, 0, 2, 3, 0]);
        let missing: Vec<u64> = holes.iter().map(|hole| hole.run.base.0).collect();
        assert_eq!(missing, [0, 2, 5]);
        assert_eq!(memory.runs().len(), 2);
    }

    #[test]
    fn a_file_that_shrank_gives_holes_and_not_a_signal() {
        let bytes = vec![7; 0x4000];
        let extents = vec![Extent { start: 0, len: 0x4000, offset: 0 }];
        let (mut memory, _) = ExtentMemory::new(Arc::new(bytes), extents).unwrap();
        memory.sources[0] = Arc::new(vec![7u8; 0x2800]);
        let mut buf = vec![9; 4 * 4096];
        let mut holes = Vec::new();
        memory.read_pages(PageRun { base: Pfn(0), count: 4 }, &mut buf, &mut holes);
        assert!(buf[..0x2000].iter().all(|b| *b == 7));
        assert!(buf[0x2000..].iter().all(|b| *b == 0));
        assert!(holes.iter().all(|h| h.reason == HoleReason::PastEndOfFile && h.run.base.0 >= 2));
    }

    #[test]
    fn one_frame_named_twice_is_one_run_and_two_contents_are_refused() {
        let same = memory(&[(0x1000, 0x2000, 0x1000), (0x2000, 0x1000, 0x2000)], 0x3000).unwrap();
        assert_eq!(same.runs(), [PageRun { base: Pfn(1), count: 2 }]);
        let reason = memory(&[(0x1000, 0x2000, 0), (0x2000, 0x1000, 0)], 0x3000).unwrap_err();
        assert!(reason.contains("two different contents"), "{reason}");
    }

    #[test]
    fn images_that_cannot_be_are_refused_by_name() {
        let cut = memory(&[(0, 0x3000, 0)], 0x2000).unwrap_err();
        assert!(cut.contains("cut off"), "{cut}");
        assert!(memory(&[(u64::MAX - 5, 0x3000, 0)], 0x3000).unwrap_err().contains("no machine"));
        assert!(memory(&[(0, u64::MAX, u64::MAX)], 0x3000).is_err());
        assert!(memory(&[(0x10, 0x20, 0)], 0x3000).unwrap_err().contains("no whole page"));
    }
}
