//! Windows processes under Wine, dumped from outside by the Linux program with
//! `--wine`: held against the dump that dumpwright.exe writes of the same process
//! from inside, against what the process says of itself, and against readers
//! that know nothing of dumpwright.

use crate::support::cli::{Written, assert_verifies, dump_pid, dumpwright};
use crate::support::dump::Loaded;
use crate::support::target::Target;
use crate::support::tools;
use crate::support::wine::{WindowsTarget, wine};
use crate::support::{find, processor, readers};
use crate::windows::{memory_is_the_process_s, modules_are_the_process_s, python_readers_agree};
use minidump::system_info::Os;
use minidump::{
    MinidumpException, MinidumpModuleList, MinidumpSystemInfo, MinidumpThreadList,
    MinidumpThreadNames, MinidumpUnloadedModuleList, Module,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::process::Command;

const UNIX_SIDE: u32 = 0x4457_0001;
const PAGE: u64 = 0x1000;
const SHARED_DATA: u64 = 0x7FFE_0000;

/// Dumps a target from outside.
#[track_caller]
fn outside(target: &WindowsTarget, options: &[&str]) -> Written {
    let written = dump_pid(target.linux_pid(), &[&["--wine"], options].concat());
    assert_verifies(&written.file);
    written
}

#[test]
fn a_dump_from_outside_of_wine_shows_what_one_from_inside_shows() {
    let Some(wine) = wine() else { return };
    let mut target = WindowsTarget::start(wine);
    let written = outside(&target, &["-mA", "-c", "under Wine é"]);
    let inside = wine.dump(target.pid(), &["-mA"]).loaded;
    target.assert_alive();
    let outside = written.load();
    let system: MinidumpSystemInfo = outside.get();
    let inner: MinidumpSystemInfo = inside.get();
    assert_eq!(system.os, Os::Windows);
    assert_eq!(system.raw.platform_id, inner.raw.platform_id);
    assert_eq!(system.os_parts(), inner.os_parts());
    assert_eq!(system.csd_version(), inner.csd_version());
    assert_eq!(system.raw.product_type, inner.raw.product_type);
    threads_are_the_same(&outside, &inside);
    modules_are_the_same(&outside, &inside);
    address_spaces_are_the_same(&outside, &inside);
    memory_is_the_same(&outside, &inside);
    unix_side_is_there(&outside, &target);
    memory_is_the_process_s(&outside, &target);
    modules_are_the_process_s(&outside, &target);
    python_readers_agree(&written.file, &target);
    assert!(written.mentions("wineserver"), "that handles are missing is noted");
    assert_eq!(written.summary["unix_pid"], target.linux_pid());
    let traces = processor::traces(&outside);
    assert!(traces.values().all(|frames| frames[0].module.is_some()), "{traces:?}");
}

fn threads_are_the_same(outside: &Loaded, inside: &Loaded) {
    assert_eq!(outside.tids(), inside.tids());
    let (ours, theirs): (MinidumpThreadList<'_>, MinidumpThreadList<'_>) =
        (outside.get(), inside.get());
    let system: MinidumpSystemInfo = outside.get();
    let (our_names, their_names): (MinidumpThreadNames, MinidumpThreadNames) =
        (outside.get(), inside.get());
    for their in &theirs.threads {
        let tid = their.raw.thread_id;
        let our = ours.get_thread(tid).unwrap();
        assert_eq!(our.raw.teb, their.raw.teb, "TEB of thread {tid}");
        // Wine tells Linux the name of a thread that has begun; the wineserver
        // always knows it.
        let name = our_names.get_name(tid);
        assert!(name.is_none() || name == their_names.get_name(tid), "{name:?}");
        let registers = |thread: &minidump::MinidumpThread<'_>| {
            let context = thread.context(&system, None).unwrap().into_owned();
            context.valid_registers().collect::<Vec<_>>()
        };
        assert_eq!(registers(our), registers(their), "registers of thread {tid}");
        // TEB::ProcessEnvironmentBlock
        let peb = |dump: &Loaded| dump.bytes_at(our.raw.teb + 0x60, 8);
        assert!(peb(outside).is_some() && peb(outside) == peb(inside), "PEB by thread {tid}");
    }
}

