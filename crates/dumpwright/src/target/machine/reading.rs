//! Reading a machine: its physical memory, and the virtual memory of its kernel,
//! be it behind page tables or in the pieces of a small dump.

use super::{
    AddressSpace, Gpa, Gva, MachineSnapshot, PAGE_SIZE, PageRun, PhysicalMemory, ProcessorSnapshot,
};
use std::ops::{ControlFlow, Range};

/// Page tables that are read to find out what a range has.
const TABLES: usize = 1 << 16;

impl MachineSnapshot {
    /// The address space that the machine is seen through.
    pub fn address_space<'m>(&self, memory: &'m dyn PhysicalMemory) -> AddressSpace<'m> {
        AddressSpace::new(memory, self.architecture, self.directory_table_base)
    }
}

/// Fills `buf` from a virtual address as far as memory is there without a gap,
/// and answers how far that is. Nothing is promised of the rest of `buf`.
pub fn read_virtual(
    snapshot: &MachineSnapshot,
    memory: &dyn PhysicalMemory,
    start: Gva,
    buf: &mut [u8],
) -> usize {
    let space = snapshot.address_space(memory);
    let mut done = 0;
    while done < buf.len() {
        let Some(at) = start.0.checked_add(done as u64) else { break };
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
        let at = |of: fn(&ProcessorSnapshot) -> Gva| processor.map_or(0, |p| of(p).0);
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

/// The parts of a range of virtual memory that are there, in order.
pub fn virtual_parts(
    snapshot: &MachineSnapshot,
    memory: &dyn PhysicalMemory,
    range: Range<u64>,
) -> Vec<Range<u64>> {
    let cut =
        |start: u64, len: u64| start.max(range.start)..start.saturating_add(len).min(range.end);
    let mut parts: Vec<Range<u64>> = pieces(snapshot)
        .map(|(start, bytes)| cut(start, bytes.len() as u64))
        .filter(|part| !part.is_empty())
        .collect();
    let space = snapshot.address_space(memory);
    space.for_each_page(range.clone(), TABLES, &mut |at, page| {
        let part = cut(at.0, page.page_size);
        match parts.last_mut() {
            Some(last) if last.end == part.start => last.end = part.end,
            _ => parts.push(part),
        }
        ControlFlow::Continue(())
    });
    parts.sort_by_key(|part| part.start);
    parts
}

/// Fills `buf` from a physical address as far as frames are there, and answers
/// how far that is. Nothing is promised of the rest of `buf`.
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
    done
}
