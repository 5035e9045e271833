//! Registers of an x86-64 processor, and the structures that hold them:
//! `CONTEXT` (winnt.h) and QEMU's CPU-state note (`QEMUCPUState`).

use crate::{put, put_u16, put_u32, put_u64};

/// Size of `CONTEXT` of x86-64.
pub const CONTEXT_SIZE: usize = 0x4d0;

/// Registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// rax rcx rdx rbx rsp rbp rsi rdi r8 … r15: the order of `CONTEXT`.
    pub general: [u64; 16],
    /// Instruction pointer.
    pub rip: u64,
    /// Flags.
    pub rflags: u32,
    /// Code selector: 0x10 in the kernel, 0x33 in a user program.
    pub cs: u16,
    /// Stack selector.
    pub ss: u16,
    /// CR3.
    pub cr3: u64,
    /// CR2.
    pub cr2: u64,
    /// CR4.
    pub cr4: u64,
    /// Base of GS.
    pub gs_base: u64,
    /// What `swapgs` would load.
    pub kernel_gs_base: u64,
    /// Base of the interrupt table.
    pub idt: u64,
    /// Base of the descriptor table.
    pub gdt: u64,
    /// Base of the task segment.
    pub tss: u64,
}

const RSP: usize = 4;

impl Registers {
    /// Registers that differ from those of any other seed.
    pub fn distinct(seed: u64) -> Registers {
        let mut general = [0; 16];
        for (i, register) in general.iter_mut().enumerate() {
            *register = crate::mix(seed << 8 | i as u64);
        }
        Registers { general, rflags: 0x40202, cs: 0x10, ss: 0x18, ..Registers::default() }
    }

    /// Stack pointer.
    pub fn rsp(&self) -> u64 {
        self.general[RSP]
    }

    /// Sets the stack pointer.
    pub fn set_rsp(&mut self, value: u64) {
        self.general[RSP] = value;
    }

    /// As `CONTEXT`.
    pub fn context(&self) -> Vec<u8> {
        let mut c = vec![0; CONTEXT_SIZE];
        put_u32(&mut c, 0x30, 0x0010_001f);
        put_u32(&mut c, 0x34, 0x1f80);
        for (at, value) in [
            (0x38, self.cs),
            (0x3a, 0x2b),
            (0x3c, 0x2b),
            (0x3e, 0x53),
            (0x40, 0x2b),
            (0x42, self.ss),
        ] {
            put_u16(&mut c, at, value);
        }
        put_u32(&mut c, 0x44, self.rflags);
        for (i, register) in self.general.iter().enumerate() {
            put_u64(&mut c, 0x78 + 8 * i, *register);
        }
        put_u64(&mut c, 0xf8, self.rip);
        // XMM_SAVE_AREA32: control word, and MXCSR with its mask.
        put_u16(&mut c, 0x100, 0x27f);
        put_u32(&mut c, 0x118, 0x1f80);
        c
    }

    /// As QEMU's CPU-state note has them.
    pub fn qemu_state(&self) -> Vec<u8> {
        let mut s = vec![0; 0x1b8];
        put_u32(&mut s, 0, 1);
        put_u32(&mut s, 4, 0x1b8);
        // QEMU's order: rax rbx rcx rdx rsi rdi rsp rbp r8 …
        let order = [0, 3, 1, 2, 6, 7, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15];
        for (i, &from) in order.iter().enumerate() {
            put_u64(&mut s, 8 + 8 * i, self.general[from]);
        }
        put_u64(&mut s, 0x88, self.rip);
        put_u64(&mut s, 0x90, u64::from(self.rflags));
        let user = self.cs & 3 != 0;
        let segments = [
            (self.cs, 0, 0, if user { 0x00a0_fb00 } else { 0x00a0_9b00 }),
            (0x2b, u32::MAX, 0, 0x00c0_f300),
            (0x2b, u32::MAX, 0, 0x00c0_f300),
            (0x53, 0x3c00, 0, 0x0040_f300),
            (0x2b, u32::MAX, self.gs_base, 0x00c0_f300),
            (self.ss, u32::MAX, 0, 0x00c0_9300),
            (0, 0, 0, 0),
            (0x40, 0x67, self.tss, 0x8b00),
            (0, 0x57, self.gdt, 0),
            (0, 0xfff, self.idt, 0),
        ];
        for (i, (selector, limit, base, flags)) in segments.into_iter().enumerate() {
            let at = 0x98 + 24 * i;
            put_u32(&mut s, at, u32::from(selector));
            put_u32(&mut s, at + 4, limit);
            put_u32(&mut s, at + 8, flags);
            put_u64(&mut s, at + 16, base);
        }
        for (i, value) in [0x8005_0033, 0, self.cr2, self.cr3, self.cr4].into_iter().enumerate() {
            put_u64(&mut s, 0x188 + 8 * i, value);
        }
        put_u64(&mut s, 0x1b0, self.kernel_gs_base);
        s
    }

    /// As `elf_prstatus` of Linux's core files, 336 bytes.
    pub fn prstatus(&self, number: u32) -> Vec<u8> {
        let mut s = vec![0; 336];
        put_u32(&mut s, 32, number);
        let g = &self.general;
        // user_regs_struct: r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx
        // rsi rdi orig_rax rip cs eflags rsp ss
        let registers = [
            g[15],
            g[14],
            g[13],
            g[12],
            g[5],
            g[3],
            g[11],
            g[10],
            g[9],
            g[8],
            g[0],
            g[1],
            g[2],
            g[6],
            g[7],
            0,
            self.rip,
            u64::from(self.cs),
            u64::from(self.rflags),
            g[4],
            u64::from(self.ss),
        ];
        for (i, value) in registers.into_iter().enumerate() {
            put_u64(&mut s, 112 + 8 * i, value);
        }
        s
    }

    /// As `KSPECIAL_REGISTERS` of x86-64 begins: control registers, tables, GS.
    pub fn special(&self) -> Vec<u8> {
        let mut s = vec![0; 0xf0];
        for (i, value) in [0x8005_0033, self.cr2, self.cr3, self.cr4].into_iter().enumerate() {
            put_u64(&mut s, 8 * i, value);
        }
        put_u16(&mut s, 0x56, 0x57);
        put_u64(&mut s, 0x58, self.gdt);
        put_u16(&mut s, 0x66, 0xfff);
        put_u64(&mut s, 0x68, self.idt);
        put(&mut s, 0x70, &[0x40, 0]);
        put_u64(&mut s, 0xa8, self.gs_base);
        put_u64(&mut s, 0xb0, self.kernel_gs_base);
        s
    }
}