pub fn modules_are_the_same(outside: &Loaded, inside: &Loaded) {
    let describe = |dump: &Loaded| {
        let modules: MinidumpModuleList = dump.get();
        let describe = |module: &minidump::MinidumpModule| {
            (
                module.base_address(),
                module.size(),
                module.code_file().into_owned(),
                module.debug_identifier(),
                module.version().map(std::borrow::Cow::into_owned),
                (module.raw.time_date_stamp, module.raw.checksum),
            )
        };
        modules.iter().map(describe).collect::<Vec<_>>()
    };
    assert_eq!(describe(outside), describe(inside), "modules, in their order");
    let unloaded = |dump: &Loaded| {
        let unloaded: MinidumpUnloadedModuleList = dump.get();
        unloaded
            .iter()
            .map(|m| (m.base_address(), m.size(), m.code_file().into_owned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(unloaded(outside), unloaded(inside));
}

/// Each page that is not free is described alike.
pub fn address_spaces_are_the_same(outside: &Loaded, inside: &Loaded) {
    const FREE: u32 = 0x1_0000;
    let (ours, theirs) = (outside.memory_info(), inside.memory_info());
    for their in theirs.iter().filter(|info| info.raw.state != FREE) {
        let mut at = their.raw.base_address;
        while at < their.raw.base_address + their.raw.region_size {
            let our = ours.memory_info_at_address(at).unwrap();
            let facts = |info: &minidump::MinidumpMemoryInfo<'_>| {
                let raw = &info.raw;
                let allocation = (raw.allocation_base, raw.allocation_protection);
                (allocation, raw.state, raw.protection, raw._type)
            };
            assert_eq!(facts(our), facts(their), "at {at:#x}");
            at = our.raw.base_address + our.raw.region_size;
        }
    }
}

/// Where bytes change while a process is suspended from inside: the clocks that
/// are shared with everyone, and the stacks of system calls and signal handlers.
fn changing(dump: &Loaded) -> Vec<Range<u64>> {
    const TEB: u64 = 0x2000;
    const BLOCK: u64 = 0x1_0000;
    const CALL_STACK: u64 = 0x10_0000;
    let threads: MinidumpThreadList<'_> = dump.get();
    let stacks = threads.threads.iter().flat_map(|thread| {
        let teb = thread.raw.teb;
        let stack_base = dump.bytes_at(teb + 8, 8).unwrap();
        let stack_base = u64::from_le_bytes(stack_base.try_into().unwrap());
        [teb + TEB..(teb / BLOCK + 1) * BLOCK, stack_base..stack_base + CALL_STACK]
    });
    stacks.chain(std::iter::once(SHARED_DATA..SHARED_DATA + PAGE)).collect()
}

/// Page by page; pages that were never touched need not be there from outside.
fn memory_is_the_same(outside: &Loaded, inside: &Loaded) {
    let changing = changing(inside);
    let mut ours: BTreeMap<u64, &[u8]> = BTreeMap::new();
    for memory in outside.raw_memory() {
        let pages = memory.bytes.chunks(PAGE as usize);
        ours.extend(pages.zip(0..).map(|(page, index)| (memory.start + index * PAGE, page)));
    }
    let mut compared = 0;
    for memory in inside.raw_memory() {
        for (page, index) in memory.bytes.chunks(PAGE as usize).zip(0..) {
            let at = memory.start + index * PAGE;
            if changing.iter().any(|range| range.contains(&at)) {
                continue;
            }
            match ours.get(&at) {
                Some(our) => assert!(*our == page, "page {at:#x} differs"),
                None => assert!(page.iter().all(|byte| *byte == 0), "page {at:#x} is missing"),
            }
            compared += 1;
        }
    }
    assert!(compared > 4000, "{compared} pages");
}

fn unix_side(dump: &Loaded) -> Value {
    serde_json::from_slice(dump.raw(UNIX_SIDE).expect("UnixSide")).unwrap()
}

fn unix_side_is_there(dump: &Loaded, target: &WindowsTarget) {
    let side = unix_side(dump);
    assert_eq!(side["pid"], target.linux_pid());
    let threads = side["threads"].as_array().unwrap();
    let windows: BTreeSet<_> =
        threads.iter().filter_map(|t| t["windows_tid"].as_u64()).map(|tid| tid as u32).collect();
    assert_eq!(windows, dump.tids());
    let main = threads.iter().find(|t| t["windows_tid"] == target.number("/main")).unwrap();
    assert_eq!(main["tid"], target.linux_pid());
    assert_eq!(main["state"], "system-call");
    // The stack of the call is in the dump.
    let hex = |value: &Value| {
        u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
    };
    assert!(dump.bytes_at(hex(&main["registers"]["rsp"]), 64).is_some());
    let modules = side["modules"].as_array().unwrap();
    let library = modules.iter().find(|m| m["path"].as_str().unwrap().ends_with("/ntdll.so"));
    let library = library.expect("Wine's Unix library");
    let notes =
        tools::run(Command::new("readelf").arg("-n").arg(library["path"].as_str().unwrap()));
    let build_id = library["build_id"].as_str().unwrap();
    assert!(String::from_utf8_lossy(&notes.stdout).contains(build_id) && build_id.len() == 40);
    assert_eq!(dump.bytes_at(hex(&library["base"]), 4).unwrap(), b"\x7fELF");
    assert!(dump.maps().memory_info_at_address(hex(&library["base"])).is_some());
    let listed = dump.modules();
    assert!(listed.iter().all(|(name, _)| name.contains('\\')), "only Windows modules: {listed:?}");
}

#[test]
fn an_exception_that_no_handler_took_or_that_is_named_is_the_exception_of_the_dump() {
    let Some(wine) = wine() else { return };
    let target = WindowsTarget::start(wine);
    let number = |key: &str| target.number(&format!("/crash/{key}"));
    let tid = number("tid") as u32;
    let pointers = format!("{:#x}", number("pointers"));
    let (record, context) =
        (format!("{:#x}", number("record")), format!("{:#x}", number("context")));
    let thread = tid.to_string();
    for options in [
        &["-m"][..],
        &["-m", "-xp", &pointers],
        &["-m", "-xr", &record, "-xc", &context, "-xt", &thread],
    ] {
        let written = outside(&target, options);
        let dump = written.load();
        let exception: MinidumpException<'_> = dump.get();
        assert_eq!(exception.thread_id, tid, "{options:?}");
        let raw = &exception.raw.exception_record;
        assert_eq!((raw.exception_code, raw.exception_address), (0xC000_0005, number("ip")));
        assert_eq!((raw.number_parameters, raw.exception_information[1]), (2, 0x40));
        let state = processor::process(&dump);
        let crashed = &state.threads[state.requesting_thread.unwrap()];
        assert_eq!((crashed.thread_id, crashed.frames[0].instruction), (tid, number("ip")));
        if let Some(traces) = readers::lldb_traces(&written.file) {
            assert_eq!(traces[&tid][0].0, number("ip"), "LLDB's first frame");
        }
    }
}

#[test]
fn each_flag_has_its_windows_meaning_from_outside_too() {
    let Some(wine) = wine() else { return };
    let target = WindowsTarget::start(wine);
    let at = |pointer: &str| target.number(pointer);
    let has = |dump: &Loaded, at: u64, length: u64| dump.bytes_at(at, length).is_some();
    let load = |options: &[&str]| outside(&target, options).load();

    let small = load(&["-m"]);
    assert!(has(&small, at("/workers/0/stack"), 512), "stacks");
    assert!(!has(&small, at("/heap"), 8) && !has(&small, at("/data"), 8), "only stacks and code");
    for stream in [12, 14, 16, 17, 19] {
        assert!(small.raw(stream).is_none(), "stream {stream} was not asked for");
    }
    assert!(has(&load(&["-mi"]), at("/indirect"), 256), "INDIRECT_MEMORY");
    let private = load(&["-mw"]);
    assert!(has(&private, at("/heap"), 20_000), "PRIVATE_READ_WRITE_MEMORY");
    assert!(!has(&private, at("/view"), 8) && !has(&private, at("/data"), 8), "only private");
    let segments = load(&["-mdc"]);
    assert!(has(&segments, at("/data"), 4096), "DATA_SEGMENTS");
    assert!(has(&segments, at("/work"), 64), "CODE_SEGMENTS");
    assert!(!has(&segments, at("/heap"), 8), "only segments");
    let data = load(&["-mp", "--module-headers"]);
    assert!(has(&data, at("/teb"), 0x1838) && has(&data, at("/workers/1/teb"), 0x1838), "TEBs");
    assert!(has(&data, at("/kept"), 0x200), "MODULE_HEADERS");
    let streams = load(&["-mutF", "--token", "--vm-counters", "--system-memory"]);
    for stream in [14, 16, 17, 19, 21, 22] {
        assert!(streams.raw(stream).is_some(), "stream {stream} was asked for");
    }
    let handles = load(&["-mh"]);
    assert!(handles.raw(12).is_none(), "handles are not claimed");
    assert_eq!(handles.flags() & 4, 0);
    let filtered = load(&["-mrp"]);
    let stack = filtered.bytes_at(at("/workers/0/stack"), 512).unwrap();
    let zeros = stack.split(|byte| *byte != 0).map(<[u8]>::len).sum::<usize>();
    assert!(zeros > 480, "FILTER_MEMORY zeroes data on stacks");
    let teb = at("/workers/0/teb");
    let tid = filtered.bytes_at(teb + 0x48, 8).unwrap();
    assert_eq!(tid, at("/workers/0/tid").to_le_bytes(), "a TEB is no stack");
}

#[test]
fn filters_leave_nothing_of_either_side_of_a_wine_process() {
    let Some(wine) = wine() else { return };
    let folder = tempfile::Builder::new().prefix("CANARY").tempdir().unwrap();
    let environment = [("CANARY_NAME", "CANARY_VALUE"), ("UNIX_PATH", "/home/CANARY/x")];
    let target = WindowsTarget::start_in(wine, folder, &environment);
    let holds = |dump: &Loaded, text: &str| {
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        [text.as_bytes(), &utf16]
            .iter()
            .any(|needle| dump.bytes.windows(needle.len()).any(|window| window == *needle))
    };
    let plain = outside(&target, &["-mp"]).load();
    assert!(holds(&plain, "CANARY_VALUE") && holds(&plain, "/home/CANARY"), "it is there to leak");
    for options in
        [&["-mp", "--sanitize"][..], &["-mrp", "--filter-triage"], &["-mrhutF", "--sanitize"]]
    {
        let dump = outside(&target, options).load();
        let memory = dump.memory();
        let leaking = memory.iter().find(|m| find(m.bytes, b"CANARY").is_some());
        let at = leaking.map(|m| m.start + find(m.bytes, b"CANARY").unwrap() as u64);
        assert!(!holds(&dump, "CANARY"), "{options:?} leaks, ASCII at {at:x?}");
    }
    let paths = outside(&target, &["-mrR"]).load();
    assert!(!holds(&paths, "/home/CANARY") && !holds(&paths, "/tmp"), "FILTER_PATHS leaks");
    assert!(unix_side(&paths)["modules"].to_string().contains("\"ntdll.so\""));
    let redacted = outside(&target, &["-mA", "--redact", "CANARY"]).load();
    assert!(!holds(&redacted, "CANARY"), "redaction leaks");
    // Data of the Unix side has no place in a filtered dump; its code has.
    let full = outside(&target, &["-mAR"]).load();
    let side = unix_side(&full);
    let loader = &side["modules"][0]["base"].as_str().unwrap()[2..];
    assert!(full.has_any(u64::from_str_radix(loader, 16).unwrap()..u64::MAX));
    let stack = target_stack(target.linux_pid());
    assert!(!full.has_any(stack), "the stack that the kernel gave the loader");
}

/// The mapping `[stack]` of a process.
fn target_stack(pid: u32) -> Range<u64> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let line = maps.lines().find(|line| line.ends_with("[stack]")).unwrap();
    let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
    let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
    number(start)..number(end)
}

#[test]
fn a_wine_process_is_found_by_the_name_of_its_program_and_hinted_at() {
    let Some(wine) = wine() else { return };
    let target = WindowsTarget::start(wine);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.dmp");
    let pid = target.linux_pid().to_string();
    let name = crate::support::compile::windows_fixture("target");
    let name = name.file_name().unwrap().to_str().unwrap();
    for name in [name, name.trim_end_matches(".exe"), &name.to_uppercase()] {
        let found = dumpwright(["dump", "-n", name, "--wine", "-o", file.to_str().unwrap()]);
        // Other tests may have the same program run.
        assert!(found.status.success() || found.refused().contains(&pid), "{name}");
    }
    let plain = dump_pid(target.linux_pid(), &["-m"]);
    assert!(plain.mentions("--wine"), "{}", plain.summary["soft_error_list"]);
    let system: MinidumpSystemInfo = plain.load().get();
    assert_eq!(system.os, Os::Linux);
}

#[test]
fn what_is_no_windows_process_is_refused_with_wine() {
    let target = Target::fixture("threads", &["2"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.dmp");
    let file = file.to_str().unwrap();
    let pid = target.pid().to_string();
    let refused = dumpwright(["dump", "-p", &pid, "--wine", file]).refused();
    assert!(refused.contains("does not run under Wine") && refused.contains("--wine"), "{refused}");
    let core = dumpwright(["dump", "-p", &pid, "--wine", "--as", "core", file]).refused();
    assert!(core.contains("ELF core") && core.contains("--wine"), "{core}");
    assert!(!std::path::Path::new(file).exists());
    let plain = dump_pid(target.pid(), &["-m"]);
    assert!(!plain.mentions("--wine"), "no hint where there is no Wine");
}

#[test]
fn a_wine_process_that_does_not_stand_still_is_dumped_right_and_goes_on() {
    let Some(wine) = wine() else { return };
    let mut target = WindowsTarget::fixture(wine, "busy");
    let suspended = target.number("/suspended") as u32;
    let computes = target.number("/computes");
    for _ in 0..8 {
        let written = outside(&target, &["-mF"]);
        let dump = written.load();
        // Its registers are in a signal frame.
        let (_, ip) = dump.registers(suspended);
        assert!((computes..computes + 0x40).contains(&ip), "{ip:#x}, function at {computes:#x}");
        let side = unix_side(&dump);
        let threads = side["threads"].as_array().unwrap();
        let of = threads.iter().find(|t| t["windows_tid"] == suspended).unwrap();
        assert_eq!(of["state"], "signal");
    }
    target.assert_alive();
}
