//! Structures of the Windows kernel whose layout has not changed since it went
//! to 64 bits: ntddk.h, wdm.h, and the public symbols of ntoskrnl.

use crate::wire;
use zerocopy::little_endian::{U16, U32, U64};

/// `KI_USER_SHARED_DATA`, wdm.h: where every 64-bit kernel has its
/// `KUSER_SHARED_DATA`.
pub const KUSER_SHARED_DATA: u64 = 0xffff_f780_0000_0000;
/// The same on 32-bit kernels.
pub const KUSER_SHARED_DATA_X86: u64 = 0xffdf_0000;
/// `KUSER_SHARED_DATA.InterruptTime`: `KSYSTEM_TIME`, 100 ns units of up time.
pub const SHARED_INTERRUPT_TIME: usize = 0x8;
/// `KUSER_SHARED_DATA.SystemTime`: `KSYSTEM_TIME`, a `FILETIME`.
pub const SHARED_SYSTEM_TIME: usize = 0x14;
/// `KUSER_SHARED_DATA.NtBuildNumber`, since Windows 10.
pub const SHARED_BUILD_NUMBER: usize = 0x260;
/// `KUSER_SHARED_DATA.NtProductType`.
pub const SHARED_PRODUCT_TYPE: usize = 0x264;
/// `KUSER_SHARED_DATA.NtMajorVersion`.
pub const SHARED_MAJOR_VERSION: usize = 0x26c;
/// `KUSER_SHARED_DATA.SuiteMask`.
pub const SHARED_SUITE_MASK: usize = 0x2d0;

/// `KPCR.Self` on x86-64.
pub const KPCR_SELF: u64 = 0x18;
/// `KPCR.CurrentPrcb` on x86-64.
pub const KPCR_CURRENT_PRCB: u64 = 0x20;
/// `KPCR.Prcb` on x86-64.
pub const KPCR_PRCB: u64 = 0x180;
/// `KPRCB.CurrentThread` on x86-64.
pub const KPRCB_CURRENT_THREAD: u64 = 0x8;
/// `KPCR.KdVersionBlock` on x86-64: the `DBGKD_GET_VERSION64` of the kernel.
pub const KPCR_VERSION_BLOCK: u64 = 0x108;
/// `KPROCESS.DirectoryTableBase`, with which an `EPROCESS` starts, on x86-64.
pub const KPROCESS_DIRECTORY_TABLE_BASE: u64 = 0x28;
/// `KTHREAD.ApcState.Process` on x86-64: since Windows 8, and before.
pub const KTHREAD_APC_PROCESS: [u64; 2] = [0xb8, 0x70];
/// `EPROCESS.UniqueProcessId` of the system process; `ActiveProcessLinks`
/// stands behind that field.
pub const SYSTEM_PROCESS_ID: u64 = 4;
/// `KGDT64_R0_CODE`: selector of the kernel's code (winnt.h's CONTEXT of any
/// kernel thread shows it).
pub const GDT64_R0_CODE: u16 = 0x10;
/// `KGDT64_R0_DATA`.
pub const GDT64_R0_DATA: u16 = 0x18;
/// `KGDT64_R3_CODE`, with the privilege level that it is used with.
pub const GDT64_R3_CODE: u16 = 0x33;
/// `KGDT64_R3_DATA`, likewise.
pub const GDT64_R3_DATA: u16 = 0x2b;
/// `KGDT64_SYS_TSS`.
pub const GDT64_TSS: u16 = 0x40;
/// `KGDT64_R3_CMCODE`: code of 32-bit programs.
pub const GDT64_R3_CM_CODE: u16 = 0x23;
/// `KGDT64_R3_CMTEB`.
pub const GDT64_R3_CM_TEB: u16 = 0x53;
/// Where, from the `KPCR`, `KPRCB.KernelDirectoryTableBase` stands in kernels
/// with KVA shadowing: since version 1803, and in the first patches.
pub const KPCR_KERNEL_DIRECTORY_TABLE_BASE: [u64; 2] = [0x9000, 0x7000];

