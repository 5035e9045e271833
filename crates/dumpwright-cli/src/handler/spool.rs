//! The fallback: a dump of the core itself, when `/proc` cannot be read. The
//! core goes into a file without a name first, because it has to be read here
//! and there.

use super::folder::Folder;
use dumpwright::{DumpRequest, Error, Observer, OpenOptions, Summary, dump_file};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// Magic number and class of an ELF file of 32 bits.
const HEAD_OF_32_BITS: [u8; 5] = [0x7F, b'E', b'L', b'F', 1];

/// The core that the kernel hands over.
pub struct Core {
    /// What was read of it first.
    pub taken: Vec<u8>,
    /// What was stored of it, `taken` included.
    stored: Option<File>,
    /// The rest; `None` once a target has it, or it is closed.
    pub pipe: Option<File>,
}

impl Core {
    /// The core that comes out of `pipe`.
    pub fn new(pipe: File) -> Core {
        Core { taken: Vec::new(), stored: None, pipe: Some(pipe) }
    }

    /// All of it, for another handler.
    ///
    /// # Errors
    /// It was closed before, or what was stored cannot be read.
    pub fn whole(&mut self) -> Result<Box<dyn Read + '_>, String> {
        let pipe = self.pipe.take().ok_or("the core is gone and cannot be forwarded")?;
        let Some(stored) = self.stored.as_mut() else {
            return Ok(Box::new(self.taken.chain(pipe)));
        };
        stored.rewind().map_err(|error| format!("the stored core cannot be read: {error}"))?;
        Ok(Box::new(stored.chain(pipe)))
    }

    /// Stores it in the folder up to `room` bytes: a longer one is dumped as far
    /// as it goes. The pipe stays open if others need the rest (`keep`).
    fn store(&mut self, folder: &Folder, room: u64, keep: bool) -> io::Result<&File> {
        let mut file = tempfile::tempfile_in(folder.path())?;
        file.write_all(&self.taken)?;
        // Bytes that were read and could not be written are lost: dropped then.
        if let Some(mut pipe) = self.pipe.take() {
            let left = room.saturating_sub(self.taken.len() as u64);
            io::copy(&mut (&mut pipe).take(left), &mut file)?;
            self.pipe = keep.then_some(pipe);
        }
        Ok(self.stored.insert(file))
    }

    /// Dumps the core itself. Core and dump together take at most `room` bytes
    /// of the folder's disk.
    ///
    /// # Errors
    /// The core cannot be stored, or is none that can be dumped.
    pub fn dump(
        &mut self,
        mut request: DumpRequest,
        folder: &Folder,
        room: u64,
        keep: bool,
        observer: &dyn Observer,
    ) -> Result<Summary, Error> {
        if self.taken.starts_with(&HEAD_OF_32_BITS) {
            let reason = "it is one of a 32-bit program, and only 64-bit ones are dumped".into();
            return Err(of_the_core(Error::NotATarget { file: PathBuf::new(), reason }));
        }
        let failed = |source| Error::Io {
            action: "store the core in",
            file: folder.path().to_owned(),
            source,
        };
        let stored = self.store(folder, room / 2, keep).map_err(failed)?;
        let size = stored.metadata().map_err(failed)?.len();
        request.extensions.max_size = Some(room.saturating_sub(size));
        let path = PathBuf::from(format!("/proc/self/fd/{}", stored.as_raw_fd()));
        dump_file(&path, &request, &OpenOptions::default(), observer).map_err(of_the_core)
    }
}

/// Whose file has no name that would tell anybody anything.
fn of_the_core(error: Error) -> Error {
    match error {
        Error::NotATarget { reason, .. } => Error::NotATarget { file: "the core".into(), reason },
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::SeekFrom;

    #[test]
    fn what_was_stored_is_part_of_what_is_forwarded() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let core = |keep| {
            let mut pipe = tempfile::tempfile().unwrap();
            pipe.write_all(b"the rest of the core").unwrap();
            pipe.seek(SeekFrom::Start(4)).unwrap();
            let mut core = Core { taken: b"the ".to_vec(), ..Core::new(pipe) };
            core.store(&folder, 10, keep).unwrap();
            core
        };
        let mut text = String::new();
        core(true).whole().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "the rest of the core");
        assert_eq!(core(true).stored.unwrap().metadata().unwrap().len(), 10);
        assert!(core(false).whole().is_err_and(|why| why.contains("gone")));
    }
}
