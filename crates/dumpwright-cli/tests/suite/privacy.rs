//! Filters: what must be nowhere in the file, searched for in all of it.

use crate::support::cli::{Written, command, dump, run};
use crate::support::compile::{Kind, fixture};
use crate::support::dump::{Loaded, Memory, stream};
use crate::support::frozen::Frozen;
use crate::support::processor::{file_name, traces};
use crate::support::readers::{assert_same_frames, gdb_traces, lldb_traces};
use crate::support::target::Target;
use crate::support::{find, unhex, utf16};
use std::process::Command;

const ARGUMENT: &str = "ArgumentCanary-7391846205";
const VARIABLE: &str = "DW_SECRET_VARIABLE";
const VALUE: &str = "EnvironmentCanary-5028461937";

/// The canary fixture with secrets in its arguments and environment too.
fn secretive() -> Target {
    with_secrets("canary", &[])
}

/// A fixture with secrets in its arguments and environment.
fn with_secrets(name: &str, arguments: &[&str]) -> Target {
    let mut command = Command::new(fixture(name, Kind::Program));
    command.args(arguments).arg(ARGUMENT).env(VARIABLE, VALUE);
    Target::command(command)
}

/// Where text stands in the file, in either of the encodings that dumps use.
fn find_text(loaded: &Loaded, text: &str) -> Option<usize> {
    find(&loaded.bytes, text.as_bytes()).or_else(|| find(&loaded.bytes, &utf16(text)))
}

#[track_caller]
fn assert_no_text(loaded: &Loaded, text: &str) {
    if let Some(at) = find_text(loaded, text) {
        let around = &loaded.bytes[at.saturating_sub(64)..(at + 128).min(loaded.bytes.len())];
        panic!("'{text}' is at {at:#x}: {}", String::from_utf8_lossy(around));
    }
}

/// Every eight bytes in a row of a planted value count: half a key is a leak.
#[track_caller]
fn assert_no_secret_on_stacks(target: &Target, loaded: &Loaded, but_not: &[&str]) {
    for secret in target.ready["secrets"].as_array().unwrap() {
        let what = secret["what"].as_str().unwrap();
        if but_not.contains(&what) {
            continue;
        }
        let value = unhex(secret["value"].as_str().unwrap());
        for (i, window) in value.windows(8).enumerate() {
            if let Some(at) = find(&loaded.bytes, window) {
                panic!("{what} of thread {}: byte {i} on is at {at:#x}", secret["tid"]);
            }
        }
    }
}

#[test]
fn the_canaries_are_where_they_were_planted_without_a_filter() {
    let target = secretive();
    let loaded = dump(&target, &["-m"]).load();
    for secret in target.ready["secrets"].as_array().unwrap() {
        if secret["what"] == "heap" {
            continue;
        }
        let value = unhex(secret["value"].as_str().unwrap());
        let at = secret["address"].as_u64().unwrap();
        assert_eq!(loaded.bytes_at(at, value.len() as u64).as_ref(), Some(&value), "{secret}");
    }
    assert!(find_text(&loaded, ARGUMENT).is_some() && find_text(&loaded, VALUE).is_some());
}

#[test]
fn filter_memory_leaves_no_canary_anywhere_in_the_file() {
    let target = secretive();
    for option in ["-mr", "-mrhut", "-mry", "-mrF"] {
        let loaded = dump(&target, &[option]).load();
        assert_no_secret_on_stacks(&target, &loaded, &[]);
        let memory = loaded.memory();
        for text in [ARGUMENT, VALUE] {
            let leak = memory.iter().find(|m| find(m.bytes, text.as_bytes()).is_some());
            assert!(leak.is_none(), "{option}: {text} is in memory");
        }
    }
    // Indirect memory was asked for: the heap block that a stack points to is
    // in the dump, the stacks are filtered all the same.
    let loaded = dump(&target, &["-mri"]).load();
    assert_no_secret_on_stacks(&target, &loaded, &["heap"]);
}

#[test]
fn filter_memory_finds_secrets_on_every_kind_of_stack() {
    for arguments in [&[][..], &["main-exits"]] {
        let target = Target::fixture("hideouts", arguments);
        let kinds = target.ready["secrets"].as_array().unwrap().len();
        assert!(kinds >= 11, "{kinds} hideouts");
        for option in ["-mr", "-mrf", "-mrw", "-mri", "-mrp", "-mrd", "-mry"] {
            eprintln!("{arguments:?} {option}");
            assert_no_secret_on_stacks(&target, &dump(&target, &[option]).load(), &[]);
        }
    }
}

