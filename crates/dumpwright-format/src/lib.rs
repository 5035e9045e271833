//! What the bytes of a crash dump are: structures, constants and flags.
//!
//! Plain data, with no I/O, no allocation beyond names for printing, and no
//! unsafe code. Every structure is `#[repr(C)]` over little-endian integer
//! types, so it has the layout of the file on any host; its size is asserted
//! at compile time and its documentation names the header it comes from.
//!
//! - [`flags`]: [`Qualifier`], [`FormatFlags`] and [`MinidumpType`], the inputs
//!   of `WriteDumpFile2`.
//! - [`minidump`]: the user-mode minidump.
//! - [`kernel`]: the kernel-mode crash dumps.
//! - [`context`]: the processor `CONTEXT` records.
//! - [`nt`]: what Windows leaves in a process's memory.
//! - [`debug_event`]: what Windows tells a debugger.
//! - [`machine`]: memory images of machines, and the Windows kernel in them.
//! - [`cab`]: the Microsoft cabinet and its limits.

#![forbid(unsafe_code)]
#![no_std]

extern crate alloc;

pub mod cab;
pub mod context;
pub mod debug_event;
pub mod elf_core;
pub mod flags;
pub mod kernel;
pub mod machine;
pub mod minidump;
pub mod nt;
pub mod userdump;
pub mod wine;

pub use flags::{FormatFlags, MinidumpType, Qualifier};

/// Asserts at compile time that a wire structure has the documented size.
macro_rules! assert_size {
    ($ty:ty, $size:expr) => {
        const _: () = assert!(core::mem::size_of::<$ty>() == $size);
    };
}
pub(crate) use assert_size;

/// Declares little-endian wire structures with the derives that all of them
/// need, and asserts their sizes.
macro_rules! wire {
    ($( $(#[$meta:meta])* pub struct $name:ident [$size:expr] { $( $(#[$fmeta:meta])* pub $field:ident : $ty:ty ),* $(,)? } )*) => {
        $(
            $(#[$meta])*
            #[derive(
                Clone, Copy, Debug,
                zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout,
                zerocopy::Immutable, zerocopy::Unaligned,
            )]
            #[repr(C)]
            pub struct $name { $( $(#[$fmeta])* pub $field: $ty ),* }
            $crate::assert_size!($name, $size);
        )*
    };
}
pub(crate) use wire;
