//! Every type, written of a made-up Windows and read back by kdmp-parser and by
//! our reader.

use crate::kernel_type::{KernelDumpType, MemoryChoice};
use crate::read::kernel::KernelDump;
use crate::synthetic_machine::{
    CANARY, KDBG, KERNEL_VA, Machine, Memory, frame, request, run, windows, write,
};
use crate::target::machine::{
    GuestKind, Gva, MachineArchitecture, MachineSnapshot, PAGE_SIZE, PageRun, Pfn,
    PfnDatabaseLayout, PhysicalMemory,
};
use crate::{DumpRequest, Qualifier};
use kdmp_parser::KernelDumpParser;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::Cursor;

const PAGE: usize = PAGE_SIZE as usize;

/// Frames and pages of a dump, as kdmp-parser has them.
fn by_kdmp_parser(bytes: &[u8]) -> BTreeMap<u64, Vec<u8>> {
    let parser = KernelDumpParser::with_reader(Cursor::new(bytes.to_vec())).unwrap();
    let frames: Vec<u64> = parser.physmem().map(|(gpa, _)| u64::from(gpa) / PAGE_SIZE).collect();
    frames
        .into_iter()
        .map(|pfn| {
            let mut page = vec![0; PAGE];
            parser.phys_read_exact((pfn * PAGE_SIZE).into(), &mut page).unwrap();
            (pfn, page)
        })
        .collect()
}

/// The same, as our reader has them.
fn by_us(bytes: &[u8]) -> BTreeMap<u64, Vec<u8>> {
    let dump = KernelDump::from_source(Box::new(bytes.to_vec())).unwrap();
    assert_eq!(dump.trouble(), []);
    let mut pages = BTreeMap::new();
    for run in PhysicalMemory::runs(&dump) {
        let mut buf = vec![0; (run.count * PAGE_SIZE) as usize];
        let mut holes = Vec::new();
        dump.read_pages(*run, &mut buf, &mut holes);
        assert_eq!(holes, []);
        // Runs that touch in memory may stand apart in the file.
        assert!(dump.mapped(*run).is_none_or(|bytes| bytes == buf));
        pages.extend((run.base.0..).zip(buf.chunks(PAGE).map(<[u8]>::to_vec)));
    }
    pages
}

/// A page as a dump must have it.
fn truth(machine: &Machine, pfn: u64) -> Vec<u8> {
    let mut page = machine.memory.page(pfn);
    let kdbg = (KDBG - KERNEL_VA) / PAGE_SIZE + frame::KERNEL_DATA;
    if let (true, Some(data)) = (pfn == kdbg, &machine.snapshot.decoded_debugger_data) {
        let at = (KDBG % PAGE_SIZE) as usize;
        page[at..at + data.len()].copy_from_slice(data);
    }
    page
}

#[test]
fn every_type_of_pages_is_read_back_page_by_page() {
    let machine = windows();
    for kind in KernelDumpType::ALL {
        if kind.memory() == MemoryChoice::Pieces {
            continue;
        }
        let bytes = write(&machine, &request(kind)).unwrap();
        let ours = by_us(&bytes);
        for (pfn, page) in &ours {
            assert!(*page == truth(&machine, *pfn), "{} frame {pfn:#x}", kind.name());
        }
        // kdmp-parser does not know types 2 and 7.
        if !matches!(kind, KernelDumpType::KernelSummary | KernelDumpType::Automatic) {
            assert!(
                by_kdmp_parser(&bytes) == ours,
                "{}: kdmp-parser sees other pages",
                kind.name()
            );
        }
        if kind.memory() == MemoryChoice::All {
            let frames: u64 = machine.memory.runs.iter().map(|r| r.count).sum();
            assert_eq!(ours.len() as u64, frames, "{}", kind.name());
        }
    }
}

