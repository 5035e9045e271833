//! What Wine keeps in the memory of a 64-bit Windows process that it runs: the
//! registers of a thread that is inside a system call, and its tables of the
//! address space.
//!
//! Layouts are those of Wine 7 to 9 on x86-64, as the bytes of its processes
//! show them. None of them is part of an interface, so whoever reads them holds
//! what they say against what is known from elsewhere.

use crate::wire;
use zerocopy::little_endian::{U16, U32, U64};

/// Where a TEB has the address of its thread's [`SyscallFrame`], in the part
/// that Windows gives to the graphics library and Wine to its own data.
pub const TEB_SYSCALL_FRAME: u64 = 0x328;
/// Where that part (`TEB::GdiTebBatch`) begins.
pub const TEB_WINE_DATA: u64 = 0x2F0;
/// Its size.
pub const TEB_WINE_DATA_SIZE: u64 = 0x4E8;
/// Bytes of the block that holds a TEB and, behind it, the stack of the
/// thread's signal handlers.
pub const TEB_BLOCK: u64 = 0x1_0000;
/// What the TEBs of both widths take at the start of the block.
pub const TEB_BLOCK_HEAD: u64 = 0x3800;

/// Offset of the FXSAVE area from the start of a [`SyscallFrame`].
pub const FRAME_FXSAVE: u64 = 0xC0;
/// Offset of the XSAVE header from the start of a [`SyscallFrame`]; what it
/// saves of the YMM registers follows.
pub const FRAME_XSAVE_HEADER: u64 = 0x2C0;
/// Bytes of a frame with all that follows it.
pub const FRAME_SIZE: u64 = 0x400;

/// `VPROT_*`: what Wine knows of a page.
pub mod page {
    /// It may be read.
    pub const READ: u8 = 0x01;
    /// It may be written.
    pub const WRITE: u8 = 0x02;
    /// It may be executed.
    pub const EXECUTE: u8 = 0x04;
    /// It is copied when it is written.
    pub const WRITE_COPY: u8 = 0x08;
    /// It is a guard page.
    pub const GUARD: u8 = 0x10;
    /// It is committed.
    pub const COMMITTED: u8 = 0x20;
}

/// `SEC_FILE`, `SEC_RESERVE` or `SEC_COMMIT` of a view: it maps a section.
pub const VIEW_SECTION: u32 = 0x0080_0000 | 0x0400_0000 | 0x0800_0000;
/// `SEC_IMAGE` of a view.
pub const VIEW_IMAGE: u32 = 0x0100_0000;

/// Binary logarithm of the pages that one table of page states covers.
pub const PAGE_TABLE_SHIFT: u64 = 20;

wire! {
    /// The registers that a thread entered a system call with.
    pub struct SyscallFrame [192] {
        /// RAX: the number of the call.
        pub rax: U64,
        /// RBX
        pub rbx: U64,
        /// RCX
        pub rcx: U64,
        /// RDX
        pub rdx: U64,
        /// RSI
        pub rsi: U64,
        /// RDI
        pub rdi: U64,
        /// R8 to R15
        pub r8_to_r15: [U64; 8],
        /// RIP: where the call returns to.
        pub rip: U64,
        /// CS
        pub cs: U16,
        /// DS
        pub ds: U16,
        /// ES
        pub es: U16,
        /// FS
        pub fs: U16,
        /// EFLAGS
        pub eflags: U64,
        /// RSP
        pub rsp: U64,
        /// SS
        pub ss: U16,
        /// GS
        pub gs: U16,
        /// What the way back has to restore.
        pub restore_flags: U32,
        /// RBP
        pub rbp: U64,
        /// The frame of the call that this one was called back from, or 0.
        pub previous: U64,
        /// Table of the call.
        pub table: U64,
        /// Flags of the thread.
        pub flags: U32,
        /// Not used.
        pub padding: [U32; 3],
    }

    /// A view: an allocation or a mapping, as a node of a tree ordered by
    /// address.
    pub struct View [56] {
        /// Address of the parent, or 0.
        pub parent: U64,
        /// Address of the node of lower addresses, or 0.
        pub left: U64,
        /// Address of the node of higher addresses, or 0.
        pub right: U64,
        /// Colour of the node.
        pub colour: U64,
        /// First address.
        pub base: U64,
        /// Bytes.
        pub size: U64,
        /// Initial [`page`] bits of its pages, and `SEC_*`.
        pub protect: U32,
        /// Not used.
        pub padding: U32,
    }
}
