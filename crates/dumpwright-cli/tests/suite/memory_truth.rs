//! What a dump says a process's memory is, against that memory, page by page.

use crate::support::cli::{command, dump, dump_pid, run};
use crate::support::dump::{Loaded, Memory};
use crate::support::frozen::{Frozen, Mapping, PAGE};
use crate::support::target::Target;
use crate::support::{find, mix, unhex};
use serde_json::Value;
use std::ops::Range;

/// A region of the memory fixture.
fn region<'a>(target: &'a Target, name: &str) -> &'a Value {
    let regions = target.ready["regions"].as_array().unwrap();
    regions.iter().find(|r| r["name"] == name).unwrap_or_else(|| panic!("no region {name}"))
}

fn range(region: &Value) -> Range<u64> {
    let start = region["start"].as_u64().unwrap();
    start..start + region["len"].as_u64().unwrap()
}

/// Every byte of memory in the dump is what the process has there.
#[track_caller]
fn assert_true(loaded: &Loaded, frozen: &Frozen<'_>) {
    let mut compared = 0;
    for memory in loaded.memory() {
        let range = memory.range();
        // In pieces, so that a failure names a page and not a gigabyte.
        for (i, piece) in memory.bytes.chunks(PAGE as usize).enumerate() {
            let at = range.start + i as u64 * PAGE;
            let truth = frozen.read(at..at + piece.len() as u64);
            let truth = truth.unwrap_or_else(|| panic!("{at:#x} is in the dump and unreadable"));
            assert!(truth == piece, "the bytes at {at:#x} are not the process's");
            compared += piece.len();
        }
    }
    assert!(compared > 0, "the dump has no memory");
}

/// Every populated page of these mappings with anything in it is in the dump.
#[track_caller]
fn assert_complete(loaded: &Loaded, frozen: &Frozen<'_>, wanted: impl Fn(&Mapping) -> bool) {
    let ranges: Vec<Range<u64>> = loaded.memory().iter().map(Memory::range).collect();
    let has = |page: u64| {
        let next = ranges.partition_point(|r| r.end <= page);
        // Neighbouring ranges may share a page's bytes between them.
        let mut at = page;
        ranges[next..].iter().take_while(|r| r.start < page + PAGE).all(|r| {
            let joined = r.start <= at;
            at = r.end;
            joined
        }) && at >= page + PAGE
    };
    for mapping in frozen.mappings().iter().filter(|m| m.is_dumpable() && wanted(m)) {
        for page in frozen.populated(mapping) {
            let bytes = frozen.read(page..page + PAGE);
            let Some(bytes) = bytes else { continue };
            let matters = bytes.iter().any(|b| *b != 0);
            assert!(!matters || has(page), "page {page:#x} of {} is missing", mapping.name);
        }
    }
}

#[test]
fn a_full_dump_is_the_memory_of_the_process_page_by_page() {
    for target in [
        Target::fixture("memory", &["{}"]),
        Target::fixture("threads", &["32"]),
        Target::fixture("canary", &[]),
    ] {
        for option in ["-ma", "-mA", "-mf"] {
            let frozen = Frozen::new(&target);
            let written = dump(&target, &[option]);
            let loaded = written.load();
            assert_true(&loaded, &frozen);
            assert_complete(&loaded, &frozen, |_| true);
            assert_eq!(written.summary["holes"], serde_json::json!([]), "{option}");
        }
    }
}

#[test]
fn every_kind_of_small_dump_tells_the_truth_of_what_it_has() {
    let target = Target::fixture("memory", &["{}"]);
    let frozen = Frozen::new(&target);
    for option in ["-m", "-mi", "-mp", "-mw", "-md", "-mc", "-mwdcpi", "--module-headers"] {
        assert_true(&dump(&target, &[option]).load(), &frozen);
    }
}

