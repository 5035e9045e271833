//! The address space, by `VirtualQueryEx`.

use super::sys::memory::{PageRange, mapped_file, query};
use crate::address::AddressRange;
use crate::packed::Packed;
use crate::target::{Absent, Access, Backing, ModuleSnapshot, PageState, Protection, Region};
use dumpwright_format::minidump::{MEM_COMMIT, MEM_FREE, MEM_IMAGE, MEM_PRIVATE, PageProtection};
use std::collections::HashMap;
use std::os::windows::io::BorrowedHandle;

/// All ranges that are not free, up to `end`.
pub(super) fn page_ranges(process: BorrowedHandle<'_>, end: u64) -> Vec<PageRange> {
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < end {
        let Some(range) = query(process, at) else { break };
        let Some(next) = range.base.checked_add(range.size).filter(|next| *next > at) else {
            break;
        };
        if range.state != MEM_FREE {
            ranges.push(range);
        }
        at = next;
    }
    ranges
}

/// The regions that the ranges are.
pub(super) fn regions(
    process: BorrowedHandle<'_>,
    ranges: &[PageRange],
    modules: &[ModuleSnapshot],
) -> Packed<Region> {
    let mut names = HashMap::new();
    let mut name_of = |range: &PageRange| {
        if range.memory_type == MEM_PRIVATE {
            return String::new();
        }
        let name = names.entry(range.allocation_base);
        name.or_insert_with(|| mapped_file(process, range.allocation_base).unwrap_or_default())
            .clone()
    };
    let region = |range: &PageRange| {
        let protect = PageProtection::from_bits_retain(range.protect);
        let committed = range.state == MEM_COMMIT;
        let module = modules.iter().position(|m| m.range().contains(range.base));
        let (backing, name) = match module {
            Some(index) if range.memory_type == MEM_IMAGE => {
                (Backing::Image(index), modules[index].path.clone())
            }
            _ => match name_of(range) {
                name if name.is_empty() => (Backing::Anonymous, name),
                name => (Backing::File, name),
            },
        };
        let end = range.base + range.size;
        Region {
            range: AddressRange::new(range.base, end),
            protection: if committed { protection(protect) } else { Protection::empty() },
            shared: range.memory_type != MEM_PRIVATE && range.memory_type != MEM_IMAGE,
            backing,
            name: name.into(),
            allocation_base: range.allocation_base,
            // Reading a guard page would spring it.
            access: if protect.contains(PageProtection::GUARD) {
                Access::Forbidden
            } else {
                Access::Normal
            },
            absent: if backing == Backing::Anonymous { Absent::Zero } else { Absent::File },
            backed_end: end,
            page_state: Some(Box::new(PageState {
                state: range.state,
                protect: if committed { range.protect } else { 0 },
                allocation_protect: range.allocation_protect,
                memory_type: range.memory_type,
            })),
        }
    };
    ranges.iter().map(region).collect()
}

/// What a `PAGE_*` value allows.
fn protection(protect: PageProtection) -> Protection {
    const READ: PageProtection = PageProtection::READ_ONLY
        .union(PageProtection::READ_WRITE)
        .union(PageProtection::WRITE_COPY)
        .union(PageProtection::EXECUTE_READ)
        .union(PageProtection::EXECUTE_READ_WRITE)
        .union(PageProtection::EXECUTE_WRITE_COPY);
    const WRITE: PageProtection = PageProtection::READ_WRITE
        .union(PageProtection::WRITE_COPY)
        .union(PageProtection::EXECUTE_READ_WRITE)
        .union(PageProtection::EXECUTE_WRITE_COPY);
    const EXECUTE: PageProtection = PageProtection::EXECUTE
        .union(PageProtection::EXECUTE_READ)
        .union(PageProtection::EXECUTE_READ_WRITE)
        .union(PageProtection::EXECUTE_WRITE_COPY);
    let mut result = Protection::empty();
    result.set(Protection::READ, protect.intersects(READ));
    result.set(Protection::WRITE, protect.intersects(WRITE));
    result.set(Protection::EXECUTE, protect.intersects(EXECUTE));
    result
}
