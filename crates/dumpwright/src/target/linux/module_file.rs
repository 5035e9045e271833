//! Opening the files that modules were mapped from, as the target sees them.
//!
//! `/proc/<tid>/map_files` leads to the very file that is mapped, deleted or
//! replaced as it may be, but needs `CAP_SYS_ADMIN` or
//! `CAP_CHECKPOINT_RESTORE`. Otherwise the path is looked up in the target's
//! own root, and the file found there is held against the inode that is mapped.

use super::mapping::Mapping;
use super::maps::Maps;
use super::proc_dir::ProcDir;
use super::root;
use crate::target::ModuleSnapshot;
use rustix::fs::{Mode, OFlags};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How to find the module files of one process.
#[derive(Debug)]
pub(super) struct ModuleFiles {
    proc: ProcDir,
    /// What was mapped when the process was held.
    maps: Arc<Maps>,
    /// The target's root directory, which stays the same when the process ends.
    root: Option<OwnedFd>,
}

impl ModuleFiles {
    /// Those of a process that is held, with these mappings.
    pub(super) fn of(proc: ProcDir, maps: Arc<Maps>) -> Self {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(proc.path("root"), flags, Mode::empty()).ok();
        ModuleFiles { proc, maps, root }
    }

    /// A mapping of the file that is mapped at `address`.
    fn at(&self, address: u64) -> Option<Mapping> {
        self.maps.at(address).filter(Mapping::is_file)
    }

    /// Opens the file that `module` was mapped from.
    ///
    /// # Errors
    /// It is not mapped from a file, the file is gone, or another one has taken
    /// its place.
    pub(super) fn open(&self, module: &ModuleSnapshot) -> io::Result<File> {
        let mapping = self.at(module.base).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, "the module is not mapped from a file")
        })?;
        match self.open_mapped(&mapping) {
            Ok(file) => Ok(file),
            Err(_) => self.open_by_path(&mapping),
        }
    }

    /// Through `map_files`. The link is verified too: once the process is
    /// released its number can come to mean another.
    fn open_mapped(&self, mapping: &Mapping) -> io::Result<File> {
        let range = mapping.range;
        let link = self.proc.path(&format!("map_files/{:x}-{:x}", range.start, range.end));
        verified(File::open(link)?, mapping)
    }

    fn open_by_path(&self, mapping: &Mapping) -> io::Result<File> {
        let root = self.root.as_ref().ok_or_else(|| {
            io::Error::new(io::ErrorKind::PermissionDenied, "the target's root cannot be opened")
        })?;
        let root = PathBuf::from(format!("/proc/self/fd/{}", root.as_raw_fd()));
        let found = root::find(&root, Path::new(OsStr::from_bytes(&mapping.name)))?;
        verified(root::open_regular(&found)?, mapping)
    }
}

/// The file, if it is the one that is mapped.
///
/// The inode decides: `maps` and `stat` disagree about the device on file
/// systems with volumes or layers (btrfs, overlayfs).
fn verified(file: File, mapping: &Mapping) -> io::Result<File> {
    let inode = file.metadata()?.ino();
    if inode == mapping.inode {
        return Ok(file);
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        format!(
            "'{}' is another file (inode {inode}) than the one that is mapped (inode {}); it was replaced since",
            String::from_utf8_lossy(&mapping.name),
            mapping.inode
        ),
    ))
}

#[cfg(test)]
impl ModuleFiles {
    /// Whether the file at `base` is found by its path alone.
    pub(super) fn opens_by_path(&self, base: u64) -> bool {
        let mapping = self.at(base);
        mapping.is_some_and(|mapping| self.open_by_path(&mapping).is_ok())
    }
}
