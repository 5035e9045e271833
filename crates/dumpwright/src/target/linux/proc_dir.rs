//! The `/proc` directory of a process, reached through a thread that lives.
//!
//! Once the main thread has exited, most files of `/proc/<pid>` are empty
//! although the process goes on; those of any live thread still answer for the
//! whole process.

use super::root::{self, RootPrefix};
use crate::target::{Pid, Tid};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// `/proc/<tid>` of a live thread of the process: process-wide files are read
/// through it, because those of an exited main thread are empty.
#[derive(Clone, Debug)]
pub(super) struct ProcDir {
    /// The process.
    pub pid: Pid,
    /// A thread of it that has not exited.
    pub live: Tid,
}

impl ProcDir {
    /// The directory of process `pid`, through its live thread `live`.
    pub fn new(pid: Pid, live: Tid) -> Self {
        ProcDir { pid, live }
    }

    /// Path of a process-wide file.
    pub fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.live))
    }

    /// Reads a process-wide file.
    pub fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        read_all(&self.path(name))
    }

    /// What to take off a path that `/proc` tells, to have it as the target
    /// sees it.
    pub fn root_prefix(&self) -> RootPrefix {
        RootPrefix::of(&self.path("root"))
    }

    /// Finds `path` as the target would, inside its own root: neither `..` nor
    /// an absolute symbolic link leads out of it. The descriptor is `O_PATH`:
    /// nothing is opened, so no device, FIFO or automount reacts.
    pub fn find_in_root(&self, path: &Path) -> io::Result<OwnedFd> {
        root::find(&self.path("root"), path)
    }

    /// Opens the regular file `path` of the target's root for reading.
    pub fn open_in_root(&self, path: &Path) -> io::Result<File> {
        root::open_regular(&self.find_in_root(path)?)
    }

    /// Reads at most `max` bytes of the regular file `path` of the target's root.
    pub fn read_in_root(&self, path: &Path, max: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open_in_root(path)?.take(max).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Reads a `/proc` file, whose size is not known beforehand. The kernel hands
/// out about a page a call whatever the buffer, so its growth is what costs.
fn read_all(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(16 * 1024);
    // `take` hides the file, whose size would be asked for in vain.
    File::open(path)?.take(u64::MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}
