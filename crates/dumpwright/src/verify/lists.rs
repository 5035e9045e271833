//! Lists: that the sizes they state, their counts and their streams agree.

use super::report::Report;
use dumpwright_format::minidump::{
    self as wire, HandleDataStream, HandleDescriptor, MISC_INFO_SIZES, Memory64ListHeader,
    MemoryInfoList, StreamType, ThreadInfoList, UnloadedModuleList,
};

/// Lists with a plain `u32` count, and the bytes of an entry.
const COUNTED: [(StreamType, usize); 5] = [
    (StreamType::THREAD_LIST, size_of::<wire::Thread>()),
    (StreamType::THREAD_EX_LIST, 64),
    (StreamType::MODULE_LIST, size_of::<wire::Module>()),
    (StreamType::MEMORY_LIST, size_of::<wire::MemoryDescriptor>()),
    (StreamType::THREAD_NAMES, size_of::<wire::ThreadName>()),
];

/// Lists that state the sizes of their head and of an entry: the least of both,
/// and whether the count has 64 bits.
const STATED: [(StreamType, usize, usize, bool); 4] = [
    (
        StreamType::MEMORY_INFO_LIST,
        size_of::<MemoryInfoList>(),
        size_of::<wire::MemoryInfo>(),
        true,
    ),
    (
        StreamType::THREAD_INFO_LIST,
        size_of::<ThreadInfoList>(),
        size_of::<wire::ThreadInfo>(),
        false,
    ),
    (
        StreamType::UNLOADED_MODULE_LIST,
        size_of::<UnloadedModuleList>(),
        size_of::<wire::UnloadedModule>(),
        false,
    ),
    (StreamType::HANDLE_DATA, size_of::<HandleDataStream>(), size_of::<HandleDescriptor>(), false),
];

pub(super) fn check(report: &mut Report) {
    for (stream, entry_size) in COUNTED {
        check_counted(report, stream, entry_size);
    }
    for (stream, head, entry, wide) in STATED {
        check_stated(report, stream, head, entry, wide);
    }
    check_memory64(report);
    check_misc_info(report);
}

/// The little-endian number of up to 8 bytes at `at` bytes into a stream, and
/// the stream's place, if both are in the file.
fn number(report: &Report, stream: StreamType, at: u64, bytes: usize) -> Option<(u64, u64, u64)> {
    let place = report.dump.stream(stream)?.location;
    let mut buf = [0; 8];
    let inside = at + bytes as u64 <= place.size && report.dump.holds(place.rva, place.size);
    if !inside {
        return None;
    }
    report.dump.read_file(place.rva + at, &mut buf[..bytes]).ok()?;
    Some((u64::from_le_bytes(buf), place.rva, place.size))
}

fn check_counted(report: &mut Report, stream: StreamType, entry_size: usize) {
    let Some((count, rva, size)) = number(report, stream, 0, 4) else { return };
    let need = 4 + count * entry_size as u64;
    // Too small a stream is told by the reader; some writers align to 8 bytes.
    if size > need && size != need + 4 {
        report.error(stream, rva, || {
            format!("the stream has {size} bytes and its {count} entries take {need}")
        });
    }
}

fn check_stated(report: &mut Report, stream: StreamType, head: usize, entry: usize, wide: bool) {
    let Some((stated_head, rva, size)) = number(report, stream, 0, 4) else { return };
    let Some((stated_entry, ..)) = number(report, stream, 4, 4) else { return };
    let Some((count, ..)) = number(report, stream, 8, if wide { 8 } else { 4 }) else { return };
    if stated_head < head as u64 {
        report.error(stream, rva, || {
            format!("it states a head of {stated_head} bytes; {head} is the least")
        });
    }
    if stated_entry < entry as u64 {
        report.error(stream, rva + 4, || {
            format!("it states entries of {stated_entry} bytes; {entry} is the least")
        });
    }
    let need = count.checked_mul(stated_entry).and_then(|bytes| bytes.checked_add(stated_head));
    if need.is_some_and(|need| need < size) {
        report.warning(stream, rva, || format!("bytes follow the last of its {count} entries"));
    }
}

fn check_memory64(report: &mut Report) {
    let stream = StreamType::MEMORY64_LIST;
    let Some((count, rva, size)) = number(report, stream, 0, 8) else { return };
    let head = size_of::<Memory64ListHeader>() as u64;
    let need = count.checked_mul(16).and_then(|bytes| bytes.checked_add(head));
    if need.is_some_and(|need| need < size) {
        report.error(stream, rva, || {
            format!("the stream has {size} bytes; {count} ranges make exactly 16 + 16 * {count}")
        });
    }
}

fn check_misc_info(report: &mut Report) {
    let stream = StreamType::MISC_INFO;
    let Some((stated, rva, size)) = number(report, stream, 0, 4) else { return };
    if stated != size {
        report.warning(stream, rva, || {
            format!("it states a size of {stated} bytes and its stream has {size}")
        });
    }
    if !MISC_INFO_SIZES.iter().any(|form| *form as u64 == size) {
        report.warning(stream, rva, || format!("none of the five forms has {size} bytes"));
    }
}
