//! Header and directory: what is where, and that no two things are in the same
//! place.

use super::report::{Report, Severity};
use crate::read::{DirectoryEntry, Location};
use dumpwright_format::MinidumpType;
use dumpwright_format::minidump::{Directory, Header, StreamType};
use std::collections::HashSet;

pub(super) fn check(report: &mut Report) {
    let dump = report.dump;
    if dump.directory().is_empty() {
        report.warning(None, None, || "the dump has no streams".to_owned());
    }
    let unknown = dump.header().flags.get() & !MinidumpType::all().bits();
    if unknown != 0 {
        report.warning(None, 24, || format!("the header's flags have unknown bits {unknown:#x}"));
    }
    let mut seen = HashSet::new();
    for entry in dump.directory() {
        check_entry(report, *entry, seen.insert(entry.stream_type));
    }
    check_overlaps(report);
}

fn check_entry(report: &mut Report, entry: DirectoryEntry, first: bool) {
    let DirectoryEntry { stream_type, location } = entry;
    if stream_type == StreamType::UNUSED {
        if location.size != 0 {
            report.warning(None, location.rva, || {
                format!("an unused directory entry has {} bytes", location.size)
            });
        }
        return;
    }
    report.in_file(stream_type, location, || "the stream".to_owned());
    if !first {
        let severity =
            if stream_type.name().is_some() { Severity::Error } else { Severity::Warning };
        report.add(severity, stream_type, location.rva, || {
            "there is more than one stream of this type; readers see only one of them".to_owned()
        });
    }
}

/// The places of header, directory and streams, by what they are.
pub(super) fn places(report: &Report) -> Vec<(Location, Option<StreamType>)> {
    let dump = report.dump;
    let header = dump.header();
    let directory = Location {
        rva: header.stream_directory_rva.get().into(),
        size: u64::from(header.number_of_streams.get()) * size_of::<Directory>() as u64,
    };
    let mut places =
        vec![(Location { rva: 0, size: size_of::<Header>() as u64 }, None), (directory, None)];
    places.extend(
        dump.directory()
            .iter()
            .filter(|entry| entry.stream_type != StreamType::UNUSED)
            .map(|entry| (entry.location, Some(entry.stream_type))),
    );
    places.retain(|(place, _)| place.size > 0 && dump.holds(place.rva, place.size));
    places.sort_by_key(|(place, _)| place.rva);
    places
}

fn check_overlaps(report: &mut Report) {
    let name = |stream: Option<StreamType>| {
        stream.map_or_else(|| "header or directory".to_owned(), |stream| stream.to_string())
    };
    let mut last: Option<(Location, Option<StreamType>)> = None;
    for (place, stream) in places(report) {
        if let Some((before, other)) = last {
            if place.rva < before.end() {
                report.error(stream.or(other), place.rva, || {
                    format!("{} and {} share bytes of the file", name(other), name(stream))
                });
            }
            if before.end() >= place.end() {
                continue;
            }
        }
        last = Some((place, stream));
    }
}
