//! Which pages of shared memory hold data, told by the object itself.
//!
//! Shared memory belongs to all who map it. A page that only another process
//! stored to, or that was swapped out, is not in this process's page tables and
//! is its memory all the same. Objects of tmpfs — System V segments, memfds,
//! `MAP_SHARED | MAP_ANONYMOUS`, `/dev/shm` — tell where they have data, without
//! allocating anything, however sparse they are.

use super::mapped_file;
use super::mapping::{Mapping, VmFlags};
use super::maps::Maps;
use super::proc_dir::ProcDir;
use crate::address::{AddressRange, RangeSet};
use crate::soft_error::SoftError;
use rustix::fs::SeekFrom;
use std::collections::HashSet;
use std::fs::File;
use std::sync::Arc;

/// `linux/magic.h`: every object of shared memory but huge pages, whose
/// file system answers that all of it is data.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// The shared mappings of a process that may be of tmpfs.
#[derive(Debug, Default)]
pub(super) struct SharedMemory {
    /// All mappings; none if none is shared.
    maps: Arc<Maps>,
}

impl SharedMemory {
    /// Those among `maps`.
    pub(super) fn of(maps: &Arc<Maps>) -> Self {
        let any = maps.mappings.iter().any(|mapping| is_shared(&mapping));
        SharedMemory { maps: if any { Arc::clone(maps) } else { Arc::default() } }
    }

    /// The parts of `pages`, whole pages, whose object has data; none where it
    /// cannot be asked.
    pub(super) fn with_data(&self, proc: &ProcDir, pages: AddressRange) -> RangeSet {
        let mut shared = self.maps.mappings.within(pages).filter(is_shared).peekable();
        let mut found = RangeSet::new();
        while let Some(first) = shared.next() {
            // Mappings that go on where the one before ends, in memory and in the
            // file, are asked for together.
            let mut run = first.range;
            while let Some(next) = shared.next_if(|next| {
                run.end == next.range.start
                    && first.same_file(next)
                    && first.offset_of(next.range.start) == next.offset
            }) {
                run.end = next.range.end;
            }
            if let Some(file) = open(proc, &first) {
                found.extend(data(&file, &first, run.intersection(pages)));
            }
        }
        found
    }

    /// What is shared memory by its name and cannot be opened: only root may open
    /// what has no path, and then the page tables alone tell what is populated.
    pub(super) fn unasked(&self, proc: &ProcDir) -> Option<SoftError> {
        let mut last = None;
        let mut unasked = HashSet::new();
        let shared = self.maps.mappings.iter().filter(is_shared);
        for mapping in shared.filter(|m| NAMES.iter().any(|name| m.name.starts_with(name))) {
            let object = (mapping.device, mapping.inode);
            if last.replace(object) != Some(object) && mapped_file::open(proc, &mapping).is_err() {
                unasked.insert(object);
            }
        }
        let message = format!(
            "{} objects may not be opened; pages that only other processes used are left out; run dumpwright with sudo to have them",
            unasked.len()
        );
        (!unasked.is_empty()).then(|| SoftError::new("shared memory", message))
    }
}

/// Whether a mapping may be of shared memory that can be asked. Not what a
/// userfaultfd watches: a page there can be in the object and reading it still
/// wait for the pager.
fn is_shared(mapping: &Mapping) -> bool {
    mapping.shared && mapping.is_file() && !mapping.has(VmFlags::USER_FAULT)
}

/// How the names of shared memory begin.
const NAMES: [&[u8]; 4] = [b"/SYSV", b"/memfd:", b"/dev/zero", b"/dev/shm/"];

fn open(proc: &ProcDir, mapping: &Mapping) -> Option<File> {
    let file = mapped_file::open(proc, mapping).ok()?;
    let magic = rustix::fs::fstatfs(&file).ok()?.f_type as u64;
    (magic == TMPFS_MAGIC).then_some(file)
}

/// The parts of `part` of a mapping that `file` has data for.
fn data(file: &File, mapping: &Mapping, part: AddressRange) -> Vec<AddressRange> {
    let mut found = Vec::new();
    let mut at = mapping.offset_of(part.start);
    let end = at.saturating_add(part.len());
    let address = |offset: u64| part.start + (offset - mapping.offset_of(part.start));
    // Fails with ENXIO where no data follows.
    while let Ok(start) = rustix::fs::seek(file, SeekFrom::Data(at)) {
        if start >= end {
            break;
        }
        let Ok(hole) = rustix::fs::seek(file, SeekFrom::Hole(start)) else { break };
        if hole <= start {
            break;
        }
        found.push(AddressRange::new(address(start), address(hole.min(end))));
        if hole >= end {
            break;
        }
        at = hole;
    }
    found
}
