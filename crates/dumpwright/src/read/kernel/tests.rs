//! The real small dump, small dumps of ours, and damaged files.

use super::KernelDump;
use crate::info::{KernelInfo, TextOptions};
use crate::kernel_type::KernelDumpType;
use crate::read::samples;
use crate::synthetic_machine::{
    CANARY, EPROCESS, ETHREAD, KDBG, KERNEL_VA, PRCB, STACK_BASE, STACK_POINTER, request, windows,
    write,
};
use crate::target::machine::{PAGE_SIZE, PageRun, Pfn, PhysicalMemory};
use crate::verify::{Severity, verify_kernel};
use dumpwright_format::kernel::{DriverEntry64, Header64, TriageDump64};
use proptest::prelude::*;
use std::sync::OnceLock;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

fn open(bytes: &[u8]) -> KernelDump {
    KernelDump::from_source(Box::new(bytes.to_vec())).unwrap()
}

/// Everything that can be asked of a dump.
fn exercise(bytes: &[u8]) {
    let Ok(dump) = KernelDump::from_source(Box::new(bytes.to_vec())) else { return };
    let info = KernelInfo::new(&dump, "x");
    let _ = (info.text(TextOptions { all: true }), serde_json::to_string(&info).unwrap());
    let _ = verify_kernel(&dump);
    let _ = dump.machine();
    let mut page = vec![0; PAGE_SIZE as usize];
    for run in PhysicalMemory::runs(&dump).iter().take(4) {
        let run = PageRun { base: run.base, count: 1 };
        dump.read_pages(run, &mut page, &mut Vec::new());
        let _ = dump.mapped(run);
    }
    dump.read_pages(PageRun { base: Pfn(u64::MAX), count: 1 }, &mut page, &mut Vec::new());
}

#[test]
fn the_real_small_dump_is_read_whole() {
    let Some(bytes) = samples::kernel("triage_x64.dmp") else { return };
    let dump = open(&bytes);
    assert_eq!(dump.trouble(), []);
    let triage = dump.triage().unwrap();
    assert!(triage.is_valid);
    assert_eq!((triage.drivers.len(), triage.blocks.len()), (0x97, 0x727));
    assert_eq!(triage.drivers[0].name.as_deref(), Some(r"\SystemRoot\system32\ntoskrnl.exe"));
    let unloaded: Vec<_> = triage.unloaded.iter().map(|u| u.name.as_str()).collect();
    assert_eq!(unloaded, ["dam.sys", "WdBoot.sys", "hwpolicy.sys", "mcupdate.dll"]);
    assert_eq!(dump.secondary().len(), 20);
    assert_eq!(dump.secondary()[0].guid(), "54c84888-01d1-4c1e-bed6-282c98241303");
    let faults = verify_kernel(&dump);
    assert!(faults.iter().all(|f| f.severity == Severity::Warning), "{faults:?}");

    let info = KernelInfo::new(&dump, "triage_x64.dmp");
    assert_eq!(info.bug_check.name, Some("SYSTEM_THREAD_EXCEPTION_NOT_HANDLED_M"));
    assert_eq!((info.system.build, info.system.processors), (19041, 16));
    assert_eq!(info.memory_map.len(), 0, "the block was never stored");
    let text = info.text(TextOptions::default());
    for word in ["0x1000007e", "ntoskrnl.exe", "workstation", "1831 data blocks", "16 processors"] {
        assert!(text.contains(word), "{word} in\n{text}");
    }
}

#[test]
fn the_real_header_encodes_to_the_same_bytes() {
    let Some(bytes) = samples::kernel("triage_x64.dmp") else { return };
    let (header, rest) = Header64::read_from_prefix(&bytes[..]).unwrap();
    assert!(header.as_bytes() == &bytes[..0x2000]);
    let (triage, _) = TriageDump64::read_from_prefix(rest).unwrap();
    assert!(triage.as_bytes() == &bytes[0x2000..0x2080]);

    // And through what the reader makes of it and the writer makes of that.
    let dump = open(&bytes);
    let mut machine = windows();
    let seen = dump.machine();
    machine.snapshot = crate::target::machine::MachineSnapshot {
        processes: machine.snapshot.processes.clone(),
        runs: machine.memory.runs.clone(),
        directory_table_base: machine.snapshot.directory_table_base,
        ..seen
    };
    let written = write(&machine, &request(KernelDumpType::Triage)).unwrap();
    let ours = Header64::read_from_prefix(&written[..]).unwrap().0;
    let mut expected = header;
    // What cannot be the same: whose page tables, and how long the file is.
    expected.directory_table_base = ours.directory_table_base;
    expected.required_dump_space = ours.required_dump_space;
    let (ours, expected) = (ours.as_bytes(), expected.as_bytes());
    let different: Vec<usize> = (0..0x2000).filter(|at| ours[*at] != expected[*at]).collect();
    assert_eq!(different, [] as [usize; 0]);
}

