//! The address space in the terms of `VirtualQuery`.
//!
//! What Windows knows has a [`PageState`]; what is of the Unix side alone has
//! none. Memory that Wine only keeps free for Windows is no region at all.

use super::tables::Allocation;
use crate::address::AddressRange;
use crate::packed::Packed;
use crate::target::{Absent, Backing, ModuleSnapshot, PageState, Protection, Region};
use dumpwright_format::minidump::{
    MEM_COMMIT, MEM_IMAGE, MEM_MAPPED, MEM_PRIVATE, MEM_RESERVE, PageProtection,
};

/// Where mappings go that Wine asks no address for: Unix libraries, heaps and
/// stacks. Windows's allocations are below, or at the very end.
const UNIX_START: u64 = 0x7000_0000_0000;
const UNIX_END: u64 = 0x7FFF_FE00_0000;

/// The regions of the process, by Wine's tables if they were found, else by
/// what the kernel's list makes likely.
pub(super) fn regions(
    linux: &Packed<Region>,
    modules: &[ModuleSnapshot],
    allocations: Option<&[Allocation]>,
) -> Packed<Region> {
    match allocations {
        Some(allocations) => by_tables(linux, modules, allocations),
        None => by_mappings(linux, modules),
    }
}

/// What of a region lies in `range`.
fn part(region: &Region, range: AddressRange) -> Region {
    let backed_end = region.backed_end.clamp(range.start, range.end);
    Region { range, backed_end, ..region.clone() }
}

/// A region of the Unix side; `None` for memory that only keeps others out.
fn of_unix(region: &Region, range: AddressRange) -> Option<Region> {
    let mut region = part(region, range);
    if let Backing::Image(_) = region.backing {
        region.backing =
            if region.absent == Absent::File { Backing::File } else { Backing::Anonymous };
    }
    let keeps_out = region.protection.is_empty() && region.backing == Backing::Anonymous;
    (!range.is_empty() && !keeps_out).then_some(region)
}

/// A region of Windows.
fn of_windows(
    region: &Region,
    range: AddressRange,
    allocation_base: u64,
    state: PageState,
    modules: &[ModuleSnapshot],
) -> Region {
    let mut region =
        Region { allocation_base, page_state: Some(Box::new(state)), ..part(region, range) };
    let module = modules.iter().position(|m| m.range().contains(range.start));
    region.backing = match module {
        Some(index) if state.memory_type == MEM_IMAGE => {
            region.name = modules[index].path.as_str().into();
            Backing::Image(index)
        }
        _ if region.absent == Absent::File => Backing::File,
        _ => Backing::Anonymous,
    };
    region
}

fn by_tables(
    linux: &Packed<Region>,
    modules: &[ModuleSnapshot],
    allocations: &[Allocation],
) -> Packed<Region> {
    let mut regions = Packed::new();
    for region in linux {
        let region = &region;
        let mut at = region.range.start;
        let first = allocations.partition_point(|a| a.range.end <= region.range.start);
        for allocation in
            allocations[first..].iter().take_while(|a| a.range.start < region.range.end)
        {
            let inside = allocation.range.intersection(region.range);
            regions.extend(of_unix(region, AddressRange::new(at, inside.start)));
            for (run, state) in allocation.runs() {
                let run = run.intersection(inside);
                if !run.is_empty() {
                    let base = allocation.range.start;
                    regions.push(of_windows(region, run, base, state, modules));
                }
            }
            at = inside.end;
        }
        regions.extend(of_unix(region, AddressRange::new(at, region.range.end)));
    }
    regions
}

fn by_mappings(linux: &Packed<Region>, modules: &[ModuleSnapshot]) -> Packed<Region> {
    let mut images: Vec<_> = modules.iter().map(ModuleSnapshot::range).collect();
    images.sort_unstable();
    let mut regions = Packed::new();
    for region in linux {
        let region = &region;
        let mut at = region.range.start;
        for image in images.iter().filter(|image| image.overlaps(region.range)) {
            let inside = image.intersection(region.range);
            regions.extend(guessed(region, AddressRange::new(at, inside.start), modules));
            let state = PageState {
                allocation_protect: PageProtection::EXECUTE_WRITE_COPY.bits(),
                memory_type: MEM_IMAGE,
                ..likely(region)
            };
            regions.push(of_windows(region, inside, image.start, state, modules));
            at = inside.end;
        }
        regions.extend(guessed(region, AddressRange::new(at, region.range.end), modules));
    }
    regions
}

fn guessed(region: &Region, range: AddressRange, modules: &[ModuleSnapshot]) -> Option<Region> {
    let high = (UNIX_START..UNIX_END).contains(&region.range.start);
    let is_unix =
        high || region.name.starts_with('[') || matches!(region.backing, Backing::Image(_));
    if range.is_empty() || is_unix {
        return of_unix(region, range);
    }
    Some(of_windows(region, range, region.allocation_base, likely(region), modules))
}

/// What Windows would say of a mapping.
fn likely(region: &Region) -> PageState {
    let has = |bit| region.protection.contains(bit);
    let protect = match (has(Protection::READ), has(Protection::WRITE), has(Protection::EXECUTE)) {
        (_, true, true) => PageProtection::EXECUTE_READ_WRITE,
        (_, true, false) => PageProtection::READ_WRITE,
        (true, false, true) => PageProtection::EXECUTE_READ,
        (true, false, false) => PageProtection::READ_ONLY,
        (false, false, true) => PageProtection::EXECUTE,
        (false, false, false) => PageProtection::NO_ACCESS,
    };
    let reserved = region.protection.is_empty();
    let mapped = region.shared || region.absent == Absent::File;
    PageState {
        state: if reserved { MEM_RESERVE } else { MEM_COMMIT },
        protect: if reserved { 0 } else { protect.bits() },
        allocation_protect: protect.bits(),
        memory_type: if mapped { MEM_MAPPED } else { MEM_PRIVATE },
    }
}
