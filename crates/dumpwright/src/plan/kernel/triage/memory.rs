//! Kernel memory as a small dump may take it: without the pages of programs, and
//! edited as a debugger needs it.

use crate::plan::kernel::edits::Edits;
use crate::plan::kernel::page_set::PageSet;
use crate::plan::kernel::paging::{AddressSpace, Half};
use crate::target::machine::{Gva, PAGE_SIZE};

pub(super) struct KernelMemory<'a> {
    pub space: AddressSpace<'a>,
    pub user: PageSet,
    pub edits: &'a Edits,
}

impl KernelMemory<'_> {
    /// Whether an address is one of the kernel's half.
    pub fn is_kernel(&self, address: u64) -> bool {
        self.space.half(Gva(address)) == Some(Half::Kernel)
    }

    /// Whether the page at an address is there and the kernel's.
    pub fn holds(&self, page: Gva) -> bool {
        self.is_kernel(page.0)
            && self.space.translate(page).is_some_and(|at| !self.user.contains(at.pfn()))
    }

    /// Bytes, if all of them are the kernel's.
    pub fn read(&self, address: Gva, len: usize) -> Option<Vec<u8>> {
        let end = address.0.checked_add(len as u64)?;
        let first = address.0 / PAGE_SIZE * PAGE_SIZE;
        let held = (first..end).step_by(PAGE_SIZE as usize).all(|page| self.holds(Gva(page)));
        let mut bytes = held.then(|| self.space.read_vec(address, len)).flatten()?;
        let mut done = 0;
        while done < len {
            let at = self.space.translate(Gva(address.0 + done as u64))?;
            let here = (len - done).min((PAGE_SIZE - at.offset()) as usize);
            self.edits.apply_within(at, &mut bytes[done..done + here]);
            done += here;
        }
        Some(bytes)
    }

    pub fn read_u32(&self, address: Gva) -> Option<u32> {
        let bytes = self.read(address, 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    pub fn read_u64(&self, address: Gva) -> Option<u64> {
        let bytes = self.read(address, 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }
}
