//! What a process was when it was held still: plain data, the same for every
//! kind of target.

use super::{HandleRecords, HasStreams, OriginalDump, Platform, SystemSnapshot, UnixSide};
use super::{Protection, Region, StreamBytes};
use crate::address::AddressRange;
use crate::packed::Packed;
use crate::soft_error::SoftError;
use dumpwright_format::minidump::{
    ProcessVmCounters2, StreamType, SystemMemoryInfo1, TimeZoneInformation,
};
use serde::Serialize;
use std::fmt;

/// A process id, as the dumper's own namespace counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Pid(pub u32);

/// A thread id, as the dumper's own namespace counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Tid(pub u32);

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Tid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A time as Windows counts it: 100 ns units since 1601-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileTime(pub u64);

impl FileTime {
    const UNIX_EPOCH: u64 = 116_444_736_000_000_000;
    const UNITS_PER_SECOND: u64 = 10_000_000;

    /// From nanoseconds since 1970.
    pub fn from_unix_nanos(nanos: u64) -> Self {
        FileTime(Self::UNIX_EPOCH + nanos / 100)
    }

    /// Whole seconds since 1970; 0 for times before.
    pub fn unix_seconds(self) -> u64 {
        self.0.saturating_sub(Self::UNIX_EPOCH) / Self::UNITS_PER_SECOND
    }
}

/// Everything about a process except the contents of its memory.
#[derive(Clone, Debug)]
pub struct ProcessSnapshot {
    /// The machine and its operating system.
    pub system: SystemSnapshot,
    /// The process as a whole.
    pub process: ProcessInfo,
    /// Its threads, the main thread first where it lives.
    pub threads: Vec<ThreadSnapshot>,
    /// Its modules, the executable first.
    pub modules: Vec<ModuleSnapshot>,
    /// Modules that it had loaded; what is known of them.
    pub unloaded_modules: Vec<UnloadedModuleSnapshot>,
    /// Its address space: mapped regions in order, without gaps' descriptions.
    pub regions: Packed<Region>,
    /// The first address past user space.
    pub address_space_end: u64,
    /// Bytes of a page.
    pub page_size: u64,
    /// Open handles, when [`Wants::handles`](super::Wants::handles) asked.
    pub handles: Vec<HandleSnapshot>,
    /// The exception that the process stopped for, or that the request named.
    pub exception: Option<ExceptionSnapshot>,
    /// Streams that only this platform has, as bytes (`/proc` files on Linux).
    pub platform_streams: Vec<PlatformStream>,
    /// The dynamic linker's own list of libraries.
    pub dso_debug: Option<DsoDebugSnapshot>,
    /// Where argv, envp and the auxiliary vector are.
    pub initial_stack: Option<InitialStack>,
    /// Further memory of the PEB kind: `r_debug`, link map, when asked for.
    pub process_data: Vec<AddressRange>,
    /// Credentials as text, one `key: value` a line, when asked for.
    pub token: Option<String>,
    /// Memory counters, when asked for.
    pub vm_counters: Option<ProcessVmCounters2>,
    /// Memory counters of the system, when asked for.
    pub system_memory: Option<SystemMemoryInfo1>,
    /// The other side of a process under Wine that is dumped as a Windows one.
    pub unix_side: Option<Box<UnixSide>>,
    /// Which of the streams that a flag asks for it has.
    pub has: HasStreams,
    /// What a dump recorded, for a target that is one.
    pub original: Option<Box<OriginalDump>>,
    /// What could not be had.
    pub soft_errors: Vec<SoftError>,
}

impl ProcessSnapshot {
    /// The name of the program's file, without folders.
    pub fn program_name(&self) -> &str {
        let windows = self.system.platform() == Platform::Windows;
        let path = self.modules.first().map_or("", |module| module.path.as_str());
        path.rsplit(|c| c == '/' || windows && c == '\\').next().unwrap_or(path)
    }

    /// Path or label of what is mapped at `address`, in one line as the kernel
    /// shows it; empty for none.
    pub fn mapping_name(&self, address: u64) -> String {
        let region = self.regions.at(address);
        region.map_or_else(String::new, |region| region.name.replace('\n', "\\012"))
    }
}

