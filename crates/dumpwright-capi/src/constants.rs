//! The values of dbgeng.h, by names that do not collide with its own.

/// A minidump; the format flags say what it holds. Of a machine a small dump.
pub const DUMPWRIGHT_DUMP_SMALL: u32 = 1024;
/// A full user-mode dump. Of a machine a dump of its kernel's memory.
pub const DUMPWRIGHT_DUMP_DEFAULT: u32 = 1025;
/// Of a machine, all memory.
pub const DUMPWRIGHT_DUMP_FULL: u32 = 1026;
/// Of a machine, the memory that is in use.
pub const DUMPWRIGHT_DUMP_ACTIVE: u32 = 1030;
/// `DEBUG_FORMAT_USER_SMALL_FULL_MEMORY`.
pub const DUMPWRIGHT_FORMAT_USER_SMALL_FULL_MEMORY: u32 = 0x1;
/// `DEBUG_FORMAT_USER_SMALL_HANDLE_DATA`.
pub const DUMPWRIGHT_FORMAT_USER_SMALL_HANDLE_DATA: u32 = 0x2;
/// `DEBUG_FORMAT_USER_SMALL_UNLOADED_MODULES`.
pub const DUMPWRIGHT_FORMAT_USER_SMALL_UNLOADED_MODULES: u32 = 0x4;
/// `DEBUG_FORMAT_USER_SMALL_INDIRECT_MEMORY`.
pub const DUMPWRIGHT_FORMAT_USER_SMALL_INDIRECT_MEMORY: u32 = 0x8;
/// `DEBUG_FORMAT_USER_SMALL_DATA_SEGMENTS`.
pub const DUMPWRIGHT_FORMAT_USER_SMALL_DATA_SEGMENTS: u32 = 0x10;
/// `DEBUG_FORMAT_USER_SMALL_FILTER_MEMORY`.
pub const DUMPWRIGHT_FORMAT_USER_SMALL_FILTER_MEMORY: u32 = 0x20;
/// `DEBUG_FORMAT_USER_SMALL_FILTER_PATHS`.
pub const DUMPWRIGHT_FORMAT_USER_SMALL_FILTER_PATHS: u32 = 0x40;
/// `DEBUG_FORMAT_USER_SMALL_PROCESS_THREAD_DATA`.
pub const DUMPWRIGHT_FORMAT_USER_SMALL_PROCESS_THREAD_DATA: u32 = 0x80;
/// `DEBUG_FORMAT_USER_SMALL_PRIVATE_READ_WRITE_MEMORY`.
pub const DUMPWRIGHT_FORMAT_USER_SMALL_PRIVATE_READ_WRITE_MEMORY: u32 = 0x100;
/// `DEBUG_FORMAT_USER_SMALL_NO_OPTIONAL_DATA`.
pub const DUMPWRIGHT_FORMAT_USER_SMALL_NO_OPTIONAL_DATA: u32 = 0x200;
/// `DEBUG_FORMAT_USER_SMALL_FULL_MEMORY_INFO`.
pub const DUMPWRIGHT_FORMAT_USER_SMALL_FULL_MEMORY_INFO: u32 = 0x400;
/// `DEBUG_FORMAT_USER_SMALL_THREAD_INFO`.
pub const DUMPWRIGHT_FORMAT_USER_SMALL_THREAD_INFO: u32 = 0x800;
/// `DEBUG_FORMAT_USER_SMALL_CODE_SEGMENTS`.
pub const DUMPWRIGHT_FORMAT_USER_SMALL_CODE_SEGMENTS: u32 = 0x1000;
/// `DEBUG_FORMAT_USER_SMALL_NO_AUXILIARY_STATE`.
pub const DUMPWRIGHT_FORMAT_USER_SMALL_NO_AUXILIARY_STATE: u32 = 0x2000;
/// `DEBUG_FORMAT_USER_SMALL_FULL_AUXILIARY_STATE`.
pub const DUMPWRIGHT_FORMAT_USER_SMALL_FULL_AUXILIARY_STATE: u32 = 0x4000;
/// `DEBUG_FORMAT_USER_SMALL_MODULE_HEADERS`.
pub const DUMPWRIGHT_FORMAT_USER_SMALL_MODULE_HEADERS: u32 = 0x8000;
/// `DEBUG_FORMAT_USER_SMALL_FILTER_TRIAGE`.
pub const DUMPWRIGHT_FORMAT_USER_SMALL_FILTER_TRIAGE: u32 = 0x1_0000;
/// `DEBUG_FORMAT_USER_SMALL_ADD_AVX_XSTATE_CONTEXT`.
pub const DUMPWRIGHT_FORMAT_USER_SMALL_ADD_AVX_XSTATE_CONTEXT: u32 = 0x2_0000;
/// `DEBUG_FORMAT_USER_SMALL_IPT_TRACE`.
pub const DUMPWRIGHT_FORMAT_USER_SMALL_IPT_TRACE: u32 = 0x4_0000;
/// `DEBUG_FORMAT_USER_SMALL_NO_IGNORE_INACCESSIBLE_MEM`.
pub const DUMPWRIGHT_FORMAT_USER_SMALL_NO_IGNORE_INACCESSIBLE_MEM: u32 = 0x400_0000;
/// `DEBUG_FORMAT_USER_SMALL_IGNORE_INACCESSIBLE_MEM`.
pub const DUMPWRIGHT_FORMAT_USER_SMALL_IGNORE_INACCESSIBLE_MEM: u32 = 0x800_0000;
/// `DEBUG_FORMAT_USER_SMALL_SCAN_PARTIAL_PAGES`.
pub const DUMPWRIGHT_FORMAT_USER_SMALL_SCAN_PARTIAL_PAGES: u32 = 0x1000_0000;
/// `DEBUG_FORMAT_CAB_SECONDARY_ALL_IMAGES`.
pub const DUMPWRIGHT_FORMAT_CAB_SECONDARY_ALL_IMAGES: u32 = 0x1000_0000;
/// `DEBUG_FORMAT_WRITE_CAB`.
pub const DUMPWRIGHT_FORMAT_WRITE_CAB: u32 = 0x2000_0000;
/// `DEBUG_FORMAT_CAB_SECONDARY_FILES`.
pub const DUMPWRIGHT_FORMAT_CAB_SECONDARY_FILES: u32 = 0x4000_0000;
/// `DEBUG_FORMAT_NO_OVERWRITE`.
pub const DUMPWRIGHT_FORMAT_NO_OVERWRITE: u32 = 0x8000_0000;

