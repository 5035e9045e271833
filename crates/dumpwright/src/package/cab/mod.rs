//! Cabinets (`DEBUG_FORMAT_WRITE_CAB`): what fits into one, and writing it.
//!
//! Each file has a folder of its own, so that each may be as large as the
//! format lets a folder be and each can be taken out without the others.
//!
//! The `cab` crate is only used to test what is written here. It compresses at
//! the highest level on one thread, some 12 MB a second where this does more
//! than 200 a thread, and it ends with an error when a cabinet turns out to
//! pass 2 GiB, after all the work.

mod dos_time;
mod mszip;
mod names;
mod pack;
mod tables;
#[cfg(test)]
mod tests;

pub use names::safe_cab_names;

use super::PendingFile;
use crate::error::{Error, Result};
use crate::observer::Observer;
use crate::soft_error::SoftError;
use dumpwright_format::cab::{
    BLOCK_SIZE, DataBlock, FILE_SIZE_LIMIT, FileEntry, Folder, Header, MAX_CABINET_SIZE,
    MAX_CABINET_SIZE_WINDOWS, MAX_FILES, MAX_NAME,
};
use std::fs::File;
use std::time::SystemTime;

/// A file to be packed.
#[derive(Debug)]
pub struct CabEntry {
    /// Its name; [`write_cab`] makes the names safe and unique.
    pub name: String,
    /// How many bytes of `source` to take, from its start.
    pub size: u64,
    /// Where they are.
    pub source: File,
    /// When it was last changed; now, if nothing is given. Stored as UTC.
    pub modified: Option<SystemTime>,
    /// What happens if it cannot be packed.
    pub need: Need,
}

/// How much depends on a file in a cabinet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The cabinet is worth nothing without it: the dump.
    Required,
    /// It is left out, with a note, if it cannot be read, or if the cabinet
    /// would pass the 2 GiB that Windows reads.
    Optional,
}

/// The most bytes that a cabinet of files with these sizes can have: each block
/// stored as it is, each name as long as can be.
pub fn largest_cab(sizes: impl IntoIterator<Item = u64>) -> u64 {
    let block = (size_of::<DataBlock>() + mszip::STORED_OVERHEAD) as u64;
    let tables = (size_of::<Folder>() + size_of::<FileEntry>() + MAX_NAME + 1) as u64;
    sizes.into_iter().fold(size_of::<Header>() as u64, |sum, size| {
        let packed = size.saturating_add(size.div_ceil(BLOCK_SIZE) * block);
        sum.saturating_add(packed).saturating_add(tables)
    })
}

/// Checks that files of these names and sizes fit into one cabinet, however
/// badly they compress, so that one that cannot be is refused before capture.
///
/// # Errors
/// [`Error::TooLargeForCab`] for a file of 0x7FFF8000 bytes or more,
/// [`Error::InvalidRequest`] for all of them together.
pub fn cab_check(entries: &[(String, u64)]) -> Result<()> {
    if entries.len() > MAX_FILES {
        return Err(Error::InvalidRequest(format!(
            "{} files are too many for a CAB, which holds {MAX_FILES}; leave the secondary files out (-b)",
            entries.len()
        )));
    }
    if let Some((name, size)) = entries.iter().find(|(_, size)| *size >= FILE_SIZE_LIMIT) {
        let (name, size) = (name.clone(), *size);
        return Err(Error::TooLargeForCab { name, size, limit: FILE_SIZE_LIMIT });
    }
    let most = largest_cab(entries.iter().map(|(_, size)| *size));
    if most > MAX_CABINET_SIZE {
        return Err(Error::InvalidRequest(format!(
            "the {} files of the CAB could need {most} bytes, and a CAB has at most {MAX_CABINET_SIZE}; \
             leave the secondary files out (-b), or write the dump without a CAB",
            entries.len()
        )));
    }
    Ok(())
}

/// Packs `entries` into `out`, which must be empty, as a cabinet.
///
/// Memory stays flat: each thread holds one chunk of 1 MiB. Progress is told as
/// [`Phase::Package`](crate::Phase::Package), in bytes before compression.
/// Optional files are left out where the cabinet would pass the 2 GiB that
/// Windows reads, or `max_size`.
///
/// # Errors
/// Those of [`cab_check`]; [`Error::Cancelled`]; [`Error::Io`] if a required
/// file cannot be read or the cabinet cannot be written.
pub fn write_cab(
    out: &mut PendingFile,
    entries: &[CabEntry],
    max_size: Option<u64>,
    observer: &dyn Observer,
) -> Result<Packed> {
    let optional_end = max_size.unwrap_or(u64::MAX).min(MAX_CABINET_SIZE_WINDOWS);
    write_within(out, entries, optional_end, observer)
}

/// What is in a cabinet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// The names of the files that are in it, in order.
    pub names: Vec<String>,
    /// What had to be left out, and why.
    pub notes: Vec<SoftError>,
}

/// [`write_cab`], with optional files up to offset `optional_end` of the cabinet.
fn write_within(
    out: &mut PendingFile,
    entries: &[CabEntry],
    optional_end: u64,
    observer: &dyn Observer,
) -> Result<Packed> {
    let sizes: Vec<_> = entries.iter().map(|e| (e.name.clone(), e.size)).collect();
    cab_check(&sizes)?;
    let names = safe_cab_names(entries.iter().map(|e| e.name.as_str()));
    let destination = out.destination().to_owned();
    let failed = |source| Error::Io { action: "write", file: destination.clone(), source };

    let job = pack::Job {
        entries,
        start: tables::size(names.iter().map(String::as_str)),
        optional_end,
        destination: &destination,
        observer,
    };
    let packed = pack::pack(&job, out.file())?;
    tables::write(out.file(), &names, entries, &packed.folders, packed.end).map_err(failed)?;
    let present = names.into_iter().zip(&packed.folders).filter(|(_, folder)| folder.is_some());
    Ok(Packed { names: present.map(|(name, _)| name).collect(), notes: packed.notes })
}
