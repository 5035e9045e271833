//! Reading the virtual memory of a target: of a process, or of a machine's
//! kernel.

#![forbid(unsafe_code)]

use crate::target::Held;
use dumpwright::address::AddressRange;
use dumpwright::target::machine::{Gva, read_virtual, virtual_parts};
use dumpwright::target::{Access, MemorySource, ProcessSnapshot, Region};

/// Bytes that are read at a time.
pub const CHUNK: usize = 1 << 20;

/// Fills `buf` from `offset` as far as memory can be read without a gap, and
/// answers how far that is. The rest of `buf` is zero.
pub fn read_prefix(held: Held<'_>, offset: u64, buf: &mut [u8]) -> usize {
    let done = match held {
        Held::Process(snapshot, memory) => read_process(snapshot, memory, offset, buf),
        Held::Machine(snapshot, memory) => read_virtual(snapshot, memory, Gva(offset), buf),
    };
    buf[done..].fill(0);
    done
}

/// The region of a process that an address is in.
pub fn region_at(snapshot: &ProcessSnapshot, address: u64) -> Option<Region> {
    snapshot.regions.at(address)
}

/// The bytes from `offset` on that may be read: those of regions without a gap.
/// Devices are never touched. What a dump holds says the dump itself.
fn may_read(snapshot: &ProcessSnapshot, offset: u64, length: u64) -> u64 {
    let wanted_end = offset.saturating_add(length);
    let mut end = offset;
    while end < wanted_end
        && let Some(region) = region_at(snapshot, end)
        && region.access != Access::Forbidden
    {
        end = region.range.end;
    }
    end.min(wanted_end) - offset
}

fn read_process(
    snapshot: &ProcessSnapshot,
    memory: &dyn MemorySource,
    offset: u64,
    buf: &mut [u8],
) -> usize {
    let length = if snapshot.original.is_some() {
        (buf.len() as u64).min(u64::MAX - offset)
    } else {
        may_read(snapshot, offset, buf.len() as u64)
    };
    let mut done = 0;
    for chunk in buf[..length as usize].chunks_mut(CHUNK) {
        let start = offset + done as u64;
        let range = AddressRange::with_len(start, chunk.len() as u64);
        let mut holes = Vec::new();
        memory.read(&[range], chunk, &mut holes);
        if let Some(first) = holes.iter().map(|h| h.range.start.max(start)).min() {
            return done + (first - start) as usize;
        }
        done += chunk.len();
    }
    done
}

/// The parts of a range that have memory, in order: regions of a process, pages
/// of a machine's kernel.
pub fn present(held: Held<'_>, range: AddressRange) -> Vec<AddressRange> {
    let (snapshot, memory) = match held {
        Held::Process(snapshot, _) => {
            let regions = snapshot.regions.within(range);
            let regions = regions.filter(|r| r.access != Access::Forbidden);
            return regions.map(|r| r.range.intersection(range)).collect();
        }
        Held::Machine(snapshot, memory) => (snapshot, memory),
    };
    let parts = virtual_parts(snapshot, memory, range.start..range.end);
    parts.into_iter().map(|part| AddressRange::new(part.start, part.end)).collect()
}
