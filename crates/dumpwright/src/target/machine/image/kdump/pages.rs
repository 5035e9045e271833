//! The pages of a kdump file.

use crate::read::Source;
use crate::soft_error::HoleReason;
use crate::target::machine::{PAGE_SIZE, PageHole, PageRun, Pfn, PhysicalMemory};
use dumpwright_format::machine::kdump::{KDUMP_SNAPPY, KDUMP_ZLIB, PageDescriptor};
use flate2::{Decompress, FlushDecompress, Status};
use std::sync::Arc;
use zerocopy::FromBytes;

const PAGE: usize = PAGE_SIZE as usize;
/// Descriptors that are read at once.
const BATCH: u64 = 1024;
/// Bytes that a compressed page may have: a page that does not compress is
/// stored as it is.
const MAX_COMPRESSED: usize = 2 * PAGE;

/// Memory in a kdump file.
pub struct KdumpMemory {
    source: Arc<dyn Source>,
    /// Frames that are there, in order and apart.
    runs: Vec<PageRun>,
    /// For each run, how many frames are there before it.
    before: Vec<u64>,
    /// File offset of the descriptor of the first frame.
    descriptors: u64,
}

impl std::fmt::Debug for KdumpMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KdumpMemory").field("runs", &self.runs).finish_non_exhaustive()
    }
}

impl KdumpMemory {
    /// Frames that are there, in order and apart, and where their descriptors
    /// begin.
    pub(super) fn new(source: Arc<dyn Source>, runs: Vec<PageRun>, descriptors: u64) -> Self {
        let mut count = 0;
        let mut before = Vec::with_capacity(runs.len());
        for run in &runs {
            before.push(count);
            count += run.count;
        }
        KdumpMemory { source, runs, before, descriptors }
    }

    /// Descriptors of frames from one on, as many as `count` and the run allow;
    /// empty for a frame that is not there.
    fn descriptors(&self, from: Pfn, count: u64) -> Vec<PageDescriptor> {
        const SIZE: usize = size_of::<PageDescriptor>();
        let index = self.runs.partition_point(|run| run.end() <= from);
        let Some(run) = self.runs.get(index).filter(|run| run.contains(from)) else {
            return Vec::new();
        };
        let rank = self.before[index] + (from.0 - run.base.0);
        let count = count.min(run.end().0 - from.0).min(BATCH);
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
        let mut zlib = Decompress::new(true);
        let mut packed = Vec::with_capacity(PAGE);
        let mut pages = buf.chunks_exact_mut(PAGE);
        let mut at = run.base;
        while at < run.end() {
            let found = self.descriptors(at, run.end().0 - at.0);
            // One by one where there are none: how far a gap goes is seldom asked.
            for index in 0..found.len().max(1) {
                let Some(page) = pages.next() else { return };
                let descriptor = found.get(index);
                let whole = descriptor
                    .is_some_and(|d| unpack(&*self.source, d, &mut zlib, &mut packed, page));
                if !whole {
                    page.fill(0);
                    add_hole(holes, at);
                }
                at = Pfn(at.0 + 1);
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

/// Reads a page; `false` if it is damaged.
fn unpack(
    source: &dyn Source,
    descriptor: &PageDescriptor,
    zlib: &mut Decompress,
    packed: &mut Vec<u8>,
    page: &mut [u8],
) -> bool {
    let (offset, size) = (descriptor.offset.get(), descriptor.size.get() as usize);
    match descriptor.flags.get() & (KDUMP_ZLIB | KDUMP_SNAPPY) {
        0 => size == PAGE && descriptor.flags.get() == 0 && source.read_at(offset, page).is_ok(),
        _ if size > MAX_COMPRESSED => false,
        kind => {
            packed.resize(size, 0);
            if source.read_at(offset, packed).is_err() {
                return false;
            }
            if kind == KDUMP_ZLIB {
                zlib.reset(true);
                let done = zlib.decompress(packed, page, FlushDecompress::Finish);
                matches!(done, Ok(Status::StreamEnd)) && zlib.total_out() == PAGE_SIZE
            } else {
                snap::raw::Decoder::new().decompress(packed, page).is_ok_and(|len| len == PAGE)
            }
        }
    }
}
