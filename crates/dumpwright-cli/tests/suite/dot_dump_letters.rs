//! The letters of WinDbg's `.dump`, with `-` for `/`.

use crate::support::cli::{command, dump, dumpwright, run};
use crate::support::dump::{Loaded, Memory, stream};
use crate::support::target::Target;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

/// `MINIDUMP_TYPE` of `-ma`: full memory, handles, unloaded modules, memory
/// information, thread information.
const MA: u64 = 0x2 | 0x4 | 0x20 | 0x800 | 0x1000;

#[test]
fn each_letter_stands_for_its_type() {
    let target = Target::fixture("threads", &["4"]);
    let letters = [
        ("-m", 0),
        ("-ma", MA),
        ("-mA", MA | 0x2_0000),
        ("-mf", 0x2),
        ("-mF", 0x800),
        ("-mh", 0x4),
        ("-mu", 0x20),
        ("-mt", 0x1000),
        ("-mi", 0x40),
        ("-mp", 0x100),
        ("-mw", 0x200),
        ("-md", 0x1),
        ("-mc", 0x2000),
        ("-mr", 0x8),
        ("-mR", 0x80),
        ("-my", 0x20_0000),
    ];
    for (option, kind) in letters {
        let loaded = dump(&target, &[option]).load();
        assert_eq!(loaded.flags(), kind, "{option}");
        assert_eq!(loaded.tids(), target.tids(), "{option}");
    }
    assert_eq!(dump(&target, &[]).load().flags(), 0, "-m is the default");
}

#[test]
fn letters_add_up() {
    let target = Target::fixture("threads", &["4"]);
    let combinations = [
        ("-mfFhut", MA),
        ("-mhut", 0x1024),
        ("-miR", 0xC0),
        ("-mrR", 0x88),
        ("-mwdcp", 0x200 | 0x1 | 0x2000 | 0x100),
        ("-mfFhutiwdcp", MA | 0x40 | 0x200 | 0x1 | 0x2000 | 0x100),
        ("-mFhutipwdcrRy", 0x20_3BED),
    ];
    for (option, kind) in combinations {
        assert_eq!(dump(&target, &[option]).load().flags(), kind, "{option}");
    }
}

#[test]
fn ma_is_the_full_form_and_so_is_the_default_qualifier() {
    let target = Target::fixture("memory", &["{}"]);
    let by_letters = dump(&target, &["-mfFhut"]).load();
    let by_ma = dump(&target, &["-ma"]).load();
    let by_qualifier = dump(&target, &["--qualifier", "default"]);
    assert!(by_qualifier.summary["qualifier"].to_string().contains("DEFAULT"));
    let by_qualifier = by_qualifier.load();
    for other in [&by_ma, &by_qualifier] {
        assert_eq!(other.flags(), by_letters.flags());
        assert_eq!(other.stream_types(), by_letters.stream_types());
        let ranges = |l: &Loaded| l.memory().iter().map(Memory::range).collect::<Vec<_>>();
        assert_eq!(ranges(other), ranges(&by_letters));
    }
}

#[test]
fn a_letter_that_does_not_exist_is_named() {
    let target = Target::fixture("threads", &["1"]);
    let pid = target.pid().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.dmp");
    let run = run(command().args(["dump", "-p", &pid, "-mfQ"]).arg(&file));
    assert!(!run.status.success());
    assert!(run.stderr.contains('Q'), "{}", run.stderr);
    assert!(!file.exists());
}

#[test]
fn the_comment_is_in_the_dump_in_both_forms_and_first_in_info() {
    let target = Target::fixture("threads", &["1"]);
    let written = dump(&target, &["-c", "hangs after login"]);
    let loaded = written.load();
    let wide = loaded.raw(stream::COMMENT_W).expect("CommentStreamW");
    let units: Vec<u16> = wide.chunks_exact(2).map(|c| u16::from_le_bytes([c[0], c[1]])).collect();
    assert_eq!(String::from_utf16(&units).unwrap(), "hangs after login\0");
    assert_eq!(loaded.raw(stream::COMMENT_A), Some(&b"hangs after login\0"[..]));
    let info = dumpwright([&"info".into(), &written.file]).ok().text();
    let first = info.lines().find(|l| !l.trim().is_empty()).unwrap();
    assert!(first.contains("hangs after login"), "info begins with: {first}");
}

