//! A file that is written under a temporary name beside its destination and
//! then takes the final name in one step.
//!
//! Whatever ends the writer early — an error, a panic, `kill -9`, a full disk —
//! the final name shows what it showed before. What differs between platforms
//! is in the module named after each; the one for Linux works relative to the opened
//! folder, so that neither `chdir` nor a folder that is moved meanwhile leads
//! it astray.

#[cfg(target_os = "linux")]
mod linux;
// Compiled for the tests on Linux too, so that it cannot rot unseen.
#[cfg(any(not(target_os = "linux"), test))]
mod portable;
#[cfg(test)]
mod tests;
#[cfg(any(windows, test))]
mod windows_names;

#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(not(target_os = "linux"))]
use portable as platform;

use crate::error::{Error, Result};
use std::ffi::OsString;
use std::fs::{File, FileType};
use std::io;
use std::path::{Path, PathBuf};

/// What happens when the destination exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// The new file takes its place in one step; a symbolic link is replaced,
    /// not followed.
    Replace,
    /// It stays as it is: [`Error::FileExists`], at once if it exists already,
    /// else when the file is published.
    Refuse,
}

/// A file that is being written under a temporary name beside its destination.
///
/// Dropped before it was [published](PendingFile::publish), it is removed.
#[derive(Debug)]
pub struct PendingFile {
    temporary: platform::Temporary,
    destination: PathBuf,
    overwrite: Overwrite,
}

impl PendingFile {
    /// Creates the temporary file, readable and writable by the owner only, in
    /// the folder of `destination`.
    ///
    /// A relative path is resolved here and now: a later change of the working
    /// directory changes nothing.
    ///
    /// # Errors
    /// [`Error::FileExists`] with [`Overwrite::Refuse`]; [`Error::Io`] if the
    /// folder does not exist or cannot be written to, or if the destination is
    /// something that no dump may take the place of: a folder, a device, a
    /// pipe.
    pub fn create(destination: &Path, overwrite: Overwrite) -> Result<PendingFile> {
        let (folder, name) = split(destination)?;
        #[cfg(windows)]
        if let Some(why) = windows_names::refusal(
            &name.to_string_lossy(),
            destination.as_os_str().as_encoded_bytes().starts_with(br"\\?\"),
        ) {
            let invalid = io::Error::new(io::ErrorKind::InvalidFilename, why);
            return Err(failed("create", destination, invalid));
        }
        let folder = platform::Folder::open(folder)
            .map_err(|e| failed("open the folder of", destination, e))?;
        check_destination(&folder, &name, destination, overwrite)?;
        let temporary = platform::Temporary::create(folder, name)
            .map_err(|e| failed("create a temporary file beside", destination, e))?;
        Ok(PendingFile { temporary, destination: destination.to_owned(), overwrite })
    }

    /// The destination, as it was given.
    pub fn destination(&self) -> &Path {
        &self.destination
    }

    /// The file, for writing from its start.
    pub fn file(&mut self) -> &mut File {
        self.temporary.file()
    }

    /// A further file in the same folder that has no name and vanishes with its
    /// last handle, for what is only needed on the way.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn scratch(&self) -> Result<File> {
        self.temporary
            .scratch()
            .map_err(|e| failed("create a temporary file beside", &self.destination, e))
    }

    /// Checks that `bytes` more can be written, so that a dump that cannot be
    /// kept is refused before anything stands still for it.
    ///
    /// # Errors
    /// [`Error::DiskFull`], and [`Error::Io`] for a file larger than the
    /// process (`ulimit -f`) or the file system (4 GiB on FAT) allows.
    pub fn check_space(&mut self, bytes: u64) -> Result<()> {
        self.temporary
            .check_size(bytes)
            .map_err(|e| failed("make a file of that size at", &self.destination, e))?;
        match self.temporary.free_space() {
            Ok(Some(available)) if available < bytes => {
                Err(Error::DiskFull { file: self.destination.clone(), needed: bytes, available })
            }
            Ok(_) => Ok(()),
            Err(e) => Err(failed("find the free space for", &self.destination, e)),
        }
    }

    /// Bytes that can still be written beside the destination, where that is
    /// known.
    pub fn free_space(&self) -> Option<u64> {
        self.temporary.free_space().ok().flatten()
    }

