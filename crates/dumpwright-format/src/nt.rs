//! What the Windows loader and kernel leave in a process's memory: where the
//! fields of TEB, PEB and their company are, for both pointer sizes.
//!
//! Offsets are those of winternl.h and winnt.h, and of the public symbols of
//! ntdll (`_TEB`, `_PEB`, `_LDR_DATA_TABLE_ENTRY`,
//! `_RTL_USER_PROCESS_PARAMETERS`), which Wine's headers have too.

use crate::wire;
use zerocopy::little_endian::{U16, U32, U64};

/// Where fields are, in bytes from the start of their structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NtOffsets {
    /// Bytes of a pointer.
    pub pointer: u64,
    /// Bytes of a TEB, in whole pages.
    pub teb_size: u64,
    /// `NT_TIB::StackBase`: the end of the stack.
    pub teb_stack_base: u64,
    /// `TEB::DeallocationStack`: the lowest address that the stack may use.
    pub teb_deallocation_stack: u64,
    /// `TEB::ThreadLocalStoragePointer`: an array with an entry per module with TLS.
    pub teb_tls_pointer: u64,
    /// `TEB::TlsExpansionSlots`: 1024 more slots of `TlsAlloc`, or 0.
    pub teb_tls_expansion: u64,
    /// Bytes of a PEB.
    pub peb_size: u64,
    /// `PEB::ImageBaseAddress`
    pub peb_image_base: u64,
    /// `PEB::Ldr`
    pub peb_ldr: u64,
    /// `PEB::ProcessParameters`
    pub peb_process_parameters: u64,
    /// Bytes of a `PEB_LDR_DATA`.
    pub ldr_size: u64,
    /// `PEB_LDR_DATA::InLoadOrderModuleList`
    pub ldr_load_order: u64,
    /// Bytes of an `LDR_DATA_TABLE_ENTRY` that every version has.
    pub entry_size: u64,
    /// `LDR_DATA_TABLE_ENTRY::DllBase`
    pub entry_dll_base: u64,
    /// `LDR_DATA_TABLE_ENTRY::SizeOfImage`
    pub entry_size_of_image: u64,
    /// `LDR_DATA_TABLE_ENTRY::FullDllName`
    pub entry_full_name: u64,
    /// `LDR_DATA_TABLE_ENTRY::BaseDllName`
    pub entry_base_name: u64,
    /// `UNICODE_STRING::Buffer`
    pub string_buffer: u64,
    /// `RTL_USER_PROCESS_PARAMETERS::Environment`
    pub parameters_environment: u64,
    /// `RTL_USER_PROCESS_PARAMETERS::EnvironmentSize`
    pub parameters_environment_size: u64,
    /// `NT_TIB::Self`
    pub teb_self: u64,
    /// `TEB::ProcessEnvironmentBlock`
    pub teb_peb: u64,
    /// `TEB::StaticUnicodeString`; `StaticUnicodeBuffer` follows it.
    pub teb_static_string: u64,
    /// Bytes of `RTL_USER_PROCESS_PARAMETERS` before its strings, at most.
    pub parameters_size: u64,
    /// `RTL_USER_PROCESS_PARAMETERS::CurrentDirectory.DosPath`
    pub parameters_current_directory: u64,
    /// `RTL_USER_PROCESS_PARAMETERS::DllPath`
    pub parameters_dll_path: u64,
    /// `RTL_USER_PROCESS_PARAMETERS::ImagePathName`
    pub parameters_image_path: u64,
    /// `RTL_USER_PROCESS_PARAMETERS::CommandLine`
    pub parameters_command_line: u64,
    /// `RTL_USER_PROCESS_PARAMETERS::WindowTitle`; `DesktopInfo`, `ShellInfo`
    /// and `RuntimeData` follow it.
    pub parameters_window_title: u64,
    /// `RTL_USER_PROCESS_PARAMETERS::CurrentDirectores`: one
    /// `RTL_DRIVE_LETTER_CURDIR` for each of [`DRIVE_LETTERS`].
    pub parameters_current_directories: u64,
    /// Bytes of an `RTL_UNLOAD_EVENT_TRACE` that every version has.
    pub unload_size: u64,
    /// `RTL_UNLOAD_EVENT_TRACE::SizeOfImage`
    pub unload_size_of_image: u64,
    /// `RTL_UNLOAD_EVENT_TRACE::TimeDateStamp`
    pub unload_time_date_stamp: u64,
    /// `RTL_UNLOAD_EVENT_TRACE::CheckSum`
    pub unload_check_sum: u64,
    /// `RTL_UNLOAD_EVENT_TRACE::ImageName`: 32 UTF-16 units.
    pub unload_image_name: u64,
}

