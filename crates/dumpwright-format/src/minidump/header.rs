//! Header, directory, locations and stream types.

use crate::wire;
use zerocopy::little_endian::{U32, U64};

/// `MINIDUMP_SIGNATURE`: the bytes `MDMP`.
pub const SIGNATURE: u32 = 0x504D_444D;

/// `MINIDUMP_VERSION`: the low word of the header's version.
pub const VERSION: u16 = 0xA793;

/// A wire-level relative virtual address: a 32-bit offset from the start of the file.
pub type Rva = U32;

wire! {
    /// `MINIDUMP_HEADER`, minidumpapiset.h: the first 32 bytes of the file.
    pub struct Header [32] {
        /// [`SIGNATURE`].
        pub signature: U32,
        /// Low word [`VERSION`]; the high word is the writer's own.
        pub version: U32,
        /// Entries in the directory.
        pub number_of_streams: U32,
        /// Where the directory starts.
        pub stream_directory_rva: Rva,
        /// 0: nothing computes it.
        pub check_sum: U32,
        /// Seconds since 1970 (unsigned 32 bits: good until 2106).
        pub time_date_stamp: U32,
        /// A [`MinidumpType`](crate::MinidumpType).
        pub flags: U64,
    }

    /// `MINIDUMP_LOCATION_DESCRIPTOR`, minidumpapiset.h.
    pub struct LocationDescriptor [8] {
        /// Length in bytes.
        pub data_size: U32,
        /// Start.
        pub rva: Rva,
    }

    /// `MINIDUMP_DIRECTORY`, minidumpapiset.h: one stream.
    pub struct Directory [12] {
        /// A [`StreamType`].
        pub stream_type: U32,
        /// Where the stream is.
        pub location: LocationDescriptor,
    }
}

/// `MINIDUMP_STREAM_TYPE`: what a stream holds. Values without a constant are
/// legal: readers skip what they do not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamType(pub u32);

macro_rules! stream_types {
    ($( $(#[$meta:meta])* $konst:ident = $value:expr, $name:expr; )*) => {
        impl StreamType {
            $( $(#[$meta])* pub const $konst: StreamType = StreamType($value); )*

            /// The name that the field uses, or `None` for an unknown value.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $( $value => Some($name), )*
                    _ => None,
                }
            }
        }
    };
}

stream_types! {
    /// An entry that readers must skip.
    UNUSED = 0, "Unused";
    /// List of [`Thread`](super::Thread).
    THREAD_LIST = 3, "ThreadList";
    /// List of [`Module`](super::Module).
    MODULE_LIST = 4, "ModuleList";
    /// List of [`MemoryDescriptor`](super::MemoryDescriptor).
    MEMORY_LIST = 5, "MemoryList";
    /// One [`ExceptionStream`](super::ExceptionStream).
    EXCEPTION = 6, "Exception";
    /// One [`SystemInfo`](super::SystemInfo).
    SYSTEM_INFO = 7, "SystemInfo";
    /// Threads with backing stores (Itanium).
    THREAD_EX_LIST = 8, "ThreadExList";
    /// [`Memory64ListHeader`](super::Memory64ListHeader) and descriptors.
    MEMORY64_LIST = 9, "Memory64List";
    /// The comment, ANSI, NUL-terminated.
    COMMENT_A = 10, "CommentA";
    /// The comment, UTF-16, NUL-terminated.
    COMMENT_W = 11, "CommentW";
    /// [`HandleDataStream`](super::HandleDataStream) and descriptors.
    HANDLE_DATA = 12, "HandleData";
    /// Dynamic function tables.
    FUNCTION_TABLE = 13, "FunctionTable";
    /// [`UnloadedModuleList`](super::UnloadedModuleList) and entries.
    UNLOADED_MODULE_LIST = 14, "UnloadedModuleList";
    /// One [`MiscInfo5`](super::MiscInfo5) or an earlier form of it.
    MISC_INFO = 15, "MiscInfo";
    /// [`MemoryInfoList`](super::MemoryInfoList) and entries.
    MEMORY_INFO_LIST = 16, "MemoryInfoList";
    /// [`ThreadInfoList`](super::ThreadInfoList) and entries.
    THREAD_INFO_LIST = 17, "ThreadInfoList";
    /// Handle operations (Application Verifier).
    HANDLE_OPERATION_LIST = 18, "HandleOperationList";
    /// [`TokenInfoList`](super::TokenInfoList) and entries.
    TOKEN = 19, "Token";
    /// JavaScript engine data.
    JAVA_SCRIPT_DATA = 20, "JavaScriptData";
    /// One [`SystemMemoryInfo1`](super::SystemMemoryInfo1).
    SYSTEM_MEMORY_INFO = 21, "SystemMemoryInfo";
    /// One [`ProcessVmCounters2`](super::ProcessVmCounters2) or its first form.
    PROCESS_VM_COUNTERS = 22, "ProcessVmCounters";
    /// Intel Processor Trace.
    IPT_TRACE = 23, "IptTrace";
    /// List of [`ThreadName`](super::ThreadName).
    THREAD_NAMES = 24, "ThreadNames";
    /// Breakpad: which thread wrote the dump.
    BREAKPAD_INFO = 0x4767_0001, "BreakpadInfo";
    /// Breakpad: an assertion.
    ASSERTION_INFO = 0x4767_0002, "AssertionInfo";
    /// Text of `/proc/cpuinfo`.
    LINUX_CPU_INFO = 0x4767_0003, "LinuxCpuInfo";
    /// Text of `/proc/PID/status`.
    LINUX_PROC_STATUS = 0x4767_0004, "LinuxProcStatus";
    /// Text of `/etc/lsb-release` or `/etc/os-release`.
    LINUX_LSB_RELEASE = 0x4767_0005, "LinuxLsbRelease";
    /// Bytes of `/proc/PID/cmdline`.
    LINUX_CMD_LINE = 0x4767_0006, "LinuxCmdLine";
    /// Bytes of `/proc/PID/environ`.
    LINUX_ENVIRON = 0x4767_0007, "LinuxEnviron";
    /// Bytes of `/proc/PID/auxv`.
    LINUX_AUXV = 0x4767_0008, "LinuxAuxv";
    /// Text of `/proc/PID/maps`.
    LINUX_MAPS = 0x4767_0009, "LinuxMaps";
    /// [`linux::DsoDebug64`](super::linux::DsoDebug64).
    LINUX_DSO_DEBUG = 0x4767_000A, "LinuxDsoDebug";
    /// Crashpad's own information.
    CRASHPAD_INFO = 0x4350_0001, "CrashpadInfo";
    /// dumpwright: the Unix side of a process under Wine, as JSON.
    UNIX_SIDE = 0x4457_0001, "UnixSide";
    /// Mozilla: macOS crash information.
    MOZ_MACOS_CRASH_INFO = 0x4D7A_0001, "MozMacosCrashInfo";
    /// Mozilla: macOS boot arguments.
    MOZ_MACOS_BOOTARGS = 0x4D7A_0002, "MozMacosBootargs";
    /// Mozilla: text of `/proc/PID/limits`.
    MOZ_LINUX_LIMITS = 0x4D7A_0003, "MozLinuxLimits";
    /// Mozilla: what went wrong while the dump was written, as JSON.
    MOZ_SOFT_ERRORS = 0x4D7A_0004, "MozSoftErrors";
}

impl core::fmt::Display for StreamType {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "stream {:#x}", self.0),
        }
    }
}