    /// Checks as [`check_space`](Self::check_space) and sets the space aside, so
    /// that the file, which will have exactly `bytes` bytes, is written faster
    /// and cannot run out of it. Where the file system cannot do that, it is
    /// only checked.
    ///
    /// # Errors
    /// As [`check_space`](Self::check_space).
    pub fn reserve(&mut self, bytes: u64) -> Result<()> {
        self.check_space(bytes)?;
        self.temporary
            .reserve(bytes)
            .map_err(|e| failed("set space aside for", &self.destination, e))
    }

    /// Gives the file its final name, in one step.
    ///
    /// Does not wait for the disk, except on file systems that only report
    /// failed writes when asked to sync (network and user-space ones). Call
    /// `file().sync_all()` before, for a file that must outlive a power cut.
    ///
    /// # Errors
    /// [`Error::FileExists`] with [`Overwrite::Refuse`] if the destination has
    /// come into being meanwhile: of several writers exactly one wins.
    /// [`Error::Io`]. Whatever the error, the destination is what it was and
    /// the temporary file is gone.
    pub fn publish(mut self) -> Result<()> {
        self.temporary.settle().map_err(|e| failed("write", &self.destination, e))?;
        match self.overwrite {
            Overwrite::Refuse => self.temporary.claim().map_err(|e| match e.kind() {
                io::ErrorKind::AlreadyExists => Error::FileExists(self.destination.clone()),
                _ => failed("give the finished dump the name", &self.destination, e),
            }),
            Overwrite::Replace => {
                // It may have become a device since: a second look costs little.
                let kind = self.temporary.folder().kind_of(self.temporary.name());
                kind.and_then(|kind| check_replaceable(&kind))
                    .and_then(|()| self.temporary.replace())
                    .map_err(|e| failed("replace", &self.destination, e))
            }
        }
    }
}

/// Removes every temporary file of this process, for a program that ends without
/// dropping what it has: dumps that are not published yet come to nothing.
pub fn remove_pending_files() {
    platform::remove_all();
}

/// What a name in a folder stands for.
#[derive(Debug)]
enum Existing {
    /// Nothing.
    Nothing,
    /// A symbolic link to nothing that can be reached.
    DanglingLink,
    /// This, behind a symbolic link or not.
    File(FileType),
}

fn check_destination(
    folder: &platform::Folder,
    name: &OsString,
    destination: &Path,
    overwrite: Overwrite,
) -> Result<()> {
    let kind = folder.kind_of(name).map_err(|e| failed("look at", destination, e))?;
    match overwrite {
        Overwrite::Refuse if !matches!(kind, Existing::Nothing) => {
            Err(Error::FileExists(destination.to_owned()))
        }
        _ => check_replaceable(&kind).map_err(|e| failed("replace", destination, e)),
    }
}

/// Whether a dump may take the place of `kind`. Replacing `/dev/null` or the
/// link `/dev/stdout` would be possible for root, and is never what is meant.
fn check_replaceable(kind: &Existing) -> io::Result<()> {
    match kind {
        Existing::File(kind) if kind.is_dir() => {
            Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder; add a file name"))
        }
        Existing::File(kind) if !kind.is_file() => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is a device, pipe or socket and stays one; to stream a dump write it to standard output",
        )),
        _ => Ok(()),
    }
}

/// The folder (empty for the working directory) and the name in it.
fn split(destination: &Path) -> Result<(&Path, OsString)> {
    if destination.as_os_str().is_empty() {
        return Err(Error::EmptyFileName);
    }
    // `Path` forgets what stands at the end: `dumps/` and `dumps/.` would name
    // a file `dumps`.
    let text = destination.as_os_str().as_encoded_bytes();
    let last = text.rsplit(|b| std::path::is_separator(char::from(*b))).next().unwrap_or(text);
    #[cfg(windows)]
    let last = if last.len() == text.len() { windows_names::without_drive(last) } else { last };
    match destination.file_name() {
        Some(name) if last == name.as_encoded_bytes() => {
            Ok((destination.parent().unwrap_or(Path::new("")), name.to_owned()))
        }
        _ => Err(failed(
            "create",
            destination,
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "it names a folder; add a file name with its extension",
            ),
        )),
    }
}

fn failed(action: &'static str, file: &Path, source: io::Error) -> Error {
    Error::Io { action, file: file.to_owned(), source }
}
