//! Kernel dumps as files: CABs, comments, overwriting, conversion, and what the
//! other commands say of them.

use super::support::cli::dumpwright;
use super::support::frames::{assert_kernel_only, assert_whole};
use super::support::guest::{Guest, PAGE_TYPES, WHOLE, dump_image, real_small_dump, try_dump};
use super::support::tools;
use dumpwright_testkit::DumpFile;
use std::ffi::OsStr;
use std::fs;
use std::process::Command;

#[test]
fn a_comment_stands_in_the_header_of_every_type() {
    let guest = Guest::new();
    for (name, _) in PAGE_TYPES {
        let dump = guest.dump(&["--type", name, "-c", "hangs after login"]).open();
        assert_eq!(dump.comment().as_deref(), Some("hangs after login"), "{name}");
    }
    let small = guest.dump(&["-m", "-c", "hangs after login"]).small();
    assert!(small.bytes[0xfb0..].starts_with(b"hangs after login\0"));
    assert_eq!(guest.dump(&["-k"]).open().comment(), None);
}

#[test]
fn a_comment_that_is_too_long_is_never_cut_in_silence() {
    let guest = Guest::new();
    let text = "the guest hangs after login; ".repeat(20);
    let dump = guest.dump(&["-k", "-c", &text]);
    let stored = dump.open().comment().unwrap();
    assert!(text.starts_with(&stored) && stored.len() > 100, "{stored}");
    assert!(dump.mentions("comment"), "{}", dump.summary);
    // The whole of it is not lost: it is in the file or in what was said.
    let file = fs::read(&dump.file).unwrap();
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let holds = |needle: &[u8]| super::support::find(&file, needle).is_some();
    assert!(dump.mentions(&text) || holds(text.as_bytes()) || holds(&utf16));
}

