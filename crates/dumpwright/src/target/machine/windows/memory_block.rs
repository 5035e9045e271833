//! `MmPhysicalMemoryBlock`: the RAM that the kernel has been given.

use crate::target::machine::{AddressSpace, Gva, MAX_PFN, PageRun, Pfn};
use dumpwright_format::kernel::{DebuggerData, PhysicalMemoryRun64};
use dumpwright_format::machine::windows::PhysicalMemoryDescriptor64;
use zerocopy::FromBytes;

/// Runs that are read; machines have some dozens, and with memory that was added
/// while they ran some hundreds.
const MAX_RUNS: u32 = 4096;

/// The kernel's RAM, in order and apart; `None` where it does not say or what it
/// says makes no sense.
pub(super) fn read(space: &AddressSpace<'_>, data: &DebuggerData) -> Option<Vec<PageRun>> {
    let variable = Some(data.mm_physical_memory_block.get()).filter(|at| *at != 0)?;
    let block = space.read_u64(Gva(variable)).filter(|at| *at != 0)?;
    let head: PhysicalMemoryDescriptor64 = space.read_as(Gva(block))?;
    let count = Some(head.number_of_runs.get()).filter(|count| (1..=MAX_RUNS).contains(count))?;
    let start = block.checked_add(size_of::<PhysicalMemoryDescriptor64>() as u64)?;
    let size = size_of::<PhysicalMemoryRun64>();
    let bytes = space.read_bytes(Gva(start), count as usize * size)?;
    let mut runs: Vec<PageRun> = Vec::with_capacity(count as usize);
    let mut pages = 0;
    for entry in bytes.chunks_exact(size) {
        let entry = PhysicalMemoryRun64::read_from_bytes(entry).ok()?;
        let run = PageRun { base: Pfn(entry.base_page.get()), count: entry.page_count.get() };
        let end = run.base.0.checked_add(run.count)?;
        let in_order = runs.last().is_none_or(|last| last.end() <= run.base);
        (run.count > 0 && end <= MAX_PFN && in_order).then_some(())?;
        pages += run.count;
        crate::target::machine::push_run(&mut runs, run);
    }
    (pages == head.number_of_pages.get()).then_some(runs)
}
