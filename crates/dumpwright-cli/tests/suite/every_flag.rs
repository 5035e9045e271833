//! Each `DEBUG_FORMAT_*` flag alone: what it adds, what it takes away, and that
//! the header says what was done.

use crate::support::cli::{Written, dump};
use crate::support::dump::stream;
use crate::support::frozen::{Frozen, PAGE};
use crate::support::readers::{assert_same_frames, gdb_traces, lldb_traces, pypi_minidump};
use crate::support::target::Target;
use crate::support::{find, unhex};
use minidump::{MinidumpMiscInfo, MinidumpThreadInfoList, MinidumpUnloadedModuleList, RawMiscInfo};
use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

/// A flag that says something about a dump's contents.
pub struct Flag {
    /// Its long option.
    pub option: &'static str,
    /// Its documented name.
    pub name: &'static str,
    /// Its `DEBUG_FORMAT_*` value.
    pub value: u32,
    /// The `MINIDUMP_TYPE` bit that it stands for.
    pub kind: u64,
}

const fn flag(option: &'static str, name: &'static str, value: u32, kind: u64) -> Flag {
    Flag { option, name, value, kind }
}

/// The flags, values and types as the public headers have them, written down
/// here a second time.
pub const FLAGS: [Flag; 22] = [
    flag("--full-memory", "USER_SMALL_FULL_MEMORY", 0x1, 0x2),
    flag("--handle-data", "USER_SMALL_HANDLE_DATA", 0x2, 0x4),
    flag("--unloaded-modules", "USER_SMALL_UNLOADED_MODULES", 0x4, 0x20),
    flag("--indirect-memory", "USER_SMALL_INDIRECT_MEMORY", 0x8, 0x40),
    flag("--data-segments", "USER_SMALL_DATA_SEGMENTS", 0x10, 0x1),
    flag("--filter-memory", "USER_SMALL_FILTER_MEMORY", 0x20, 0x8),
    flag("--filter-paths", "USER_SMALL_FILTER_PATHS", 0x40, 0x80),
    flag("--process-thread-data", "USER_SMALL_PROCESS_THREAD_DATA", 0x80, 0x100),
    flag("--private-read-write-memory", "USER_SMALL_PRIVATE_READ_WRITE_MEMORY", 0x100, 0x200),
    flag("--no-optional-data", "USER_SMALL_NO_OPTIONAL_DATA", 0x200, 0x400),
    flag("--full-memory-info", "USER_SMALL_FULL_MEMORY_INFO", 0x400, 0x800),
    flag("--thread-info", "USER_SMALL_THREAD_INFO", 0x800, 0x1000),
    flag("--code-segments", "USER_SMALL_CODE_SEGMENTS", 0x1000, 0x2000),
    flag("--no-auxiliary-state", "USER_SMALL_NO_AUXILIARY_STATE", 0x2000, 0x4000),
    flag("--full-auxiliary-state", "USER_SMALL_FULL_AUXILIARY_STATE", 0x4000, 0x8000),
    flag("--module-headers", "USER_SMALL_MODULE_HEADERS", 0x8000, 0x8_0000),
    flag("--filter-triage", "USER_SMALL_FILTER_TRIAGE", 0x1_0000, 0x10_0000),
    flag("--add-avx-xstate-context", "USER_SMALL_ADD_AVX_XSTATE_CONTEXT", 0x2_0000, 0x20_0000),
    flag("--ipt-trace", "USER_SMALL_IPT_TRACE", 0x4_0000, 0x40_0000),
    flag("--no-ignore-inaccessible-mem", "USER_SMALL_NO_IGNORE_INACCESSIBLE_MEM", 0x400_0000, 0),
    flag("--ignore-inaccessible-mem", "USER_SMALL_IGNORE_INACCESSIBLE_MEM", 0x800_0000, 0x2_0000),
    flag("--scan-partial-pages", "USER_SMALL_SCAN_PARTIAL_PAGES", 0x1000_0000, 0x80_0000),
];

