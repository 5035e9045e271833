//! Threads: the list, names and times.

use super::{LocationDescriptor, MemoryDescriptor};
use crate::wire;
use zerocopy::little_endian::{U32, U64};

wire! {
    /// `MINIDUMP_THREAD`, minidumpapiset.h. The stream is a `u32` count and
    /// these entries.
    pub struct Thread [48] {
        /// Thread id.
        pub thread_id: U32,
        /// How often the thread was suspended.
        pub suspend_count: U32,
        /// Priority class.
        pub priority_class: U32,
        /// Priority.
        pub priority: U32,
        /// Address of the TEB; on Linux the thread pointer (FS base, `TPIDR_EL0`).
        pub teb: U64,
        /// The stack, from the stack pointer to its base.
        pub stack: MemoryDescriptor,
        /// The processor context.
        pub thread_context: LocationDescriptor,
    }

    /// `MINIDUMP_THREAD_EX`, minidumpapiset.h: a thread and its backing store
    /// (Itanium).
    pub struct ThreadEx [64] {
        /// The thread.
        pub thread: Thread,
        /// The register backing store.
        pub backing_store: MemoryDescriptor,
    }

    /// `MINIDUMP_THREAD_NAME`, minidumpapiset.h. The stream is a `u32` count
    /// and these entries, packed.
    pub struct ThreadName [12] {
        /// Thread id.
        pub thread_id: U32,
        /// Offset of a `MINIDUMP_STRING`.
        pub rva_of_thread_name: U64,
    }

    /// `MINIDUMP_THREAD_INFO_LIST`, minidumpapiset.h: the head of the stream.
    pub struct ThreadInfoList [12] {
        /// 12.
        pub size_of_header: U32,
        /// 64.
        pub size_of_entry: U32,
        /// Entries that follow.
        pub number_of_entries: U32,
    }

    /// `MINIDUMP_THREAD_INFO`, minidumpapiset.h.
    pub struct ThreadInfo [64] {
        /// Thread id.
        pub thread_id: U32,
        /// `MINIDUMP_THREAD_INFO_*` flags.
        pub dump_flags: U32,
        /// An HRESULT, if the thread could not be dumped whole.
        pub dump_error: U32,
        /// Exit status; `STILL_ACTIVE` (0x103) while it runs.
        pub exit_status: U32,
        /// FILETIME of creation.
        pub create_time: U64,
        /// FILETIME of exit, or 0.
        pub exit_time: U64,
        /// Time in the kernel, 100 ns units.
        pub kernel_time: U64,
        /// Time in user mode, 100 ns units.
        pub user_time: U64,
        /// Start address.
        pub start_address: U64,
        /// Processor affinity mask.
        pub affinity: U64,
    }
}

/// `MINIDUMP_THREAD_INFO_ERROR_THREAD`: only placeholder information.
pub const THREAD_INFO_ERROR_THREAD: u32 = 0x1;
/// `MINIDUMP_THREAD_INFO_WRITING_THREAD`: the thread wrote the dump.
pub const THREAD_INFO_WRITING_THREAD: u32 = 0x2;
/// `MINIDUMP_THREAD_INFO_EXITED_THREAD`: the thread has exited.
pub const THREAD_INFO_EXITED_THREAD: u32 = 0x4;
/// `MINIDUMP_THREAD_INFO_INVALID_INFO`: times and addresses are not known.
pub const THREAD_INFO_INVALID_INFO: u32 = 0x8;
/// `MINIDUMP_THREAD_INFO_INVALID_CONTEXT`: the context is not valid.
pub const THREAD_INFO_INVALID_CONTEXT: u32 = 0x10;
/// `MINIDUMP_THREAD_INFO_INVALID_TEB`: the TEB is not known.
pub const THREAD_INFO_INVALID_TEB: u32 = 0x20;
/// `STILL_ACTIVE`, minwinbase.h: the exit status of a running thread.
pub const STILL_ACTIVE: u32 = 0x103;