impl NtOffsets {
    /// Of 64-bit processes.
    pub const WIDE: NtOffsets = NtOffsets {
        pointer: 8,
        teb_size: 0x2000,
        teb_stack_base: 0x8,
        teb_deallocation_stack: 0x1478,
        teb_tls_pointer: 0x58,
        teb_tls_expansion: 0x1780,
        peb_size: 0x7C8,
        peb_image_base: 0x10,
        peb_ldr: 0x18,
        peb_process_parameters: 0x20,
        ldr_size: 0x58,
        ldr_load_order: 0x10,
        entry_size: 0x90,
        entry_dll_base: 0x30,
        entry_size_of_image: 0x40,
        entry_full_name: 0x48,
        entry_base_name: 0x58,
        string_buffer: 8,
        parameters_environment: 0x80,
        parameters_environment_size: 0x3F0,
        teb_self: 0x30,
        teb_peb: 0x60,
        teb_static_string: 0x1258,
        parameters_size: 0x440,
        parameters_current_directory: 0x38,
        parameters_dll_path: 0x50,
        parameters_image_path: 0x60,
        parameters_command_line: 0x70,
        parameters_window_title: 0xB0,
        parameters_current_directories: 0xF0,
        unload_size: 92,
        unload_size_of_image: 8,
        unload_time_date_stamp: 20,
        unload_check_sum: 24,
        unload_image_name: 28,
    };

    /// Of 32-bit processes.
    pub const NARROW: NtOffsets = NtOffsets {
        pointer: 4,
        teb_size: 0x1000,
        teb_stack_base: 0x4,
        teb_deallocation_stack: 0xE0C,
        teb_tls_pointer: 0x2C,
        teb_tls_expansion: 0xF94,
        peb_size: 0x480,
        peb_image_base: 0x8,
        peb_ldr: 0xC,
        peb_process_parameters: 0x10,
        ldr_size: 0x30,
        ldr_load_order: 0xC,
        entry_size: 0x50,
        entry_dll_base: 0x18,
        entry_size_of_image: 0x20,
        entry_full_name: 0x24,
        entry_base_name: 0x2C,
        string_buffer: 4,
        parameters_environment: 0x48,
        parameters_environment_size: 0x290,
        teb_self: 0x18,
        teb_peb: 0x30,
        teb_static_string: 0xBF8,
        parameters_size: 0x2C0,
        parameters_current_directory: 0x24,
        parameters_dll_path: 0x30,
        parameters_image_path: 0x38,
        parameters_command_line: 0x40,
        parameters_window_title: 0x70,
        parameters_current_directories: 0x90,
        unload_size: 84,
        unload_size_of_image: 4,
        unload_time_date_stamp: 12,
        unload_check_sum: 16,
        unload_image_name: 20,
    };
}

impl NtOffsets {
    /// Bytes of a `UNICODE_STRING`.
    pub const fn string_size(&self) -> u64 {
        2 * self.pointer
    }
}

/// `RTL_DRIVE_LETTER_CURDIR::DosPath`, behind flags, length and time.
pub const DRIVE_LETTER_PATH: u64 = 8;
/// Entries of `RTL_USER_PROCESS_PARAMETERS::CurrentDirectores`.
pub const DRIVE_LETTERS: u64 = 32;
/// Bytes of `TEB::StaticUnicodeBuffer`: 261 units.
pub const STATIC_UNICODE_BUFFER: u64 = 522;

/// Where the 32-bit TEB of a WOW64 thread stands, from its 64-bit one.
pub const WOW64_TEB_OFFSET: u64 = 0x2000;
/// `TEB::TlsSlots` of a 64-bit thread: 64 pointers.
pub const TEB_TLS_SLOTS: u64 = 0x1480;
/// `WOW64_TLS_CPURESERVED`: the slot of a WOW64 thread's `WOW64_CPURESERVED`.
pub const WOW64_TLS_CPU_RESERVED: u64 = 1;
/// Bytes of a `WOW64_CPURESERVED` (flags and machine) before the x86 `CONTEXT`.
pub const WOW64_CPU_AREA_HEAD: u64 = 4;

/// UTF-16 units of `RTL_UNLOAD_EVENT_TRACE::ImageName`.
pub const UNLOAD_NAME_UNITS: usize = 32;

/// `TEB::ClientId.UniqueProcess` of a 64-bit process; `UniqueThread` follows it.
pub const TEB_CLIENT_ID: u64 = 0x40;
/// `NT_TIB::StackLimit` of a 64-bit process.
pub const TEB_STACK_LIMIT: u64 = 0x10;
/// `PEB::OSMajorVersion` of a 64-bit process; `OSMinorVersion` follows it, then
/// `OSBuildNumber` and `OSCSDVersion` as 16 bits each.
pub const PEB_OS_VERSION: u64 = 0x118;
/// `PEB::CSDVersion` of a 64-bit process: the service pack, a `UNICODE_STRING`.
pub const PEB_CSD_VERSION: u64 = 0x2E8;

