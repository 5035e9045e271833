//! Addresses of the target, and sets of ranges of them.

use crate::packed::Packed;
use std::fmt;

/// A range of virtual addresses of the target: `start` inclusive, `end` exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressRange {
    /// First address.
    pub start: u64,
    /// First address past the end; never less than `start`.
    pub end: u64,
}

impl AddressRange {
    /// The range from `start` to `end`; empty at `start` when `end` is smaller.
    pub fn new(start: u64, end: u64) -> Self {
        AddressRange { start, end: end.max(start) }
    }

    /// The range of `len` bytes at `start`, cut at the end of the address space.
    pub fn with_len(start: u64, len: u64) -> Self {
        AddressRange { start, end: start.saturating_add(len) }
    }

    /// Length in bytes.
    pub fn len(self) -> u64 {
        self.end - self.start
    }

    /// Whether it holds no address.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether `address` lies in it.
    pub fn contains(self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// The part that both ranges have; empty (at some address) if none.
    pub fn intersection(self, other: AddressRange) -> AddressRange {
        AddressRange::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// Whether the ranges share an address.
    pub fn overlaps(self, other: AddressRange) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// The smallest range of whole units of `align` (a power of two) around it.
    pub fn align_outward(self, align: u64) -> AddressRange {
        let mask = align - 1;
        AddressRange {
            start: self.start & !mask,
            end: self.end.checked_add(mask).map_or(!mask, |e| e & !mask),
        }
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}-{:#x}", self.start, self.end)
    }
}

/// A set of addresses, held as sorted ranges that neither overlap nor touch, in a
/// few bytes each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet(Packed<AddressRange>);

impl RangeSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The ranges, in order.
    pub fn ranges(&self) -> &Packed<AddressRange> {
        &self.0
    }

    /// Addresses in the set.
    pub fn len(&self) -> u64 {
        self.0.iter().map(AddressRange::len).sum()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a range. Cheap at the end of the set, so add in order where you can.
    pub fn insert(&mut self, range: AddressRange) {
        if range.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some(last) if range.start < last.start => {}
            Some(last) if range.start <= last.end => {
                last.end = last.end.max(range.end);
                return;
            }
            _ => return self.0.push(range),
        }
        self.0.change(range, |ranges| {
            // The ranges that touch the new one become one range with it.
            let first = ranges.partition_point(|r| r.end < range.start);
            let last = first + ranges[first..].partition_point(|r| r.start <= range.end);
            let merged = ranges[first..last].iter().fold(range, |acc, r| AddressRange {
                start: acc.start.min(r.start),
                end: acc.end.max(r.end),
            });
            ranges.splice(first..last, [merged]);
        });
    }

    /// The range of the set that holds `address`.
    pub fn find(&self, address: u64) -> Option<AddressRange> {
        self.0.at(address)
    }

    /// The parts of `range` that are in the set, in order.
    pub fn within(&self, range: AddressRange) -> impl Iterator<Item = AddressRange> + '_ {
        self.0.within(range).map(move |r| r.intersection(range))
    }

    /// The parts of `range` that are not in the set, in order.
    pub fn missing_from(&self, range: AddressRange) -> Vec<AddressRange> {
        let mut at = range.start;
        let mut gaps = Vec::new();
        for present in self.within(range) {
            if present.start > at {
                gaps.push(AddressRange::new(at, present.start));
            }
            at = present.end;
        }
        if at < range.end {
            gaps.push(AddressRange::new(at, range.end));
        }
        gaps
    }

    /// The addresses of this set that are not in `other`.
    pub fn difference(&self, other: &RangeSet) -> RangeSet {
        if other.is_empty() {
            return self.clone();
        }
        RangeSet(self.0.iter().flat_map(|r| other.missing_from(r)).collect())
    }

    /// The addresses of both sets.
    pub fn union(&self, other: &RangeSet) -> RangeSet {
        match (self.is_empty(), other.is_empty()) {
            (true, _) => return other.clone(),
            (_, true) => return self.clone(),
            (false, false) => {}
        }
        let (mut own, mut others) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut set = RangeSet::new();
        while let Some(range) = match (own.peek(), others.peek()) {
            (Some(a), Some(b)) if b.start < a.start => others.next(),
            (Some(_), _) => own.next(),
            (None, _) => others.next(),
        } {
            set.insert(range);
        }
        set
    }
}

impl Extend<AddressRange> for RangeSet {
    fn extend<I: IntoIterator<Item = AddressRange>>(&mut self, ranges: I) {
        for range in ranges {
            self.insert(range);
        }
    }
}

impl FromIterator<AddressRange> for RangeSet {
    fn from_iter<I: IntoIterator<Item = AddressRange>>(ranges: I) -> Self {
        let (mut set, mut early) = (RangeSet::new(), Vec::new());
        for range in ranges {
            if set.0.last().is_some_and(|last| range.start < last.start) {
                early.push(range);
            } else {
                set.insert(range);
            }
        }
        early.sort_unstable();
        let mut others = RangeSet::new();
        others.extend(early);
        if others.is_empty() { set } else { set.union(&others) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const END: u64 = 1200;

    fn ranges() -> impl Strategy<Value = Vec<AddressRange>> {
        let short = (0..END - 8, 0..3u64);
        let range = prop_oneof![30 => short, 1 => (0..END - 300, 0..300u64)];
        let range = range.prop_map(|(start, len)| AddressRange::with_len(start, len));
        proptest::collection::vec(range, 0..500)
    }

    fn addresses(ranges: &[AddressRange]) -> Vec<bool> {
        (0..END).map(|address| ranges.iter().any(|range| range.contains(address))).collect()
    }

    fn assert_holds(set: &RangeSet, held: &[bool]) {
        let ranges: Vec<_> = set.ranges().iter().collect();
        assert_eq!(addresses(&ranges), held);
        assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start), "{ranges:?}");
        assert!(ranges.iter().all(|range| !range.is_empty()));
        assert_eq!(set.len(), held.iter().filter(|held| **held).count() as u64);
        for address in (0..END).step_by(7) {
            assert_eq!(set.find(address).is_some(), held[address as usize]);
        }
    }

    proptest! {
        #[test]
        fn a_set_holds_what_was_put_in_in_whatever_order(a in ranges(), b in ranges()) {
            let mut inserted = RangeSet::new();
            inserted.extend(a.iter().copied());
            let (held, others) = (addresses(&a), addresses(&b));
            assert_holds(&inserted, &held);
            let a: RangeSet = a.into_iter().collect();
            let b: RangeSet = b.into_iter().collect();
            prop_assert_eq!(&a, &inserted);
            let both = |of: fn(bool, bool) -> bool| -> Vec<bool> {
                held.iter().zip(&others).map(|(a, b)| of(*a, *b)).collect()
            };
            assert_holds(&a.union(&b), &both(|a, b| a || b));
            assert_holds(&a.difference(&b), &both(|a, b| a && !b));
        }
    }
}
