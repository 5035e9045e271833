//! Addresses of a machine: physical and virtual ones cannot be mixed.

use serde::Serialize;
use std::fmt;

/// Bytes of a page frame.
pub const PAGE_SIZE: u64 = 4096;

/// No machine has frames from this on: physical addresses have 52 bits.
pub(crate) const MAX_PFN: u64 = 1 << 40;

/// A physical address of the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Gpa(pub u64);

/// A virtual address of the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Gva(pub u64);

/// The number of a page frame: a physical address divided by [`PAGE_SIZE`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Pfn(pub u64);

impl Gpa {
    /// The frame that it lies in.
    pub fn pfn(self) -> Pfn {
        Pfn(self.0 / PAGE_SIZE)
    }

    /// Where in its frame it lies.
    pub fn offset(self) -> u64 {
        self.0 % PAGE_SIZE
    }
}

impl Pfn {
    /// The address of its first byte.
    pub fn gpa(self) -> Gpa {
        Gpa(self.0.saturating_mul(PAGE_SIZE))
    }
}

macro_rules! display_as_hex {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    )*};
}
display_as_hex!(Gpa Gva Pfn);

/// Consecutive page frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct PageRun {
    /// The first frame.
    pub base: Pfn,
    /// How many; never 0 in a list of runs.
    pub count: u64,
}

impl PageRun {
    /// The frame past the last one.
    pub fn end(self) -> Pfn {
        Pfn(self.base.0.saturating_add(self.count))
    }

    /// Whether it holds a frame.
    pub fn contains(self, pfn: Pfn) -> bool {
        self.base <= pfn && pfn < self.end()
    }
}
