//! What can be wrong with a guest's memory, one thing at a time.

use crate::nt::{self, Nt};
use crate::paging::PagingMode;
use crate::process::LINKS;

/// A fault of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Every entry of the kernel's half of the top table leads back to it.
    CyclicTables,
    /// The list of modules turns in a ring that its head is not in.
    CyclicModules,
    /// The list of processes does.
    CyclicProcesses,
    /// The lists lead to addresses that are not mapped.
    BrokenLists,
    /// Modules have names of noise, of an odd length, and of no memory.
    GarbageNames,
    /// CR3 of all processors is the address of a page of noise.
    WrongCr3,
    /// CR3 of all processors lies outside RAM.
    Cr3OutsideRam,
    /// KDBG says that everything in it is far larger than it is.
    AbsurdSizes,
    /// The physical memory block claims four thousand million runs.
    AbsurdRuns,
    /// The top table is noise.
    NoiseTables,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 10] = [
        Fault::CyclicTables,
        Fault::CyclicModules,
        Fault::CyclicProcesses,
        Fault::BrokenLists,
        Fault::GarbageNames,
        Fault::WrongCr3,
        Fault::Cr3OutsideRam,
        Fault::AbsurdSizes,
        Fault::AbsurdRuns,
        Fault::NoiseTables,
    ];

    /// Breaks a guest in this way.
    pub fn apply(self, nt: &mut Nt) {
        match self {
            Fault::CyclicTables => {
                assert_eq!(nt.system.mode, PagingMode::Long4);
                for root in roots(nt) {
                    for entry in 256..512 {
                        nt.image.write(root + 8 * entry, &(root | 0x63).to_le_bytes());
                    }
                }
            }
            Fault::CyclicModules => {
                let (a, b) = (nt.modules[1].entry, nt.modules[2].entry);
                poke(nt, b, a);
            }
            Fault::CyclicProcesses => {
                let (a, b) = (nt.processes[1].eprocess, nt.processes[2].eprocess);
                poke(nt, b + LINKS, a + LINKS);
            }
            Fault::BrokenLists => {
                let (module, process) = (nt.modules[1].entry, nt.processes[1].eprocess);
                poke(nt, module, 0xffff_dead_0000_0000);
                poke(nt, process + LINKS, 0xffff_dead_0000_0000);
                poke(nt, Nt::variable(nt::rva::UNLOADED), 0xffff_dead_0000_0000);
            }
            Fault::GarbageNames => {
                // `FullDllName` at 0x48: length, size, buffer.
                let places = [(nt::KERNEL + 1, 0xffff_u16), (0x1234, 0xfffe), (u64::MAX - 6, 9)];
                let modules: Vec<u64> = nt.modules.iter().map(|m| m.entry).collect();
                for (module, (buffer, length)) in modules.into_iter().zip(places) {
                    nt.system.write(&mut nt.image, module + 0x48, &length.to_le_bytes());
                    poke(nt, module + 0x50, buffer);
                }
            }
            Fault::WrongCr3 => {
                let noise = nt.litter[0] * crate::PAGE;
                nt.processors.iter_mut().for_each(|p| p.registers.cr3 = noise);
            }
            Fault::Cr3OutsideRam => {
                let outside = (nt.image.end() + 0x1000) * crate::PAGE;
                nt.processors.iter_mut().for_each(|p| p.registers.cr3 = outside);
            }
            Fault::AbsurdSizes => {
                let at = Nt::variable(nt::rva::KDBG);
                for offset in (0x298..0x308).step_by(2) {
                    nt.system.write(&mut nt.image, at + offset, &[0xff, 0xff]);
                }
            }
            Fault::AbsurdRuns => {
                let block = nt.read(Nt::variable(nt::rva::MEMORY_BLOCK), 8).unwrap();
                let block = u64::from_le_bytes(block.try_into().unwrap());
                nt.system.write(&mut nt.image, block, &u32::MAX.to_le_bytes());
                nt.system.write(&mut nt.image, block + 8, &u64::MAX.to_le_bytes());
            }
            Fault::NoiseTables => {
                for root in roots(nt) {
                    for entry in 0..512 {
                        nt.image.write(root + 8 * entry, &crate::mix(root + entry).to_le_bytes());
                    }
                }
            }
        }
    }
}

fn roots(nt: &Nt) -> Vec<u64> {
    nt.processes.iter().map(|p| p.space.root).collect()
}

fn poke(nt: &mut Nt, va: u64, value: u64) {
    nt.system.write(&mut nt.image, va, &value.to_le_bytes());
}
