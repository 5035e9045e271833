//! The guest of a real small dump: its blocks at their real addresses behind
//! fresh page tables, and around them only what ties them together.

use crate::context::Registers;
use crate::image::{Image, PAGE, Run};
use crate::paging::{Access, AddressSpace, PagingMode};
use crate::process::link;
use crate::triage::{Block, TriageDump};
use crate::{put, put_u16, put_u32, put_u64, utf16};

/// Where a list's entries and strings are put that the dump gives no address.
const EXTRA: u64 = 0xffff_b800_0000_0000;

/// A guest with the blocks of a real small dump.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    /// The dump.
    pub triage: TriageDump,
    /// Memory.
    pub image: Image,
    /// Page tables, at the address that the dump names.
    pub space: AddressSpace,
    /// The processors' registers, in a form for QEMU's notes.
    pub registers: Vec<Registers>,
    /// Address of the `KPRCB`.
    pub prcb: u64,
    /// Address of the `ETHREAD`.
    pub thread: u64,
    /// Address of the `EPROCESS`.
    pub process: u64,
    /// Bytes that the dump gave, by address: what a new dump must have again.
    pub real: Vec<Block>,
    extra: u64,
}

impl Rebuilt {
    /// Puts the blocks of `triage` into memory.
    pub fn new(triage: TriageDump) -> Rebuilt {
        let runs = [Run::new(0x1, 0x9f), Run::new(0x100, 0x4000), Run::new(0x10_0000, 0x10_0800)];
        let mut image = Image::new(&runs);
        let space = AddressSpace::at(&mut image, PagingMode::Long4, triage.directory_table_base());
        let thread = word(triage.prcb(), 8);
        let process = word(triage.thread(), triage.debugger_u16(0x2a0));
        let mut r = Rebuilt {
            prcb: 0,
            thread,
            process,
            registers: Vec::new(),
            real: Vec::new(),
            extra: EXTRA,
            triage,
            image,
            space,
        };
        r.place_real_blocks();
        r.tie_together();
        r.registers = (0..r.triage.u32(0x34)).map(|number| r.registers_of(number)).collect();
        r
    }

    fn place_real_blocks(&mut self) {
        let t = self.triage.clone();
        for block in t.data_blocks() {
            self.place(block);
        }
        let block = t.debugger_u64(0x218);
        self.prcb = word(&self.read(block, 8).expect("KiProcessorBlock is among the blocks"), 0);
        self.place(Block { va: self.prcb, bytes: t.prcb().to_vec() });
        self.place(Block { va: self.process, bytes: t.process().to_vec() });
        self.place(Block { va: self.thread, bytes: t.thread().to_vec() });
        self.place(t.stack());
        self.place(Block { va: t.u64(0x80), bytes: t.debugger_data().to_vec() });
    }

    fn place(&mut self, block: Block) {
        self.space.back(&mut self.image, block.va, block.bytes.len() as u64, Access::Kernel);
        self.space.write(&mut self.image, block.va, &block.bytes);
        self.real.push(block);
    }

    /// Reads at a virtual address.
    pub fn read(&self, va: u64, length: usize) -> Option<Vec<u8>> {
        self.space.read(&self.image, va, length)
    }

    fn set(&mut self, va: u64, bytes: &[u8]) {
        self.space.back(&mut self.image, va, bytes.len() as u64, Access::Kernel);
        self.space.write(&mut self.image, va, bytes);
    }

    /// Puts bytes where there is room.
    fn add(&mut self, bytes: &[u8]) -> u64 {
        let at = self.extra;
        self.set(at, bytes);
        self.extra = (at + bytes.len() as u64).next_multiple_of(16);
        at
    }

    /// The variables that KDBG points to and the dump does not hold.
    fn tie_together(&mut self) {
        let t = self.triage.clone();
        // KPCR: what it says of itself, and of its processor.
        let pcr = self.prcb - 0x180;
        self.set(pcr + 0x18, &pcr.to_le_bytes());
        self.set(pcr + 0x20, &self.prcb.to_le_bytes());
        let mut bug_check = u64::from(t.u32(0x38)).to_le_bytes().to_vec();
        bug_check.extend(&t.bytes[0x40..0x60]);
        self.set(t.debugger_u64(0x88), &bug_check);
        self.modules();
        self.unloaded();
        self.shared_data();
        self.export_name();
        let mut block = vec![0; 16];
        put_u32(&mut block, 0, self.image.runs().len() as u32);
        put_u64(&mut block, 8, self.image.ram_pages());
        for run in self.image.runs() {
            block.extend(run.base.to_le_bytes());
            block.extend(run.count.to_le_bytes());
        }
        let at = self.add(&block);
        self.set(t.debugger_u64(0x270), &at.to_le_bytes());
    }

