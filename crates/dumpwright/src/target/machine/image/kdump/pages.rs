//! The pages of a kdump file.

use crate::read::Source;
use crate::soft_error::HoleReason;
use crate::target::machine::{PAGE_SIZE, PageHole, PageRun, Pfn, PhysicalMemory};
use dumpwright_format::machine::kdump::{
    KDUMP_LZO, KDUMP_SNAPPY, KDUMP_ZLIB, KDUMP_ZSTD, PageDescriptor,
};
use flate2::{Decompress, FlushDecompress, Status};
use ruzstd::decoding::FrameDecoder;
use std::sync::Arc;
use zerocopy::FromBytes;

const PAGE: usize = PAGE_SIZE as usize;
/// Descriptors that are read at once.
const BATCH: u64 = 1024;
/// The window of a Zstandard frame that is believed: a page's is not larger than
/// the page.
const MAX_WINDOW: u64 = 1 << 20;

/// Memory in a kdump file.
pub struct KdumpMemory {
    source: Arc<dyn Source>,
    /// Frames that are there, in order and apart.
    runs: Vec<PageRun>,
    /// Frames in a page of the file: ARM has pages of up to 64 KiB.
    frames: u64,
    /// For each run, how many pages are there before it.
    before: Vec<u64>,
    /// File offset of the descriptor of the first page.
    descriptors: u64,
}

impl std::fmt::Debug for KdumpMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KdumpMemory").field("runs", &self.runs).finish_non_exhaustive()
    }
}

impl KdumpMemory {
    /// Pages that are there, in order and apart, how many frames each has, and
    /// where their descriptors begin.
    pub(super) fn new(
        source: Arc<dyn Source>,
        pages: Vec<PageRun>,
        frames: u64,
        descriptors: u64,
    ) -> Self {
        let mut count = 0;
        let mut before = Vec::with_capacity(pages.len());
        for run in &pages {
            before.push(count);
            count += run.count;
        }
        let mut runs = pages;
        for run in &mut runs {
            *run = PageRun { base: Pfn(run.base.0 * frames), count: run.count * frames };
        }
        KdumpMemory { source, runs, frames, before, descriptors }
    }

    /// Descriptors of pages from the one on that holds a frame, as many as hold
    /// `count` frames and the run allows; empty for a frame that is not there.
    fn descriptors(&self, from: Pfn, count: u64) -> Vec<PageDescriptor> {
        const SIZE: usize = size_of::<PageDescriptor>();
        let index = self.runs.partition_point(|run| run.end() <= from);
        let Some(run) = self.runs.get(index).filter(|run| run.contains(from)) else {
            return Vec::new();
        };
        let first = (from.0 - run.base.0) / self.frames;
        let past =
            (run.end().0.min(from.0.saturating_add(count)) - run.base.0).div_ceil(self.frames);
        let rank = self.before[index] + first;
        let count = (past - first).min(BATCH);
        let mut bytes = vec![0; count as usize * SIZE];
        let at = rank.checked_mul(SIZE as u64).and_then(|at| at.checked_add(self.descriptors));
        let read = at.is_some_and(|at| self.source.read_at(at, &mut bytes).is_ok());
        let found =
            bytes.chunks_exact(SIZE).filter_map(|d| PageDescriptor::read_from_bytes(d).ok());
        if read { found.collect() } else { Vec::new() }
    }
}

impl PhysicalMemory for KdumpMemory {
    fn runs(&self) -> &[PageRun] {
        &self.runs
    }

    fn read_pages(&self, run: PageRun, buf: &mut [u8], holes: &mut Vec<PageHole>) {
        let mut unpacker = Unpacker::new(self.frames as usize * PAGE);
        let mut frames = buf.chunks_exact_mut(PAGE);
        let mut at = run.base;
        while at < run.end() {
            let found = self.descriptors(at, run.end().0 - at.0);
            // One by one where there are none: how far a gap goes is seldom asked.
            if found.is_empty() {
                let Some(frame) = frames.next() else { return };
                frame.fill(0);
                add_hole(holes, at);
                at = Pfn(at.0 + 1);
            }
            for descriptor in &found {
                let page = unpacker.unpack(&*self.source, descriptor);
                let skipped = at.0 % self.frames;
                for index in skipped..self.frames.min(skipped + (run.end().0 - at.0)) {
                    let Some(frame) = frames.next() else { return };
                    let place = index as usize * PAGE;
                    if let Some(page) = page {
                        frame.copy_from_slice(&page[place..place + PAGE]);
                    } else {
                        frame.fill(0);
                        add_hole(holes, at);
                    }
                    at = Pfn(at.0 + 1);
                }
            }
        }
    }
}

fn add_hole(holes: &mut Vec<PageHole>, at: Pfn) {
    match holes.last_mut() {
        Some(last) if last.run.end() == at && last.reason == HoleReason::NotInSource => {
            last.run.count += 1;
        }
        _ => holes.push(PageHole {
            run: PageRun { base: at, count: 1 },
            reason: HoleReason::NotInSource,
        }),
    }
}

/// Takes pages out of what they are packed in.
struct Unpacker {
    zlib: Decompress,
    zstd: FrameDecoder,
    packed: Vec<u8>,
    page: Vec<u8>,
    /// Which page that is. Pages that are alike are stored once, as those of zeros
    /// are, and come one after another.
    unpacked: Option<(u64, u32, u32)>,
}

impl Unpacker {
    /// For pages of a size.
    fn new(size: usize) -> Self {
        let mut zstd = FrameDecoder::new();
        zstd.set_max_window_size(MAX_WINDOW);
        let (packed, page) = (Vec::new(), vec![0; size]);
        Unpacker { zlib: Decompress::new(true), zstd, packed, page, unpacked: None }
    }

