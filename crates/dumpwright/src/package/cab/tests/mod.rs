//! What goes into a cabinet comes out again, byte by byte, with every reader
//! there is; and what does not fit is refused.

mod refusals;
mod round_trips;

use super::*;
use crate::package::Overwrite;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Bytes that do not compress: xorshift.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(length).collect()
}

/// Bytes that compress well, but are not all the same.
fn text(length: usize) -> Vec<u8> {
    (0_u32..)
        .flat_map(|i| format!("thread {} of {i}\n", i % 977).into_bytes())
        .take(length)
        .collect()
}

fn entry(name: &str, contents: &[u8], need: Need) -> CabEntry {
    let mut source = tempfile::tempfile().unwrap();
    source.write_all(contents).unwrap();
    CabEntry { name: name.into(), size: contents.len() as u64, source, modified: None, need }
}

/// Where a test's cabinet is, and what became of it.
struct Made {
    folder: TempDir,
    path: PathBuf,
    notes: Vec<SoftError>,
}

fn make(entries: &[CabEntry]) -> Made {
    make_within(entries, MAX_CABINET_SIZE_WINDOWS)
}

fn make_within(entries: &[CabEntry], optional_end: u64) -> Made {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.cab");
    let mut out = PendingFile::create(&path, Overwrite::Refuse).unwrap();
    let most = largest_cab(entries.iter().map(|e| e.size));
    let notes = write_within(&mut out, entries, optional_end, &()).unwrap().notes;
    out.publish().unwrap();
    let length = fs::metadata(&path).unwrap().len();
    assert!(length <= most, "{length} bytes, promised at most {most}");
    Made { folder, path, notes }
}
