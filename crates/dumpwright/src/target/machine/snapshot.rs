//! What a machine was when it was held still: plain data, the same for every
//! source of physical memory.

use super::address::{Gva, PageRun};
use crate::soft_error::SoftError;
use crate::target::FileTime;
use dumpwright_format::kernel::DumpType;
use serde::Serialize;

/// Everything about a machine except the contents of its memory.
///
/// What the source and the guest's own structures do not tell is zero, empty or
/// `None`, and a [`SoftError`] says what would help.
#[derive(Clone, Debug, Default)]
pub struct MachineSnapshot {
    /// What runs on it.
    pub guest: GuestKind,
    /// Processor architecture and paging of the guest's kernel.
    pub architecture: MachineArchitecture,
    /// RAM, in order, without overlaps: no device holes.
    pub runs: Vec<PageRun>,
    /// `DirectoryTableBase`: the page table that the kernel is seen through, as
    /// CR3 holds it (flags in its low bits cleared).
    pub directory_table_base: u64,
    /// Processors in the order of their numbers.
    pub processors: Vec<ProcessorSnapshot>,
    /// Index into [`processors`](Self::processors) of the one that the dump is
    /// seen from: the one that bug-checked, else the first.
    pub current_processor: usize,
    /// Operating system build: `MinorVersion` of the header.
    pub build: u32,
    /// `MajorVersion` of the header: 0xF free, 0xC checked build.
    pub major_version: u32,
    /// `PfnDataBase`: what KDBG has as `MmPfnDatabase`, the address of that
    /// variable.
    pub pfn_database: Gva,
    /// Where an entry of the PFN database (`MMPFN`) says what its page is for;
    /// `None` without the kernel's symbols.
    pub pfn_database_layout: Option<PfnDatabaseLayout>,
    /// `PsLoadedModuleList`: address of the list's head.
    pub loaded_module_list: Gva,
    /// `PsActiveProcessHead`: address of the list's head.
    pub active_process_head: Gva,
    /// Address of `KDDEBUGGER_DATA64`.
    pub debugger_data: Gva,
    /// `KDDEBUGGER_DATA64` decoded, when memory holds it encoded or not at all
    /// and a dump must hold it in its place; with the header of its list.
    pub decoded_debugger_data: Option<Vec<u8>>,
    /// `KDDEBUGGER_DATA64` as a debugger needs it, from wherever it came.
    pub debugger_data_block: Option<Vec<u8>>,
    /// Base of the kernel image.
    pub kernel_base: Gva,
    /// RAM by the kernel's own list (`MmPhysicalMemoryBlock`), in order and
    /// apart; `None` where it was not found.
    pub memory_block: Option<Vec<PageRun>>,
    /// Bug check of a crashed guest; `None` while it runs.
    pub bug_check: Option<BugCheck>,
    /// `EXCEPTION_RECORD64` as bytes, where one is known.
    pub exception: Option<Vec<u8>>,
    /// `SystemTime`; zero if unknown.
    pub system_time: FileTime,
    /// `SystemUpTime` in 100 ns units.
    pub system_up_time: u64,
    /// `ProductType`: 1 workstation, 2 domain controller, 3 server.
    pub product_type: u32,
    /// `SuiteMask`.
    pub suite_mask: u32,
    /// Kernel modules in load order, the kernel first.
    pub modules: Vec<KernelModule>,
    /// Modules that were unloaded.
    pub unloaded_modules: Vec<UnloadedKernelModule>,
    /// Processes.
    pub processes: Vec<KernelProcess>,
    /// What a source that is a small dump holds in place of memory.
    pub small_dump: Option<Box<super::SmallDump>>,
    /// Type of the dump that it was read from; `None` of what is no kernel dump.
    pub source_type: Option<DumpType>,
    /// Comment that a source dump carries.
    pub comment: Option<String>,
    /// Secondary data that a source dump carries: GUID as on the wire, bytes.
    pub secondary_data: Vec<([u8; 16], Vec<u8>)>,
    /// What could not be found out.
    pub soft_errors: Vec<SoftError>,
}

