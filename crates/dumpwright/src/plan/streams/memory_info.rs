//! MemoryInfoList: the whole address space, free ranges too.
//!
//! A region that is in the dump in parts has an entry for each part, so that
//! every range of memory in the dump starts where an entry does: that is how
//! readers of full dumps (udmp-parser) join the two.

use crate::address::AddressRange;
use crate::packed::{self, Packed};
use crate::target::{Backing, PageState, ProcessSnapshot, Protection, Region};
use dumpwright_format::minidump::{
    MEM_COMMIT, MEM_FREE, MEM_IMAGE, MEM_MAPPED, MEM_PRIVATE, MEM_RESERVE, MemoryInfo,
    MemoryInfoList, PageProtection,
};
use std::io::{self, Write};
use std::iter::Peekable;
use std::mem::size_of;
use zerocopy::IntoBytes;

/// Entries that are encoded at once.
const CHUNK: usize = 1024;

/// The entries of a list, which are made when they are written: a process with
/// many mappings has tens of MiB of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryInfoPlan {
    count: u64,
}

impl MemoryInfoPlan {
    /// The list for a dump that holds `memory`: ranges in order, without overlaps.
    pub(crate) fn new(snapshot: &ProcessSnapshot, memory: &Packed<AddressRange>) -> Self {
        let mut count = 0;
        each(snapshot, memory, &mut |_| {
            count += 1;
            Ok(())
        })
        .unwrap_or_default();
        MemoryInfoPlan { count }
    }

    /// Bytes of the stream.
    pub fn size(self) -> u64 {
        (size_of::<MemoryInfoList>() as u64) + self.count * size_of::<MemoryInfo>() as u64
    }

    /// Writes the stream, for the snapshot and the memory that it was made for.
    pub(crate) fn write(
        self,
        snapshot: &ProcessSnapshot,
        memory: &Packed<AddressRange>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let header = MemoryInfoList {
            size_of_header: (size_of::<MemoryInfoList>() as u32).into(),
            size_of_entry: (size_of::<MemoryInfo>() as u32).into(),
            number_of_entries: self.count.into(),
        };
        out.write_all(header.as_bytes())?;
        let mut chunk = Vec::with_capacity(CHUNK);
        each(snapshot, memory, &mut |entry| {
            chunk.push(entry);
            if chunk.len() == CHUNK {
                out.write_all(chunk.as_bytes())?;
                chunk.clear();
            }
            Ok(())
        })?;
        out.write_all(chunk.as_bytes())
    }
}

/// What takes the entries.
type Take<'a> = dyn FnMut(MemoryInfo) -> io::Result<()> + 'a;

/// Makes the entries, one by one.
fn each(
    snapshot: &ProcessSnapshot,
    memory: &Packed<AddressRange>,
    take: &mut Take<'_>,
) -> io::Result<()> {
    let stored = snapshot.original.iter().flat_map(|original| &original.memory_info);
    let mut any = false;
    let mut cutter = Cutter::new(memory);
    for entry in stored {
        let mut range = AddressRange::with_len(entry.base_address.get(), entry.region_size.get());
        while !range.is_empty() {
            let part = cutter.cut(&mut range);
            any = true;
            take(MemoryInfo {
                base_address: part.start.into(),
                region_size: part.len().into(),
                ..*entry
            })?;
        }
    }
    if any { Ok(()) } else { described(snapshot, memory, take) }
}

/// The entries that the regions make.
fn described(
    snapshot: &ProcessSnapshot,
    memory: &Packed<AddressRange>,
    take: &mut Take<'_>,
) -> io::Result<()> {
    let mut at = 0;
    let mut cutter = Cutter::new(memory);
    for region in &snapshot.regions {
        if region.range.start > at {
            take(free(AddressRange::new(at, region.range.start)))?;
        }
        let mut rest = region.range;
        while !rest.is_empty() {
            take(mapped(&region, cutter.cut(&mut rest)))?;
        }
        at = region.range.end;
    }
    if at < snapshot.address_space_end {
        take(free(AddressRange::new(at, snapshot.address_space_end)))?;
    }
    Ok(())
}

/// Cuts ranges, which come in order, where memory in the dump starts and ends.
struct Cutter<'a> {
    memory: Peekable<packed::Iter<'a, AddressRange>>,
}

impl<'a> Cutter<'a> {
    fn new(memory: &'a Packed<AddressRange>) -> Self {
        Cutter { memory: memory.iter().peekable() }
    }

