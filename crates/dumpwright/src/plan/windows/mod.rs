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
//! A WOW64 process has two sides, 32-bit and 64-bit, and each has all of it.

mod data;
mod filter;
#[cfg(test)]
mod tests;

use super::Context;
use super::filter_text::Privacy;
use super::selection::{Reason, Selection};
use crate::address::AddressRange;
use crate::target::{Architecture, Platform};
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

/// The stacks on which the 64-bit side of a 32-bit process makes its system calls.
pub(crate) fn system_call_stacks(context: &Context<'_>) -> Vec<AddressRange> {
    let system = &context.snapshot.system;
    if system.platform() != Platform::Windows || system.architecture != Architecture::X86 {
        return Vec::new();
    }
    data::wide_stacks(context)
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