    /// A page; `None` if it is damaged.
    fn unpack(&mut self, source: &dyn Source, descriptor: &PageDescriptor) -> Option<&[u8]> {
        let (offset, size) = (descriptor.offset.get(), descriptor.size.get());
        let which = Some((offset, size, descriptor.flags.get()));
        if self.unpacked != which {
            self.unpacked = None;
            let whole = self.page.len();
            let len = self.read(source, offset, size as usize, descriptor.flags.get())?;
            self.unpacked = which.filter(|_| len == whole);
        }
        self.unpacked.map(|_| &*self.page)
    }

    /// Reads a page; the bytes that it has.
    fn read(&mut self, source: &dyn Source, offset: u64, size: usize, flags: u32) -> Option<usize> {
        let whole = self.page.len();
        if flags == 0 {
            let read = size == whole && source.read_at(offset, &mut self.page).is_ok();
            return read.then_some(whole);
        }
        // A page that does not compress is stored as it is.
        if size > 2 * whole {
            return None;
        }
        self.packed.resize(size, 0);
        source.read_at(offset, &mut self.packed).ok()?;
        match flags {
            KDUMP_ZLIB => {
                self.zlib.reset(true);
                let done =
                    self.zlib.decompress(&self.packed, &mut self.page, FlushDecompress::Finish);
                matches!(done, Ok(Status::StreamEnd)).then(|| self.zlib.total_out() as usize)
            }
            KDUMP_LZO => lzokay::decompress::decompress(&self.packed, &mut self.page).ok(),
            KDUMP_SNAPPY => snap::raw::Decoder::new().decompress(&self.packed, &mut self.page).ok(),
            KDUMP_ZSTD => self.zstd.decode_all(&self.packed, &mut self.page).ok(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dumpwright_format::machine::kdump::KDUMP_SNAPPY;
    use std::io::Write;
    use zerocopy::IntoBytes;

    /// A file of pages of `frames` frames: descriptors from offset 0 on, and the
    /// pages, of which each frame is filled with its number.
    fn file(pages: &[PageRun], frames: u64) -> Vec<u8> {
        let numbers: Vec<u64> =
            pages.iter().flat_map(|run| run.base.0..run.base.0 + run.count).collect();
        let (mut descriptors, mut contents) = (Vec::new(), Vec::new());
        let start = (numbers.len() * size_of::<PageDescriptor>()) as u64;
        for (index, number) in numbers.iter().enumerate() {
            let page: Vec<u8> =
                (0..frames).flat_map(|frame| [(number * frames + frame) as u8; PAGE]).collect();
            let (flags, packed) = match index % 3 {
                0 => (0, page),
                1 => {
                    let mut zlib =
                        flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
                    zlib.write_all(&page).unwrap();
                    (KDUMP_ZLIB, zlib.finish().unwrap())
                }
                _ => (KDUMP_SNAPPY, snap::raw::Encoder::new().compress_vec(&page).unwrap()),
            };
            let descriptor = PageDescriptor {
                offset: (start + contents.len() as u64).into(),
                size: (packed.len() as u32).into(),
                flags: flags.into(),
                page_flags: 0.into(),
            };
            descriptors.extend_from_slice(descriptor.as_bytes());
            contents.extend(packed);
        }
        descriptors.extend(contents);
        descriptors
    }

    #[test]
    fn pages_of_any_size_are_read_frame_by_frame() {
        let run = |base, count| PageRun { base: Pfn(base), count };
        let pages = vec![run(1, 3), run(5, 2)];
        for frames in [1, 4, 16] {
            let source = file(&pages, frames);
            let memory = KdumpMemory::new(Arc::new(source), pages.clone(), frames, 0);
            assert_eq!(memory.runs()[1], run(5 * frames, 2 * frames));
            let there = |frame: u64| pages.iter().any(|run| run.contains(Pfn(frame / frames)));
            for from in 0..8 * frames {
                for count in [1, 2, 5, 17, 40] {
                    let mut bytes = vec![0xee; count as usize * PAGE];
                    let mut holes = Vec::new();
                    memory.read_pages(run(from, count), &mut bytes, &mut holes);
                    for (frame, bytes) in (from..).zip(bytes.chunks(PAGE)) {
                        let expected = if there(frame) { frame as u8 } else { 0 };
                        assert!(bytes.iter().all(|b| *b == expected), "{frame} of {frames}");
                        let hole = holes.iter().any(|hole| hole.run.contains(Pfn(frame)));
                        assert_eq!(hole, !there(frame), "{frame} of {frames}");
                    }
                }
            }
        }
    }

    #[test]
    fn damaged_pages_are_holes_and_nothing_else() {
        let run = PageRun { base: Pfn(0), count: 6 };
        let whole = file(&[run], 1);
        for flags in [KDUMP_ZLIB, KDUMP_LZO, KDUMP_SNAPPY, KDUMP_ZSTD, 0x40, 3] {
            let mut bytes = whole.clone();
            for descriptor in 0..6 {
                bytes[descriptor * 24 + 12..][..4].copy_from_slice(&flags.to_le_bytes());
            }
            // Noise that never is a page.
            bytes[6 * 24..].iter_mut().for_each(|b| *b = b.wrapping_mul(167) ^ 0x5b);
            let memory = KdumpMemory::new(Arc::new(bytes), vec![run], 1, 0);
            let mut page = vec![0xee; 6 * PAGE];
            let mut holes = Vec::new();
            memory.read_pages(run, &mut page, &mut holes);
            assert_eq!(holes.iter().map(|h| h.run.count).sum::<u64>(), 6, "{flags:#x}");
            assert!(page.iter().all(|byte| *byte == 0));
        }
    }
}
