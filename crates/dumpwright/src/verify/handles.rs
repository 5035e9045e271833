//! Handles, their names and what is chained to them.

use super::contents::Contents;
use super::report::Report;
use dumpwright_format::minidump::{HandleDescriptor, HandleDescriptor2, StreamType};
use std::collections::HashSet;

const STREAM: StreamType = StreamType::HANDLE_DATA;

pub(super) fn check(report: &mut Report, contents: &Contents) {
    let Some(data) = &contents.handles else { return };
    let size = data.size_of_descriptor as usize;
    if ![size_of::<HandleDescriptor>(), size_of::<HandleDescriptor2>()].contains(&size) {
        report.warning(STREAM, None, || {
            format!("descriptors of {size} bytes are of an unknown kind")
        });
    }
    let mut seen = HashSet::new();
    for handle in &data.handles {
        let value = handle.handle;
        if !seen.insert(value) {
            report.warning(STREAM, None, || format!("handle {value:#x} occurs twice"));
        }
        for (rva, what) in [(handle.type_name_rva, "type"), (handle.object_name_rva, "object")] {
            if rva != 0 {
                report
                    .string(STREAM, rva.into(), || format!("the {what} name of handle {value:#x}"));
            }
        }
        if !handle.object_infos_complete {
            report.error(STREAM, u64::from(handle.object_info_rva), || {
                format!("the object informations of handle {value:#x} lead out of the file or to themselves")
            });
        }
    }
}
