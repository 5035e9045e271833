//! Page tables: every form of them, those that lie, and large ones in little
//! time.

use super::paging::{AddressSpace, Half, Walked};
use super::{PageSet, plan};
use crate::kernel_type::KernelDumpType;
use crate::synthetic_machine::{
    KERNEL_VA, Memory, SELF_MAP, USER_VA, frame, kernel_space, request, run, windows, write,
};
use crate::target::machine::{
    Gpa, Gva, MachineArchitecture, MachineSnapshot, PAGE_SIZE, PageHole, PageRun, Pfn,
    PhysicalMemory,
};
use std::time::{Duration, Instant};

fn walk(space: &AddressSpace<'_>, half: Half) -> Walked {
    let mut found = Walked::default();
    space.walk(half, &PageSet::default(), &mut found);
    found
}

#[test]
fn addresses_lead_where_the_tables_say() {
    let machine = windows();
    let space = kernel_space(&machine);
    let leads = |address: u64| space.translate(Gva(address)).map(|at| at.0);
    assert_eq!(leads(KERNEL_VA + 0x1234), Some((frame::KERNEL_DATA + 1) * PAGE_SIZE + 0x234));
    assert_eq!(leads(KERNEL_VA + 0x20_5678), Some(frame::LARGE * PAGE_SIZE + 0x5678));
    assert_eq!(leads(USER_VA), Some(frame::USER_PAGE * PAGE_SIZE));
    assert_eq!(leads(KERNEL_VA + 0x10_1000), Some(frame::TRANSITION * PAGE_SIZE));
    assert_eq!(leads(KERNEL_VA + 0x30_0000_0000), None, "nothing is there");
    assert_eq!(leads(0x8000_0000_0000), None, "no such address");
    // The map of the tables in themselves shows the entry of an address.
    let of_tables = SELF_MAP << 39 | 0xFFFF_0000_0000_0000 | 0x1F0 << 30;
    assert_eq!(leads(of_tables), Some(frame::KERNEL_PT * PAGE_SIZE));
}

#[test]
fn tables_of_five_levels_lead_one_further() {
    let mut machine = windows();
    machine.memory.zero_page(0x50);
    machine.memory.entry(0x50, 511, frame::KERNEL_ROOT << 12 | 0x63);
    machine.snapshot.architecture = MachineArchitecture::Amd64La57;
    machine.snapshot.directory_table_base = 0x50 * PAGE_SIZE;
    let space = kernel_space(&machine);
    let at = space.translate(Gva(KERNEL_VA + 0x1234)).unwrap();
    assert_eq!(at.pfn(), Pfn(frame::KERNEL_DATA + 1));
    assert!(walk(&space, Half::Kernel).pages.contains(Pfn(frame::KERNEL_DATA)));
}

/// A space; of 32 bits with the kernel at 2 GiB.
fn space_of(memory: &Memory, architecture: MachineArchitecture, base: u64) -> AddressSpace<'_> {
    AddressSpace::new(memory, &memory.runs, architecture, base)
}

#[test]
fn tables_of_pae_have_four_roots_anywhere_in_a_page() {
    let mut memory = Memory::of(&[(1, 0x1000)]);
    for page in [2, 3, 4, 5] {
        memory.zero_page(page);
    }
    // The root is 32 bytes at 0x2060.
    memory.entry(2, 12 + 1, 3 << 12 | 1);
    memory.entry(2, 12 + 2, 4 << 12 | 1);
    memory.entry(3, 0, 0x400 << 12 | 0x87); // user, 2 MiB
    memory.entry(4, 0, 5 << 12 | 0x63);
    memory.entry(4, 1, 0x200 << 12 | 0xE3); // kernel, 2 MiB
    memory.entry(5, 7, 0x77 << 12 | 0x63);
    let space = space_of(&memory, MachineArchitecture::X86Pae, 0x2060);
    assert_eq!(space.translate(Gva(0x8000_7123)), Some(Gpa(0x7_7123)));
    assert_eq!(space.translate(Gva(0x8020_0004)), Some(Gpa(0x20_0004)));
    let kernel = walk(&space, Half::Kernel);
    assert_eq!(kernel.pages.runs(), [run(0x77, 1), run(0x200, 512)]);
    assert_eq!(walk(&space, Half::User).pages.runs(), [run(0x400, 512)]);
}

#[test]
fn tables_of_32_bits_have_two_levels_and_pages_of_4_mib() {
    let mut memory = Memory::of(&[(1, 0x1000)]);
    for page in [2, 3] {
        memory.zero_page(page);
    }
    let entry = |memory: &mut Memory, table: u64, index: u64, value: u32| {
        memory.write(Gpa(table * PAGE_SIZE + index * 4), &value.to_le_bytes());
    };
    entry(&mut memory, 2, 0x200, 3 << 12 | 0x63);
    entry(&mut memory, 2, 0x201, 0x400 << 12 | 0xE3);
    entry(&mut memory, 2, 0x300, 2 << 12 | 0x63); // the map of itself
    entry(&mut memory, 2, 1, 0x800 << 12 | 0x87);
    entry(&mut memory, 3, 5, 0x99 << 12 | 0x63);
    let space = space_of(&memory, MachineArchitecture::X86, 2 * PAGE_SIZE);
    assert_eq!(space.translate(Gva(0x8000_5010)), Some(Gpa(0x9_9010)));
    assert_eq!(space.translate(Gva(0x8040_0010)), Some(Gpa(0x40_0010)));
    let kernel = walk(&space, Half::Kernel);
    assert_eq!(kernel.pages.runs(), [run(0x99, 1), run(0x400, 1024)]);
    assert_eq!(kernel.tables.runs(), [run(2, 2)]);
}

