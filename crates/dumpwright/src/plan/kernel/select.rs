//! Which page frames belong in a dump.
//!
//! A kernel dump holds what the kernel's half of the address space maps, and the
//! tables that map it. A frame that is also mapped by the user half of any
//! process is a *user page*, whatever the kernel calls it: a driver that looks
//! at a program's buffer does not make the buffer the kernel's. Such frames are
//! left out, and counted. The one exception is the page that Windows itself
//! shares with every process (`KUSER_SHARED_DATA`): it holds the system's clock
//! and version, which debuggers read, and nothing of any process.

use super::context;
use super::page_set::PageSet;
use super::paging::{AddressSpace, Half, SYSTEM_RANGE_START_32, Walked};
use crate::error::{Error, Result};
use crate::kernel_type::{KernelDumpType, MemoryChoice};
use crate::soft_error::SoftError;
use crate::target::machine::{
    Gpa, GuestKind, Gva, MachineArchitecture, MachineSnapshot, PageRun, PhysicalMemory,
};
use crate::target::machine::{common_runs, count_pages};
use dumpwright_format::context::amd64::ContextAmd64;
use dumpwright_format::kernel::DebuggerData;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// `KUSER_SHARED_DATA` as 64-bit kernels see it (ntddk.h, `SharedUserData`).
const SHARED_USER_DATA_64: Gva = Gva(0xFFFF_F780_0000_0000);
/// `KUSER_SHARED_DATA` as 32-bit kernels see it.
const SHARED_USER_DATA_32: Gva = Gva(0xFFDF_0000);

/// A machine, as plans ask it.
#[derive(Clone, Copy)]
pub struct Machine<'a> {
    /// What is known of it.
    pub snapshot: &'a MachineSnapshot,
    /// Its memory.
    pub memory: &'a dyn PhysicalMemory,
    /// RAM that the source has, in order and apart.
    pub ram: &'a [PageRun],
}

/// RAM that a dump can hold: that of the machine, as far as the source has it.
pub fn ram_of(
    snapshot: &MachineSnapshot,
    memory: &dyn PhysicalMemory,
    soft_errors: &mut Vec<SoftError>,
) -> Vec<PageRun> {
    let held = common_runs(memory.runs(), memory.runs());
    if snapshot.runs.is_empty() {
        return held;
    }
    let ram = common_runs(&snapshot.runs, &held);
    let missing = count_pages(&snapshot.runs) - count_pages(&ram);
    if missing > 0 {
        soft_errors.push(SoftError::new(
            "memory",
            format!(
                "{missing} of the machine's {} pages are not in the source and not in the dump",
                count_pages(&snapshot.runs)
            ),
        ));
    }
    ram
}

