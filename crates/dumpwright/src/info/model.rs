//! The fields of [`DumpInfo`]: names that stay.

use super::hex::Hex;
use crate::read::{SystemMemory, VmCounters};
use serde::Serialize;

/// What a minidump holds. See the [module](super) for the form in JSON.
#[derive(Clone, Debug, Serialize)]
pub struct DumpInfo {
    /// The comment that was given when it was written.
    pub comment: Option<String>,
    /// The file and its header.
    pub file: FileInfo,
    /// The system that the process ran on.
    pub system: Option<SystemSummary>,
    /// The process.
    pub process: ProcessInfo,
    /// The exception, if the dump was written for one.
    pub exception: Option<ExceptionInfo>,
    /// The directory, in its order, without unused entries.
    pub streams: Vec<StreamInfo>,
    /// The threads, in the order of their list.
    pub threads: Vec<ThreadSummary>,
    /// The modules, in the order of their list.
    pub modules: Vec<ModuleInfo>,
    /// Modules that had been unloaded.
    pub unloaded_modules: Vec<UnloadedModuleInfo>,
    /// Memory that is in the dump, and the address space.
    pub memory: MemoryInfo,
    /// Open handles, if the dump lists them.
    pub handles: Option<HandleInfo>,
    /// What could not be had when the dump was written, holes included: one
    /// line of text each.
    pub soft_errors: Vec<String>,
    /// What of the dump cannot be read, one line of text each.
    pub damage: Vec<String>,
}

/// The file and its header.
#[derive(Clone, Debug, Serialize)]
pub struct FileInfo {
    /// Its path as it was given.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Seconds since 1970 when the dump was written.
    pub timestamp: u32,
    /// The same as text.
    pub time: String,
    /// The header's flags: a `MINIDUMP_TYPE`.
    pub flags: Hex,
    /// Names of the flags; an unknown bit as a number.
    pub flag_names: Vec<String>,
}

/// The system that the process ran on.
#[derive(Clone, Debug, Serialize)]
pub struct SystemSummary {
    /// `Linux`, `Windows`, …
    pub platform: String,
    /// `VER_PLATFORM_*` or Breakpad's value for others.
    pub platform_id: u32,
    /// Version: major, minor, build.
    pub version: String,
    /// Service pack; on Linux kernel and distribution.
    pub description: Option<String>,
    /// Build of the system, from MiscInfo.
    pub build: Option<String>,
    /// `x86-64`, `aarch64`, …
    pub architecture: String,
    /// Vendor of the processor.
    pub cpu_vendor: Option<String>,
    /// Family, model and stepping of the processor.
    pub cpu: String,
    /// Number of processors.
    pub processors: u32,
    /// Memory of the system.
    pub memory: Option<SystemMemory>,
}

/// The process.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ProcessInfo {
    /// Process id.
    pub pid: Option<u32>,
    /// Process ids in nested namespaces, outermost first, where the dump has them.
    pub namespace_pids: Vec<u32>,
    /// File name of the executable.
    pub name: Option<String>,
    /// Arguments, where the dump has them.
    pub command_line: Option<Vec<String>>,
    /// Seconds since 1970 of its creation.
    pub create_timestamp: Option<u32>,
    /// The same as text.
    pub create_time: Option<String>,
    /// Seconds in user mode.
    pub user_seconds: Option<u32>,
    /// Seconds in the kernel.
    pub kernel_seconds: Option<u32>,
    /// Memory counters.
    pub vm_counters: Option<VmCounters>,
}