    /// Takes the next part off the front of `rest`, which is not empty.
    fn cut(&mut self, rest: &mut AddressRange) -> AddressRange {
        while self.memory.next_if(|held| held.end <= rest.start).is_some() {}
        let end = match self.memory.peek() {
            None => rest.end,
            Some(held) if held.start > rest.start => held.start,
            // Ranges that touch are one stretch of memory.
            Some(held) => {
                let mut end = held.end;
                while end < rest.end {
                    self.memory.next();
                    match self.memory.peek() {
                        Some(next) if next.start == end => end = next.end,
                        _ => break,
                    }
                }
                end
            }
        };
        let part = AddressRange::new(rest.start, end.min(rest.end));
        rest.start = part.end;
        part
    }
}

/// As `VirtualQuery` describes a free range: no allocation, no access.
fn free(range: AddressRange) -> MemoryInfo {
    MemoryInfo {
        base_address: range.start.into(),
        allocation_base: 0.into(),
        allocation_protect: 0.into(),
        alignment1: 0.into(),
        region_size: range.len().into(),
        state: MEM_FREE.into(),
        protect: PageProtection::NO_ACCESS.bits().into(),
        memory_type: 0.into(),
        alignment2: 0.into(),
    }
}

fn mapped(region: &Region, part: AddressRange) -> MemoryInfo {
    let state = region.page_state.as_deref().copied().unwrap_or_else(|| page_state(region));
    MemoryInfo {
        base_address: part.start.into(),
        allocation_base: region.allocation_base.into(),
        allocation_protect: state.allocation_protect.into(),
        alignment1: 0.into(),
        region_size: part.len().into(),
        state: state.state.into(),
        protect: state.protect.into(),
        memory_type: state.memory_type.into(),
        alignment2: 0.into(),
    }
}

/// What Windows would say of a region of another system.
fn page_state(region: &Region) -> PageState {
    let reserved = region.protection.is_empty();
    let protect = protection(region);
    let image = matches!(region.backing, Backing::Image(_));
    PageState {
        // Linux does not remember the first protection of a mapping. An
        // image's is what Windows says for one; others have their own.
        allocation_protect: if image { PageProtection::EXECUTE_WRITE_COPY } else { protect }.bits(),
        state: if reserved { MEM_RESERVE } else { MEM_COMMIT },
        protect: if reserved { 0 } else { protect.bits() },
        memory_type: match region.backing {
            Backing::Image(_) => MEM_IMAGE,
            Backing::File => MEM_MAPPED,
            Backing::Anonymous if region.shared => MEM_MAPPED,
            Backing::Anonymous => MEM_PRIVATE,
        },
    }
}

/// The `PAGE_*` value of a region: a private writable mapping of a file is
/// copied on write.
fn protection(region: &Region) -> PageProtection {
    let has = |p| region.protection.contains(p);
    let copies = !region.shared && region.backing != Backing::Anonymous;
    match (has(Protection::READ), has(Protection::WRITE), has(Protection::EXECUTE)) {
        (_, true, false) if copies => PageProtection::WRITE_COPY,
        (_, true, true) if copies => PageProtection::EXECUTE_WRITE_COPY,
        (_, true, false) => PageProtection::READ_WRITE,
        (_, true, true) => PageProtection::EXECUTE_READ_WRITE,
        (true, false, false) => PageProtection::READ_ONLY,
        (true, false, true) => PageProtection::EXECUTE_READ,
        (false, false, true) => PageProtection::EXECUTE,
        (false, false, false) => PageProtection::NO_ACCESS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> AddressRange {
        AddressRange::new(start, end)
    }

    #[test]
    fn a_range_is_cut_where_memory_starts_and_ends_and_not_where_pieces_of_it_touch() {
        let memory = [
            range(0, 0x10),
            range(0x18, 0x20),
            range(0x20, 0x28),
            range(0x30, 0x50),
            range(0x60, 0x70),
        ];
        let memory = memory.into_iter().collect();
        let mut cutter = Cutter::new(&memory);
        let mut parts = |start, end| {
            let mut rest = range(start, end);
            let mut parts = Vec::new();
            while !rest.is_empty() {
                parts.push(cutter.cut(&mut rest));
            }
            parts
        };
        assert_eq!(
            parts(0x10, 0x34),
            [range(0x10, 0x18), range(0x18, 0x28), range(0x28, 0x30), range(0x30, 0x34)]
        );
        assert_eq!(parts(0x38, 0x58), [range(0x38, 0x50), range(0x50, 0x58)]);
        assert_eq!(parts(0x80, 0x90), [range(0x80, 0x90)]);
    }
}
