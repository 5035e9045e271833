//! Reads kernel-mode crash dumps that anybody wrote.
//!
//! A [`KernelDump`] has the header, decoded; where each page frame stands
//! ([`KernelDump::page_map`]); of a small dump its parts
//! ([`KernelDump::triage`]); and the secondary data. It is the
//! [`PhysicalMemory`](crate::target::machine::PhysicalMemory) that it holds, and
//! tells as much of the machine as its header does
//! ([`KernelDump::machine`]).
//!
//! Foreign bytes are believed in nothing: every count is held against the bytes
//! that are there, what is read is bounded, and a file that ends early gives
//! what it has.

#![forbid(unsafe_code)]

mod body;
mod header;
mod machine;
mod memory;
mod secondary;
#[cfg(test)]
mod tests;
mod triage;

pub use body::{BodyHeader, Extent, PageMap};
pub use header::{KernelHeader, Width};
pub use secondary::SecondaryBlock;
pub use triage::{Triage, TriageBlock, TriageDriver, TriagePart, TriageUnloaded};

use super::error::{Malformed, ReadError, ReadResult};
use super::source::Source;
use crate::error::{Error, Result};
use dumpwright_format::kernel::{DumpType, SIGNATURE, VALID_DUMP_32, VALID_DUMP_64};
use std::fmt;
use std::fs::{self, File};
use std::path::Path;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// Pieces of a list that are read at once.
const CHUNK: usize = 0x1_0000;

/// An open kernel dump. See the [module](self) for what it promises.
pub struct KernelDump {
    source: Box<dyn Source>,
    len: u64,
    header: KernelHeader,
    body: Option<BodyHeader>,
    pages: PageMap,
    runs: Vec<crate::target::machine::PageRun>,
    triage: Option<Triage>,
    secondary: Vec<SecondaryBlock>,
    trouble: Vec<Malformed>,
}

impl fmt::Debug for KernelDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KernelDump")
            .field("type", &self.header.dump_type)
            .field("len", &self.len)
            .field("pages", &self.pages.pages())
            .finish_non_exhaustive()
    }
}

impl KernelDump {
    /// Whether a file that starts with these bytes is a kernel dump.
    pub fn recognises(start: &[u8]) -> bool {
        start.starts_with(b"PAGEDU64") || start.starts_with(b"PAGEDUMP")
    }

    /// Opens a file.
    ///
    /// Fails with [`Error::NotAKernelDump`] if it does not start with a whole
    /// header; with [`Error::Io`] if it cannot be read. What is wrong behind the
    /// header is in [`trouble`](Self::trouble).
    pub fn open(path: impl AsRef<Path>) -> Result<KernelDump> {
        let path = path.as_ref();
        let io = |source| Error::Io { action: "open", file: path.to_owned(), source };
        // Asked by name first, because opening a pipe would wait for a writer.
        if !fs::metadata(path).map_err(io)?.is_file() {
            let reason =
                "it is not a regular file; a dump must be one that can be read at any place";
            return Err(Error::NotAKernelDump { file: path.to_owned(), reason: reason.into() });
        }
        Self::from_named_source(Box::new(File::open(path).map_err(io)?), path)
    }

