//! What can be dumped.
//!
//! A target holds a process still, describes it as a [`ProcessSnapshot`] and
//! gives its memory through [`MemorySource`]. Everything after it — plan,
//! layout, write, package — sees only these, so a new kind of target is one new
//! folder here.

mod debug_event;
pub mod dump_file;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod machine;
pub mod minidump;
mod nt;
mod original;
#[cfg(any(target_os = "linux", windows))]
mod processor;
mod region;
mod snapshot;
pub(crate) mod stream_bytes;
mod system;
mod unix_side;
pub mod userdump;

#[cfg(target_os = "linux")]
pub mod core;
#[cfg(target_os = "linux")]
pub mod linux;
#[cfg(windows)]
pub mod windows;
#[cfg(target_os = "linux")]
pub mod wine;

pub use debug_event::*;
pub use original::*;
pub use region::*;
pub use snapshot::*;
pub use stream_bytes::{PackedText, StreamBytes};
pub use system::*;
pub use unix_side::*;

use crate::address::AddressRange;
use crate::error::{Error, Result};
use crate::soft_error::Hole;
use std::fs::File;
use std::io;
use std::time::Duration;

/// A user-mode process, or something that stands for one.
pub trait ProcessTarget: Send {
    /// What the process is, as it was when it was held still.
    fn snapshot(&self) -> &ProcessSnapshot;

    /// Its memory.
    fn memory(&self) -> &dyn MemorySource;

    /// Lets the process go on. The memory may change from here on; the snapshot
    /// stays. Does nothing the second time, or for a target that never ran.
    fn release(&mut self);

    /// How long the process has stood still, or stood still until it was
    /// released; `None` for a target that never ran.
    fn held(&self) -> Option<Duration>;

    /// Opens the file that a module was mapped from, as the target sees it.
    fn open_module(&self, module: &ModuleSnapshot) -> io::Result<File>;

    /// The exception that `source` names, looked up now: of a target that was
    /// opened before it was known what would be asked of it.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`]: a thread that does not exist, an address that
    /// cannot be read, or a target that only finds exceptions when it is opened.
    fn exception(&self, source: &ExceptionSource) -> Result<Option<ExceptionSnapshot>> {
        let _ = source;
        Err(Error::InvalidRequest(
            "an exception (-xt, -xc, -xr, -xp) is only looked up when this target is opened".into(),
        ))
    }

    /// Lets the process run with this program as its debugger; an exception that it
    /// stopped for goes on as `handling` says.
    ///
    /// # Errors
    /// [`Error::CannotRun`] for a target that is no live process, or that is seen from
    /// outside; another debugger has it, or it has ended. The process goes on by
    /// itself then.
    fn resume(self: Box<Self>, handling: Handling) -> Result<Box<dyn RunningProcess>> {
        let _ = handling;
        Err(Error::CannotRun)
    }
}

/// The memory of a target.
pub trait MemorySource: Send + Sync {
    /// Reads `ranges`, back to back, into `buf`, whose length is their sum.
    ///
    /// Always fills all of `buf`: bytes that cannot be read become zero, and
    /// each such range is added to `holes` (whole pages where the target has
    /// pages). Never waits for a user-space pager, which may be the very process
    /// that stands still: pages that one would have to supply are holes.
    fn read(&self, ranges: &[AddressRange], buf: &mut [u8], holes: &mut Vec<Hole>);

    /// The parts of `range` that have contents of their own, in whole pages
    /// (cut to `range`), in order.
    ///
    /// The rest was never populated: it reads as the region's
    /// [`Absent`](Region::absent) says. Works without populating anything.
    fn populated(&self, range: AddressRange) -> Vec<AddressRange>;
}