#[test]
fn filter_memory_keeps_the_traces_of_foreign_stacks() {
    let target = Target::fixture("hideouts", &[]);
    let _frozen = Frozen::new(&target);
    for (plain, filtered) in [("-m", "-mr"), ("-mf", "-mfr")] {
        let before = traces(&dump(&target, &[plain]).load());
        assert_eq!(before, traces(&dump(&target, &[filtered]).load()), "{filtered}");
    }
}

#[test]
fn filter_memory_keeps_the_stack_traces_of_every_walker() {
    let target = secretive();
    let frozen = Frozen::new(&target);
    let plain = dump(&target, &["-m"]);
    let filtered = dump(&target, &["-mr"]);
    let (before, after) = (traces(&plain.load()), traces(&filtered.load()));
    assert_eq!(before, after, "minidump-processor");
    for frames in before.values() {
        assert!(frames.len() >= 5, "{frames:x?}");
    }
    let sizes = |w: &Written| w.load().memory().iter().map(Memory::range).collect::<Vec<_>>();
    assert_eq!(sizes(&plain), sizes(&filtered), "a filter zeroes, it does not cut");
    drop(frozen);
    let (Some(seen), Some(truth)) = (lldb_traces(&filtered.file), gdb_traces(target.pid())) else {
        return;
    };
    assert_same_frames(&seen, &truth);
}

#[test]
fn filter_memory_keeps_a_thousand_frames_of_real_programs() {
    for command in super::real_programs::commands() {
        let target = command.start();
        let frozen = Frozen::new(&target);
        let plain = dump(&target, &["-m"]).load();
        let filtered = dump(&target, &["-mr"]).load();
        let after = traces(&filtered);
        for (tid, before) in traces(&plain) {
            assert_eq!(before, after[&tid], "{}: thread {tid}", command.name);
        }
        drop(frozen);
    }
}

#[test]
fn filter_paths_leaves_names_and_no_path() {
    let target = secretive();
    let unfiltered = dump(&target, &["-m"]).load();
    let paths: Vec<String> =
        unfiltered.modules().into_iter().map(|(n, _)| n).filter(|n| n.contains('/')).collect();
    assert!(paths.len() >= 3, "{paths:?}");
    for option in ["-mR", "-mRh", "-mRp", "-mRrhutpF", "--filter-paths"] {
        let loaded = dump(&target, &[option]).load();
        let names: Vec<String> = loaded.modules().into_iter().map(|(n, _)| n).collect();
        assert!(names.iter().all(|n| !n.contains('/')), "{option}: {names:?}");
        for path in &paths {
            assert!(names.iter().any(|n| n == file_name(path)), "{option}: {path} in {names:?}");
            assert_no_text(&loaded, path);
            let folder = path.rsplit_once('/').unwrap().0;
            if folder.len() > 4 {
                assert_no_text(&loaded, folder);
            }
        }
        let maps = loaded.raw(stream::MAPS).unwrap_or_default();
        assert_eq!(find(maps, b"/"), None, "{option}: a path in maps");
        let arguments = loaded.raw(stream::CMD_LINE).unwrap_or_default();
        assert_eq!(find(arguments, b"/"), None, "{option}: a path in cmdline");
    }
}

#[test]
fn filter_paths_cuts_the_names_of_handles_too() {
    let target = Target::fixture("handles", &["{}"]);
    let folder = target.folder.path().to_str().unwrap();
    assert!(find_text(&dump(&target, &["-mh"]).load(), folder).is_some());
    assert_no_text(&dump(&target, &["-mhR"]).load(), folder);
}

#[test]
fn filter_paths_leaves_no_part_of_a_folder_with_spaces_or_brackets() {
    let mut command = Command::new(fixture("canary", Kind::Program));
    command
        .args(["--file=/srv/Canary1 x/My Canary2/y (Canary3)/file", "/Canary4 a/b /Canary5/c d/e"]);
    command.env("FOLDER", "/home/Canary6 Canary7/Canary8 z/name");
    let target = Target::command(command);
    let loaded = dump(&target, &["-mRh"]).load();
    for number in 1..=8 {
        assert_no_text(&loaded, &format!("Canary{number}"));
    }
    let arguments = loaded.raw(stream::CMD_LINE).unwrap();
    assert!(find(arguments, b"\0--file=file\0b e\0").is_some());
}

