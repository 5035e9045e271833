//! Reading the memory of a live process.
//!
//! `process_vm_readv` copies up to 1,024 ranges a call at the speed of memory,
//! but sandboxes forbid it (EPERM, or ENOSYS), and it stops at the first page
//! that it cannot get. `/proc/<tid>/mem` then still has that page in some cases
//! (a page without read permission, a kernel that allows only the file), so
//! each page that failed is tried there before it becomes a hole. Both calls
//! tell how far they came, so no search is needed: reading goes on behind
//! exactly the page that failed.
//!
//! The `mem` and `pagemap` files are opened once, while the process is held:
//! they stay bound to its memory whatever becomes of its id. Once the process
//! is released only they are used.
//!
//! Where a userfaultfd watches, a page that is not there is never asked for:
//! the kernel would wait for the pager, which may wait for this process, and
//! nothing but SIGKILL ends that.

use super::mapping::VmFlags;
use super::maps::Maps;
use super::pagemap::Pagemap;
use super::proc_dir::ProcDir;
use super::shared_memory::SharedMemory;
use super::sys::{self, MAX_PIECES, RemotePiece};
use crate::address::{AddressRange, RangeSet};
use crate::soft_error::{Hole, HoleReason, SoftError};
use crate::target::MemorySource;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The most bytes of one system call; the kernel's own limit is just under 2 GiB.
const MAX_CALL: usize = 1 << 30;
/// Ranges up to which the small table on the stack does.
const FEW: usize = 8;

/// The memory of a live Linux process.
#[derive(Debug)]
pub struct LinuxMemory {
    proc: ProcDir,
    page_size: u64,
    mem: io::Result<File>,
    pagemap: Pagemap,
    /// What a userfaultfd watches.
    watched: RangeSet,
    shared: SharedMemory,
    /// Whether `process_vm_readv` is of no use: forbidden, or not safe any more.
    file_only: AtomicBool,
}

impl LinuxMemory {
    /// The memory of the process that `proc.live` is a thread of.
    pub(super) fn open(proc: &ProcDir) -> Self {
        let page_size = rustix::param::page_size() as u64;
        LinuxMemory {
            proc: proc.clone(),
            page_size,
            mem: File::open(proc.path("mem")),
            pagemap: Pagemap::open(proc, page_size),
            watched: RangeSet::new(),
            shared: SharedMemory::default(),
            file_only: AtomicBool::new(false),
        }
    }

    /// Tells what is mapped: until then nothing may be read that a userfaultfd
    /// could watch.
    pub(super) fn is_mapped_as(&mut self, maps: &Arc<Maps>) {
        let watched = maps.mappings.iter().filter(|m| m.has(VmFlags::USER_FAULT));
        self.watched = watched.map(|m| m.range).collect();
        self.shared = SharedMemory::of(maps);
    }

    /// A note of shared memory that cannot be asked for its contents.
    pub(super) fn unasked_shared_memory(&self) -> Option<SoftError> {
        self.shared.unasked(&self.proc)
    }

    /// Bytes of a page.
    pub fn page_size(&self) -> u64 {
        self.page_size
    }

    /// Tells that the process runs again and its id may come to name another.
    pub(super) fn process_released(&self) {
        self.file_only.store(true, Ordering::Relaxed);
    }

    /// Copies what it can from where `cursor` stands, by one system call.
    fn read_some(
        &self,
        cursor: &Cursor<'_>,
        pieces: &mut [RemotePiece],
        out: &mut [u8],
    ) -> io::Result<usize> {
        if !self.file_only.load(Ordering::Relaxed) {
            let (count, len) = cursor.pieces(pieces);
            match sys::read_memory(self.proc.live, &pieces[..count], &mut out[..len]) {
                Err(e) if matches!(e.raw_os_error(), Some(libc::EPERM | libc::ENOSYS)) => {
                    self.file_only.store(true, Ordering::Relaxed);
                }
                result => return result,
            }
        }
        let piece = cursor.rest();
        let len = (piece.len() as usize).min(MAX_CALL);
        self.read_file(piece.start, &mut out[..len])
    }

