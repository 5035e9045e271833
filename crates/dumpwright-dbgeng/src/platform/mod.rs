//! What differs between the systems: text, handles, and processes as the
//! system lists, starts and ends them.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
pub use linux::*;
#[cfg(windows)]
pub use windows::*;

use std::ffi::OsString;
use std::path::PathBuf;

/// How to start a process.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Its command line.
    pub command_line: OsString,
    /// `CreateProcess` flags, which only Windows knows.
    #[cfg_attr(not(windows), expect(dead_code, reason = "only Windows has them"))]
    pub flags: u32,
    /// Its working directory, if not the caller's.
    pub directory: Option<PathBuf>,
    /// Its environment as `NAME=value`, if not the caller's.
    pub environment: Option<Vec<OsString>>,
}

/// A running process as a list shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Path of its executable.
    pub executable: String,
    /// Its command line.
    pub command_line: String,
}