/// `PROCESSOR_START_BLOCK` at the start of a page below 1 MiB: a jump (E9) over
/// `CompletionFlag` 1.
pub const START_BLOCK_JUMP: u64 = 0x0000_0001_0006_00e9;
/// The bits of the first eight bytes that count in that.
pub const START_BLOCK_JUMP_MASK: u64 = 0xffff_ffff_ffff_00ff;
/// `PROCESSOR_START_BLOCK.LmTarget`: an address in the kernel.
pub const START_BLOCK_TARGET: usize = 0x70;
/// `PROCESSOR_START_BLOCK.ProcessorState.SpecialRegisters.Cr3`.
pub const START_BLOCK_CR3: usize = 0xa0;

wire! {
    /// `UNICODE_STRING` of a 64-bit process, ntdef.h.
    pub struct UnicodeString64 [16] {
        /// Bytes, without a NUL.
        pub length: U16,
        /// Bytes that the buffer has.
        pub maximum_length: U16,
        /// Padding.
        pub pad: U32,
        /// Address of the text, UTF-16.
        pub buffer: U64,
    }
    /// `KLDR_DATA_TABLE_ENTRY` of a 64-bit kernel, as far as drivers see it;
    /// the start of what wdbgexts.h's debuggers read.
    pub struct KldrDataTableEntry64 [136] {
        /// `InLoadOrderLinks.Flink`.
        pub flink: U64,
        /// `InLoadOrderLinks.Blink`.
        pub blink: U64,
        /// `ExceptionTable`.
        pub exception_table: U64,
        /// `ExceptionTableSize`.
        pub exception_table_size: U32,
        /// Padding.
        pub pad: U32,
        /// `GpValue`.
        pub gp_value: U64,
        /// `NonPagedDebugInfo`.
        pub non_paged_debug_info: U64,
        /// `DllBase`.
        pub dll_base: U64,
        /// `EntryPoint`.
        pub entry_point: U64,
        /// `SizeOfImage`.
        pub size_of_image: U32,
        /// Padding.
        pub pad2: U32,
        /// `FullDllName`.
        pub full_dll_name: UnicodeString64,
        /// `BaseDllName`.
        pub base_dll_name: UnicodeString64,
        /// `Flags`.
        pub flags: U32,
        /// `LoadCount`.
        pub load_count: U16,
        /// Flags and padding.
        pub signature: U16,
        /// `SectionPointer`.
        pub section_pointer: U64,
        /// `CheckSum`.
        pub check_sum: U32,
        /// `CoverageSectionSize`.
        pub coverage_section_size: U32,
        /// `CoverageSection`.
        pub coverage_section: U64,
    }
    /// `DBGKD_GET_VERSION64`, wdbgexts.h: what the kernel tells a debugger first.
    pub struct VersionBlock [40] {
        /// `MajorVersion`.
        pub major_version: U16,
        /// `MinorVersion`: the build.
        pub minor_version: U16,
        /// `ProtocolVersion` and `KdSecondaryVersion`.
        pub versions: [u8; 2],
        /// `Flags`.
        pub flags: U16,
        /// `MachineType`.
        pub machine_type: U16,
        /// `MaxPacketType`, `MaxStateChange`, `MaxManipulate`, `Simulation`, unused.
        pub limits: [u8; 6],
        /// `KernBase`.
        pub kern_base: U64,
        /// `PsLoadedModuleList`.
        pub ps_loaded_module_list: U64,
        /// `DebuggerDataList`: head of the list that `KDDEBUGGER_DATA64` is in.
        pub debugger_data_list: U64,
    }
    /// `PHYSICAL_MEMORY_DESCRIPTOR` of a 64-bit kernel, without its runs
    /// ([`PhysicalMemoryRun64`](crate::kernel::PhysicalMemoryRun64)).
    pub struct PhysicalMemoryDescriptor64 [16] {
        /// `NumberOfRuns`.
        pub number_of_runs: U32,
        /// Padding.
        pub pad: U32,
        /// `NumberOfPages`.
        pub number_of_pages: U64,
    }
    /// `UNLOADED_DRIVERS` of a 64-bit kernel: an entry of `MmUnloadedDrivers`.
    pub struct UnloadedDriver64 [40] {
        /// `Name`.
        pub name: UnicodeString64,
        /// `StartAddress`.
        pub start_address: U64,
        /// `EndAddress`.
        pub end_address: U64,
        /// `CurrentTime`: a `FILETIME`.
        pub current_time: U64,
    }
}

/// `MI_UNLOADED_DRIVERS`: how many entries `MmUnloadedDrivers` has.
pub const UNLOADED_DRIVERS: usize = 50;
