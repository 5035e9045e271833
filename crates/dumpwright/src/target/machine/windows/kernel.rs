//! The image of the kernel, ntoskrnl.exe.

use super::pe::{PdbIdentity, PeImage};
use crate::target::machine::understand::ByHand;
use crate::target::machine::{AddressSpace, Gva, MachineSnapshot, PAGE_SIZE};
use std::ops::ControlFlow;

/// How far below an address of its code the kernel's header is looked for.
const MAX_IMAGE: u64 = 64 << 20;
/// Entries of the interrupt table that are followed.
const GATES: u64 = 32;
/// Addresses where the kernel and its drivers are loaded.
const KERNEL_RANGE: std::ops::Range<u64> = 0xffff_f800_0000_0000..0xffff_f880_0000_0000;
/// Page tables and pages that a search of it looks at.
const MAX_TABLES: usize = 100_000;
const MAX_PAGES: u64 = 2 << 20;

/// The kernel's image.
#[derive(Clone, Debug)]
pub(super) struct KernelImage {
    base: Gva,
    pe: PeImage,
}

impl KernelImage {
    /// The kernel at an address, if that is where it is: it exports itself under
    /// its name, whatever file it came from.
    pub fn at(space: &AddressSpace<'_>, base: Gva) -> Option<KernelImage> {
        let pe = PeImage::at(space, base)?;
        let name = pe.export_name(space)?;
        (name.eq_ignore_ascii_case("ntoskrnl.exe") || name.eq_ignore_ascii_case("ntkrnlmp.exe"))
            .then_some(KernelImage { base, pe })
    }

    /// Its base.
    pub fn base(&self) -> Gva {
        self.base
    }

    /// Bytes of it in memory.
    pub fn size(&self) -> u32 {
        self.pe.size
    }

    /// Whether an address is in it.
    pub fn holds(&self, address: u64) -> bool {
        address.checked_sub(self.base.0).is_some_and(|rva| rva < self.pe.size.into())
    }

    /// The addresses of its pages.
    pub fn pages(&self) -> impl Iterator<Item = u64> + use<> {
        let base = self.base.0;
        (0..u64::from(self.pe.size))
            .step_by(PAGE_SIZE as usize)
            .map_while(move |rva| base.checked_add(rva))
    }

    /// Where its page ends behind its headers and behind each section: from the
    /// first byte that belongs to nothing to the end of the page.
    pub fn paddings(&self, space: &AddressSpace<'_>) -> Vec<(u64, u64)> {
        let ends = self.pe.ends(space).into_iter();
        let place = |end: u32| {
            let start = self.base.0.checked_add(end.into())?;
            Some((start, start.checked_next_multiple_of(PAGE_SIZE)?))
        };
        ends.filter(|end| *end < self.pe.size).filter_map(place).collect()
    }

    /// The address of an export.
    pub fn export(&self, space: &AddressSpace<'_>, name: &str) -> Option<Gva> {
        self.pe.export(space, name)
    }

    /// Which PDB has its symbols.
    pub fn pdb(&self, space: &AddressSpace<'_>) -> Option<PdbIdentity> {
        self.pe.pdb(space)
    }
}

/// Finds the kernel: where it is said to be, below the handlers of interrupts
/// and the code that runs, or by a search.
pub(super) fn find(
    space: &AddressSpace<'_>,
    snapshot: &MachineSnapshot,
    by_hand: &ByHand,
) -> Option<KernelImage> {
    let named = by_hand.kernel_base.or(Some(snapshot.kernel_base).filter(|base| base.0 != 0));
    if let Some(kernel) = named.and_then(|base| KernelImage::at(space, base)) {
        return Some(kernel);
    }
    let mut tried = Vec::new();
    for processor in &snapshot.processors {
        let handlers = processor.control.map(|control| handlers(space, control.idt));
        let code = handlers.into_iter().flatten().chain([processor.instruction_pointer]);
        for address in code.filter(|address| address >> 47 == 0x1_ffff) {
            let megabyte = address >> 20;
            if !tried.contains(&megabyte) {
                tried.push(megabyte);
                if let Some(kernel) = below(space, address) {
                    return Some(kernel);
                }
            }
        }
    }
    search(space)
}

/// Addresses of interrupt handlers.
fn handlers(space: &AddressSpace<'_>, (base, limit): (u64, u16)) -> Vec<u64> {
    let count = GATES.min((u64::from(limit) + 1) / 16);
    let gate = |index: u64| {
        let [low, high] = [0, 8].map(|offset| {
            base.checked_add(index * 16 + offset).and_then(|at| space.read_u64(Gva(at)))
        });
        let (low, high) = (low?, high?);
        Some((low & 0xffff) | (low >> 32 & 0xffff_0000) | high << 32)
    };
    (0..count).filter_map(gate).collect()
}

/// The kernel that holds an address.
fn below(space: &AddressSpace<'_>, address: u64) -> Option<KernelImage> {
    let page = address & !(PAGE_SIZE - 1);
    (0..MAX_IMAGE / PAGE_SIZE).find_map(|step| {
        let base = Gva(page.checked_sub(step * PAGE_SIZE)?);
        let kernel = KernelImage::at(space, base)?;
        (address - base.0 < kernel.size().into()).then_some(kernel)
    })
}

/// Looks at every page where kernels are loaded.
fn search(space: &AddressSpace<'_>) -> Option<KernelImage> {
    let mut found = None;
    let mut pages = 0;
    space.for_each_page(KERNEL_RANGE, MAX_TABLES, &mut |at, translation| {
        // A large page can hold an image at any of its small ones; one of a
        // gigabyte maps RAM, not images.
        if translation.page_size > 2 << 20 {
            return ControlFlow::Continue(());
        }
        for offset in (0..translation.page_size).step_by(PAGE_SIZE as usize) {
            pages += 1;
            found = KernelImage::at(space, Gva(at.0 + offset));
            if found.is_some() || pages >= MAX_PAGES {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    });
    found
}
