//! Lists of what stands in order of address, in a few bytes for each item: a
//! process can have a million mappings.
//!
//! Items are packed in small chunks, each relative to the one before it, and
//! unpacked while the list is walked. The last few thousand are not packed, so
//! that the lists of ordinary processes cost no time.

use crate::address::AddressRange;
use std::fmt;

/// Items that are packed together. Finding one costs as many steps.
const CHUNK: usize = 32;
/// The most items that are not packed. Tests have few, and so both forms.
const PLAIN: usize = if cfg!(test) { 2 * CHUNK } else { 4096 };
/// Bytes of the unit in which most addresses and lengths come.
const PAGE: u64 = 4096;

/// What has a packed form and a place in the address space.
pub trait Pack: Clone {
    /// What is known of the items before one in its chunk.
    type Before: Clone + Default;

    /// Where it is.
    fn range(&self) -> AddressRange;

    /// Appends its packed form.
    fn pack(&self, before: &mut Self::Before, out: &mut Writer);

    /// Takes a packed form.
    fn unpack(before: &mut Self::Before, bytes: &mut Reader<'_>) -> Self;
}

impl Pack for AddressRange {
    /// The end of the last one.
    type Before = u64;

    fn range(&self) -> AddressRange {
        *self
    }

    fn pack(&self, before: &mut u64, out: &mut Writer) {
        out.address(self.start.wrapping_sub(*before));
        out.address(self.len());
        *before = self.end;
    }

    fn unpack(before: &mut u64, bytes: &mut Reader<'_>) -> Self {
        let start = before.wrapping_add(bytes.address());
        let range = AddressRange::with_len(start, bytes.address());
        *before = range.end;
        range
    }
}

/// Takes packed numbers.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// A byte.
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// A number, short if it is small.
    pub fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// An address or a length, short if it is a small number of pages.
    pub fn address(&mut self, address: u64) {
        if address.is_multiple_of(PAGE) {
            self.number(address / PAGE * 2);
        } else {
            self.number(1);
            self.number(address);
        }
    }

    /// Bytes, of which those that `last` begins with are not repeated.
    pub fn bytes(&mut self, last: &[u8], bytes: &[u8]) {
        let shared = last.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        self.number(shared as u64);
        self.number((bytes.len() - shared) as u64);
        self.0.extend_from_slice(&bytes[shared..]);
    }
}

/// Gives packed numbers back. What a [`Writer`] took never ends early; if it did,
/// the rest would be zeroes.
#[derive(Clone, Debug, Default)]
pub struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    /// A byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number.
    pub fn number(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte();
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                break;
            }
        }
        number
    }

    /// An address or a length.
    pub fn address(&mut self) -> u64 {
        let number = self.number();
        if number & 1 == 0 { (number / 2).wrapping_mul(PAGE) } else { self.number() }
    }

    /// Bytes, `last` being those that were packed before.
    pub fn bytes(&mut self, last: &[u8]) -> Vec<u8> {
        let shared = (self.number() as usize).min(last.len());
        let own = (self.number() as usize).min(self.0.len());
        let (own, rest) = self.0.split_at(own);
        self.0 = rest;
        [&last[..shared], own].concat()
    }
}

/// A list of items in order of address, which do not overlap.
#[derive(Clone)]
pub struct Packed<T> {
    chunks: Vec<Chunk>,
    /// The last items, not packed; empty only if the list is.
    tail: Vec<T>,
    /// Items in all chunks.
    in_chunks: usize,
}

/// Packed items.
#[derive(Clone)]
struct Chunk {
    /// Where the first one starts.
    start: u64,
    bytes: Box<[u8]>,
    count: u32,
}

impl Chunk {
    fn new<T: Pack>(items: &[T]) -> Chunk {
        let mut before = T::Before::default();
        let mut out = Writer(Vec::with_capacity(items.len() * 8));
        for item in items {
            item.pack(&mut before, &mut out);
        }
        let start = items.first().map_or(0, |item| item.range().start);
        Chunk { start, bytes: out.0.into_boxed_slice(), count: items.len() as u32 }
    }
}

impl<T> Default for Packed<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Packed<T> {
    /// An empty list.
    pub const fn new() -> Self {
        Packed { chunks: Vec::new(), tail: Vec::new(), in_chunks: 0 }
    }
}

