//! Finding the ELF images in an address space.
//!
//! A mapping that begins with an ELF header is not yet a module: programs map
//! libraries flat, as data. It is one if its segments lie where its program
//! headers put them, or if the dynamic linker says so.

use super::auxv::{AT_ENTRY, AT_PHDR, AT_PHNUM, AT_SYSINFO_EHDR, Auxv};
use super::elf::{Image, Load};
use super::mapped_file::Files;
use super::mapping::Mapping;
use super::maps::Maps;
use super::regions;
use crate::address::AddressRange;
use crate::target::{Access, Architecture, LinkMapEntry, MemorySource, Protection};
use std::collections::HashSet;

/// Mappings whose first bytes are read at once.
const AT_ONCE: usize = 1024;

/// An image and what tells its name.
#[derive(Clone, Debug)]
pub(in crate::target) struct Found {
    /// The image.
    pub image: Image,
    /// What it is.
    pub origin: Origin,
}

/// Where an image comes from.
#[derive(Clone, Debug)]
pub(in crate::target) enum Origin {
    /// A mapped file.
    File(Mapping),
    /// The kernel.
    Vdso,
    /// Memory that only the dynamic linker has a name for.
    Named(String),
}

/// Looks for images.
pub(in crate::target) struct ImageFinder<'a> {
    /// Its processor.
    pub architecture: Architecture,
    /// Mappings of the process.
    pub maps: &'a Maps,
    /// Its mapped files.
    pub files: &'a dyn Files,
    /// Its memory.
    pub memory: &'a dyn MemorySource,
    /// Its auxiliary vector.
    pub auxv: &'a Auxv,
    /// Bytes of a page.
    pub page_size: u64,
}

impl ImageFinder<'_> {
    /// The executable: what the kernel's auxiliary vector points at.
    pub fn executable(&self) -> Option<Found> {
        let table = self.auxv.get(AT_PHDR)?;
        let mapping = self.maps.at(table)?;
        let image = Image::at(self.memory, self.architecture, mapping.range.start, self.page_size)
            .filter(|image| image.program_headers.start == table)
            .or_else(|| {
                let count = self.auxv.get(AT_PHNUM)?;
                let entry = self.auxv.get(AT_ENTRY).unwrap_or_default();
                Image::of_program_headers(self.memory, table, count, entry)
            })?;
        let origin = if mapping.is_file() {
            Origin::File(mapping)
        } else {
            Origin::Named(String::from_utf8_lossy(&mapping.name).into_owned())
        };
        Some(Found { image, origin })
    }

    /// The kernel's own image.
    pub fn vdso(&self) -> Option<Found> {
        let address = self.auxv.get(AT_SYSINFO_EHDR)?;
        let image = Image::at(self.memory, self.architecture, address, self.page_size)?;
        Some(Found { image, origin: Origin::Vdso })
    }

    /// All images, the executable first and the others by address. `linked` is
    /// the dynamic linker's list, where there is one.
    pub fn all(&self, executable: Option<Found>, linked: Option<&[LinkMapEntry]>) -> Vec<Found> {
        let others = usize::from(executable.is_some());
        let mut found: Vec<Found> = executable.into_iter().chain(self.vdso()).collect();
        for mapping in self.candidates(linked) {
            let at = mapping.range.start;
            // An ELF file embedded in the data of a module is not a module.
            if found.iter().any(|f| f.image.contains(at)) {
                continue;
            }
            let Some(image) = Image::at(self.memory, self.architecture, at, self.page_size) else {
                continue;
            };
            if self.is_loaded(&image, &mapping, linked) {
                found.push(Found { image, origin: Origin::File(mapping) });
            }
        }
        for entry in linked.unwrap_or_default() {
            if !found.iter().any(|f| f.image.contains(entry.ld)) {
                found.extend(self.named_only(entry));
            }
        }
        found[others..].sort_by_key(|f| f.image.range(self.page_size).start);
        found
    }

    /// File mappings that begin with an ELF header. Only files that have an
    /// executable mapping, or that the dynamic linker knows, are looked into:
    /// the first page of a data file may come from a slow disk.
    fn candidates(&self, linked: Option<&[LinkMapEntry]>) -> Vec<Mapping> {
        let key = |m: Mapping| (m.device, m.inode);
        let known: Option<HashSet<_>> = linked.map(|entries| {
            let executable =
                self.maps.mappings.iter().filter(|m| m.protection.contains(Protection::EXECUTE));
            let named = entries.iter().filter_map(|e| self.maps.at(e.ld));
            executable.chain(named).map(key).collect()
        });
        let mut mappings = self
            .maps
            .mappings
            .iter()
            .filter(|m| m.is_file() && m.protection.contains(Protection::READ))
            .filter(|m| known.as_ref().is_none_or(|known| known.contains(&(m.device, m.inode))))
            .filter(|m| regions::access(m, self.files.facts(m)) != Access::Forbidden);
        let mut found = Vec::new();
        loop {
            let batch: Vec<Mapping> = mappings.by_ref().take(AT_ONCE).collect();
            if batch.is_empty() {
                return found;
            }
            let ranges: Vec<_> =
                batch.iter().map(|m| AddressRange::with_len(m.range.start, 4)).collect();
            let mut magic = vec![0; ranges.len() * 4];
            self.memory.read(&ranges, &mut magic, &mut Vec::new());
            let starts = magic.chunks_exact(4).map(|m| m == object::elf::ELFMAG);
            found.extend(batch.into_iter().zip(starts).filter(|(_, elf)| *elf).map(|(m, _)| m));
        }
    }

    /// Whether an image is loaded, and not merely mapped.
    fn is_loaded(&self, image: &Image, mapping: &Mapping, linked: Option<&[LinkMapEntry]>) -> bool {
        let named = |e: &LinkMapEntry| image.dynamic.is_some_and(|d| d.start == e.ld);
        if linked.is_some_and(|entries| entries.iter().any(named)) {
            return true;
        }
        let in_place = |load: &&Load| self.is_in_place(load, mapping);
        let is_code = |l: &&Load| l.protection.contains(Protection::EXECUTE) && l.file_size > 0;
        if image.loads.iter().any(|l| is_code(&l)) {
            return image.loads.iter().filter(is_code).all(|l| in_place(&l));
        }
        // Without code nothing but the linker's list tells a library from a
        // data file; where there is no list, all that it holds must be mapped.
        linked.is_none() && image.loads.iter().filter(|l| l.file_size > 0).all(|l| in_place(&l))
    }

    /// Whether a load segment is mapped where it belongs, from the file that
    /// `header` (at the image's start) maps.
    fn is_in_place(&self, load: &Load, header: &Mapping) -> bool {
        let needed = load.protection & Protection::EXECUTE;
        self.maps.at(load.address).is_some_and(|m| {
            m.same_file(header)
                && m.protection.contains(needed)
                && m.offset_of(load.address) == header.offset.wrapping_add(load.file_offset)
        })
    }

    /// An image in anonymous memory, as loaders make that unpack libraries.
    fn named_only(&self, entry: &LinkMapEntry) -> Option<Found> {
        let mapping = self.maps.at(entry.addr)?;
        if regions::access(&mapping, self.files.facts(&mapping)) == Access::Forbidden {
            return None;
        }
        let image = Image::at(self.memory, self.architecture, entry.addr, self.page_size)?;
        let same = image.dynamic.is_some_and(|d| d.start == entry.ld);
        same.then(|| Found { image, origin: Origin::Named(entry.name.clone()) })
    }
}
