//! Dumps of dumps: nothing that the flags keep is lost, and every reader reads
//! the new dump as it reads the old.

use crate::samples::{is_malformed, samples};
use crate::support::cli::{assert_verifies, dump};
use crate::support::compile::{Kind, fixture};
use crate::support::dump::{Loaded, Memory, stream};
use crate::support::frozen::Frozen;
use crate::support::processor::{Frame, file_name, traces};
use crate::support::readers::pypi_minidump;
use crate::support::redump::{redump, try_redump};
use crate::support::target::Target;
use crate::support::utf16;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::process::Command;

/// Good samples of architectures that dumps are made of: all of them.
fn sources() -> Vec<PathBuf> {
    samples().into_iter().filter(|file| !is_malformed(file)).collect()
}

/// Traces with module names without their folders, Windows' too.
fn named(traces: BTreeMap<u32, Vec<Frame>>) -> BTreeMap<u32, Vec<Frame>> {
    let short = |name: String| file_name(name.rsplit('\\').next().unwrap_or(&name)).to_owned();
    let frame = |f: Frame| Frame { module: f.module.map(short), ..f };
    traces.into_iter().map(|(tid, t)| (tid, t.into_iter().map(frame).collect())).collect()
}

#[test]
fn every_sample_through_every_conversion_keeps_its_stack_traces() {
    for source in sources() {
        let before = named(traces(&Loaded::read(&source)));
        for letters in ["-m", "-mA", "-mhut", "-mip", "-mw", "-mdc", "-mF", "-mR", "-my", "-mr"] {
            if letters == "-mr" && source.ends_with("rust-minidump-invalid-parameter.dmp") {
                // RBP is no frame pointer there and leads to a word that is no
                // address, at which this walker gives frame pointers up. Zero in
                // its place lets it go on and guess.
                continue;
            }
            let again = redump(&source, &[letters]).load();
            assert_eq!(before, named(traces(&again)), "{} {letters}", source.display());
        }
    }
}

#[test]
fn every_sample_is_read_by_the_minidump_package_after_a_conversion_as_before() {
    for source in sources() {
        let Some(before) = pypi_minidump(&source, &[]) else { return };
        let again = redump(&source, &["-mA"]);
        let after = pypi_minidump(&again.file, &[]).unwrap();
        for key in ["threads", "modules", "exceptions", "pid", "contexts"] {
            assert_eq!(before[key], after[key], "{} {key}", source.display());
        }
        let complaints = |v: &serde_json::Value| v["complaints"].as_array().map_or(0, Vec::len);
        assert!(complaints(&after) <= complaints(&before), "{}: {after}", source.display());
    }
}

#[test]
fn malformed_dumps_are_refused_in_one_line() {
    for source in samples().into_iter().filter(|file| is_malformed(file)) {
        let (again, run) = try_redump(&source, &["-m"], "again.dmp");
        assert!(run.refused().contains("cannot be dumped"));
        assert!(!again.file.exists());
    }
}

#[test]
fn a_small_dump_is_repacked_into_a_cab() {
    for source in sources().iter().take(4) {
        let (packed, run) = try_redump(source, &["-mA", "-b"], "again.cab");
        run.ok();
        let cab = fs::read(&packed.file).unwrap();
        let mut cabinet = cab::Cabinet::new(Cursor::new(cab)).unwrap();
        let mut bytes = Vec::new();
        cabinet.read_file("again.dmp").unwrap().read_to_end(&mut bytes).unwrap();
        let plain = fs::read(redump(source, &["-mA"]).file).unwrap();
        assert!(bytes == plain, "{}: the dump in the CAB is another", source.display());
    }
}

#[test]
fn a_comment_is_added_kept_and_replaced() {
    for source in sources() {
        let first = redump(&source, &["-mA", "-c", "first"]);
        let kept = redump(&first.file, &["-mA"]);
        let second = redump(&kept.file, &["-m", "-c", "zweite ü"]);
        let comment = |loaded: &Loaded| loaded.raw(stream::COMMENT_W).unwrap().to_vec();
        assert_eq!(comment(&first.load()), utf16("first\0"));
        assert_eq!(comment(&kept.load()), utf16("first\0"));
        assert_eq!(comment(&second.load()), utf16("zweite ü\0"));
        assert!(second.load().raw(stream::COMMENT_A).is_none(), "the old one is left");
    }
}