/// An exception or signal that nothing handles and that is about to end the process.
pub const DUMPWRIGHT_EVENT_CRASH: u32 = 1;
/// An exception before the process sees it; on Linux a signal with a handler.
pub const DUMPWRIGHT_EVENT_FIRST_CHANCE: u32 = 2;
/// The end of the process.
pub const DUMPWRIGHT_EVENT_EXIT: u32 = 4;

/// A dump is taken out of what it is packed in.
pub const DUMPWRIGHT_PHASE_UNPACK: u32 = 0;
/// Memory is copied into the dump.
pub const DUMPWRIGHT_PHASE_WRITE: u32 = 1;
/// The dump is packed into a CAB.
pub const DUMPWRIGHT_PHASE_PACKAGE: u32 = 2;
/// A process is watched; `done` and `total` are milliseconds.
pub const DUMPWRIGHT_PHASE_WAIT: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use dumpwright::{FormatFlags, Qualifier};

    #[test]
    fn the_values_are_those_of_the_engine() {
        let source = include_str!("constants.rs");
        let flags = FormatFlags::all().iter_names();
        let qualifiers = [Qualifier::Small, Qualifier::Default];
        let values = flags
            .map(|(name, flag)| (format!("DUMPWRIGHT_FORMAT_{name}"), flag.bits()))
            .chain(qualifiers.map(|q| (q.name().replace("DEBUG", "DUMPWRIGHT"), q as u32)));
        for (name, value) in values {
            let line = source.lines().find(|l| l.starts_with(&format!("pub const {name}: u32 = ")));
            let text = line.unwrap_or_else(|| panic!("{name} is missing"));
            let digits = text.split(" = ").nth(1).unwrap().trim_end_matches(';').replace('_', "");
            let stated = digits
                .strip_prefix("0x")
                .map_or_else(|| digits.parse(), |hex| u32::from_str_radix(hex, 16));
            assert_eq!(stated, Ok(value), "{name}");
        }
        assert_eq!(DUMPWRIGHT_DUMP_SMALL, 1024);
    }
}
