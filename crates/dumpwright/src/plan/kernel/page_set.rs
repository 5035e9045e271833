//! Sets of page frames.

use crate::target::machine::{PageRun, Pfn, push_run};
use std::collections::BTreeMap;

/// Frames of a chunk: 128 MiB of memory in 4 KiB of bits.
const CHUNK: u64 = 0x8000;
const WORDS: usize = (CHUNK / 64) as usize;

/// A set of page frames: a bitmap of the chunks that have any.
#[derive(Clone, Debug, Default)]
pub struct PageSet {
    chunks: BTreeMap<u64, Box<[u64; WORDS]>>,
}

impl PageSet {
    /// Adds a frame; `true` if it is new.
    pub fn insert(&mut self, pfn: Pfn) -> bool {
        let chunk = self.chunks.entry(pfn.0 / CHUNK).or_insert_with(|| Box::new([0; WORDS]));
        let (word, bit) = place(pfn);
        let new = chunk[word] & bit == 0;
        chunk[word] |= bit;
        new
    }

    /// Adds frames, as far as they are in one of `within`, which are in order
    /// and apart.
    pub fn insert_within(&mut self, run: PageRun, within: &[PageRun]) {
        let first = within.partition_point(|r| r.end() <= run.base);
        for ram in within[first..].iter().take_while(|r| r.base < run.end()) {
            self.insert_span(ram.base.max(run.base).0, ram.end().min(run.end()).0);
        }
    }

    /// Adds the frames from `at` to `end`, a word of bits at a time.
    fn insert_span(&mut self, mut at: u64, end: u64) {
        while at < end {
            let chunk = self.chunks.entry(at / CHUNK).or_insert_with(|| Box::new([0; WORDS]));
            let chunk_end = ((at / CHUNK + 1) * CHUNK).min(end);
            while at < chunk_end {
                let (word, _) = place(Pfn(at));
                let count = (64 - at % 64).min(chunk_end - at);
                chunk[word] |= (u64::MAX >> (64 - count)) << (at % 64);
                at += count;
            }
        }
    }

    /// Takes a frame out.
    pub fn remove(&mut self, pfn: Pfn) {
        if let Some(chunk) = self.chunks.get_mut(&(pfn.0 / CHUNK)) {
            let (word, bit) = place(pfn);
            chunk[word] &= !bit;
        }
    }

    /// Takes out every frame of `other`.
    pub fn remove_all(&mut self, other: &PageSet) {
        for (at, chunk) in &mut self.chunks {
            if let Some(gone) = other.chunks.get(at) {
                for (word, gone) in chunk.iter_mut().zip(gone.iter()) {
                    *word &= !gone;
                }
            }
        }
    }

    /// Adds every frame of `other`.
    pub fn insert_all(&mut self, other: &PageSet) {
        for (at, more) in &other.chunks {
            let chunk = self.chunks.entry(*at).or_insert_with(|| Box::new([0; WORDS]));
            for (word, more) in chunk.iter_mut().zip(more.iter()) {
                *word |= more;
            }
        }
    }

    /// Whether it has a frame.
    pub fn contains(&self, pfn: Pfn) -> bool {
        let (word, bit) = place(pfn);
        self.chunks.get(&(pfn.0 / CHUNK)).is_some_and(|chunk| chunk[word] & bit != 0)
    }

    /// How many frames it has.
    pub fn count(&self) -> u64 {
        let bits =
            |chunk: &[u64; WORDS]| chunk.iter().map(|w| u64::from(w.count_ones())).sum::<u64>();
        self.chunks.values().map(|chunk| bits(chunk)).sum()
    }

    /// Its frames as runs, in order and apart.
    pub fn runs(&self) -> Vec<PageRun> {
        let mut runs: Vec<PageRun> = Vec::new();
        for (at, chunk) in &self.chunks {
            for (index, word) in chunk.iter().enumerate() {
                let mut rest = *word;
                while rest != 0 {
                    let skip = rest.trailing_zeros();
                    let count = u64::from((rest >> skip).trailing_ones());
                    let base = Pfn(at * CHUNK + index as u64 * 64 + u64::from(skip));
                    push_run(&mut runs, PageRun { base, count });
                    if u64::from(skip) + count == 64 {
                        break;
                    }
                    rest &= !(((1 << count) - 1) << skip);
                }
            }
        }
        runs
    }
}

fn place(pfn: Pfn) -> (usize, u64) {
    ((pfn.0 % CHUNK / 64) as usize, 1 << (pfn.0 % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn run(base: u64, count: u64) -> PageRun {
        PageRun { base: Pfn(base), count }
    }

    proptest! {
        #[test]
        fn a_set_has_what_was_put_in_and_nothing_else(
            frames in prop::collection::vec(0_u64..0x2_0000, 0..200),
            gone in prop::collection::vec(0_u64..0x2_0000, 0..50),
        ) {
            let mut set = PageSet::default();
            let mut truth: BTreeSet<u64> = frames.iter().copied().collect();
            for frame in &frames { set.insert(Pfn(*frame)); }
            for frame in &gone { set.remove(Pfn(*frame)); truth.remove(frame); }
            let listed: Vec<u64> = set.runs().iter().flat_map(|r| r.base.0..r.end().0).collect();
            prop_assert!(listed.iter().eq(truth.iter()));
            prop_assert_eq!(set.count(), truth.len() as u64);
            prop_assert!(set.runs().windows(2).all(|w| w[0].end() < w[1].base));
        }
    }

    #[test]
    fn only_frames_of_memory_go_in() {
        let mut set = PageSet::default();
        set.insert_within(run(0, 100), &[run(2, 3), run(50, 10), run(99, 4)]);
        assert_eq!(set.runs(), [run(2, 3), run(50, 10), run(99, 1)]);
        set.insert_within(run(u64::MAX - 1, 5), &[run(2, 3)]);
        assert_eq!(set.count(), 14);
    }

    #[test]
    fn a_full_word_is_one_run() {
        let mut set = PageSet::default();
        set.insert_within(run(63, 130), &[run(0, 1000)]);
        assert_eq!(set.runs(), [run(63, 130)]);
    }
}