    fn modules(&mut self) {
        let mut entries = Vec::new();
        for driver in self.triage.drivers() {
            let mut e = driver.entry.clone();
            e.resize(0xa0, 0);
            // Small dumps have the time stamp in the place of `CoverageSection`.
            let stamp = [e[0x80], e[0x81], e[0x82], e[0x83]];
            put(&mut e, 0x80, &[0; 8]);
            put(&mut e, 0x9c, &stamp);
            let base = driver.name.rsplit('\\').next().unwrap();
            for (at, text) in [(0x48, driver.name.as_str()), (0x58, base)] {
                let text = utf16(text);
                let string = self.add(&text);
                put_u16(&mut e, at, text.len() as u16);
                put_u16(&mut e, at + 2, text.len() as u16);
                put_u64(&mut e, at + 8, string);
            }
            entries.push(self.add(&e));
        }
        let head = self.triage.debugger_u64(0x48);
        self.set(head, &[0; 16]);
        link(&self.space, &mut self.image, head, &entries);
    }

    fn unloaded(&mut self) {
        let unloaded = self.triage.unloaded();
        let from = self.triage.u32(0x2018) as usize + 8;
        let mut array = vec![0; 50 * 0x28];
        // A small dump lists the last one first; the kernel's array, the oldest.
        for (place, (i, (name, _))) in unloaded.iter().enumerate().rev().enumerate() {
            let text = utf16(name);
            let string = self.add(&text);
            let e = 0x28 * place;
            put_u16(&mut array, e, text.len() as u16);
            put_u16(&mut array, e + 2, text.len() as u16);
            put_u64(&mut array, e + 8, string);
            let range = &self.triage.bytes[from + 0x38 * i + 40..from + 0x38 * i + 56];
            put(&mut array, e + 16, range);
        }
        let at = self.add(&array);
        self.set(self.triage.debugger_u64(0x220), &at.to_le_bytes());
        self.set(self.triage.debugger_u64(0x228), &(unloaded.len() as u32).to_le_bytes());
    }

    /// `KUSER_SHARED_DATA`, which every guest has, of what the header says.
    fn shared_data(&mut self) {
        let t = &self.triage;
        let mut k = [0; 0x400];
        let (time, up) = (t.u64(0xfa8), t.u64(0x1030));
        for (at, value) in [(0x8, up), (0x14, time)] {
            put_u64(&mut k, at, value);
            put_u32(&mut k, at + 8, (value >> 32) as u32);
        }
        put_u32(&mut k, 0x260, t.u32(0xc));
        put_u32(&mut k, 0x264, t.u32(0x1040));
        put_u32(&mut k, 0x26c, 10);
        put_u32(&mut k, 0x2d0, t.u32(0x1044));
        self.set(0xffff_f780_0000_0000, &k);
    }

    /// The name under which the kernel exports itself: the dump has the page
    /// with the kernel's headers, which say where its export directory is.
    fn export_name(&mut self) {
        let base = self.triage.debugger_u64(0x18);
        let headers = self.read(base, 0x1000).expect("the kernel's headers are among the blocks");
        let word = |at: usize| u32::from_le_bytes(headers[at..at + 4].try_into().unwrap());
        let directory = word(word(0x3c) as usize + 24 + 112);
        let mut exports = [0; 64];
        put_u32(&mut exports, 12, directory + 40);
        put(&mut exports, 40, b"ntoskrnl.exe\0");
        self.set(base + u64::from(directory), &exports);
    }

    /// Registers of a processor: of the first, those of the dump's header.
    fn registers_of(&self, number: u32) -> Registers {
        let t = &self.triage;
        let slot = t.debugger_u64(0x218) + 8 * u64::from(number);
        let at = word(&self.read(slot, 8).unwrap(), 0);
        let prcb = self.read(at, t.prcb().len()).expect("every KPRCB is among the blocks");
        let context = self.read(word(&prcb, t.debugger_u16(0x338)), 0x4d0).unwrap();
        let context = if number == 0 { t.context() } else { &context };
        registers(context, &prcb, t.directory_table_base())
    }

    /// Whether a frame holds a page of this address.
    pub fn frame_of(&self, va: u64) -> Option<u64> {
        Some(self.space.translate(&self.image, va)? / PAGE)
    }
}

/// Registers of a `CONTEXT` and, where that has none, of a `KPRCB`.
fn registers(c: &[u8], prcb: &[u8], cr3: u64) -> Registers {
    let mut general = [0; 16];
    for (i, register) in general.iter_mut().enumerate() {
        *register = word(c, 0x78 + 8 * i);
    }
    let special = &prcb[0x100..];
    Registers {
        general,
        rip: word(c, 0xf8),
        rflags: u32::from_le_bytes(c[0x44..0x48].try_into().unwrap()),
        cs: u16::from_le_bytes([c[0x38], c[0x39]]),
        ss: u16::from_le_bytes([c[0x42], c[0x43]]),
        cr3,
        cr2: word(special, 8),
        cr4: word(special, 0x18),
        gs_base: word(special, 0xa8),
        kernel_gs_base: word(special, 0xb0),
        idt: word(special, 0x68),
        gdt: word(special, 0x58),
        tss: 0,
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}
