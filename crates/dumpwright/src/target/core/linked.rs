//! Files that a core does not list, by the dynamic linker's list.
//!
//! The kernel leaves `NT_FILE` out of cores of processes with some 65,000
//! mappings, and QEMU always does.

use super::files::CoreFiles;
use super::notes::MappedFile;
use crate::address::AddressRange;
use crate::target::linux::auxv::{AT_EXECFN, Auxv};
use crate::target::linux::elf::Image;
use crate::target::linux::images::ImageFinder;
use crate::target::linux::link_map::LinkMap;
use crate::target::linux::maps::Maps;
use crate::target::{Architecture, MemorySource};

/// Bytes of a path.
const MAX_PATH: usize = 4096;

/// A mapped part of a file; as [`MappedFile`], with a path of its own.
pub(super) struct LinkedFile {
    range: AddressRange,
    offset: u64,
    path: Vec<u8>,
}

impl LinkedFile {
    /// As a note would have it.
    pub fn as_mapped(&self) -> MappedFile<'_> {
        MappedFile { range: self.range, offset: self.offset, path: &self.path }
    }
}

/// The files that the dynamic linker loaded, where their headers are in the core.
pub(super) fn files(
    architecture: Architecture,
    maps: &Maps,
    memory: &dyn MemorySource,
    auxv: &Auxv,
    page_size: u64,
    files: &CoreFiles,
) -> Vec<LinkedFile> {
    let finder = ImageFinder { architecture, maps, files, memory, auxv, page_size };
    let Some(executable) = finder.executable() else { return Vec::new() };
    let name = auxv.get(AT_EXECFN).and_then(|at| memory.read_c_string(at, MAX_PATH));
    let list = LinkMap::read(memory, &executable.image, &mut Vec::new());
    let linked = list.into_iter().flat_map(|list| list.debug.entries).filter_map(|entry| {
        let image = Image::at(memory, architecture, entry.addr, page_size)?;
        let same = image.dynamic.is_some_and(|dynamic| dynamic.start == entry.ld);
        same.then(|| (image, entry.name.into_bytes()))
    });
    let images = name.map(|name| (executable.image, name)).into_iter().chain(linked);
    let mut files: Vec<LinkedFile> = images
        .filter(|(_, name)| name.first() == Some(&b'/'))
        .flat_map(|(image, name)| parts(&image, &name, page_size))
        .collect();
    files.sort_by_key(|file| file.range.start);
    let mut end = 0;
    files.retain(|file| {
        let ordered = file.range.start >= end;
        if ordered {
            end = file.range.end;
        }
        ordered
    });
    files
}

/// What of its file an image maps.
fn parts(image: &Image, path: &[u8], page_size: u64) -> Vec<LinkedFile> {
    let part = |address: u64, file_offset: u64, size: u64| {
        let inside = address & (page_size - 1);
        let end = address.checked_add(size)?.checked_next_multiple_of(page_size)?;
        let range = AddressRange::new(address - inside, end);
        let offset = file_offset.checked_sub(inside)?;
        (!range.is_empty()).then(|| LinkedFile { range, offset, path: path.to_vec() })
    };
    let loads = image.loads.iter().filter(|load| load.file_size > 0);
    loads.filter_map(|load| part(load.address, load.file_offset, load.file_size)).collect()
}
