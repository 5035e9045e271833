//! Which pages of shared memory hold data, told by the object itself.
//!
//! Shared memory belongs to all who map it. A page that only another process
//! stored to, or that was swapped out, is not in this process's page tables and
//! is its memory all the same. Objects of tmpfs — System V segments, memfds,
//! `MAP_SHARED | MAP_ANONYMOUS`, `/dev/shm` — tell where they have data, without
//! allocating anything, however sparse they are.

use super::mapped_file;
use super::maps::{Mapping, Maps, VmFlags};
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
    maps: Arc<Maps>,
    runs: Vec<Run>,
}

/// Mappings that go on where the one before ends, in memory and in the file.
#[derive(Debug)]
struct Run {
    range: AddressRange,
    /// Which mapping is the first.
    first: u32,
}

impl SharedMemory {
    /// Those among `maps`. Not what a userfaultfd watches: a page there can be
    /// in the object and reading it still wait for the pager.
    pub(super) fn of(maps: &Arc<Maps>) -> Self {
        let is_shared = |m: &Mapping| m.shared && m.is_file() && !m.has(VmFlags::USER_FAULT);
        let mut runs: Vec<Run> = Vec::new();
        let shared = maps.mappings.iter().zip(0u32..).filter(|(m, _)| is_shared(m));
        for (mapping, position) in shared {
            let range = mapping.range;
            let goes_on = |run: &&mut Run| {
                let first = &maps.mappings[run.first as usize];
                run.range.end == range.start
                    && first.same_file(mapping)
                    && first.offset_of(range.start) == mapping.offset
            };
            match runs.last_mut().filter(goes_on) {
                Some(run) => run.range.end = range.end,
                None => runs.push(Run { range, first: position }),
            }
        }
        runs.shrink_to_fit();
        let maps = if runs.is_empty() { Arc::default() } else { Arc::clone(maps) };
        SharedMemory { maps, runs }
    }

    /// The parts of `pages`, whole pages, whose object has data; none where it
    /// cannot be asked.
    pub(super) fn with_data(&self, proc: &ProcDir, pages: AddressRange) -> RangeSet {
        let first = self.runs.partition_point(|run| run.range.end <= pages.start);
        self.runs[first..]
            .iter()
            .take_while(|run| run.range.start < pages.end)
            .flat_map(|run| {
                let part = run.range.intersection(pages);
                let first = &self.maps.mappings[run.first as usize];
                let file = open(proc, first);
                file.map(|file| data(&file, first, part)).unwrap_or_default()
            })
            .collect()
    }

    /// What is shared memory by its name and cannot be opened: only root may open
    /// what has no path, and then the page tables alone tell what is populated.
    pub(super) fn unasked(&self, proc: &ProcDir) -> Option<SoftError> {
        let mut objects = HashSet::new();
        let unasked = self
            .runs
            .iter()
            .map(|run| &self.maps.mappings[run.first as usize])
            .filter(|m| NAMES.iter().any(|name| m.name.bytes().starts_with(name)))
            .filter(|m| objects.insert((m.device, m.inode)))
            .filter(|m| mapped_file::open(proc, m).is_err())
            .count();
        let message = format!(
            "{unasked} objects may not be opened; pages that only other processes used are left out; run dumpwright with sudo to have them"
        );
        (unasked > 0).then(|| SoftError::new("shared memory", message))
    }
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
