//! Windows processes under Wine, dumped by dumpwright.exe: held against the
//! process's own bytes, readers that know nothing of dumpwright, and the dump
//! that Wine's own `MiniDumpWriteDump` writes of the same process.

use crate::support::compile::windows_fixture;
use crate::support::dump::{Loaded, stream};
use crate::support::wine::{WindowsTarget, Wine, windows_path, wine};
use crate::support::{find, mix, processor, readers};
use minidump::{
    MinidumpException, MinidumpHandleDataStream, MinidumpMiscInfo, MinidumpModuleList,
    MinidumpSystemInfo, MinidumpThreadInfoList, MinidumpThreadList, MinidumpThreadNames,
    MinidumpUnloadedModuleList, Module,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

const MEM_COMMIT: u32 = 0x1000;
const MEM_RESERVE: u32 = 0x2000;
const PAGE_NO_ACCESS: u32 = 0x1;
const PAGE_READ_ONLY: u32 = 0x2;
const PAGE_READ_WRITE: u32 = 0x4;
const PAGE_GUARD: u32 = 0x100;

/// The words that the target filled memory with.
fn filled(seed: u64, length: usize) -> Vec<u8> {
    (0..length as u64 / 8).flat_map(|i| mix(seed + i).to_le_bytes()).collect()
}

#[track_caller]
fn assert_holds(dump: &Loaded, what: &str, at: u64, seed: u64, length: usize) {
    let bytes = dump.bytes_at(at, length as u64).unwrap_or_else(|| panic!("{what} is not there"));
    assert!(bytes == filled(seed, length), "{what} has other bytes than the process");
}

#[test]
fn a_full_dump_of_a_windows_process_holds_its_memory_threads_modules_and_handles() {
    let Some(wine) = wine() else { return };
    let mut target = WindowsTarget::start(wine);
    let dump = wine.dump(target.pid(), &["-mAy", "-c", "under Wine é"]);
    target.assert_alive();
    let loaded = &dump.loaded;
    memory_is_the_process_s(loaded, &target);
    threads_are_the_process_s(loaded, &target);
    modules_are_the_process_s(loaded, &target);
    handles_are_the_process_s(loaded, &target);
    objects_have_their_counts_and_states(loaded, &target);
    what_only_windows_tells_is_told(loaded);
    let system: MinidumpSystemInfo = loaded.get();
    assert_eq!(system.raw.platform_id, 2);
    // A second dump finds it as the first one did: nothing stayed suspended.
    let again = wine.dump(target.pid(), &["-m"]);
    assert_eq!(suspend_counts(&again.loaded), suspend_counts(loaded));
    python_readers_agree(&dump.file, &target);
}

pub fn memory_is_the_process_s(dump: &Loaded, target: &WindowsTarget) {
    assert_holds(dump, "the heap", target.number("/heap"), 0x1000, 20_000);
    assert_holds(dump, "what a stack points to", target.number("/indirect"), 0x2000, 4096);
    assert_holds(dump, "the data segment", target.number("/data"), 0x3000, 4096);
    assert_holds(dump, "a mapped section", target.number("/view"), 0x6000, 4096);
    for worker in 0..3 {
        let at = target.number(&format!("/workers/{worker}/stack"));
        assert_holds(dump, "a stack", at, 0x5000 + worker, 512);
        // A slot of TlsAlloc, in the TEB.
        let teb = target.number(&format!("/workers/{worker}/teb"));
        let slot = teb + 0x1480 + 8 * target.number("/slot");
        assert_eq!(dump.bytes_at(slot, 8).unwrap(), mix(0x7000 + worker).to_le_bytes());
    }
    let pages = target.number("/pages");
    assert_holds(dump, "a read-write page", pages, 0x4000, 0x1000);
    assert_holds(dump, "a read-only page", pages + 0x1000, 0x4000 + 0x200, 0x1000);
    assert!(!dump.has_any(pages + 0x2000..pages + 0x10000), "guarded and absent pages");
    let info = dump.memory_info();
    for (page, state, protect) in [
        (0, MEM_COMMIT, PAGE_READ_WRITE),
        (1, MEM_COMMIT, PAGE_READ_ONLY),
        (2, MEM_COMMIT, PAGE_READ_WRITE | PAGE_GUARD),
        (3, MEM_COMMIT, PAGE_NO_ACCESS),
        (4, MEM_RESERVE, 0),
    ] {
        let found = info.memory_info_at_address(pages + 0x1000 * page).unwrap();
        assert_eq!((found.raw.state, found.raw.protection), (state, protect), "page {page}");
        assert_eq!(found.raw.allocation_base, pages);
        assert_eq!(found.raw.allocation_protection, PAGE_READ_WRITE);
    }
}

fn threads_are_the_process_s(dump: &Loaded, target: &WindowsTarget) {
    let threads: MinidumpThreadList<'_> = dump.get();
    let main = threads.get_thread(target.number("/main") as u32).unwrap();
    assert_eq!(main.raw.teb, target.number("/teb"));
    let info: MinidumpThreadInfoList = dump.get();
    for worker in 0..3 {
        let tid = target.number(&format!("/workers/{worker}/tid")) as u32;
        let thread = threads.get_thread(tid).unwrap();
        assert_eq!(thread.raw.teb, target.number(&format!("/workers/{worker}/teb")));
        assert_eq!(thread.raw.suspend_count, u32::from(worker == 2));
        let stack = target.number(&format!("/workers/{worker}/stack"));
        let (sp, _) = dump.registers(tid);
        assert!(sp <= stack && stack - sp < 0x4000, "stack pointer {sp:#x}, array {stack:#x}");
        let info = info.get_thread_info(tid).unwrap();
        assert_eq!(info.raw.start_address, target.number("/work"));
    }
    // THREAD_PRIORITY_BELOW_NORMAL
    let second = threads.get_thread(target.number("/workers/1/tid") as u32).unwrap();
    assert_eq!(second.raw.priority, -1i32 as u32);
    let names: MinidumpThreadNames = dump.get();
    let name = names.get_name(target.number("/workers/0/tid") as u32);
    assert_eq!(name.as_deref(), Some("worker-one é"));
}

fn suspend_counts(dump: &Loaded) -> BTreeMap<u32, u32> {
    let threads: MinidumpThreadList<'_> = dump.get();
    threads.threads.iter().map(|t| (t.raw.thread_id, t.raw.suspend_count)).collect()
}

pub fn modules_are_the_process_s(dump: &Loaded, target: &WindowsTarget) {
    let modules: MinidumpModuleList = dump.get();
    let main = modules.main_module().unwrap();
    assert_eq!(main.base_address(), target.number("/exe"));
    let kept = modules.module_at_address(target.number("/kept")).unwrap();
    assert!(kept.code_file().ends_with("\\kept.dll"), "{}", kept.code_file());
    // The CodeView record of the image, as its file has it.
    let file = fs::read(target.folder.path().join("kept.dll")).unwrap();
    let at = find(&file, b"RSDS").unwrap();
    let minidump::CodeView::Pdb70(record) = kept.codeview_info.as_ref().unwrap() else {
        panic!("no CodeView record")
    };
    assert_eq!(record.signature.data1.to_le_bytes(), file[at + 4..at + 8]);
    assert_eq!(record.age.to_le_bytes(), file[at + 20..at + 24]);
    // COFF header: time stamp; its place is at 0x3c.
    let header = u32::from_le_bytes(file[0x3c..0x40].try_into().unwrap()) as usize;
    assert_eq!(kept.raw.time_date_stamp.to_le_bytes(), file[header + 8..header + 12]);
    let system_dll = modules.iter().find(|m| m.code_file().ends_with("\\kernel32.dll")).unwrap();
    assert!(system_dll.version().is_some_and(|v| v != "0.0.0.0"), "kernel32.dll has a version");

    let unloaded: MinidumpUnloadedModuleList = dump.get();
    let gone = unloaded.iter().find(|m| m.code_file().ends_with("gone.dll")).expect("gone.dll");
    assert_eq!(gone.base_address(), target.number("/gone"));
    assert_eq!(gone.size(), kept.size());
}

fn handles_are_the_process_s(dump: &Loaded, target: &WindowsTarget) {
    let handles: MinidumpHandleDataStream = dump.get();
    let found: BTreeMap<u64, (String, String)> = handles
        .iter()
        .map(|h| {
            let text = |t: Option<&String>| t.cloned().unwrap_or_default();
            let raw = *h.raw.handle().unwrap();
            (raw, (text(h.type_name.as_ref()), text(h.object_name.as_ref())))
        })
        .collect();
    for (kind, type_name, object_name) in [
        ("Event", "Event", "dumpwright-test-event"),
        ("Mutant", "Mutant", "dumpwright-test-mutex"),
        ("Semaphore", "Semaphore", "dumpwright-test-semaphore"),
        ("Section", "Section", "dumpwright-test-section"),
        ("Timer", "Timer", ""),
        ("File", "File", "kept.dll"),
        ("Key", "Key", "Software"),
        ("Process", "Process", ""),
        ("Thread", "Thread", ""),
        ("Token", "Token", ""),
        ("Pipe", "File", ""),
    ] {
        let handle = target.number(&format!("/handles/{kind}"));
        let (of_type, name) = found.get(&handle).unwrap_or_else(|| panic!("no handle of {kind}"));
        assert_eq!(of_type, type_name);
        assert!(name.ends_with(object_name), "{kind} is named '{name}'");
    }
}

/// The bytes of a structure's field.
fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn objects_have_their_counts_and_states(dump: &Loaded, target: &WindowsTarget) {
    let stream = dump.raw(stream::HANDLE_DATA).unwrap();
    let (header, size) = (number(stream, 0) as usize, number(stream, 4) as usize);
    let descriptors = stream[header..].chunks_exact(size);
    // MINIDUMP_HANDLE_DESCRIPTOR_2 by handle.
    let of = |kind: &str| {
        let handle = target.number(&format!("/handles/{kind}")) as u32;
        descriptors.clone().find(|d| number(d, 0) == handle).unwrap()
    };
    for kind in ["Event", "Mutant", "File", "Key"] {
        // Other targets that run meanwhile have the same event, mutex and key.
        let count = number(of(kind), 24);
        let is_shared = kind != "File";
        assert!(count == 1 || is_shared && count > 1, "{count} handles to the {kind}");
        assert!(number(of(kind), 28) >= 1, "pointers to the {kind}");
    }
    // MINIDUMP_HANDLE_OBJECT_INFORMATION: next, type, size; what winternl.h has.
    let state = |kind: &str| {
        let at = number(of(kind), 32) as usize;
        assert_ne!(at, 0, "nothing is said of the {kind}");
        let word = |index: usize| number(&dump.bytes, at + 4 * index);
        (word(1), word(2), word(3), word(4))
    };
    // A notification event that is not set; a mutex that nobody holds; 1 of 2.
    assert_eq!(state("Event"), (6, 8, 0, 0));
    let (kind, size, count, _) = state("Mutant");
    assert_eq!((kind, size, count), (2, 8, 1));
    assert_eq!(state("Semaphore"), (8, 8, 1, 2));
}

fn what_only_windows_tells_is_told(dump: &Loaded) {
    const NORMAL_PRIORITY_CLASS: u32 = 0x20;
    let threads: MinidumpThreadList<'_> = dump.get();
    assert!(threads.threads.iter().all(|t| t.raw.priority_class == NORMAL_PRIORITY_CLASS));
    let misc: MinidumpMiscInfo = dump.get();
    let zone = misc.raw.time_zone_id();
    assert!(zone.is_some_and(|id| *id <= 2), "{zone:?}");
    // Clocks, integrity, zone.
    let told = misc.raw.flags1().unwrap();
    assert_eq!(told & 0x54, 0x54, "{told:#x}");
    assert_ne!(misc.raw.processor_max_mhz().unwrap(), &0);
    assert_ne!(misc.raw.process_integrity_level().unwrap(), &0);
}

pub fn python_readers_agree(file: &std::path::Path, target: &WindowsTarget) {
    let sample = (target.number("/heap"), 64);
    if let Some(seen) = readers::pypi_minidump(file, &[sample]) {
        assert_eq!(seen["pid"], target.number("/pid"));
        assert_eq!(seen["comment"], "under Wine é");
        assert_eq!(seen["samples"][0], hex(&filled(0x1000, 64)));
        let threads: BTreeSet<_> = seen["threads"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(serde_json::Value::as_u64)
            .collect();
        assert!(threads.contains(&target.number("/main")));
        assert_eq!(seen["complaints"].as_array().unwrap().len(), 0, "{}", seen["complaints"]);
    }
    if let Some(seen) = readers::pypi_udmp(file, &[sample]) {
        assert_eq!(seen["samples"][0], hex(&filled(0x1000, 64)));
    }
    if let Some(traces) = readers::lldb_traces(file) {
        assert!(traces.contains_key(&(target.number("/main") as u32)), "{traces:?}");
    }
}

/// Bytes as the scripts of the readers print them.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[test]
fn exception_pointers_in_a_windows_process_are_the_exception_of_its_dump() {
    let Some(wine) = wine() else { return };
    let target = WindowsTarget::start(wine);
    let number = |key: &str| target.number(&format!("/crash/{key}"));
    let tid = number("tid") as u32;
    let pointers = format!("{:#x}", number("pointers"));
    let (record, context) =
        (format!("{:#x}", number("record")), format!("{:#x}", number("context")));
    let thread = tid.to_string();
    let jit = format!("{:#x}", number("jit"));
    for options in [
        &["-m", "-xp", &pointers][..],
        &["-m", "-xr", &record, "-xc", &context, "-xt", &thread],
        &["-m", "-j", &jit],
        // One that nobody names is found.
        &["-m"],
    ] {
        let dump = wine.dump(target.pid(), options);
        let exception: MinidumpException<'_> = dump.loaded.get();
        assert_eq!(exception.thread_id, tid);
        let raw = &exception.raw.exception_record;
        assert_eq!((raw.exception_code, raw.exception_address), (0xC000_0005, number("ip")));
        assert_eq!((raw.number_parameters, raw.exception_information[1]), (2, 0x40));
        let state = processor::process(&dump.loaded);
        let crashed = &state.threads[state.requesting_thread.unwrap()];
        assert_eq!(crashed.thread_id, tid);
        assert_eq!(crashed.frames[0].instruction, number("ip"));
        if let Some(traces) = readers::lldb_traces(&dump.file) {
            assert_eq!(traces[&tid][0].0, number("ip"), "LLDB's first frame");
        }
    }
    let refused =
        wine.dumpwright(["dump", "-p", &target.pid().to_string(), "-xp", "0x10", "x.dmp"]);
    assert!(refused.refused().contains("EXCEPTION_POINTERS"));
}

#[test]
fn each_flag_has_its_meaning_for_a_windows_process() {
    let Some(wine) = wine() else { return };
    let target = WindowsTarget::start(wine);
    let pid = target.pid();
    let at = |pointer: &str| target.number(pointer);
    let has = |dump: &Loaded, at: u64, length: u64| dump.bytes_at(at, length).is_some();

    let small = wine.dump(pid, &["-m"]).loaded;
    assert!(has(&small, at("/workers/0/stack"), 512), "stacks");
    assert!(!has(&small, at("/heap"), 8) && !has(&small, at("/data"), 8), "only stacks and code");
    for stream in [12, 14, 16, 17, 19] {
        assert!(small.raw(stream).is_none(), "stream {stream} was not asked for");
    }
    let indirect = wine.dump(pid, &["-mi"]).loaded;
    assert!(has(&indirect, at("/indirect"), 256), "INDIRECT_MEMORY");
    let private = wine.dump(pid, &["-mw"]).loaded;
    assert_holds(&private, "private memory", at("/heap"), 0x1000, 20_000);
    assert!(
        !has(&private, at("/view"), 8) && !has(&private, at("/data"), 8),
        "only private memory"
    );
    let segments = wine.dump(pid, &["-mdc"]).loaded;
    assert_holds(&segments, "the data segment", at("/data"), 0x3000, 4096);
    assert!(has(&segments, at("/work"), 64), "CODE_SEGMENTS");
    assert!(!has(&segments, at("/heap"), 8), "only segments");
    let data = wine.dump(pid, &["-mp", "--module-headers"]).loaded;
    assert!(has(&data, at("/teb"), 0x1838) && has(&data, at("/workers/1/teb"), 0x1838), "TEBs");
    assert!(has(&data, at("/kept"), 0x200), "MODULE_HEADERS");
    let streams = wine.dump(pid, &["-mhutF", "--token", "--vm-counters", "--system-memory"]).loaded;
    for stream in [12, 14, 16, 17, 19, 21, 22] {
        assert!(streams.raw(stream).is_some(), "stream {stream} was asked for");
    }
    let token = String::from_utf8_lossy(streams.raw(19).unwrap()).into_owned();
    assert!(token.contains("user: S-1-5-"), "{token}");
    let filtered = wine.dump(pid, &["-mrR"]).loaded;
    let stack = filtered.bytes_at(at("/workers/0/stack"), 512).unwrap();
    let zeros = stack.split(|byte| *byte != 0).map(<[u8]>::len).sum::<usize>();
    assert!(zeros > 480, "FILTER_MEMORY zeroes data on stacks");
    assert!(filtered.modules().iter().all(|(name, _)| !name.contains(['\\', ':'])), "names only");
}

#[test]
fn a_dump_of_a_windows_process_has_all_that_the_system_s_own_has() {
    let Some(wine) = wine() else { return };
    let target = WindowsTarget::start(wine);
    let folder = tempfile::tempdir().unwrap();
    let peer = windows_fixture("peer");
    // WithHandleData | WithUnloadedModules | WithFullMemoryInfo | WithThreadInfo.
    // Not WithFullMemory, which Wine writes at two megabytes a second.
    let file = folder.path().join("peer.dmp");
    let pid = target.pid().to_string();
    let output = wine.command(&peer).args([&pid, &windows_path(&file), "0x1824"]).output().unwrap();
    assert!(output.status.success(), "peer: {}", String::from_utf8_lossy(&output.stdout));
    // Of unwind tables Wine takes the records that its walk of the stacks used;
    // they are part of MODULE_HEADERS here.
    let ours = wine.dump(target.pid(), &["-mhutF", "--module-headers"]).loaded;
    assert_has_all(&ours, &Loaded::read(&file));
}

/// All that a dump of the same process has that another program wrote.
pub fn assert_has_all(ours: &Loaded, theirs: &Loaded) {
    const UNUSED: u32 = 0;
    const MEMORY_LIST: u32 = 5;
    const MEMORY64_LIST: u32 = 9;
    /// Wine's own, in the range that is reserved for the debug help library.
    const RESERVED: u32 = 0xFFF0;
    let types: BTreeSet<_> = ours.stream_types().into_iter().collect();
    for stream in theirs.stream_types() {
        let either = matches!(stream, MEMORY_LIST | MEMORY64_LIST)
            && (types.contains(&MEMORY_LIST) || types.contains(&MEMORY64_LIST));
        assert!(
            matches!(stream, UNUSED | RESERVED) || either || types.contains(&stream),
            "stream {stream} is missing"
        );
    }
    assert_eq!(ours.tids(), theirs.tids(), "threads");
    let (our_modules, their_modules) = (ours.modules(), theirs.modules());
    for (name, range) in &their_modules {
        let found = our_modules.iter().find(|(_, r)| r.start == range.start);
        let (our_name, our_range) = found.unwrap_or_else(|| panic!("module {name} is missing"));
        assert_eq!((our_name.to_lowercase(), our_range), (name.to_lowercase(), range));
    }
    let threads: MinidumpThreadList<'_> = theirs.get();
    for thread in &threads.threads {
        assert_eq!(
            ours.registers(thread.raw.thread_id),
            theirs.registers(thread.raw.thread_id),
            "registers of thread {}",
            thread.raw.thread_id
        );
    }
    for memory in theirs.raw_memory() {
        let length = memory.bytes.len() as u64;
        let Some(bytes) = ours.bytes_at(memory.start, length) else {
            panic!("memory {:#x}+{length:#x} is missing", memory.start)
        };
        // What the kernel shares with everyone goes on changing (clocks).
        let is_shared_data = memory.start == 0x7ffe_0000;
        assert!(is_shared_data || bytes == memory.bytes, "memory {:#x} differs", memory.start);
    }
}

#[test]
fn a_windows_process_that_cannot_be_dumped_is_refused_in_one_line() {
    let Some(wine) = wine() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.dmp");
    let name = windows_path(&file);
    let none = wine.dumpwright(["dump", "-p", "99992", &name]).refused();
    assert!(none.contains("no process 99992") && none.contains("tasklist"), "{none}");
    let unnamed = wine.dumpwright(["dump", "-n", "no-such-program", &name]).refused();
    assert!(unnamed.contains("no-such-program"), "{unnamed}");
    assert!(!file.exists());

    let target = WindowsTarget::start(wine);
    let pid = target.pid().to_string();
    fs::write(&file, "precious").unwrap();
    let exists = wine.dumpwright(["dump", "-p", &pid, &name]).refused();
    assert!(exists.contains("exists"), "{exists}");
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    wine.dumpwright(["dump", "-p", &pid, "-o", &name]).ok();
    assert!(fs::metadata(&file).unwrap().len() > 1000);
}

#[test]
fn notepad_is_found_by_name_dumped_and_goes_on() {
    let Some(wine) = wine() else { return };
    let mut notepad = wine.command("notepad").spawn().unwrap();
    let loaded = dump_notepad(wine);
    assert!(notepad.try_wait().unwrap().is_none(), "it goes on");
    let ended = wine.command("taskkill").args(["/f", "/im", "notepad.exe"]).status().unwrap();
    assert!(ended.success(), "taskkill");
    notepad.wait().unwrap();
    assert!(loaded.modules().iter().any(|(name, _)| name.to_lowercase().ends_with("user32.dll")));
    assert!(!processor::traces(&loaded).is_empty());
}

/// Notepad takes a moment to start.
#[track_caller]
fn dump_notepad(wine: &Wine) -> Loaded {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notepad.dmp");
    let mut last = String::new();
    for _ in 0..20 {
        let run = wine.dumpwright(["dump", "-n", "Notepad", "-mA", "-o", &windows_path(&file)]);
        if run.status.success() {
            crate::support::cli::assert_verifies(&file);
            return Loaded::read(&file);
        }
        last = run.stderr;
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    panic!("notepad was not dumped: {last}");
}
