//! Bytes as a file in memory: a fuzz target makes thousands of them a second.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// A file of these bytes, at its start.
pub fn file(bytes: &[u8]) -> File {
    let made = rustix::fs::memfd_create("fuzz", rustix::fs::MemfdFlags::CLOEXEC);
    let mut file = File::from(made.expect("a file in memory can be made"));
    file.write_all(bytes).and_then(|()| file.rewind()).expect("it can be written");
    file
}

/// The name that the file can be opened by.
#[allow(dead_code, reason = "not every target opens its file by name")]
pub fn path(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}
