//! A processor of the guest: KPCR with its KPRCB, tables, thread and stack.

use crate::context::Registers;
use crate::image::{Image, PAGE};
use crate::kdbg::PRCB_SIZE;
use crate::paging::{Access, AddressSpace, PageSize, PagingMode};
use crate::process::Process;
use crate::{put, put_u16, put_u32, put_u64};

/// Where `CONTEXT` stands in `KPROCESSOR_STATE` and so on: the KPRCB's.
pub const PRCB_IN_PCR: u64 = 0x180;
/// Bytes of a kernel stack.
pub const STACK: u64 = 0x6000;

/// A processor, and what it runs.
#[derive(Clone, Debug)]
pub struct Processor {
    /// Its number.
    pub number: u32,
    /// Its registers.
    pub registers: Registers,
    /// Address of its `KPCR`.
    pub pcr: u64,
    /// Address of its `KPRCB`.
    pub prcb: u64,
    /// Address of the `CONTEXT` that `KPRCB.Context` points to.
    pub context_at: u64,
    /// Address of its `ETHREAD`.
    pub thread: u64,
    /// Lowest and highest address of the thread's kernel stack.
    pub stack: (u64, u64),
    /// Index of the process that it runs.
    pub process: usize,
}

/// What [`Processor::build`] needs of the kernel.
pub struct Kernel<'a> {
    /// Its page tables.
    pub space: &'a AddressSpace,
    /// Address of its code.
    pub code: u64,
    /// Address of `KdVersionBlock`.
    pub version_block: u64,
}

impl Processor {
    /// Puts processor `number` into memory; `user`: it runs the program, not the
    /// kernel.
    pub fn build(
        image: &mut Image,
        kernel: &Kernel<'_>,
        number: u32,
        (index, process): (usize, &Process),
        user: bool,
    ) -> Processor {
        let n = u64::from(number);
        let pcr =
            if number == 0 { 0xffff_f804_7800_0000 } else { 0xffff_9a80_0000_0000 + n * 0x2_0000 };
        let stack = 0xffff_8504_0000_0000 + n * 0x1_0000;
        let (thread, context_at) =
            (0xffff_c08c_0000_0040 + n * 0x2000, 0xffff_c08c_0000_1000 + n * 0x2000);
        let space = kernel.space;
        space.back(image, pcr, 0x1_0000, Access::Kernel);
        space.back(image, stack, STACK, Access::Kernel);
        space.back(image, thread & !0xfff, 0x2000, Access::Kernel);

        let (gdt, idt, tss) = (pcr + 0xd000, pcr + 0xe000, pcr + 0xf000);
        let mut registers = Registers::distinct(0x100 + n);
        // LA57 says that there are five levels.
        let la57 = if space.mode == PagingMode::Long5 { 1 << 12 } else { 0 };
        registers.cr4 = 0x370_6f8 | la57;
        if space.mode == PagingMode::Long5 {
            registers.cr4 |= 0x1000;
        }
        registers.cr2 = 0xffff_c08b_dead_0000 + n;
        (registers.gdt, registers.idt, registers.tss) = (gdt, idt, tss);
        if user {
            (registers.cs, registers.ss) = (0x33, 0x2b);
            registers.rip = process.entry_point;
            registers.set_rsp(process.user_stack);
            (registers.gs_base, registers.kernel_gs_base) = (process.teb, pcr);
            registers.cr3 = process.shadow.unwrap_or(process.space).root;
        } else {
            registers.rip = kernel.code + 0x1234 + 0x40 * n;
            registers.set_rsp(stack + STACK - 0x1200 + 8 * n);
            (registers.gs_base, registers.kernel_gs_base) = (pcr, process.teb);
            registers.cr3 = process.space.root;
        }

        let p = Processor {
            number,
            registers,
            pcr,
            prcb: pcr + PRCB_IN_PCR,
            context_at,
            thread,
            stack: (stack, stack + STACK),
            process: index,
        };
        space.write(image, pcr, &p.pcr_bytes(kernel));
        space.write(image, p.prcb, &p.prcb_bytes());
        // `KPRCB.KernelDirectoryTableBase`, which the way into the kernel loads
        // where programs have tables without it.
        space.write(image, pcr + 0x9000, &process.space.root.to_le_bytes());
        if let Some(shadow) = process.shadow {
            for page in (pcr..pcr + 0x1_0000).step_by(PAGE as usize) {
                let pfn = space.translate(image, page).unwrap() / PAGE;
                shadow.map(image, page, pfn, PageSize::Normal, Access::Kernel);
            }
        }
        space.write(image, context_at, &registers.context());
        space.write(image, thread, &p.thread_bytes(process));
        space.write(image, idt, &interrupts(kernel.code));
        space.write(image, gdt, &descriptors(tss));
        for at in (0..STACK).step_by(8) {
            // Every third word looks like a return address.
            let word = if at % 24 == 0 { kernel.code + at } else { crate::mix(stack + at) };
            space.write(image, stack + at, &word.to_le_bytes());
        }
        p
    }