#[test]
fn a_small_dump_of_ours_has_its_parts() {
    let machine = windows();
    let bytes = write(&machine, &request(KernelDumpType::Triage).comment("small")).unwrap();
    assert!(!bytes.windows(CANARY.len()).any(|w| w == CANARY), "a user page leaks");
    let dump = open(&bytes);
    assert_eq!((dump.trouble(), verify_kernel(&dump)), (&[][..], vec![]));
    let triage = dump.triage().unwrap();
    let part = |offset: u32, size: usize| &bytes[offset as usize..offset as usize + size];
    assert_eq!(part(triage.wire.prcb_offset.get(), 0x700), [0xB1; 0x700]);
    assert_eq!(part(triage.wire.process_offset.get(), 0xA40), [0xE1; 0xA40]);
    assert_eq!(part(triage.wire.thread_offset.get(), 0x38), [0x71; 0x38]);
    assert_eq!(triage.stack_start.0, STACK_POINTER);
    assert_eq!(u64::from(triage.stack.size), STACK_BASE - STACK_POINTER);
    let data = machine.snapshot.debugger_data_block.as_ref().unwrap();
    assert_eq!(part(triage.wire.debugger_data_offset.get(), data.len()), data);
    assert_eq!(triage.drivers.len(), 1);
    assert_eq!(triage.drivers[0].name, Some(machine.snapshot.modules[0].name.clone()));
    assert_eq!(triage.unloaded[0].name, "dam.sys");
    assert_eq!(dump.comment().as_deref(), Some("small"));

    // The structures and what pointers lead to are there by address, as they
    // are in memory, without overlaps.
    assert!(
        triage.blocks.windows(2).all(|w| w[0].address.0 + u64::from(w[0].size) < w[1].address.0)
    );
    let space = crate::synthetic_machine::kernel_space(&machine);
    for block in &triage.blocks {
        let mut there = space.read_vec(block.address, block.size as usize).unwrap();
        if block.address.0 == KDBG {
            // Memory does not have it in clear.
            let clear = machine.snapshot.decoded_debugger_data.as_ref().unwrap();
            there[..clear.len()].copy_from_slice(clear);
        }
        assert!(part(block.offset, block.size as usize) == there, "block at {}", block.address);
    }
    for wanted in [PRCB, EPROCESS, ETHREAD, KERNEL_VA + 0x1_A000, KERNEL_VA + 0x2_0000] {
        let found = triage
            .blocks
            .iter()
            .any(|b| (b.address.0..b.address.0 + u64::from(b.size)).contains(&wanted));
        assert!(found, "nothing holds {wanted:#x}");
    }
}

#[test]
fn drivers_that_share_a_long_name_do_not_add_up_to_gigabytes() {
    const DRIVERS: u32 = 20_000;
    let mut bytes = small_dumps().last().unwrap().clone();
    // A name of the most units that are read, and a list whose drivers all have it.
    let name = bytes.len().next_multiple_of(8);
    bytes.resize(name, 0);
    bytes.extend(0x8000_u32.to_le_bytes());
    bytes.extend([b'x', 0].repeat(0x8000));
    let list = bytes.len();
    let mut entry = DriverEntry64::new_zeroed();
    entry.name_offset = (name as u32).into();
    bytes.extend(entry.as_bytes().repeat(DRIVERS as usize));
    let (header, _) = TriageDump64::mut_from_prefix(&mut bytes[0x2000..]).unwrap();
    header.driver_list_offset = (list as u32).into();
    header.driver_count = DRIVERS.into();

    let dump = open(&bytes);
    let drivers = &dump.triage().unwrap().drivers;
    assert_eq!(drivers.len(), DRIVERS as usize, "each is listed");
    let named: Vec<_> = drivers.iter().filter_map(|d| d.name.as_deref()).collect();
    assert!(named.iter().all(|name| name.len() == 0x8000));
    let (most, all) = (bytes.len() / 0x1_0000, DRIVERS as usize);
    assert!((1..=most).contains(&named.len()), "{} of {all} are named", named.len());
    assert!(drivers[0].name.is_some() && drivers[all - 1].name.is_none());
    let text = KernelInfo::new(&dump, "x").text(TextOptions { all: true });
    assert!(text.contains("(no name)"));
}

