//! Finds the TEB of each thread: Wine's Unix side has a Windows thread's GS base
//! point to it, in Windows code and in its own.

use crate::target::linux::LinuxProcess;
use crate::target::nt::read_pointer;
use crate::target::{MemorySource, Pid, ProcessTarget, Tid};
use dumpwright_format::nt::{NtOffsets, TEB_CLIENT_ID, TEB_STACK_LIMIT};

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

    /// Whether a stack pointer is on the thread's stack.
    pub fn has_on_stack(&self, stack_pointer: u64) -> bool {
        (self.stack_limit..=self.stack_base).contains(&stack_pointer)
    }
}

/// The threads, each with its TEB if it is a thread of Windows.
pub(super) fn find(linux: &LinuxProcess) -> Vec<(Tid, Option<Teb>)> {
    let memory = linux.memory();
    linux
        .second_pointers()
        .iter()
        .map(|(tid, pointer)| (*tid, Teb::read(memory, *pointer)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::nt::fake::FakeMemory;

    #[test]
    fn a_teb_is_one_that_says_so_itself() {
        let mut memory = FakeMemory::default();
        memory.put(0x7000, vec![0; 0x100]);
        memory.put_u64(0x7030, 0x7000);
        memory.put_u64(0x7060, 0x9000);
        memory.put_u64(0x7040, 32);
        memory.put_u64(0x7048, 36);
        memory.put_u64(0x7008, 0x22_0000);
        memory.put_u64(0x7010, 0x2_2000);
        let teb = Teb::read(&memory, 0x7000).unwrap();
        assert_eq!((teb.pid, teb.tid, teb.peb), (Pid(32), Tid(36), 0x9000));
        assert!(teb.has_on_stack(0x21_F000) && !teb.has_on_stack(0x22_0008));
        memory.put_u64(0x7030, 0x7008);
        assert_eq!(Teb::read(&memory, 0x7000), None);
        assert_eq!(Teb::read(&memory, 0), None);
    }
}