#[test]
fn a_kernel_dump_has_the_kernels_pages_and_no_users() {
    let machine = windows();
    for kind in [
        KernelDumpType::KernelSummary,
        KernelDumpType::BitmapKernel,
        KernelDumpType::Automatic,
        KernelDumpType::KernelMemory,
    ] {
        let bytes = write(&machine, &request(kind)).unwrap();
        assert!(!bytes.windows(CANARY.len()).any(|w| w == CANARY), "{} leaks", kind.name());
        let pages = by_us(&bytes);
        let data = frame::KERNEL_DATA..frame::KERNEL_DATA + frame::KERNEL_DATA_PAGES;
        let tables = frame::KERNEL_ROOT..=frame::KERNEL_PT;
        for pfn in data.chain(tables).chain(frame::LARGE..frame::LARGE + 512) {
            assert!(pages.contains_key(&pfn), "{}: frame {pfn:#x} is missing", kind.name());
        }
        assert!(pages.contains_key(&frame::SHARED), "the page that all processes see");
        assert!(pages.contains_key(&frame::TRANSITION), "a page in transition");
        assert!(!pages.contains_key(&frame::ALIASED), "a page that a process has too");
        assert!(!pages.contains_key(&frame::USER_PT), "tables of the user half");
        assert!(!pages.contains_key(&0xF_0000), "a device");
    }
}

#[test]
fn kernel_and_user_has_the_current_process_and_no_other() {
    let machine = windows();
    let pages = by_us(&write(&machine, &request(KernelDumpType::KernelAndUserMemory)).unwrap());
    assert!(pages.contains_key(&frame::USER_PAGE) && pages.contains_key(&frame::USER_LARGE));
    assert!(!pages.contains_key(&frame::OTHER_PAGE));
    assert!(!pages.contains_key(&frame::ALIASED));
}

#[test]
fn qualifiers_make_the_documented_types() {
    let machine = windows();
    for (qualifier, expected) in [
        (Qualifier::Small, 4),
        (Qualifier::Default, 8),
        (Qualifier::Full, 1),
        (Qualifier::Active, 5),
    ] {
        let bytes = write(&machine, &DumpRequest::new("x.dmp", qualifier)).unwrap();
        let dump = KernelDump::from_source(Box::new(bytes)).unwrap();
        assert_eq!(dump.header().dump_type.0, expected);
    }
}

#[test]
fn header_fields_are_filled_and_read_back() {
    let machine = windows();
    let request = request(KernelDumpType::Full).comment("hangs after resume");
    let bytes = write(&machine, &request).unwrap();
    let length = bytes.len() as u64;
    let dump = KernelDump::from_source(Box::new(bytes.clone())).unwrap();
    let header = dump.header();
    assert_eq!(header.directory_table_base, frame::KERNEL_ROOT * PAGE_SIZE);
    assert_eq!((header.bug_check_code, header.bug_check_parameters[1]), (0xD1, 2));
    assert_eq!(header.required_dump_space, Some(length));
    assert_eq!((header.processors, header.minor_version), (2, 19041));
    assert_eq!(header.runs, machine.memory.runs);
    assert_eq!((header.product_type, header.suite_mask), (Some(1), Some(0x110)));
    assert_eq!(header.system_up_time, Some(0x23B_C1E9));
    assert_eq!(header.comment.as_deref(), Some("hangs after resume"));
    assert_eq!(header.exception_address, KERNEL_VA + 0x1_9123);

    let parser = KernelDumpParser::with_reader(Cursor::new(bytes)).unwrap();
    assert_eq!(parser.headers().ps_loaded_module_list, KERNEL_VA + 0x6100);
    assert_eq!(parser.context_record().rsp, crate::synthetic_machine::STACK_POINTER);
    // Through our page tables, by its own translation.
    let mut data = vec![0; 0x380];
    parser.virt_read_exact(KDBG.into(), &mut data).unwrap();
    assert_eq!(Some(data), machine.snapshot.decoded_debugger_data, "KDBG is the decoded one");

    let seen = dump.machine();
    assert_eq!(seen.guest, GuestKind::Windows);
    assert_eq!(seen.processors[0].context, machine.snapshot.processors[0].context);
}