    /// Copies what it can through the `mem` file.
    fn read_file(&self, address: u64, out: &mut [u8]) -> io::Result<usize> {
        match &self.mem {
            Ok(mem) => mem.read_at(out, address),
            Err(error) => Err(duplicate(error)),
        }
    }

    /// Copies the rest of the page at the start of `part`, which failed; if it
    /// cannot be had in any way, fills it with zeroes and says why.
    fn read_page(&self, part: AddressRange, out: &mut [u8], why: i32) -> Result<usize, HoleReason> {
        match self.read_file(part.start, out) {
            Ok(len) if len > 0 => Ok(len),
            result => {
                out.fill(0);
                Err(match result {
                    // The file has an end only once there is no memory any more.
                    Ok(_) => HoleReason::TargetEnded,
                    // What the first method said is nearer to the cause.
                    Err(_) => HoleReason::Errno(why),
                })
            }
        }
    }

    /// Reads a range of which parts are watched: of those only what is there.
    fn read_watched(&self, range: AddressRange, buf: &mut [u8], holes: &mut Vec<Hole>) {
        let bytes = |part: AddressRange| {
            (part.start - range.start) as usize..(part.end - range.start) as usize
        };
        let mut there = RangeSet::new();
        for part in self.watched.missing_from(range) {
            there.insert(part);
        }
        for watched in self.watched.within(range) {
            for part in self.pagemap.mapped(watched) {
                there.insert(part);
            }
        }
        for part in there.within(range) {
            self.read_all(&[part], &mut buf[bytes(part)], holes);
        }
        for part in there.missing_from(range) {
            buf[bytes(part)].fill(0);
            Hole { range: part, reason: HoleReason::UserFault }.add_to(holes);
        }
    }

    fn read_all(&self, ranges: &[AddressRange], buf: &mut [u8], holes: &mut Vec<Hole>) {
        let mut few = [RemotePiece::EMPTY; FEW];
        let mut many;
        let pieces = if ranges.len() <= FEW {
            &mut few[..]
        } else {
            many = [RemotePiece::EMPTY; MAX_PIECES];
            &mut many[..]
        };
        let mut cursor = Cursor::new(ranges);
        let mut done = 0;
        while done < buf.len() && !cursor.is_at_end() {
            let out = &mut buf[done..];
            let errno = match self.read_some(&cursor, pieces, out) {
                Ok(copied) if copied > 0 => {
                    done += copied;
                    cursor.advance(copied as u64);
                    continue;
                }
                // Past the end of memory a file has no bytes and no error.
                Ok(_) => libc::EIO,
                Err(error) => error.raw_os_error().unwrap_or(libc::EIO),
            };
            let part = cursor.rest_of_page(self.page_size);
            let len = part.len() as usize;
            let copied = match self.read_page(part, &mut out[..len], errno) {
                Ok(copied) => copied,
                Err(reason) => {
                    Hole { range: part, reason }.add_to(holes);
                    len
                }
            };
            done += copied;
            cursor.advance(copied as u64);
        }
    }
}

impl MemorySource for LinuxMemory {
    fn read(&self, ranges: &[AddressRange], buf: &mut [u8], holes: &mut Vec<Hole>) {
        debug_assert_eq!(ranges.iter().map(|r| r.len()).sum::<u64>(), buf.len() as u64);
        let is_watched = |r: &AddressRange| self.watched.within(*r).next().is_some();
        if self.watched.is_empty() || !ranges.iter().any(is_watched) {
            return self.read_all(ranges, buf, holes);
        }
        let mut rest = buf;
        for range in ranges {
            let (part, behind) = rest.split_at_mut(range.len() as usize);
            self.read_watched(*range, part, holes);
            rest = behind;
        }
    }

    fn populated(&self, range: AddressRange) -> Vec<AddressRange> {
        let pages = range.align_outward(self.page_size);
        let shared = self.shared.with_data(&self.proc, pages);
        if shared.is_empty() {
            return self.pagemap.populated(range);
        }
        // A file may end inside a page, and guard pages hide what is behind them.
        let shared = shared.ranges().iter().map(|r| r.align_outward(self.page_size)).collect();
        let shared = RangeSet::difference(&shared, &self.pagemap.guards(pages));
        let mapped: RangeSet = self.pagemap.populated(pages).into_iter().collect();
        mapped.union(&shared).within(range).collect()
    }
}

