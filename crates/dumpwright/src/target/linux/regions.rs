//! From mappings to regions: what may be read, what unpopulated pages read as,
//! where a file ends, and which module or allocation a region belongs to.

use super::mapped_file::{FileFacts, FileKind, Files};
use super::mapping::{Mapping, VmFlags};
use super::maps::Maps;
use crate::address::AddressRange;
use crate::packed::Packed;
use crate::target::{Absent, Access, Architecture, Backing, MemorySource, ModuleSnapshot, Region};
use std::sync::Arc;

/// Makes the regions of a process.
pub(in crate::target) struct RegionBuilder<'a> {
    /// Its mappings.
    pub maps: &'a Maps,
    /// Its modules.
    pub modules: &'a [ModuleSnapshot],
    /// Its mapped files.
    pub files: &'a dyn Files,
    /// Its memory, for files whose size cannot be asked.
    pub memory: &'a dyn MemorySource,
    /// Bytes of a page.
    pub page_size: u64,
}

impl RegionBuilder<'_> {
    /// The regions, in order.
    pub fn build(&self) -> Packed<Region> {
        let segments = self.segments();
        let mut regions = Packed::new();
        // Start of the run of adjacent mappings of one file.
        let mut run: Option<(Mapping, u64)> = None;
        let mut name: Arc<str> = "".into();
        for mapping in &self.maps.mappings {
            let start = match &run {
                Some((last, start)) if continues(last, &mapping) => *start,
                _ => mapping.range.start,
            };
            let whole = self.region(&mapping, start, &name);
            name = Arc::clone(&whole.name);
            for (range, module) in self.split(&mapping, &segments) {
                let mut part = Region { range, ..whole.clone() };
                part.backed_end = whole.backed_end.clamp(range.start, range.end);
                match module {
                    Some(index) => {
                        part.backing = Backing::Image(index);
                        part.allocation_base = self.modules[index].base.min(range.start);
                    }
                    None if mapping.is_file() => {}
                    // The rest of a split mapping is an allocation of its own.
                    None => part.allocation_base = range.start,
                }
                regions.push(part);
            }
            run = Some((mapping, start));
        }
        regions
    }

    /// Segments of all modules with their module, in order of address.
    fn segments(&self) -> Vec<(AddressRange, usize)> {
        let mut segments: Vec<_> = self
            .modules
            .iter()
            .enumerate()
            .flat_map(|(index, module)| module.segments.iter().map(move |s| (s.range, index)))
            .collect();
        segments.sort_unstable();
        segments
    }

    /// Cuts a mapping into the parts that are a module's and those that are
    /// not. The kernel merges the anonymous tail of a `.bss` with an anonymous
    /// mapping that follows it, so an anonymous mapping can be both.
    fn split(
        &self,
        mapping: &Mapping,
        segments: &[(AddressRange, usize)],
    ) -> Vec<(AddressRange, Option<usize>)> {
        let range = mapping.range;
        let first = segments.partition_point(|(s, _)| s.end <= range.start);
        let inside = segments[first..].iter().take_while(|(s, _)| s.start < range.end);
        if mapping.is_file() {
            // A whole file mapping belongs to the module, gaps between
            // segments included, where the linker reserved them.
            let module = inside.map(|(_, index)| *index).next().or_else(|| {
                self.modules.iter().position(|m| {
                    m.range().contains(range.start)
                        && self.maps.at(m.base).is_some_and(|base| base.same_file(mapping))
                })
            });
            return vec![(range, module)];
        }
        let mut parts = Vec::new();
        let mut at = range.start;
        for (segment, index) in inside {
            let part = segment.intersection(AddressRange::new(at, range.end));
            if part.is_empty() {
                continue;
            }
            if part.start > at {
                parts.push((AddressRange::new(at, part.start), None));
            }
            parts.push((part, Some(*index)));
            at = part.end;
        }
        if at < range.end {
            parts.push((AddressRange::new(at, range.end), None));
        }
        parts
    }

    fn region(&self, mapping: &Mapping, allocation_base: u64, last_name: &Arc<str>) -> Region {
        let facts = if mapping.is_file() { self.files.facts(mapping) } else { None };
        let access = access(mapping, facts);
        let absent = absent(mapping, facts);
        let backing = if absent == Absent::Zero || !mapping.is_file() {
            Backing::Anonymous
        } else {
            Backing::File
        };
        // Mappings of one file follow each other.
        let name = String::from_utf8_lossy(&mapping.name);
        let name = if *name == **last_name { Arc::clone(last_name) } else { name.into() };
        let mut region = Region {
            range: mapping.range,
            protection: mapping.protection,
            shared: mapping.shared,
            backing,
            name,
            allocation_base,
            access,
            absent,
            backed_end: mapping.range.end,
            page_state: None,
        };
        if backing == Backing::File && access != Access::Forbidden {
            region.backed_end = self.backed_end(mapping, facts, &region);
        }
        region
    }

    /// Where a file mapping has nothing behind it any more.
    fn backed_end(&self, mapping: &Mapping, facts: Option<FileFacts>, region: &Region) -> u64 {
        let range = mapping.range;
        match facts {
            Some(FileFacts { kind: FileKind::Regular, size, .. }) => {
                let pages = size.saturating_sub(mapping.offset).div_ceil(self.page_size);
                let len = pages.saturating_mul(self.page_size);
                range.start.saturating_add(len).min(range.end)
            }
            None if region.is_readable() && region.absent == Absent::File => self.probe_end(range),
            _ => range.end,
        }
    }

    /// Finds the end of an unknown file by reading: its pages are readable up
    /// to some address and not after it.
    fn probe_end(&self, range: AddressRange) -> u64 {
        let readable = |page: u64| {
            let mut byte = [0];
            self.memory.read_exact(range.start + page * self.page_size, &mut byte)
        };
        let pages = range.len() / self.page_size;
        if readable(pages - 1) {
            return range.end;
        }
        let (mut good, mut bad) = (0, pages - 1);
        while good < bad {
            let middle = good + (bad - good) / 2;
            if readable(middle) {
                good = middle + 1;
            } else {
                bad = middle;
            }
        }
        range.start + good * self.page_size
    }
}

