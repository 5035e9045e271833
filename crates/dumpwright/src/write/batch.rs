//! Cuts the planned memory into batches of at most one buffer each.

use crate::address::AddressRange;
use crate::packed;
use crate::plan::MemoryPlan;
use std::iter::Peekable;

/// Bytes of a buffer. Small enough to stay in a processor's cache between the
/// read and the write, large enough to make system calls cheap.
pub const BATCH_SIZE: usize = 1 << 19;

/// Addresses at which a range may be cut are multiples of this.
const WORD_ALIGN: u64 = 16;

/// Ranges that are read with one call, or a stretch that is known to be zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Whether the bytes are zero and are not read.
    pub zero: bool,
    /// The addresses, in the order of the file.
    pub ranges: Vec<AddressRange>,
    len: usize,
}

impl Run {
    /// Bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Where in the run's bytes `address` stands.
    pub fn offset_of(&self, address: u64) -> Option<usize> {
        let mut at = 0;
        for range in &self.ranges {
            if range.contains(address) {
                return Some(at + (address - range.start) as usize);
            }
            at += range.len() as usize;
        }
        None
    }
}

/// What one buffer holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Its runs, in order.
    pub runs: Vec<Run>,
    len: usize,
}

impl Batch {
    /// Bytes; at most [`BATCH_SIZE`].
    pub fn len(&self) -> usize {
        self.len
    }

    /// The addresses of its bytes, in order.
    pub fn ranges(&self) -> Vec<AddressRange> {
        self.runs.iter().flat_map(|run| run.ranges.iter().copied()).collect()
    }

    fn push(&mut self, range: AddressRange, zero: bool) {
        let len = range.len() as usize;
        self.len += len;
        match self.runs.last_mut() {
            Some(run) if run.zero == zero => {
                run.ranges.push(range);
                run.len += len;
            }
            _ => self.runs.push(Run { zero, ranges: vec![range], len }),
        }
    }
}

/// The batches of a plan, in order.
pub struct Batches<'a> {
    /// What is left of the range that was begun, and those behind it.
    rest: Option<AddressRange>,
    ranges: packed::Iter<'a, AddressRange>,
    /// Zero parts that are not behind.
    zeros: Peekable<packed::Iter<'a, AddressRange>>,
}

impl<'a> Batches<'a> {
    pub fn new(plan: &'a MemoryPlan) -> Self {
        let mut ranges = plan.ranges.iter();
        let rest = ranges.next();
        Batches { rest, ranges, zeros: plan.zero.ranges().iter().peekable() }
    }

    /// The next stretch that is all zero or all to be read, at most `room` long;
    /// `None` if there is none, or `room` is less than may be cut off.
    fn next_part(&mut self, room: u64) -> Option<(AddressRange, bool)> {
        let rest = self.rest?;
        while self.zeros.next_if(|zero| zero.end <= rest.start).is_some() {}
        let (zero, end) = match self.zeros.peek().filter(|zero| zero.start < rest.end) {
            Some(zero) if zero.start <= rest.start => (true, zero.end.min(rest.end)),
            Some(zero) => (false, zero.start),
            None => (false, rest.end),
        };
        let end = if end - rest.start > room {
            // Words are filtered whole, so a piece ends where one does.
            let cut = (rest.start + room) & !(WORD_ALIGN - 1);
            if cut <= rest.start {
                return None;
            }
            cut
        } else {
            end
        };
        let part = AddressRange::new(rest.start, end);
        self.rest = Some(AddressRange::new(end, rest.end)).filter(|rest| !rest.is_empty());
        if self.rest.is_none() {
            self.rest = self.ranges.next();
        }
        Some((part, zero))
    }
}

impl Iterator for Batches<'_> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let mut batch = Batch::default();
        while batch.len < BATCH_SIZE {
            let Some((part, zero)) = self.next_part((BATCH_SIZE - batch.len) as u64) else { break };
            batch.push(part, zero);
        }
        (batch.len > 0).then_some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::RangeSet;
    use proptest::prelude::*;

    fn plan(ranges: &RangeSet, zero: &RangeSet) -> MemoryPlan {
        MemoryPlan { ranges: ranges.ranges().clone(), zero: zero.clone(), ..MemoryPlan::default() }
    }

    fn sets() -> impl Strategy<Value = RangeSet> {
        proptest::collection::vec((0u64..4000, 1u64..900), 0..12).prop_map(|v| {
            v.into_iter().map(|(at, len)| AddressRange::with_len(at * 4096, len * 4096)).collect()
        })
    }

    #[test]
    fn pieces_of_ranges_with_odd_lengths_are_cut_between_words() {
        let ranges = [(0x1003, 13), (0x10_0000, 3 << 20)];
        let ranges = ranges.map(|(at, len)| AddressRange::with_len(at, len));
        let plan = plan(&ranges.into_iter().collect(), &RangeSet::new());
        let pieces: Vec<_> =
            Batches::new(&plan).flat_map(|b| b.runs).flat_map(|r| r.ranges).collect();
        assert!(pieces.len() > 6, "{pieces:x?}");
        assert!(pieces[1..].iter().all(|piece| piece.start % WORD_ALIGN == 0), "{pieces:x?}");
        assert_eq!(pieces.iter().map(|p| p.len()).sum::<u64>(), 13 + (3 << 20));
    }

    proptest! {
        #[test]
        fn batches_hold_every_address_once_and_in_order(ranges in sets(), zero in sets()) {
            let plan = plan(&ranges, &zero);
            let mut seen = Vec::new();
            for batch in Batches::new(&plan) {
                prop_assert!(batch.len() <= BATCH_SIZE);
                prop_assert_eq!(batch.len(), batch.runs.iter().map(Run::len).sum::<usize>());
                for run in &batch.runs {
                    for part in &run.ranges {
                        let overlap: u64 = zero.within(*part).map(AddressRange::len).sum();
                        prop_assert_eq!(overlap, if run.zero { part.len() } else { 0 });
                        seen.push(*part);
                    }
                }
            }
            prop_assert_eq!(seen.iter().map(|r| r.len()).sum::<u64>(), ranges.len());
            prop_assert!(seen.is_sorted());
            prop_assert_eq!(seen.into_iter().collect::<RangeSet>(), ranges);
        }
    }
}