#[test]
fn tables_that_contain_each_other_are_walked_once() {
    let mut memory = Memory::of(&[(1, 0x100)]);
    for table in 1..5 {
        memory.zero_page(table);
        for index in 0..512 {
            memory.entry(table, index, (1 + (index + table) % 4) << 12 | 0x67);
        }
    }
    let space = space_of(&memory, MachineArchitecture::Amd64, PAGE_SIZE);
    let started = Instant::now();
    let found = walk(&space, Half::Kernel);
    assert_eq!(found.tables.count(), 4);
    assert!(space.translate(Gva(u64::MAX)).is_some());
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn garbage_as_a_page_table_gives_no_pages_that_are_not_there() {
    let memory = Memory::of(&[(1, 0x100)]);
    for base in [0, 7, PAGE_SIZE, 0x50_0000, u64::MAX, u64::MAX - 4095] {
        let space = space_of(&memory, MachineArchitecture::Amd64, base);
        for run in walk(&space, Half::Kernel).pages.runs() {
            assert!(run.end() <= Pfn(0x101));
        }
        let _ = space.translate(Gva(KERNEL_VA));
    }
}

/// 64 GiB of which little exists: tables that map all of it for the kernel by
/// pages of 4 KiB, each table made when it is read.
struct Huge([PageRun; 1]);

const HUGE_FRAMES: u64 = 64 << 18;

impl PhysicalMemory for Huge {
    fn runs(&self) -> &[PageRun] {
        &self.0
    }

    fn read_pages(&self, run: PageRun, buf: &mut [u8], _: &mut Vec<PageHole>) {
        buf.fill(0);
        let (words, _) = buf.as_chunks_mut::<8>();
        // Frame 1 is the root, 2 its table, 3 to 66 theirs, then page tables.
        for (index, word) in words.iter_mut().enumerate() {
            let index = index as u64;
            let entry = match run.base.0 {
                1 if index == 256 => 2 << 12,
                2 if index < 64 => (3 + index) << 12,
                pd @ 3..=66 => (0x1000 + (pd - 3) * 512 + index) << 12,
                pt @ 0x1000..0x9000 => ((pt - 0x1000) * 512 + index) << 12,
                _ => 0,
            };
            *word = if entry == 0 { [0; 8] } else { (entry | 0x63).to_le_bytes() };
        }
    }
}

#[test]
fn a_kernel_of_64_gib_is_selected_in_seconds() {
    let machine = windows();
    let huge = Huge([run(0, HUGE_FRAMES)]);
    let snapshot = MachineSnapshot {
        runs: huge.0.to_vec(),
        directory_table_base: PAGE_SIZE,
        decoded_debugger_data: None,
        processes: Vec::new(),
        ..machine.snapshot
    };
    let started = Instant::now();
    let made = plan(&snapshot, &huge, &request(KernelDumpType::BitmapKernel)).unwrap();
    let super::Body::Pages(pages) = &made.body else { panic!("it has pages") };
    assert!(crate::target::machine::count_pages(pages) > HUGE_FRAMES - 0x1000);
    // Ten times what it takes unoptimised on a slow machine.
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

#[test]
fn flags_and_options_of_processes_are_refused_and_generic_ones_are_not() {
    use crate::{DumpRequest, FormatFlags, Qualifier};
    let ok = DumpRequest::new("x.dmp", Qualifier::Active).flags(
        FormatFlags::WRITE_CAB | FormatFlags::CAB_SECONDARY_ALL_IMAGES | FormatFlags::NO_OVERWRITE,
    );
    assert!(ok.validate_for_machine().is_ok());
    for flags in [FormatFlags::USER_SMALL_FULL_MEMORY, FormatFlags::USER_SMALL_SCAN_PARTIAL_PAGES] {
        let refused =
            DumpRequest::new("x.dmp", Qualifier::Full).flags(flags).validate_for_machine();
        assert!(refused.unwrap_err().to_string().contains("USER_SMALL"), "{flags:?}");
    }
    let mut exotic = DumpRequest::new("x.dmp", Qualifier::TraceLog);
    assert!(exotic.validate_for_machine().is_err());
    exotic.qualifier = Qualifier::Small;
    exotic.extensions.token = true;
    assert!(exotic.validate_for_machine().unwrap_err().to_string().contains("--token"));
    let mut process = DumpRequest::new("x.dmp", Qualifier::Small);
    process.extensions.kernel_type = Some(KernelDumpType::Full);
    assert!(process.validate().unwrap_err().to_string().contains("--type"));
}

#[test]
fn files_that_cannot_be_attached_are_named() {
    let mut request = request(KernelDumpType::Full);
    request.extensions.attach = vec!["/nowhere/notes.txt".into()];
    assert!(write(&windows(), &request).unwrap_err().to_string().contains("/nowhere/notes.txt"));
    request.extensions.attach = vec![std::env::temp_dir()];
    assert!(write(&windows(), &request).unwrap_err().to_string().contains("not a file"));
}