/// Address of `KUSER_SHARED_DATA` in every process, ntddk.h.
pub const SHARED_DATA: u64 = 0x7FFE_0000;
/// Address of `KUSER_SHARED_DATA::NtProductType`, ntddk.h.
pub const SHARED_DATA_PRODUCT_TYPE: u64 = SHARED_DATA + 0x264;
/// Address of `KUSER_SHARED_DATA::SuiteMask`, ntddk.h.
pub const SHARED_DATA_SUITE_MASK: u64 = SHARED_DATA + 0x2D0;

/// Address of `KUSER_SHARED_DATA::XState` in every process, ntddk.h.
pub const SHARED_DATA_XSTATE: u64 = SHARED_DATA + 0x3D8;

wire! {
    /// `XSTATE_CONFIGURATION` as far as its array of features, winnt.h.
    pub struct XstateConfiguration [536] {
        /// `EnabledFeatures`
        pub enabled_features: U64,
        /// `EnabledVolatileFeatures`
        pub enabled_volatile_features: U64,
        /// Bytes of the XSAVE area.
        pub size: U32,
        /// Bit 0 optimised save, bit 1 compacted form.
        pub control_flags: U32,
        /// Offset and size in the XSAVE area, by feature.
        pub features: [[U32; 2]; 64],
    }

    /// `JIT_DEBUG_INFO`, werapi.h; the same in 32-bit processes.
    pub struct JitDebugInfo [40] {
        /// `dwSize`: that of this structure.
        pub size: U32,
        /// `dwProcessorArchitecture`: `PROCESSOR_ARCHITECTURE_*`.
        pub processor_architecture: U32,
        /// `dwThreadID`: the thread of the exception.
        pub thread_id: U32,
        /// `dwReserved0`
        pub reserved: U32,
        /// `lpExceptionAddress`
        pub exception_address: U64,
        /// `lpExceptionRecord`: address of an `EXCEPTION_RECORD`.
        pub exception_record: U64,
        /// `lpContextRecord`: address of a `CONTEXT`.
        pub context_record: U64,
    }

    /// `EXCEPTION_RECORD64`, winnt.h.
    pub struct ExceptionRecord64 [152] {
        /// `ExceptionCode`
        pub code: U32,
        /// `ExceptionFlags`
        pub flags: U32,
        /// Address of a further record.
        pub record: U64,
        /// `ExceptionAddress`
        pub address: U64,
        /// `NumberParameters`
        pub number_parameters: U32,
        /// 0.
        pub alignment: U32,
        /// `ExceptionInformation`
        pub information: [U64; 15],
    }

    /// `EXCEPTION_RECORD32`, winnt.h.
    pub struct ExceptionRecord32 [80] {
        /// `ExceptionCode`
        pub code: U32,
        /// `ExceptionFlags`
        pub flags: U32,
        /// Address of a further record.
        pub record: U32,
        /// `ExceptionAddress`
        pub address: U32,
        /// `NumberParameters`
        pub number_parameters: U32,
        /// `ExceptionInformation`
        pub information: [U32; 15],
    }

    /// `IMAGE_TLS_DIRECTORY64`, winnt.h. Addresses, not RVAs.
    pub struct TlsDirectory64 [40] {
        /// Start of the template.
        pub start: U64,
        /// End of the template.
        pub end: U64,
        /// Address of the index of this module's slot.
        pub index: U64,
        /// Address of the callbacks.
        pub callbacks: U64,
        /// Bytes of zero behind the template.
        pub size_of_zero_fill: U32,
        /// Alignment.
        pub characteristics: U32,
    }

    /// `IMAGE_TLS_DIRECTORY32`, winnt.h. Addresses, not RVAs.
    pub struct TlsDirectory32 [24] {
        /// Start of the template.
        pub start: U32,
        /// End of the template.
        pub end: U32,
        /// Address of the index of this module's slot.
        pub index: U32,
        /// Address of the callbacks.
        pub callbacks: U32,
        /// Bytes of zero behind the template.
        pub size_of_zero_fill: U32,
        /// Alignment.
        pub characteristics: U32,
    }

    /// `UNICODE_STRING` without its buffer's address, winternl.h.
    pub struct UnicodeStringHead [4] {
        /// Bytes of text.
        pub length: U16,
        /// Bytes of the buffer.
        pub maximum_length: U16,
    }
}