/// The process as a whole.
#[derive(Clone, Debug)]
pub struct ProcessInfo {
    /// Process id in the dumper's namespace.
    pub pid: Pid,
    /// Process id in each namespace from the dumper's inward; the last one is
    /// what the process itself sees.
    pub namespace_pids: Vec<u32>,
    /// Short name.
    pub name: String,
    /// Address of the process environment block; 0 outside Windows.
    pub peb: u64,
    /// When it was created.
    pub create_time: FileTime,
    /// User time in 100 ns units.
    pub user_time: u64,
    /// Kernel time in 100 ns units.
    pub kernel_time: u64,
    /// What only Windows tells.
    pub nt: Option<Box<NtFacts>>,
}

/// What Windows tells of a process and its machine, and no other platform. What
/// is `None` could not be had.
#[derive(Clone, Debug)]
pub struct NtFacts {
    /// `*_PRIORITY_CLASS` of the process, winbase.h; 0 where unknown.
    pub priority_class: u32,
    /// Integrity level: `SECURITY_MANDATORY_*_RID`, winnt.h.
    pub integrity_level: Option<u32>,
    /// `MEM_EXECUTE_OPTION_*`: whether data may be executed.
    pub execute_flags: Option<u32>,
    /// Whether it is a protected process.
    pub is_protected: Option<bool>,
    /// Maximum, current and limited clock in MHz; deepest and current idle state.
    pub power: Option<[u32; 5]>,
    /// `TIME_ZONE_ID_*`, and the zone.
    pub time_zone: Option<(u32, TimeZoneInformation)>,
    /// What the process hides pointers with (`EncodePointer`).
    pub cookie: Option<u32>,
}

/// Registers of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registers {
    /// The wire `CONTEXT` of the architecture, with the extended state behind
    /// it where asked for.
    pub context: Vec<u8>,
    /// Instruction pointer.
    pub instruction_pointer: u64,
    /// Stack pointer.
    pub stack_pointer: u64,
    /// Every general register, for pointers to follow.
    pub general: Vec<u64>,
}

impl Registers {
    /// Of a thread whose registers are not known.
    pub fn none() -> Self {
        Registers {
            context: Vec::new(),
            instruction_pointer: 0,
            stack_pointer: 0,
            general: Vec::new(),
        }
    }
}

/// A thread.
#[derive(Clone, Debug)]
pub struct ThreadSnapshot {
    /// Thread id.
    pub tid: Tid,
    /// Name.
    pub name: String,
    /// Registers.
    pub registers: Registers,
    /// Thread pointer (FS base, `TPIDR_EL0`); TEB on Windows.
    pub thread_pointer: u64,
    /// Where the thread's own stack is, from the lowest address it may ever use
    /// to its end, where the platform says so (`DeallocationStack` and
    /// `StackBase` of the TEB on Windows). Elsewhere the planner finds out.
    pub stack: Option<AddressRange>,
    /// How often it was suspended before it was dumped.
    pub suspend_count: u32,
    /// Priority as the platform counts it.
    pub priority: i32,
    /// Times and more, when [`Wants::thread_info`](super::Wants::thread_info) asked.
    pub info: Option<ThreadTimes>,
    /// Thread control block, static TLS and rseq area, when
    /// [`Wants::process_data`](super::Wants::process_data) asked.
    pub local_storage: Vec<AddressRange>,
}

/// Times, start address and affinity of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadTimes {
    /// Creation.
    pub create_time: FileTime,
    /// Kernel time in 100 ns units.
    pub kernel_time: u64,
    /// User time in 100 ns units.
    pub user_time: u64,
    /// Start address, where known.
    pub start_address: Option<u64>,
    /// Mask of the first 64 processors.
    pub affinity: u64,
}

/// A loaded module.
#[derive(Clone, Debug)]
pub struct ModuleSnapshot {
    /// Load address.
    pub base: u64,
    /// Bytes from the load address to the end of the last segment, or to the
    /// next module where that stands between segments.
    pub size: u64,
    /// Full path as the target sees it, or the name of a module without a file.
    pub path: String,
    /// What identifies its debug file.
    pub debug_id: DebugId,
    /// Version, where it has one.
    pub version: Option<[u16; 4]>,
    /// Timestamp of a PE header; 0 for ELF.
    pub time_date_stamp: u32,
    /// Checksum of a PE header; 0 for ELF.
    pub check_sum: u32,
    /// Load segments, in whole pages as they are mapped, `.bss` included.
    pub segments: Vec<Segment>,
    /// Header, program headers, notes and unwind tables, when
    /// [`Wants::module_headers`](super::Wants::module_headers) asked.
    pub headers: Vec<AddressRange>,
}

