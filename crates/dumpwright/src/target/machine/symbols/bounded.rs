//! A PDB's file, of which no stream is read that is larger than the file.

use pdb2::{Source, SourceSlice, SourceView};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// A file for the `pdb2` crate. Its own reader makes room for the size that a
/// stream claims, which may be made of one block again and again.
#[derive(Debug)]
pub(super) struct Bounded {
    file: File,
    size: u64,
}

impl Bounded {
    /// A file of `size` bytes.
    pub(super) fn new(file: File, size: u64) -> Bounded {
        Bounded { file, size }
    }
}

impl<'s> Source<'s> for Bounded {
    fn view(
        &mut self,
        slices: &[SourceSlice],
    ) -> io::Result<Box<dyn SourceView<'s> + Send + Sync>> {
        let wanted = slices.iter().map(|slice| slice.size as u64).sum::<u64>();
        if wanted > self.size {
            return Err(io::Error::other("a stream has more bytes than the file"));
        }
        let mut bytes = vec![0; wanted as usize];
        let mut rest = bytes.as_mut_slice();
        for slice in slices {
            let (part, more) = rest.split_at_mut(slice.size);
            self.file.seek(SeekFrom::Start(slice.offset))?;
            self.file.read_exact(part)?;
            rest = more;
        }
        Ok(Box::new(View(bytes)))
    }
}

/// Bytes that were read.
#[derive(Debug)]
struct View(Vec<u8>);

impl SourceView<'_> for View {
    fn as_slice(&self) -> &[u8] {
        &self.0
    }
}
