//! A whole guest: kernel image, KDBG, lists, processors and processes, at the
//! offsets of Windows 10 build 19041.

mod fill;

use crate::full_dump::Header;
use crate::image::{Image, Run};
use crate::kdbg::Keys;
use crate::paging::{Access, AddressSpace, PageSize, PagingMode};
use crate::pe::{self, KernelImage};
use crate::process::{LINKS, Process, link};
use crate::processor::{Kernel, Processor};
use crate::{mix, put_u16, put_u64, utf16};
use std::collections::BTreeSet;

/// Base of the kernel image.
pub const KERNEL: u64 = 0xffff_f804_7ba0_0000;
/// Build of the guest.
pub const BUILD: u32 = 19041;
/// Index of the self-map in the top table.
pub const SELF_MAP: u64 = 0x1fb;
const POOL: u64 = 0xffff_c08b_0000_0000;

/// Addresses of the kernel's variables, as offsets from its base.
pub mod rva {
    /// KDBG itself.
    pub const KDBG: u32 = 0x20_0b20;
    /// `PsLoadedModuleList`.
    pub const MODULES: u32 = 0x20_a390;
    /// `PsActiveProcessHead`.
    pub const PROCESSES: u32 = 0x20_b200;
    /// `MmPfnDatabase`.
    pub const PFN_DATABASE: u32 = 0x20_c500;
    /// `KiProcessorBlock`.
    pub const PROCESSOR_BLOCK: u32 = 0x20_dc80;
    /// `KiBugcheckData`.
    pub const BUG_CHECK: u32 = 0x20_e480;
    /// `MmUnloadedDrivers`.
    pub const UNLOADED: u32 = 0x20_f308;
    /// `MmLastUnloadedDriver`.
    pub const LAST_UNLOADED: u32 = 0x20_f310;
    /// `MmPhysicalMemoryBlock`.
    pub const MEMORY_BLOCK: u32 = 0x21_0078;
    /// `NtBuildLab`.
    pub const BUILD_LAB: u32 = 0x21_0100;
    /// `KiWaitNever`.
    pub const WAIT_NEVER: u32 = 0x21_1000;
    /// `KiWaitAlways`.
    pub const WAIT_ALWAYS: u32 = 0x21_1008;
    /// `KdpDataBlockEncoded`.
    pub const ENCODED: u32 = 0x21_1010;
    /// `PsInitialSystemProcess`.
    pub const SYSTEM_PROCESS: u32 = 0x21_1020;
    /// `NtBuildNumber`.
    pub const BUILD_NUMBER: u32 = 0x21_1028;
    /// `KdVersionBlock`.
    pub const VERSION_BLOCK: u32 = 0x21_1040;
    /// Head of the list that KDBG is in.
    pub const DEBUGGER_LIST: u32 = 0x21_1080;
}

/// How KDBG stands in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KdbgForm {
    /// As it is.
    #[default]
    Clear,
    /// Encoded.
    Encoded,
    /// Encoded, and a decoded copy where a guest driver's header says.
    EncodedWithCopy,
    /// Not at all: zeros.
    Missing,
    /// Its page is not mapped.
    NoPage,
}

/// What guest to build.
#[derive(Clone, Debug)]
pub struct NtOptions {
    /// RAM. The first run must hold frame 0x1ad.
    pub runs: Vec<Run>,
    /// Levels of the page tables.
    pub paging: PagingMode,
    /// Processors.
    pub processors: u32,
    /// How KDBG stands in memory.
    pub kdbg: KdbgForm,
    /// Bug check of a guest that crashed.
    pub bug_check: Option<(u32, [u64; 4])>,
    /// Which processor raised it.
    pub crashed: usize,
    /// Whether the kernel's code lies in one large page.
    pub large_kernel: bool,
    /// Whether programs have page tables without the kernel.
    pub kva_shadow: bool,
    /// A frame for a 1 GiB page of a program; nothing else is put in its run.
    pub huge_user_page: Option<u64>,
    /// Pages of freed memory with something in them.
    pub litter: usize,
    /// Whether there is a PFN database.
    pub pfn_database: bool,
}

impl Default for NtOptions {
    /// 48 MiB in four runs, one of them above 4 GiB; two processors.
    fn default() -> NtOptions {
        NtOptions {
            runs: vec![
                Run::new(0x1, 0x9f),
                Run::new(0x100, 0x2000),
                Run::new(0x2100, 0x2800),
                Run::new(0x10_0000, 0x10_0800),
            ],
            paging: PagingMode::Long4,
            processors: 2,
            kdbg: KdbgForm::Clear,
            bug_check: None,
            crashed: 0,
            large_kernel: true,
            kva_shadow: false,
            huge_user_page: None,
            litter: 512,
            pfn_database: false,
        }
    }
}

/// A kernel module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Address of its `KLDR_DATA_TABLE_ENTRY`.
    pub entry: u64,
    /// Address of its image.
    pub base: u64,
    /// Size of its image.
    pub size: u32,
    /// `FullDllName`.
    pub name: String,
}