#[test]
fn a_dump_may_take_the_place_of_its_source() {
    let Some(sample) = sources().pop() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.dmp");
    fs::copy(&sample, &file).unwrap();
    let path = file.to_str().unwrap();
    let refused = crate::support::cli::dumpwright(["dump", "-z", path, "-mA", path]).refused();
    assert!(refused.contains("exists"), "{refused}");
    assert_eq!(fs::read(&file).unwrap(), fs::read(&sample).unwrap());
    crate::support::cli::dumpwright(["dump", "-z", path, "-mA", "-o", path]).ok();
    assert_verifies(&file);
    assert_eq!(named(traces(&Loaded::read(&sample))), named(traces(&Loaded::read(&file))));
}

/// What two dumps of one moment must have in common.
#[track_caller]
fn assert_same_dump(what: &str, live: &Loaded, again: &Loaded) {
    let without = |loaded: &Loaded| {
        let mut types = loaded.stream_types();
        types.retain(|t| *t != stream::SOFT_ERRORS);
        types.sort_unstable();
        types
    };
    assert_eq!(without(live), without(again), "{what}: streams");
    assert_eq!(live.flags(), again.flags(), "{what}: flags");
    for name in [15, 0x4767_0003, 0x4767_0005, 0x4767_0006, 0x4767_0007, 0x4767_0008, 0x4767_0009] {
        assert!(live.raw(name) == again.raw(name), "{what}: stream {name:#x}");
    }
    // Times go on while a process is held; they are those of the full dump.
    for name in [stream::MEMORY_INFO, stream::UNLOADED_MODULES] {
        assert!(live.raw(name) == again.raw(name), "{what}: stream {name}");
    }
    assert_eq!(live.tids(), again.tids());
    for tid in live.tids() {
        assert_eq!(live.registers(tid), again.registers(tid), "{what}: thread {tid}");
    }
    assert_eq!(live.modules(), again.modules(), "{what}: modules");
    let ranges = |l: &Loaded| l.memory().iter().map(Memory::range).collect::<Vec<_>>();
    assert_eq!(ranges(live), ranges(again), "{what}: memory");
    for (a, b) in live.memory().iter().zip(again.memory()) {
        assert!(a.bytes == b.bytes, "{what}: bytes of {:x?}", a.range());
    }
}

#[test]
fn a_small_dump_of_a_full_one_is_the_small_dump_of_the_process() {
    let mut command = Command::new(fixture("canary", Kind::Program));
    command.arg("argument").env("VARIABLE", "value");
    let target = Target::command(command);
    let _frozen = Frozen::new(&target);
    let full = dump(&target, &["-ma"]);
    for options in ["-m", "-mr", "-mR", "-mrR", "-mi", "-mt", "-mu"] {
        let live = dump(&target, &[options]).load();
        let again = redump(&full.file, &[options]).load();
        assert_same_dump(options, &live, &again);
        assert_eq!(traces(&live), traces(&again), "{options}");
    }
    let live = dump(&target, &["-ma"]).load();
    let again = redump(&full.file, &["-ma"]).load();
    assert_same_dump("-ma", &live, &again);
}

#[test]
fn what_the_source_does_not_have_is_said_and_not_claimed() {
    let target = Target::fixture("threads", &[]);
    let small = dump(&target, &["-m"]);
    let again = redump(&small.file, &["-mA"]).load();
    let full_memory = 0x2;
    let handles = 0x4;
    assert_eq!(again.flags() & (full_memory | handles), 0);
    let notes = again.soft_errors();
    for subject in ["FULL_MEMORY", "HANDLE_DATA"] {
        assert!(notes.contains(subject), "{subject} in {notes}");
    }
    assert_eq!(small.load().memory_size(), again.memory_size());
}
