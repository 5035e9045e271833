//! The programs and libraries that a process had mapped, on this machine.
//!
//! A file counts as the one that was mapped only if its build id is that of
//! the image in the core. Then its bytes stand for pages that the process
//! cannot have changed: those of segments that are not writable.

use super::memory::CoreMemory;
use crate::address::AddressRange;
use crate::target::linux::elf::Image;
use crate::target::linux::elf_file::ElfFile;
use crate::target::linux::mapped_file::{FileFacts, Files};
use crate::target::linux::mapping::Mapping;
use crate::target::linux::maps::Maps;
use crate::target::linux::root;
use crate::target::{DebugId, ModuleSnapshot, Protection};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What the kernel appends to the path of a file without a name.
const DELETED: &[u8] = b" (deleted)";
/// `DT_TEXTREL`: the dynamic linker changed the code.
const DT_TEXTREL: object::elf::DynamicTag = object::elf::DT_TEXTREL;
/// `DF_TEXTREL` in `DT_FLAGS`.
const DF_TEXTREL: u64 = 4;

/// Looks for files in a root directory.
#[derive(Clone, Debug)]
pub(super) struct CoreFiles {
    root: PathBuf,
}

impl CoreFiles {
    /// Those below `sysroot`, or this machine's.
    pub fn new(sysroot: Option<&Path>) -> Self {
        CoreFiles { root: sysroot.unwrap_or(Path::new("/")).to_owned() }
    }

    /// Opens a file by the path that the process had for it.
    fn find(&self, path: &[u8]) -> io::Result<File> {
        let path = path.strip_suffix(DELETED).unwrap_or(path);
        if path.first() != Some(&b'/') {
            return Err(io::Error::new(io::ErrorKind::NotFound, "it has no path"));
        }
        let found = root::find(&self.root, Path::new(OsStr::from_bytes(path)))?;
        root::open_regular(&found)
    }

    /// Opens the file with this path, if it has this build id.
    fn find_identified(&self, path: &[u8], build_id: &[u8]) -> io::Result<File> {
        let file = self.find(path)?;
        let own = ElfFile::new(file.try_clone()?, 0).and_then(|elf| elf.build_id());
        if own.as_deref() == Some(build_id) {
            return Ok(file);
        }
        let path = String::from_utf8_lossy(path);
        let message = format!("'{path}' on this machine is another build; give --sysroot");
        Err(io::Error::new(io::ErrorKind::NotFound, message))
    }

    /// Opens the file of a module, if it is the same build.
    ///
    /// # Errors
    /// It is not there, or is another.
    pub fn open_module(&self, module: &ModuleSnapshot) -> io::Result<File> {
        match &module.debug_id {
            DebugId::ElfBuildId(id) => self.find_identified(module.path.as_bytes(), id),
            _ => Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the core holds no build id of it, so that no file can be told to be it",
            )),
        }
    }

    /// Fills in what the core left out of an image that `header` is the start
    /// of; answers why not, if pages stay missing.
    pub fn fill(
        &self,
        image: &Image,
        header: &Mapping,
        maps: &Maps,
        memory: &mut CoreMemory,
        page_size: u64,
    ) -> Result<(), String> {
        let range = image.range(page_size);
        let mapped = || maps.mappings.within(range).filter(move |m| m.same_file(header));
        let wanted: Vec<(AddressRange, u64)> = mapped()
            .filter(|m| !m.protection.contains(Protection::WRITE))
            .filter(|m| !is_writable_segment(image, m.range, page_size))
            .filter(|m| !memory.present(m.range).missing_from(m.range).is_empty())
            .map(|m| (m.range, m.offset))
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let Some(id) = image.build_id(memory) else {
            return Err("the core holds no build id of it".into());
        };
        if has_text_relocations(image, memory) {
            return Err("its code was relocated, so that its file has other bytes".into());
        }
        let file = self.find_identified(&header.name, &id).map_err(|error| error.to_string())?;
        let size = file.metadata().map_err(|error| error.to_string())?.len();
        let file = memory.add_file(file);
        for (range, offset) in wanted {
            // Behind the file's last page there is nothing.
            let pages = size.saturating_sub(offset).next_multiple_of(page_size);
            let backed = AddressRange::with_len(range.start, pages).intersection(range);
            memory.fill(backed, file, offset);
        }
        Ok(())
    }
}

/// Whether a mapping belongs to a segment that the program may have written to
/// before it was protected (RELRO).
fn is_writable_segment(image: &Image, range: AddressRange, page_size: u64) -> bool {
    image
        .loads
        .iter()
        .filter(|l| l.protection.contains(Protection::WRITE))
        .any(|l| l.pages(page_size).overlaps(range))
}

fn has_text_relocations(image: &Image, memory: &CoreMemory) -> bool {
    let Some(dynamic) = image.read_dynamic(memory) else { return false };
    dynamic.value(DT_TEXTREL).is_some()
        || dynamic.value(object::elf::DT_FLAGS).is_some_and(|flags| flags & DF_TEXTREL != 0)
}

impl Files for CoreFiles {
    fn facts(&self, _: &Mapping) -> Option<FileFacts> {
        // A core says no more than that it is a file.
        Some(FileFacts::UNKNOWN)
    }

    fn path(&self, mapping: &Mapping) -> Vec<u8> {
        let name = &mapping.name;
        name.strip_suffix(DELETED).unwrap_or(name).to_vec()
    }

    fn is_mapped_file(&self, mapping: &Mapping, path: &[u8]) -> bool {
        // Whether the one is a link to the other.
        let real = |path: &[u8]| {
            let file = self.find(path).ok()?;
            let metadata = file.metadata().ok()?;
            Some((
                std::os::unix::fs::MetadataExt::dev(&metadata),
                std::os::unix::fs::MetadataExt::ino(&metadata),
            ))
        };
        real(&mapping.name).is_some_and(|mapped| real(path) == Some(mapped))
    }

    fn open(&self, mapping: &Mapping) -> io::Result<File> {
        let _ = mapping;
        // Only a file whose build id the core confirms may be looked into, and
        // what is wanted of that is in memory already.
        Err(io::Error::new(io::ErrorKind::NotFound, "a core has no files"))
    }
}