#[test]
fn unused_bytes_of_a_header_are_filler() {
    let bytes = write(&windows(), &request(KernelDumpType::Full)).unwrap();
    for at in [0x3C, 0x60, 0x8C, 0xF9C, 0xFB0, 0x1038, 0x1054, 0x1FFC] {
        assert_eq!(&bytes[at..at + 4], b"PAGE", "at {at:#x}");
    }
}

#[test]
fn more_runs_than_a_header_holds_become_a_bitmap_and_a_note() {
    let runs: Vec<_> = (0..50).map(|i| (1 + i * 4, 2)).collect();
    let mut machine = windows();
    machine.memory = Memory::of(&runs);
    machine.snapshot = MachineSnapshot { runs: machine.memory.runs.clone(), ..Default::default() };
    let full = request(KernelDumpType::Full);
    let plan = crate::plan::kernel::plan(&machine.snapshot, &machine.memory, &full).unwrap();
    assert_eq!(plan.kind, KernelDumpType::BitmapFull);
    assert!(plan.soft_errors.iter().any(|e| e.message.contains("50 runs")));
    let bytes = write(&machine, &full).unwrap();
    assert_eq!(by_kdmp_parser(&bytes).len(), 100, "no page is made up");
    assert!(by_kdmp_parser(&bytes) == by_us(&bytes));
}

#[test]
fn frame_zero_stands_last_where_readers_take_it_for_the_end() {
    let mut machine = windows();
    machine.memory = Memory::of(&[(0, 5), (8, 2)]);
    machine.snapshot = MachineSnapshot { runs: machine.memory.runs.clone(), ..Default::default() };
    let bytes = write(&machine, &request(KernelDumpType::CompleteMemory)).unwrap();
    let theirs: Vec<u64> = by_kdmp_parser(&bytes).into_keys().collect();
    assert_eq!(theirs, [1, 2, 3, 4, 8, 9]);
    let ours: Vec<u64> = by_us(&bytes).into_keys().collect();
    assert_eq!(ours, [0, 1, 2, 3, 4, 8, 9]);
}

#[test]
fn sizes_past_4_and_64_gib_are_laid_out() {
    for gib in [5_u64, 70, 600] {
        let pages = gib << 18;
        let ram = vec![run(1, pages)];
        let memory = Sparse(ram.clone());
        let snapshot = MachineSnapshot { runs: ram, ..Default::default() };
        for kind in
            [KernelDumpType::Full, KernelDumpType::BitmapFull, KernelDumpType::CompleteMemory]
        {
            let plan = crate::plan::kernel::plan(&snapshot, &memory, &request(kind)).unwrap();
            let layout = super::KernelLayout::new(&plan, &snapshot).unwrap();
            assert!(layout.file_size() > pages * PAGE_SIZE);
            assert!(layout.head().len() < 32 << 20, "the head is flat");
        }
    }
}

/// Memory that is never read.
struct Sparse(Vec<PageRun>);

impl PhysicalMemory for Sparse {
    fn runs(&self) -> &[PageRun] {
        &self.0
    }

    fn read_pages(
        &self,
        _: PageRun,
        buf: &mut [u8],
        _: &mut Vec<crate::target::machine::PageHole>,
    ) {
        buf.fill(0);
    }
}

#[test]
fn absurd_memory_maps_are_refused_and_not_allocated_for() {
    let ram = vec![run(1, 4), run(1 << 50, 1)];
    let memory = Sparse(ram.clone());
    let snapshot = MachineSnapshot { runs: ram, ..Default::default() };
    let refused =
        crate::plan::kernel::plan(&snapshot, &memory, &request(KernelDumpType::BitmapFull));
    assert!(refused.unwrap_err().to_string().contains("16 TiB"));
    assert!(
        crate::plan::kernel::plan(&snapshot, &memory, &request(KernelDumpType::CompleteMemory))
            .is_ok()
    );
}

