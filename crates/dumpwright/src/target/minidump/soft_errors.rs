//! What the writer of the source could not have: it holds for a dump of it too.

use crate::read::Minidump;
use crate::soft_error::SoftError;
use dumpwright_format::minidump::StreamType;
use serde_json::Value;

/// Entries that are carried; further ones are counted.
const MAX_ENTRIES: usize = 1000;
/// Bytes of an entry that is not ours.
const MAX_ENTRY: usize = 4096;

/// Adds the entries of the source's soft-errors stream to the notes.
pub(super) fn read(dump: &Minidump, notes: &mut Vec<SoftError>) {
    let bytes = match dump.stream_bytes(StreamType::MOZ_SOFT_ERRORS) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return,
        Err(error) => {
            notes.push(SoftError::new("source's soft errors", error.to_string()));
            return;
        }
    };
    parse(&bytes, notes);
}

/// Adds the entries that a text of them has to the notes.
pub(in crate::target) fn parse(bytes: &[u8], notes: &mut Vec<SoftError>) {
    let end = bytes.iter().rposition(|b| *b != 0 && *b != b' ').map_or(0, |last| last + 1);
    let entries = match serde_json::from_slice::<Value>(&bytes[..end]) {
        Ok(Value::Array(entries)) => entries,
        Ok(other) => vec![other],
        Err(error) => {
            let message = format!("they are no JSON and were left out: {error}");
            notes.push(SoftError::new("source's soft errors", message));
            return;
        }
    };
    let more = entries.len().saturating_sub(MAX_ENTRIES);
    notes.extend(entries.iter().take(MAX_ENTRIES).filter_map(entry));
    if more > 0 {
        notes.push(SoftError::new("source's soft errors", format!("{more} more were left out")));
    }
}

/// An entry as a soft error; `None` for a pointer to another part of the source.
fn entry(entry: &Value) -> Option<SoftError> {
    if entry.get("holes_at_end_of_file").is_some() {
        return None;
    }
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    if let (Some(subject), Some(message)) = (text("subject"), text("message")) {
        return Some(SoftError::new(subject, message));
    }
    let mut text = entry.to_string();
    if text.len() > MAX_ENTRY {
        let cut = (0..=MAX_ENTRY).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(cut.unwrap_or(0));
    }
    Some(SoftError::new("source", text))
}
