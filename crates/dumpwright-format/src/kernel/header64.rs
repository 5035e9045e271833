//! `DUMP_HEADER64`.

use crate::wire;
use zerocopy::FromZeros;
use zerocopy::little_endian::{U32, U64};

/// `DUMP_HEADER64.ValidDump`: the letters `DU64`.
pub const VALID_DUMP_64: u32 = u32::from_le_bytes(*b"DU64");

/// Runs that fit into `DUMP_HEADER64.PhysicalMemoryBlock`: 700 bytes less the
/// 16 of the descriptor, and 16 for each.
pub const MAX_RUNS_64: usize = (700 - 16) / 16;

wire! {
    /// `DUMP_HEADER64`: the first 0x2000 bytes of a dump of a 64-bit kernel.
    ///
    /// Fields and sizes are those of the Win32 metadata; where implicit padding
    /// stands is as in the real dump.
    pub struct Header64 [0x2000] {
        /// [`SIGNATURE`](super::SIGNATURE).
        pub signature: U32,
        /// [`VALID_DUMP_64`].
        pub valid_dump: U32,
        /// 0xF of a free, 0xC of a checked build.
        pub major_version: U32,
        /// Operating system build, for example 19041.
        pub minor_version: U32,
        /// CR3 of the context's process.
        pub directory_table_base: U64,
        /// Address of the PFN database.
        pub pfn_data_base: U64,
        /// Address of the head of the list of modules.
        pub ps_loaded_module_list: U64,
        /// Address of the head of the list of processes.
        pub ps_active_process_head: U64,
        /// `MACHINE_*`.
        pub machine_image_type: U32,
        /// Processors.
        pub number_processors: U32,
        /// Bug check.
        pub bug_check_code: U32,
        /// Filler.
        pub padding1: U32,
        /// Parameters of the bug check.
        pub bug_check_parameters: [U64; 4],
        /// Text, NUL-terminated, or filler.
        pub version_user: [u8; 32],
        /// Address of `KDDEBUGGER_DATA64`.
        pub kd_debugger_data_block: U64,
        /// Which memory the machine has; filler where the body says it.
        pub physical_memory_block: PhysicalMemoryBlock64,
        /// `CONTEXT` of the current processor, and zeros.
        pub context_record: [u8; 3000],
        /// The exception.
        pub exception: ExceptionRecord64,
        /// A [`DumpType`](super::DumpType).
        pub dump_type: U32,
        /// Filler.
        pub padding2: U32,
        /// Bytes of the file.
        pub required_dump_space: U64,
        /// `FILETIME` of the dump.
        pub system_time: U64,
        /// The comment, NUL-terminated, or filler.
        pub comment: [u8; super::COMMENT_SIZE],
        /// 100 ns since the system started.
        pub system_up_time: U64,
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
        /// Filler.
        pub unused1: u8,
        /// Form of contexts in the kernel's debugger protocol.
        pub kd_secondary_version: u8,
        /// Filler.
        pub unused2: [u8; 2],
        /// `DUMP_FILE_ATTRIBUTES`.
        pub attributes: U32,
        /// Which start of the system it was.
        pub boot_id: U32,
        /// Filler.
        pub reserved: [u8; 4008],
    }

    /// `PHYSICAL_MEMORY_DESCRIPTOR` of a 64-bit kernel, in the room that a
    /// header has for it.
    pub struct PhysicalMemoryBlock64 [704] {
        /// Entries of `runs` that count.
        pub number_of_runs: U32,
        /// Filler.
        pub padding: U32,
        /// Page frames of all runs.
        pub number_of_pages: U64,
        /// Runs, in order.
        pub runs: [PhysicalMemoryRun64; MAX_RUNS_64],
        /// Filler: too little for one more run, and the padding behind the 700
        /// bytes of the block.
        pub rest: [u8; 16],
    }

    /// `PHYSICAL_MEMORY_RUN` of a 64-bit kernel.
    pub struct PhysicalMemoryRun64 [16] {
        /// Its first page frame.
        pub base_page: U64,
        /// Its page frames.
        pub page_count: U64,
    }

    /// `EXCEPTION_RECORD64`, winnt.h.
    pub struct ExceptionRecord64 [152] {
        /// `STATUS_*`.
        pub exception_code: U32,
        /// `EXCEPTION_*` flags.
        pub exception_flags: U32,
        /// Address of a chained record.
        pub exception_record: U64,
        /// Where it happened.
        pub exception_address: U64,
        /// Entries of `exception_information` that count.
        pub number_parameters: U32,
        /// Unused.
        pub unused_alignment: U32,
        /// Parameters.
        pub exception_information: [U64; 15],
    }
}

impl Header64 {
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
    fn fields_stand_where_real_dumps_have_them() {
        assert_eq!(offset_of!(Header64, physical_memory_block), 0x88);
        assert_eq!(offset_of!(Header64, context_record), 0x348);
        assert_eq!(offset_of!(Header64, exception), 0xF00);
        assert_eq!(offset_of!(Header64, dump_type), 0xF98);
        assert_eq!(offset_of!(Header64, comment), 0xFB0);
        assert_eq!(offset_of!(Header64, mini_dump_fields), 0x1038);
        assert_eq!(offset_of!(Header64, kd_secondary_version), 0x104D);
        assert_eq!(offset_of!(Header64, boot_id), 0x1054);
    }
}
