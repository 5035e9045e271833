//! Header, folder and file tables of a cabinet.

use super::CabEntry;
use super::dos_time::date_and_time;
use super::pack::PackedFolder;
use dumpwright_format::cab::{
    ATTRIBUTE_ARCHIVE, ATTRIBUTE_NAME_IS_UTF8, COMPRESSION_MSZIP, FileEntry, Folder, Header,
    SIGNATURE, VERSION,
};
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::time::SystemTime;
use zerocopy::IntoBytes;

/// Bytes of the tables for files of these names: where the data starts.
pub(super) fn size<'a>(names: impl Iterator<Item = &'a str>) -> u64 {
    let file = |name: &str| size_of::<Folder>() + size_of::<FileEntry>() + name.len() + 1;
    (size_of::<Header>() + names.map(file).sum::<usize>()) as u64
}

/// Writes the tables at the start of `out`, as the last step: until then it does
/// not look like a cabinet. Files without a folder were left out.
pub(super) fn write(
    out: &mut File,
    names: &[String],
    entries: &[CabEntry],
    folders: &[Option<PackedFolder>],
    end: u32,
) -> io::Result<()> {
    let kept: Vec<_> = folders
        .iter()
        .zip(names.iter().zip(entries))
        .filter_map(|(folder, (name, entry))| Some(((*folder)?, name, entry)))
        .collect();
    let count = u16::try_from(kept.len()).expect("cab_check bounded the number of files");
    let mut tables = Vec::new();
    let files_offset = size_of::<Header>() + kept.len() * size_of::<Folder>();
    tables.extend_from_slice(header(count, files_offset as u32, end).as_bytes());
    for (folder, ..) in &kept {
        tables.extend_from_slice(folder_entry(*folder).as_bytes());
    }
    let now = SystemTime::now();
    for (index, (_, name, entry)) in (0..).zip(&kept) {
        tables.extend_from_slice(file_entry(index, name, entry, now).as_bytes());
        tables.extend_from_slice(name.as_bytes());
        tables.push(0);
    }
    out.seek(SeekFrom::Start(0))?;
    out.write_all(&tables)
}

fn header(files: u16, files_offset: u32, cabinet_size: u32) -> Header {
    Header {
        signature: SIGNATURE.into(),
        reserved1: 0.into(),
        cabinet_size: cabinet_size.into(),
        reserved2: 0.into(),
        files_offset: files_offset.into(),
        reserved3: 0.into(),
        version_minor: VERSION.1,
        version_major: VERSION.0,
        folders: files.into(),
        files: files.into(),
        flags: 0.into(),
        set_id: 0.into(),
        cabinet_index: 0.into(),
    }
}

fn folder_entry(folder: PackedFolder) -> Folder {
    Folder {
        data_offset: folder.start.into(),
        blocks: folder.blocks.into(),
        compression: COMPRESSION_MSZIP.into(),
    }
}

fn file_entry(index: u16, name: &str, entry: &CabEntry, now: SystemTime) -> FileEntry {
    let (date, time) = date_and_time(entry.modified.unwrap_or(now));
    let utf8 = if name.is_ascii() { 0 } else { ATTRIBUTE_NAME_IS_UTF8 };
    FileEntry {
        size: u32::try_from(entry.size).expect("cab_check bounded the size").into(),
        folder_offset: 0.into(),
        folder: index.into(),
        date: date.into(),
        time: time.into(),
        attributes: (ATTRIBUTE_ARCHIVE | utf8).into(),
    }
}