#[test]
fn known_patterns_are_in_a_full_dump_without_trusting_proc() {
    let target = Target::fixture("memory", &["{}"]);
    let loaded = dump(&target, &["-ma"]).load();
    let mut pages = 0;
    for region in target.ready["regions"].as_array().unwrap() {
        if region["contents"] != "pattern" {
            continue;
        }
        let (name, seed) = (region["name"].as_str().unwrap(), region["seed"].as_u64().unwrap());
        let sparse = region["sparse"].as_bool().unwrap();
        for (i, at) in range(region).step_by(PAGE as usize).enumerate() {
            if sparse && i % 4 == 3 {
                continue;
            }
            let bytes = loaded.bytes_at(at, PAGE);
            let bytes = bytes.unwrap_or_else(|| panic!("{name}: page {i} is missing"));
            let word = mix(seed + i as u64).to_le_bytes();
            assert!(bytes.chunks(8).all(|w| w == word), "{name}: page {i} has other bytes");
            pages += 1;
        }
    }
    assert!(pages > 1000, "only {pages} pages were compared");
}

#[test]
fn pages_that_were_never_touched_cost_nothing() {
    let target = Target::fixture("memory", &["{}"]);
    let written = dump(&target, &["-ma"]);
    let loaded = written.load();
    assert!(loaded.bytes.len() < 64 << 20, "{} bytes", loaded.bytes.len());
    assert!(!loaded.has_any(range(region(&target, "terabyte"))), "the reserve is in the dump");
    // Three pages of the sparse reserve were touched, and they are there.
    let sparse = range(region(&target, "sparse-reserve"));
    for i in 0..3 {
        let bytes = loaded.bytes_at(sparse.start + i * (300 << 20), PAGE).expect("a touched page");
        assert_eq!(bytes[..8], mix(0x2000 + i).to_le_bytes());
    }
    let inside: u64 = loaded
        .memory()
        .iter()
        .filter(|m| sparse.contains(&m.start))
        .map(|m| m.bytes.len() as u64)
        .sum();
    assert!(inside <= 3 * PAGE, "{inside} bytes of the sparse reserve are in the dump");
    let heap = range(region(&target, "heap"));
    assert!(!loaded.has_any(heap.start + 3 * PAGE..heap.start + 4 * PAGE), "an untouched page");
}

#[test]
fn dumping_populates_no_anonymous_memory_in_the_target() {
    let target = Target::fixture("memory", &["{}"]);
    // Reading a file's page in changes nothing for the process; a page of
    // anonymous memory that nobody touched would cost it memory.
    let resident = |target: &Target| {
        let frozen = Frozen::new(target);
        let mappings = frozen.mappings();
        let anonymous = mappings.iter().filter(|m| !m.name.contains('/'));
        anonymous.map(|m| m.populated_kib).sum::<u64>()
    };
    let before = resident(&target);
    dump(&target, &["-ma"]);
    dump(&target, &["-mwdcpi"]);
    let after = resident(&target);
    // [vdso] may be read in.
    assert!(after <= before + 8, "{before} KiB were populated before, {after} KiB after");
}

#[test]
fn dontdump_memory_stays_out_of_every_selection_unless_insisted_on() {
    let target = Target::fixture("memory", &["{}"]);
    let marker = unhex(target.ready["markers"]["dontdump"]["value"].as_str().unwrap());
    for option in ["-m", "-ma", "-mA", "-mw", "-mfFhutiwdcp"] {
        let loaded = dump(&target, &[option]).load();
        assert_eq!(find(&loaded.bytes, &marker), None, "{option}: the marker is in the file");
        assert!(!loaded.has_any(range(region(&target, "dontdump"))), "{option}");
    }
    for option in ["-ma", "-mw"] {
        let loaded = dump(&target, &[option, "--include-dontdump"]).load();
        assert!(find(&loaded.bytes, &marker).is_some(), "{option}: insisted on and absent");
    }
}

