//! The modules of a process: every ELF image that is loaded, with name, build
//! id, version and segments.
//!
//! A module without a build id is never dropped: its id becomes Breakpad's
//! stand-in, a hash of the start of `.text`, or [`DebugId::None`].

use super::elf::Image;
use super::elf_file::ElfFile;
use super::images::{Found, Origin};
use super::mapped_file::Files;
use super::mapping::Mapping;
use super::{debug_id, unwind, version};
use crate::address::AddressRange;
use crate::target::{DebugId, MemorySource, ModuleSnapshot, Segment, Wants};
use std::cell::LazyCell;

/// The name under which the field's readers know the vDSO.
pub(in crate::target) const VDSO_NAME: &str = "linux-gate.so";

/// Describes modules.
pub(in crate::target) struct ModuleDescriber<'a> {
    /// Mapped files of the process.
    pub files: &'a dyn Files,
    /// Its memory.
    pub memory: &'a dyn MemorySource,
    /// Bytes of a page.
    pub page_size: u64,
    /// Which parts of an image are asked for.
    pub headers: Headers,
}

/// Parts of an image that say what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::target) enum Headers {
    /// None.
    No,
    /// What debuggers know it by: header, program headers and build id.
    Identity,
    /// The same, with dynamic section and unwind tables.
    Unwinding,
}

impl Headers {
    /// What a request wants of them.
    pub fn wanted(wants: &Wants) -> Headers {
        match (wants.module_headers, wants.process_data) {
            (true, _) => Headers::Unwinding,
            (false, true) => Headers::Identity,
            (false, false) => Headers::No,
        }
    }
}

impl ModuleDescriber<'_> {
    /// Describes one image.
    pub fn describe(&self, found: &Found) -> ModuleSnapshot {
        let image = &found.image;
        let range = image.range(self.page_size);
        let file = LazyCell::new(|| match &found.origin {
            Origin::File(mapping) => ElfFile::new(self.files.open(mapping).ok()?, mapping.offset),
            Origin::Vdso | Origin::Named(_) => None,
        });
        let soname = image.soname(self.memory);
        let (path, version) = self.name(found, soname.as_deref());
        ModuleSnapshot {
            base: range.start,
            size: range.len(),
            path,
            debug_id: debug_id::find(self.memory, image, || file.as_ref()),
            version,
            time_date_stamp: 0,
            check_sum: 0,
            segments: segments(image, self.page_size),
            headers: match (self.headers, &found.origin) {
                (Headers::No, _) => Vec::new(),
                // The vDSO is in no file: all of it goes along.
                (_, Origin::Vdso) => vec![range],
                (Headers::Identity, _) => unwind::identity_ranges(image, self.page_size),
                (Headers::Unwinding, _) => {
                    unwind::header_ranges(self.memory, image, file.as_ref(), self.page_size)
                }
            },
        }
    }

    /// Path and version of a module.
    fn name(&self, found: &Found, soname: Option<&[u8]>) -> (String, Option<[u16; 4]>) {
        let mapping = match &found.origin {
            Origin::File(mapping) => mapping,
            Origin::Vdso => return (VDSO_NAME.to_owned(), None),
            Origin::Named(name) => return (name.clone(), version::in_name(name.as_bytes())),
        };
        let mapped = self.files.path(mapping);
        let file_name = mapped.rsplit(|b| *b == b'/').next().unwrap_or_default();
        let version = [Some(file_name), soname]
            .into_iter()
            .flatten()
            .filter_map(version::in_name)
            // `libfoo.so.1.2.3` says more than its SONAME `libfoo.so.1`.
            .max_by_key(|v| v.iter().rposition(|part| *part != 0));
        let path = soname
            .filter(|soname| *soname != file_name && !soname.contains(&b'/'))
            .and_then(|soname| self.soname_path(mapping, &mapped, soname))
            .unwrap_or_else(|| mapped.clone());
        (String::from_utf8_lossy(&path).into_owned(), version)
    }

    /// Breakpad's convention for a module whose SONAME is not its file name:
    /// inside an archive it is `archive/soname`; else its SONAME in the same
    /// folder, where that is (a link to) the same file.
    fn soname_path(&self, mapping: &Mapping, mapped: &[u8], soname: &[u8]) -> Option<Vec<u8>> {
        if mapping.offset != 0 {
            return Some([mapped, b"/", soname].concat());
        }
        let folder = mapped.len() - mapped.rsplit(|b| *b == b'/').next()?.len();
        let path = [&mapped[..folder], soname].concat();
        self.files.is_mapped_file(mapping, &path).then_some(path)
    }
}

/// Ends each module where the next begins. The dynamic linker's segments can
/// leave a gap (64-bit ARM aligns them to 64 KiB), and the kernel puts the vDSO
/// right into it: readers take modules that overlap for damage, and drop one.
/// What is cut off, the linker's data, has no code; the segments keep it.
pub(in crate::target) fn keep_apart(modules: &mut [ModuleSnapshot]) {
    let mut bases: Vec<u64> = modules.iter().map(|module| module.base).collect();
    bases.sort_unstable();
    for module in modules {
        let next = bases.partition_point(|base| *base <= module.base);
        if let Some(next) = bases.get(next) {
            module.size = module.size.min(next - module.base);
        }
    }
}

/// Load segments in whole pages. Where two share a page, it is the later one's,
/// as when the kernel maps one over the other.
fn segments(image: &Image, page_size: u64) -> Vec<Segment> {
    let mut segments: Vec<Segment> = image
        .loads
        .iter()
        .map(|load| Segment { range: load.pages(page_size), protection: load.protection })
        .collect();
    segments.sort_by_key(|s| s.range.start);
    for i in 1..segments.len() {
        let next = segments[i].range.start;
        let range = &mut segments[i - 1].range;
        *range = AddressRange::new(range.start, range.end.min(next));
    }
    segments.retain(|s| !s.range.is_empty());
    segments
}

/// Whether anything identifies a module, for a note.
pub(in crate::target) fn is_identified(module: &ModuleSnapshot) -> bool {
    module.debug_id != DebugId::None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_ends_where_one_between_its_segments_begins() {
        let module = |base, size| ModuleSnapshot {
            base,
            size,
            path: String::new(),
            debug_id: DebugId::None,
            version: None,
            time_date_stamp: 0,
            check_sum: 0,
            segments: Vec::new(),
            headers: Vec::new(),
        };
        // The executable stands first, wherever it is.
        let mut modules = [module(0x9000, 0x1000), module(0x1000, 0x4000), module(0x4000, 0x800)];
        keep_apart(&mut modules);
        assert_eq!(modules.map(|m| m.size), [0x1000, 0x3000, 0x800]);
    }
}
