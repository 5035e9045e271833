//! A dump as the memory that it holds.

use super::KernelDump;
use crate::soft_error::HoleReason;
use crate::target::machine::{PAGE_SIZE, PageHole, PageRun, Pfn, PhysicalMemory};
use std::fs::File;

impl PhysicalMemory for KernelDump {
    fn runs(&self) -> &[PageRun] {
        &self.runs
    }

    fn read_pages(&self, run: PageRun, buf: &mut [u8], holes: &mut Vec<PageHole>) {
        let mut at = run.base.0;
        let mut rest = buf;
        while !rest.is_empty() {
            let wanted = rest.len() as u64 / PAGE_SIZE;
            let found = self.pages.find(Pfn(at));
            let count = match found {
                Some((_, left)) => left.min(wanted),
                // One by one: how far the gap goes is seldom asked.
                None => 1,
            }
            .max(1);
            let len = ((count * PAGE_SIZE) as usize).min(rest.len());
            let (piece, after) = rest.split_at_mut(len);
            let read = found.is_some_and(|(offset, _)| self.read_file(offset, piece).is_ok());
            if !read {
                piece.fill(0);
                let run = PageRun { base: Pfn(at), count };
                match holes.last_mut() {
                    Some(last) if last.run.end() == run.base => last.run.count += count,
                    _ => holes.push(PageHole { run, reason: HoleReason::NotInSource }),
                }
            }
            at = at.saturating_add(count);
            rest = after;
        }
    }

    fn in_file(&self, run: PageRun) -> Option<(&File, u64)> {
        let (offset, left) = self.pages.find(run.base)?;
        (left >= run.count).then_some(())?;
        Some((self.source.as_file()?, offset))
    }

    fn mapped(&self, run: PageRun) -> Option<&[u8]> {
        let (offset, left) = self.pages.find(run.base)?;
        (left >= run.count).then_some(())?;
        self.source.in_memory(offset, run.count.checked_mul(PAGE_SIZE)?)
    }
}
