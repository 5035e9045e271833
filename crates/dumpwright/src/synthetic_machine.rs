//! A made-up machine with page tables, so that plan, layout, writer and reader
//! of kernel dumps are tested without an image.

use crate::soft_error::HoleReason;
use crate::target::FileTime;
use crate::target::machine::{
    BugCheck, Gpa, GuestKind, Gva, KernelModule, KernelProcess, MachineArchitecture,
    MachineSnapshot, MachineTarget, PAGE_SIZE, PageHole, PageRun, Pfn, PhysicalMemory,
    ProcessorSnapshot, UnloadedKernelModule,
};
use dumpwright_format::context::amd64::ContextAmd64;
use dumpwright_format::kernel::DebuggerData;
use std::collections::BTreeMap;
use std::time::Duration;
use zerocopy::{FromZeros, IntoBytes};

const PAGE: usize = PAGE_SIZE as usize;

/// Physical memory of which only the pages that were written to exist; others
/// have bytes that tell where they are.
#[derive(Default)]
pub struct Memory {
    pub runs: Vec<PageRun>,
    pub pages: BTreeMap<u64, Vec<u8>>,
    pub unreadable: Vec<u64>,
    /// All of it in one piece, for a test of mapped memory.
    pub flat: Option<Vec<u8>>,
}

impl Memory {
    pub fn of(runs: &[(u64, u64)]) -> Memory {
        let runs = runs.iter().map(|(base, count)| run(*base, *count)).collect();
        Memory { runs, ..Memory::default() }
    }

    pub fn page(&self, pfn: u64) -> Vec<u8> {
        self.pages.get(&pfn).cloned().unwrap_or_else(|| {
            let word = (pfn.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 2) & !1;
            word.to_le_bytes().repeat(PAGE / 8)
        })
    }

    pub fn write(&mut self, at: Gpa, bytes: &[u8]) {
        for (index, byte) in bytes.iter().enumerate() {
            let here = at.0 + index as u64;
            let page = self.page(here / PAGE_SIZE);
            let page = self.pages.entry(here / PAGE_SIZE).or_insert(page);
            page[(here % PAGE_SIZE) as usize] = *byte;
        }
    }

    pub fn zero_page(&mut self, pfn: u64) {
        self.pages.insert(pfn, vec![0; PAGE]);
    }

    /// Sets an entry of a page table.
    pub fn entry(&mut self, table: u64, index: u64, value: u64) {
        self.pages.entry(table).or_insert_with(|| vec![0; PAGE]);
        self.write(Gpa(table * PAGE_SIZE + index * 8), &value.to_le_bytes());
    }
}

impl PhysicalMemory for Memory {
    fn runs(&self) -> &[PageRun] {
        &self.runs
    }

    fn read_pages(&self, run: PageRun, buf: &mut [u8], holes: &mut Vec<PageHole>) {
        for (pfn, piece) in (run.base.0..).zip(buf.chunks_mut(PAGE)) {
            let there = self.runs.iter().any(|r| r.contains(Pfn(pfn)));
            if there && !self.unreadable.contains(&pfn) {
                piece.copy_from_slice(&self.page(pfn));
            } else {
                piece.fill(0);
                let run = PageRun { base: Pfn(pfn), count: 1 };
                holes.push(PageHole { run, reason: HoleReason::Errno(5) });
            }
        }
    }

    fn mapped(&self, run: PageRun) -> Option<&[u8]> {
        let start = (run.base.0 * PAGE_SIZE) as usize;
        self.flat.as_ref()?.get(start..start + (run.count * PAGE_SIZE) as usize)
    }
}

pub fn run(base: u64, count: u64) -> PageRun {
    PageRun { base: Pfn(base), count }
}

/// A machine that never ran.
pub struct Machine {
    pub snapshot: MachineSnapshot,
    pub memory: Memory,
}

impl MachineTarget for Machine {
    fn snapshot(&self) -> &MachineSnapshot {
        &self.snapshot
    }

    fn memory(&self) -> &dyn PhysicalMemory {
        &self.memory
    }

    fn release(&mut self) {}

