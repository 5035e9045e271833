//! What the flags mean in the memory of a Windows process: PEB, process
//! parameters, loader data and TEBs.
//!
//! - PROCESS_THREAD_DATA takes them, and the strings that they lead to.
//! - FILTER_PATHS leaves the last part of each path. A string that is a path
//!   keeps that part where it stands, and its `UNICODE_STRING` is made to begin
//!   there; in one that holds more than a path (the command line, a variable)
//!   what is left moves together. `Length` says how much is left.
//! - FILTER_TRIAGE and NO_OPTIONAL_DATA zero command line, environment, titles
//!   and current directories.
//!
//! Under WOW64 the 32-bit side of the process has all of it once more.

mod data;
mod filter;
#[cfg(test)]
mod tests;

use super::Context;
use super::filter_text::Privacy;
use super::selection::{Reason, Selection};
use crate::target::Platform;
use data::ProcessData;
use dumpwright_format::FormatFlags;

/// Selects what PROCESS_THREAD_DATA asks for.
pub(crate) fn select(context: &Context<'_>, selection: &mut Selection) {
    if context.snapshot.system.platform() != Platform::Windows
        || !context.has(FormatFlags::USER_SMALL_PROCESS_THREAD_DATA)
    {
        return;
    }
    for data in ProcessData::all(context) {
        for range in data.memory {
            for part in context.readable_parts(range.align_outward(16)) {
                selection.add(Reason::ThreadData, part);
            }
        }
    }
}

/// The bytes that filters put in the place of the process's, by address.
pub(crate) fn replacements(context: &Context<'_>, privacy: Privacy) -> Vec<(u64, Vec<u8>)> {
    let filters = privacy.paths || privacy.drops_arguments();
    if context.snapshot.system.platform() != Platform::Windows || !filters {
        return Vec::new();
    }
    let data = ProcessData::all(context);
    data.iter().flat_map(|data| filter::replacements(context, privacy, data)).collect()
}
