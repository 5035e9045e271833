//! A guest of the test kit as a target that knows everything of itself: what is
//! wrong in a dump of it is wrong in the writers, not in the discovery.

use dumpwright::target::FileTime;
use dumpwright::target::machine::{
    BugCheck, ControlRegisters, GuestKind, Gva, KernelModule, KernelProcess, MachineArchitecture,
    MachineSnapshot, MachineTarget, PageHole, PageRun, Pfn, PhysicalMemory, ProcessorSnapshot,
    UnloadedKernelModule,
};
use dumpwright_testkit::{Image, Nt, PAGE, PagingMode, nt};
use std::time::Duration;

/// The target.
pub struct Known {
    snapshot: MachineSnapshot,
    memory: Memory,
}

struct Memory {
    runs: Vec<PageRun>,
    image: Image,
}

impl Known {
    /// All that is known of a guest.
    pub fn new(nt: &Nt) -> Known {
        let runs: Vec<PageRun> =
            nt.image.runs().iter().map(|r| PageRun { base: Pfn(r.base), count: r.count }).collect();
        let header = nt.header();
        let snapshot = MachineSnapshot {
            guest: GuestKind::Windows,
            architecture: match nt.system.mode {
                PagingMode::Long5 => MachineArchitecture::Amd64La57,
                _ => MachineArchitecture::Amd64,
            },
            runs: runs.clone(),
            directory_table_base: header.directory_table_base,
            processors: nt.processors.iter().map(|p| processor(nt, p)).collect(),
            build: nt::BUILD,
            major_version: 0xf,
            pfn_database: Gva(header.pfn_database),
            loaded_module_list: Gva(header.loaded_module_list),
            active_process_head: Gva(header.active_process_head),
            debugger_data: Gva(header.debugger_data),
            decoded_debugger_data: nt.debugger_data_copy.map(|_| nt.debugger_data.clone()),
            debugger_data_block: Some(nt.debugger_data.clone()),
            kernel_base: Gva(nt::KERNEL),
            bug_check: nt.bug_check.map(|(code, parameters)| BugCheck { code, parameters }),
            system_time: FileTime(nt.system_time),
            system_up_time: nt.system_up_time,
            product_type: header.product_type,
            suite_mask: header.suite_mask,
            modules: nt.modules.iter().map(|m| module(nt, m)).collect(),
            unloaded_modules: nt.unloaded.iter().map(|(n, s)| unloaded(n, *s)).collect(),
            processes: nt.processes.iter().map(process).collect(),
            ..MachineSnapshot::default()
        };
        Known { snapshot, memory: Memory { runs, image: nt.image.clone() } }
    }
}

fn processor(nt: &Nt, p: &dumpwright_testkit::Processor) -> ProcessorSnapshot {
    let r = &p.registers;
    ProcessorSnapshot {
        context: r.context(),
        instruction_pointer: r.rip,
        stack_pointer: r.rsp(),
        control: Some(ControlRegisters {
            cr0: 0x8005_0033,
            cr2: r.cr2,
            cr3: r.cr3,
            cr4: r.cr4,
            gs_base: r.gs_base,
            kernel_gs_base: r.kernel_gs_base,
            idt: (r.idt, 0xfff),
            gdt: (r.gdt, 0x57),
            efer: 0,
        }),
        pcr: Gva(p.pcr),
        prcb: Gva(p.prcb),
        current_thread: Gva(p.thread),
        current_process: Gva(nt.processes[p.process].eprocess),
    }
}

fn module(nt: &Nt, m: &dumpwright_testkit::Module) -> KernelModule {
    KernelModule {
        entry: Gva(m.entry),
        base: Gva(m.base),
        size: m.size,
        name: m.name.clone(),
        entry_bytes: nt.read(m.entry, 0xa0).unwrap(),
    }
}

fn unloaded(name: &str, start: u64) -> UnloadedKernelModule {
    UnloadedKernelModule { start: Gva(start), end: Gva(start + 0x8000), name: name.to_owned() }
}

fn process(p: &dumpwright_testkit::Process) -> KernelProcess {
    KernelProcess { eprocess: Gva(p.eprocess), directory_table_base: p.space.root, peb: Gva(p.peb) }
}

impl MachineTarget for Known {
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

impl PhysicalMemory for Memory {
    fn runs(&self) -> &[PageRun] {
        &self.runs
    }

    fn read_pages(&self, run: PageRun, buf: &mut [u8], _holes: &mut Vec<PageHole>) {
        for (pfn, page) in (run.base.0..).zip(buf.chunks_exact_mut(PAGE as usize)) {
            page.copy_from_slice(&self.image.page(pfn));
        }
    }
}
