//! Faults and how they are collected.

use crate::read::{Location, Minidump, ReadError, ReadResult};
use dumpwright_format::minidump::StreamType;
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// Errors that are listed of one stream; more are counted.
const ERRORS_LISTED: usize = 32;
/// Warnings that are listed of one stream; more are counted.
const WARNINGS_LISTED: usize = 4;
/// Bytes that are compared at once.
const CHUNK: usize = 0x4000;

/// How bad a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Readers manage, but it should not be so.
    Warning,
    /// Readers go wrong here, or are told something untrue.
    Error,
}

impl Severity {
    fn listed(self) -> usize {
        match self {
            Severity::Warning => WARNINGS_LISTED,
            Severity::Error => ERRORS_LISTED,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Warning => "warning",
            Severity::Error => "error",
        })
    }
}

/// Something wrong with a dump.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// How bad it is.
    pub severity: Severity,
    /// The stream that it is in, if it is in one; its name in JSON.
    #[serde(serialize_with = "stream_name")]
    pub stream: Option<StreamType>,
    /// File offset, where one place is at fault.
    pub offset: Option<u64>,
    /// What is wrong.
    pub message: String,
}

#[expect(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "serde gives a reference"
)]
fn stream_name<S: Serializer>(stream: &Option<StreamType>, to: S) -> Result<S::Ok, S::Error> {
    stream.map(|stream| stream.to_string()).serialize(to)
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.severity)?;
        if let Some(stream) = self.stream {
            write!(f, "{stream}: ")?;
        }
        f.write_str(&self.message)?;
        match self.offset {
            Some(offset) => write!(f, " (file offset {offset:#x})"),
            None => Ok(()),
        }
    }
}

/// Collects the faults of one dump.
pub(super) struct Report<'d> {
    pub(super) dump: &'d Minidump,
    faults: Vec<Fault>,
    counts: BTreeMap<(Option<StreamType>, Severity), usize>,
    strings_seen: HashSet<u64>,
    /// Bytes that may yet be read through references. Sound dumps stay far
    /// below it; it bounds the time for unsound ones.
    allowance: u64,
    allowance_spent: bool,
}

impl<'d> Report<'d> {
    pub(super) fn new(dump: &'d Minidump) -> Self {
        Report {
            dump,
            faults: Vec::new(),
            counts: BTreeMap::new(),
            strings_seen: HashSet::new(),
            allowance: dump.work_allowance(),
            allowance_spent: false,
        }
    }

    pub(super) fn add(
        &mut self,
        severity: Severity,
        stream: impl Into<Option<StreamType>>,
        offset: impl Into<Option<u64>>,
        message: impl FnOnce() -> String,
    ) {
        let stream = stream.into();
        let count = self.counts.entry((stream, severity)).or_default();
        *count += 1;
        if *count <= severity.listed() {
            self.faults.push(Fault { severity, stream, offset: offset.into(), message: message() });
        }
    }

    pub(super) fn error(
        &mut self,
        stream: impl Into<Option<StreamType>>,
        offset: impl Into<Option<u64>>,
        message: impl FnOnce() -> String,
    ) {
        self.add(Severity::Error, stream, offset, message);
    }

    pub(super) fn warning(
        &mut self,
        stream: impl Into<Option<StreamType>>,
        offset: impl Into<Option<u64>>,
        message: impl FnOnce() -> String,
    ) {
        self.add(Severity::Warning, stream, offset, message);
    }

    /// What was decoded; a failure becomes an error of the report.
    pub(super) fn decoded<T>(
        &mut self,
        stream: StreamType,
        result: ReadResult<Option<T>>,
    ) -> Option<T> {
        match result {
            Ok(value) => value,
            Err(ReadError::Malformed(fault)) => {
                // A stream past the end of the file is the directory's fault,
                // and named there.
                let entry = self.dump.stream(stream);
                if entry.is_none_or(|e| self.dump.holds(e.location.rva, e.location.size)) {
                    self.error(fault.stream.unwrap_or(stream), fault.offset, || fault.reason);
                }
                None
            }
            Err(error) => {
                self.error(stream, None, || error.to_string());
                None
            }
        }
    }

    /// Takes `bytes` from the allowance; answers `false`, and says so once, when
    /// it is spent.
    pub(super) fn may_read(&mut self, bytes: u64) -> bool {
        if let Some(left) = self.allowance.checked_sub(bytes) {
            self.allowance = left;
            return true;
        }
        if !self.allowance_spent {
            self.allowance_spent = true;
            self.error(None, None, || {
                "so many entries share the same bytes that not all of them were checked".to_owned()
            });
        }
        false
    }

    /// Checks the `MINIDUMP_STRING` of an entry.
    pub(super) fn string(&mut self, stream: StreamType, rva: u64, what: impl Fn() -> String) {
        // What a string costs is known after it was read; one may be too many.
        if self.allowance_spent || !self.strings_seen.insert(rva) {
            return;
        }
        match self.dump.string(rva) {
            Ok(string) => {
                self.may_read(string.byte_length.into());
                if !string.terminated {
                    self.warning(stream, rva, || format!("{} is not terminated by NUL", what()));
                }
                if !string.valid {
                    self.warning(stream, rva, || format!("{} is not valid UTF-16", what()));
                }
            }
            Err(ReadError::Malformed(fault)) => {
                self.error(stream, rva, || format!("{}: {}", what(), fault.reason));
            }
            Err(error) => self.error(stream, rva, || format!("{}: {error}", what())),
        }
    }

    /// Whether a place is in the file; an error if it is not.
    pub(super) fn in_file(
        &mut self,
        stream: StreamType,
        place: Location,
        what: impl Fn() -> String,
    ) -> bool {
        let inside = self.dump.holds(place.rva, place.size);
        if !inside {
            let len = self.dump.len();
            self.error(stream, place.rva, || {
                format!(
                    "{}: its {} bytes reach past the end of the file ({len} bytes)",
                    what(),
                    place.size
                )
            });
        }
        inside
    }

    /// Where `length` bytes at two places of the file first differ, counted from
    /// the start of both; `None` if they are the same or cannot be compared.
    pub(super) fn first_difference(&mut self, a: u64, b: u64, length: u64) -> Option<u64> {
        let (mut left, mut right) = (vec![0; CHUNK], vec![0; CHUNK]);
        let mut at = 0;
        while at < length {
            let take = (length - at).min(CHUNK as u64) as usize;
            if !self.may_read(2 * take as u64) {
                return None;
            }
            self.dump.read_file(a.checked_add(at)?, &mut left[..take]).ok()?;
            self.dump.read_file(b.checked_add(at)?, &mut right[..take]).ok()?;
            if let Some(index) = left[..take].iter().zip(&right[..take]).position(|(l, r)| l != r) {
                return Some(at + index as u64);
            }
            at += take as u64;
        }
        None
    }

    /// The faults, with one more for each stream that has more than are listed.
    pub(super) fn finish(mut self) -> Vec<Fault> {
        for ((stream, severity), count) in self.counts {
            if let Some(more @ 1..) = count.checked_sub(severity.listed()) {
                let message = format!("{more} more such faults are not listed");
                self.faults.push(Fault { severity, stream, offset: None, message });
            }
        }
        self.faults
    }
}