    fn held(&self) -> Option<Duration> {
        None
    }
}

/// Frames of the NT-like machine, which tests name.
pub mod frame {
    pub const KERNEL_ROOT: u64 = 0x10;
    pub const KERNEL_PDPT: u64 = 0x11;
    pub const KERNEL_PD: u64 = 0x12;
    pub const KERNEL_PT: u64 = 0x13;
    pub const USER_PDPT: u64 = 0x20;
    pub const USER_PD: u64 = 0x21;
    pub const USER_PT: u64 = 0x22;
    pub const OTHER_ROOT: u64 = 0x30;
    pub const OTHER_PDPT: u64 = 0x31;
    pub const OTHER_PD: u64 = 0x32;
    pub const OTHER_PT: u64 = 0x33;
    pub const SHARED_PDPT: u64 = 0x38;
    pub const SHARED_PD: u64 = 0x39;
    pub const SHARED_PT: u64 = 0x3A;
    /// Kernel data, consecutive from `KERNEL_VA` on.
    pub const KERNEL_DATA: u64 = 0x40;
    pub const KERNEL_DATA_PAGES: u64 = 0x30;
    /// A page of the current process.
    pub const USER_PAGE: u64 = 0x80;
    /// A page of another process.
    pub const OTHER_PAGE: u64 = 0x81;
    /// A page of the other process that the kernel maps too.
    pub const ALIASED: u64 = 0x82;
    /// `KUSER_SHARED_DATA`.
    pub const SHARED: u64 = 0x83;
    /// A kernel page in transition.
    pub const TRANSITION: u64 = 0x84;
    /// The first of 512 frames of a large kernel page.
    pub const LARGE: u64 = 0x200;
    /// The first of 512 frames of a large user page.
    pub const USER_LARGE: u64 = 0x400;
}

/// Where the kernel's data is.
pub const KERNEL_VA: u64 = 0xFFFF_F800_0000_0000;
/// The root's entry that maps the tables themselves.
pub const SELF_MAP: u64 = 0x1ED;
pub const KDBG: u64 = KERNEL_VA + 0x5100;
pub const PRCB: u64 = KERNEL_VA + 0x8180;
pub const EPROCESS: u64 = KERNEL_VA + 0x1_0080;
pub const ETHREAD: u64 = KERNEL_VA + 0x1_2080;
pub const STACK_BASE: u64 = KERNEL_VA + 0x1_8000;
pub const STACK_POINTER: u64 = STACK_BASE - 0x1238;
pub const USER_VA: u64 = 0x7FF6_0000_0000;
/// What stands in user pages, and in no kernel dump.
pub const CANARY: &[u8] = b"user secret, not the kernel's!!!";