/// The guest.
#[derive(Clone, Debug)]
pub struct Nt {
    /// Its memory.
    pub image: Image,
    /// Page tables of its system process.
    pub system: AddressSpace,
    /// Its kernel image.
    pub kernel: KernelImage,
    /// KDBG in clear.
    pub debugger_data: Vec<u8>,
    /// Address of a decoded copy of KDBG, if there is one.
    pub debugger_data_copy: Option<u64>,
    /// The keys that KDBG is or would be encoded with.
    pub keys: Keys,
    /// Modules in load order.
    pub modules: Vec<Module>,
    /// Names and first addresses of unloaded modules, oldest first.
    pub unloaded: Vec<(String, u64)>,
    /// Processes, the system process first.
    pub processes: Vec<Process>,
    /// Processors.
    pub processors: Vec<Processor>,
    /// Bug check.
    pub bug_check: Option<(u32, [u64; 4])>,
    /// FILETIME of the guest's clock.
    pub system_time: u64,
    /// 100 ns since it started.
    pub system_up_time: u64,
    /// Frames of freed memory.
    pub litter: Vec<u64>,
    pool: u64,
}

impl Nt {
    /// Builds the guest.
    pub fn build(options: &NtOptions) -> Nt {
        let mut image = Image::new(&options.runs);
        if let Some(pfn) = options.huge_user_page {
            image.keep_free(pfn);
        }
        let system = AddressSpace::at(&mut image, options.paging, 0x1a_d000);
        if options.paging == PagingMode::Long4 {
            system.map_itself(&mut image, SELF_MAP);
        }
        let exports = [
            ("KeBugCheckEx", pe::TEXT + 0x500),
            ("MmGetPhysicalAddress", pe::TEXT + 0x600),
            ("NtBuildLab", rva::BUILD_LAB),
            ("NtBuildNumber", rva::BUILD_NUMBER),
            ("PsInitialSystemProcess", rva::SYSTEM_PROCESS),
            ("PsLoadedModuleList", rva::MODULES),
        ];
        let mut nt = Nt {
            image,
            system,
            kernel: KernelImage::new(7, KERNEL, &exports),
            debugger_data: Vec::new(),
            debugger_data_copy: None,
            keys: Keys {
                wait_never: mix(1),
                wait_always: mix(2),
                encoded_at: KERNEL + u64::from(rva::ENCODED),
            },
            modules: Vec::new(),
            unloaded: Vec::new(),
            processes: Vec::new(),
            processors: Vec::new(),
            bug_check: options.bug_check,
            system_time: 0x01d7_07f2_3dbb_3399,
            system_up_time: 37_500_000_000,
            litter: Vec::new(),
            pool: POOL,
        };
        nt.map_kernel(options.large_kernel);
        nt.shared_data();
        nt.processes(options);
        nt.processors(options);
        nt.modules();
        nt.unloaded_modules();
        nt.variables(options);
        nt.debugger_data(options.kdbg);
        nt.transition_page();
        if options.pfn_database {
            nt.map_pfn_database();
        }
        for process in &nt.processes[1..] {
            process.space.share_kernel(&mut nt.image, &nt.system);
            if options.paging == PagingMode::Long4 {
                process.space.map_itself(&mut nt.image, SELF_MAP);
            }
        }
        nt.litter = nt.image.litter(3, options.litter);
        if options.pfn_database {
            nt.write_pfn_database();
        }
        nt
    }

    /// The address of a variable.
    pub fn variable(rva: u32) -> u64 {
        KERNEL + u64::from(rva)
    }

    /// Reads through the system's page tables.
    pub fn read(&self, va: u64, length: usize) -> Option<Vec<u8>> {
        self.system.read(&self.image, va, length)
    }

    /// Registers of all processors.
    pub fn registers(&self) -> Vec<crate::context::Registers> {
        self.processors.iter().map(|p| p.registers).collect()
    }

    /// All canaries of all processes.
    pub fn canaries(&self) -> impl Iterator<Item = &crate::Canary> {
        self.processes.iter().flat_map(|p| &p.canaries)
    }

    /// The header of a complete dump, seen from the first processor. It names
    /// KDBG's decoded copy, if there is one, as QEMU's guest driver does.
    pub fn header(&self) -> Header {
        let live = (0x161, [self.debugger_data_copy.unwrap_or(0), 0, 0, 0]);
        Header {
            build: BUILD,
            directory_table_base: self.processors[0].registers.cr3,
            pfn_database: Nt::variable(rva::PFN_DATABASE),
            loaded_module_list: Nt::variable(rva::MODULES),
            active_process_head: Nt::variable(rva::PROCESSES),
            processors: self.processors.len() as u32,
            bug_check: self.bug_check.unwrap_or(live),
            debugger_data: Nt::variable(rva::KDBG),
            context: self.processors[0].registers.context(),
            system_time: self.system_time,
            system_up_time: self.system_up_time,
            product_type: 1,
            suite_mask: 0x110,
        }
    }

    fn poke(&mut self, va: u64, bytes: &[u8]) {
        self.system.write(&mut self.image, va, bytes);
    }

