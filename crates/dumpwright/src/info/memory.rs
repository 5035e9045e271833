//! Memory by kind: what the bytes in a dump were used for.

use super::maps;
use super::model::{MemoryInfo, MemoryKind, MemoryKindInfo};
use crate::address::{AddressRange, RangeSet};
use crate::read::{MemoryRange, MemoryRegion, Module, Thread};
use dumpwright_format::minidump::{MEM_COMMIT, MEM_IMAGE, MEM_MAPPED, MEM_PRIVATE, MEM_RESERVE};

/// What is known of the address space.
pub(super) struct Known<'a> {
    pub(super) threads: &'a [Thread],
    /// Stack pointers, whose regions are stacks.
    pub(super) stack_pointers: Vec<u64>,
    pub(super) modules: &'a [Module],
    pub(super) regions: Option<&'a [MemoryRegion]>,
    pub(super) linux_maps: Option<&'a str>,
}

/// Kinds in the order in which they claim memory: a stack is private memory,
/// too, and a module a mapped file.
const ORDER: [MemoryKind; 5] = [
    MemoryKind::Stack,
    MemoryKind::Image,
    MemoryKind::Heap,
    MemoryKind::Mapped,
    MemoryKind::Private,
];

pub(super) fn summary(listed: u64, map: &[MemoryRange], known: &Known) -> MemoryInfo {
    let mut rest: RangeSet =
        map.iter().map(|range| AddressRange::with_len(range.start, range.size)).collect();
    let size = rest.len();
    let mut by_kind = Vec::new();
    for kind in ORDER {
        let of_kind = known.ranges(kind);
        let left = rest.difference(&of_kind);
        let taken = rest.difference(&left);
        push(&mut by_kind, kind, &taken);
        rest = left;
    }
    push(&mut by_kind, MemoryKind::Other, &rest);
    by_kind.sort_by_key(|kind| std::cmp::Reverse(kind.size));
    MemoryInfo {
        ranges: listed,
        size,
        by_kind,
        regions: known.count(),
        committed: known.size_of_state(MEM_COMMIT),
        reserved: known.size_of_state(MEM_RESERVE),
    }
}

fn push(by_kind: &mut Vec<MemoryKindInfo>, kind: MemoryKind, set: &RangeSet) {
    if !set.is_empty() {
        by_kind.push(MemoryKindInfo { kind, ranges: set.ranges().len() as u64, size: set.len() });
    }
}

impl Known<'_> {
    /// The addresses that are known to be of a kind.
    fn ranges(&self, kind: MemoryKind) -> RangeSet {
        let mapped = self.linux_maps.into_iter().flat_map(maps::regions);
        let mut ranges: Vec<AddressRange> =
            mapped.filter(|(_, k)| *k == kind).map(|(range, _)| range).collect();
        match kind {
            MemoryKind::Stack => {
                let stacks = self.threads.iter();
                ranges.extend(stacks.map(|t| AddressRange::with_len(t.stack_start, t.stack.size)));
                ranges.extend(self.stack_regions());
            }
            MemoryKind::Image => {
                let modules = self.modules.iter();
                ranges.extend(modules.map(|m| AddressRange::with_len(m.base, m.size.into())));
                ranges.extend(self.of_type(MEM_IMAGE));
            }
            MemoryKind::Mapped => ranges.extend(self.of_type(MEM_MAPPED)),
            MemoryKind::Private => ranges.extend(self.of_type(MEM_PRIVATE)),
            MemoryKind::Heap | MemoryKind::Other => {}
        }
        ranges.into_iter().collect()
    }

    fn of_type(&self, memory_type: u32) -> impl Iterator<Item = AddressRange> + '_ {
        self.regions
            .into_iter()
            .flatten()
            .filter(move |region| region.memory_type == memory_type)
            .map(|region| AddressRange::with_len(region.base, region.size))
    }

    /// Private committed regions that a stack pointer leads into.
    fn stack_regions(&self) -> impl Iterator<Item = AddressRange> + '_ {
        let pointers: RangeSet =
            self.stack_pointers.iter().map(|pointer| AddressRange::with_len(*pointer, 1)).collect();
        self.regions
            .into_iter()
            .flatten()
            .filter(|region| region.state == MEM_COMMIT && region.memory_type == MEM_PRIVATE)
            .map(|region| AddressRange::with_len(region.base, region.size))
            .filter(move |range| pointers.within(*range).next().is_some())
    }

    fn count(&self) -> u64 {
        match (self.regions, self.linux_maps) {
            (Some(regions), _) => regions.len() as u64,
            (None, Some(maps)) => maps::regions(maps).count() as u64,
            (None, None) => 0,
        }
    }

    fn size_of_state(&self, state: u32) -> Option<u64> {
        let of_state = self.regions?.iter().filter(|region| region.state == state);
        Some(of_state.fold(0, |sum, region| sum.saturating_add(region.size)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_counted_once_and_stacks_come_before_private_memory() {
        let map = [
            MemoryRange { start: 0x1000, size: 0x1000, file_offset: 0 },
            MemoryRange { start: 0x9000, size: 0x10, file_offset: 0 },
        ];
        let region = MemoryRegion {
            base: 0,
            allocation_base: 0,
            allocation_protect: 0,
            size: 0x2000,
            state: MEM_COMMIT,
            protect: 4,
            memory_type: MEM_PRIVATE,
        };
        let stack = MemoryRegion { base: 0x1800, size: 0x100, ..region };
        let regions = [MemoryRegion { size: 0x1800, ..region }, stack];
        let known = Known {
            threads: &[],
            stack_pointers: vec![0x1880],
            modules: &[],
            regions: Some(&regions),
            linux_maps: None,
        };
        let summary = summary(2, &map, &known);
        let sizes: Vec<_> = summary.by_kind.iter().map(|k| (k.kind.name(), k.size)).collect();
        assert_eq!(sizes, [("private", 0x800), ("other", 0x710), ("stack", 0x100)]);
        assert_eq!(summary.size, 0x1010);
        assert_eq!(summary.committed, Some(0x1900));
    }
}
