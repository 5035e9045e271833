//! Reading the memory of a live process.

use super::sys::memory;
use crate::address::AddressRange;
use crate::soft_error::{Hole, HoleReason};
use crate::target::MemorySource;
use std::io;
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};

/// Bytes of a page, on x86-64.
const PAGE: u64 = 4096;
/// The most bytes of one call.
const MOST: u64 = 64 << 20;

/// The memory of a live Windows process.
#[derive(Debug)]
pub struct WindowsMemory {
    process: OwnedHandle,
}

impl WindowsMemory {
    /// The memory of an open process.
    pub(super) fn new(process: OwnedHandle) -> Self {
        WindowsMemory { process }
    }

    /// The process.
    pub(super) fn process(&self) -> BorrowedHandle<'_> {
        self.process.as_handle()
    }

    /// Reads a range. A call that fails may say nothing of how far it came: it
    /// is then tried for half as much, down to the page that cannot be had, and
    /// for more again behind it.
    fn read_range(&self, range: AddressRange, buf: &mut [u8], holes: &mut Vec<Hole>) {
        let mut at = range.start;
        let mut step = MOST;
        while at < range.end {
            let part = AddressRange::new(at, range.end.min(at.saturating_add(step)));
            let out = &mut buf[(at - range.start) as usize..(part.end - range.start) as usize];
            match memory::read(self.process(), at, out) {
                Ok(0) => self.fail(
                    part,
                    out,
                    &io::ErrorKind::UnexpectedEof.into(),
                    holes,
                    &mut at,
                    &mut step,
                ),
                Ok(read) => {
                    at += read as u64;
                    step = step.saturating_mul(2).min(MOST);
                }
                Err(error) => self.fail(part, out, &error, holes, &mut at, &mut step),
            }
        }
    }

    /// Makes the first page of a part that failed a hole, if it is the whole
    /// part; else has less tried.
    #[expect(clippy::unused_self, reason = "a step of read_range")]
    fn fail(
        &self,
        part: AddressRange,
        out: &mut [u8],
        error: &io::Error,
        holes: &mut Vec<Hole>,
        at: &mut u64,
        step: &mut u64,
    ) {
        let page_end = (part.start / PAGE + 1) * PAGE;
        if part.end > page_end {
            *step = (part.len() / 2).next_multiple_of(PAGE).min(part.len() - 1).max(1);
            // A part never ends inside of a page that another could begin in.
            let end = (part.start + *step) / PAGE * PAGE;
            *step = end.max(page_end) - part.start;
            return;
        }
        out.fill(0);
        let reason = HoleReason::Errno(error.raw_os_error().unwrap_or(0));
        Hole { range: part, reason }.add_to(holes);
        *at = part.end;
        *step = PAGE;
    }
}

impl MemorySource for WindowsMemory {
    fn read(&self, ranges: &[AddressRange], buf: &mut [u8], holes: &mut Vec<Hole>) {
        let mut rest = buf;
        for range in ranges {
            let (out, behind) = rest.split_at_mut(range.len() as usize);
            self.read_range(*range, out, holes);
            rest = behind;
        }
    }

    /// Windows does not tell which committed pages were never touched.
    fn populated(&self, range: AddressRange) -> Vec<AddressRange> {
        vec![range]
    }
}