    fn poke_u64(&mut self, va: u64, value: u64) {
        self.poke(va, &value.to_le_bytes());
    }

    /// Room in the pool.
    fn pool(&mut self, length: usize) -> u64 {
        let at = self.pool;
        self.system.back(&mut self.image, at, length as u64, Access::Kernel);
        self.pool = (at + length as u64).next_multiple_of(16);
        at
    }

    fn pool_with(&mut self, bytes: &[u8]) -> u64 {
        let at = self.pool(bytes.len());
        self.poke(at, bytes);
        at
    }

    /// A `UNICODE_STRING` in 16 bytes, its text in the pool.
    fn unicode_string(&mut self, text: &str) -> [u8; 16] {
        let text = utf16(text);
        let at = self.pool_with(&text);
        let mut s = [0; 16];
        put_u16(&mut s, 0, text.len() as u16);
        put_u16(&mut s, 2, text.len() as u16);
        put_u64(&mut s, 8, at);
        s
    }

    fn map_kernel(&mut self, large: bool) {
        let (system, image) = (self.system, &mut self.image);
        if large {
            let pfn = image.allocate_aligned(512, 512);
            system.map(image, KERNEL, pfn, PageSize::Large, Access::Kernel);
        } else {
            system.back(image, KERNEL, u64::from(pe::INIT), Access::Kernel);
        }
        let data = u64::from(pe::SIZE - pe::DATA);
        system.back(image, KERNEL + u64::from(pe::DATA), data, Access::Kernel);
        system.write(image, KERNEL, &self.kernel.bytes);
    }

    fn processes(&mut self, options: &NtOptions) {
        let eprocess = self.pool(0xa40);
        self.processes.push(Process::system(eprocess, self.system));
        for (name, pid) in [("explorer.exe", 0x1234), ("secret.exe", 0x2468)] {
            let space = AddressSpace::new(&mut self.image, options.paging);
            let eprocess = self.pool(0xa40);
            let mut p = Process::program(&mut self.image, name, pid, eprocess, space);
            if let (Some(pfn), 0x2468) = (options.huge_user_page, pid) {
                p.huge_page(&mut self.image, 0x100_0000_0000, pfn);
            }
            if options.kva_shadow {
                let shadow = AddressSpace::new(&mut self.image, options.paging);
                let user = self.image.read(space.root, 2048);
                self.image.write(shadow.root, &user);
                p.shadow = Some(shadow);
            }
            self.processes.push(p);
        }
        for p in &self.processes {
            p.write_eprocess(&mut self.image, &self.system);
        }
        let links: Vec<u64> = self.processes.iter().map(|p| p.eprocess + LINKS).collect();
        link(&self.system, &mut self.image, Nt::variable(rva::PROCESSES), &links);
        self.poke_u64(Nt::variable(rva::SYSTEM_PROCESS), eprocess);
    }

    fn processors(&mut self, options: &NtOptions) {
        let kernel = Kernel {
            space: &self.system.clone(),
            code: KERNEL + u64::from(pe::TEXT),
            version_block: Nt::variable(rva::VERSION_BLOCK),
        };
        for number in 0..options.processors {
            // The first is in the kernel on behalf of a program, the second in a
            // program, the others in the system process.
            let (index, user) = match number {
                0 => (1, false),
                1 => (2, true),
                _ => (0, false),
            };
            let process = &self.processes[index];
            let p = Processor::build(&mut self.image, &kernel, number, (index, process), user);
            let block = Nt::variable(rva::PROCESSOR_BLOCK) + 8 * u64::from(number);
            self.system.write(&mut self.image, block, &p.prcb.to_le_bytes());
            self.processors.push(p);
        }
    }

    /// The PDB of its kernel.
    pub fn pdb(&self) -> Vec<u8> {
        let symbols = [
            ("KdDebuggerDataBlock", rva::KDBG),
            ("KdpDataBlockEncoded", rva::ENCODED),
            ("KiWaitAlways", rva::WAIT_ALWAYS),
            ("KiWaitNever", rva::WAIT_NEVER),
            ("PsLoadedModuleList", rva::MODULES),
            ("PsActiveProcessHead", rva::PROCESSES),
            ("KiBugCheckData", rva::BUG_CHECK),
            ("MmPfnDatabase", rva::PFN_DATABASE),
            ("NtBuildLab", rva::BUILD_LAB),
            ("KiProcessorBlock", rva::PROCESSOR_BLOCK),
            ("MmUnloadedDrivers", rva::UNLOADED),
            ("MmLastUnloadedDriver", rva::LAST_UNLOADED),
            ("MmPhysicalMemoryBlock", rva::MEMORY_BLOCK),
        ];
        crate::pdb::of(&self.kernel, &symbols)
    }

    /// Frames that an active dump has: all that are not free, standby or zeroed.
    pub fn in_use(&self) -> BTreeSet<u64> {
        let litter: BTreeSet<u64> = self.litter.iter().copied().collect();
        self.image.written().map(|(pfn, _)| pfn).filter(|pfn| !litter.contains(pfn)).collect()
    }
}