/// Names of the summary's format flags. Without `-o` the command itself asks
/// for `NO_OVERWRITE`; that is not what is under test here.
fn content_flags(written: &Written) -> Vec<String> {
    written.names("format_flags").into_iter().filter(|n| n != "NO_OVERWRITE").collect()
}

/// A flag that asks for what a Linux process may not have must not be claimed
/// silently: either the type is stated, or a soft error says why not.
#[track_caller]
fn assert_type(written: &Written, flag: &Flag) {
    let stated = written.load().flags();
    let may_lack = matches!(flag.kind, 0x8000 | 0x40_0000);
    if may_lack {
        assert!(stated == flag.kind || stated == 0, "{}: type {stated:#x}", flag.option);
        assert!(written.mentions(flag.name.trim_start_matches("USER_SMALL_")), "{}", flag.option);
    } else {
        assert_eq!(stated, flag.kind, "{}: MINIDUMP_HEADER.Flags", flag.option);
    }
}

#[test]
fn each_flag_alone_states_its_type_and_loses_no_thread() {
    let target = Target::fixture("threads", &["8"]);
    for flag in &FLAGS {
        let written = dump(&target, &[flag.option]);
        assert_type(&written, flag);
        assert_eq!(content_flags(&written), [flag.name]);
        assert_eq!(written.load().tids(), target.tids(), "{}: threads", flag.option);
    }
}

#[test]
fn values_and_names_mean_the_same_as_long_options() {
    let target = Target::fixture("threads", &["1"]);
    for flag in &FLAGS {
        let by_value = dump(&target, &["--format-flags", &format!("{:#x}", flag.value)]);
        let by_name = dump(&target, &["--format-flags", flag.name]);
        for written in [by_value, by_name] {
            assert_eq!(content_flags(&written), [flag.name]);
        }
    }
    let both = dump(&target, &["--format-flags", "USER_SMALL_THREAD_INFO,USER_SMALL_HANDLE_DATA"]);
    assert_eq!(both.load().flags(), 0x1004);
}

#[test]
fn pypi_minidump_reads_each_flag_alone() {
    let target = Target::fixture("threads", &["4"]);
    let tids: Vec<u32> = target.tids().into_iter().collect();
    for flag in &FLAGS {
        let written = dump(&target, &[flag.option]);
        let Some(seen) = pypi_minidump(&written.file, &[]) else { return };
        assert_eq!(seen["threads"], serde_json::json!(tids), "{}", flag.option);
        assert_eq!(seen["complaints"], serde_json::json!([]), "{}", flag.option);
    }
}

/// FILTER_PATHS and FILTER_TRIAGE are left out: without paths LLDB finds no
/// files to unwind by; `privacy` holds their traces by another walker.
#[test]
fn lldb_sees_gdbs_frames_in_each_flag_alone() {
    let target = Target::fixture("threads", &["8"]);
    let Some(truth) = gdb_traces(target.pid()) else { return };
    for flag in FLAGS.iter().filter(|f| !matches!(f.kind, 0x80 | 0x10_0000)) {
        let written = dump(&target, &[flag.option]);
        let Some(seen) = lldb_traces(&written.file) else { return };
        eprintln!("{}", flag.option);
        assert_same_frames(&seen, &truth);
    }
}

#[test]
fn without_flags_a_dump_holds_stacks_and_little_else() {
    let target = Target::fixture("memory", &["{}"]);
    let loaded = dump(&target, &[]).load();
    assert_eq!(loaded.flags(), 0);
    for marker in ["reached", "unreached", "bss", "data", "dontdump"] {
        let value = unhex(target.ready["markers"][marker]["value"].as_str().unwrap());
        assert_eq!(find(&loaded.bytes, &value), None, "marker {marker}");
    }
    for absent in [stream::HANDLE_DATA, stream::MEMORY_INFO, stream::THREAD_INFO] {
        assert!(loaded.raw(absent).is_none(), "stream {absent}");
    }
    assert!(loaded.bytes.len() < 1 << 20, "a small dump has {} bytes", loaded.bytes.len());
}

