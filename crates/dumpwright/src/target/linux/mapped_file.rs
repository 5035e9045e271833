//! The files behind mappings: what they are, what they are called, and opening
//! them — deleted or replaced since, or in another mount namespace.
//!
//! `/proc/<pid>/map_files` leads to the very file, but needs a capability in
//! the initial user namespace. Otherwise the path is looked up in the target's
//! root and believed only if device and inode are those of the mapping.

use super::mapping::Mapping;
use super::proc_dir::ProcDir;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Statx, StatxFlags};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What the kernel appends to the path of a file without a name.
const DELETED: &[u8] = b" (deleted)";

/// Major and minor device number, and inode.
type Identity = (u32, u32, u64);
/// A file and the name that a mapping has for it.
type Named = (Identity, Vec<u8>);

/// What kind of object a mapping maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::target) enum FileKind {
    /// A regular file, shared memory included.
    Regular,
    /// `/dev/zero`: memory.
    Zero,
    /// Any other device.
    Device,
    /// A socket, an anonymous inode, …
    Special,
}

/// What is known of a file.
#[derive(Clone, Copy, Debug)]
pub(in crate::target) struct FileFacts {
    /// Its kind.
    pub kind: FileKind,
    /// Its length in bytes.
    pub size: u64,
    /// Device and inode as `stat` tells them; on some file systems (btrfs,
    /// overlayfs) `maps` tells others.
    identity: Identity,
}

impl FileFacts {
    /// A regular file of which nothing else is known.
    pub(in crate::target) const UNKNOWN: FileFacts =
        FileFacts { kind: FileKind::Regular, size: u64::MAX, identity: (0, 0, 0) };

    fn of(stat: &Statx) -> Self {
        let kind = match FileType::from_raw_mode(stat.stx_mode.into()) {
            FileType::RegularFile => FileKind::Regular,
            FileType::CharacterDevice if (stat.stx_rdev_major, stat.stx_rdev_minor) == (1, 5) => {
                FileKind::Zero
            }
            FileType::CharacterDevice | FileType::BlockDevice => FileKind::Device,
            _ => FileKind::Special,
        };
        let identity = (stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino);
        FileFacts { kind, size: stat.stx_size, identity }
    }
}

/// The files behind mappings, wherever they come from.
pub(in crate::target) trait Files {
    /// What the file of `mapping` is; `None` if it cannot be found.
    fn facts(&self, mapping: &Mapping) -> Option<FileFacts>;

    /// The path of the mapped file as the target sees it, without the kernel's
    /// ` (deleted)` (which is kept where the file is really called so).
    fn path(&self, mapping: &Mapping) -> Vec<u8>;

    /// Whether `path` in the target's root is the file that `mapping` maps.
    fn is_mapped_file(&self, mapping: &Mapping, path: &[u8]) -> bool;

    /// Opens the file of `mapping`.
    ///
    /// # Errors
    /// The file is gone, or is not a regular one.
    fn open(&self, mapping: &Mapping) -> io::Result<File>;
}

/// The files that a process has mapped.
pub(super) struct MappedFiles<'a> {
    proc: &'a ProcDir,
    /// By device and inode: thousands of mappings are of few files.
    facts: RefCell<HashMap<Identity, Option<FileFacts>>>,
    /// Mapped path, by device and inode and the name in the mapping.
    paths: RefCell<HashMap<Named, Vec<u8>>>,
}

impl<'a> MappedFiles<'a> {
    /// The files that the process of `proc` has mapped.
    pub(super) fn new(proc: &'a ProcDir) -> Self {
        MappedFiles { proc, facts: RefCell::default(), paths: RefCell::default() }
    }
}

impl Files for MappedFiles<'_> {
    fn facts(&self, mapping: &Mapping) -> Option<FileFacts> {
        let key = identity(mapping);
        limit(&mut self.facts.borrow_mut());
        *self.facts.borrow_mut().entry(key).or_insert_with(|| {
            let through_link = rustix::fs::statx(
                CWD,
                map_file(self.proc, mapping),
                AtFlags::STATX_DONT_SYNC,
                StatxFlags::BASIC_STATS,
            );
            match through_link {
                Ok(stat) => Some(FileFacts::of(&stat)),
                Err(_) => find_by_name(self.proc, mapping).ok().map(|(_, facts)| facts),
            }
        })
    }

    fn path(&self, mapping: &Mapping) -> Vec<u8> {
        let name = &mapping.name;
        let Some(stripped) = name.strip_suffix(DELETED) else { return name.to_vec() };
        let key = (identity(mapping), name.to_vec());
        let mut paths = self.paths.borrow_mut();
        limit(&mut paths);
        let path = paths.entry(key).or_insert_with(|| {
            if self.is_mapped_file(mapping, name) { name.to_vec() } else { stripped.to_vec() }
        });
        path.clone()
    }

    fn is_mapped_file(&self, mapping: &Mapping, path: &[u8]) -> bool {
        let Ok((_, found)) = find(self.proc, path) else { return false };
        match self.facts(mapping) {
            Some(facts) => facts.identity == found.identity,
            None => is_same(mapping, found),
        }
    }

    fn open(&self, mapping: &Mapping) -> io::Result<File> {
        open(self.proc, mapping)
    }
}

/// Opens the regular file behind `mapping` for reading.
///
/// # Errors
/// The file is gone and `map_files` may not be used, or it is not a regular
/// file.
pub(super) fn open(proc: &ProcDir, mapping: &Mapping) -> io::Result<File> {
    let link =
        rustix::fs::open(map_file(proc, mapping), OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let found = match link {
        Ok(fd) => fd,
        Err(_) => find_by_name(proc, mapping)?.0,
    };
    super::root::open_regular(&found)
}

/// Forgets what was found out, once it is much: mappings of one file are near
/// each other.
fn limit<K, V>(found: &mut HashMap<K, V>) {
    const MUCH: usize = 8192;
    if found.len() >= MUCH {
        found.clear();
    }
}

/// Device and inode as `maps` tells them.
fn identity(mapping: &Mapping) -> Identity {
    (mapping.device.0, mapping.device.1, mapping.inode)
}

/// The link of `map_files` for a mapping; its numbers are not padded.
fn map_file(proc: &ProcDir, mapping: &Mapping) -> PathBuf {
    proc.path(&format!("map_files/{:x}-{:x}", mapping.range.start, mapping.range.end))
}

fn find(proc: &ProcDir, path: &[u8]) -> io::Result<(OwnedFd, FileFacts)> {
    let found = proc.find_in_root(Path::new(OsStr::from_bytes(path)))?;
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let stat = rustix::fs::statx(&found, "", flags, StatxFlags::BASIC_STATS)?;
    Ok((found, FileFacts::of(&stat)))
}

/// Finds the file of a mapping by its path, and only that file.
fn find_by_name(proc: &ProcDir, mapping: &Mapping) -> io::Result<(OwnedFd, FileFacts)> {
    let gone = || io::Error::new(io::ErrorKind::NotFound, "another file has its path now");
    let name = &mapping.name;
    if name.first() != Some(&b'/') {
        return Err(io::Error::new(io::ErrorKind::NotFound, "it has no path"));
    }
    let (fd, facts) = find(proc, name)?;
    if is_same(mapping, facts) { Ok((fd, facts)) } else { Err(gone()) }
}

/// Whether a file found by name is the mapped one. File systems that give
/// `stat` a device of its own (major number 0) are told by the inode alone.
fn is_same(mapping: &Mapping, facts: FileFacts) -> bool {
    let (major, minor, inode) = facts.identity;
    inode == mapping.inode && ((major, minor) == mapping.device || major == 0)
}
