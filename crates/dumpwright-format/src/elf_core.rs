//! ELF cores of Linux: the notes, and what they hold, on x86-64 and 64-bit ARM.
//!
//! Sources: `linux/elfcore.h`, `asm/user.h`, `asm/ptrace.h`, `linux/elf.h`.
//! Headers, program headers and note headers are those of any ELF file.

use crate::wire;
use zerocopy::little_endian::{I16, I32, U16, U32, U64};

/// `EM_X86_64`
pub const EM_X86_64: u16 = 62;
/// `EM_AARCH64`
pub const EM_AARCH64: u16 = 183;
/// `ET_CORE`
pub const ET_CORE: u16 = 4;
/// `PT_LOAD`
pub const PT_LOAD: u32 = 1;
/// `PT_NOTE`
pub const PT_NOTE: u32 = 4;
/// `e_phnum` of a file whose program headers are counted by `sh_info` of its
/// first section header, since there are too many for the field.
pub const PN_XNUM: u16 = 0xffff;

/// Owner of the notes that every system has.
pub const OWNER_CORE: &[u8] = b"CORE";
/// Owner of the notes that only Linux has.
pub const OWNER_LINUX: &[u8] = b"LINUX";
/// Owner of our own notes, which other readers pass over.
pub const OWNER_DUMPWRIGHT: &[u8] = b"dumpwright";

/// [`PrStatus`], the general registers, and whether there are others.
pub const NT_PRSTATUS: u32 = 1;
/// The floating-point registers: an FXSAVE area, or [`FpsimdState`].
pub const NT_FPREGSET: u32 = 2;
/// [`PrPsInfo`].
pub const NT_PRPSINFO: u32 = 3;
/// The auxiliary vector.
pub const NT_AUXV: u32 = 6;
/// An XSAVE area in its standard form.
pub const NT_X86_XSTATE: u32 = 0x202;
/// How the features lie in an XSAVE area, as [`XsaveComponent`]s.
pub const NT_X86_XSAVE_LAYOUT: u32 = 0x205;
/// `TPIDR_EL0`.
pub const NT_ARM_TLS: u32 = 0x401;
/// A `siginfo_t`.
pub const NT_SIGINFO: u32 = 0x5349_4749;
/// The files that are mapped.
pub const NT_FILE: u32 = 0x4649_4c45;

// Types of our own notes: none that any system has, since GDB's library takes
// an owner that it does not know for one whose types are the general ones.

/// Note of ours: what could not be had, as in the soft-errors stream.
pub const NOTE_SOFT_ERRORS: u32 = 0x4457_0001;
/// Note of ours: a minidump without memory, with the streams that a minidump of
/// the same process by the same flags has.
pub const NOTE_STREAMS: u32 = 0x4457_0002;
/// Note of ours: ranges (start and end, 64 bits each) of memory that the process
/// had never used, and that reads as zero without being stored.
pub const NOTE_ZERO: u32 = 0x4457_0003;

/// `sw_reserved` of an FXSAVE area in a core: the mask of features (`XCR0`).
pub const XSAVE_XCR0_OFFSET: usize = 464;

/// Bytes of `siginfo_t`.
pub const SIGINFO_SIZE: usize = 128;

