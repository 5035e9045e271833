//! DATA_SEGMENTS, CODE_SEGMENTS and MODULE_HEADERS: parts of the modules.

use super::Context;
use super::selection::{Reason, Selection};
use crate::target::Protection;
use dumpwright_format::FormatFlags;

/// Selects the segments and headers that the flags ask for.
pub(crate) fn select(context: &Context<'_>, selection: &mut Selection) {
    let data = context.has(FormatFlags::USER_SMALL_DATA_SEGMENTS);
    let code = context.has(FormatFlags::USER_SMALL_CODE_SEGMENTS);
    let headers = context.has(FormatFlags::USER_SMALL_MODULE_HEADERS);
    for module in &context.snapshot.modules {
        let segments = module.segments.iter().filter(|s| {
            (data && s.protection.contains(Protection::WRITE))
                || (code && s.protection.contains(Protection::EXECUTE))
        });
        let ranges = segments
            .map(|s| s.range)
            .chain(module.headers.iter().filter(|_| headers).map(|r| r.align_outward(16)));
        for range in ranges {
            for part in context.readable_parts(range) {
                selection.add(Reason::Image, part);
            }
        }
    }
}
