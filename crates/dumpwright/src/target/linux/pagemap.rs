//! Which pages of a live process have contents, told by its page tables, so
//! that nothing is populated by asking.
//!
//! Linux 6.7 has the `PAGEMAP_SCAN` ioctl, which skips what is not there in
//! bulk: a terabyte of untouched reserve costs microseconds. Before it, the
//! entries of `/proc/<tid>/pagemap` are read, eight bytes a page. Where neither
//! may be used everything counts as populated, which costs time and space but
//! loses nothing.
//!
//! Left out, where the kernel tells them apart, is what looks populated and has
//! no contents of its own: pages that a read mapped to the kernel's one zero
//! page (another debugger that looks at all memory leaves many), and guard
//! pages (`MADV_GUARD_INSTALL`, which newer C libraries put below stacks).

use super::proc_dir::ProcDir;
use super::sys::{self, PageRegion};
use crate::address::{AddressRange, RangeSet};
use crate::target::Pid;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

// `PAGE_IS_*`, linux/fs.h.
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
const PAGE_IS_PFNZERO: u64 = 1 << 5;
const PAGE_IS_GUARD: u64 = 1 << 8;

// Bits of a pagemap entry, Documentation/admin-guide/mm/pagemap.rst.
const ENTRY_PRESENT: u64 = 1 << 63;
const ENTRY_SWAPPED: u64 = 1 << 62;
const ENTRY_GUARD: u64 = 1 << 58;

/// Regions that one scan can report.
const SCAN_ROOM: usize = 512;
/// Entries that are read at once.
const ENTRIES: usize = 8192;

/// The page tables of a live process.
#[derive(Debug)]
pub(in crate::target) struct Pagemap {
    file: Option<File>,
    page_size: u64,
}

impl Pagemap {
    /// Opens those of the process that `proc.live` is a thread of.
    pub(super) fn open(proc: &ProcDir, page_size: u64) -> Self {
        Pagemap { file: File::open(proc.path("pagemap")).ok(), page_size }
    }

    /// Those of a process that is not held. They tell the truth of memory that
    /// it does not use meanwhile.
    pub(in crate::target) fn of(pid: Pid) -> Self {
        let path = format!("/proc/{pid}/pagemap");
        Pagemap { file: File::open(path).ok(), page_size: rustix::param::page_size() as u64 }
    }

    /// The parts of `range` that have contents, in whole pages cut to `range`.
    pub(in crate::target) fn populated(&self, range: AddressRange) -> Vec<AddressRange> {
        if range.is_empty() {
            return Vec::new();
        }
        let pages = range.align_outward(self.page_size);
        let found = self.file.as_ref().and_then(|file| {
            scan(file, pages, PAGE_IS_PFNZERO | PAGE_IS_GUARD)
                // Kernels before 6.16 refuse the category.
                .or_else(|| scan(file, pages, PAGE_IS_PFNZERO))
                .or_else(|| read_entries(file, pages, self.page_size))
        });
        match found {
            Some(found) => found.within(range).collect(),
            None => vec![range],
        }
    }

    /// The parts of `range` that the page tables have anything for, zero pages
    /// included: what can be read without a page fault that asks a pager.
    pub(super) fn mapped(&self, range: AddressRange) -> Vec<AddressRange> {
        let pages = range.align_outward(self.page_size);
        let found = self.file.as_ref().and_then(|file| {
            scan(file, pages, 0).or_else(|| read_entries(file, pages, self.page_size))
        });
        found.map(|found| found.within(range).collect()).unwrap_or_default()
    }

    /// The guard pages among `pages`, where the kernel tells them.
    pub(super) fn guards(&self, pages: AddressRange) -> RangeSet {
        let scan = |file| scan_for(file, pages, PAGE_IS_GUARD, 0);
        self.file.as_ref().and_then(scan).unwrap_or_default()
    }
}

/// By `PAGEMAP_SCAN`, without pages of the categories `without`; `None` if the
/// kernel does not have it.
fn scan(file: &File, pages: AddressRange, without: u64) -> Option<RangeSet> {
    scan_for(file, pages, PAGE_IS_PRESENT | PAGE_IS_SWAPPED, without)
}

/// Pages of any category in `any_of` and none in `without`.
fn scan_for(file: &File, pages: AddressRange, any_of: u64, without: u64) -> Option<RangeSet> {
    let mut found = RangeSet::new();
    let mut regions = [PageRegion::default(); SCAN_ROOM];
    let mut start = pages.start;
    while start < pages.end {
        let rest = AddressRange::new(start, pages.end);
        let (count, scanned_to) =
            sys::pagemap_scan(file.as_fd(), rest, any_of, without, &mut regions).ok()?;
        for region in &regions[..count] {
            found.insert(AddressRange::new(region.start, region.end));
        }
        // A walk that gets nowhere would never end.
        if scanned_to <= start {
            return None;
        }
        start = scanned_to;
    }
    Some(found)
}

/// By the entries of the file; `None` if it cannot be read.
fn read_entries(file: &File, pages: AddressRange, page_size: u64) -> Option<RangeSet> {
    let mut found = RangeSet::new();
    let mut buf = vec![0; ENTRIES * 8];
    let mut at = pages.start;
    while at < pages.end {
        let wanted = ((pages.end - at) / page_size).min(ENTRIES as u64) as usize * 8;
        let len = file.read_at(&mut buf[..wanted], at / page_size * 8).ok()? / 8 * 8;
        if len == 0 {
            // Past the end of the address space nothing is populated.
            break;
        }
        for entry in buf[..len].chunks_exact(8) {
            let entry = u64::from_ne_bytes(entry.try_into().expect("chunks have 8 bytes"));
            if entry & (ENTRY_PRESENT | ENTRY_SWAPPED) != 0 && entry & ENTRY_GUARD == 0 {
                found.insert(AddressRange::with_len(at, page_size));
            }
            at += page_size;
        }
    }
    Some(found)
}

#[cfg(test)]
impl Pagemap {
    /// What the scan and what the entries say.
    pub(super) fn both_ways(&self, range: AddressRange) -> [Option<RangeSet>; 2] {
        let file = self.file.as_ref().unwrap();
        let pages = range.align_outward(self.page_size);
        [
            scan(file, pages, PAGE_IS_PFNZERO | PAGE_IS_GUARD),
            read_entries(file, pages, self.page_size),
        ]
    }
}