    /// Reads a dump from anything with bytes at offsets.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_source(source: Box<dyn Source>) -> Result<KernelDump> {
        Self::from_named_source(source, Path::new("memory"))
    }

    /// The same, with a name for messages.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_named_source(source: Box<dyn Source>, file: &Path) -> Result<KernelDump> {
        let refuse = |reason: String| Error::NotAKernelDump { file: file.to_owned(), reason };
        let bytes = Bytes { source: &*source, len: source.len() };
        let mut start = [0; 8];
        bytes.read(0, &mut start).map_err(|e| refuse(e.to_string()))?;
        let (signature, valid) = start.split_at(4);
        let word = |b: &[u8]| b.try_into().map(u32::from_le_bytes).unwrap_or_default();
        let width = match (word(signature), word(valid)) {
            (SIGNATURE, VALID_DUMP_64) => Width::Bits64,
            (SIGNATURE, VALID_DUMP_32) => Width::Bits32,
            _ => {
                return Err(refuse(format!(
                    "it starts with {start:02x?} instead of 'PAGEDU64' or 'PAGEDUMP'"
                )));
            }
        };
        let header = KernelHeader::read(&bytes, width).map_err(|e| refuse(e.to_string()))?;
        let mut trouble = Vec::new();
        let mut note = |fault: ReadError| match fault {
            ReadError::Malformed(fault) => trouble.push(fault),
            other => trouble.push(malformed(header.size(), other.to_string())),
        };
        let (mut body, mut pages, mut triage) = (None, PageMap::default(), None);
        if header.dump_type == DumpType::TRIAGE {
            match Triage::read(&bytes, &header, &mut note) {
                Ok(found) => triage = Some(found),
                Err(fault) => note(fault),
            }
        } else {
            match body::read(&bytes, &header, &mut note) {
                Ok((found, map)) => (body, pages) = (found, map),
                Err(fault) => note(fault),
            }
        }
        let end = match &triage {
            Some(triage) => u64::from(triage.size),
            None => pages.end(header.size()),
        };
        let secondary = secondary::read(&bytes, end, &mut note);
        let len = bytes.len;
        let runs = pages.runs_within(len);
        Ok(KernelDump { source, len, header, body, pages, runs, triage, secondary, trouble })
    }

    /// Bytes of the file.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the file is empty; never, since it has a header.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The header.
    pub fn header(&self) -> &KernelHeader {
        &self.header
    }

    /// What stands before the pages; `None` for types without such a thing.
    pub fn body(&self) -> Option<&BodyHeader> {
        self.body.as_ref()
    }

    /// Where page frames stand in the file, as the dump says.
    pub fn page_map(&self) -> &PageMap {
        &self.pages
    }

    /// The parts of a small dump.
    pub fn triage(&self) -> Option<&Triage> {
        self.triage.as_ref()
    }

    /// The blocks of secondary data.
    pub fn secondary(&self) -> &[SecondaryBlock] {
        &self.secondary
    }

    /// What contradicts the format behind the header, and was passed over.
    pub fn trouble(&self) -> &[Malformed] {
        &self.trouble
    }

    /// Reads bytes at a place of the file.
    ///
    /// # Errors
    /// [`ReadError`] if they reach past its end.
    pub fn read_file(&self, offset: u64, buf: &mut [u8]) -> ReadResult<()> {
        self.bytes().read(offset, buf)
    }

    /// Up to `most` bytes at a place of the file.
    ///
    /// # Errors
    /// [`ReadError`] if the place is past its end.
    pub fn read_part(&self, offset: u64, size: u64, most: usize) -> ReadResult<Vec<u8>> {
        let mut bytes = vec![0; size.min(self.len).min(most as u64) as usize];
        self.read_file(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// The machine's memory map: that of the header, or else the frames of the
    /// dump.
    pub fn memory_map(&self) -> &[crate::target::machine::PageRun] {
        if self.header.runs.is_empty() { &self.runs } else { &self.header.runs }
    }

    fn bytes(&self) -> Bytes<'_> {
        Bytes { source: &*self.source, len: self.len }
    }
}

/// A file with checked reads.
pub(super) struct Bytes<'a> {
    source: &'a dyn Source,
    len: u64,
}

impl Bytes<'_> {
    fn read(&self, offset: u64, buf: &mut [u8]) -> ReadResult<()> {
        let length = buf.len() as u64;
        if offset.checked_add(length).is_none_or(|end| end > self.len) {
            return Err(malformed(
                offset,
                format!("{length} bytes are needed and the file ends at {:#x}", self.len),
            )
            .into());
        }
        self.source.read_at(offset, buf).map_err(|source| ReadError::Io { offset, length, source })
    }

    fn get<T: FromBytes + IntoBytes + FromZeros>(&self, offset: u64) -> ReadResult<T> {
        let mut value = T::new_zeroed();
        self.read(offset, value.as_mut_bytes())?;
        Ok(value)
    }
}

fn malformed(offset: u64, reason: impl Into<String>) -> Malformed {
    Malformed { stream: None, offset, reason: reason.into() }
}
