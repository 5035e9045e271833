//! The memory that a dump holds.

use crate::address::{AddressRange, RangeSet};
use crate::read::{MemoryMap, MemoryRange, Minidump, ReadError, ReadResult, Thread};
use crate::soft_error::{Hole, HoleReason};
use crate::target::MemorySource;
use std::sync::Arc;

/// Reads the bytes of a file from an offset on.
type ReadFile = dyn Fn(u64, &mut [u8]) -> ReadResult<()> + Send + Sync;

/// Memory that stands in a file.
pub(in crate::target) struct DumpMemory {
    read: Box<ReadFile>,
    map: MemoryMap,
    held: RangeSet,
}

impl DumpMemory {
    /// The memory lists of a dump, and the stacks that threads alone describe.
    pub(super) fn new(dump: Arc<Minidump>, threads: &[Thread]) -> ReadResult<DumpMemory> {
        let mut ranges = dump.memory_ranges()?;
        ranges.extend(threads.iter().map(|thread| MemoryRange {
            start: thread.stack_start,
            size: if thread.stack.rva == 0 { 0 } else { thread.stack.size },
            file_offset: thread.stack.rva,
        }));
        let length = dump.len();
        let read = move |offset, buf: &mut [u8]| dump.read_file(offset, buf);
        Ok(Self::of(ranges, length, Box::new(read)))
    }

    /// Ranges of a file of `length` bytes.
    pub(in crate::target) fn of(
        ranges: Vec<MemoryRange>,
        length: u64,
        read: Box<ReadFile>,
    ) -> DumpMemory {
        let map = MemoryMap::new(ranges, length);
        let held = map.ranges().iter().map(|r| AddressRange::new(r.start, r.end())).collect();
        DumpMemory { read, map, held }
    }

    /// The addresses whose contents the dump has.
    pub(in crate::target) fn held(&self) -> &RangeSet {
        &self.held
    }

    /// Fills `buf` from `at` on with what the dump has in one piece; `None`, and
    /// how many bytes are not there, where it has nothing.
    fn piece(&self, at: u64, buf: &mut [u8]) -> Result<usize, (usize, HoleReason)> {
        let next = self.map.ranges().partition_point(|range| range.end() <= at);
        let Some(range) = self.map.ranges().get(next) else {
            return Err((buf.len(), HoleReason::NotInSource));
        };
        let Some(skip) = at.checked_sub(range.start) else {
            let gap = (range.start - at).min(buf.len() as u64) as usize;
            return Err((gap, HoleReason::NotInSource));
        };
        let take = (range.size - skip).min(buf.len() as u64) as usize;
        match (self.read)(range.file_offset + skip, &mut buf[..take]) {
            Ok(()) => Ok(take),
            Err(error) => Err((take, reason(&error))),
        }
    }
}

fn reason(error: &ReadError) -> HoleReason {
    match error {
        ReadError::Io { source, .. } => {
            source.raw_os_error().map_or(HoleReason::NotInSource, HoleReason::Errno)
        }
        _ => HoleReason::NotInSource,
    }
}

impl MemorySource for DumpMemory {
    fn read(&self, ranges: &[AddressRange], buf: &mut [u8], holes: &mut Vec<Hole>) {
        let mut rest = buf;
        for range in ranges {
            let (mut piece, after) = rest.split_at_mut(range.len() as usize);
            let mut at = range.start;
            while !piece.is_empty() {
                let done = match self.piece(at, piece) {
                    Ok(done) => done,
                    Err((missing, reason)) => {
                        piece[..missing].fill(0);
                        let range = AddressRange::with_len(at, missing as u64);
                        Hole { range, reason }.add_to(holes);
                        missing
                    }
                };
                piece = &mut piece[done..];
                at += done as u64;
            }
            rest = after;
        }
    }

    fn populated(&self, range: AddressRange) -> Vec<AddressRange> {
        self.held.within(range).collect()
    }
}
