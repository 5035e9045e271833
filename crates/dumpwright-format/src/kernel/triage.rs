//! The small dump (type 4).

use crate::wire;
use zerocopy::little_endian::{U32, U64};

/// `TRGD`: the last four bytes of a small dump's own data.
pub const TRIAGE_VALID: u32 = u32::from_le_bytes(*b"TRGD");

/// What `MiniDumpFields` of a small dump's header says it has (`TRIAGE_DUMP_*`,
/// by Ghidra's description).
pub mod triage_fields {
    /// The context.
    pub const CONTEXT: u32 = 0x1;
    /// The exception.
    pub const EXCEPTION: u32 = 0x2;
    /// `KPRCB`.
    pub const PRCB: u32 = 0x4;
    /// `EPROCESS`.
    pub const PROCESS: u32 = 0x8;
    /// `ETHREAD`.
    pub const THREAD: u32 = 0x10;
    /// The stack.
    pub const STACK: u32 = 0x20;
    /// The list of drivers.
    pub const DRIVER_LIST: u32 = 0x40;
    /// The driver at fault, and the unloaded ones.
    pub const BROKEN_DRIVER: u32 = 0x80;
    /// Counters of memory management.
    pub const MM_INFO: u32 = 0x100;
    /// The page of data at `data_page_address`.
    pub const DATA_PAGE: u32 = 0x200;
    /// `KDDEBUGGER_DATA64`.
    pub const DEBUGGER_DATA: u32 = 0x400;
    /// Data blocks.
    pub const DATA_BLOCKS: u32 = 0x800;
}

/// `MmInformation` that real dumps carry: version 1, 0x50 bytes.
pub const TRIAGE_MM_SIZE: u32 = 0x50;

wire! {
    /// `TRIAGE_DUMP64`, behind the header of a 64-bit kernel. Offsets count from
    /// the start of the file.
    pub struct TriageDump64 [128] {
        /// Build of the service pack.
        pub service_pack_build: U32,
        /// Bytes of the dump without secondary data.
        pub size_of_dump: U32,
        /// Where [`TRIAGE_VALID`] stands.
        pub valid_offset: U32,
        /// Where the context stands: in the header.
        pub context_offset: U32,
        /// Where the exception stands: in the header.
        pub exception_offset: U32,
        /// Where the [`TriageMmInformation`] stands.
        pub mm_offset: U32,
        /// Where the list of unloaded drivers stands: a count of 64 bits and
        /// [`UnloadedDriver64`]s.
        pub unloaded_drivers_offset: U32,
        /// Where the `KPRCB` stands.
        pub prcb_offset: U32,
        /// Where the `EPROCESS` stands.
        pub process_offset: U32,
        /// Where the `ETHREAD` stands.
        pub thread_offset: U32,
        /// Where the stack stands.
        pub call_stack_offset: U32,
        /// Bytes of the stack.
        pub size_of_call_stack: U32,
        /// Where the [`DriverEntry64`]s stand.
        pub driver_list_offset: U32,
        /// How many they are.
        pub driver_count: U32,
        /// Where the names stand.
        pub string_pool_offset: U32,
        /// Bytes of the names.
        pub string_pool_size: U32,
        /// Where the name of the driver at fault stands; 0 for none.
        pub broken_driver_offset: U32,
        /// All ones.
        pub triage_options: U32,
        /// Address of the stack's first byte.
        pub top_of_stack: U64,
        /// For other processors; 0.
        pub architecture_specific: [u8; 16],
        /// Address of the page of data; 0 for none.
        pub data_page_address: U64,
        /// Where it stands.
        pub data_page_offset: U32,
        /// Its bytes.
        pub data_page_size: U32,
        /// Where the `KDDEBUGGER_DATA64` stands.
        pub debugger_data_offset: U32,
        /// Its bytes.
        pub debugger_data_size: U32,
        /// Where the [`TriageDataBlock`]s stand.
        pub data_blocks_offset: U32,
        /// How many they are.
        pub data_blocks_count: U32,
    }

    /// Counters of memory management; what the fields behind the first two are
    /// is not described by anybody, and the real dump has zeros.
    pub struct TriageMmInformation [80] {
        /// 1.
        pub version: U32,
        /// Bytes of this structure.
        pub size: U32,
        /// Counters.
        pub counters: [u8; 72],
    }

    /// A piece of virtual memory in a small dump.
    pub struct TriageDataBlock [16] {
        /// Its address.
        pub address: U64,
        /// Where it stands in the file.
        pub offset: U32,
        /// Its bytes.
        pub size: U32,
    }

    /// A driver of a small dump.
    pub struct DriverEntry64 [144] {
        /// Where its name stands: a count of UTF-16 units in 32 bits, the units,
        /// and NUL.
        pub name_offset: U32,
        /// 0.
        pub padding: U32,
        /// Its entry in the list of modules. Small dumps keep of it the base,
        /// the size, the checksum and the time stamp.
        pub entry: KldrDataTableEntry64,
    }

    /// `KLDR_DATA_TABLE_ENTRY` of a 64-bit kernel, as far as a small dump has it.
    pub struct KldrDataTableEntry64 [136] {
        /// `InLoadOrderLinks`.
        pub in_load_order_links: [U64; 2],
        /// `ExceptionTable`.
        pub exception_table: U64,
        /// `ExceptionTableSize`, and padding.
        pub exception_table_size: U64,
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
        pub padding1: U32,
        /// `FullDllName`.
        pub full_dll_name: UnicodeString64,
        /// `BaseDllName`.
        pub base_dll_name: UnicodeString64,
        /// `Flags`.
        pub flags: U32,
        /// `LoadCount` and signing flags.
        pub load_count: U32,
        /// `SectionPointer`.
        pub section_pointer: U64,
        /// `CheckSum` of the image.
        pub check_sum: U32,
        /// `CoverageSectionSize`.
        pub coverage_section_size: U32,
        /// In a small dump the time stamp of the image; `CoverageSection` in
        /// memory.
        pub time_date_stamp: U32,
        /// The rest of it.
        pub padding2: U32,
    }

    /// `UNICODE_STRING` of a 64-bit kernel.
    pub struct UnicodeString64 [16] {
        /// Bytes of the text.
        pub length: zerocopy::little_endian::U16,
        /// Bytes of its buffer.
        pub maximum_length: zerocopy::little_endian::U16,
        /// Padding.
        pub padding: U32,
        /// Address of the text.
        pub buffer: U64,
    }

    /// A driver that was unloaded, in a small dump.
    pub struct UnloadedDriver64 [56] {
        /// Length of the name; its buffer is 0.
        pub name: UnicodeString64,
        /// The first 12 units of the name.
        pub driver_name: [zerocopy::little_endian::U16; 12],
        /// First address that it had.
        pub start_address: U64,
        /// Address past its end.
        pub end_address: U64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    #[test]
    fn fields_stand_where_real_dumps_have_them() {
        assert_eq!(offset_of!(TriageDump64, top_of_stack), 72);
        assert_eq!(offset_of!(TriageDump64, data_page_address), 96);
        assert_eq!(offset_of!(TriageDump64, debugger_data_offset), 112);
        assert_eq!(offset_of!(KldrDataTableEntry64, dll_base), 0x30);
        assert_eq!(offset_of!(KldrDataTableEntry64, full_dll_name), 0x48);
        assert_eq!(offset_of!(KldrDataTableEntry64, check_sum), 0x78);
    }
}
