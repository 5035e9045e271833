//! Bytes that a dump holds in place of those that memory has.

use super::paging::AddressSpace;
use crate::target::machine::{Gpa, Gva, PAGE_SIZE, PageRun, Pfn};
use std::collections::BTreeMap;

/// Changes of page frames.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    pages: BTreeMap<Pfn, Vec<(usize, Vec<u8>)>>,
}

impl Edits {
    /// Puts bytes at a virtual address; `false`, and nothing is changed, if any
    /// of them have no place in memory.
    pub fn put(&mut self, space: &AddressSpace<'_>, address: Gva, bytes: &[u8]) -> bool {
        let mut pieces = Vec::new();
        let mut done = 0;
        while done < bytes.len() {
            let Some(here) = address.0.checked_add(done as u64) else { return false };
            let Some(at) = space.translate(Gva(here)) else { return false };
            let len = (bytes.len() - done).min((PAGE_SIZE - at.offset()) as usize);
            pieces.push((at.pfn(), (at.offset() as usize, bytes[done..done + len].to_vec())));
            done += len;
        }
        for (pfn, piece) in pieces {
            self.pages.entry(pfn).or_default().push(piece);
        }
        true
    }

    /// A change of one page frame.
    #[cfg(test)]
    pub fn of_frame(at: Gpa, bytes: &[u8]) -> Edits {
        let piece = (at.offset() as usize, bytes.to_vec());
        Edits { pages: BTreeMap::from([(at.pfn(), vec![piece])]) }
    }

    /// Whether there are changes in a run.
    pub fn touch(&self, run: PageRun) -> bool {
        self.pages.range(run.base..run.end()).next().is_some()
    }

    /// Changes bytes that stand at a physical address, within one page frame.
    pub fn apply_within(&self, at: Gpa, bytes: &mut [u8]) {
        let start = at.offset() as usize;
        for (offset, piece) in self.pages.get(&at.pfn()).into_iter().flatten() {
            let from = start.max(*offset);
            let past = (start + bytes.len()).min(offset + piece.len());
            if from < past {
                bytes[from - start..past - start]
                    .copy_from_slice(&piece[from - offset..past - offset]);
            }
        }
    }

    /// Changes the bytes of a run.
    pub fn apply(&self, run: PageRun, bytes: &mut [u8]) {
        for (pfn, pieces) in self.pages.range(run.base..run.end()) {
            let start = ((pfn.0 - run.base.0) * PAGE_SIZE) as usize;
            for (offset, piece) in pieces {
                let at = start + offset;
                if let Some(place) = bytes.get_mut(at..at + piece.len()) {
                    place.copy_from_slice(piece);
                }
            }
        }
    }
}
