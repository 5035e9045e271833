use super::*;
use crate::address::AddressRange;
use crate::plan::{DumpPlan, plan};
use crate::soft_error::{Hole, HoleReason};
use crate::synthetic::{region, snapshot, thread};
use crate::target::{Architecture, MemorySource, ProcessSnapshot};
use crate::{DumpRequest, Qualifier};
use dumpwright_format::minidump::PLATFORM_WIN32_NT;
use dumpwright_format::nt::NtOffsets;

const BASE: u64 = 0x10_0000;
const SIZE: u64 = 0x2_0000;
const TEB: u64 = BASE;
const PEB: u64 = BASE + 0x4000;
const LDR: u64 = BASE + 0x5000;
const ENTRY: u64 = BASE + 0x5100;
const PARAMETERS: u64 = BASE + 0x6000;
const STRINGS: u64 = BASE + 0x7000;
const ENVIRONMENT: u64 = BASE + 0x9000;

/// A process's memory in one piece.
struct Flat(Vec<u8>);

impl Flat {
    fn put(&mut self, at: u64, bytes: &[u8]) {
        let at = (at - BASE) as usize;
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn pointer(&mut self, offsets: &NtOffsets, at: u64, value: u64) {
        self.put(at, &value.to_le_bytes()[..offsets.pointer as usize]);
    }

    fn string(&mut self, offsets: &NtOffsets, at: u64, text: &str, buffer: &mut u64) {
        let text: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let length = (text.len() as u16).to_le_bytes();
        self.put(at, &[length, length].concat());
        self.pointer(offsets, at + offsets.string_buffer, *buffer);
        self.put(*buffer, &text);
        *buffer += text.len() as u64 + 2;
    }
}

impl MemorySource for Flat {
    fn read(&self, ranges: &[AddressRange], buf: &mut [u8], holes: &mut Vec<Hole>) {
        let mut out = buf.iter_mut();
        for range in ranges {
            for (address, byte) in (range.start..range.end).zip(&mut out) {
                let stored = address.checked_sub(BASE).and_then(|at| self.0.get(at as usize));
                *byte = stored.copied().unwrap_or(0);
                if stored.is_none() {
                    let range = AddressRange::with_len(address, 1);
                    Hole { range, reason: HoleReason::NotInSource }.add_to(holes);
                }
            }
        }
    }