impl<'a> Machine<'a> {
    /// The address space behind a page table.
    pub fn space(&self, directory_table_base: u64) -> AddressSpace<'a> {
        self.plain(directory_table_base).with_system_range_start(self.system_range_start())
    }

    /// The address space that the kernel is seen through.
    pub fn kernel_space(&self) -> AddressSpace<'a> {
        self.space(self.snapshot.directory_table_base)
    }

    /// KDBG, from wherever the snapshot has it; zeros where it is shorter.
    pub fn debugger_data(&self) -> Option<DebuggerData> {
        let bytes = self
            .snapshot
            .debugger_data_block
            .as_ref()
            .or(self.snapshot.decoded_debugger_data.as_ref())?;
        let mut data = DebuggerData::new_zeroed();
        let len = bytes.len().min(size_of::<DebuggerData>());
        data.as_mut_bytes()[..len].copy_from_slice(&bytes[..len]);
        Some(data)
    }

    /// The same, with a 32-bit space in halves.
    fn plain(&self, directory_table_base: u64) -> AddressSpace<'a> {
        let architecture = self.snapshot.architecture;
        AddressSpace::new(self.memory, self.ram, architecture, directory_table_base)
    }

    /// Where the kernel's half of a 32-bit space starts: KDBG names the variable
    /// that says it (kernels with /3GB have less).
    fn system_range_start(&self) -> u64 {
        if self.snapshot.architecture.is_64_bit() {
            return SYSTEM_RANGE_START_32;
        }
        let plain = self.plain(self.snapshot.directory_table_base);
        let stated = self.debugger_data().and_then(|data| {
            let mut word = [0; 4];
            plain.read(Gva(data.mm_system_range_start.get()), &mut word)?;
            Some(u64::from(u32::from_le_bytes(word)))
        });
        match stated {
            Some(start) if (SYSTEM_RANGE_START_32..0xFF00_0000).contains(&start) => start,
            _ => SYSTEM_RANGE_START_32,
        }
    }

    /// The user pages of every process that is known, and the tables of their
    /// user halves.
    pub fn user_memory(&self, soft_errors: &mut Vec<SoftError>) -> Walked {
        let mut found = Walked::default();
        let none = PageSet::default();
        let mut bases: Vec<u64> =
            self.snapshot.processes.iter().map(|p| p.directory_table_base).collect();
        if bases.is_empty() {
            soft_errors.push(SoftError::new(
                "user pages",
                "the processes are not known, so that only the user pages of the processors' current page tables are; give the kernel's symbols or its debugger data",
            ));
        }
        bases.push(self.snapshot.directory_table_base);
        let control = self.snapshot.processors.iter().filter_map(|p| p.control);
        bases.extend(control.map(|c| self.table_base(c.cr3)));
        bases.sort_unstable();
        bases.dedup();
        for base in bases {
            // Roots are told apart from other tables: a root that an earlier
            // walk met has still its own user half.
            self.space(base).walk(Half::User, &none, &mut found);
        }
        if let Some(shared) = self.kernel_space().translate(self.shared_user_data()) {
            found.pages.remove(shared.pfn());
        }
        found
    }

    /// CR3 without its flags.
    fn table_base(&self, cr3: u64) -> u64 {
        match self.snapshot.architecture {
            MachineArchitecture::X86Pae => cr3 & !0x1F & 0xFFFF_FFFF,
            MachineArchitecture::X86 => cr3 & 0xFFFF_F000,
            _ => cr3 & 0x000F_FFFF_FFFF_F000,
        }
    }

    /// Page tables of the process that the dump is seen from.
    fn current_process_base(&self) -> u64 {
        let current = self.snapshot.processors.get(self.snapshot.current_processor);
        let process = current.and_then(|p| {
            self.snapshot.processes.iter().find(|known| {
                known.eprocess == p.current_process && known.directory_table_base != 0
            })
        });
        process.map_or(self.snapshot.directory_table_base, |p| p.directory_table_base)
    }

    /// The page of the system that every process sees.
    fn shared_user_data(&self) -> Gva {
        if self.snapshot.architecture.is_64_bit() {
            SHARED_USER_DATA_64
        } else {
            SHARED_USER_DATA_32
        }
    }
}

/// The frames of a dump of a type, as runs in order and apart.
///
/// # Errors
/// [`Error::InvalidRequest`] where the guest is not understood well enough to
/// tell its kernel's pages.
pub fn select(
    machine: &Machine<'_>,
    kind: KernelDumpType,
    soft_errors: &mut Vec<SoftError>,
) -> Result<Vec<PageRun>> {
    match kind.memory() {
        MemoryChoice::All => Ok(machine.ram.to_vec()),
        MemoryChoice::InUse => Ok(super::active::select(machine, soft_errors)),
        MemoryChoice::Pieces => Ok(Vec::new()),
        MemoryChoice::Kernel | MemoryChoice::KernelAndUser => {
            require_kernel(machine, kind)?;
            Ok(kernel_pages(machine, kind, soft_errors))
        }
    }
}

/// Refuses types that need the kernel's page tables where there are none to go
/// by.
pub fn require_kernel(machine: &Machine<'_>, kind: KernelDumpType) -> Result<()> {
    let why = if machine.snapshot.guest != GuestKind::Windows {
        "the guest is not a Windows kernel, or not recognised as one, so that its pages cannot be told from those of programs"
    } else if machine.snapshot.architecture == MachineArchitecture::Arm64 {
        "page tables of ARM64 are not understood"
    } else if !machine.kernel_space().is_known() {
        "the page table of the kernel (DirectoryTableBase) is not known or not in memory"
    } else {
        return Ok(());
    };
    Err(Error::InvalidRequest(format!(
        "a dump of type {} cannot be made: {why}; write a complete dump (-f, --type bitmap-full)",
        kind.name()
    )))
}

