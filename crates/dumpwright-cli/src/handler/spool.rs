//! The fallback: a dump of the core itself, when `/proc` cannot be read. The
//! core goes into a file without a name first, because it has to be read here
//! and there.

use super::folder::Folder;
use dumpwright::{DumpRequest, Error, Observer, OpenOptions, Summary, dump_file};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// Dumps the core that is `taken` and then `pipe`. Of the core, as of the dump,
/// no more than `room` bytes are written to the folder's disk; a longer one is
/// dumped as far as it goes.
///
/// # Errors
/// The core cannot be stored, or is none.
pub fn dump(
    taken: &[u8],
    pipe: Option<File>,
    request: &DumpRequest,
    folder: &Folder,
    room: u64,
    observer: &dyn Observer,
) -> Result<Summary, Error> {
    let failed =
        |source| Error::Io { action: "store the core in", file: folder.path().to_owned(), source };
    let mut core = tempfile::tempfile_in(folder.path()).map_err(failed)?;
    core.write_all(taken).map_err(failed)?;
    if let Some(pipe) = pipe {
        let left = room.saturating_sub(taken.len() as u64);
        io::copy(&mut pipe.take(left), &mut core).map_err(failed)?;
    }
    let path = PathBuf::from(format!("/proc/self/fd/{}", core.as_raw_fd()));
    let options = OpenOptions::default();
    dump_file(&path, request, &options, observer)
}