impl<T: Pack> Packed<T> {
    /// How many items there are.
    pub fn len(&self) -> usize {
        self.in_chunks + self.tail.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tail.is_empty()
    }

    /// Appends an item, which lies behind all others.
    pub fn push(&mut self, item: T) {
        debug_assert!(self.last().is_none_or(|last| last.range().start <= item.range().start));
        self.tail.push(item);
        self.pack_surplus();
    }

    /// Packs the front half of the tail if that has become long.
    fn pack_surplus(&mut self) {
        if self.tail.len() > PLAIN {
            let surplus = (self.tail.len() - PLAIN / 2).next_multiple_of(CHUNK);
            self.chunks.extend(self.tail[..surplus].chunks(CHUNK).map(Chunk::new));
            self.tail.drain(..surplus);
            self.in_chunks += surplus;
        }
    }

    /// The last item.
    pub fn last(&self) -> Option<&T> {
        self.tail.last()
    }

    /// The last item, which stays behind all others.
    pub(crate) fn last_mut(&mut self) -> Option<&mut T> {
        self.tail.last_mut()
    }

    /// The items, in order.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter::new(&self.chunks, &self.tail)
    }

    /// The items that end behind `address`, in order.
    pub fn behind(&self, address: u64) -> impl Iterator<Item = T> + Clone + '_ {
        let next = self.chunks.partition_point(|chunk| chunk.start <= address);
        let tail = self.tail.partition_point(|item| item.range().end <= address);
        // The one chunk that starts before it can have items behind it, unless the
        // tail does too.
        let at_tail = self.tail.first().is_some_and(|first| first.range().start <= address);
        let first = if at_tail { next } else { next.saturating_sub(1) };
        Iter::new(&self.chunks[first..], &self.tail[tail..])
            .skip_while(move |item| item.range().end <= address)
    }

    /// The last item that ends at `address` or before.
    pub fn before(&self, address: u64) -> Option<T> {
        let tail = self.tail.partition_point(|item| item.range().end <= address);
        if let Some(last) = tail.checked_sub(1) {
            return Some(self.tail[last].clone());
        }
        // The first item of the chunk that starts before it may not end before it.
        let next = self.chunks.partition_point(|chunk| chunk.start <= address);
        let near = Iter::<T>::new(&self.chunks[next.saturating_sub(2)..next], &[]);
        near.take_while(|item| item.range().end <= address).last()
    }

    /// The items that share an address with `range`, in order.
    pub fn within(&self, range: AddressRange) -> impl Iterator<Item = T> + Clone + '_ {
        self.behind(range.start).take_while(move |item| item.range().start < range.end)
    }

    /// The item that holds `address`.
    pub fn at(&self, address: u64) -> Option<T> {
        self.behind(address).next().filter(|item| item.range().contains(address))
    }

    /// Takes out the items that share an address with `range` or touch it, and
    /// others beside them, lets `change` change them, and puts them back. They must
    /// stay in order, and one must stay.
    pub(crate) fn change(&mut self, range: AddressRange, change: impl FnOnce(&mut Vec<T>)) {
        let tail = self.tail.first().map_or(0, |first| first.range().start);
        if range.start >= tail || self.chunks.is_empty() {
            change(&mut self.tail);
            return self.pack_surplus();
        }
        let first = self.chunks.partition_point(|chunk| chunk.start < range.start);
        let first = first.saturating_sub(1);
        let last = self.chunks.partition_point(|chunk| chunk.start <= range.end).max(first);
        let taken = &self.chunks[first..last];
        let before = taken.iter().map(|chunk| chunk.count as usize).sum::<usize>();
        let mut items: Vec<T> = Iter::new(taken, &[]).collect();
        if tail <= range.end {
            items.append(&mut self.tail);
        }
        change(&mut items);
        if self.tail.is_empty() {
            let packed = items.len().saturating_sub(PLAIN).next_multiple_of(CHUNK);
            self.tail.extend(items.drain(packed..));
        }
        self.in_chunks = self.in_chunks - before + items.len();
        // Chunks that grow are cut, so that not every change moves all others.
        let size = if items.len() > 2 * CHUNK { CHUNK } else { items.len().max(1) };
        self.chunks.splice(first..last, items.chunks(size).map(Chunk::new));
    }
}