fn kernel_pages(
    machine: &Machine<'_>,
    kind: KernelDumpType,
    soft_errors: &mut Vec<SoftError>,
) -> Vec<PageRun> {
    let user = machine.user_memory(soft_errors);
    let space = machine.kernel_space();
    let mut kernel = Walked::default();
    // The kernel's tables map themselves and with them those of the user half,
    // which must not be taken for lists of the kernel's pages.
    let mut foreign = user.tables.clone();
    foreign.remove(space.root());
    space.walk(Half::Kernel, &foreign, &mut kernel);

    let mut pages = kernel.pages;
    pages.insert_all(&kernel.tables);
    // A debugger that turns to another process sees the kernel through that
    // one's top table, which no other maps.
    let processes = machine.snapshot.processes.iter();
    let roots = processes.map(|p| machine.table_base(p.directory_table_base));
    for root in roots.filter(|base| *base != 0) {
        pages.insert(Gpa(root).pfn());
    }
    let before = pages.count();
    pages.remove_all(&user.pages);
    let aliased = before - pages.count();
    if aliased > 0 {
        soft_errors.push(SoftError::new(
            "user pages",
            format!("{aliased} pages that the kernel maps are mapped by processes too and were left out as theirs"),
        ));
    }
    if kind.memory() == MemoryChoice::KernelAndUser {
        let mut current = Walked::default();
        let none = PageSet::default();
        machine.space(machine.current_process_base()).walk(Half::User, &none, &mut current);
        pages.insert_all(&current.pages);
        pages.insert_all(&current.tables);
    }
    // Tables come from walks, which never leave RAM, but the root may.
    common_runs(&pages.runs(), machine.ram)
}

/// What the dump's pages must have in place of what memory has: the debugger's
/// data, where that is encoded or missing, and the registers of a guest that ran.
pub fn edits(machine: &Machine<'_>, soft_errors: &mut Vec<SoftError>) -> super::Edits {
    let mut edits = super::Edits::default();
    store_contexts(machine, &mut edits);
    let Some(bytes) = &machine.snapshot.decoded_debugger_data else { return edits };
    let space = machine.kernel_space();
    let address = machine.snapshot.debugger_data;
    if address.0 == 0 || !edits.put(&space, address, bytes) {
        soft_errors.push(SoftError::new(
            "KDBG",
            format!("the decoded debugger data has no place in memory at {address}; debuggers that need it will not find it in this dump"),
        ));
    }
    edits
}

/// Puts the registers of each processor where debuggers look for them: in the
/// context that its `KPRCB` points to, which a kernel fills in when it crashes.
/// Parts that the source has not keep what memory has.
fn store_contexts(machine: &Machine<'_>, edits: &mut super::Edits) {
    let snapshot = machine.snapshot;
    let is_amd64 = snapshot.architecture.is_64_bit()
        && snapshot.architecture != MachineArchitecture::Arm64
        && snapshot.guest == GuestKind::Windows;
    let Some(data) = machine.debugger_data().filter(|_| is_amd64 && snapshot.bug_check.is_none())
    else {
        return;
    };
    let offset = u64::from(data.offset_prcb_context.get());
    let space = machine.kernel_space();
    for processor in snapshot.processors.iter().filter(|p| p.prcb.0 != 0 && offset != 0) {
        let pointer = processor.prcb.0.checked_add(offset);
        let place = pointer.and_then(|at| space.read_u64(Gva(at))).map(Gva);
        let there = place.and_then(|at| space.read_vec(at, size_of::<ContextAmd64>()));
        if let (Some(place), Some(there)) = (place, there)
            && let Ok(known) = ContextAmd64::read_from_bytes(&processor.context)
        {
            let merged = context::merged(padded(&there), &known);
            // What has no place is left as it is.
            if merged.as_bytes() != there {
                edits.put(&space, place, merged.as_bytes());
            }
        }
    }
}

/// A structure at the start of bytes, zero where they end early.
pub fn padded<T: FromBytes + IntoBytes + zerocopy::Immutable + zerocopy::KnownLayout>(
    bytes: &[u8],
) -> T {
    let mut value = T::new_zeroed();
    let len = bytes.len().min(size_of::<T>());
    value.as_mut_bytes()[..len].copy_from_slice(&bytes[..len]);
    value
}
