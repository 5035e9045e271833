//! The active dump: memory that is in use, by the kernel's own database of page
//! frames.

use super::page_set::PageSet;
use super::select::Machine;
use crate::soft_error::SoftError;
use crate::target::machine::push_run;
use crate::target::machine::{Gpa, GuestKind, Gva, PageRun, Pfn, PfnDatabaseLayout};
use dumpwright_format::kernel::DebuggerData;

/// Entries that are read at once: 4,096 of 48 bytes are 48 pages.
const BATCH: u64 = 4096;

/// `PageLocation` of frames that hold nothing: zeroed, free, and standby, whose
/// contents stand on disk too; and bad ones (`MMLISTS` in public symbols).
const NOT_IN_USE: [u8; 3] = [0, 1, 2];

/// The frames that are in use; all of RAM, and a soft error, where that cannot
/// be known.
pub fn select(machine: &Machine<'_>, soft_errors: &mut Vec<SoftError>) -> Vec<PageRun> {
    let why = match machine.snapshot.pfn_database_layout {
        _ if machine.snapshot.guest != GuestKind::Windows => "the guest is not a Windows kernel",
        _ if machine.snapshot.pfn_database.0 == 0 => "the PFN database was not found",
        None => {
            "the layout of its PFN database (MMPFN) is not known; its kernel's symbols would tell (--pdb)"
        }
        Some(layout) if layout.base.0 == 0 => "the PFN database was not found",
        Some(layout) if !is_sane(layout) => "the layout of its PFN database (MMPFN) makes no sense",
        Some(_) if !machine.kernel_space().is_known() => "its page tables are not known",
        Some(layout) => return in_use(machine, layout, soft_errors),
    };
    soft_errors.push(SoftError::new(
        "active memory",
        format!("which pages are in use is not known, so all are in the dump: {why}"),
    ));
    machine.ram.to_vec()
}

fn is_sane(layout: PfnDatabaseLayout) -> bool {
    (8..=0x100).contains(&layout.entry_size) && layout.page_location_offset < layout.entry_size
}

fn in_use(
    machine: &Machine<'_>,
    layout: PfnDatabaseLayout,
    soft_errors: &mut Vec<SoftError>,
) -> Vec<PageRun> {
    let space = machine.kernel_space();
    let size = u64::from(layout.entry_size);
    let mut runs = Vec::new();
    let mut unknown = 0;
    for ram in machine.ram {
        let mut at = ram.base.0;
        while at < ram.end().0 {
            let count = BATCH.min(ram.end().0 - at);
            let address = at.checked_mul(size).and_then(|offset| layout.base.0.checked_add(offset));
            let entries = address.and_then(|a| space.read_vec(Gva(a), (count * size) as usize));
            for index in 0..count {
                let location = match &entries {
                    Some(bytes) => {
                        Some(bytes[(index * size) as usize + layout.page_location_offset as usize])
                    }
                    // Parts of the database are not there where RAM is not.
                    None => address
                        .and_then(|a| a.checked_add(index * size))
                        .and_then(|a| a.checked_add(layout.page_location_offset.into()))
                        .and_then(|a| space.read_vec(Gva(a), 1))
                        .map(|byte| byte[0]),
                };
                let Some(location) = location else {
                    // Better a page too many than one too few.
                    unknown += 1;
                    push_run(&mut runs, PageRun { base: Pfn(at + index), count: 1 });
                    continue;
                };
                if !NOT_IN_USE.contains(&(location & 7)) {
                    push_run(&mut runs, PageRun { base: Pfn(at + index), count: 1 });
                }
            }
            at += count;
        }
    }
    if unknown > 0 {
        soft_errors.push(SoftError::new(
            "active memory",
            format!("{unknown} pages have no entry in the PFN database and are in the dump"),
        ));
    }
    // What the header points to must be readable whatever the database says.
    let mut set = PageSet::default();
    let root = Gpa(machine.snapshot.directory_table_base).pfn();
    set.insert_within(PageRun { base: root, count: 1 }, machine.ram);
    let data = machine.snapshot.debugger_data.0;
    let last = data.saturating_add(size_of::<DebuggerData>() as u64 - 1);
    for place in [data, last].into_iter().filter_map(|at| space.translate(Gva(at))) {
        set.insert_within(PageRun { base: place.pfn(), count: 1 }, machine.ram);
    }
    for run in runs {
        set.insert_within(run, machine.ram);
    }
    set.runs()
}
