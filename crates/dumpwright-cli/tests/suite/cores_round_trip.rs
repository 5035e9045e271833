//! By way of a core of ours, a dump loses nothing: what cores have no notes for
//! is carried.

use crate::samples::{is_malformed, samples};
use crate::support::cli::{assert_verifies, dump, dump_file, dump_pid};
use crate::support::dump::{Loaded, Memory, stream};
use crate::support::frozen::Frozen;
use crate::support::target::Target;
use crate::support::utf16;
use minidump::system_info::PointerWidth;
use minidump::{MinidumpHandleDataStream, MinidumpSystemInfo};
use std::path::Path;

const HANDLE_DATA: u64 = 0x4;

/// Dumps `source` twice, once by way of a core, and holds all that the two have
/// against each other.
#[track_caller]
fn assert_nothing_is_lost(source: &Path, options: &[&str]) {
    let what = format!("{} {options:?}", source.display());
    let direct = dump_file(source, options).load();
    let core = dump_file(source, &[options, &["--as", "core"]].concat());
    let written = dump_file(&core.file, options);
    assert_verifies(&written.file);
    let by_core = written.load();
    assert_eq!(by_core.stream_types(), direct.stream_types(), "{what}");
    for kind in direct.stream_types().into_iter().filter(|kind| *kind != stream::SOFT_ERRORS) {
        assert!(by_core.raw(kind) == direct.raw(kind), "{what}: stream {kind:#x} differs");
    }
    // Signature to checksum, time and flags.
    assert!(by_core.bytes[..8] == direct.bytes[..8], "{what}: header");
    assert!(by_core.bytes[16..32] == direct.bytes[16..32], "{what}: time or flags");
    let ranges = |l: &Loaded| l.memory().iter().map(Memory::range).collect::<Vec<_>>();
    assert_eq!(ranges(&by_core), ranges(&direct), "{what}");
    for (a, b) in by_core.memory().iter().zip(direct.memory()) {
        assert!(a.bytes == b.bytes, "{what}: memory at {:#x}", a.start);
    }
}

#[test]
fn a_minidump_by_way_of_a_core_is_the_minidump() {
    let target = Target::fixture("threads", &["4"]);
    let counted = ["--token", "--vm-counters", "--system-memory", "-c", "a comment"];
    for letters in ["-mhuity", "-mwi", "-ma"] {
        let first = dump(&target, &[&[letters], &counted[..]].concat());
        for options in [&["-mA"][..], &["-m"], &["-mhuity", "-c", "another"], &["-mr"]] {
            assert_nothing_is_lost(&first.file, options);
        }
    }
}

#[test]
fn dumps_of_linux_by_other_writers_lose_nothing_by_way_of_a_core() {
    let mut tried = 0;
    for sample in samples().iter().filter(|file| !is_malformed(file)) {
        let first = Loaded::read(sample);
        let system: MinidumpSystemInfo = first.get();
        let is_linux = matches!(system.os, minidump::system_info::Os::Linux);
        if is_linux && system.cpu.pointer_width() == PointerWidth::Bits64 {
            assert_nothing_is_lost(sample, &["-mA"]);
            tried += 1;
        }
    }
    assert!(tried >= 2, "only {tried} samples are of Linux");
}

#[test]
fn a_core_of_a_process_keeps_its_handles_and_its_comment() {
    let target = Target::fixture("handles", &["{}"]);
    let _frozen = Frozen::new(&target);
    let core = dump_pid(target.pid(), &["-mh", "-c", "bug 17", "--as", "core"]);
    let live = dump(&target, &["-mh"]).load();
    let again = dump_file(&core.file, &["-mh"]).load();
    let names = |loaded: &Loaded| -> Vec<_> {
        let handles: MinidumpHandleDataStream = loaded.get();
        let handles = handles.iter();
        handles.map(|h| (h.raw.handle().copied(), h.object_name.clone())).collect()
    };
    assert!(names(&live).len() > 3, "{:?}", names(&live));
    assert_eq!(names(&again), names(&live));
    assert_eq!(again.flags() & HANDLE_DATA, HANDLE_DATA);
    let kept = again.raw(stream::COMMENT_W).expect("a comment");
    assert_eq!(kept, [utf16("bug 17"), vec![0, 0]].concat());
    let replaced = dump_file(&core.file, &["-m", "-c", "bug 18"]).load();
    assert_eq!(replaced.raw(stream::COMMENT_A), Some(&b"bug 18\0"[..]));
    // Made without handles, it is not said to have them.
    let without = dump_pid(target.pid(), &["-m", "--as", "core"]);
    let written = dump_file(&without.file, &["-mh"]);
    assert!(written.mentions("HANDLE_DATA"), "{}", written.summary);
    assert_eq!(written.load().flags() & HANDLE_DATA, 0);
}
