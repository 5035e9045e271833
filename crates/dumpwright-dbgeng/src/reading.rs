//! Reading the memory of a target: virtual memory of a process or of a
//! machine's kernel, physical memory of a machine.

#![forbid(unsafe_code)]

use crate::target::Held;
use dumpwright::address::AddressRange;
use dumpwright::target::machine::{
    AddressSpace, Gpa, Gva, MachineSnapshot, PAGE_SIZE, PageRun, PhysicalMemory,
};
use dumpwright::target::{Access, MemorySource, ProcessSnapshot, Region};
use std::ops::ControlFlow;

/// Bytes that are read at a time.
pub const CHUNK: usize = 1 << 20;
/// Page tables that are read to find out what a range of a machine has.
const TABLES: usize = 1 << 16;

/// Fills `buf` from `offset` as far as memory can be read without a gap, and
/// answers how far that is. The rest of `buf` is zero.
pub fn read_prefix(held: Held<'_>, offset: u64, buf: &mut [u8]) -> usize {
    let done = match held {
        Held::Process(snapshot, memory) => read_process(snapshot, memory, offset, buf),
        Held::Machine(snapshot, memory) => read_kernel(snapshot, memory, offset, buf),
    };
    buf[done..].fill(0);
    done
}

/// The region of a process that an address is in.
pub fn region_at(snapshot: &ProcessSnapshot, address: u64) -> Option<&Region> {
    let index = snapshot.regions.partition_point(|r| r.range.end <= address);
    snapshot.regions.get(index).filter(|r| r.range.contains(address))
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

/// The address space that a machine is seen through.
pub fn address_space<'m>(
    snapshot: &MachineSnapshot,
    memory: &'m dyn PhysicalMemory,
) -> AddressSpace<'m> {
    AddressSpace::new(memory, snapshot.architecture, snapshot.directory_table_base)
}

fn read_kernel(
    snapshot: &MachineSnapshot,
    memory: &dyn PhysicalMemory,
    offset: u64,
    buf: &mut [u8],
) -> usize {
    let space = address_space(snapshot, memory);
    let mut done = 0;
    while done < buf.len() {
        let Some(at) = offset.checked_add(done as u64) else { break };
        let rest = &mut buf[done..];
        if let Some(bytes) = piece_at(snapshot, at) {
            let length = bytes.len().min(rest.len());
            rest[..length].copy_from_slice(&bytes[..length]);
            done += length;
            continue;
        }
        let length = (PAGE_SIZE - at % PAGE_SIZE).min(rest.len() as u64) as usize;
        if !space.read(Gva(at), &mut rest[..length]) {
            break;
        }
        done += length;
    }
    done
}

/// What a small dump holds in place of memory, from an address on.
fn piece_at(snapshot: &MachineSnapshot, address: u64) -> Option<&[u8]> {
    pieces(snapshot).find_map(|(start, bytes)| {
        let inside = usize::try_from(address.checked_sub(start)?).ok()?;
        bytes.get(inside..).filter(|rest| !rest.is_empty())
    })
}

/// The pieces of virtual memory of a small dump.
fn pieces(snapshot: &MachineSnapshot) -> impl Iterator<Item = (u64, &[u8])> {
    let small = snapshot.small_dump.as_deref();
    let processor = snapshot.processors.get(snapshot.current_processor);
    let blocks = small.into_iter().flat_map(|s| s.blocks.iter().map(|(at, b)| (at.0, &b[..])));
    let structures = small.into_iter().flat_map(move |s| {
        let at = |of: fn(&dumpwright::target::machine::ProcessorSnapshot) -> Gva| {
            processor.map_or(0, |p| of(p).0)
        };
        [
            (s.stack_start.0, &s.stack[..]),
            (at(|p| p.prcb), &s.prcb[..]),
            (at(|p| p.current_process), &s.process[..]),
            (at(|p| p.current_thread), &s.thread[..]),
            (snapshot.debugger_data.0, &s.debugger_data[..]),
        ]
    });
    blocks.chain(structures).filter(|(start, _)| *start != 0)
}

/// The parts of a range that have memory, in order: regions of a process, pages
/// of a machine's kernel.
pub fn present(held: Held<'_>, range: AddressRange) -> Vec<AddressRange> {
    let (snapshot, memory) = match held {
        Held::Process(snapshot, _) => {
            let regions = snapshot.regions.iter().filter(|r| r.access != Access::Forbidden);
            let parts = regions.map(|r| r.range.intersection(range));
            return parts.filter(|r| !r.is_empty()).collect();
        }
        Held::Machine(snapshot, memory) => (snapshot, memory),
    };
    let mut parts: Vec<AddressRange> = pieces(snapshot)
        .map(|(start, bytes)| AddressRange::with_len(start, bytes.len() as u64).intersection(range))
        .filter(|r| !r.is_empty())
        .collect();
    address_space(snapshot, memory).for_each_page(
        range.start..range.end,
        TABLES,
        &mut |at, page| {
            let part = AddressRange::new(at.0, at.0.saturating_add(page.page_size));
            let part = part.intersection(range);
            match parts.last_mut() {
                Some(last) if last.end == part.start => last.end = part.end,
                _ => parts.push(part),
            }
            ControlFlow::Continue(())
        },
    );
    parts.sort_by_key(|part| part.start);
    parts
}

/// Fills `buf` from a physical address as far as frames are there, and answers
/// how far that is. The rest of `buf` is zero.
pub fn read_physical(memory: &dyn PhysicalMemory, at: Gpa, buf: &mut [u8]) -> usize {
    let mut page = [0; PAGE_SIZE as usize];
    let mut done = 0;
    while done < buf.len() {
        let Some(here) = at.0.checked_add(done as u64).map(Gpa) else { break };
        let mut holes = Vec::new();
        memory.read_pages(PageRun { base: here.pfn(), count: 1 }, &mut page, &mut holes);
        if !holes.is_empty() {
            break;
        }
        let offset = here.offset() as usize;
        let length = (buf.len() - done).min(page.len() - offset);
        buf[done..done + length].copy_from_slice(&page[offset..offset + length]);
        done += length;
    }
    buf[done..].fill(0);
    done
}
