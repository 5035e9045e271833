//! Trouble that does not abort a dump: recorded in it and counted in the summary.

use crate::address::AddressRange;
use serde::Serialize;

/// One thing that could not be had, in the words of a reader of the dump.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SoftError {
    /// What it is about: `thread 1234`, `handle 7`, `IPT_TRACE`.
    pub subject: String,
    /// What happened, with its cause.
    pub message: String,
}

impl SoftError {
    /// A soft error about `subject`.
    pub fn new(subject: impl Into<String>, message: impl Into<String>) -> Self {
        SoftError { subject: subject.into(), message: message.into() }
    }
}

/// Memory that belongs in the dump and could not be read. Where its bytes have
/// a place in the file they are zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The addresses.
    pub range: AddressRange,
    /// Why.
    pub reason: HoleReason,
}

impl Hole {
    /// Adds this hole to a list, as part of the last one where it goes on there.
    pub fn add_to(self, holes: &mut Vec<Hole>) {
        match holes.last_mut() {
            Some(last) if self.continues(last) => last.range.end = self.range.end,
            _ => holes.push(self),
        }
    }

    /// Whether it begins where `last` ends, for the same reason.
    pub fn continues(&self, last: &Hole) -> bool {
        last.range.end == self.range.start && last.reason == self.reason
    }
}

/// Why memory could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoleReason {
    /// The read failed with this `errno`.
    Errno(i32),
    /// The mapping reaches past the end of its file.
    PastEndOfFile,
    /// A user-space pager (userfaultfd) would have to supply the pages.
    UserFault,
    /// The process ended, and its memory with it.
    TargetEnded,
    /// The target has no contents for the range (a dump or core without it).
    NotInSource,
}

impl std::fmt::Display for HoleReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            HoleReason::Errno(errno) => {
                write!(f, "{}", std::io::Error::from_raw_os_error(*errno))
            }
            HoleReason::PastEndOfFile => {
                f.write_str("the mapping reaches past the end of its file")
            }
            HoleReason::UserFault => f.write_str("the pages wait for a user-space pager"),
            HoleReason::TargetEnded => f.write_str("the process ended meanwhile"),
            HoleReason::NotInSource => f.write_str("the source does not hold it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_that_touch_become_one_and_others_stay_apart() {
        let mut holes = Vec::new();
        for (start, end, errno) in [(0, 10, 5), (10, 20, 5), (20, 30, 14), (40, 50, 14)] {
            let range = AddressRange::new(start, end);
            Hole { range, reason: HoleReason::Errno(errno) }.add_to(&mut holes);
        }
        let found: Vec<_> = holes.iter().map(|h| (h.range.start, h.range.end)).collect();
        assert_eq!(found, [(0, 20), (20, 30), (40, 50)]);
    }
}
