//! The header's flags: that the dump holds what they say it does.

use super::contents::Contents;
use super::report::{Report, Severity};
use dumpwright_format::MinidumpType;
use dumpwright_format::minidump::StreamType;

/// A flag, the stream that comes with it, and how bad it is without. Windows
/// leaves a stream out when it cannot have its contents, and the flag in.
const PROMISES: [(MinidumpType, StreamType, Severity); 6] = [
    (MinidumpType::WITH_FULL_MEMORY, StreamType::MEMORY64_LIST, Severity::Error),
    (MinidumpType::WITH_HANDLE_DATA, StreamType::HANDLE_DATA, Severity::Warning),
    (MinidumpType::WITH_UNLOADED_MODULES, StreamType::UNLOADED_MODULE_LIST, Severity::Warning),
    (MinidumpType::WITH_FULL_MEMORY_INFO, StreamType::MEMORY_INFO_LIST, Severity::Warning),
    (MinidumpType::WITH_THREAD_INFO, StreamType::THREAD_INFO_LIST, Severity::Warning),
    (MinidumpType::WITH_TOKEN_INFORMATION, StreamType::TOKEN, Severity::Warning),
];

pub(super) fn check(report: &mut Report, contents: &Contents) {
    let flags = report.dump.minidump_type();
    for (flag, stream, severity) in PROMISES {
        if flags.contains(flag) && report.dump.stream(stream).is_none() {
            let name = flag.iter_names().next().map_or("", |(name, _)| name);
            report.add(severity, stream, None, || {
                format!("the header's flags say {name} and there is no such stream")
            });
        }
    }
    if !flags.contains(MinidumpType::FILTER_MODULE_PATHS) {
        return;
    }
    for module in contents.modules.iter().flatten() {
        let name = module.name.as_deref().unwrap_or_default();
        if name.contains(['/', '\\']) {
            report.error(StreamType::MODULE_LIST, u64::from(module.name_rva), || {
                format!("the header's flags say FILTER_MODULE_PATHS and '{name}' is a path")
            });
        }
    }
}
