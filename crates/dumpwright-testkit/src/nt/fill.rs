//! What stands in the guest's kernel: shared data, modules, variables, KDBG, the
//! PFN database.

use super::{BUILD, KERNEL, KdbgForm, Module, Nt, NtOptions, POOL, SELF_MAP, rva};
use crate::image::PAGE;
use crate::paging::{Access, PageSize};
use crate::process::link;
use crate::{kdbg, mix, pe, put, put_u16, put_u32, put_u64, utf16};
use std::collections::BTreeSet;

const SHARED: u64 = 0xffff_f780_0000_0000;
const PFN_DATABASE: u64 = 0xffff_a200_0000_0000;
/// Bytes of an entry of the PFN database (`_MMPFN`).
const PFN_ENTRY: u64 = 0x30;

impl Nt {
    pub(super) fn shared_data(&mut self) {
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

    pub(super) fn modules(&mut self) {
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

    pub(super) fn unloaded_modules(&mut self) {
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

    pub(super) fn variables(&mut self, options: &NtOptions) {
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
            self.raise(options.crashed, code, parameters);
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

    /// Registers of the call of `KeBugCheckEx`, where the kernel keeps them.
    fn raise(&mut self, processor: usize, code: u32, parameters: [u64; 4]) {
        let p = &self.processors[processor];
        let (at, mut registers) = (p.context_at, p.registers);
        registers.rip = KERNEL + u64::from(pe::TEXT) + 0x500;
        let [p1, p2, p3, _] = parameters;
        for (register, value) in [(1, u64::from(code)), (2, p1), (8, p2), (9, p3)] {
            registers.general[register] = value;
        }
        self.poke(at, &registers.context());
    }

    pub(super) fn debugger_data(&mut self, form: KdbgForm) {
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
            (0x270, rva::MEMORY_BLOCK),
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
            KdbgForm::NoPage => {
                self.system.unmap(&mut self.image, at);
                // Nor does the kernel's list lead there.
                self.poke(list, &[0; 16]);
            }
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
    pub(super) fn transition_page(&mut self) {
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

    pub(super) fn map_pfn_database(&mut self) {
        for run in self.image.runs().to_vec() {
            let at = PFN_DATABASE + run.base * PFN_ENTRY;
            self.system.back(&mut self.image, at, run.count * PFN_ENTRY, Access::Kernel);
        }
    }

    /// Says of each frame what it is for: what was written is in use, what was
    /// freed is free or standby, all else zeroed.
    pub(super) fn write_pfn_database(&mut self) {
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
}
