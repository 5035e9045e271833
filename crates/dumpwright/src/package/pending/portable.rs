//! Temporary files by the means that every platform has.

use super::Existing;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::NamedTempFile;

/// A folder, by its absolute path.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Resolves `path`; the working directory if it is empty.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        // Wine does not resolve paths longer than 260 units.
        let path = path.canonicalize().or_else(|_| std::path::absolute(path))?;
        if !path.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Folder(path))
    }

    /// What `name` stands for.
    pub(super) fn kind_of(&self, name: &OsStr) -> io::Result<Existing> {
        let path = self.0.join(name);
        match path.symlink_metadata() {
            Ok(found) if found.is_symlink() => Ok(path
                .metadata()
                .map_or(Existing::DanglingLink, |found| Existing::File(found.file_type()))),
            Ok(found) => Ok(Existing::File(found.file_type())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Existing::Nothing),
            Err(e) => Err(e),
        }
    }
}

/// A file with a temporary name, removed when it is dropped without a final one.
#[derive(Debug)]
pub(super) struct Temporary {
    folder: Folder,
    name: OsString,
    // `None` once it has its final name.
    file: Option<NamedTempFile>,
}

/// The temporary files that there are.
static PARTS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn parts() -> MutexGuard<'static, Vec<PathBuf>> {
    PARTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes all temporary files.
#[cfg_attr(target_os = "linux", expect(dead_code, reason = "tests run in one process"))]
pub(super) fn remove_all() {
    for part in parts().drain(..) {
        // Nobody is left to tell; the name is one that says what it is.
        let _ = std::fs::remove_file(part);
    }
}

impl Temporary {
    /// Creates it in `folder`, to be called `name` later.
    pub(super) fn create(folder: Folder, name: OsString) -> io::Result<Self> {
        // Whoever removes all of them must not miss one that has just been made.
        let mut parts = parts();
        let file = tempfile::Builder::new()
            .prefix(".dumpwright-")
            .suffix(".part")
            .rand_bytes(16)
            .tempfile_in(&folder.0)?;
        parts.push(file.path().to_owned());
        Ok(Temporary { folder, name, file: Some(file) })
    }

    pub(super) fn file(&mut self) -> &mut File {
        self.file.as_mut().expect("publishing consumes the pending file").as_file_mut()
    }

    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The final name.
    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }

    /// A file without a name in the same folder.
    pub(super) fn scratch(&self) -> io::Result<File> {
        tempfile::tempfile_in(&self.folder.0)
    }

    /// Bytes that this user may still write. Some file servers do not tell.
    #[cfg(windows)]
    #[expect(clippy::unnecessary_wraps, reason = "as on Linux")]
    pub(super) fn free_space(&self) -> io::Result<Option<u64>> {
        Ok(crate::target::windows::free_space(&self.folder.0).ok())
    }

    /// Nothing portable tells.
    #[cfg(not(windows))]
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "as on Linux")]
    pub(super) fn free_space(&self) -> io::Result<Option<u64>> {
        Ok(None)
    }

    /// Nothing portable tells.
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "as on Linux")]
    pub(super) fn check_size(&mut self, _bytes: u64) -> io::Result<()> {
        Ok(())
    }

    /// Nothing portable does.
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "as on Linux")]
    pub(super) fn reserve(&mut self, _bytes: u64) -> io::Result<()> {
        Ok(())
    }

    /// Makes writes that failed behind our back known.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        self.file().sync_all()
    }

    fn take(&mut self) -> NamedTempFile {
        let file = self.file.take().expect("publishing consumes the pending file");
        parts().retain(|part| part != file.path());
        file
    }

    /// Takes the final name, whatever had it.
    pub(super) fn replace(&mut self) -> io::Result<()> {
        let file = self.take();
        file.persist(self.folder.0.join(&self.name)).map(drop).map_err(|e| e.error)
    }

    /// Takes the final name if nothing has it; `AlreadyExists` otherwise.
    pub(super) fn claim(&mut self) -> io::Result<()> {
        let file = self.take();
        file.persist_noclobber(self.folder.0.join(&self.name)).map(drop).map_err(|e| e.error)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            parts().retain(|part| part != file.path());
        }
    }
}