impl<T: Pack> Extend<T> for Packed<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        items.into_iter().for_each(|item| self.push(item));
    }
}

/// The items must be in order.
impl<T: Pack> FromIterator<T> for Packed<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut list = Packed::new();
        list.extend(items);
        list.chunks.shrink_to_fit();
        list
    }
}

impl<'a, T: Pack> IntoIterator for &'a Packed<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T: Pack + PartialEq> PartialEq for Packed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other)
    }
}

impl<T: Pack + Eq> Eq for Packed<T> {}

impl<T: Pack + fmt::Debug> fmt::Debug for Packed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

/// Unpacks items one by one.
#[derive(Clone)]
pub struct Iter<'a, T: Pack> {
    chunks: std::slice::Iter<'a, Chunk>,
    tail: std::slice::Iter<'a, T>,
    /// What is left of the chunk that was begun.
    bytes: Reader<'a>,
    count: u32,
    before: T::Before,
}

impl<'a, T: Pack> Iter<'a, T> {
    fn new(chunks: &'a [Chunk], tail: &'a [T]) -> Self {
        Iter {
            chunks: chunks.iter(),
            tail: tail.iter(),
            bytes: Reader::default(),
            count: 0,
            before: T::Before::default(),
        }
    }
}

impl<T: Pack> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        while self.count == 0 {
            let Some(chunk) = self.chunks.next() else { return self.tail.next().cloned() };
            self.bytes = Reader(&chunk.bytes);
            self.count = chunk.count;
            self.before = T::Before::default();
        }
        self.count -= 1;
        Some(T::unpack(&mut self.before, &mut self.bytes))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let chunks = self.chunks.clone().map(|chunk| chunk.count as usize).sum::<usize>();
        let left = chunks + self.count as usize + self.tail.len();
        (left, Some(left))
    }
}

impl<T: Pack> ExactSizeIterator for Iter<'_, T> {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range() -> impl Strategy<Value = (u64, u64)> {
        let number = || prop_oneof![0u64..9, (0u64..5000).prop_map(|n| n * PAGE), 0u64..1 << 40];
        (number(), number().prop_map(|n| n + 1))
    }

    proptest! {
        #[test]
        fn a_packed_list_is_the_list_that_was_packed(
            gaps in proptest::collection::vec(range(), 0..300),
            base in prop_oneof![Just(0), Just(1 << 47), Just(u64::MAX - (1 << 50))],
            probes in proptest::collection::vec(any::<prop::sample::Index>(), 20),
        ) {
            let mut at = base;
            let plain: Vec<_> = gaps
                .iter()
                .map(|(gap, len)| {
                    let range = AddressRange::with_len(at + gap, *len);
                    at = range.end;
                    range
                })
                .collect();
            let list: Packed<AddressRange> = plain.iter().copied().collect();
            prop_assert_eq!(list.len(), plain.len());
            prop_assert_eq!(list.iter().len(), plain.len());
            prop_assert_eq!(list.iter().collect::<Vec<_>>(), plain.clone());
            prop_assert_eq!(list.last(), plain.last());
            for probe in probes.iter().filter(|_| !plain.is_empty()) {
                let range = plain[probe.index(plain.len())];
                for address in [range.start, range.end - 1, range.end, range.start.wrapping_sub(1)] {
                    let found = plain.iter().find(|r| r.contains(address)).copied();
                    prop_assert_eq!(list.at(address), found);
                    let before = plain.iter().rfind(|r| r.end <= address).copied();
                    prop_assert_eq!(list.before(address), before);
                    let wide = AddressRange::with_len(address, 1 << 30);
                    let inside: Vec<_> =
                        plain.iter().filter(|r| r.overlaps(wide)).copied().collect();
                    prop_assert_eq!(list.within(wide).collect::<Vec<_>>(), inside);
                }
            }
        }
    }

    #[test]
    fn a_million_ranges_take_a_few_bytes_each() {
        let list: Packed<AddressRange> =
            (0..100_000).map(|n| AddressRange::with_len((1 << 46) + n * 0x3000, 0x1000)).collect();
        let held: usize = list.chunks.iter().map(|c| size_of::<Chunk>() + c.bytes.len()).sum();
        assert!(held < 4 * list.len(), "{held} bytes");
    }
}
