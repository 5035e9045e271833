//! 32-bit Windows programs (WOW64) under Wine: a 64-bit dumpwright.exe dumps them
//! as the 32-bit processes they are, with what the 64-bit side has of them.

use crate::support::cli::{assert_verifies, dump_pid};
use crate::support::compile::Width;
use crate::support::dump::Loaded;
use crate::support::wine::{WindowsTarget, Wine, wine};
use crate::support::{find, mix, processor, readers};
use crate::wine_outside::{address_spaces_are_the_same, modules_are_the_same};
use minidump::system_info::Cpu;
use minidump::{
    MinidumpException, MinidumpModuleList, MinidumpSystemInfo, MinidumpThreadList,
    MinidumpUnloadedModuleList, Module,
};
use std::fs;

/// Where the 64-bit TEB of a thread is, from its 32-bit one, winternl.h.
const WIDE_TEB: u64 = 0x2000;

fn start() -> Option<(&'static Wine, WindowsTarget)> {
    let wine = wine()?;
    let folder = tempfile::tempdir().unwrap();
    wine.runs_narrow_programs()
        .then(|| (wine, WindowsTarget::start_of(wine, Width::Narrow, folder, &[])))
}

/// What Linux calls the target. What was started ends up as Wine's `start.exe`, which
/// waits for it.
fn linux_pid(target: &WindowsTarget) -> u32 {
    let folder = target.folder.path().file_name().unwrap().to_str().unwrap();
    let pids = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str().and_then(|name| name.parse().ok()));
    let of = |pid: &u32, file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let mut found = pids.filter(|pid: &u32| {
        of(pid, "comm").starts_with(b"target-")
            && find(&of(pid, "cmdline"), folder.as_bytes()).is_some()
    });
    found.next().expect("the target is a process of Linux")
}

fn word(dump: &Loaded, at: u64) -> u64 {
    let bytes = dump.bytes_at(at, 4).unwrap_or_else(|| panic!("nothing at {at:#x}"));
    u32::from_le_bytes(bytes.try_into().unwrap()).into()
}

fn wide_word(dump: &Loaded, at: u64) -> u64 {
    let bytes = dump.bytes_at(at, 8).unwrap_or_else(|| panic!("nothing at {at:#x}"));
    u64::from_le_bytes(bytes.try_into().unwrap())
}

#[test]
fn a_32_bit_windows_process_is_dumped_as_a_32_bit_one() {
    let Some((wine, mut target)) = start() else { return };
    let dump = wine.dump(target.pid(), &["-mAhutF"]);
    target.assert_alive();
    is_the_process(&dump.loaded, &target);
    let loaded = &dump.loaded;
    let threads: MinidumpThreadList<'_> = loaded.get();
    for worker in 0..3 {
        let tid = target.number(&format!("/workers/{worker}/tid")) as u32;
        let suspended = threads.get_thread(tid).unwrap().raw.suspend_count;
        assert_eq!(suspended, u32::from(worker == 2));
    }
    let main = target.number("/main") as u32;
    let sample = (target.number("/heap"), 64);
    if let Some(seen) = readers::pypi_minidump(&dump.file, &[sample]) {
        assert_eq!(seen["pid"], target.number("/pid"));
        assert_eq!(seen["complaints"].as_array().unwrap().len(), 0, "{}", seen["complaints"]);
    }
    if let Some(traces) = readers::lldb_traces(&dump.file) {
        assert!(traces.contains_key(&main), "{traces:?}");
    }
}

#[test]
fn a_32_bit_windows_process_is_from_outside_of_wine_what_it_is_from_inside() {
    let Some((wine, mut target)) = start() else { return };
    let written = dump_pid(linux_pid(&target), &["--wine", "-mAp"]);
    let inside = wine.dump(target.pid(), &["-mAp"]).loaded;
    target.assert_alive();
    assert_verifies(&written.file);
    let outside = written.load();
    is_the_process(&outside, &target);
    modules_are_the_same(&outside, &inside);
    address_spaces_are_the_same(&outside, &inside);
    assert_eq!(outside.tids(), inside.tids());
    let (ours, theirs): (MinidumpSystemInfo, MinidumpSystemInfo) = (outside.get(), inside.get());
    assert_eq!(ours.os_parts(), theirs.os_parts());
    let threads: MinidumpThreadList<'_> = outside.get();
    let their_threads: MinidumpThreadList<'_> = inside.get();
    for thread in &threads.threads {
        let their = their_threads.get_thread(thread.raw.thread_id).unwrap();
        let registers = |thread: &minidump::MinidumpThread<'_>| {
            let context = thread.context(&ours, None).unwrap().into_owned();
            context.valid_registers().collect::<Vec<_>>()
        };
        assert_eq!(registers(thread), registers(their), "thread {}", thread.raw.thread_id);
        // The area in which the 64-bit side keeps them.
        let area = wide_word(&outside, thread.raw.teb - WIDE_TEB + 0x1480 + 8);
        assert!(outside.bytes_at(area, 4 + 716).is_some());
    }
    let exception: MinidumpException<'_> = outside.get();
    assert_eq!(exception.raw.exception_record.exception_address, target.number("/crash/ip"));
    if let Some(traces) = readers::lldb_traces(&written.file) {
        assert!(traces.contains_key(&(target.number("/main") as u32)), "{traces:?}");
    }
}

