//! Where a dump is written to.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Where a dump is written to.
pub enum Target<'a> {
    /// A regular file of our own, new and zero wherever nothing was written: the
    /// system can copy to it from another file, and several threads can write.
    File(&'a mut File),
    /// Anything else, from front to back.
    Stream(&'a mut dyn Write),
}

impl Target<'_> {
    /// As a stream.
    pub fn out(&mut self) -> &mut dyn Write {
        match self {
            Target::File(file) => *file,
            Target::Stream(stream) => *stream,
        }
    }

    /// Zeros.
    pub(super) fn zeros(&mut self, len: u64) -> io::Result<()> {
        match self {
            Target::File(file) => {
                let end = file.seek(SeekFrom::Current(i64::try_from(len).unwrap_or(i64::MAX)))?;
                if file.metadata()?.len() < end { file.set_len(end) } else { Ok(()) }
            }
            Target::Stream(stream) => io::copy(&mut io::repeat(0).take(len), stream).map(|_| ()),
        }
    }
}
