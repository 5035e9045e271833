//! Finds the TEB of each thread: Wine's Unix side has a Windows thread's GS base
//! point to it, in Windows code and in its own.

use crate::target::linux::LinuxProcess;
use crate::target::nt::read_pointer;
use crate::target::{MemorySource, Pid, ProcessTarget, Tid};
use dumpwright_format::nt::{NtOffsets, TEB_CLIENT_ID, TEB_STACK_LIMIT};
use dumpwright_format::wine::{TEB_WINE_DATA, TEB_WINE_DATA_SIZE};
use std::collections::{HashMap, HashSet};

/// What a TEB says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Teb {
    /// Where it is.
    pub address: u64,
    /// Where the PEB is.
    pub peb: u64,
    /// What Windows calls the process.
    pub pid: Pid,
    /// What Windows calls the thread.
    pub tid: Tid,
    /// `StackLimit`: the lowest committed address of the stack.
    pub stack_limit: u64,
    /// `StackBase`: the end of the stack.
    pub stack_base: u64,
}

impl Teb {
    /// Reads the TEB at `address`. `None` if there is none: a TEB says where it
    /// is itself, and has a PEB.
    fn read(memory: &dyn MemorySource, address: u64) -> Option<Teb> {
        let offsets = &NtOffsets::WIDE;
        let field = |offset: u64| read_pointer(memory, offsets, address.checked_add(offset)?);
        let number = |offset| u32::try_from(field(offset)?).ok();
        if address == 0 || field(offsets.teb_self)? != address {
            return None;
        }
        Some(Teb {
            address,
            peb: field(offsets.teb_peb).filter(|peb| *peb != 0)?,
            pid: Pid(number(TEB_CLIENT_ID)?),
            tid: Tid(number(TEB_CLIENT_ID + 8)?),
            stack_limit: field(TEB_STACK_LIMIT)?,
            stack_base: field(offsets.teb_stack_base)?,
        })
    }

    /// Whether Wine says in it that it is of the thread with that thread pointer.
    fn belongs_to(&self, memory: &dyn MemorySource, thread_pointer: u64) -> bool {
        let mut data = [0; TEB_WINE_DATA_SIZE as usize];
        let at = self.address.saturating_add(TEB_WINE_DATA);
        thread_pointer != 0
            && memory.read_exact(at, &mut data)
            && data.as_chunks::<8>().0.iter().any(|w| u64::from_le_bytes(*w) == thread_pointer)
    }

    /// Whether a stack pointer is on the thread's stack.
    pub fn has_on_stack(&self, stack_pointer: u64) -> bool {
        (self.stack_limit..=self.stack_base).contains(&stack_pointer)
    }
}

/// The threads, each with its TEB if it is a thread of Windows.
pub(super) fn find(linux: &LinuxProcess) -> Vec<(Tid, Option<Teb>)> {
    let threads = linux.snapshot().threads.iter();
    let pointers: HashMap<Tid, u64> = threads.map(|t| (t.tid, t.thread_pointer)).collect();
    let candidates = linux
        .second_pointers()
        .iter()
        .map(|(tid, teb)| Candidate {
            tid: *tid,
            teb: *teb,
            thread_pointer: pointers.get(tid).copied().unwrap_or(0),
        })
        .collect::<Vec<_>>();
    owners(linux.memory(), &candidates)
}

/// A thread that a TEB may be of.
struct Candidate {
    tid: Tid,
    /// Where its GS base points to.
    teb: u64,
    thread_pointer: u64,
}

/// Which of the candidates have a TEB of their own. A thread that a Unix library
/// started inherits the GS base of the one that called it, and a TEB can have a
/// new thread while the old one ends; Wine keeps the thread pointer of the
/// thread that it belongs to in it.
fn owners(memory: &dyn MemorySource, candidates: &[Candidate]) -> Vec<(Tid, Option<Teb>)> {
    let tebs: Vec<_> = candidates.iter().map(|c| Teb::read(memory, c.teb)).collect();
    let owns: Vec<bool> = candidates
        .iter()
        .zip(&tebs)
        .map(|(candidate, teb)| {
            teb.is_some_and(|teb| teb.belongs_to(memory, candidate.thread_pointer))
        })
        .collect();
    let stated = owns.contains(&true);
    let mut seen = HashSet::new();
    let mut find = |(index, candidate): (usize, &Candidate)| {
        let teb = tebs[index].filter(|teb| (owns[index] || !stated) && seen.insert(teb.tid));
        (candidate.tid, teb)
    };
    candidates.iter().enumerate().map(&mut find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::nt::fake::FakeMemory;

    fn teb(memory: &mut FakeMemory, at: u64, tid: u64, thread_pointer: u64) {
        memory.put(at, vec![0; 0x1000]);
        memory.put_u64(at + 0x30, at);
        memory.put_u64(at + 0x60, 0x9000);
        memory.put_u64(at + 0x40, 32);
        memory.put_u64(at + 0x48, tid);
        memory.put_u64(at + 0x08, 0x22_0000);
        memory.put_u64(at + 0x10, 0x2_2000);
        memory.put_u64(at + 0x330, thread_pointer);
    }

    #[test]
    fn a_teb_is_one_that_says_so_itself() {
        let mut memory = FakeMemory::default();
        teb(&mut memory, 0x7000, 36, 0);
        let found = Teb::read(&memory, 0x7000).unwrap();
        assert_eq!((found.pid, found.tid, found.peb), (Pid(32), Tid(36), 0x9000));
        assert!(found.has_on_stack(0x21_F000) && !found.has_on_stack(0x22_0008));
        memory.put_u64(0x7030, 0x7008);
        assert_eq!(Teb::read(&memory, 0x7000), None);
        assert_eq!(Teb::read(&memory, 0), None);
    }

    #[test]
    fn a_thread_of_a_unix_library_has_the_teb_of_another_and_is_none_of_windows() {
        let mut memory = FakeMemory::default();
        teb(&mut memory, 0x7000, 36, 0x55_6000);
        let candidate = |tid, teb, thread_pointer| Candidate { tid: Tid(tid), teb, thread_pointer };
        let candidates =
            [candidate(1, 0x7000, 0x99_9000), candidate(2, 0x7000, 0x55_6000), candidate(3, 0, 1)];
        let found = owners(&memory, &candidates);
        let owners: Vec<_> = found.iter().map(|(tid, teb)| (tid.0, teb.is_some())).collect();
        assert_eq!(owners, [(1, false), (2, true), (3, false)]);
    }
}