impl ModuleSnapshot {
    /// The addresses from base to end.
    pub fn range(&self) -> AddressRange {
        AddressRange::with_len(self.base, self.size)
    }
}

/// What identifies the debug file of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DebugId {
    /// Nothing known.
    None,
    /// An ELF build id (or Breakpad's stand-in for one, see
    /// `target::linux::modules`).
    ElfBuildId(Vec<u8>),
    /// GUID bytes as they stand in the record, age and name of a PDB.
    Pdb70 {
        /// GUID as on the wire.
        guid: [u8; 16],
        /// Age.
        age: u32,
        /// File name.
        name: String,
    },
}

/// A load segment of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Whole pages.
    pub range: AddressRange,
    /// Protection that the file asks for.
    pub protection: Protection,
}

/// A module that is no longer loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnloadedModuleSnapshot {
    /// Load address it had.
    pub base: u64,
    /// Size it had.
    pub size: u64,
    /// Its name.
    pub name: String,
    /// Timestamp of its PE header.
    pub time_date_stamp: u32,
    /// Checksum of its PE header.
    pub check_sum: u32,
}

/// An open handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandleSnapshot {
    /// Its value.
    pub handle: u64,
    /// Kind: `File`, `Socket`, …
    pub type_name: String,
    /// Name of the object: a path, or the kernel's label.
    pub object_name: String,
    /// Whether a child process inherits it.
    pub inherit: bool,
    /// Windows access mask that corresponds to its access.
    pub granted_access: u32,
    /// More of it, one `key: value` a line: position, flags, endpoints.
    pub details: String,
    /// Counts and state of the object, where the platform tells.
    pub records: Option<HandleRecords>,
}

/// An exception or a fatal signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExceptionSnapshot {
    /// The thread it happened in.
    pub tid: Tid,
    /// Code; on Linux the signal number.
    pub code: u32,
    /// Flags; on Linux `si_code`.
    pub flags: u32,
    /// Address; on Linux `si_addr` of a fault, else the instruction pointer.
    pub address: u64,
    /// Parameters.
    pub parameters: Vec<u64>,
    /// Registers at the exception; the thread's own where nothing else is known.
    pub registers: Registers,
}

/// A stream that only one platform has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformStream {
    /// Its type.
    pub stream_type: StreamType,
    /// Its bytes, which a plan shares.
    pub bytes: StreamBytes,
}

/// The dynamic linker's list of libraries (`r_debug`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DsoDebugSnapshot {
    /// `r_version`.
    pub version: u32,
    /// `r_brk`.
    pub brk: u64,
    /// `r_ldbase`.
    pub ldbase: u64,
    /// Address of the executable's dynamic section.
    pub dynamic: u64,
    /// Bytes of the dynamic section.
    pub dynamic_bytes: Vec<u8>,
    /// The link map.
    pub entries: Vec<LinkMapEntry>,
}

/// An entry of the link map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkMapEntry {
    /// `l_addr`.
    pub addr: u64,
    /// `l_ld`.
    pub ld: u64,
    /// `l_name`.
    pub name: String,
    /// Where the name's bytes are in the target, without the final NUL.
    pub name_range: AddressRange,
}

/// The block that the kernel puts at the top of the main stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitialStack {
    /// From `argc` to the end of the stack.
    pub range: AddressRange,
    /// The argument strings.
    pub arguments: AddressRange,
    /// The environment strings.
    pub environment: AddressRange,
    /// The string that `AT_EXECFN` names, NUL included.
    pub exec_fn: AddressRange,
    /// Where all of these were put when the program began, up to the end of the
    /// stack. A program that has its arguments or environment elsewhere now
    /// (`PR_SET_MM_MAP`) leaves the first ones here.
    pub first_strings: AddressRange,
}
