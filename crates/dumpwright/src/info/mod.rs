//! What a minidump holds, for people and for machines.
//!
//! [`DumpInfo`] is made from an open dump and has everything in one place;
//! [`DumpInfo::text`] writes it for a person, `serde` for a machine. The names
//! of fields are part of the interface: they stay, and new ones may come.
//! Addresses and flags are strings with `0x` in JSON, because many readers of
//! JSON lose the low bits of large numbers; sizes, counts, ids and times are
//! numbers.
//!
//! A stream that cannot be decoded is left out, and [`DumpInfo::damage`] says
//! so: a dump that was cut off still shows what is left.

#![forbid(unsafe_code)]

mod build;
mod exception;
mod hex;
mod kernel;
mod maps;
mod memory;
mod model;
mod process;
mod signal;
mod soft_errors;
mod status;
mod text;

#[cfg(test)]
mod tests;

pub use exception::exception_name;
pub use hex::Hex;
pub use kernel::{
    KernelBlock, KernelBugCheck, KernelDriver, KernelFile, KernelInfo, KernelPages, KernelRun,
    KernelSecondary, KernelSystem, KernelTriage,
};
pub use model::{
    DumpInfo, ExceptionInfo, FileInfo, HandleInfo, HandleTypeInfo, MemoryInfo, MemoryKind,
    MemoryKindInfo, ModuleInfo, ProcessInfo, StreamInfo, SystemSummary, ThreadSummary,
    UnloadedModuleInfo,
};
pub use text::{TextOptions, clean};