wire! {
    /// `Elf64_Ehdr`.
    pub struct FileHeader [64] {
        /// Magic, class (2), byte order (1), version (1), system ABI.
        pub ident: [u8; 16],
        /// `ET_*`.
        pub kind: U16,
        /// `EM_*`.
        pub machine: U16,
        /// 1.
        pub version: U32,
        /// Entry point; 0 in a core.
        pub entry: U64,
        /// Offset of the program headers.
        pub phoff: U64,
        /// Offset of the section headers.
        pub shoff: U64,
        /// Flags of the processor.
        pub flags: U32,
        /// Bytes of this header.
        pub ehsize: U16,
        /// Bytes of a program header.
        pub phentsize: U16,
        /// Program headers, or [`PN_XNUM`].
        pub phnum: U16,
        /// Bytes of a section header.
        pub shentsize: U16,
        /// Section headers.
        pub shnum: U16,
        /// Section of names.
        pub shstrndx: U16,
    }
    /// `Elf64_Phdr`.
    pub struct ProgramHeader [56] {
        /// `PT_*`.
        pub kind: U32,
        /// `PF_*`: 1 execute, 2 write, 4 read.
        pub flags: U32,
        /// Offset of its bytes in the file.
        pub offset: U64,
        /// Address.
        pub vaddr: U64,
        /// Physical address; 0.
        pub paddr: U64,
        /// Bytes in the file.
        pub filesz: U64,
        /// Bytes in memory.
        pub memsz: U64,
        /// Alignment.
        pub align: U64,
    }
    /// `Elf64_Shdr`.
    pub struct SectionHeader [64] {
        /// Name.
        pub name: U32,
        /// `SHT_*`.
        pub kind: U32,
        /// `SHF_*`.
        pub flags: U64,
        /// Address.
        pub addr: U64,
        /// Offset.
        pub offset: U64,
        /// Bytes; in the first header the number of sections.
        pub size: U64,
        /// In the first header the section of names.
        pub link: U32,
        /// In the first header the number of program headers.
        pub info: U32,
        /// Alignment.
        pub addralign: U64,
        /// Bytes of an entry.
        pub entsize: U64,
    }
    /// `Elf64_Nhdr`; name and description follow, each padded to 4 bytes.
    pub struct NoteHeader [12] {
        /// Bytes of the owner's name, NUL included.
        pub namesz: U32,
        /// Bytes of the description.
        pub descsz: U32,
        /// `NT_*`.
        pub kind: U32,
    }
    /// `struct timeval`.
    pub struct TimeVal [16] {
        /// Seconds.
        pub seconds: U64,
        /// Microseconds.
        pub micros: U64,
    }
    /// `struct elf_prstatus` up to its registers, which `pr_fpvalid` (32 bits,
    /// padded to 64) follows.
    pub struct PrStatus [112] {
        /// `pr_info.si_signo`
        pub si_signo: I32,
        /// `pr_info.si_code`
        pub si_code: I32,
        /// `pr_info.si_errno`
        pub si_errno: I32,
        /// Signal that the process ended by.
        pub cursig: I16,
        /// Padding.
        pub padding: U16,
        /// Signals that wait.
        pub sigpend: U64,
        /// Signals that are blocked.
        pub sighold: U64,
        /// Thread id.
        pub pid: U32,
        /// Process id of the parent.
        pub ppid: U32,
        /// Process group.
        pub pgrp: U32,
        /// Session.
        pub sid: U32,
        /// User time; of the main thread, that of the whole process.
        pub utime: TimeVal,
        /// Kernel time; of the main thread, that of the whole process.
        pub stime: TimeVal,
        /// User time of children.
        pub cutime: TimeVal,
        /// Kernel time of children.
        pub cstime: TimeVal,
    }
    /// `struct elf_prpsinfo`.
    pub struct PrPsInfo [136] {
        /// State as a number.
        pub state: u8,
        /// State as a letter.
        pub sname: u8,
        /// Whether it is a zombie.
        pub zomb: u8,
        /// Nice value.
        pub nice: i8,
        /// Padding.
        pub padding: U32,
        /// Flags.
        pub flag: U64,
        /// User id.
        pub uid: U32,
        /// Group id.
        pub gid: U32,
        /// Process id.
        pub pid: U32,
        /// Process id of the parent.
        pub ppid: U32,
        /// Process group.
        pub pgrp: U32,
        /// Session.
        pub sid: U32,
        /// Name.
        pub fname: [u8; 16],
        /// Start of the arguments, divided by blanks.
        pub psargs: [u8; 80],
    }
    /// `struct user_regs_struct` of x86-64.
    pub struct UserRegsAmd64 [216] {
        /// R15.
        pub r15: U64,
        /// R14.
        pub r14: U64,
        /// R13.
        pub r13: U64,
        /// R12.
        pub r12: U64,
        /// RBP.
        pub rbp: U64,
        /// RBX.
        pub rbx: U64,
        /// R11.
        pub r11: U64,
        /// R10.
        pub r10: U64,
        /// R9.
        pub r9: U64,
        /// R8.
        pub r8: U64,
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
        /// Number of the system call, or −1.
        pub orig_rax: U64,
        /// RIP.
        pub rip: U64,
        /// CS.
        pub cs: U64,
        /// EFLAGS.
        pub eflags: U64,
        /// RSP.
        pub rsp: U64,
        /// SS.
        pub ss: U64,
        /// Base of FS: the thread pointer.
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
    /// `struct user_pt_regs` of 64-bit ARM.
    pub struct UserRegsArm64 [272] {
        /// X0 to X30.
        pub x: [U64; 31],
        /// SP.
        pub sp: U64,
        /// PC.
        pub pc: U64,
        /// PSTATE.
        pub pstate: U64,
    }
    /// `struct user_fpsimd_state` of 64-bit ARM.
    pub struct FpsimdState [528] {
        /// V0 to V31.
        pub v: [[u8; 16]; 32],
        /// FPSR.
        pub fpsr: U32,
        /// FPCR.
        pub fpcr: U32,
        /// Padding.
        pub reserved: [U32; 2],
    }
    /// `struct x86_xfeat_component`.
    pub struct XsaveComponent [16] {
        /// Number of the feature.
        pub kind: U32,
        /// Bytes.
        pub size: U32,
        /// Offset in the XSAVE area.
        pub offset: U32,
        /// Flags.
        pub flags: U32,
    }
    /// What `NT_FILE` begins with; entries and then their names follow.
    pub struct FileNoteHeader [16] {
        /// Entries.
        pub count: U64,
        /// Bytes of the unit in which offsets are counted.
        pub page_size: U64,
    }
    /// An entry of `NT_FILE`.
    pub struct FileNoteEntry [24] {
        /// First address.
        pub start: U64,
        /// First address past the end.
        pub end: U64,
        /// Offset in the file, in units.
        pub offset: U64,
    }
}