/// The marker's bytes are at its address in the dump.
#[track_caller]
fn assert_marker(target: &Target, written: &Written, marker: &str) {
    let entry = &target.ready["markers"][marker];
    let value = unhex(entry["value"].as_str().unwrap());
    let address = entry["address"].as_u64().unwrap();
    assert_eq!(written.load().bytes_at(address, 32), Some(value), "marker {marker}");
}

#[track_caller]
fn assert_no_marker(target: &Target, written: &Written, marker: &str) {
    let value = unhex(target.ready["markers"][marker]["value"].as_str().unwrap());
    assert_eq!(find(&written.load().bytes, &value), None, "marker {marker}");
}

#[test]
fn indirect_memory_takes_what_a_stack_points_to_and_nothing_else() {
    let target = Target::fixture("memory", &["{}"]);
    let written = dump(&target, &["--indirect-memory"]);
    assert_marker(&target, &written, "reached");
    assert_no_marker(&target, &written, "unreached");
    assert!(written.load().memory_size() < 4 << 20, "windows, not regions");
}

#[test]
fn data_segments_hold_data_and_bss_of_every_module() {
    let target = Target::fixture("memory", &["{}"]);
    let written = dump(&target, &["--data-segments"]);
    assert_marker(&target, &written, "data");
    assert_marker(&target, &written, "bss");
    assert_no_marker(&target, &written, "unreached");
    assert_image_pages(&target, &written, |p| p.starts_with("rw"));
}

#[test]
fn code_segments_hold_the_code_of_every_module() {
    let target = Target::fixture("memory", &["{}"]);
    let written = dump(&target, &["--code-segments"]);
    assert_image_pages(&target, &written, |p| p.starts_with("r-x"));
    assert_no_marker(&target, &written, "bss");
}

/// Every populated page of the image mappings with such permissions is in the
/// dump and is what the process has.
#[track_caller]
fn assert_image_pages(target: &Target, written: &Written, wanted: impl Fn(&str) -> bool) {
    let loaded = written.load();
    let frozen = Frozen::new(target);
    let mut pages = 0;
    for mapping in frozen.mappings() {
        let image = mapping.name.contains(".so") || mapping.name.contains("/fixtures/");
        if !image || !wanted(&mapping.permissions) {
            continue;
        }
        for page in frozen.populated(&mapping) {
            let truth = frozen.read(page..page + PAGE);
            assert_eq!(loaded.bytes_at(page, PAGE), truth, "{} page {page:#x}", mapping.name);
            pages += 1;
        }
    }
    assert!(pages >= 3, "only {pages} pages were compared");
}

#[test]
fn module_headers_are_enough_to_recognise_and_unwind_each_module() {
    let target = Target::fixture("memory", &["{}"]);
    let loaded = dump(&target, &["--module-headers"]).load();
    for (name, range) in loaded.modules() {
        let header = loaded.bytes_at(range.start, 64);
        let header = header.unwrap_or_else(|| panic!("{name}: no ELF header"));
        assert_eq!(&header[..4], b"\x7fELF", "{name}");
        let word = |at: usize, n: usize| {
            let mut bytes = [0; 8];
            bytes[..n].copy_from_slice(&header[at..at + n]);
            u64::from_le_bytes(bytes)
        };
        let (offset, size, count) = (word(32, 8), word(54, 2), word(56, 2));
        let headers = loaded.bytes_at(range.start + offset, size * count);
        let headers = headers.unwrap_or_else(|| panic!("{name}: no program headers"));
        assert_unwind_table(&loaded, &name, range.start, &headers, size as usize);
    }
}