    fn pcr_bytes(&self, kernel: &Kernel<'_>) -> Vec<u8> {
        let mut b = vec![0; PRCB_IN_PCR as usize];
        let r = &self.registers;
        for (at, value) in [
            (0, r.gdt),
            (8, r.tss),
            (0x18, self.pcr),
            (0x20, self.prcb),
            (0x38, r.idt),
            (0x108, kernel.version_block),
        ] {
            put_u64(&mut b, at, value);
        }
        put_u16(&mut b, 0x60, 1);
        put_u16(&mut b, 0x62, 1);
        b
    }

    fn prcb_bytes(&self) -> Vec<u8> {
        let mut b = vec![0; PRCB_SIZE as usize];
        put_u32(&mut b, 0, 0x1f80);
        b[4] = self.number as u8;
        put_u64(&mut b, 8, self.thread);
        put_u32(&mut b, 0x24, self.number);
        put_u64(&mut b, 0x28, self.stack.1);
        put_u32(&mut b, 0x44, 3400);
        put(&mut b, 0x100, &self.registers.special());
        put(&mut b, 0x1f0, &self.registers.context());
        put(&mut b, 0x8590, b"GenuineIntel\0");
        put_u64(&mut b, 0x85c0, self.context_at);
        // The last word is found again only if a reader takes all of it.
        put_u64(&mut b, PRCB_SIZE as usize - 8, crate::mix(self.prcb));
        b
    }

    fn thread_bytes(&self, process: &Process) -> Vec<u8> {
        let mut b = vec![0; 0x898];
        b[0] = 6;
        for (at, value) in [
            (0x28, self.stack.1),
            (0x30, self.stack.0),
            (0x38, self.stack.1),
            (0x58, self.stack.1 - 0x1000),
            (0xb8, process.eprocess),
            (0xf0, process.teb),
            (0x220, process.eprocess),
            (0x478, process.pid),
            (0x480, process.pid + 0x10 + u64::from(self.number) * 4),
        ] {
            put_u64(&mut b, at, value);
        }
        b[0x184] = 2;
        put_u64(&mut b, 0x890, crate::mix(self.thread));
        b
    }
}

/// 256 interrupt gates, all into the kernel's code.
fn interrupts(code: u64) -> Vec<u8> {
    let mut b = vec![0; 0x1000];
    for i in 0..256 {
        let handler = code + 0x400 + 0x20 * i;
        let at = 16 * i as usize;
        put_u16(&mut b, at, handler as u16);
        put_u16(&mut b, at + 2, 0x10);
        put_u16(&mut b, at + 4, 0x8e00);
        put_u16(&mut b, at + 6, (handler >> 16) as u16);
        put_u32(&mut b, at + 8, (handler >> 32) as u32);
    }
    b
}

fn descriptors(tss: u64) -> Vec<u8> {
    let mut b = vec![0; 0x58];
    for (selector, value) in [
        (0x10, 0x0020_9b00_0000_0000_u64),
        (0x18, 0x0040_9300_0000_0000),
        (0x28, 0x00cf_f300_0000_ffff),
        (0x30, 0x0020_fb00_0000_0000),
    ] {
        put_u64(&mut b, selector, value);
    }
    let low = 0x67 | (tss & 0xff_ffff) << 16 | 0x8b << 40 | (tss >> 24 & 0xff) << 56;
    put_u64(&mut b, 0x40, low);
    put_u64(&mut b, 0x48, tss >> 32);
    b
}
