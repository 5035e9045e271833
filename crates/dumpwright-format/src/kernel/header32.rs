//! `DUMP_HEADER32`.

use crate::wire;
use zerocopy::FromZeros;
use zerocopy::little_endian::{U32, U64};

/// `DUMP_HEADER32.ValidDump`: the letters `DUMP`.
pub const VALID_DUMP_32: u32 = u32::from_le_bytes(*b"DUMP");

/// Runs that fit into `DUMP_HEADER32.PhysicalMemoryBlock`: 700 bytes less the 8
/// of the descriptor, and 8 for each.
pub const MAX_RUNS_32: usize = (700 - 8) / 8;

wire! {
    /// `DUMP_HEADER32`, Win32 metadata: the first 0x1000 bytes of a dump of a
    /// 32-bit kernel.
    pub struct Header32 [0x1000] {
        /// [`SIGNATURE`](super::SIGNATURE).
        pub signature: U32,
        /// [`VALID_DUMP_32`].
        pub valid_dump: U32,
        /// 0xF of a free, 0xC of a checked build.
        pub major_version: U32,
        /// Operating system build.
        pub minor_version: U32,
        /// CR3 of the context's process.
        pub directory_table_base: U32,
        /// Address of the PFN database.
        pub pfn_data_base: U32,
        /// Address of the head of the list of modules.
        pub ps_loaded_module_list: U32,
        /// Address of the head of the list of processes.
        pub ps_active_process_head: U32,
        /// [`MACHINE_X86`](super::MACHINE_X86).
        pub machine_image_type: U32,
        /// Processors.
        pub number_processors: U32,
        /// Bug check.
        pub bug_check_code: U32,
        /// Parameters of the bug check.
        pub bug_check_parameters: [U32; 4],
        /// Text, NUL-terminated, or filler.
        pub version_user: [u8; 32],
        /// Whether page tables are those of PAE.
        pub pae_enabled: u8,
        /// Form of contexts in the kernel's debugger protocol.
        pub kd_secondary_version: u8,
        /// Filler.
        pub spare3: [u8; 2],
        /// Address of `KDDEBUGGER_DATA64` (of the same layout as on 64 bits).
        pub kd_debugger_data_block: U32,
        /// Which memory the machine has; filler where the body says it.
        pub physical_memory_block: PhysicalMemoryBlock32,
        /// `CONTEXT` of the current processor, and zeros.
        pub context_record: [u8; 1200],
        /// The exception.
        pub exception: ExceptionRecord32,
        /// The comment, NUL-terminated, or filler.
        pub comment: [u8; super::COMMENT_SIZE],
        /// `DUMP_FILE_ATTRIBUTES`.
        pub attributes: U32,
        /// Which start of the system it was.
        pub boot_id: U32,
        /// Filler.
        pub reserved0: [u8; 1760],
        /// A [`DumpType`](super::DumpType).
        pub dump_type: U32,
        /// `TRIAGE_DUMP_*`: what a small dump has.
        pub mini_dump_fields: U32,
        /// Status of the secondary data; 0 is good.
        pub secondary_data_state: U32,
        /// 1 workstation, 2 domain controller, 3 server.
        pub product_type: U32,
        /// `VER_SUITE_*`.
        pub suite_mask: U32,
        /// Status of the writer; 0 is good.
        pub writer_status: U32,
        /// Bytes of the file.
        pub required_dump_space: U64,
        /// Filler.
        pub reserved2: [u8; 16],
        /// 100 ns since the system started.
        pub system_up_time: U64,
        /// `FILETIME` of the dump.
        pub system_time: U64,
        /// Filler.
        pub reserved3: [u8; 56],
    }

    /// `PHYSICAL_MEMORY_DESCRIPTOR` of a 32-bit kernel, in the room that a
    /// header has for it.
    pub struct PhysicalMemoryBlock32 [700] {
        /// Entries of `runs` that count.
        pub number_of_runs: U32,
        /// Page frames of all runs.
        pub number_of_pages: U32,
        /// Runs, in order.
        pub runs: [PhysicalMemoryRun32; MAX_RUNS_32],
        /// Filler.
        pub rest: [u8; 4],
    }

    /// `PHYSICAL_MEMORY_RUN` of a 32-bit kernel.
    pub struct PhysicalMemoryRun32 [8] {
        /// Its first page frame.
        pub base_page: U32,
        /// Its page frames.
        pub page_count: U32,
    }

    /// `EXCEPTION_RECORD32`, winnt.h.
    pub struct ExceptionRecord32 [80] {
        /// `STATUS_*`.
        pub exception_code: U32,
        /// `EXCEPTION_*` flags.
        pub exception_flags: U32,
        /// Address of a chained record.
        pub exception_record: U32,
        /// Where it happened.
        pub exception_address: U32,
        /// Entries of `exception_information` that count.
        pub number_parameters: U32,
        /// Parameters.
        pub exception_information: [U32; 15],
    }
}

impl Header32 {
    /// A header in which nothing was stored: all filler.
    pub fn filler() -> Self {
        let mut header = Self::new_zeroed();
        super::fill(zerocopy::IntoBytes::as_mut_bytes(&mut header));
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    #[test]
    fn fields_stand_where_the_documented_offsets_are() {
        assert_eq!(offset_of!(Header32, physical_memory_block), 0x64);
        assert_eq!(offset_of!(Header32, context_record), 0x320);
        assert_eq!(offset_of!(Header32, exception), 0x7D0);
        assert_eq!(offset_of!(Header32, comment), 0x820);
        assert_eq!(offset_of!(Header32, dump_type), 0xF88);
        assert_eq!(offset_of!(Header32, required_dump_space), 0xFA0);
        assert_eq!(offset_of!(Header32, system_time), 0xFC0);
    }
}
