//! Puts the selected ranges together: without overlaps, and by priority where
//! a size budget does not take them all.

use super::Context;
use crate::address::{AddressRange, RangeSet};
use crate::soft_error::SoftError;
use serde::Serialize;
use std::fmt;

/// Why memory is in a dump, in the order in which a size budget is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The stack of the thread with the exception.
    CrashStack,
    /// The stack of another thread.
    Stack,
    /// Code around an instruction pointer.
    CodeWindow,
    /// The request named it.
    Requested,
    /// A stack or register points to it.
    Indirect,
    /// Thread-local storage, initial stack, link map.
    ThreadData,
    /// Private read-write pages.
    PrivateReadWrite,
    /// Segments and headers of images.
    Image,
    /// Everything else of full memory.
    Rest,
}

impl Reason {
    const ALL: [Reason; 9] = [
        Reason::CrashStack,
        Reason::Stack,
        Reason::CodeWindow,
        Reason::Requested,
        Reason::Indirect,
        Reason::ThreadData,
        Reason::PrivateReadWrite,
        Reason::Image,
        Reason::Rest,
    ];
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::CrashStack => "stack of the crashed thread",
            Reason::Stack => "stacks of other threads",
            Reason::CodeWindow => "code around instruction pointers",
            Reason::Requested => "requested memory",
            Reason::Indirect => "indirectly referenced memory",
            Reason::ThreadData => "process and thread data",
            Reason::PrivateReadWrite => "private read-write memory",
            Reason::Image => "image segments and headers",
            Reason::Rest => "other memory",
        })
    }
}

/// What a size budget left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Why it would have been in.
    pub reason: Reason,
    /// Bytes.
    pub bytes: u64,
}

impl LeftOut {
    /// As the dump records it.
    pub(crate) fn note(&self) -> SoftError {
        SoftError::new(
            "size budget",
            format!("{} bytes of {} were left out", self.bytes, self.reason),
        )
    }
}

/// Bytes that a range costs besides its contents: its descriptor, and at most
/// two more entries in the MemoryInfoList, which is cut where it starts and ends.
const DESCRIPTOR: u64 = 16 + 2 * 48;

/// The ranges that a dump should hold, each with its reason.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// By reason, in the order of [`Reason::ALL`].
    sets: [RangeSet; Reason::ALL.len()],
}

impl Selection {
    /// Selects a range; an empty one is passed over.
    pub fn add(&mut self, reason: Reason, range: AddressRange) {
        self.sets[reason as usize].insert(range);
    }

    /// Gives what is selected anyway the reasons that `others` has for it, by
    /// which a size budget may take it earlier.
    pub fn rank(&mut self, others: &Selection) {
        let selected = self.all();
        for (set, others) in self.sets.iter_mut().zip(&others.sets) {
            let parts = others.ranges().iter().flat_map(|range| selected.within(range));
            *set = set.union(&parts.collect());
        }
    }

    /// All selected addresses.
    fn all(&self) -> RangeSet {
        let sets = self.sets.iter().filter(|set| !set.is_empty());
        sets.fold(RangeSet::new(), |all, set| all.union(set))
    }

    /// Selects what is readable of a range that the request named, and notes
    /// what is not.
    pub fn request(
        &mut self,
        context: &Context<'_>,
        range: AddressRange,
        soft_errors: &mut Vec<SoftError>,
    ) {
        let range = range.align_outward(16);
        let readable: RangeSet = context.readable_parts(range).into_iter().collect();
        for missing in readable.missing_from(range) {
            soft_errors.push(SoftError::new(
                format!("requested memory {missing}"),
                "it is not mapped, not readable, or may not be dumped",
            ));
        }
        for part in readable.ranges() {
            self.add(Reason::Requested, part);
        }
    }

    /// The set of all selected addresses, or as much of it as `budget` bytes
    /// of contents and descriptors hold, and what was left out.
    pub fn resolve(&self, budget: Option<u64>) -> (RangeSet, Vec<LeftOut>) {
        let Some(mut left) = budget else { return (self.all(), Vec::new()) };
        let mut taken = RangeSet::new();
        // Memory with several reasons counts for the first of them.
        let mut seen = RangeSet::new();
        let mut left_out = Vec::new();
        for (reason, wanted) in Reason::ALL.into_iter().zip(&self.sets) {
            let mut fitting = RangeSet::new();
            let mut bytes = 0;
            for range in wanted.difference(&seen).ranges() {
                let room = left.saturating_sub(DESCRIPTOR) & !0xF;
                let fits = range.len().min(room);
                if fits > 0 {
                    fitting.insert(AddressRange::with_len(range.start, fits));
                    left -= fits + DESCRIPTOR;
                }
                bytes += range.len() - fits;
            }
            if bytes > 0 {
                left_out.push(LeftOut { reason, bytes });
            }
            taken = taken.union(&fitting);
            seen = seen.union(wanted);
        }
        (taken, left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> AddressRange {
        AddressRange::new(start, end)
    }

    #[test]
    fn overlapping_selections_become_one_range() {
        let mut selection = Selection::default();
        selection.add(Reason::Rest, range(0x1000, 0x3000));
        selection.add(Reason::Stack, range(0x2000, 0x4000));
        selection.add(Reason::Stack, range(0x8000, 0x8000));
        let (set, left_out) = selection.resolve(None);
        assert_eq!(set, [range(0x1000, 0x4000)].into_iter().collect());
        assert!(left_out.is_empty());
    }

    #[test]
    fn a_budget_is_filled_by_priority_and_never_exceeded() {
        let mut selection = Selection::default();
        selection.add(Reason::Rest, range(0x1_0000, 0x2_0000));
        selection.add(Reason::Stack, range(0x5000, 0x6000));
        selection.add(Reason::CrashStack, range(0x9000, 0xA000));
        let (set, left_out) = selection.resolve(Some(0x1000 + 0x800 + 2 * DESCRIPTOR));
        assert_eq!(set, [range(0x5000, 0x5800), range(0x9000, 0xA000)].into_iter().collect());
        assert_eq!(
            left_out,
            [
                LeftOut { reason: Reason::Stack, bytes: 0x800 },
                LeftOut { reason: Reason::Rest, bytes: 0x1_0000 }
            ]
        );
        let (set, _) = selection.resolve(Some(8));
        assert!(set.is_empty());
    }

    #[test]
    fn what_is_left_out_for_several_reasons_counts_once() {
        let mut selection = Selection::default();
        selection.add(Reason::Rest, range(0x1000, 0x3000));
        selection.add(Reason::PrivateReadWrite, range(0x1000, 0x3000));
        selection.add(Reason::Stack, range(0x2000, 0x4000));
        let (_, left_out) = selection.resolve(Some(0));
        assert_eq!(
            left_out,
            [
                LeftOut { reason: Reason::Stack, bytes: 0x2000 },
                LeftOut { reason: Reason::PrivateReadWrite, bytes: 0x1000 }
            ]
        );
    }

    #[test]
    fn a_rank_adds_no_memory() {
        let mut selection = Selection::default();
        selection.add(Reason::Rest, range(0x1000, 0x3000));
        let mut ranking = Selection::default();
        ranking.add(Reason::Indirect, range(0x2000, 0x4000));
        selection.rank(&ranking);
        let (set, left_out) = selection.resolve(Some(0x1000 + DESCRIPTOR));
        assert_eq!(set, [range(0x2000, 0x3000)].into_iter().collect());
        assert_eq!(left_out, [LeftOut { reason: Reason::Rest, bytes: 0x1000 }]);
    }
}