/// `PT_GNU_EH_FRAME` and the `.eh_frame` that its first pointer leads to.
#[track_caller]
fn assert_unwind_table(
    loaded: &crate::support::dump::Loaded,
    name: &str,
    base: u64,
    headers: &[u8],
    size: usize,
) {
    const PT_LOAD: u32 = 1;
    const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
    let u32_at = |h: &[u8], at: usize| u32::from_le_bytes(h[at..at + 4].try_into().unwrap());
    let u64_at = |h: &[u8], at: usize| u64::from_le_bytes(h[at..at + 8].try_into().unwrap());
    let first = headers.chunks(size).find(|h| u32_at(h, 0) == PT_LOAD).expect("a load segment");
    let bias = base.wrapping_sub(u64_at(first, 16) & !(PAGE - 1));
    let Some(table) = headers.chunks(size).find(|h| u32_at(h, 0) == PT_GNU_EH_FRAME) else {
        return;
    };
    let at = bias.wrapping_add(u64_at(table, 16));
    let bytes = loaded.bytes_at(at, u64_at(table, 40));
    let bytes = bytes.unwrap_or_else(|| panic!("{name}: no .eh_frame_hdr"));
    // DW_EH_PE_pcrel | sdata4, what every linker in use writes.
    assert_eq!(bytes[1], 0x1b, "{name}: encoding of the pointer to .eh_frame");
    let relative = i64::from(u32_at(&bytes, 4) as i32);
    let frames = at.wrapping_add(4).wrapping_add_signed(relative);
    assert!(loaded.bytes_at(frames, 64).is_some(), "{name}: no .eh_frame at {frames:#x}");
    // DW_EH_PE_udata4, and DW_EH_PE_datarel | sdata4: the search table. Each
    // entry's description, and the common one that it points back to.
    assert_eq!(bytes[2..4], [0x03, 0x3b], "{name}: encoding of the search table");
    let count = u32_at(&bytes, 8) as usize;
    for entry in bytes[12..].chunks_exact(8).take(count) {
        let fde = at.wrapping_add_signed(i64::from(u32_at(entry, 4) as i32));
        let whole = |at: u64| {
            let length = u32_at(&loaded.bytes_at(at, 4)?, 0);
            loaded.bytes_at(at, 4 + u64::from(length))
        };
        let bytes = whole(fde).unwrap_or_else(|| panic!("{name}: no FDE at {fde:#x}"));
        let cie = fde + 4 - u64::from(u32_at(&bytes, 4));
        assert!(whole(cie).is_some(), "{name}: no CIE at {cie:#x}");
    }
}

#[test]
fn process_thread_data_holds_arguments_environment_and_thread_storage() {
    let target = Target::fixture("memory", &["{}"]);
    let written = dump(&target, &["--process-thread-data"]);
    assert_marker(&target, &written, "tls-main");
    assert_marker(&target, &written, "tls-worker");
    let folder = target.folder.path().to_str().unwrap();
    let loaded = written.load();
    let in_memory = loaded.memory().iter().any(|m| find(m.bytes, folder.as_bytes()).is_some());
    assert!(in_memory, "the arguments are not in the initial stack block");
    assert_no_marker(&target, &written, "unreached");
}

#[test]
fn private_read_write_memory_holds_every_such_page_and_no_shared_one() {
    let target = Target::fixture("memory", &["{}"]);
    let frozen = Frozen::new(&target);
    let written = dump(&target, &["--private-read-write-memory"]);
    let loaded = written.load();
    let mut pages = 0;
    for mapping in frozen.mappings().iter().filter(|m| m.is_private_writable() && m.is_dumpable()) {
        for page in frozen.populated(mapping) {
            let truth = frozen.read(page..page + PAGE).unwrap();
            if truth.iter().any(|b| *b != 0) {
                let seen = loaded.bytes_at(page, PAGE);
                assert_eq!(seen, Some(truth), "{} page {page:#x}", mapping.name);
                pages += 1;
            }
        }
    }
    assert!(pages > 700, "only {pages} pages were compared");
    for name in ["shared", "file", "memfd", "read-only"] {
        let regions = target.ready["regions"].as_array().unwrap();
        let region = regions.iter().find(|r| r["name"] == name).unwrap();
        let start = region["start"].as_u64().unwrap();
        let end = start + region["len"].as_u64().unwrap();
        assert!(!loaded.has_any(start..end), "region {name} is in the dump");
    }
}