/// A little Windows: kernel tables with a map of themselves, two processes, a
/// page that the kernel shares with all and one that it borrowed from a process.
pub fn windows() -> Machine {
    let mut memory = Memory::of(&[(1, 0x9F), (0x100, 0x700), (0x100_0000, 0x100)]);
    let table = 0x63;
    let user = 0x67;
    let pte = |frame: u64, flags: u64| frame << 12 | flags;
    for table in [
        frame::KERNEL_ROOT,
        frame::KERNEL_PDPT,
        frame::KERNEL_PD,
        frame::KERNEL_PT,
        frame::USER_PDPT,
        frame::USER_PD,
        frame::USER_PT,
        frame::OTHER_ROOT,
        frame::OTHER_PDPT,
        frame::OTHER_PD,
        frame::OTHER_PT,
        frame::SHARED_PDPT,
        frame::SHARED_PD,
        frame::SHARED_PT,
    ] {
        memory.zero_page(table);
    }
    // Kernel half: index 0x1F0 of the root for KERNEL_VA.
    memory.entry(frame::KERNEL_ROOT, 0x1F0, pte(frame::KERNEL_PDPT, table));
    memory.entry(frame::KERNEL_ROOT, 0x1EF, pte(frame::SHARED_PDPT, table));
    memory.entry(frame::KERNEL_ROOT, SELF_MAP, pte(frame::KERNEL_ROOT, table));
    memory.entry(frame::KERNEL_PDPT, 0, pte(frame::KERNEL_PD, table));
    memory.entry(frame::KERNEL_PDPT, 1, pte(frame::KERNEL_PDPT, table)); // a loop
    memory.entry(frame::KERNEL_PD, 0, pte(frame::KERNEL_PT, table));
    memory.entry(frame::KERNEL_PD, 1, pte(frame::LARGE, table | 0x80));
    for page in 0..frame::KERNEL_DATA_PAGES {
        memory.entry(frame::KERNEL_PT, page, pte(frame::KERNEL_DATA + page, table));
    }
    memory.entry(frame::KERNEL_PT, 0x100, pte(frame::ALIASED, table));
    memory.entry(frame::KERNEL_PT, 0x101, pte(frame::TRANSITION, 1 << 11));
    memory.entry(frame::KERNEL_PT, 0x102, pte(0xF_0000, table)); // a device
    // KUSER_SHARED_DATA of the kernel.
    memory.entry(frame::SHARED_PDPT, 0, pte(frame::SHARED_PD, table));
    memory.entry(frame::SHARED_PD, 0, pte(frame::SHARED_PT, table));
    memory.entry(frame::SHARED_PT, 0, pte(frame::SHARED, table));
    // Two user halves at USER_VA: index 0xFF, 0x1D8.
    memory.entry(frame::OTHER_ROOT, 0x1F0, pte(frame::KERNEL_PDPT, table));
    for (root, pdpt, pd, pt, page) in [
        (frame::KERNEL_ROOT, frame::USER_PDPT, frame::USER_PD, frame::USER_PT, frame::USER_PAGE),
        (frame::OTHER_ROOT, frame::OTHER_PDPT, frame::OTHER_PD, frame::OTHER_PT, frame::OTHER_PAGE),
    ] {
        memory.entry(root, 0xFF, pte(pdpt, user));
        memory.entry(pdpt, 0x1D8, pte(pd, user));
        memory.entry(pd, 0, pte(pt, user));
        memory.entry(pt, 0, pte(page, user));
        memory.entry(pt, 1, pte(frame::SHARED, user));
    }
    memory.entry(frame::OTHER_PT, 2, pte(frame::ALIASED, user));
    memory.entry(frame::USER_PD, 1, pte(frame::USER_LARGE, user | 0x80));
    for page in [frame::USER_PAGE, frame::OTHER_PAGE, frame::ALIASED, frame::USER_LARGE] {
        memory.write(Gpa(page * PAGE_SIZE + 0x100), CANARY);
    }
    memory.write(Gpa(frame::SHARED * PAGE_SIZE), b"system clock");

    let mut data = DebuggerData::new_zeroed();
    data.header.owner_tag = dumpwright_format::kernel::DEBUGGER_DATA_TAG.into();
    data.header.size = 0x380.into();
    data.kern_base = KERNEL_VA.into();
    data.size_prcb = 0x700.into();
    data.size_eprocess = 0xA40.into();
    data.size_ethread = 0x898.into();
    data.offset_kthread_stack_base = 0x38.into();
    data.ki_processor_block = (KERNEL_VA + 0x6000).into();
    let data = data.as_bytes()[..0x380].to_vec();
    let mut put = |va: u64, bytes: &[u8]| {
        memory.write(Gpa(frame::KERNEL_DATA * PAGE_SIZE + (va - KERNEL_VA)), bytes);
    };
    put(PRCB, &[0xB1; 0x700]);
    put(EPROCESS, &[0xE1; 0xA40]);
    put(ETHREAD, &[0x71; 0x898]);
    put(ETHREAD + 0x38, &STACK_BASE.to_le_bytes());
    put(STACK_POINTER, &(KERNEL_VA + 0x2_0000).to_le_bytes());
    put(STACK_POINTER + 8, &(KERNEL_VA + 0x10_0110).to_le_bytes()); // the borrowed page
    put(STACK_POINTER + 16, &(USER_VA + 0x110).to_le_bytes());

    let mut context = ContextAmd64::new_zeroed();
    context.rip = (KERNEL_VA + 0x1_9123).into();
    context.rsp = STACK_POINTER.into();
    context.rax = USER_VA.into();
    context.rbx = (KERNEL_VA + 0x10_0100).into();
    let snapshot = MachineSnapshot {
        guest: GuestKind::Windows,
        architecture: MachineArchitecture::Amd64,
        runs: memory.runs.clone(),
        directory_table_base: frame::KERNEL_ROOT * PAGE_SIZE,
        processors: vec![
            ProcessorSnapshot {
                context: context.as_bytes().to_vec(),
                instruction_pointer: KERNEL_VA + 0x1_9123,
                stack_pointer: STACK_POINTER,
                prcb: Gva(PRCB),
                current_thread: Gva(ETHREAD),
                current_process: Gva(EPROCESS),
                ..ProcessorSnapshot::default()
            },
            ProcessorSnapshot::default(),
        ],
        build: 19041,
        major_version: 0xF,
        pfn_database: Gva(0xFFFF_FA80_0000_0000),
        loaded_module_list: Gva(KERNEL_VA + 0x6100),
        active_process_head: Gva(KERNEL_VA + 0x6200),
        debugger_data: Gva(KDBG),
        decoded_debugger_data: Some(data.clone()),
        debugger_data_block: Some(data),
        kernel_base: Gva(KERNEL_VA),
        bug_check: Some(BugCheck { code: 0xD1, parameters: [1, 2, 0, KERNEL_VA + 0x1_A000] }),
        system_time: FileTime(0x01D7_07F2_3DBB_3399),
        system_up_time: 0x23B_C1E9,
        product_type: 1,
        suite_mask: 0x110,
        modules: vec![KernelModule {
            base: Gva(KERNEL_VA),
            size: 0x104_6000,
            name: r"\SystemRoot\system32\ntoskrnl.exe".into(),
            entry_bytes: vec![0; 0x88],
            ..KernelModule::default()
        }],
        unloaded_modules: vec![UnloadedKernelModule {
            start: Gva(KERNEL_VA + 0x100_0000),
            end: Gva(KERNEL_VA + 0x100_4000),
            name: "dam.sys".into(),
        }],
        processes: vec![
            KernelProcess {
                eprocess: Gva(EPROCESS),
                directory_table_base: frame::KERNEL_ROOT * PAGE_SIZE,
                ..KernelProcess::default()
            },
            KernelProcess {
                directory_table_base: frame::OTHER_ROOT * PAGE_SIZE,
                ..KernelProcess::default()
            },
        ],
        ..MachineSnapshot::default()
    };
    Machine { snapshot, memory }
}

