//! Secondary data: tagged blocks behind the dump, and files that are attached.

use crate::error::{Error, Result};
use dumpwright_format::kernel::{ATTACHED_FILE_TAG, BLOB_ALIGNMENT, BlobHeader};
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

/// A block of secondary data.
#[derive(Clone, Debug)]
pub struct Blob {
    /// `GUID`, as on the wire.
    pub tag: [u8; 16],
    /// Its bytes, one part after the other.
    pub data: Vec<BlobPart>,
}

/// A part of a block.
#[derive(Clone, Debug)]
pub enum BlobPart {
    /// Bytes.
    Bytes(Vec<u8>),
    /// So many bytes of a file, which are read when they are written.
    File(Arc<File>, u64),
    /// So many bytes for what turns out to be wrong while the dump is written.
    SoftErrors(u64),
}

impl BlobPart {
    /// Its bytes.
    pub fn size(&self) -> u64 {
        match self {
            BlobPart::Bytes(bytes) => bytes.len() as u64,
            BlobPart::File(_, len) | BlobPart::SoftErrors(len) => *len,
        }
    }
}

impl Blob {
    /// A block of bytes.
    pub fn bytes(tag: [u8; 16], bytes: Vec<u8>) -> Blob {
        Blob { tag, data: vec![BlobPart::Bytes(bytes)] }
    }

    /// A file that is attached under the last part of its name.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::InvalidRequest`] for what is no file, and for one
    /// of 4 GiB.
    pub fn file(path: &Path) -> Result<Blob> {
        let io = |source| Error::Io { action: "attach", file: path.to_owned(), source };
        // Asked by name first, because opening a pipe would wait for a writer.
        if !fs::metadata(path).map_err(io)?.is_file() {
            return Err(Error::InvalidRequest(format!(
                "'{}' cannot be attached: it is not a file",
                path.display()
            )));
        }
        let file = File::open(path).map_err(io)?;
        let len = file.metadata().map_err(io)?.len();
        let mut name =
            path.file_name().unwrap_or_default().to_string_lossy().into_owned().into_bytes();
        name.push(0);
        let blob = Blob {
            tag: ATTACHED_FILE_TAG,
            data: vec![BlobPart::Bytes(name), BlobPart::File(Arc::new(file), len)],
        };
        if blob.data_size() > u64::from(u32::MAX) - BLOB_ALIGNMENT {
            return Err(Error::InvalidRequest(format!(
                "'{}' has {len} bytes and a block of a dump holds less than 4 GiB; compress or split it",
                path.display()
            )));
        }
        Ok(blob)
    }

    /// Bytes of its data.
    pub fn data_size(&self) -> u64 {
        self.data.iter().map(BlobPart::size).sum()
    }

    /// Bytes of padding behind its data.
    pub fn padding(&self) -> u64 {
        self.data_size().next_multiple_of(BLOB_ALIGNMENT) - self.data_size()
    }

    /// Bytes that it takes in the file, with header and padding.
    pub fn file_size(&self) -> u64 {
        size_of::<BlobHeader>() as u64 + self.data_size() + self.padding()
    }
}
