//! What QEMU adds to the ELF cores of `dump-guest-memory`.

use crate::wire;
use zerocopy::little_endian::{U32, U64};

/// Name of the notes that hold a [`QemuCpuState`].
pub const QEMU_NOTE_NAME: &[u8] = b"QEMU";
/// Name of the note that the guest prepared: of Windows with the FwCfg driver a
/// `DUMP_HEADER64`, of Linux text for crash tools.
pub const VMCOREINFO_NOTE_NAME: &[u8] = b"VMCOREINFO";
/// `QEMUCPUSTATE_VERSION`.
pub const QEMU_CPU_STATE_VERSION: u32 = 1;

wire! {
    /// `QEMUCPUSegment`, target/i386/arch_dump.c.
    pub struct QemuCpuSegment [24] {
        /// Selector.
        pub selector: U32,
        /// Limit.
        pub limit: U32,
        /// Attributes, as in the high word of a descriptor.
        pub flags: U32,
        /// Padding.
        pub pad: U32,
        /// Base address.
        pub base: U64,
    }
    /// `QEMUCPUState`, target/i386/arch_dump.c, as written since QEMU 2.12.
    pub struct QemuCpuState [440] {
        /// [`QEMU_CPU_STATE_VERSION`].
        pub version: U32,
        /// Size of this structure.
        pub size: U32,
        /// RAX.
        pub rax: U64,
        /// RBX.
        pub rbx: U64,
        /// RCX.
        pub rcx: U64,
        /// RDX.
        pub rdx: U64,
        /// RSI.
        pub rsi: U64,
        /// RDI.
        pub rdi: U64,
        /// RSP.
        pub rsp: U64,
        /// RBP.
        pub rbp: U64,
        /// R8 to R15.
        pub r8_to_r15: [U64; 8],
        /// RIP.
        pub rip: U64,
        /// RFLAGS.
        pub rflags: U64,
        /// CS.
        pub cs: QemuCpuSegment,
        /// DS.
        pub ds: QemuCpuSegment,
        /// ES.
        pub es: QemuCpuSegment,
        /// FS.
        pub fs: QemuCpuSegment,
        /// GS.
        pub gs: QemuCpuSegment,
        /// SS.
        pub ss: QemuCpuSegment,
        /// LDT.
        pub ldt: QemuCpuSegment,
        /// TR.
        pub tr: QemuCpuSegment,
        /// GDT: base and limit.
        pub gdt: QemuCpuSegment,
        /// IDT: base and limit.
        pub idt: QemuCpuSegment,
        /// CR0 to CR4.
        pub cr: [U64; 5],
        /// `IA32_KERNEL_GS_BASE`; older QEMU does not write it.
        pub kernel_gs_base: U64,
    }
}

/// Size of a [`QemuCpuState`] without `kernel_gs_base`, before QEMU 2.12.
pub const QEMU_CPU_STATE_OLD_SIZE: usize = 432;

wire! {
    /// `user_regs_struct` of Linux on x86-64 (asm/user_64.h), as in an
    /// `NT_PRSTATUS` note.
    pub struct LinuxUserRegsAmd64 [216] {
        /// R15, R14, R13, R12.
        pub r15_to_r12: [U64; 4],
        /// RBP.
        pub rbp: U64,
        /// RBX.
        pub rbx: U64,
        /// R11, R10, R9, R8.
        pub r11_to_r8: [U64; 4],
        /// RAX.
        pub rax: U64,
        /// RCX.
        pub rcx: U64,
        /// RDX.
        pub rdx: U64,
        /// RSI.
        pub rsi: U64,
        /// RDI.
        pub rdi: U64,
        /// Number of the system call.
        pub orig_rax: U64,
        /// RIP.
        pub rip: U64,
        /// CS.
        pub cs: U64,
        /// RFLAGS.
        pub rflags: U64,
        /// RSP.
        pub rsp: U64,
        /// SS.
        pub ss: U64,
        /// Base of FS.
        pub fs_base: U64,
        /// Base of GS.
        pub gs_base: U64,
        /// DS.
        pub ds: U64,
        /// ES.
        pub es: U64,
        /// FS.
        pub fs: U64,
        /// GS.
        pub gs: U64,
    }
    /// `user_pt_regs` of Linux on 64-bit ARM (asm/ptrace.h), as in an
    /// `NT_PRSTATUS` note.
    pub struct LinuxUserRegsArm64 [272] {
        /// X0 to X30.
        pub x: [U64; 31],
        /// SP.
        pub sp: U64,
        /// PC.
        pub pc: U64,
        /// PSTATE.
        pub pstate: U64,
    }
}

/// Where the registers stand in an `NT_PRSTATUS` note of a 64-bit machine.
pub const PRSTATUS_REGS_OFFSET: usize = 112;
