//! Sanitised cores: debuggers find the libraries and unwind, and nothing of what
//! was planted is left.

use crate::sanitize::{assert_nothing_planted_in, secretive};
use crate::support::cli::dump_pid;
use crate::support::frozen::Frozen;
use crate::support::readers::{assert_same_frames, gdb_traces, gdb_traces_with, lldb_traces_with};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The folders of the files that a process has mapped: what somebody would name
/// who has the programs.
fn folders(pid: u32) -> Vec<String> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let paths = maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..]));
    let folders = paths.filter_map(|path| Some(Path::new(path).parent()?.to_str()?.to_owned()));
    folders.collect::<BTreeSet<_>>().into_iter().collect()
}

#[test]
fn debuggers_find_the_libraries_of_a_sanitised_core_and_unwind() {
    let target = secretive();
    let _frozen = Frozen::new(&target);
    let core = dump_pid(target.pid(), &["--sanitize", "--as", "core"]);
    let bytes = fs::read(&core.file).unwrap();
    assert_nothing_planted_in(&target, &bytes);
    // A build id note of 20 bytes: sizes, type, name.
    let note = [&[4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0][..], b"GNU\0"].concat();
    let ids = bytes.windows(note.len()).filter(|window| *window == note).count();
    assert!(ids >= 3, "of the program, the linker and the C library: {ids}");
    let Some(truth) = gdb_traces(target.pid()) else { return };
    let folders = folders(target.pid());
    let program = fs::read_link(format!("/proc/{}/exe", target.pid())).unwrap();
    let search = format!("set solib-search-path {}", folders.join(":"));
    let gdb = gdb_traces_with(&["-iex", &search], &program, &core.file);
    assert_same_frames(&gdb.unwrap(), &truth);
    let search = format!("settings set target.exec-search-paths {}", folders.join(" "));
    if let Some(lldb) = lldb_traces_with(&search, &program, &core.file) {
        assert_same_frames(&lldb, &truth);
    }
}
