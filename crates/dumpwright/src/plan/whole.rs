//! FULL_MEMORY, PRIVATE_READ_WRITE_MEMORY and PROCESS_THREAD_DATA.

use super::Context;
use super::selection::{Reason, Selection};
use crate::address::{AddressRange, RangeSet};
use crate::error::{Error, Result};
use crate::soft_error::{Hole, HoleReason, SoftError};
use crate::target::{Absent, Backing, Region};
use dumpwright_format::FormatFlags;

/// Selects whole regions: every populated page that the flags ask for, and
/// all of each image.
///
/// Pages that were never populated are left out: they hold nothing of the
/// process's own, and reading them would populate them. Images are the
/// exception: their pages come from their file, and a debugger without that
/// file wants them.
///
/// # Errors
/// [`Error::InaccessibleMemory`] with FULL_MEMORY and without
/// IGNORE_INACCESSIBLE_MEM, for a mapping that reaches past the end of its file.
pub(crate) fn select(
    context: &Context<'_>,
    selection: &mut Selection,
    holes: &mut Vec<Hole>,
    soft_errors: &mut Vec<SoftError>,
) -> Result<()> {
    let full = context.has(FormatFlags::USER_SMALL_FULL_MEMORY);
    let private = context.has(FormatFlags::USER_SMALL_PRIVATE_READ_WRITE_MEMORY);
    if !full && !private {
        return Ok(());
    }
    for region in context.snapshot.regions.iter().filter(|r| context.may_read(r)) {
        let is_private_write = region.is_private_read_write();
        if !full && !is_private_write {
            continue;
        }
        let reason = if is_private_write { Reason::PrivateReadWrite } else { Reason::Rest };
        let populated = populated(context, &region);
        if full {
            for hole in missing(&region, &populated) {
                if !context.has(FormatFlags::USER_SMALL_IGNORE_INACCESSIBLE_MEM) {
                    return Err(Error::InaccessibleMemory {
                        range: hole.range,
                        name: context.snapshot.mapping_name(region.range.start),
                        reason: hole.reason,
                    });
                }
                holes.push(hole);
            }
        }
        if region.absent == Absent::Unknown && populated.len() < region.range.len() {
            soft_errors.push(SoftError::new(
                format!("memory {}", region.range),
                format!(
                    "{} bytes wait for a user-space pager (userfaultfd) and were left out",
                    region.range.len() - populated.len()
                ),
            ));
        }
        // A minidump does not tell pages that it left out from those that were
        // never populated.
        if full && region.absent == Absent::Missing && context.snapshot.original.is_none() {
            let reason = HoleReason::NotInSource;
            let missing = populated.missing_from(region.range).into_iter();
            holes.extend(missing.map(|range| Hole { range, reason }));
        }
        for range in populated.ranges() {
            selection.add(reason, range);
        }
    }
    Ok(())
}

/// The parts of a region that have contents worth taking. Windows tells no
/// difference between pages of a mapped file that were used and others, so
/// nobody expects them to be missing there.
fn populated(context: &Context<'_>, region: &Region) -> RangeSet {
    let whole = matches!(region.backing, Backing::Image(_)) || region.page_state.is_some();
    if whole && region.absent == Absent::File {
        return [AddressRange::new(region.range.start, region.backed_end)].into_iter().collect();
    }
    context.memory.populated(region.range).into_iter().collect()
}

/// The parts of a region that should be readable and have nothing behind them.
fn missing(region: &Region, populated: &RangeSet) -> Vec<Hole> {
    populated
        .missing_from(AddressRange::new(region.backed_end, region.range.end))
        .into_iter()
        .map(|range| Hole { range, reason: HoleReason::PastEndOfFile })
        .collect()
}

/// PROCESS_THREAD_DATA: the counterparts of PEB and TEBs.
pub(crate) fn select_thread_data(context: &Context<'_>, selection: &mut Selection) {
    let snapshot = context.snapshot;
    let asked = context.has(FormatFlags::USER_SMALL_PROCESS_THREAD_DATA);
    let mut ranges = Vec::new();
    if asked {
        ranges.extend(snapshot.threads.iter().flat_map(|t| &t.local_storage).copied());
        ranges.extend(snapshot.initial_stack.iter().flat_map(|s| [s.range, s.exec_fn]));
        for range in &mut ranges {
            *range = range.align_outward(16);
        }
    }
    if asked || context.finds_modules_in_memory {
        // As they are: a name's neighbour on the heap can be anything.
        ranges.extend(&snapshot.process_data);
    }
    if context.finds_modules_in_memory {
        ranges.extend(snapshot.modules.iter().flat_map(|m| &m.headers));
    }
    for range in ranges {
        for part in context.readable_parts(range) {
            selection.add(Reason::ThreadData, part);
        }
    }
}
