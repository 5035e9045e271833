//! A whole guest: kernel image, KDBG, lists, processors and processes, at the
//! offsets of Windows 10 build 19041.

use crate::full_dump::Header;
use crate::image::{Image, PAGE, Run};
use crate::kdbg::{self, Keys};
use crate::paging::{Access, AddressSpace, PageSize, PagingMode};
use crate::pe::{self, KernelImage};
use crate::process::{LINKS, Process, link};
use crate::processor::{Kernel, Processor};
use crate::{mix, put, put_u16, put_u32, put_u64, utf16};
use std::collections::BTreeSet;

/// Base of the kernel image.
pub const KERNEL: u64 = 0xffff_f804_7ba0_0000;
/// Build of the guest.
pub const BUILD: u32 = 19041;
/// Index of the self-map in the top table.
pub const SELF_MAP: u64 = 0x1fb;
const SHARED: u64 = 0xffff_f780_0000_0000;
const PFN_DATABASE: u64 = 0xffff_a200_0000_0000;
/// Bytes of an entry of the PFN database (`_MMPFN`).
const PFN_ENTRY: u64 = 0x30;
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
    /// Not at all.
    Missing,
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

    fn shared_data(&mut self) {
        let mut k = [0; 0x400];
        put_u64(&mut k, 0x8, self.system_up_time);
        put_u32(&mut k, 0x10, (self.system_up_time >> 32) as u32);
        put_u64(&mut k, 0x14, self.system_time);
        put_u32(&mut k, 0x1c, (self.system_time >> 32) as u32);
        put_u16(&mut k, 0x2c, 0x8664);
        put_u16(&mut k, 0x2e, 0x8664);
        put(&mut k, 0x30, &utf16(r"C:\Windows"));
        put_u32(&mut k, 0x260, BUILD);
        put_u32(&mut k, 0x264, 1);
        k[0x268] = 1;
        put_u16(&mut k, 0x26a, 9);
        put_u32(&mut k, 0x26c, 10);
        put_u32(&mut k, 0x2d0, 0x110);
        put_u32(&mut k, 0x2e8, self.image.ram_pages() as u32);
        self.system.back(&mut self.image, SHARED, PAGE, Access::Kernel);
        self.poke(SHARED, &k);
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

    fn modules(&mut self) {
        let modules = [
            (r"\SystemRoot\system32\ntoskrnl.exe", KERNEL, pe::SIZE),
            (r"\SystemRoot\system32\hal.dll", 0xffff_f804_7944_0000, 0x6000),
            (r"\SystemRoot\System32\drivers\disk.sys", 0xffff_f804_8b58_0000, 0x4000),
            (r"\SystemRoot\System32\drivers\ünïcödé.sys", 0xffff_f804_8b60_0000, 0x3000),
        ];
        for (name, base, size) in modules {
            if base != KERNEL {
                self.system.back(&mut self.image, base, u64::from(size), Access::Kernel);
                let head = self.kernel.bytes[..0x400].to_vec();
                self.poke(base, &head);
                self.poke(base + 0x80 + 8, &(mix(base) as u32).to_le_bytes());
                self.poke(base + 0x98 + 56, &size.to_le_bytes());
            }
            let mut e = [0; 0xa0];
            put_u64(&mut e, 0x30, base);
            put_u64(&mut e, 0x38, base + 0x1100);
            put_u32(&mut e, 0x40, size);
            put(&mut e, 0x48, &self.unicode_string(name));
            put(&mut e, 0x58, &self.unicode_string(name.rsplit('\\').next().unwrap()));
            put_u32(&mut e, 0x68, 0x0900_4000);
            put_u16(&mut e, 0x6c, 1);
            put_u32(
                &mut e,
                0x9c,
                if base == KERNEL { self.kernel.timestamp } else { mix(base) as u32 },
            );
            let entry = self.pool_with(&e);
            self.modules.push(Module { entry, base, size, name: name.into() });
        }
        let entries: Vec<u64> = self.modules.iter().map(|m| m.entry).collect();
        link(&self.system, &mut self.image, Nt::variable(rva::MODULES), &entries);
    }

    fn unloaded_modules(&mut self) {
        let mut array = vec![0; 50 * 0x28];
        for i in 0..3 {
            let (name, start) = (format!("gone{i}.sys"), 0xffff_f804_9000_0000 + i * 0x10_0000);
            put(&mut array, i as usize * 0x28, &self.unicode_string(&name));
            put_u64(&mut array, i as usize * 0x28 + 0x10, start);
            put_u64(&mut array, i as usize * 0x28 + 0x18, start + 0x8000);
            put_u64(&mut array, i as usize * 0x28 + 0x20, self.system_time - 1000 + i);
            self.unloaded.push((name, start));
        }
        let at = self.pool_with(&array);
        self.poke_u64(Nt::variable(rva::UNLOADED), at);
        self.poke(Nt::variable(rva::LAST_UNLOADED), &3_u32.to_le_bytes());
    }

    fn variables(&mut self, options: &NtOptions) {
        let mut block = vec![0; 16 + 16 * options.runs.len()];
        put_u32(&mut block, 0, options.runs.len() as u32);
        put_u64(&mut block, 8, self.image.ram_pages());
        for (i, run) in options.runs.iter().enumerate() {
            put_u64(&mut block, 16 + 16 * i, run.base);
            put_u64(&mut block, 24 + 16 * i, run.count);
        }
        let at = self.pool_with(&block);
        self.poke_u64(Nt::variable(rva::MEMORY_BLOCK), at);
        self.poke_u64(Nt::variable(rva::PFN_DATABASE), PFN_DATABASE);
        self.poke(Nt::variable(rva::BUILD_LAB), b"19041.1.amd64fre.vb_release.191206-1406\0");
        self.poke(Nt::variable(rva::BUILD_NUMBER), &(0xf000_0000 | BUILD).to_le_bytes());
        if let Some((code, parameters)) = options.bug_check {
            let at = Nt::variable(rva::BUG_CHECK);
            self.poke_u64(at, u64::from(code));
            for (i, parameter) in parameters.iter().enumerate() {
                self.poke_u64(at + 8 + 8 * i as u64, *parameter);
            }
        }
        let mut version = [0; 0x28];
        put_u16(&mut version, 0, 0xf);
        put_u16(&mut version, 2, BUILD as u16);
        version[4] = 6;
        put_u16(&mut version, 6, 0x47);
        put_u16(&mut version, 8, 0x8664);
        put_u64(&mut version, 0x10, KERNEL);
        put_u64(&mut version, 0x18, Nt::variable(rva::MODULES));
        put_u64(&mut version, 0x20, Nt::variable(rva::DEBUGGER_LIST));
        self.poke(Nt::variable(rva::VERSION_BLOCK), &version);
    }

    fn debugger_data(&mut self, form: KdbgForm) {
        let list = Nt::variable(rva::DEBUGGER_LIST);
        let addresses = [
            (0x48, rva::MODULES),
            (0x50, rva::PROCESSES),
            (0x88, rva::BUG_CHECK),
            (0xc0, rva::PFN_DATABASE),
            (0x208, rva::BUILD_LAB),
            (0x218, rva::PROCESSOR_BLOCK),
            (0x220, rva::UNLOADED),
            (0x228, rva::LAST_UNLOADED),
            (0x268, rva::MEMORY_BLOCK),
        ]
        .map(|(at, rva)| (at, Nt::variable(rva)));
        self.debugger_data = kdbg::block(list, KERNEL, &addresses);
        // PteBase, of the self-map.
        put_u64(&mut self.debugger_data, 0x360, 0xffff_0000_0000_0000 | SELF_MAP << 39);
        let at = Nt::variable(rva::KDBG);
        link(&self.system, &mut self.image, list, &[at]);
        let clear = self.debugger_data.clone();
        match form {
            KdbgForm::Clear => self.poke(at, &clear),
            KdbgForm::Missing => self.poke(at, &[0; kdbg::SIZE]),
            KdbgForm::Encoded | KdbgForm::EncodedWithCopy => {
                let keys = self.keys;
                self.poke_u64(Nt::variable(rva::WAIT_NEVER), keys.wait_never);
                self.poke_u64(Nt::variable(rva::WAIT_ALWAYS), keys.wait_always);
                self.poke(keys.encoded_at, &[1]);
                self.poke(at, &keys.encode(&clear));
            }
        }
        if form == KdbgForm::EncodedWithCopy {
            self.debugger_data_copy = Some(self.pool_with(&clear));
        }
    }

    /// A kernel page that is on its way to disk.
    fn transition_page(&mut self) {
        let pfn = self.image.allocate();
        self.image.write(pfn * PAGE, &crate::pattern(pfn));
        self.system.map(
            &mut self.image,
            POOL + 0x100_0000,
            pfn,
            PageSize::Normal,
            Access::Transition,
        );
    }

    /// The PDB of its kernel.
    pub fn pdb(&self) -> Vec<u8> {
        let symbols = [
            ("KdDebuggerDataBlock", rva::KDBG),
            ("KdpDataBlockEncoded", rva::ENCODED),
            ("KiWaitAlways", rva::WAIT_ALWAYS),
            ("KiWaitNever", rva::WAIT_NEVER),
            ("PsLoadedModuleList", rva::MODULES),
        ];
        crate::pdb::of(&self.kernel, &symbols)
    }

    fn map_pfn_database(&mut self) {
        for run in self.image.runs().to_vec() {
            let at = PFN_DATABASE + run.base * PFN_ENTRY;
            self.system.back(&mut self.image, at, run.count * PFN_ENTRY, Access::Kernel);
        }
    }

    /// Says of each frame what it is for: what was written is in use, what was
    /// freed is free or standby, all else zeroed.
    fn write_pfn_database(&mut self) {
        let used: BTreeSet<u64> = self.image.written().map(|(pfn, _)| pfn).collect();
        let litter: BTreeSet<u64> = self.litter.iter().copied().collect();
        for run in self.image.runs().to_vec() {
            for pfn in run.base..run.end() {
                // FreePageList and StandbyPageList, ActiveAndValid, ZeroedPageList.
                let location = match (litter.contains(&pfn), used.contains(&pfn)) {
                    (true, _) => 1 + (pfn % 2) as u8,
                    (false, true) => 6,
                    (false, false) => 0,
                };
                let at = PFN_DATABASE + pfn * PFN_ENTRY + 0x22;
                self.system.write(&mut self.image, at, &[location | 0x40]);
            }
        }
    }

    /// Frames that an active dump has: all that are not free, standby or zeroed.
    pub fn in_use(&self) -> BTreeSet<u64> {
        let litter: BTreeSet<u64> = self.litter.iter().copied().collect();
        self.image.written().map(|(pfn, _)| pfn).filter(|pfn| !litter.contains(pfn)).collect()
    }
}