#[test]
fn full_memory_info_describes_the_whole_address_space() {
    use minidump::format::{MemoryState, MemoryType};
    let target = Target::fixture("memory", &["{}"]);
    let frozen = Frozen::new(&target);
    let loaded = dump(&target, &["--full-memory-info"]).load();
    let infos = loaded.memory_info();
    let mut end = 0;
    for info in infos.by_addr() {
        let range = info.memory_range().unwrap();
        assert_eq!(range.start, end, "a gap or an overlap");
        end = range.end + 1;
    }
    assert!(end >= 0x7fff_ffff_f000, "the address space ends at {end:#x}");
    for mapping in frozen.mappings() {
        // [vsyscall] lies outside the space of the process.
        if mapping.range.start > 0x7fff_ffff_f000 || mapping.range.is_empty() {
            continue;
        }
        let info = infos.memory_info_at_address(mapping.range.start).unwrap();
        let state = if mapping.permissions.starts_with("---") {
            MemoryState::MEM_RESERVE
        } else {
            MemoryState::MEM_COMMIT
        };
        assert_eq!(info.state, state, "{mapping:x?}");
        assert_eq!(info.is_writable(), &mapping.permissions[1..2] == "w", "{mapping:x?}");
        assert_eq!(info.is_executable(), &mapping.permissions[2..3] == "x", "{mapping:x?}");
        if mapping.name.contains(".so") {
            assert_eq!(info.ty, MemoryType::MEM_IMAGE, "{mapping:x?}");
        }
        if mapping.name.ends_with("file.bin") {
            assert_eq!(info.ty, MemoryType::MEM_MAPPED, "{mapping:x?}");
        }
        if mapping.name == "[heap]" || mapping.name == "[stack]" {
            assert_eq!(info.ty, MemoryType::MEM_PRIVATE, "{mapping:x?}");
        }
    }
}

#[test]
fn thread_info_tells_when_each_thread_began_and_what_it_used() {
    let target = Target::fixture("threads", &["4", "spin"]);
    let loaded = dump(&target, &["--thread-info"]).load();
    let list: MinidumpThreadInfoList = loaded.get();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let seen: BTreeSet<u32> = list.thread_infos.iter().map(|i| i.raw.thread_id).collect();
    assert_eq!(seen, target.tids());
    for info in &list.thread_infos {
        // FILETIME: 100 ns since 1601.
        let created = info.raw.create_time / 10_000_000 - 11_644_473_600;
        assert!(created <= now + 2 && now < created + 300, "created at {created}, now {now}");
        assert_eq!(info.raw.exit_time, 0);
        assert_ne!(info.raw.affinity, 0);
        // What pthread_create was given; the program's entry for the main thread.
        if info.raw.thread_id == target.pid() {
            assert_ne!(info.raw.start_address, 0);
        } else {
            assert_eq!(info.raw.start_address, target.number("start"));
        }
    }
    let spinner = target.ready["threads"][0]["tid"].as_u64().unwrap() as u32;
    let spinner = list.get_thread_info(spinner).unwrap();
    assert!(spinner.raw.user_time > 0, "the computing thread used no time");
}

#[test]
fn unloaded_modules_are_a_list_even_when_nothing_is_known() {
    let target = Target::fixture("threads", &["1"]);
    let loaded = dump(&target, &["--unloaded-modules"]).load();
    assert!(loaded.raw(stream::UNLOADED_MODULES).is_some(), "no stream");
    let list: MinidumpUnloadedModuleList = loaded.get();
    assert_eq!(list.iter().count(), 0);
}