/// Whether `next` goes on where `last` ends, in memory and in the file.
fn continues(last: &Mapping, next: &Mapping) -> bool {
    last.range.end == next.range.start
        && last.same_file(next)
        && last.offset_of(last.range.end) == next.offset
}

/// Whether a dump may read a mapping.
pub(in crate::target) fn access(mapping: &Mapping, facts: Option<FileFacts>) -> Access {
    let name = &*mapping.name;
    if mapping.has(VmFlags::IO | VmFlags::PFN)
        || name.starts_with(b"[vvar")
        || name == b"[vsyscall]"
        || (mapping.is_file() && is_device(mapping, facts))
    {
        return Access::Forbidden;
    }
    // The kernel keeps its own pages out of core dumps; that is no wish of the
    // process.
    if mapping.has(VmFlags::DONT_DUMP) && name != b"[vdso]" {
        return Access::DontDump;
    }
    Access::Normal
}

/// Whether a file mapping is one of a device, as far as can be told.
fn is_device(mapping: &Mapping, facts: Option<FileFacts>) -> bool {
    let name = &*mapping.name;
    match facts.map(|f| f.kind) {
        Some(FileKind::Regular | FileKind::Zero) => false,
        Some(FileKind::Device) => true,
        // Rings of sockets, io_uring, perf: ordinary pages unless the flags
        // say otherwise, and without flags nobody knows.
        Some(FileKind::Special) => mapping.flags.is_none(),
        None if name.starts_with(b"/dev/") => {
            !(name.starts_with(b"/dev/zero") || name.starts_with(b"/dev/shm/"))
        }
        None => mapping.flags.is_none() && !name.starts_with(b"/"),
    }
}

/// What pages of a mapping that were never populated read as.
fn absent(mapping: &Mapping, facts: Option<FileFacts>) -> Absent {
    if mapping.has(VmFlags::USER_FAULT) {
        return Absent::Unknown;
    }
    // Private mappings of these have an inode and are mere memory all the same.
    // A file that lies in /dev/shm may be called anything, so it is the object
    // that counts, and the name only where that cannot be asked.
    let name = &*mapping.name;
    let memory = match facts.map(|f| f.kind) {
        Some(FileKind::Zero) => true,
        Some(FileKind::Device | FileKind::Special) => false,
        Some(FileKind::Regular) => name.starts_with(b"/anon_hugepage"),
        None => name == b"/dev/zero" || name.starts_with(b"/anon_hugepage"),
    };
    // The kernel's own pages come into the page table when they are used.
    let kernel = name == b"[vdso]";
    let own = !mapping.is_file() && !kernel;
    if own || (memory && !mapping.shared) { Absent::Zero } else { Absent::File }
}

/// The first address past user space: 47 bits of addresses on x86-64 unless
/// the process asked for more (five-level page tables), 48 on arm64.
pub(in crate::target) fn address_space_end(architecture: Architecture, maps: &Maps) -> u64 {
    const FOUR_LEVELS: u64 = 0x7fff_ffff_f000;
    const FIVE_LEVELS: u64 = 0x00ff_ffff_ffff_f000;
    if architecture == Architecture::Arm64 {
        return 1 << 48;
    }
    let beyond = AddressRange::new(FOUR_LEVELS, FIVE_LEVELS);
    if maps.mappings.within(beyond).next().is_some() { FIVE_LEVELS } else { FOUR_LEVELS }
}

#[cfg(test)]
mod tests;
