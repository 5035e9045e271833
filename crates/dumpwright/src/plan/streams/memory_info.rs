//! MemoryInfoList: the whole address space, free ranges too.
//!
//! A region that is in the dump in parts has an entry for each part, so that
//! every range of memory in the dump starts where an entry does: that is how
//! readers of full dumps (udmp-parser) join the two.

use crate::address::{AddressRange, RangeSet};
use crate::plan::assembly::{Assembly, Section};
use crate::target::{Backing, PageState, ProcessSnapshot, Protection, Region};
use dumpwright_format::minidump::{
    MEM_COMMIT, MEM_FREE, MEM_IMAGE, MEM_MAPPED, MEM_PRIVATE, MEM_RESERVE, MemoryInfo,
    MemoryInfoList, PageProtection, StreamType,
};
use std::mem::size_of;

pub(super) fn memory_info_list(snapshot: &ProcessSnapshot, memory: &RangeSet, out: &mut Assembly) {
    let stored = snapshot.original.iter().flat_map(|original| &original.memory_info);
    let mut entries: Vec<MemoryInfo> = stored.flat_map(|entry| cut(entry, memory)).collect();
    if entries.is_empty() {
        entries = described(snapshot, memory);
    }
    let mut section = Section::new();
    section.put(&MemoryInfoList {
        size_of_header: (size_of::<MemoryInfoList>() as u32).into(),
        size_of_entry: (size_of::<MemoryInfo>() as u32).into(),
        number_of_entries: (entries.len() as u64).into(),
    });
    section.put(entries.as_slice());
    out.stream(StreamType::MEMORY_INFO_LIST, section);
}

/// An entry of the original, cut where memory in the dump starts and ends.
fn cut(entry: &MemoryInfo, memory: &RangeSet) -> Vec<MemoryInfo> {
    let range = AddressRange::with_len(entry.base_address.get(), entry.region_size.get());
    let part = |part: AddressRange| MemoryInfo {
        base_address: part.start.into(),
        region_size: part.len().into(),
        ..*entry
    };
    parts(range, memory).into_iter().map(part).collect()
}

/// The entries that the regions make.
fn described(snapshot: &ProcessSnapshot, memory: &RangeSet) -> Vec<MemoryInfo> {
    let mut entries = Vec::with_capacity(snapshot.regions.len() * 2);
    let mut at = 0;
    for region in &snapshot.regions {
        if region.range.start > at {
            entries.push(free(AddressRange::new(at, region.range.start)));
        }
        entries.extend(parts(region.range, memory).into_iter().map(|part| mapped(region, part)));
        at = region.range.end;
    }
    if at < snapshot.address_space_end {
        entries.push(free(AddressRange::new(at, snapshot.address_space_end)));
    }
    entries
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

/// A region's range, cut where memory in the dump starts and ends.
fn parts(range: AddressRange, memory: &RangeSet) -> Vec<AddressRange> {
    let mut parts: Vec<_> = memory.within(range).chain(memory.missing_from(range)).collect();
    parts.sort_unstable();
    parts
}

fn mapped(region: &Region, part: AddressRange) -> MemoryInfo {
    let state = region.page_state.unwrap_or_else(|| page_state(region));
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