impl dyn MemorySource + '_ {
    /// Reads exactly `buf.len()` bytes at `address`; `false`, with nothing
    /// promised of `buf`, if any of them cannot be read.
    pub fn read_exact(&self, address: u64, buf: &mut [u8]) -> bool {
        let Some(end) = address.checked_add(buf.len() as u64) else { return false };
        let mut holes = Vec::new();
        self.read(&[AddressRange::new(address, end)], buf, &mut holes);
        holes.is_empty()
    }

    /// Reads a little-endian `u64`.
    pub fn read_u64(&self, address: u64) -> Option<u64> {
        let mut buf = [0; 8];
        self.read_exact(address, &mut buf).then(|| u64::from_le_bytes(buf))
    }

    /// Reads a NUL-terminated string of at most `max` bytes, without the NUL.
    /// `None` if memory ends before a NUL is found.
    pub fn read_c_string(&self, address: u64, max: usize) -> Option<Vec<u8>> {
        const CHUNK: u64 = 256;
        let mut out = Vec::new();
        let mut at = address;
        while out.len() < max {
            // Chunks end at multiples of the chunk size, so that none crosses
            // into a page that the string does not reach.
            let end = (at / CHUNK + 1).checked_mul(CHUNK)?;
            let mut chunk = [0; CHUNK as usize];
            let chunk = &mut chunk[..(end - at) as usize];
            let mut holes = Vec::new();
            self.read(&[AddressRange::new(at, end)], chunk, &mut holes);
            // A dump can hold the string and nothing behind it.
            let hole = holes.iter().map(|hole| hole.range.start).min().unwrap_or(end);
            let there = &chunk[..hole.clamp(at, end).saturating_sub(at) as usize];
            if let Some(nul) = there.iter().position(|b| *b == 0) {
                out.extend_from_slice(&there[..nul]);
                out.truncate(max);
                return Some(out);
            }
            if hole < end {
                return None;
            }
            out.extend_from_slice(chunk);
            at = end;
        }
        None
    }
}

/// What a dump will need to know of its target, so that a live process is held
/// no longer than that takes. Made from a request by
/// [`DumpRequest::wants`](crate::DumpRequest::wants).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Open handles.
    pub handles: bool,
    /// All memory.
    pub full_memory: bool,
    /// Thread times, start addresses and affinities.
    pub thread_info: bool,
    /// Extended processor state (AVX and later) behind each context.
    pub extended_state: bool,
    /// Where the PEB and TEBs, or what stands for them, are.
    pub process_data: bool,
    /// Header and unwind-table ranges of modules.
    pub module_headers: bool,
    /// Credentials.
    pub token: bool,
    /// Memory counters of the process.
    pub vm_counters: bool,
    /// Memory counters of the system.
    pub system_memory: bool,
    /// Where an exception is to be found.
    pub exception: ExceptionSource,
}

/// Where in the target an exception was left, as WinDbg's `.dump /x` options
/// say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExceptionSource {
    /// `-xt`: the thread it belongs to.
    pub thread: Option<Tid>,
    /// `-xc`: address of the context; on Linux a `ucontext_t`.
    pub context: Option<u64>,
    /// `-xr`: address of the record; on Linux a `siginfo_t`.
    pub record: Option<u64>,
    /// `-xp`: address of a pair of pointers, to record and context, as in
    /// `EXCEPTION_POINTERS`.
    pub pointers: Option<u64>,
    /// `-j`: address of a `JIT_DEBUG_INFO`, with thread, record and context, which
    /// Windows names to the program that it starts for a crash.
    pub jit_debug_info: Option<u64>,
}

impl ExceptionSource {
    /// Whether anything is given.
    pub fn is_given(&self) -> bool {
        *self != Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::SyntheticMemory;

    #[test]
    fn a_string_is_read_to_its_end_and_not_to_that_of_what_is_there() {
        let mut memory = SyntheticMemory::default();
        memory.words.push((0x1008, 0x0000_0073_6f2e_6162));
        memory.unreadable.insert(AddressRange::new(0x100e, 0x2000));
        let memory: &dyn MemorySource = &memory;
        assert_eq!(memory.read_c_string(0x1008, 64).unwrap(), b"ba.os");
        assert_eq!(memory.read_c_string(0x1008, 3).unwrap(), b"ba.");
        assert_eq!(memory.read_c_string(0x100e, 64), None);
        let mut cut = SyntheticMemory::default();
        cut.unreadable.insert(AddressRange::new(0x1010, 0x2000));
        assert_eq!((&cut as &dyn MemorySource).read_c_string(0x1000, 64), None);
    }
}