/// `io::Error` cannot be cloned; its number can.
fn duplicate(error: &io::Error) -> io::Error {
    io::Error::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EIO))
}

/// A place in a list of ranges that are read back to back.
struct Cursor<'a> {
    /// The range that it stands in and those behind it.
    ranges: &'a [AddressRange],
    /// Bytes of the first range that are behind it.
    offset: u64,
}

impl<'a> Cursor<'a> {
    fn new(ranges: &'a [AddressRange]) -> Self {
        let mut cursor = Cursor { ranges, offset: 0 };
        cursor.advance(0);
        cursor
    }

    fn is_at_end(&self) -> bool {
        self.ranges.is_empty()
    }

    /// What is left of the range that it stands in.
    fn rest(&self) -> AddressRange {
        let first = self.ranges[0];
        AddressRange::new(first.start + self.offset, first.end)
    }

    /// What is left of the range, up to the end of the page.
    fn rest_of_page(&self, page_size: u64) -> AddressRange {
        let rest = self.rest();
        let page_end = (rest.start & !(page_size - 1)).saturating_add(page_size);
        AddressRange::new(rest.start, rest.end.min(page_end))
    }

    /// Fills `pieces` with what comes next; answers how many and their bytes.
    fn pieces(&self, pieces: &mut [RemotePiece]) -> (usize, usize) {
        let mut total = 0;
        let mut count = 0;
        let mut offset = self.offset;
        for (piece, range) in pieces.iter_mut().zip(self.ranges) {
            let start = range.start + offset;
            offset = 0;
            let len = usize::try_from(range.end - start).map_or(MAX_CALL, |len| len.min(MAX_CALL));
            let len = len.min(MAX_CALL - total);
            *piece = RemotePiece::new(start, len);
            count += 1;
            total += len;
            if total == MAX_CALL {
                break;
            }
        }
        (count, total)
    }

    fn advance(&mut self, mut by: u64) {
        while let Some(first) = self.ranges.first() {
            let left = first.len() - self.offset;
            if by < left {
                self.offset += by;
                return;
            }
            by -= left;
            self.offset = 0;
            self.ranges = &self.ranges[1..];
        }
    }
}

#[cfg(test)]
impl LinuxMemory {
    /// What [`populated`](MemorySource::populated) finds by scan and by entries.
    pub(super) fn populated_both_ways(&self, range: AddressRange) -> [Option<RangeSet>; 2] {
        self.pagemap.both_ways(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(list: &[(u64, u64)]) -> Vec<AddressRange> {
        list.iter().map(|(s, e)| AddressRange::new(*s, *e)).collect()
    }

    #[test]
    fn a_cursor_walks_over_empty_ranges_and_ends() {
        let ranges = ranges(&[(5, 5), (10, 14), (20, 20), (30, 31)]);
        let mut cursor = Cursor::new(&ranges);
        assert_eq!(cursor.rest(), AddressRange::new(10, 14));
        cursor.advance(3);
        assert_eq!(cursor.rest(), AddressRange::new(13, 14));
        cursor.advance(1);
        assert_eq!(cursor.rest(), AddressRange::new(30, 31));
        cursor.advance(1);
        assert!(cursor.is_at_end());
    }

    #[test]
    fn a_call_never_asks_for_more_than_the_kernel_copies() {
        let ranges = ranges(&[(0, MAX_CALL as u64 - 5), (1 << 40, 1 << 41), (1 << 50, 1 << 51)]);
        let mut pieces = [RemotePiece::EMPTY; 4];
        assert_eq!(Cursor::new(&ranges).pieces(&mut pieces), (2, MAX_CALL));
    }

    #[test]
    fn a_page_part_ends_with_its_page_or_its_range() {
        let ranges = ranges(&[(0x1010, 0x5000)]);
        let mut cursor = Cursor::new(&ranges);
        assert_eq!(cursor.rest_of_page(0x1000), AddressRange::new(0x1010, 0x2000));
        cursor.advance(0x3FE0);
        assert_eq!(cursor.rest_of_page(0x1000), AddressRange::new(0x4FF0, 0x5000));
    }
}