/// What runs on a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuestKind {
    /// A Windows kernel, found and understood.
    Windows,
    /// Anything else: Linux, firmware, or a Windows that was not recognised.
    #[default]
    Other,
}

/// Processor architecture and paging.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MachineArchitecture {
    /// x86-64 with four levels of page tables.
    #[default]
    Amd64,
    /// x86-64 with five levels.
    Amd64La57,
    /// 32-bit x86 with two levels.
    X86,
    /// 32-bit x86 with PAE.
    X86Pae,
    /// 64-bit ARM, 4 KiB granule.
    Arm64,
}

impl MachineArchitecture {
    /// Whether the kernel's header is `DUMP_HEADER64`.
    pub fn is_64_bit(self) -> bool {
        !matches!(self, MachineArchitecture::X86 | MachineArchitecture::X86Pae)
    }
}

/// A processor.
#[derive(Clone, Debug, Default)]
pub struct ProcessorSnapshot {
    /// The wire `CONTEXT` of the architecture (`CONTEXT` of winnt.h): general,
    /// segment, debug and floating-point registers as far as they are known.
    pub context: Vec<u8>,
    /// Instruction pointer.
    pub instruction_pointer: u64,
    /// Stack pointer.
    pub stack_pointer: u64,
    /// Control and system registers, where the source has them.
    pub control: Option<ControlRegisters>,
    /// Address of its `KPCR`; zero if unknown.
    pub pcr: Gva,
    /// Address of its `KPRCB`; zero if unknown.
    pub prcb: Gva,
    /// Address of the `ETHREAD` that it runs; zero if unknown.
    pub current_thread: Gva,
    /// Address of the `EPROCESS` that it runs; zero if unknown.
    pub current_process: Gva,
}

/// Control and system registers of an x86 processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControlRegisters {
    /// CR0.
    pub cr0: u64,
    /// CR2.
    pub cr2: u64,
    /// CR3.
    pub cr3: u64,
    /// CR4.
    pub cr4: u64,
    /// GS base.
    pub gs_base: u64,
    /// `IA32_KERNEL_GS_BASE`.
    pub kernel_gs_base: u64,
    /// Base and limit of the interrupt descriptor table.
    pub idt: (u64, u16),
    /// Base and limit of the global descriptor table.
    pub gdt: (u64, u16),
    /// `IA32_EFER`; zero if unknown.
    pub efer: u64,
}

/// A bug check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BugCheck {
    /// Its code.
    pub code: u32,
    /// Its parameters.
    pub parameters: [u64; 4],
}

/// What of `MMPFN` tells whether a page is in use; from a kernel's symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PfnDatabaseLayout {
    /// Address of the entry of frame 0: what the variable `MmPfnDatabase` holds.
    pub base: Gva,
    /// Bytes of an entry.
    pub entry_size: u32,
    /// Offset of the byte whose low three bits are `u3.e1.PageLocation`.
    pub page_location_offset: u32,
}

/// A module of the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelModule {
    /// Address of its `KLDR_DATA_TABLE_ENTRY`.
    pub entry: Gva,
    /// Load address.
    pub base: Gva,
    /// Size of the image.
    pub size: u32,
    /// `FullDllName`, or `BaseDllName` where that cannot be read.
    pub name: String,
    /// The entry's bytes.
    pub entry_bytes: Vec<u8>,
}

/// A module that is no longer loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnloadedKernelModule {
    /// First address it had.
    pub start: Gva,
    /// Address past its end.
    pub end: Gva,
    /// Its name.
    pub name: String,
}

/// A process of the guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelProcess {
    /// Address of its `EPROCESS`.
    pub eprocess: Gva,
    /// Its page table.
    pub directory_table_base: u64,
    /// Address of its PEB.
    pub peb: Gva,
}