#[test]
fn verify_finds_no_fault_in_what_we_write() {
    let machine = windows();
    for kind in KernelDumpType::ALL {
        let bytes = write(&machine, &request(kind)).unwrap();
        assert_eq!(verify_kernel(&open(&bytes)), [], "{}", kind.name());
    }
}

#[test]
fn a_kernel_dump_is_a_target_that_gives_the_same_pages() {
    let machine = windows();
    let first = write(&machine, &request(KernelDumpType::BitmapFull)).unwrap();
    let dump = open(&first);
    let snapshot = dump.machine();
    assert_eq!(snapshot.runs, machine.memory.runs);
    let plan =
        crate::plan::kernel::plan(&snapshot, &dump, &request(KernelDumpType::CompleteMemory))
            .unwrap();
    let layout = crate::layout::kernel::KernelLayout::new(&plan, &snapshot).unwrap();
    let mut second = Vec::new();
    crate::write::kernel::write_to(
        &layout,
        &plan.edits,
        &dump,
        &mut crate::write::Target::Stream(&mut second),
        &(),
    )
    .unwrap();
    let pages = |bytes: &[u8]| bytes[bytes.len() - 0x80_0000..].to_vec();
    assert_eq!(layout.pages(), machine.memory.runs);
    let end = first.len() - usize::try_from(dump.len() - dump.page_map().end(0)).unwrap();
    assert!(pages(&first[..end]) == pages(&second));
}

#[test]
fn every_damage_of_a_head_is_survived() {
    for bytes in small_dumps() {
        let words = (0..0x2100.min(bytes.len())).step_by(4);
        // What nothing was stored in is not looked at either.
        for at in words.filter(|at| &bytes[*at..at + 4] != b"PAGE" && bytes[*at..at + 4] != [0; 4])
        {
            for value in [0_u32, 1, 0x7FFF_FFFF, u32::MAX] {
                let mut damaged = bytes.clone();
                damaged[at..at + 4].copy_from_slice(&value.to_le_bytes());
                exercise(&damaged);
            }
        }
    }
}

#[test]
fn a_file_that_ends_early_gives_what_it_has_and_is_bad() {
    let bytes = write(&windows(), &request(KernelDumpType::BitmapFull)).unwrap();
    let cut = &bytes[..bytes.len() / 2];
    let dump = open(cut);
    assert!(!PhysicalMemory::runs(&dump).is_empty());
    let faults = verify_kernel(&dump);
    assert!(faults.iter().any(|f| f.message.contains("pages before its last page")), "{faults:?}");
    for length in [0, 7, 8, 0xFFF, 0x1FFF, 0x2000, 0x2010, 0x2037] {
        exercise(&bytes[..length]);
    }
}

/// Heads of all types, with few pages, so that thousands of them can be read.
fn small_dumps() -> &'static [Vec<u8>] {
    static DUMPS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    DUMPS.get_or_init(|| {
        let mut machine = windows();
        let triage = write(&machine, &request(KernelDumpType::Triage)).unwrap();
        machine.memory = crate::synthetic_machine::Memory::of(&[(1, 2), (9, 1)]);
        machine.snapshot = crate::target::machine::MachineSnapshot {
            runs: machine.memory.runs.clone(),
            ..Default::default()
        };
        let kinds =
            [KernelDumpType::Full, KernelDumpType::BitmapFull, KernelDumpType::CompleteMemory];
        let mut dumps: Vec<_> =
            kinds.iter().map(|kind| write(&machine, &request(*kind)).unwrap()).collect();
        dumps.push(triage);
        dumps
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn bytes_of_any_kind_are_survived(
        which in 0_usize..4,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = small_dumps()[which].clone();
        let head = bytes.len().min(0x2400);
        for (at, value) in changes {
            bytes[at.index(head)] = value;
        }
        exercise(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        exercise(&bytes);
    }
}
