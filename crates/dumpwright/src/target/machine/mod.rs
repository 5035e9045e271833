//! Machines: physical memory with a kernel in it.
//!
//! A source gives physical memory ([`PhysicalMemory`]) and, where it has them,
//! the processors' states. What stands in the memory is understood once, into a
//! [`MachineSnapshot`]; plan, layout and write see only that.

mod address;
#[cfg(all(feature = "fuzzing", target_os = "linux"))]
pub mod fuzzing;
pub mod image;
mod open;
pub(crate) mod page_table;
mod processor;
#[cfg(target_os = "linux")]
pub mod qemu;
mod raw;
mod reading;
pub(crate) mod registers;
mod runs;
mod small;
mod snapshot;
mod symbols;
#[cfg(test)]
pub(crate) mod testkit;
mod translate;
mod understand;
mod windows;

pub(crate) use address::MAX_PFN;
pub use address::{Gpa, Gva, PAGE_SIZE, PageRun, Pfn};
pub use open::{MachineOptions, open_machine, open_machine_source};
pub use reading::{read_physical, read_virtual, virtual_parts};
pub use runs::{common_runs, count_pages, push_run};
pub use small::{Driver, SmallDump};
pub use snapshot::*;
pub use symbols::SymbolSources;
pub use translate::{AddressSpace, Translation};
pub use understand::ByHand;

use crate::soft_error::{HoleReason, SoftError};
use std::fs::File;
use std::time::Duration;

/// A machine, or something that stands for one.
pub trait MachineTarget: Send {
    /// What the machine is, as it was when it was held still.
    fn snapshot(&self) -> &MachineSnapshot;

    /// Its memory.
    fn memory(&self) -> &dyn PhysicalMemory;

    /// Lets the machine go on. Does nothing the second time, or for one that
    /// never ran.
    fn release(&mut self);

    /// How long the machine has stood still, or stood still until it was
    /// released; `None` for a target that never ran.
    fn held(&self) -> Option<Duration>;

    /// What happened to the machine while it should have stood still; known once
    /// it was released.
    fn disturbance(&self) -> Option<SoftError> {
        None
    }
}

/// Physical memory.
pub trait PhysicalMemory: Send + Sync {
    /// RAM, in order, without overlaps.
    fn runs(&self) -> &[PageRun];

    /// Reads whole page frames, back to back, into `buf`, whose length is that
    /// of `run`. Always fills all of it: frames that are not there or cannot be
    /// read become zero, and each such run is added to `holes`.
    fn read_pages(&self, run: PageRun, buf: &mut [u8], holes: &mut Vec<PageHole>);

    /// The bytes of `run` where they are in memory already (a mapped image), so
    /// that a writer copies them once. `None` where they have to be read.
    fn mapped(&self, run: PageRun) -> Option<&[u8]> {
        let _ = run;
        None
    }

    /// The file that has the bytes of `run`, and where, so that a writer can
    /// have the system copy them. `None` where there is no such file.
    fn in_file(&self, run: PageRun) -> Option<(&File, u64)> {
        let _ = run;
        None
    }

    /// The parts of `run` that are not known to be zero, in order. What is left
    /// out need not be read: a guest that never touched most of its memory costs
    /// no more than it did touch.
    fn contents(&self, run: PageRun) -> Vec<PageRun> {
        vec![run]
    }
}

impl dyn PhysicalMemory + '_ {
    /// Reads exactly `buf.len()` bytes at a physical address, across frames;
    /// `false`, with nothing promised of `buf`, if any of them cannot be read.
    pub fn read_exact(&self, at: Gpa, buf: &mut [u8]) -> bool {
        let mut done = 0;
        let mut page = [0; PAGE_SIZE as usize];
        let mut holes = Vec::new();
        while done < buf.len() {
            let Some(here) = at.0.checked_add(done as u64).map(Gpa) else { return false };
            let offset = here.offset() as usize;
            let len = (buf.len() - done).min(page.len() - offset);
            self.read_pages(PageRun { base: here.pfn(), count: 1 }, &mut page, &mut holes);
            if !holes.is_empty() {
                return false;
            }
            buf[done..done + len].copy_from_slice(&page[offset..offset + len]);
            done += len;
        }
        true
    }
}

/// Page frames that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageHole {
    /// Which.
    pub run: PageRun,
    /// Why.
    pub reason: HoleReason,
}
