//! HandleData: one descriptor for each open handle, told by its kind.

use crate::support::cli::dump;
use crate::support::readers::pypi_minidump;
use crate::support::target::Target;
use minidump::{MinidumpHandleDataStream, RawHandleDescriptor};
use std::collections::BTreeMap;
use std::fs;

/// `FILE_READ_DATA`, `FILE_WRITE_DATA`, `FILE_APPEND_DATA` of winnt.h.
const READ: u32 = 0x1;
const WRITE: u32 = 0x2;
const APPEND: u32 = 0x4;

/// Type name, object name and granted access by handle.
fn descriptors(stream: &MinidumpHandleDataStream) -> BTreeMap<u64, (String, String, u32)> {
    stream
        .iter()
        .map(|h| {
            let (handle, access) = match &h.raw {
                RawHandleDescriptor::HandleDescriptor(d) => (d.handle, d.granted_access),
                RawHandleDescriptor::HandleDescriptor2(d) => (d.handle, d.granted_access),
            };
            let text = |t: &Option<String>| t.clone().unwrap_or_default();
            (handle, (text(&h.type_name), text(&h.object_name), access))
        })
        .collect()
}

#[test]
fn every_open_handle_is_listed_by_its_kind() {
    let target = Target::fixture("handles", &["{}"]);
    let written = dump(&target, &["--handle-data"]);
    let loaded = written.load();
    let handles = descriptors(&loaded.get());
    let open: Vec<u64> = {
        let mut open: Vec<u64> = fs::read_dir(format!("/proc/{}/fd", target.pid()))
            .unwrap()
            .map(|e| e.unwrap().file_name().to_str().unwrap().parse().unwrap())
            .collect();
        open.sort_unstable();
        open
    };
    assert_eq!(handles.keys().copied().collect::<Vec<_>>(), open);
    for expected in target.ready["handles"].as_array().unwrap() {
        let fd = expected["fd"].as_u64().unwrap();
        let (kind, name, _) = &handles[&fd];
        assert_eq!(kind, expected["kind"].as_str().unwrap(), "handle {fd}");
        let path = expected["name"].as_str().unwrap();
        if !path.is_empty() {
            assert_eq!(name, path, "handle {fd}");
        }
    }
    let memfd = handles.values().find(|(kind, ..)| kind == "Memfd").unwrap();
    assert!(memfd.1.contains("dumpwright-memfd"), "{memfd:?}");
}

#[test]
fn granted_access_follows_how_it_was_opened() {
    let target = Target::fixture("handles", &["{}"]);
    let loaded = dump(&target, &["--handle-data"]).load();
    let handles = descriptors(&loaded.get());
    let access = |name: &str| {
        let found = handles.values().find(|(_, n, _)| n.ends_with(name));
        found.unwrap_or_else(|| panic!("no handle {name}")).2
    };
    assert_eq!(access("read-write.txt") & (READ | WRITE), READ | WRITE);
    assert_eq!(access("append.txt") & (READ | WRITE | APPEND), APPEND, "append only");
}

#[test]
fn offsets_and_endpoints_are_told_where_there_are_any() {
    let target = Target::fixture("handles", &["{}"]);
    let loaded = dump(&target, &["--handle-data"]).load();
    for expected in target.ready["handles"].as_array().unwrap() {
        let detail = expected["detail"].as_str().unwrap();
        // Shorter texts occur by chance; the offset is looked for by its key.
        let detail = if detail == "7" { "pos: 7".into() } else { detail.to_owned() };
        if detail.is_empty() {
            continue;
        }
        let found = crate::support::find(&loaded.bytes, &crate::support::utf16(&detail))
            .or_else(|| crate::support::find(&loaded.bytes, detail.as_bytes()));
        assert!(found.is_some(), "{expected}: '{detail}' is nowhere in the dump");
    }
}

#[test]
fn pypi_minidump_lists_the_same_handles() {
    let target = Target::fixture("handles", &["{}"]);
    let written = dump(&target, &["--handle-data"]);
    let Some(seen) = pypi_minidump(&written.file, &[]) else { return };
    for expected in target.ready["handles"].as_array().unwrap() {
        let of = |h: &&serde_json::Value| h[0] == expected["fd"];
        let handle = seen["handles"].as_array().unwrap().iter().find(of);
        let handle = handle.unwrap_or_else(|| panic!("no handle {expected}"));
        assert_eq!(handle[1], expected["kind"]);
    }
}