#[test]
fn attached_files_and_long_comments_travel_through_every_type_and_its_dump() {
    let guest = Guest::new();
    let notes = guest.path("notes.txt");
    let content: Vec<u8> =
        (0..7_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    fs::write(&notes, &content).unwrap();
    let text = "Ω the guest hangs after login; ".repeat(20);
    let more = ["--attach", notes.to_str().unwrap(), "-c", &text];
    let small = [("triage", 4)];
    for (name, _) in PAGE_TYPES.into_iter().chain(small) {
        let first = guest.dump(&[&["--type", name], &more[..]].concat());
        let again = dump_image(&first.file, &["--type", name]);
        for dump in [&first, &again] {
            let info =
                dumpwright([OsStr::new("info"), OsStr::new("--json"), dump.file.as_os_str()]);
            let info = info.ok().json();
            assert_eq!(info["comment"].as_str(), Some(text.as_str()), "{name}");
            let secondary = info["secondary"].to_string();
            assert!(secondary.contains("notes.txt"), "{name}: {secondary}");
            // Secondary data stands last.
            let bytes = fs::read(&dump.file).unwrap();
            let tail = &bytes[bytes.len().saturating_sub(content.len() + 0x1_0000)..];
            assert!(super::support::find(tail, &content).is_some(), "{name}: the file's bytes");
        }
    }
}

#[test]
fn an_existing_file_is_not_overwritten() {
    let guest = Guest::new();
    let file = guest.path("there.dmp");
    fs::write(&file, "precious").unwrap();
    for options in [vec!["-k"], vec!["-f"], vec!["-m"]] {
        let said = try_dump(&guest.elf, &options, &file).refused();
        assert!(said.contains("there.dmp"), "{said}");
        assert_eq!(fs::read(&file).unwrap(), b"precious");
    }
    try_dump(&guest.elf, &["-k", "-o"], &file).ok();
    assert_eq!(DumpFile::open(&file).unwrap().dump_type(), 8);
}

#[test]
fn a_cab_holds_the_same_dump() {
    let guest = Guest::new();
    for options in [["-m", "-b"], ["-k", "-b"]] {
        let plain = guest.dump(&options[..1]);
        let file = guest.path("kernel.cab");
        try_dump(&guest.elf, &[options[0], options[1], "-o"], &file).ok();
        let Some(tool) = tools::command("cabextract") else { return };
        let folder = tempfile::tempdir().unwrap();
        tools::run(Command::new(tool).arg("-q").arg("-d").arg(folder.path()).arg(&file));
        let files: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        assert!(fs::read(&files[0]).unwrap() == fs::read(&plain.file).unwrap(), "{options:?}");
    }
}

#[test]
fn a_packed_dump_of_a_machine_is_a_target_as_the_dump_is() {
    let guest = Guest::new();
    let cab = guest.path("kernel.cab");
    try_dump(&guest.elf, &["-k", "-b", "-c", "packed"], &cab).ok();
    let dump = dump_image(&cab, &["--type", "bitmap-kernel"]);
    assert_kernel_only(&dump, &guest.nt);
    assert_eq!(dump.open().comment().as_deref(), Some("packed"));
    let said = try_dump(&cab, &["-k", "--handle-data"], &guest.path("no.dmp")).refused();
    assert!(said.contains("handle") || said.contains("HANDLE"), "{said}");
}

#[test]
fn any_whole_dump_can_be_made_into_any_type() {
    let guest = Guest::new();
    for from in WHOLE {
        let source = guest.dump_type(from);
        for (to, value) in PAGE_TYPES {
            let dump = dump_image(&source.file, &["--type", to]);
            assert_eq!(dump.open().dump_type(), value, "{from} to {to}");
            if WHOLE.contains(&to) {
                assert_whole(&dump.open(), &guest.nt.image);
            } else if to != "kernel-and-user-memory" {
                assert_kernel_only(&dump, &guest.nt);
            }
            assert_eq!(
                dump.open().header[0x348..0x348 + 0x4d0],
                source.open().header[0x348..0x348 + 0x4d0],
                "{from} to {to}: ContextRecord"
            );
        }
        let small = dump_image(&source.file, &["-m"]).small();
        assert_eq!(small.prcb(), guest.nt.read(guest.nt.processors[0].prcb, 0xaf00).unwrap());
    }
}

#[test]
fn a_kernel_dump_can_be_made_into_other_kernel_dumps_and_small_ones() {
    let guest = Guest::new();
    let source = guest.dump(&["-k", "-c", "first"]);
    for to in ["bitmap-kernel", "kernel-summary", "kernel-memory"] {
        let dump = dump_image(&source.file, &["--type", to]);
        assert_kernel_only(&dump, &guest.nt);
    }
    let small = dump_image(&source.file, &["-m"]).small();
    let direct = guest.dump(&["-m"]).small();
    assert!(small.prcb() == direct.prcb() && small.stack() == direct.stack());
    assert_eq!(small.data_blocks(), direct.data_blocks());
}

#[test]
fn info_and_verify_know_kernel_dumps() {
    let guest = Guest::new();
    for (name, _) in PAGE_TYPES {
        let dump = guest.dump(&["--type", name, "-c", "for info"]);
        let info =
            dumpwright([OsStr::new("info"), OsStr::new("--json"), dump.file.as_os_str()]).ok();
        let text = info.json().to_string();
        assert!(text.contains("for info"), "{name}: {text}");
        assert!(text.to_lowercase().contains("disk.sys"), "{name}: {text}");
        let words = dumpwright([OsStr::new("info"), dump.file.as_os_str()]).ok().text();
        assert!(words.contains("LIVE_SYSTEM_DUMP"), "{name}: {words}");
    }
}

#[test]
fn info_and_verify_know_the_real_small_dump() {
    let Some(sample) = real_small_dump() else { return };
    dumpwright([OsStr::new("verify"), sample.as_os_str()]).ok();
    let words = dumpwright([OsStr::new("info"), sample.as_os_str()]).ok().text();
    assert!(words.contains("SYSTEM_THREAD_EXCEPTION_NOT_HANDLED"), "{words}");
    assert!(words.contains("19041"), "{words}");
}

#[test]
fn flags_of_user_dumps_are_refused() {
    let guest = Guest::new();
    let file = guest.path("refused.dmp");
    for flag in ["--handle-data", "--thread-info", "--full-memory", "--filter-triage"] {
        let said = try_dump(&guest.elf, &["-k", flag], &file).refused();
        assert!(!said.is_empty(), "{flag}");
        assert!(!file.exists(), "{flag}");
    }
}
