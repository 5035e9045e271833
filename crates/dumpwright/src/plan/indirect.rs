//! INDIRECT_MEMORY: a window of memory around each address that a live stack
//! or a register holds.
//!
//! The window is [`BEFORE`] bytes before and [`AFTER`] bytes from the address
//! on, cut at the region's ends; overlapping windows become one range. Only
//! readable memory that is not part of an image counts.

use super::Context;
use super::selection::{Reason, Selection};
use super::stacks::{Stack, pointers};
use crate::address::AddressRange;
use crate::target::Backing;
use dumpwright_format::FormatFlags;

/// Bytes before the address.
pub const BEFORE: u64 = 256;
/// Bytes from the address on.
pub const AFTER: u64 = 768;

/// Selects the windows.
pub(crate) fn select(context: &Context<'_>, stacks: &[Stack], selection: &mut Selection) {
    if !context.has(FormatFlags::USER_SMALL_INDIRECT_MEMORY) {
        return;
    }
    let snapshot = context.snapshot;
    let mut addresses: Vec<u64> = stacks.iter().flat_map(|s| pointers(context, s.live)).collect();
    for thread in &snapshot.threads {
        addresses.extend(&thread.registers.general);
    }
    if let Some(exception) = &snapshot.exception {
        addresses.extend(&exception.registers.general);
    }
    addresses.sort_unstable();
    addresses.dedup();
    for address in addresses {
        let Some(region) = context.region_at(address) else { continue };
        if matches!(region.backing, Backing::Image(_)) || !context.may_read(&region) {
            continue;
        }
        let window =
            AddressRange::new(address.saturating_sub(BEFORE), address.saturating_add(AFTER))
                .align_outward(16)
                .intersection(AddressRange::new(region.range.start, region.backed_end));
        selection.add(Reason::Indirect, window);
    }
}
