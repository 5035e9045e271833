//! The mappings of a process, as far as a core tells them.

use super::file::Segment;
use super::notes::MappedFile;
use crate::address::{AddressRange, RangeSet};
use crate::target::Protection;
use crate::target::StreamBytes;
use crate::target::linux::auxv::{AT_EXECFN, AT_SYSINFO_EHDR, Auxv};
use crate::target::linux::elf::Image;
use crate::target::linux::mapping::Mapping;
use crate::target::linux::maps::Maps;
use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

/// The mappings, and those of them whose protection the core does not tell.
pub(super) struct CoreMaps {
    /// The mappings. Files are told apart by numbers that are ours.
    pub maps: Maps,
    /// Mapped files without a segment.
    unknown: RangeSet,
}

impl CoreMaps {
    /// Puts segments and mapped files together.
    pub fn new(
        segments: &[Segment],
        files: &[MappedFile<'_>],
        auxv: &Auxv,
        page_size: u64,
    ) -> CoreMaps {
        let mut inodes = HashMap::new();
        let mut name: Arc<[u8]> = Arc::default();
        let mut mappings = Vec::new();
        let loads = whole_pages(segments, page_size);
        let named: RangeSet = files.iter().map(|f| f.range).collect();
        for load in &loads {
            for range in named.missing_from(load.range) {
                mappings.push(anonymous(range, load.protection));
            }
        }
        let mut unknown = RangeSet::new();
        for file in files {
            let next = inodes.len() as u64 + 1;
            let inode = *inodes.entry(file.path).or_insert(next);
            if *name != *file.path {
                name = file.path.into();
            }
            let mut map = |range: AddressRange, protection| {
                let offset = file.offset.wrapping_add(range.start - file.range.start);
                mappings.push(Mapping {
                    offset,
                    inode,
                    name: Arc::clone(&name),
                    ..anonymous(range, protection)
                });
            };
            let first = loads.partition_point(|l| l.range.end <= file.range.start);
            let mut at = file.range.start;
            for load in loads[first..].iter().take_while(|l| l.range.start < file.range.end) {
                let part = load.range.intersection(file.range);
                if at < part.start {
                    map(AddressRange::new(at, part.start), Protection::READ);
                    unknown.insert(AddressRange::new(at, part.start));
                }
                map(part, load.protection);
                at = part.end;
            }
            if at < file.range.end {
                map(AddressRange::new(at, file.range.end), Protection::READ);
                unknown.insert(AddressRange::new(at, file.range.end));
            }
        }
        mappings.sort_by_key(|m| m.range.start);
        name_known(&mut mappings, auxv);
        let mappings = mappings.into_iter().collect();
        CoreMaps { maps: Maps { mappings, text: StreamBytes::default() }, unknown }
    }

    /// Takes names of anonymous mappings, and what is shared, from the text of
    /// `/proc/<pid>/maps` that a core of ours carries.
    pub fn name_by(&mut self, text: &[u8]) {
        // Reading from memory does not fail.
        let Ok((told, _)) = Maps::parse(text) else { return };
        let named = self.maps.mappings.iter().map(|mut mapping| {
            if let Some(told) = told.at(mapping.range.start) {
                mapping.shared = told.shared;
                if !mapping.is_file() && told.name.starts_with(b"[") {
                    mapping.name = told.name;
                }
            }
            mapping
        });
        self.maps.mappings = named.collect();
    }

    /// Gives mappings whose protection the core does not tell the one that
    /// their image asks for.
    pub fn take_protection_of(&mut self, image: &Image, page_size: u64) {
        for load in &image.loads {
            let pages = load.pages(page_size);
            if self.unknown.within(pages).next().is_none() {
                continue;
            }
            let unknown = &self.unknown;
            self.maps.mappings.change(pages, |mappings| {
                for mapping in mappings {
                    let inside = pages.contains(mapping.range.start);
                    if inside && unknown.find(mapping.range.start).is_some() {
                        mapping.protection = load.protection;
                    }
                }
            });
        }
    }

    /// Writes the text that `/proc/<pid>/maps` would have had, as far as it is
    /// known: without devices and inodes, and all mappings private.
    pub fn write_text(&mut self) {
        let mut text = Vec::new();
        for m in &self.maps.mappings {
            let flag = |flag, letter| if m.protection.contains(flag) { letter } else { '-' };
            // Writing to memory does not fail.
            let _ = write!(
                text,
                "{:08x}-{:08x} {}{}{}p {:08x} 00:00 0",
                m.range.start,
                m.range.end,
                flag(Protection::READ, 'r'),
                flag(Protection::WRITE, 'w'),
                flag(Protection::EXECUTE, 'x'),
                m.offset,
            );
            text.push(b' ');
            if !m.name.is_empty() {
                text.extend_from_slice(b"                         ");
                for byte in &*m.name {
                    match byte {
                        b'\n' => text.extend_from_slice(b"\\012"),
                        byte => text.push(*byte),
                    }
                }
            }
            text.push(b'\n');
        }
        self.maps.text = text.into();
    }
}

fn anonymous(range: AddressRange, protection: Protection) -> Mapping {
    Mapping {
        range,
        protection,
        shared: false,
        offset: 0,
        device: (0, 0),
        inode: 0,
        name: Arc::default(),
        flags: None,
    }
}

/// Segments that a core of ours cut inside a page are one mapping again.
fn whole_pages(segments: &[Segment], page_size: u64) -> Vec<Segment> {
    let mut whole: Vec<Segment> = Vec::with_capacity(segments.len());
    for segment in segments {
        match whole.last_mut() {
            Some(last)
                if last.range.end == segment.range.start
                    && last.protection == segment.protection
                    && segment.range.start & (page_size - 1) != 0 =>
            {
                last.range.end = segment.range.end;
            }
            _ => whole.push(*segment),
        }
    }
    whole
}

/// Names the kernel's own mappings, where the auxiliary vector says what is
/// there.
fn name_known(mappings: &mut [Mapping], auxv: &Auxv) {
    for (kind, name) in [(AT_EXECFN, &b"[stack]"[..]), (AT_SYSINFO_EHDR, b"[vdso]")] {
        let Some(address) = auxv.get(kind) else { continue };
        let found = mappings.iter_mut().find(|m| m.range.contains(address) && !m.is_file());
        if let Some(mapping) = found {
            mapping.name = name.into();
        }
    }
}