#[test]
fn memory_without_read_permission_is_described_and_not_taken() {
    let target = Target::fixture("memory", &["{}"]);
    let loaded = dump(&target, &["-ma"]).load();
    for name in ["prot-none", "reserve"] {
        let range = range(region(&target, name));
        assert!(!loaded.has_any(range.clone()), "{name} is in the dump");
        let infos = loaded.memory_info();
        let info = infos.memory_info_at_address(range.start).expect("it is described");
        assert_eq!(info.state, minidump::format::MemoryState::MEM_RESERVE, "{name}");
    }
}

#[test]
fn a_mapping_past_the_end_of_its_file_does_not_stop_a_forgiving_dump() {
    let target = Target::fixture("memory", &["{}", "past-eof"]);
    let frozen = Frozen::new(&target);
    let written = dump(&target, &["-mA"]);
    let loaded = written.load();
    let range = range(region(&target, "past-eof"));
    let first = loaded.bytes_at(range.start, PAGE).expect("the page with contents");
    assert_eq!(Some(first), frozen.read(range.start..range.start + PAGE));
    assert_complete(&loaded, &frozen, |m| !m.name.ends_with("short.bin"));
    // What has nothing behind it is absent or zero and a recorded hole.
    if let Some(bytes) = loaded.bytes_at(range.start + 2 * PAGE, 2 * PAGE) {
        assert!(bytes.iter().all(|b| *b == 0));
        let holes = written.summary["holes"].as_array().unwrap();
        assert!(!holes.is_empty(), "zeros without a hole that says so");
    }
}

#[test]
fn a_strict_full_dump_either_has_everything_or_names_the_memory_and_the_way_out() {
    let target = Target::fixture("memory", &["{}", "past-eof"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("strict.dmp");
    let pid = target.pid().to_string();
    let run = run(command().args(["dump", "-p", &pid, "-ma"]).arg(&file));
    if run.status.success() {
        let written = dump_pid(target.pid(), &["-ma"]);
        assert_eq!(written.summary["holes"], serde_json::json!([]), "a strict dump with holes");
    } else {
        let text = run.refused();
        assert!(text.contains("-mA") && text.contains("short.bin"), "{text}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "debris");
    }
}

#[test]
fn every_stack_is_whole_from_the_stack_pointer_up() {
    let target = Target::fixture("threads", &["24"]);
    let frozen = Frozen::new(&target);
    let loaded = dump(&target, &["-m"]).load();
    for thread in target.ready["threads"].as_array().unwrap() {
        let tid = thread["tid"].as_u64().unwrap() as u32;
        let (sp, pc) = loaded.registers(tid);
        let canary = thread["canary"].as_u64().unwrap();
        let value = unhex(thread["value"].as_str().unwrap());
        assert_eq!(loaded.bytes_at(canary, 32), Some(value), "the canary of thread {tid}");
        let mappings = frozen.mappings();
        let stack = mappings.iter().find(|m| m.range.contains(&sp)).expect("a stack");
        let red_zone = sp - 128;
        let whole = red_zone..stack.range.end;
        let bytes = loaded.bytes_at(whole.start, whole.end - whole.start);
        assert_eq!(bytes, frozen.read(whole), "the stack of thread {tid}");
        let code = pc - 128..pc + 128;
        let window = loaded.bytes_at(code.start, 256);
        assert_eq!(window, frozen.read(code), "the code around thread {tid}'s instruction");
    }
}

#[test]
fn private_pages_of_a_file_mapping_are_the_processs_and_not_the_files() {
    let target = Target::fixture("memory", &["{}"]);
    let loaded = dump(&target, &["-mw"]).load();
    let cow = range(region(&target, "cow"));
    for (page, seed) in [(2, 0x5100), (5, 0x5101)] {
        let bytes = loaded.bytes_at(cow.start + page * PAGE, PAGE).expect("a page of its own");
        assert_eq!(bytes[..8], mix(seed).to_le_bytes());
    }
}