#[test]
fn avx_context_stands_behind_each_context_and_is_described() {
    const CONTEXT_SIZE: usize = 1232;
    const CONTEXT_FLAGS: usize = 48;
    const CONTEXT_XSTATE: u32 = 0x0010_0040;
    if !std::fs::read_to_string("/proc/cpuinfo").unwrap().contains(" avx ") {
        eprintln!("SKIPPED: extended context: this processor has no AVX");
        return;
    }
    let target = Target::fixture("threads", &["3"]);
    let loaded = dump(&target, &["--add-avx-xstate-context"]).load();
    let misc: MinidumpMiscInfo = loaded.get();
    let RawMiscInfo::MiscInfo5(misc) = misc.raw else { panic!("MiscInfo is not version 5") };
    let features = misc.xstate_data.enabled_features;
    assert_eq!(features & 0b111, 0b111, "x87, SSE and AVX are enabled: {features:#x}");
    let threads: minidump::MinidumpThreadList<'_> = loaded.get();
    for thread in &threads.threads {
        let location = &thread.raw.thread_context;
        let at = location.rva as usize;
        let size = location.data_size as usize;
        assert!(size > CONTEXT_SIZE + 24 + 64 + 256, "{size} bytes of context");
        assert!(size <= misc.xstate_data.context_size as usize, "more than described");
        let flags = at + CONTEXT_FLAGS;
        let flags = u32::from_le_bytes(loaded.bytes[flags..flags + 4].try_into().unwrap());
        assert_eq!(flags & CONTEXT_XSTATE, CONTEXT_XSTATE, "ContextFlags {flags:#x}");
    }
    let plain = dump(&target, &[]).load();
    let threads: minidump::MinidumpThreadList<'_> = plain.get();
    assert!(
        threads.threads.iter().all(|t| t.raw.thread_context.data_size as usize == CONTEXT_SIZE)
    );
}

#[test]
fn extensions_add_their_streams() {
    let target = Target::fixture("threads", &["1"]);
    let loaded = dump(&target, &["--token", "--vm-counters", "--system-memory"]).load();
    for present in [stream::TOKEN, stream::VM_COUNTERS, stream::SYSTEM_MEMORY] {
        assert!(loaded.raw(present).is_some(), "stream {present}");
    }
    assert_eq!(loaded.flags() & 0x4_0000, 0x4_0000, "MiniDumpWithTokenInformation is stated");
}

#[test]
fn extra_memory_is_taken_in_both_notations() {
    let target = Target::fixture("memory", &["{}"]);
    let entry = &target.ready["markers"]["unreached"];
    let address = entry["address"].as_u64().unwrap();
    for text in [format!("{address:#x}+0x20"), format!("{address:#x}-{:#x}", address + 32)] {
        let written = dump(&target, &["--memory", &text]);
        assert_marker(&target, &written, "unreached");
    }
}

#[test]
fn a_size_budget_is_kept_and_says_what_was_left_out() {
    let target = Target::fixture("memory", &["{}"]);
    let whole = dump(&target, &["-ma"]).summary["size"].as_u64().unwrap();
    let limit = whole / 4;
    let written = dump(&target, &["-ma", "--max-size", &limit.to_string()]);
    let loaded = written.load();
    assert!(loaded.bytes.len() as u64 <= limit, "{} bytes of {limit}", loaded.bytes.len());
    let left_out = written.summary["left_out"].as_array().expect("the summary has a list");
    assert!(!left_out.is_empty(), "nothing says what was left out");
    assert_eq!(loaded.flags() & 0x2, 0, "the type claims full memory");
    // Stacks come before the rest.
    for tid in target.tids() {
        let (sp, _) = loaded.registers(tid);
        assert!(loaded.bytes_at(sp, 64).is_some(), "the stack of {tid} was left out");
    }
}