#[test]
fn a_comment_that_ansi_cannot_say_is_wide_only() {
    let target = Target::fixture("threads", &["1"]);
    let text = "h\u{e4}ngt \u{2014} \u{65e5}\u{672c} \u{1f980}";
    let loaded = dump(&target, &["-c", text]).load();
    let wide = loaded.raw(stream::COMMENT_W).expect("CommentStreamW");
    let units: Vec<u16> = wide.chunks_exact(2).map(|c| u16::from_le_bytes([c[0], c[1]])).collect();
    assert_eq!(String::from_utf16(&units).unwrap(), format!("{text}\0"));
    if let Some(ansi) = loaded.raw(stream::COMMENT_A) {
        panic!("CommentStreamA lies: {ansi:?}");
    }
}

/// Files that a run wrote into a folder.
fn files(folder: &tempfile::TempDir) -> Vec<PathBuf> {
    let mut all: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
    all.sort();
    all
}

#[test]
fn u_makes_the_name_unique_and_keeps_the_extension() {
    let target = Target::fixture("threads", &["1"]);
    let folder = tempfile::tempdir().unwrap();
    let pid = target.pid().to_string();
    for _ in 0..2 {
        let file = folder.path().join("app.dmp");
        run(command().args(["dump", "-p", &pid, "-m", "-u"]).arg(&file)).ok();
        // The time in the name has seconds.
        std::thread::sleep(std::time::Duration::from_millis(1100));
    }
    let files = files(&folder);
    assert_eq!(files.len(), 2, "{files:?}");
    for file in &files {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("app") && name != "app.dmp", "{name}");
        assert_eq!(file.extension(), Some(OsStr::new("dmp")), "{name}");
        Loaded::read(file);
    }
}

#[test]
fn a_dumps_every_process_of_the_name_and_needs_u() {
    let folder = tempfile::tempdir().unwrap();
    // A name of its own: other tests run the same fixture at the same time.
    let program = folder.path().join(format!("dw{}", std::process::id()));
    let built = crate::support::compile::fixture("threads", crate::support::compile::Kind::Program);
    fs::copy(built, &program).unwrap();
    let name = program.file_name().unwrap().to_str().unwrap();
    let targets: Vec<_> = (0..3).map(|_| Target::built(program.clone(), &["2"])).collect();
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("all.dmp");
    let refused = run(command().args(["dump", "-n", name, "-a", "-m"]).arg(&file));
    assert!(!refused.status.success(), "-a without -u succeeded");
    assert!(files(&out).is_empty());
    run(command().args(["dump", "-n", name, "-a", "-u", "-m"]).arg(&file)).ok();
    let dumps = files(&out);
    assert_eq!(dumps.len(), 3, "{dumps:?}");
    let mut pids: Vec<u32> = dumps
        .iter()
        .map(|f| {
            let misc: minidump::MinidumpMiscInfo = Loaded::read(f).get();
            *misc.raw.process_id().unwrap()
        })
        .collect();
    pids.sort_unstable();
    let mut expected: Vec<u32> = targets.iter().map(Target::pid).collect();
    expected.sort_unstable();
    assert_eq!(pids, expected);
    // For machines, one document about all of them.
    let many = run(command().args(["dump", "-n", name, "-a", "-u", "-m", "--json"]).arg(&file));
    let summaries = many.ok().json();
    let said = summaries.as_array().unwrap().iter().map(|s| s["pid"].as_u64().unwrap() as u32);
    assert_eq!(said.collect::<std::collections::BTreeSet<_>>(), expected.iter().copied().collect());
    // One process of a name that several have cannot be meant.
    let several = run(command().args(["dump", "-n", name, "-m"]).arg(&file)).refused();
    assert!(several.contains(&expected[0].to_string()), "{several}");
}

#[test]
fn f_writes_the_full_user_dump() {
    let target = Target::fixture("threads", &["2"]);
    let loaded = dump(&target, &["-f"]).load();
    assert_eq!(loaded.flags() & MA, MA);
}