#[test]
fn a_guest_that_is_not_windows_has_full_dumps_and_no_kernel_dumps() {
    let mut machine = windows();
    machine.snapshot.guest = GuestKind::Other;
    for kind in KernelDumpType::ALL {
        let written = write(&machine, &request(kind));
        let possible = matches!(kind.memory(), MemoryChoice::All | MemoryChoice::InUse);
        assert_eq!(written.is_ok(), possible, "{}", kind.name());
        if let Err(error) = written {
            assert!(error.to_string().contains("bitmap-full"), "{error}");
        }
    }
}

#[test]
fn an_active_dump_leaves_out_what_is_free_or_says_that_it_cannot() {
    let mut machine = windows();
    let whole = by_us(&write(&machine, &request(KernelDumpType::Active)).unwrap());
    let plan = crate::plan::kernel::plan(
        &machine.snapshot,
        &machine.memory,
        &request(KernelDumpType::Active),
    )
    .unwrap();
    assert!(plan.soft_errors.iter().any(|e| e.subject == "active memory"));
    assert_eq!(whole.len() as u64, machine.memory.runs.iter().map(|r| r.count).sum::<u64>());

    // A database for the first frames, in the kernel's data.
    machine.snapshot.pfn_database = Gva(KERNEL_VA + 0x2_8000);
    machine.snapshot.pfn_database_layout = Some(PfnDatabaseLayout {
        base: Gva(KERNEL_VA + 0x2_8000),
        entry_size: 0x30,
        page_location_offset: 0x22,
    });
    for pfn in 1..0xA0_u64 {
        let location = (u8::from(pfn != 0x90) * 6) | 0xF8;
        let at = 0x2_8000 + pfn * 0x30 + 0x22;
        machine
            .memory
            .write(crate::target::machine::Gpa(frame::KERNEL_DATA * PAGE_SIZE + at), &[location]);
    }
    let pages = by_us(&write(&machine, &request(KernelDumpType::Active)).unwrap());
    assert!(!pages.contains_key(&0x90), "a free page");
    assert!(pages.contains_key(&0x91) && pages.contains_key(&frame::KERNEL_ROOT));
}

#[test]
fn unreadable_pages_are_zero_and_listed_in_the_dump() {
    let mut machine = windows();
    machine.memory.unreadable = vec![0x500, 0x501];
    let bytes = write(&machine, &request(KernelDumpType::BitmapFull)).unwrap();
    let dump = KernelDump::from_source(Box::new(bytes)).unwrap();
    let block = dump
        .secondary()
        .iter()
        .find(|b| b.tag == dumpwright_format::kernel::SOFT_ERRORS_TAG)
        .expect("soft errors are stored");
    let text = dump.read_part(block.offset, block.size.into(), 1 << 20).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(value["holes"][0]["first_page"], "0x500");
    assert_eq!(value["holes"][0]["pages"], 2);
}

#[test]
fn a_mapped_image_is_written_without_being_read() {
    let mut machine = windows();
    machine.memory = Memory::of(&[(0, 3000)]);
    machine.memory.flat = Some((0..3000 * PAGE).map(|i| (i / 7) as u8).collect());
    machine.snapshot = MachineSnapshot { runs: machine.memory.runs.clone(), ..Default::default() };
    let bytes = write(&machine, &request(KernelDumpType::Full)).unwrap();
    assert!(Some(&bytes[0x2000..]) == machine.memory.flat.as_deref());
}

