//! The soft-errors stream: what could not be had, as JSON.
//!
//! An array of objects, each of one of these forms:
//!
//! ```json
//! {"subject": "thread 17", "message": "it ended before it could be stopped"}
//! {"hole": {"start": "0x1000", "end": "0x2000", "reason": "Bad address (os error 14)", "in_file": true}}
//! {"unlisted_holes": {"bytes": 4096}}
//! {"holes_at_end_of_file": {"offset": "0x0000000123456000", "size": 4096}}
//! ```
//!
//! `in_file` tells whether the hole has a place in the file (where its bytes
//! are zero) or was left out of it.

use crate::plan::DumpPlan;
use crate::soft_error::{Hole, SoftError};
use serde::Serialize;

/// One element of the array.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry {
    Hole {
        start: String,
        end: String,
        reason: String,
        in_file: bool,
    },
    UnlistedHoles {
        bytes: u64,
    },
    HolesAtEndOfFile {
        offset: String,
        size: u64,
    },
    #[serde(untagged)]
    Error(SoftError),
}

/// Holes that reading memory found.
#[derive(Clone, Copy, Debug)]
pub struct Holes<'a> {
    /// One by one.
    pub listed: &'a [Hole],
    /// Bytes of those that are not listed.
    pub unlisted_bytes: u64,
}

/// Room for the entry that sums up what is not listed.
const SUMMARY: usize = 64;

/// What is known before memory is read.
pub(crate) fn known(plan: &DumpPlan) -> Vec<Entry> {
    let errors = plan.soft_errors.iter().cloned().map(Entry::Error);
    let holes = plan.memory.holes.iter().map(|h| hole(h, false));
    errors.chain(holes).collect()
}

fn hole(hole: &Hole, in_file: bool) -> Entry {
    Entry::Hole {
        start: format!("{:#x}", hole.range.start),
        end: format!("{:#x}", hole.range.end),
        reason: hole.reason.to_string(),
        in_file,
    }
}

/// Bytes that the entries take.
pub(crate) fn encoded_len(entries: &[Entry]) -> u64 {
    entries.iter().map(|e| json(e).len() as u64 + 2).sum::<u64>() + 4
}

/// The stream with a pointer to a list at the end of the file. Its length does
/// not depend on `offset`.
pub(crate) fn encode_with_pointer(entries: &[Entry], offset: u64, size: u64) -> Vec<u8> {
    let pointer = Entry::HolesAtEndOfFile { offset: format!("{offset:#018x}"), size };
    let texts: Vec<_> = entries.iter().chain([&pointer]).map(json).collect();
    format!("[{}]", texts.join(",\n")).into_bytes()
}

/// The stream in exactly `size` bytes: the known entries, as many holes as fit,
/// one entry for the rest, and spaces.
pub(crate) fn encode(known: &[Entry], holes: Holes<'_>, size: usize) -> Vec<u8> {
    let mut text = String::from("[");
    let mut add = |entry: &Entry, reserve: usize| {
        let entry = json(entry);
        let separator = if text.len() > 1 { ",\n" } else { "" };
        let fits = text.len() + separator.len() + entry.len() + 1 + reserve <= size;
        if fits {
            text.push_str(separator);
            text.push_str(&entry);
        }
        fits
    };
    for entry in known {
        add(entry, 0);
    }
    let fitting = holes.listed.iter().take_while(|h| add(&hole(h, true), SUMMARY)).count();
    let unlisted: u64 = holes.listed[fitting..].iter().map(|h| h.range.len()).sum();
    let bytes = unlisted + holes.unlisted_bytes;
    if bytes > 0 {
        add(&Entry::UnlistedHoles { bytes }, 0);
    }
    text.push(']');
    let mut bytes = text.into_bytes();
    bytes.resize(size, b' ');
    bytes
}

fn json(entry: &Entry) -> String {
    serde_json::to_string(entry).expect("strings and numbers always have a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::AddressRange;
    use crate::soft_error::HoleReason;

    fn holes(n: u64) -> Vec<Hole> {
        (0..n)
            .map(|i| Hole {
                range: AddressRange::with_len(i * 0x2000, 0x1000),
                reason: HoleReason::Errno(14),
            })
            .collect()
    }

    #[test]
    fn the_stream_has_its_size_and_is_json_whatever_the_number_of_holes() {
        let known = [Entry::Error(SoftError::new("thread 1", "it \"ended\""))];
        for n in [0, 1, 3, 1000] {
            let holes = holes(n);
            let bytes = encode(&known, Holes { listed: &holes, unlisted_bytes: 0 }, 600);
            assert_eq!(bytes.len(), 600);
            let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            let list = value.as_array().unwrap();
            assert_eq!(list[0]["subject"], "thread 1");
            let listed = list.iter().filter(|e| e.get("hole").is_some()).count() as u64;
            let rest = list.iter().find_map(|e| e.get("unlisted_holes")?.get("bytes")?.as_u64());
            assert_eq!(listed * 0x1000 + rest.unwrap_or(0), n * 0x1000);
        }
    }

    #[test]
    fn the_pointer_form_has_one_length() {
        let short = encode_with_pointer(&[], 0, 4096);
        assert_eq!(short.len(), encode_with_pointer(&[], u64::MAX, 4096).len());
        assert!(serde_json::from_slice::<serde_json::Value>(&short).is_ok());
    }
}
