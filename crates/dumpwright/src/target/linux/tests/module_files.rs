//! The files of modules are found, and are the right ones.

use crate::target::linux::fixture::{Fixture, wait_until};
use crate::target::{DebugId, ModuleSnapshot, ProcessTarget};
use std::io::Read;
use std::process::Command;

#[test]
fn module_files_are_those_that_are_mapped_even_if_replaced_or_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("program");
    std::fs::copy("/bin/cat", &program).unwrap();
    let original = std::fs::read(&program).unwrap();
    let fixture = Fixture::start(&mut Command::new(&program));
    wait_until("the program", || fixture.states() == "S");
    let held = fixture.hold();
    let name = program.to_str().unwrap();
    let base = held.snapshot().modules.iter().find(|m| m.path == name).unwrap().base;
    let module = ModuleSnapshot {
        base,
        size: 1,
        path: name.to_owned(),
        debug_id: DebugId::None,
        version: None,
        time_date_stamp: 0,
        check_sum: 0,
        segments: Vec::new(),
        headers: Vec::new(),
    };
    let contents = || {
        let mut bytes = Vec::new();
        held.open_module(&module).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    assert!(contents() == original);
    assert!(held.process.modules.opens_by_path(base));
    let other = dir.path().join("other");
    std::fs::copy("/bin/ls", &other).unwrap();
    std::fs::rename(&other, &program).unwrap();
    // `map_files` is for privileged users only; others get no file rather than
    // the wrong one.
    let privileged = rustix::process::geteuid().is_root();
    if privileged {
        assert!(contents() == original, "the mapped file, not the one in its place");
    } else {
        assert!(held.open_module(&module).is_err(), "not the file in its place");
    }
    assert!(
        !held.process.modules.opens_by_path(base),
        "another file is not taken for the mapped one"
    );
    std::fs::remove_file(&program).unwrap();
    if privileged {
        assert!(contents() == original, "a deleted file");
    } else {
        assert!(held.open_module(&module).is_err(), "a deleted file");
    }
    let nowhere = ModuleSnapshot { base: 1, ..module.clone() };
    assert!(held.open_module(&nowhere).is_err());
}