/// What is true of every full dump of the target.
fn is_the_process(loaded: &Loaded, target: &WindowsTarget) {
    let system: MinidumpSystemInfo = loaded.get();
    assert_eq!((system.cpu, system.raw.platform_id), (Cpu::X86, 2));
    let bytes: Vec<u8> = (0..2500_u64).flat_map(|i| mix(0x1000 + i).to_le_bytes()).collect();
    assert_eq!(loaded.bytes_at(target.number("/heap"), 20_000), Some(bytes));

    let threads: MinidumpThreadList<'_> = loaded.get();
    for worker in 0..3 {
        let at = |key: &str| target.number(&format!("/workers/{worker}/{key}"));
        let thread = threads.get_thread(at("tid") as u32).unwrap();
        assert_eq!(thread.raw.teb, at("teb"));
        let (sp, _) = loaded.registers(at("tid") as u32);
        assert!(sp <= at("stack") && at("stack") - sp < 0x4000, "stack pointer {sp:#x}");
        // A slot of TlsAlloc, in the 32-bit TEB.
        let slot = at("teb") + 0xE10 + 4 * target.number("/slot");
        assert_eq!(word(loaded, slot), mix(0x7000 + worker) & 0xffff_ffff);
    }
    let modules: MinidumpModuleList = loaded.get();
    assert_eq!(modules.main_module().unwrap().base_address(), target.number("/exe"));
    assert!(modules.iter().all(|m| m.base_address() + m.size() <= 1 << 32));
    let kept = modules.module_at_address(target.number("/kept")).unwrap();
    assert!(kept.code_file().ends_with("\\kept.dll") && kept.codeview_info.is_some());
    assert_eq!(modules.iter().filter(|m| m.code_file().ends_with("\\ntdll.dll")).count(), 1);
    // The trace is found in a ntdll that is another file than the dumper's.
    let unloaded: MinidumpUnloadedModuleList = loaded.get();
    let gone = unloaded.iter().find(|m| m.code_file().ends_with("gone.dll")).expect("gone.dll");
    assert_eq!((gone.base_address(), gone.size()), (target.number("/gone"), kept.size()));
    assert!(!loaded.soft_errors().contains("modules"), "{}", loaded.soft_errors());

    let main = target.number("/main") as u32;
    let traces = processor::traces(loaded);
    assert!(traces[&main].len() > 1, "{:?}", traces[&main]);
}

#[test]
fn both_sides_of_a_32_bit_thread_are_in_its_process_thread_data() {
    let Some((wine, target)) = start() else { return };
    let loaded = wine.dump(target.pid(), &["-mp"]).loaded;
    for worker in 0..2 {
        let at = |key: &str| target.number(&format!("/workers/{worker}/{key}"));
        let teb = at("teb");
        // NT_TIB::Self of both.
        assert_eq!(word(&loaded, teb + 0x18), teb);
        assert_eq!(wide_word(&loaded, teb - WIDE_TEB + 0x30), teb - WIDE_TEB);
        // TEB::ProcessEnvironmentBlock leads to both PEBs, and they name the image.
        let (peb, wide_peb) =
            (word(&loaded, teb + 0x30), wide_word(&loaded, teb - WIDE_TEB + 0x60));
        assert_eq!(word(&loaded, peb + 0x8), target.number("/exe"));
        assert_eq!(wide_word(&loaded, wide_peb + 0x10), target.number("/exe"));
        // Slot 1 of the 64-bit TEB: where the 64-bit side keeps the x86 CONTEXT.
        let area = wide_word(&loaded, teb - WIDE_TEB + 0x1480 + 8);
        let (sp, ip) = loaded.registers(at("tid") as u32);
        assert_eq!(word(&loaded, area + 4 + 0xB8), ip, "Eip");
        assert_eq!(word(&loaded, area + 4 + 0xC4), sp, "Esp");
    }
}

#[test]
fn the_exception_of_a_32_bit_windows_process_is_that_of_its_dump() {
    let Some((wine, target)) = start() else { return };
    let pointers = format!("{:#x}", target.number("/crash/pointers"));
    // One that nobody names is found.
    for options in [&["-m", "-xp", &pointers][..], &["-m"]] {
        let dump = wine.dump(target.pid(), options);
        let exception: MinidumpException<'_> = dump.loaded.get();
        assert_eq!(u64::from(exception.thread_id), target.number("/crash/tid"));
        let record = &exception.raw.exception_record;
        assert_eq!(record.exception_code, 0xC000_0005);
        assert_eq!(record.exception_address, target.number("/crash/ip"));
        assert_eq!(record.exception_information[1], 0x40);
        let state = processor::process(&dump.loaded);
        let crashed = &state.threads[state.requesting_thread.unwrap()];
        assert_eq!(crashed.frames[0].instruction, target.number("/crash/ip"));
    }
}

#[test]
fn filters_reach_both_sides_of_a_32_bit_windows_process() {
    let Some((wine, target)) = start() else { return };
    let secret = target.folder.path().file_name().unwrap().to_str().unwrap().to_owned();
    let units: Vec<u8> = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let holds = |dump: &Loaded| find(&dump.bytes, &units).is_some();
    // The arguments name the folder, and both sides have the arguments.
    assert!(holds(&wine.dump(target.pid(), &["-mp"]).loaded), "it is there to be filtered");
    let filtered = wine.dump(target.pid(), &["-mp", "--filter-triage"]).loaded;
    assert!(!holds(&filtered), "the command line is left");
    let outside = |options: &[&str]| {
        dump_pid(linux_pid(&target), &[&["--wine", "-mp"], options].concat()).load()
    };
    assert!(holds(&outside(&[])), "it is there from outside, too");
    assert!(!holds(&outside(&["--filter-triage"])), "the command line is left from outside");
}
