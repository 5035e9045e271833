//! Cuts the planned memory into batches of at most one buffer each.

use crate::address::AddressRange;
use crate::plan::MemoryPlan;

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
    plan: &'a MemoryPlan,
    /// Index of the current range, and how far it is done.
    range: usize,
    at: u64,
    /// Index of the first zero part that is not behind `at`.
    zero: usize,
}

impl<'a> Batches<'a> {
    pub fn new(plan: &'a MemoryPlan) -> Self {
        let at = plan.ranges.first().map_or(0, |r| r.start);
        Batches { plan, range: 0, at, zero: 0 }
    }

    /// The next stretch that is all zero or all to be read, at most `room` long;
    /// `None` if there is none, or `room` is less than may be cut off.
    fn next_part(&mut self, room: u64) -> Option<(AddressRange, bool)> {
        let range = *self.plan.ranges.get(self.range)?;
        let zeros = self.plan.zero.ranges();
        while zeros.get(self.zero).is_some_and(|z| z.end <= self.at) {
            self.zero += 1;
        }
        let next_zero = zeros.get(self.zero).filter(|z| z.start < range.end);
        let (zero, end) = match next_zero {
            Some(z) if z.start <= self.at => (true, z.end.min(range.end)),
            Some(z) => (false, z.start),
            None => (false, range.end),
        };
        let end = if end - self.at > room {
            // Words are filtered whole, so a piece ends where one does.
            let cut = (self.at + room) & !(WORD_ALIGN - 1);
            if cut <= self.at {
                return None;
            }
            cut
        } else {
            end
        };
        let part = AddressRange::new(self.at, end);
        self.at = part.end;
        if self.at == range.end {
            self.range += 1;
            self.at = self.plan.ranges.get(self.range).map_or(0, |r| r.start);
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
        MemoryPlan { ranges: ranges.ranges().to_vec(), zero: zero.clone(), ..MemoryPlan::default() }
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
