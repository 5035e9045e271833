//! What the system and its TEB tell of a thread that is suspended.

use super::contexts::{Contexts, Kind};
use super::memory::WindowsMemory;
use super::stop::StoppedThread;
use super::sys::{information, thread};
use crate::address::AddressRange;
use crate::soft_error::SoftError;
use crate::target::nt::environment;
use crate::target::nt::pe::TlsTemplate;
use crate::target::nt::registers::registers;
use crate::target::nt::wow64;
use crate::target::{Architecture, Registers, ThreadSnapshot, ThreadTimes, Wants};
use dumpwright_format::nt::NtOffsets;
use std::cell::RefCell;
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::sync::Arc;
use windows_sys::Wdk::System::Threading::{
    ThreadBasicInformation, ThreadNameInformation, ThreadQuerySetWin32StartAddress,
};

/// Describes threads.
pub(super) struct ThreadDescriber<'a> {
    pub memory: &'a WindowsMemory,
    pub architecture: Architecture,
    pub offsets: &'a NtOffsets,
    pub templates: &'a [TlsTemplate],
    pub wants: &'a Wants,
    /// Whether extended contexts can be had.
    pub extended: bool,
    pub contexts: RefCell<Contexts>,
}

/// `THREAD_BASIC_INFORMATION`, as far as it is of use.
struct Basic {
    teb: u64,
    affinity: u64,
}

impl ThreadDescriber<'_> {
    /// Describes a thread. `None`, with a note, if it has no registers any more.
    pub fn describe(
        &self,
        stopped: &StoppedThread,
        notes: &mut Vec<SoftError>,
    ) -> Option<ThreadSnapshot> {
        let handle = (*stopped.handle).as_handle();
        let subject = || format!("thread {}", stopped.tid);
        let registers = match self.registers(&stopped.handle) {
            Ok(registers) => registers,
            Err(error) => {
                let message = format!("has no registers and is not in the dump: {error}");
                notes.push(SoftError::new(subject(), message));
                return None;
            }
        };
        let basic = basic(handle);
        if basic.is_none() {
            notes.push(SoftError::new(subject(), "its TEB is not known"));
        }
        let teb = basic.as_ref().map_or(0, |basic| self.own_teb(basic.teb));
        Some(ThreadSnapshot {
            tid: stopped.tid,
            name: information::text_of_thread(handle, ThreadNameInformation).unwrap_or_default(),
            registers,
            thread_pointer: teb,
            stack: environment::stack(self.memory, self.offsets, teb).filter(|_| teb != 0),
            suspend_count: stopped.suspend_count,
            priority: thread::priority(handle).unwrap_or_default(),
            info: self.wants.thread_info.then(|| times(handle, basic.as_ref())).flatten(),
            local_storage: self.local_storage(teb),
        })
    }

    fn registers(&self, handle: &Arc<OwnedHandle>) -> std::io::Result<Registers> {
        let kind = match self.architecture {
            Architecture::X86 => Kind::Narrow,
            _ if self.extended => Kind::Extended,
            _ => Kind::Plain,
        };
        let context = self.contexts.borrow_mut().of(handle, kind)?;
        registers(self.architecture, context)
            .ok_or_else(|| std::io::Error::other("the context is too short"))
    }

    fn local_storage(&self, teb: u64) -> Vec<AddressRange> {
        if !self.wants.process_data || teb == 0 {
            return Vec::new();
        }
        let mut ranges = environment::thread_data(self.memory, self.offsets, teb, self.templates);
        if self.architecture == Architecture::X86 {
            ranges.extend(wow64::cpu_area(self.memory, teb));
        }
        ranges
    }

    /// A WOW64 thread has two TEBs; 0 if the 32-bit one cannot be found.
    fn own_teb(&self, teb: u64) -> u64 {
        match self.architecture {
            Architecture::X86 => wow64::narrow_teb(self.memory, teb).unwrap_or(0),
            _ => teb,
        }
    }
}

/// Where the system says that a thread's TEB is; under WOW64 the 64-bit one.
pub(super) fn teb(stopped: &StoppedThread) -> Option<u64> {
    basic((*stopped.handle).as_handle()).map(|basic| basic.teb).filter(|teb| *teb != 0)
}

fn basic(handle: BorrowedHandle<'_>) -> Option<Basic> {
    // Exit status, TEB, client id (two words), affinity, two priorities.
    let words: [u64; 6] = information::of_thread(handle, ThreadBasicInformation).ok()?;
    Some(Basic { teb: words[1], affinity: words[4] })
}

fn times(handle: BorrowedHandle<'_>, basic: Option<&Basic>) -> Option<ThreadTimes> {
    let (create_time, kernel_time, user_time) = thread::times(handle).ok()?;
    let start = information::of_thread::<1>(handle, ThreadQuerySetWin32StartAddress);
    Some(ThreadTimes {
        create_time,
        kernel_time,
        user_time,
        start_address: start.ok().map(|[address]| address),
        affinity: basic.map_or(0, |basic| basic.affinity),
    })
}
