//! The address space: of the MemoryInfoList, of `/proc/PID/maps`, or made of
//! the memory and modules that the dump has.

use super::maps::Mapping;
use crate::address::{AddressRange, RangeSet};
use crate::packed::Packed;
use crate::read::MemoryRegion;
use crate::target::{
    Absent, Access, Backing, ModuleSnapshot, PageState, Platform, Protection, Region,
};
use dumpwright_format::minidump::{
    MEM_COMMIT, MEM_FREE, MEM_IMAGE, MEM_MAPPED, MemoryInfo, PageProtection,
};

/// The entries of a MemoryInfoList in order and without overlaps, those of one
/// kind that touch made one: writers cut regions where memory in the dump does.
/// Where `maps` says that a mapping begins, one does.
pub(in crate::target) fn merge(mut stored: Vec<MemoryRegion>, maps: &[Mapping]) -> Vec<MemoryInfo> {
    let begins = |at: u64| maps.binary_search_by_key(&at, |mapping| mapping.range.start).is_ok();
    stored.sort_by_key(|entry| entry.base);
    let mut merged: Vec<MemoryRegion> = Vec::with_capacity(stored.len());
    for entry in stored.into_iter().filter(|entry| entry.size > 0) {
        match merged.last_mut() {
            Some(last) if last.end() > entry.base => {}
            Some(last)
                if last.end() == entry.base && same_kind(last, &entry) && !begins(entry.base) =>
            {
                last.size = last.size.saturating_add(entry.size);
            }
            _ => merged.push(entry),
        }
    }
    merged.into_iter().map(wire).collect()
}

fn same_kind(a: &MemoryRegion, b: &MemoryRegion) -> bool {
    let kind = |r: &MemoryRegion| {
        (r.allocation_base, r.allocation_protect, r.state, r.protect, r.memory_type)
    };
    kind(a) == kind(b)
}

fn wire(entry: MemoryRegion) -> MemoryInfo {
    MemoryInfo {
        base_address: entry.base.into(),
        allocation_base: entry.allocation_base.into(),
        allocation_protect: entry.allocation_protect.into(),
        alignment1: 0.into(),
        region_size: entry.size.into(),
        state: entry.state.into(),
        protect: entry.protect.into(),
        memory_type: entry.memory_type.into(),
        alignment2: 0.into(),
    }
}

/// The regions of the process, in order. All memory that the dump holds lies in
/// a readable one, whatever its lists say.
pub(in crate::target) fn regions(
    info: &[MemoryInfo],
    maps: &[Mapping],
    held: &RangeSet,
    modules: &[ModuleSnapshot],
    platform: Platform,
) -> Packed<Region> {
    let windows = platform == Platform::Windows;
    let images = Images::new(modules);
    let listed: Packed<Region> = if info.is_empty() {
        maps.iter().map(|mapping| of_mapping(mapping, &images)).collect()
    } else {
        info.iter()
            .filter(|entry| entry.state.get() != MEM_FREE)
            .map(|entry| of_info(entry, maps, &images, windows))
            .collect()
    };
    with_held(&listed, held, &images)
}

/// Finds modules by address.
struct Images<'a> {
    modules: &'a [ModuleSnapshot],
    /// Indices of the modules, by address.
    order: Vec<usize>,
}

impl<'a> Images<'a> {
    fn new(modules: &'a [ModuleSnapshot]) -> Self {
        let mut order: Vec<_> = (0..modules.len()).collect();
        order.sort_by_key(|index| modules[*index].base);
        Images { modules, order }
    }

    fn at(&self, address: u64) -> Option<usize> {
        let next = self.order.partition_point(|index| self.modules[*index].base <= address);
        let index = *self.order.get(next.checked_sub(1)?)?;
        self.modules[index].range().contains(address).then_some(index)
    }

    /// `range` cut where modules start and end.
    fn cut(&self, range: AddressRange) -> Vec<AddressRange> {
        let mut pieces = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let inside = self.at(at).map(|index| self.modules[index].range().end);
            let next = self.order.partition_point(|index| self.modules[*index].base <= at);
            let next = self.order.get(next).map(|index| self.modules[*index].base);
            let end = [inside, next].into_iter().flatten().min().unwrap_or(range.end);
            let end = end.min(range.end);
            pieces.push(AddressRange::new(at, end));
            at = end;
        }
        pieces
    }
}

fn of_info(entry: &MemoryInfo, maps: &[Mapping], images: &Images<'_>, windows: bool) -> Region {
    let start = entry.base_address.get();
    let range = AddressRange::with_len(start, entry.region_size.get());
    let copied = PageProtection::WRITE_COPY | PageProtection::EXECUTE_WRITE_COPY;
    let protect = PageProtection::from_bits_retain(entry.protect.get());
    let backing = match (entry.memory_type.get(), images.at(start)) {
        (MEM_IMAGE, Some(index)) => Backing::Image(index),
        (MEM_IMAGE | MEM_MAPPED, _) => Backing::File,
        _ => Backing::Anonymous,
    };
    let committed = entry.state.get() == MEM_COMMIT;
    Region {
        protection: if committed { protection(protect) } else { Protection::empty() },
        shared: entry.memory_type.get() == MEM_MAPPED && !protect.intersects(copied),
        backing,
        name: name_at(start, maps, images).into(),
        allocation_base: entry.allocation_base.get(),
        page_state: windows.then(|| {
            Box::new(PageState {
                state: entry.state.get(),
                protect: entry.protect.get(),
                allocation_protect: entry.allocation_protect.get(),
                memory_type: entry.memory_type.get(),
            })
        }),
        ..held_region(range)
    }
}