#[test]
fn what_the_system_copies_from_file_to_file_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.dmp");
    std::fs::write(&source, write(&windows(), &request(KernelDumpType::BitmapFull)).unwrap())
        .unwrap();
    let dump = KernelDump::open(&source).unwrap();
    let snapshot = dump.machine();
    let plan = crate::plan::kernel::plan(&snapshot, &dump, &request(KernelDumpType::Full)).unwrap();
    let layout = super::KernelLayout::new(&plan, &snapshot).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    let mut to = crate::write::Target::File(&mut file);
    crate::write::kernel::write_to(&layout, &plan.edits, &dump, &mut to, &()).unwrap();
    let mut streamed = Vec::new();
    crate::write::kernel::write_to(
        &layout,
        &plan.edits,
        &dump,
        &mut crate::write::Target::Stream(&mut streamed),
        &(),
    )
    .unwrap();
    let mut copied = Vec::new();
    std::io::Seek::rewind(&mut file).unwrap();
    std::io::Read::read_to_end(&mut file, &mut copied).unwrap();
    assert!(copied == streamed);
}

#[test]
fn a_comment_and_files_are_carried_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, b"what I did").unwrap();
    let text = "long ".repeat(60);
    let mut request = request(KernelDumpType::KernelMemory).comment(text.clone());
    request.extensions.attach = vec![file];
    let machine = windows();
    let bytes = write(&machine, &request).unwrap();
    assert!(by_kdmp_parser(&bytes) == by_us(&bytes), "secondary data disturbs no reader");
    let dump = KernelDump::from_source(Box::new(bytes.clone())).unwrap();
    assert_eq!(dump.comment().as_deref(), Some(text.as_str()));
    assert_eq!(dump.header().comment.as_ref().map(String::len), Some(127));
    assert!(bytes.windows(20).any(|w| w == b"notes.txt\0what I did"));
}

#[test]
fn the_32_bit_header_has_its_own_layout() {
    let mut machine = windows();
    machine.memory = Memory::of(&[(1, 20), (0x100, 5)]);
    machine.snapshot = MachineSnapshot {
        architecture: MachineArchitecture::X86Pae,
        runs: machine.memory.runs.clone(),
        directory_table_base: 0x1_8020,
        debugger_data: Gva(0x8000_1000),
        ..Default::default()
    };
    for kind in [KernelDumpType::Full, KernelDumpType::BitmapFull] {
        let bytes = write(&machine, &request(kind)).unwrap();
        assert_eq!(&bytes[..8], b"PAGEDUMP");
        let dump = KernelDump::from_source(Box::new(bytes.clone())).unwrap();
        assert!(dump.header().pae);
        assert_eq!(dump.header().required_dump_space, Some(bytes.len() as u64));
        assert_eq!(by_us(&bytes).len(), 25);
    }
    let refused = write(&machine, &request(KernelDumpType::CompleteMemory)).unwrap_err();
    assert!(refused.to_string().contains("32-bit"), "{refused}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_memory_map_is_read_back_as_it_was(
        steps in prop::collection::vec((0_u64..300, 1_u64..40), 1..60),
        first in 0_u64..2,
        kind in prop::sample::select(vec![
            KernelDumpType::Full, KernelDumpType::BitmapFull, KernelDumpType::CompleteMemory,
        ]),
    ) {
        let mut at = first;
        let runs: Vec<_> = steps.iter().map(|(gap, count)| {
            at += gap;
            let made = (at, *count);
            at += count;
            made
        }).collect();
        let memory = Memory::of(&runs);
        let snapshot = MachineSnapshot { runs: memory.runs.clone(), ..Default::default() };
        let machine = Machine { snapshot, memory };
        let bytes = write(&machine, &request(kind)).unwrap();
        let ours = by_us(&bytes);
        let frames: Vec<u64> = runs.iter().flat_map(|(base, count)| *base..base + count).collect();
        prop_assert!(ours.keys().eq(frames.iter()));
        let mut theirs = by_kdmp_parser(&bytes);
        if kind == KernelDumpType::CompleteMemory && ours.contains_key(&0) {
            theirs.insert(0, ours[&0].clone());
        }
        prop_assert!(theirs == ours);
        for (pfn, page) in &ours {
            prop_assert!(*page == machine.memory.page(*pfn));
        }
        let _ = Pfn(0);
    }
}