#[test]
fn filters_know_arguments_that_a_program_has_moved() {
    for place in ["page", "everywhere"] {
        let target = with_secrets("moved_arguments", &[place, "--file=/srv/FolderCanary/x"]);
        if target.ready["moved"] != true {
            eprintln!("SKIPPED: moved arguments: the kernel has no PR_SET_MM_MAP");
            return;
        }
        assert!(find_text(&dump(&target, &["-m"]).load(), ARGUMENT).is_some());
        for option in ["--filter-triage", "--no-optional-data"] {
            let loaded = dump(&target, &["-mh", option]).load();
            for text in [ARGUMENT, VALUE, VARIABLE, "FolderCanary", "titles"] {
                assert_no_text(&loaded, text);
            }
        }
        let loaded = dump(&target, &["-mRh"]).load();
        assert_no_text(&loaded, "FolderCanary");
        assert_no_text(&loaded, "titles");
    }
}

#[test]
fn filter_paths_keeps_the_dump_readable() {
    let target = secretive();
    let loaded = dump(&target, &["-mR"]).load();
    let plain = dump(&target, &["-m"]).load();
    let pcs = |l: &Loaded| {
        traces(l)
            .into_iter()
            .map(|(tid, frames)| (tid, frames.iter().map(|f| f.instruction).collect::<Vec<_>>()))
            .collect::<Vec<_>>()
    };
    assert_eq!(pcs(&loaded), pcs(&plain));
}

#[test]
fn filter_triage_drops_what_identifies_a_person_or_a_machine() {
    let target = secretive();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let host = host.trim();
    for option in ["-m", "-mh", "-mp"] {
        let loaded = dump(&target, &[option, "--filter-triage"]).load();
        assert!(loaded.raw(stream::ENVIRON).is_none_or(<[u8]>::is_empty), "environ");
        assert!(loaded.raw(stream::CMD_LINE).is_none_or(<[u8]>::is_empty), "cmdline");
        for text in [ARGUMENT, VALUE, VARIABLE] {
            assert_no_text(&loaded, text);
        }
        // A host named "localhost" or "debian" stands in every file.
        if host.len() > 8 && host != "localhost" {
            assert_no_text(&loaded, host);
        }
        if let Ok(home) = std::env::var("HOME")
            && home.len() > 6
        {
            assert_no_text(&loaded, &home);
        }
    }
}

#[test]
fn filter_triage_drops_every_folder_that_is_not_the_systems() {
    let target = secretive();
    let plain = dump(&target, &["-m"]).load();
    let triage = dump(&target, &["-m", "--filter-triage"]).load();
    for (name, range) in plain.modules() {
        let system = name.starts_with("/usr/") || name.starts_with("/lib");
        let shown = if system { name.as_str() } else { file_name(&name) };
        assert!(triage.modules().contains(&(shown.to_owned(), range)), "{name}");
        if let Some((folder, _)) = name.rsplit_once('/').filter(|(f, _)| !system && f.len() > 4) {
            assert_no_text(&triage, folder);
        }
    }
}

#[test]
fn filter_triage_and_the_token_exclude_each_other() {
    let target = secretive();
    let file = target.folder.path().join("x.dmp");
    let pid = target.pid().to_string();
    let refused =
        run(command().args(["dump", "-p", &pid, "--token", "--filter-triage"]).arg(&file))
            .refused();
    assert!(refused.contains("--token") && refused.contains("FILTER_TRIAGE"), "{refused}");
    assert!(!file.exists());
}

#[test]
fn filter_triage_drops_handle_names() {
    let target = Target::fixture("handles", &["{}"]);
    let folder = target.folder.path().to_str().unwrap();
    let loaded = dump(&target, &["-mh", "--filter-triage"]).load();
    assert_no_text(&loaded, folder);
    assert_no_text(&loaded, "read-write.txt");
}

#[test]
fn no_optional_data_takes_out_what_other_flags_would_add() {
    let target = Target::fixture("memory", &["{}"]);
    let plain = dump(&target, &["-m"]).load().memory_size();
    for option in ["-mf", "-mi", "-mp", "-mw", "-mfipw"] {
        let loaded = dump(&target, &[option, "--no-optional-data"]).load();
        for marker in ["reached", "unreached", "bss"] {
            let value = unhex(target.ready["markers"][marker]["value"].as_str().unwrap());
            assert_eq!(find(&loaded.bytes, &value), None, "{option}: marker {marker}");
        }
        assert!(loaded.memory_size() <= plain, "{option}: more memory than -m");
        assert!(loaded.flags() & 0x400 != 0, "{option}: the type does not say so");
    }
}

#[test]
fn no_optional_data_drops_environment_and_command_line_everywhere() {
    let target = secretive();
    let loaded = dump(&target, &["-m", "--no-optional-data"]).load();
    assert!(loaded.raw(stream::ENVIRON).is_none(), "environ");
    assert!(loaded.raw(stream::CMD_LINE).is_none(), "cmdline");
    for text in [ARGUMENT, VALUE, VARIABLE] {
        assert_no_text(&loaded, text);
    }
}
