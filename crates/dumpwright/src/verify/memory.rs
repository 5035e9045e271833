//! Memory: that the ranges are in the file, in the address space, and distinct.

use super::contents::Contents;
use super::directory;
use super::report::{Report, Severity};
use crate::address::{AddressRange, RangeSet};
use crate::read::{MemoryRange, MemoryRegion};
use dumpwright_format::minidump::{MEM_COMMIT, MEM_FREE, MEM_RESERVE, StreamType};

pub(super) fn check(report: &mut Report, contents: &Contents) {
    // File offsets, not addresses: what header, directory and streams take up.
    let streams: RangeSet = directory::places(report)
        .into_iter()
        .map(|(place, _)| AddressRange::with_len(place.rva, place.size))
        .collect();
    for (stream, list) in [
        (StreamType::MEMORY_LIST, &contents.memory),
        (StreamType::MEMORY64_LIST, &contents.memory64),
    ] {
        let Some(ranges) = list else { continue };
        for range in ranges {
            check_range(report, stream, *range, &streams);
        }
        check_order(report, stream, ranges);
    }
    if let Some(regions) = &contents.memory_info {
        check_regions(report, regions);
    }
}

fn check_range(report: &mut Report, stream: StreamType, range: MemoryRange, streams: &RangeSet) {
    let what = || format!("the range of {} bytes at {:#x}", range.size, range.start);
    if range.size == 0 {
        report.error(stream, None, || format!("the range at {:#x} is empty", range.start));
        return;
    }
    if range.start.checked_add(range.size).is_none() {
        report.error(stream, None, || format!("{} wraps around", what()));
    }
    if report.in_file(stream, range.location(), what) {
        let bytes = AddressRange::with_len(range.file_offset, range.size);
        if streams.within(bytes).next().is_some() {
            report.error(stream, range.file_offset, || {
                format!("the bytes of {} are those of a stream, too", what())
            });
        }
    }
}

fn check_order(report: &mut Report, stream: StreamType, ranges: &[MemoryRange]) {
    let mut sorted: Vec<MemoryRange> = ranges.iter().copied().filter(|r| r.size > 0).collect();
    if !sorted.is_sorted_by_key(|range| range.start) {
        report.warning(stream, None, || "its ranges are not in order of address".to_owned());
        sorted.sort_by_key(|range| range.start);
    }
    let mut last: Option<MemoryRange> = None;
    for range in sorted {
        if let Some(before) = last {
            if range.start < before.end() {
                check_overlap(report, stream, before, range);
            }
            if before.end() >= range.end() {
                continue;
            }
        }
        last = Some(range);
    }
}

/// Ranges that overlap: writers that add the code around a crash to a stack
/// that it is on do that in a MemoryList, and then the bytes must be the same.
fn check_overlap(report: &mut Report, stream: StreamType, first: MemoryRange, second: MemoryRange) {
    let skip = second.start - first.start;
    let both = second.size.min(first.size.saturating_sub(skip));
    let differs = first
        .file_offset
        .checked_add(skip)
        .and_then(|place| report.first_difference(place, second.file_offset, both));
    let harmless = differs.is_none() && stream == StreamType::MEMORY_LIST;
    let severity = if harmless { Severity::Warning } else { Severity::Error };
    report.add(severity, stream, None, || {
        let contradiction = differs
            .map(|at| format!(" and hold different bytes for {:#x}", second.start + at))
            .unwrap_or_default();
        format!(
            "the ranges {:#x}-{:#x} and {:#x}-{:#x} overlap{contradiction}",
            first.start,
            first.end(),
            second.start,
            second.end()
        )
    });
}

fn check_regions(report: &mut Report, regions: &[MemoryRegion]) {
    const INFO: StreamType = StreamType::MEMORY_INFO_LIST;
    let mut end = 0;
    for region in regions {
        let base = region.base;
        if region.size == 0 {
            report.error(INFO, None, || format!("the region at {base:#x} is empty"));
        }
        if base.checked_add(region.size).is_none() {
            report.error(INFO, None, || format!("the region at {base:#x} wraps around"));
        }
        if base < end {
            report.error(INFO, None, || {
                format!("the region at {base:#x} starts before the one ahead of it ends ({end:#x})")
            });
        }
        if !matches!(region.state, MEM_COMMIT | MEM_RESERVE | MEM_FREE) {
            report.warning(INFO, None, || {
                format!("the region at {base:#x} has the unknown state {:#x}", region.state)
            });
        }
        end = region.end().max(end);
    }
}
