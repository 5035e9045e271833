//! Temporary files on Linux: everything is done relative to the opened folder.

use super::Existing;
use rustix::fs::{AtFlags, CWD, FallocateFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::{File, FileType};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Owner reads and writes: a dump holds everything that its process knew.
const MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// An opened folder.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

impl Folder {
    /// Opens `path`; the working directory if it is empty.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Folder(rustix::fs::openat(CWD, path, flags, Mode::empty())?))
    }

    /// What `name` stands for.
    pub(super) fn kind_of(&self, name: &OsStr) -> io::Result<Existing> {
        let stat = match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(Existing::Nothing),
            Err(e) => return Err(e.into()),
        };
        if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_symlink() {
            let behind = self.file_type(name, OFlags::empty());
            return Ok(behind.map_or(Existing::DanglingLink, Existing::File));
        }
        match self.file_type(name, OFlags::NOFOLLOW) {
            Err(Errno::NOENT) => Ok(Existing::Nothing),
            kind => Ok(Existing::File(kind?)),
        }
    }

    fn file_type(&self, name: &OsStr, follow: OFlags) -> Result<FileType, Errno> {
        // `O_PATH` opens nothing: no device is woken, no pipe waited for.
        let flags = OFlags::PATH | OFlags::CLOEXEC | follow;
        let fd = rustix::fs::openat(&self.0, name, flags, Mode::empty())?;
        let metadata = File::from(fd).metadata();
        metadata.map(|m| m.file_type()).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))
    }

    /// Creates a file under a name that nothing had.
    fn create_temporary(&self) -> io::Result<(OsString, File)> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for attempt in 0..100_u32 {
            // A fresh `RandomState` has keys of its own from the system's
            // randomness; nobody can lay out the names beforehand.
            let random = RandomState::new().hash_one((std::process::id(), attempt));
            let name = OsString::from(format!(".dumpwright-{random:016x}.part"));
            match rustix::fs::openat(&self.0, &name, flags, MODE) {
                Ok(fd) => {
                    // Says that its writer lives, to whoever cleans up; where a
                    // file system knows no locks, its age has to do.
                    let _ = rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive);
                    return Ok((name, File::from(fd)));
                }
                Err(Errno::EXIST) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Err(Errno::EXIST.into())
    }
}

/// A file with a temporary name, removed when it is dropped without a final one.
#[derive(Debug)]
pub(super) struct Temporary {
    part: Arc<Part>,
    name: OsString,
    file: File,
}

/// A temporary name, removed if it was not renamed.
#[derive(Debug)]
struct Part {
    folder: Folder,
    name: OsString,
    published: AtomicBool,
}

impl Part {
    fn remove(&self) {
        if !self.published.swap(true, Ordering::Relaxed) {
            // Nobody is left to tell; the name is one that says what it is.
            let _ = rustix::fs::unlinkat(&self.folder.0, &self.name, AtFlags::empty());
        }
    }
}

/// The temporary files that there are.
static PARTS: Mutex<Vec<Arc<Part>>> = Mutex::new(Vec::new());

fn parts() -> MutexGuard<'static, Vec<Arc<Part>>> {
    PARTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes all temporary files.
pub(super) fn remove_all() {
    parts().drain(..).for_each(|part| part.remove());
}

impl Temporary {
    /// Creates it in `folder`, to be called `name` later.
    pub(super) fn create(folder: Folder, name: OsString) -> io::Result<Self> {
        // Whoever removes all of them must not miss one that has just been made.
        let mut parts = parts();
        let (part_name, file) = folder.create_temporary()?;
        let part = Arc::new(Part { folder, name: part_name, published: AtomicBool::new(false) });
        parts.push(Arc::clone(&part));
        Ok(Temporary { part, name, file })
    }

    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    pub(super) fn folder(&self) -> &Folder {
        &self.part.folder
    }

