//! Where the bytes of a dump come from.

use std::fs::File;
use std::io;
use std::sync::Arc;

/// Bytes at offsets: a file, or a slice in memory.
pub trait Source: Send + Sync {
    /// Bytes that there are.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` with the bytes from `offset` on.
    ///
    /// Fails with [`io::ErrorKind::UnexpectedEof`] when they reach past the end.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;

    /// The bytes themselves, where they are in memory already (a mapped file).
    fn in_memory(&self, offset: u64, len: u64) -> Option<&[u8]> {
        let _ = (offset, len);
        None
    }

    /// The file, if that is what it is, so that the system can copy from it.
    fn as_file(&self) -> Option<&File> {
        None
    }

    /// The parts of a range that are not known to be zero, in order: start and
    /// end. What is left out (holes of a sparse file) need not be read.
    fn contents(&self, offset: u64, len: u64) -> Vec<(u64, u64)> {
        vec![(offset, offset.saturating_add(len))]
    }
}

/// Parts of a sparse file that are told apart; beyond them it counts as full.
#[cfg(target_os = "linux")]
const MAX_PARTS: usize = 1 << 16;

/// By `SEEK_DATA` and `SEEK_HOLE`. Moves the file's position.
#[cfg(target_os = "linux")]
fn data_of(file: &File, offset: u64, len: u64) -> Vec<(u64, u64)> {
    use rustix::fs::{SeekFrom, seek};
    use rustix::io::Errno;
    let end = offset.saturating_add(len);
    let mut parts = Vec::new();
    let mut at = offset;
    while at < end && parts.len() < MAX_PARTS {
        match seek(file, SeekFrom::Data(at)) {
            Ok(start) if start >= at => {
                let past = seek(file, SeekFrom::Hole(start)).unwrap_or(end).min(end);
                if start >= past {
                    return parts;
                }
                parts.push((start, past));
                at = past;
            }
            // Nothing but a hole from here to the end of the file. What lies
            // past that end is not zero: it is missing, as reading will find.
            Err(Errno::NXIO) => {
                at = at.max(Source::len(file)).min(end);
                break;
            }
            // A file that cannot tell.
            _ => break,
        }
    }
    if at < end {
        parts.push((at, end));
    }
    parts
}

impl Source for File {
    fn len(&self) -> u64 {
        self.metadata().map_or(0, |m| m.len())
    }

    fn as_file(&self) -> Option<&File> {
        Some(self)
    }

    #[cfg(target_os = "linux")]
    fn contents(&self, offset: u64, len: u64) -> Vec<(u64, u64)> {
        data_of(self, offset, len)
    }

    #[cfg(unix)]
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buf, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, mut offset: u64, mut buf: &mut [u8]) -> io::Result<()> {
        while !buf.is_empty() {
            match std::os::windows::fs::FileExt::seek_read(self, buf, offset)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => {
                    buf = &mut buf[n..];
                    offset += n as u64;
                }
            }
        }
        Ok(())
    }
}

impl Source for &[u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(offset).ok();
        let bytes = from
            .and_then(|from| self.get(from..from.checked_add(buf.len())?))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(bytes);
        Ok(())
    }

    fn in_memory(&self, offset: u64, len: u64) -> Option<&[u8]> {
        slice_of(self, offset, len)
    }
}

fn slice_of(bytes: &[u8], offset: u64, len: u64) -> Option<&[u8]> {
    let (from, len) = (usize::try_from(offset).ok()?, usize::try_from(len).ok()?);
    bytes.get(from..from.checked_add(len)?)
}

impl Source for Vec<u8> {
    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.as_slice().read_at(offset, buf)
    }

    fn in_memory(&self, offset: u64, len: u64) -> Option<&[u8]> {
        slice_of(self, offset, len)
    }
}

impl Source for Arc<[u8]> {
    fn len(&self) -> u64 {
        self.as_ref().len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.as_ref().read_at(offset, buf)
    }

    fn in_memory(&self, offset: u64, len: u64) -> Option<&[u8]> {
        slice_of(self, offset, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_ends_where_it_ends() {
        let bytes: &[u8] = &[1, 2, 3];
        let mut buf = [0; 2];
        bytes.read_at(1, &mut buf).unwrap();
        assert_eq!(buf, [2, 3]);
        for offset in [2, 3, 4, u64::MAX] {
            let error = bytes.read_at(offset, &mut buf).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