/// The exception that the dump was written for.
#[derive(Clone, Debug, Serialize)]
pub struct ExceptionInfo {
    /// Thread that it happened in.
    pub thread_id: u32,
    /// Code as it stands in the dump; a signal number on Linux.
    pub code: Hex,
    /// `SIGSEGV (SEGV_MAPERR)`, `ACCESS_VIOLATION (read)`, …
    pub name: String,
    /// Flags as they stand in the dump; `si_code` on Linux.
    pub flags: Hex,
    /// Where it happened; on Linux the address of the fault.
    pub address: Hex,
    /// Parameters.
    pub parameters: Vec<Hex>,
    /// Instruction pointer.
    pub instruction_pointer: Option<Hex>,
    /// The same as module and offset.
    pub location: Option<String>,
    /// Registers by name.
    pub registers: Vec<(&'static str, Hex)>,
}

/// An entry of the directory.
#[derive(Clone, Debug, Serialize)]
pub struct StreamInfo {
    /// Its type.
    pub stream_type: u32,
    /// Name of the type.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Where it is in the file.
    pub rva: Hex,
}

/// A thread.
#[derive(Clone, Debug, Serialize)]
pub struct ThreadSummary {
    /// Thread id.
    pub thread_id: u32,
    /// Name.
    pub name: Option<String>,
    /// Instruction pointer.
    pub instruction_pointer: Option<Hex>,
    /// The same as module and offset.
    pub location: Option<String>,
    /// Stack pointer.
    pub stack_pointer: Option<Hex>,
    /// First address of the stack that is in the dump.
    pub stack_start: Hex,
    /// Bytes of stack in the dump.
    pub stack_size: u64,
    /// Thread pointer; the TEB on Windows.
    pub teb: Hex,
    /// Names of the extended registers (AVX, …) that are stored and in use.
    pub extended_state: Vec<String>,
    /// Seconds in user mode, where the dump has thread information.
    pub user_seconds: Option<f64>,
    /// Seconds in the kernel, where the dump has thread information.
    pub kernel_seconds: Option<f64>,
}

/// A module.
#[derive(Clone, Debug, Serialize)]
pub struct ModuleInfo {
    /// Load address.
    pub base: Hex,
    /// Bytes in memory.
    pub size: u32,
    /// Name, a whole path unless paths were filtered.
    pub name: Option<String>,
    /// File version.
    pub version: Option<String>,
    /// Debug identifier in Breakpad's form.
    pub debug_id: Option<String>,
    /// Name of the debug file, if it is stated.
    pub debug_file: Option<String>,
    /// ELF build id.
    pub build_id: Option<String>,
}

/// A module that had been unloaded.
#[derive(Clone, Debug, Serialize)]
pub struct UnloadedModuleInfo {
    /// Load address it had.
    pub base: Hex,
    /// Bytes it had.
    pub size: u32,
    /// Name.
    pub name: Option<String>,
}

/// Memory that is in the dump, and the address space.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MemoryInfo {
    /// Ranges in the dump's lists.
    pub ranges: u64,
    /// Bytes of memory in the dump, each address once.
    pub size: u64,
    /// The same by kind, the largest first.
    pub by_kind: Vec<MemoryKindInfo>,
    /// Regions of the address space that the dump describes.
    pub regions: u64,
    /// Bytes that were committed, if the dump describes the address space.
    pub committed: Option<u64>,
    /// Bytes that were reserved and not committed.
    pub reserved: Option<u64>,
}

/// Memory of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryKindInfo {
    /// The kind.
    pub kind: MemoryKind,
    /// Ranges of it.
    pub ranges: u64,
    /// Bytes.
    pub size: u64,
}

/// What memory was used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryKind {
    /// Stacks of threads.
    Stack,
    /// Modules.
    Image,
    /// The heap that the platform marks as such (`[heap]`).
    Heap,
    /// Mapped files that are not modules, and shared memory.
    Mapped,
    /// Private memory of other uses.
    Private,
    /// Nothing in the dump says.
    Other,
}

impl MemoryKind {
    /// The name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            MemoryKind::Stack => "stack",
            MemoryKind::Image => "image",
            MemoryKind::Heap => "heap",
            MemoryKind::Mapped => "mapped",
            MemoryKind::Private => "private",
            MemoryKind::Other => "other",
        }
    }
}

/// Open handles.
#[derive(Clone, Debug, Serialize)]
pub struct HandleInfo {
    /// How many.
    pub count: u64,
    /// How many of each type, most first.
    pub by_type: Vec<HandleTypeInfo>,
}

/// Handles of one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HandleTypeInfo {
    /// Name of the type; empty where there is none.
    pub type_name: String,
    /// How many.
    pub count: u64,
}
