//! Reading the memory of a live process.

use super::sys::{memory, process};
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

    /// Reads a range. A call that fails may say nothing of how far it came: half
    /// as much is tried then, down to the page that cannot be had, and more again
    /// behind it.
    fn read_range(&self, range: AddressRange, buf: &mut [u8], holes: &mut Vec<Hole>) {
        let mut at = range.start;
        let mut step = MOST;
        while at < range.end {
            let part = AddressRange::new(at, range.end.min(at.saturating_add(step)));
            let out = &mut buf[(at - range.start) as usize..(part.end - range.start) as usize];
            let error = match memory::read(self.process(), at, out) {
                Ok(read) if read > 0 => {
                    at += read as u64;
                    step = step.saturating_mul(2).min(MOST);
                    continue;
                }
                Ok(_) => io::ErrorKind::UnexpectedEof.into(),
                Err(error) => error,
            };
            // Of what is gone no page has to be asked for.
            if process::has_ended(self.process()) {
                let rest = AddressRange::new(at, range.end);
                buf[(at - range.start) as usize..].fill(0);
                Hole { range: rest, reason: HoleReason::TargetEnded }.add_to(holes);
                return;
            }
            let page_end = (at / PAGE + 1) * PAGE;
            if part.end > page_end {
                let middle = (at + part.len() / 2) / PAGE * PAGE;
                step = middle.max(page_end) - at;
                continue;
            }
            out.fill(0);
            let reason = HoleReason::Errno(error.raw_os_error().unwrap_or(0));
            Hole { range: part, reason }.add_to(holes);
            at = part.end;
            step = PAGE;
        }
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
