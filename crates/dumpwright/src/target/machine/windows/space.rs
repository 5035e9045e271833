//! The page table that the kernel is seen through.

use super::shared_data;
use crate::soft_error::SoftError;
use crate::target::machine::understand::{ByHand, Effort};
use crate::target::machine::{
    AddressSpace, ControlRegisters, Gpa, Gva, MachineArchitecture, MachineSnapshot, PAGE_SIZE,
    PageRun, Pfn, PhysicalMemory,
};
use dumpwright_format::kernel::{DebuggerData, Header64};
use dumpwright_format::machine::windows::{
    KPCR_KERNEL_DIRECTORY_TABLE_BASE, START_BLOCK_CR3, START_BLOCK_JUMP, START_BLOCK_JUMP_MASK,
    START_BLOCK_TARGET,
};

/// Memory that is searched for a page table: the system process's is made early
/// and stands low.
const MAX_SEARCH: u64 = 16 << 30;
/// Pages in which the system process's top table is looked for by itself.
const LOW_PAGES: u64 = (64 << 20) / PAGE_SIZE;
/// Pages that are read at once.
const BATCH: u64 = 256;
/// Index in the top table of the address of `KUSER_SHARED_DATA`.
const SHARED_INDEX: usize = 0x1ef;
const FRAME: u64 = 0x000f_ffff_ffff_f000;

/// Finds a page table that has the kernel.
pub(super) fn find<'m>(
    memory: &'m dyn PhysicalMemory,
    snapshot: &mut MachineSnapshot,
    header: Option<&Header64>,
    by_hand: &ByHand,
    effort: Effort,
) -> Option<AddressSpace<'m>> {
    let architecture = snapshot.architecture;
    let open = |root: u64| AddressSpace::new(memory, architecture, root);
    let controls: Vec<ControlRegisters> =
        snapshot.processors.iter().filter_map(|processor| processor.control).collect();
    let known = by_hand.directory_table_base.into_iter();
    let known = known.chain(header.map(|header| header.directory_table_base.get()));
    let known = known.chain(controls.iter().map(|control| control.cr3));
    let known: Vec<u64> = known.chain(Some(snapshot.directory_table_base)).collect();
    for root in &known {
        let space = open(*root);
        if shared_data::is_there(&space) {
            return Some(space);
        }
    }
    // A program's table may lack the kernel (KVA shadowing) and yet has the
    // processor's control region, which names the kernel's table.
    for control in &controls {
        let program = open(control.cr3);
        for base in [control.gs_base, control.kernel_gs_base] {
            for offset in KPCR_KERNEL_DIRECTORY_TABLE_BASE {
                let at = base.checked_add(offset).map(Gva);
                let root = at.and_then(|at| program.read_u64(at)).filter(|root| *root != 0);
                if let Some(space) = root.map(open).filter(shared_data::is_there) {
                    return Some(space);
                }
            }
        }
    }
    if !controls.is_empty() && controls.iter().all(|c| c.cr3 & FRAME == 0) {
        // No processor has paging on: a firmware.
        return None;
    }
    let low = low_stub(memory).map(open).filter(shared_data::is_there);
    match effort {
        Effort::Search => low.or_else(|| search(memory, architecture, snapshot)),
        #[cfg(target_os = "linux")]
        Effort::Quick => low,
    }
}

/// CR3 as the kernel stored it for starting its other processors, below 1 MiB.
fn low_stub(memory: &dyn PhysicalMemory) -> Option<u64> {
    let mut page = [0; PAGE_SIZE as usize];
    (1..256).find_map(|pfn| {
        if !memory.read_exact(Pfn(pfn).gpa(), &mut page) {
            return None;
        }
        let word = |at: usize| page[at..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        let root = word(START_BLOCK_CR3);
        let is_block = word(0) & START_BLOCK_JUMP_MASK == START_BLOCK_JUMP
            && word(START_BLOCK_TARGET) >> 40 == 0xff_fff8
            && root != 0
            && root & !FRAME == 0;
        is_block.then_some(root)
    })
}

/// Looks at every page for a top table that maps itself, as Windows' do, and has
/// the kernel.
fn search<'m>(
    memory: &'m dyn PhysicalMemory,
    architecture: MachineArchitecture,
    snapshot: &mut MachineSnapshot,
) -> Option<AddressSpace<'m>> {
    if architecture != MachineArchitecture::Amd64 {
        return None;
    }
    let mut buf = vec![0; (BATCH * PAGE_SIZE) as usize];
    let mut seen = 0;
    for run in memory.runs() {
        let mut at = run.base.0;
        while at < run.end().0 {
            if seen >= MAX_SEARCH {
                snapshot.soft_errors.push(SoftError::new(
                    "page table",
                    format!("the first {MAX_SEARCH:#x} bytes of memory hold none of Windows; if it is one, give its (--raw-header dtb=)"),
                ));
                return None;
            }
            let count = BATCH.min(run.end().0 - at);
            let part = PageRun { base: Pfn(at), count };
            let bytes = &mut buf[..(count * PAGE_SIZE) as usize];
            memory.read_pages(part, bytes, &mut Vec::new());
            let tables = bytes.chunks(PAGE_SIZE as usize).enumerate();
            for (index, table) in tables.filter(|(_, table)| may_be_top(table)) {
                let pfn = Pfn(at + index as u64);
                if !maps_itself(table, pfn.gpa()) {
                    continue;
                }
                let space = AddressSpace::new(memory, architecture, pfn.gpa().0);
                if shared_data::is_there(&space) {
                    return Some(space);
                }
            }
            at += count;
            seen += count * PAGE_SIZE;
        }
    }
    None
}

/// Whether low memory has a top table as Windows makes them: whatever it leads
/// to may lie elsewhere than memory is thought to.
pub(in crate::target::machine) fn has_top_table(memory: &dyn PhysicalMemory) -> bool {
    let mut page = [0; PAGE_SIZE as usize];
    let low = memory.runs().iter().flat_map(|run| run.base.0..run.end().0.min(LOW_PAGES));
    low.map(Pfn).any(|pfn| {
        memory.read_exact(pfn.gpa(), &mut page)
            && may_be_top(&page)
            && maps_itself(&page, pfn.gpa())
    })
}

fn may_be_top(table: &[u8]) -> bool {
    table[SHARED_INDEX * 8] & 1 != 0
}

fn maps_itself(table: &[u8], at: Gpa) -> bool {
    table.chunks_exact(8).skip(256).any(|entry| {
        let entry = entry.first_chunk().map_or(0, |entry| u64::from_le_bytes(*entry));
        entry & 1 != 0 && entry & FRAME == at.0
    })
}

/// The table for the header: that of the current processor if the kernel is in
/// it, else the one that its process has for the kernel.
pub(super) fn choose_directory_table_base(
    space: &AddressSpace<'_>,
    data: &DebuggerData,
    snapshot: &mut MachineSnapshot,
) {
    let Some(processor) = snapshot.processors.get(snapshot.current_processor) else { return };
    let open = |root: u64| AddressSpace::new(space.memory(), snapshot.architecture, root);
    let of_process = || {
        let offset = u64::from(data.offset_eprocess_directory_table_base.get());
        let at = processor.current_process.0.checked_add(offset)?;
        space.read_u64(Gva(at)).filter(|_| offset != 0)
    };
    let candidates = [processor.control.map(|control| control.cr3), of_process()];
    let chosen = candidates.into_iter().flatten().map(open).find(shared_data::is_there);
    snapshot.directory_table_base = chosen.map_or(space.root(), |space| space.root());
}