    /// The final name.
    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }

    /// A file without a name in the same folder.
    pub(super) fn scratch(&self) -> io::Result<File> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        if let Ok(fd) = rustix::fs::openat(&self.part.folder.0, ".", flags, MODE) {
            return Ok(File::from(fd));
        }
        // The file system does not know `O_TMPFILE` (NFS, older FUSE, FAT).
        let (name, file) = self.part.folder.create_temporary()?;
        rustix::fs::unlinkat(&self.part.folder.0, &name, AtFlags::empty())?;
        Ok(file)
    }

    /// Bytes that this user may still write to the file system; `None` if it
    /// does not say.
    pub(super) fn free_space(&self) -> io::Result<Option<u64>> {
        let stat = rustix::fs::fstatvfs(&self.file)?;
        // Some user-space file systems know no sizes and leave all at zero.
        if stat.f_blocks == 0 {
            return Ok(None);
        }
        let blocks =
            if rustix::process::geteuid().is_root() { stat.f_bfree } else { stat.f_bavail };
        let block = if stat.f_frsize == 0 { stat.f_bsize } else { stat.f_frsize };
        Ok(Some(blocks.saturating_mul(block)))
    }

    /// Whether one file may have `bytes` bytes.
    pub(super) fn check_size(&mut self, bytes: u64) -> io::Result<()> {
        // Past this limit the kernel does not fail the write, it sends SIGXFSZ.
        let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize);
        if limit.current.is_some_and(|most| bytes > most) {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "it is past this process's file size limit; raise it (ulimit -f)",
            ));
        }
        // FAT ends at 4 GiB and says so only when it is reached. Where larger
        // files exist this makes a hole and takes it away again.
        if bytes > u64::from(u32::MAX) {
            let now = self.file.metadata()?.len();
            self.file.set_len(now.max(bytes))?;
            self.file.set_len(now)?;
        }
        Ok(())
    }

    /// Sets space aside; the file has `bytes` bytes from here on.
    pub(super) fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, bytes) {
            // NFS before 4.2, FAT, some user-space file systems; or no bytes.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Makes writes that failed behind our back known. Local file systems
    /// report a full disk at the write; network and user-space ones may hold
    /// it back until they are told to sync.
    pub(super) fn settle(&self) -> io::Result<()> {
        const NFS: u32 = 0x6969;
        const CIFS: u32 = 0xFF53_4D42;
        const SMB2: u32 = 0xFE53_4D42;
        const FUSE: u32 = 0x6573_5546;
        const CEPH: u32 = 0x00C3_6400;
        const V9FS: u32 = 0x0102_1997;
        let kind = rustix::fs::fstatfs(&self.file)?.f_type as u32;
        if matches!(kind, NFS | CIFS | SMB2 | FUSE | CEPH | V9FS) {
            self.file.sync_all()?;
        }
        Ok(())
    }

    /// Takes the final name, whatever had it.
    pub(super) fn replace(&mut self) -> io::Result<()> {
        let at = &self.part.folder.0;
        rustix::fs::renameat(at, &self.part.name, at, &self.name)?;
        self.part.published.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Takes the final name if nothing has it; `AlreadyExists` otherwise.
    pub(super) fn claim(&mut self) -> io::Result<()> {
        let at = &self.part.folder.0;
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(at, &self.part.name, at, &self.name, flags) {
            Ok(()) => self.part.published.store(true, Ordering::Relaxed),
            // The kernel or the file system does not know the flag. A hard link
            // claims the name as well; the temporary one goes when `self` does.
            Err(Errno::INVAL | Errno::NOSYS) => self.claim_by_link()?,
            Err(e) => return Err(e.into()),
        }
        Ok(())
    }

    /// [`claim`](Self::claim) for file systems without `RENAME_NOREPLACE`.
    pub(super) fn claim_by_link(&self) -> io::Result<()> {
        let at = &self.part.folder.0;
        Ok(rustix::fs::linkat(at, &self.part.name, at, &self.name, AtFlags::empty())?)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        self.part.remove();
        parts().retain(|part| !Arc::ptr_eq(part, &self.part));
    }
}