fn name_at(address: u64, maps: &[Mapping], images: &Images<'_>) -> String {
    let next = maps.partition_point(|mapping| mapping.range.end <= address);
    let mapping = maps.get(next).filter(|mapping| mapping.range.contains(address));
    match (mapping, images.at(address)) {
        (Some(mapping), _) => mapping.name.clone(),
        (None, Some(index)) => images.modules[index].path.clone(),
        (None, None) => String::new(),
    }
}

fn of_mapping(mapping: &Mapping, images: &Images<'_>) -> Region {
    let backing = match images.at(mapping.range.start) {
        Some(index) => Backing::Image(index),
        None if mapping.name.starts_with('/') => Backing::File,
        None => Backing::Anonymous,
    };
    Region {
        protection: mapping.protection,
        shared: mapping.shared,
        backing,
        name: mapping.name.as_str().into(),
        ..held_region(mapping.range)
    }
}

/// A region of which no more is known than that the dump holds memory of it.
fn held_region(range: AddressRange) -> Region {
    Region {
        range,
        protection: Protection::READ | Protection::WRITE,
        shared: false,
        backing: Backing::Anonymous,
        name: "".into(),
        allocation_base: range.start,
        access: Access::Normal,
        absent: Absent::Missing,
        backed_end: range.end,
        page_state: None,
    }
}

/// The listed regions, and further ones for memory that the dump holds and they
/// say cannot be read or is not there.
fn with_held(listed: &Packed<Region>, held: &RangeSet, images: &Images<'_>) -> Packed<Region> {
    let readable: RangeSet =
        listed.iter().filter(Region::is_readable).map(|region| region.range).collect();
    let unlisted = held.difference(&readable);
    let pieces = unlisted.ranges().iter().flat_map(|range| images.cut(range));
    let mut further = pieces.map(|piece| held_piece(piece, images)).peekable();
    let mut regions = Packed::new();
    for region in listed {
        let parts = if region.is_readable() {
            vec![region.range]
        } else {
            unlisted.missing_from(region.range)
        };
        for range in parts {
            while let Some(before) = further.next_if(|piece| piece.range.start < range.start) {
                regions.push(before);
            }
            let backed_end = region.backed_end.clamp(range.start, range.end);
            regions.push(Region { range, backed_end, ..region.clone() });
        }
    }
    regions.extend(further);
    regions
}

/// A region for memory that the dump holds and its lists do not have.
fn held_piece(piece: AddressRange, images: &Images<'_>) -> Region {
    let image = images.at(piece.start);
    Region {
        protection: match image {
            Some(_) => Protection::READ | Protection::EXECUTE,
            None => Protection::READ | Protection::WRITE,
        },
        backing: image.map_or(Backing::Anonymous, Backing::Image),
        name: image.map_or("", |index| &images.modules[index].path).into(),
        ..held_region(piece)
    }
}

/// What a `PAGE_*` value lets the process do.
fn protection(page: PageProtection) -> Protection {
    if page.intersects(PageProtection::GUARD | PageProtection::NO_ACCESS) {
        return Protection::empty();
    }
    let read = PageProtection::READ_ONLY
        | PageProtection::READ_WRITE
        | PageProtection::WRITE_COPY
        | PageProtection::EXECUTE_READ
        | PageProtection::EXECUTE_READ_WRITE
        | PageProtection::EXECUTE_WRITE_COPY;
    let write = PageProtection::READ_WRITE
        | PageProtection::WRITE_COPY
        | PageProtection::EXECUTE_READ_WRITE
        | PageProtection::EXECUTE_WRITE_COPY;
    let execute = PageProtection::EXECUTE
        | PageProtection::EXECUTE_READ
        | PageProtection::EXECUTE_READ_WRITE
        | PageProtection::EXECUTE_WRITE_COPY;
    let mut protection = Protection::empty();
    protection.set(Protection::READ, page.intersects(read));
    protection.set(Protection::WRITE, page.intersects(write));
    protection.set(Protection::EXECUTE, page.intersects(execute));
    protection
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(base: u64, size: u64, protect: PageProtection) -> MemoryRegion {
        MemoryRegion {
            base,
            size,
            allocation_base: 0x1000,
            allocation_protect: 4,
            state: MEM_COMMIT,
            protect: protect.bits(),
            memory_type: dumpwright_format::minidump::MEM_PRIVATE,
        }
    }

    #[test]
    fn regions_that_a_writer_cut_are_whole_again_and_overlaps_are_not_believed() {
        let merged = merge(
            vec![
                entry(0x3000, 0x1000, PageProtection::READ_WRITE),
                entry(0x1000, 0x2000, PageProtection::READ_WRITE),
                entry(0x3800, 0x1000, PageProtection::READ_ONLY),
                entry(0x4000, 0x1000, PageProtection::READ_ONLY),
            ],
            &[],
        );
        let ranges: Vec<_> =
            merged.iter().map(|m| (m.base_address.get(), m.region_size.get())).collect();
        assert_eq!(ranges, [(0x1000, 0x3000), (0x4000, 0x1000)]);
    }

    #[test]
    fn memory_that_the_dump_holds_is_readable_whatever_its_map_says() {
        let info = merge(vec![entry(0x1000, 0x3000, PageProtection::NO_ACCESS)], &[]);
        let held = [AddressRange::new(0x2000, 0x2100), AddressRange::new(0x9000, 0x9010)];
        let regions = regions(&info, &[], &held.into_iter().collect(), &[], Platform::Windows);
        let found: Vec<_> = regions.iter().map(|r| (r.range.start, r.is_readable())).collect();
        assert_eq!(found, [(0x1000, false), (0x2000, true), (0x2100, false), (0x9000, true)]);
    }
}
