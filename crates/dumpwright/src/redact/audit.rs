//! The list of what was removed where. It never holds what was removed.

use super::Encoding;
use serde::Serialize;

/// Entries that are kept one by one; further ones are only counted.
const MAX_ENTRIES: usize = 100_000;

/// What was removed from a dump.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Audit {
    /// One by one.
    pub removed: Vec<AuditEntry>,
    /// How many more there are.
    pub unlisted: u64,
}

/// One thing that was removed or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    /// Why.
    pub kind: AuditKind,
    /// Name of the pattern, for a redaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// How what matched was stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// Address in the target, for its memory.
    #[serde(serialize_with = "hex", skip_serializing_if = "Option::is_none")]
    pub address: Option<u64>,
    /// The stream, or `strings` for the strings and records that streams point to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// Offset in the stream or string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Bytes.
    pub length: u64,
}

/// Why something was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditKind {
    /// It matched a pattern and was overwritten.
    Redaction,
    /// FILTER_MEMORY: a stack, of which only what a stack trace needs was kept.
    Stack,
    /// FILTER_MEMORY: the vector registers of all threads.
    Registers,
    /// FILTER_PATHS or FILTER_TRIAGE: a path in memory was shortened.
    Path,
    /// FILTER_TRIAGE or NO_OPTIONAL_DATA: arguments, environment and their like
    /// in memory were zeroed.
    Text,
    /// A stream was left out.
    Stream,
    /// A stream was changed: paths, ids or lines in it.
    StreamText,
}

#[expect(clippy::ref_option, reason = "serde gives a reference")]
fn hex<S: serde::Serializer>(address: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    address.map(|address| format!("{address:#x}")).serialize(serializer)
}

impl Audit {
    /// Adds an entry.
    pub(crate) fn add(&mut self, entry: AuditEntry) {
        if self.removed.len() < MAX_ENTRIES {
            self.removed.push(entry);
        } else {
            self.unlisted += 1;
        }
    }

    /// Adds what another list has.
    pub(crate) fn append(&mut self, other: &Audit) {
        for entry in &other.removed {
            self.add(entry.clone());
        }
        self.unlisted += other.unlisted;
    }

    /// How many matches of patterns are listed.
    pub fn redactions(&self) -> u64 {
        self.removed.iter().filter(|entry| entry.kind == AuditKind::Redaction).count() as u64
    }

    /// Adds memory that was changed.
    pub(crate) fn memory(&mut self, kind: AuditKind, address: u64, length: u64) {
        self.add(AuditEntry { address: Some(address), length, ..AuditEntry::of(kind) });
    }

    /// Adds a stream that was left out or changed.
    pub(crate) fn stream(&mut self, kind: AuditKind, stream: String, length: u64) {
        self.add(AuditEntry { stream: Some(stream), length, ..AuditEntry::of(kind) });
    }
}

impl AuditEntry {
    /// An entry with nothing but its kind.
    pub(crate) fn of(kind: AuditKind) -> AuditEntry {
        AuditEntry {
            kind,
            pattern: None,
            encoding: None,
            address: None,
            stream: None,
            offset: None,
            length: 0,
        }
    }
}