    fn populated(&self, range: AddressRange) -> Vec<AddressRange> {
        vec![range]
    }
}

/// A Windows process with one thread and one module.
fn process(offsets: &NtOffsets) -> (ProcessSnapshot, Flat) {
    let mut memory = Flat(vec![0; SIZE as usize]);
    let mut strings = STRINGS;
    memory.pointer(offsets, TEB + offsets.teb_self, TEB);
    memory.pointer(offsets, TEB + offsets.teb_peb, PEB);
    memory.string(
        offsets,
        TEB + offsets.teb_static_string,
        "x",
        &mut (TEB + offsets.teb_static_string + offsets.string_size()),
    );
    memory.pointer(offsets, PEB + offsets.peb_ldr, LDR);
    memory.pointer(offsets, PEB + offsets.peb_process_parameters, PARAMETERS);
    memory.pointer(offsets, LDR + offsets.ldr_load_order, ENTRY);
    memory.pointer(offsets, ENTRY, LDR + offsets.ldr_load_order);
    let full = strings;
    memory.string(offsets, ENTRY + offsets.entry_full_name, r"C:\Users\ann\app.exe", &mut strings);
    // The base name is the end of the full one, as the loader has it.
    let base = ENTRY + offsets.entry_base_name;
    memory.put(base, &[14, 0, 16, 0]);
    memory.pointer(offsets, base + offsets.string_buffer, full + 26);
    for (offset, text) in [
        (offsets.parameters_image_path, r"C:\Users\ann\app.exe"),
        (offsets.parameters_command_line, r"app.exe --key=Canary C:\Users\ann\in.txt"),
        (offsets.parameters_current_directory, r"C:\Users\ann\"),
        (offsets.parameters_window_title, r"C:\Users\ann\title"),
        (offsets.parameters_dll_path, r"C:\Users\ann\bin;C:\Windows"),
    ] {
        memory.string(offsets, PARAMETERS + offset, text, &mut strings);
    }
    let environment: Vec<u8> = "A=Canary\0HOME=C:\\Users\\ann\0Z=1\0\0"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    memory.put(ENVIRONMENT, &environment);
    memory.pointer(offsets, PARAMETERS + offsets.parameters_environment, ENVIRONMENT);

    let mut snapshot = snapshot();
    snapshot.system.platform_id = PLATFORM_WIN32_NT;
    if offsets.pointer == 4 {
        snapshot.system.architecture = Architecture::X86;
    }
    snapshot.process.peb = PEB;
    snapshot.platform_streams.clear();
    snapshot.modules.clear();
    snapshot.regions = [region(BASE, BASE + SIZE)].into_iter().collect();
    let mut thread = thread(100, BASE + 0x1_F000, 0);
    thread.thread_pointer = TEB;
    snapshot.threads = vec![thread];
    (snapshot, memory)
}

/// The memory as a dump has it.
fn dumped(offsets: &NtOffsets, flags: FormatFlags) -> (DumpPlan, Flat) {
    let (snapshot, memory) = process(offsets);
    let flags = flags | FormatFlags::USER_SMALL_PROCESS_THREAD_DATA;
    let request = DumpRequest::new("x.dmp", Qualifier::Small).flags(flags);
    let plan = plan(&snapshot, &memory, &request).unwrap();
    let mut out = Flat(memory.0.clone());
    plan.memory.edits.apply(BASE, &mut out.0);
    (plan, out)
}

fn text(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|u| u16::from_le_bytes([u[0], u[1]])).collect();
    String::from_utf16_lossy(&units)
}

fn string_at(memory: &Flat, offsets: &NtOffsets, at: u64) -> String {
    let from = (at - BASE) as usize;
    let length = usize::from(u16::from_le_bytes([memory.0[from], memory.0[from + 1]]));
    let pointer = from + offsets.string_buffer as usize;
    let pointer = &memory.0[pointer..pointer + offsets.pointer as usize];
    let buffer = (crate::plan::stacks::little_endian(pointer).saturating_sub(BASE)) as usize;
    text(&memory.0[buffer..buffer + length])
}

fn both() -> [NtOffsets; 2] {
    [NtOffsets::WIDE, NtOffsets::NARROW]
}

#[test]
fn process_thread_data_takes_peb_parameters_loader_data_and_tebs() {
    for offsets in both() {
        let (plan, _) = dumped(&offsets, FormatFlags::empty());
        let held = |at: u64| plan.memory.ranges.iter().any(|r| r.contains(at));
        for at in [TEB, PEB, LDR, ENTRY, PARAMETERS, STRINGS, ENVIRONMENT, ENVIRONMENT + 0x3E] {
            assert!(held(at), "{at:#x}");
        }
    }
}

#[test]
fn filter_paths_leaves_names_where_they_stand() {
    for offsets in both() {
        let (_, memory) = dumped(&offsets, FormatFlags::USER_SMALL_FILTER_PATHS);
        let string = |at| string_at(&memory, &offsets, at);
        assert_eq!(string(ENTRY + offsets.entry_full_name), "app.exe");
        assert_eq!(string(ENTRY + offsets.entry_base_name), "app.exe");
        assert_eq!(string(PARAMETERS + offsets.parameters_image_path), "app.exe");
        assert_eq!(
            string(PARAMETERS + offsets.parameters_command_line),
            "app.exe --key=Canary C:in.txt"
        );
        let all = text(&memory.0);
        assert!(!all.contains("ann\\"), "a folder is left");
        let from = (ENVIRONMENT - BASE) as usize;
        let shown = "A=Canary\0HOME=C:ann\0Z=1\0\0";
        assert!(text(&memory.0[from..]).starts_with(shown));
    }
}

#[test]
fn triage_and_no_optional_data_leave_no_canary() {
    for offsets in both() {
        for flag in [
            FormatFlags::USER_SMALL_FILTER_TRIAGE,
            FormatFlags::USER_SMALL_FILTER_TRIAGE | FormatFlags::USER_SMALL_FILTER_PATHS,
        ] {
            let (plan, memory) = dumped(&offsets, flag);
            let all = text(&memory.0);
            for canary in ["Canary", "title", "HOME"] {
                assert!(!all.contains(canary), "{canary}");
            }
            assert_eq!(string_at(&memory, &offsets, ENTRY + offsets.entry_full_name), "app.exe");
            assert!(!plan.audit.removed.is_empty());
        }
    }
}

#[test]
fn the_32_bit_side_of_a_wow64_process_is_filtered_too() {
    let narrow = NtOffsets::NARROW;
    let (_, memory) = process(&narrow);
    let (mut snapshot, _) = process(&narrow);
    snapshot.system.architecture = Architecture::Amd64;
    snapshot.process.peb = 0;
    snapshot.threads[0].thread_pointer = TEB - 0x2000;
    let request = DumpRequest::new("x.dmp", Qualifier::Small)
        .flags(FormatFlags::USER_SMALL_FILTER_TRIAGE | FormatFlags::USER_SMALL_FULL_MEMORY);
    let plan = plan(&snapshot, &memory, &request).unwrap();
    let mut out = memory.0.clone();
    plan.memory.edits.apply(BASE, &mut out);
    assert!(text(&memory.0).contains("Canary"));
    assert!(!text(&out).contains("Canary"));
}

#[test]
fn loader_lists_that_never_end_do_end() {
    let offsets = NtOffsets::WIDE;
    let (mut snapshot, mut memory) = process(&offsets);
    memory.pointer(&offsets, ENTRY, ENTRY);
    memory.pointer(&offsets, PARAMETERS + offsets.parameters_environment, u64::MAX - 4);
    snapshot.threads[0].thread_pointer = u64::MAX - 8;
    let request = DumpRequest::new("x.dmp", Qualifier::Small)
        .flags(FormatFlags::USER_SMALL_FILTER_TRIAGE | FormatFlags::USER_SMALL_PROCESS_THREAD_DATA);
    assert!(plan(&snapshot, &memory, &request).is_ok());
}
