//! Memory that is not what it should be: the command ends by itself, says why,
//! and leaves nothing half-done.

use super::support::cli::Run;
use super::support::frames::assert_no_canary_in;
use super::support::guest::{Guest, try_dump};
use dumpwright_testkit::broken::Fault;
use dumpwright_testkit::{DumpFile, Nt, NtOptions, TriageDump, mix, output};
use std::fs;
use std::path::Path;

/// What a run on bad input may end in: a whole dump, or a message and no file.
#[track_caller]
fn assert_whole_or_nothing(run: Run, file: &Path, what: &str) {
    if run.status.success() {
        assert!(file.exists(), "{what}");
        let header = fs::read(file).unwrap();
        let kind = u32::from_le_bytes(header[0xf98..0xf9c].try_into().unwrap());
        if kind == 4 {
            TriageDump::read(file).unwrap();
        } else {
            DumpFile::open(file).unwrap();
        }
        fs::remove_file(file).unwrap();
    } else {
        run.refused();
        assert!(!file.exists(), "{what}: a file is left");
    }
    let folder = file.parent().unwrap();
    let left: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(left.is_empty(), "{what}: left behind: {left:?}");
}

#[test]
fn a_broken_guest_ends_in_a_whole_dump_or_a_clear_error() {
    for fault in Fault::ALL {
        let mut nt = Nt::build(&NtOptions::default());
        fault.apply(&mut nt);
        let guest = Guest::of(nt);
        let out = tempfile::tempdir().unwrap();
        let file = out.path().join("broken.dmp");
        for options in [["-k"], ["-m"], ["-f"], ["-ka"]] {
            let run = try_dump(&guest.elf, &options, &file);
            if run.status.success() && options == ["-k"] {
                assert_no_canary_in(&file, &guest.nt);
            }
            assert_whole_or_nothing(run, &file, &format!("{fault:?} {options:?}"));
        }
    }
}

#[test]
fn a_broken_guest_still_gives_all_its_memory() {
    for fault in Fault::ALL {
        let mut nt = Nt::build(&NtOptions::default());
        fault.apply(&mut nt);
        let guest = Guest::of(nt);
        let dump = guest.dump_type("bitmap-full").open();
        super::support::frames::assert_whole(&dump, &guest.nt.image);
    }
}

#[test]
fn images_that_end_too_early_are_noticed() {
    let guest = Guest::new();
    let lime = guest.path("guest.lime");
    output::lime(&guest.nt.image, &lime).unwrap();
    let full = guest.path("full.dmp");
    guest.nt.header().write(&guest.nt.image, &full).unwrap();
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("short.dmp");
    for source in [&guest.elf, &lime, &full] {
        let whole = fs::metadata(source).unwrap().len();
        for length in [whole - 1, whole - 4097, 0x10_0123, 0x2400, 0x1fff, 100, 3, 0] {
            fs::OpenOptions::new().write(true).open(source).unwrap().set_len(length).unwrap();
            for options in [["-k"], ["-f"], ["-m"]] {
                let run = try_dump(source, &options, &file);
                let said = format!("{}{}", run.text(), run.stderr).to_lowercase();
                let what = format!("{} of {length} bytes, {options:?}", source.display());
                if run.status.success() && options == ["-f"] {
                    let told = ["short", "end", "truncat", "not in the source", "hole", "missing"];
                    assert!(told.iter().any(|t| said.contains(t)), "{what}: not a word: {said}");
                }
                assert_whole_or_nothing(run, &file, &what);
            }
        }
    }
}

#[test]
fn damaged_kernel_dumps_are_refused_or_read_as_far_as_they_go() {
    let guest = Guest::new();
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("again.dmp");
    for (name, options) in [("bitmap-full", ["-k"]), ("kernel-memory", ["-m"]), ("full", ["-f"])] {
        let dump = guest.dump_type(name);
        let bytes = fs::read(&dump.file).unwrap();
        for round in 0..24 {
            let mut broken = bytes.clone();
            // Noise over a few words of the header and what follows it.
            for i in 0..4 {
                let noise = mix(round * 4 + i);
                let at = [0x88, 0x2000, 0x2010, 0x90][i as usize] + (noise % 32) as usize;
                broken[at..at + 4].copy_from_slice(&(noise >> 32).to_le_bytes()[..4]);
            }
            let source = guest.path("damaged.dmp");
            fs::write(&source, &broken).unwrap();
            let run = try_dump(&source, &options, &file);
            assert_whole_or_nothing(run, &file, &format!("{name}, round {round}"));
        }
    }
}

#[test]
fn what_is_no_memory_of_a_machine_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("none.dmp");
    let source = folder.path().join("text.txt");
    fs::write(&source, "not a memory image at all\n").unwrap();
    let said = try_dump(&source, &["-k"], &file).refused();
    assert!(said.contains("text.txt"), "{said}");
    let said = try_dump(&folder.path().join("missing.raw"), &["-k"], &file).refused();
    assert!(said.contains("missing.raw"), "{said}");
    assert!(fs::read_dir(out.path()).unwrap().next().is_none());
}