/// Plans, lays out and writes a dump, in memory.
pub fn write(machine: &Machine, request: &crate::DumpRequest) -> crate::Result<Vec<u8>> {
    let plan = crate::plan::kernel::plan(&machine.snapshot, &machine.memory, request)?;
    let layout = crate::layout::kernel::KernelLayout::new(&plan, &machine.snapshot)?;
    let mut out = Vec::new();
    let outcome = crate::write::kernel::write_to(
        &layout,
        &plan.edits,
        &machine.memory,
        &mut crate::write::Target::Stream(&mut out),
        &(),
    )?;
    crate::write::kernel::finish(&layout, &plan, &outcome, &mut out)?;
    assert_eq!(out.len() as u64, layout.file_size(), "the layout knew the size");
    Ok(out)
}

/// A request for a type.
pub fn request(kind: crate::KernelDumpType) -> crate::DumpRequest {
    let mut request = crate::DumpRequest::new("x.dmp", crate::Qualifier::Full);
    request.extensions.kernel_type = Some(kind);
    request
}

/// The kernel's address space.
pub fn kernel_space(machine: &Machine) -> crate::plan::kernel::AddressSpace<'_> {
    let snapshot = &machine.snapshot;
    crate::plan::kernel::AddressSpace::new(
        &machine.memory,
        &machine.memory.runs,
        snapshot.architecture,
        snapshot.directory_table_base,
    )
}
