//! The streams that are carried: those of `/proc` that filters know, those
//! whose pointers are known, and all others byte for byte.

use super::{crashpad, macos};
use crate::read::{DirectoryEntry, Minidump};
use crate::soft_error::SoftError;
use crate::target::{CarriedContent, CarriedSection, CarriedStream, PlatformStream};
use dumpwright_format::minidump::StreamType;

/// Most bytes that the carried streams may have together; entries of a
/// directory can share bytes.
const MAX_CARRIED: u64 = 256 << 20;

/// The carried streams of a dump.
#[derive(Default)]
pub(super) struct Carried {
    pub platform: Vec<PlatformStream>,
    pub comments: Vec<(StreamType, Vec<u8>)>,
    pub streams: Vec<CarriedStream>,
}

/// What becomes of a stream.
enum Way {
    /// It is made anew from what was read of it.
    Made,
    /// Filters know what is in it.
    Platform,
    Comment,
    Carried(CarriedContent),
    Crashpad,
    MacCrash,
    MacBoot,
    /// It has pointers that nobody here knows.
    Dropped,
}

impl Way {
    fn of(stream_type: StreamType) -> Way {
        match stream_type {
            StreamType::UNUSED
            | StreamType::THREAD_LIST
            | StreamType::THREAD_EX_LIST
            | StreamType::MODULE_LIST
            | StreamType::MEMORY_LIST
            | StreamType::MEMORY64_LIST
            | StreamType::EXCEPTION
            | StreamType::SYSTEM_INFO
            | StreamType::HANDLE_DATA
            | StreamType::UNLOADED_MODULE_LIST
            | StreamType::MISC_INFO
            | StreamType::MEMORY_INFO_LIST
            | StreamType::THREAD_INFO_LIST
            | StreamType::THREAD_NAMES
            | StreamType::LINUX_DSO_DEBUG
            | StreamType::MOZ_SOFT_ERRORS => Way::Made,
            StreamType::COMMENT_A | StreamType::COMMENT_W => Way::Comment,
            StreamType::LINUX_CPU_INFO
            | StreamType::LINUX_PROC_STATUS
            | StreamType::LINUX_LSB_RELEASE
            | StreamType::LINUX_CMD_LINE
            | StreamType::LINUX_ENVIRON
            | StreamType::LINUX_AUXV
            | StreamType::LINUX_MAPS
            | StreamType::MOZ_LINUX_LIMITS => Way::Platform,
            StreamType::FUNCTION_TABLE
            | StreamType::HANDLE_OPERATION_LIST
            | StreamType::SYSTEM_MEMORY_INFO
            | StreamType::PROCESS_VM_COUNTERS
            | StreamType::IPT_TRACE
            | StreamType::BREAKPAD_INFO => Way::Carried(CarriedContent::Numbers),
            StreamType::TOKEN => Way::Carried(CarriedContent::Identity),
            StreamType::CRASHPAD_INFO => Way::Crashpad,
            StreamType::MOZ_MACOS_CRASH_INFO => Way::MacCrash,
            StreamType::MOZ_MACOS_BOOTARGS => Way::MacBoot,
            // Windows CE's: minidumpapiset.h, ceStreamNull to ceStreamDiagnosisList.
            StreamType(0x8000..=0x80FF) => Way::Dropped,
            _ => Way::Carried(CarriedContent::Unknown),
        }
    }
}

/// Reads the streams of a dump that are carried.
pub(super) fn read(dump: &Minidump, notes: &mut Vec<SoftError>) -> Carried {
    let mut carried = Carried::default();
    let mut left = dump.work_allowance().min(MAX_CARRIED);
    for entry in dump.directory() {
        let way = Way::of(entry.stream_type);
        let mut note = |message: &str| {
            let subject = format!("source's {}", entry.stream_type);
            notes.push(SoftError::new(subject, message));
        };
        if matches!(way, Way::Made) {
            continue;
        }
        if matches!(way, Way::Dropped) {
            note("was left out: it has offsets of the source file that are not known here");
            continue;
        }
        let Some(rest) = left.checked_sub(entry.location.size) else {
            note("was left out: the streams together have more bytes than the file");
            continue;
        };
        let Some(bytes) = stream_bytes(dump, entry) else {
            note("was left out: it reaches past the end of the file, or is too long");
            continue;
        };
        left = rest;
        let stream_type = entry.stream_type;
        let stream = match way {
            Way::Platform => {
                carried.platform.push(PlatformStream { stream_type, bytes: bytes.into() });
                continue;
            }
            Way::Comment => {
                carried.comments.push((stream_type, bytes));
                continue;
            }
            Way::Crashpad => crashpad::carry(dump, &bytes),
            Way::MacCrash => macos::carry_crash_info(dump, &bytes),
            Way::MacBoot => macos::carry_boot_args(dump, &bytes),
            Way::Carried(content) => Some(CarriedStream {
                stream_type,
                content,
                section: match content {
                    CarriedContent::Numbers => CarriedSection { bytes, ..Default::default() },
                    _ => CarriedSection::text(bytes),
                },
                blobs: Vec::new(),
            }),
            Way::Made | Way::Dropped => None,
        };
        match stream {
            Some(stream) => carried.streams.push(stream),
            None => note("was left out: what it points to is not there"),
        }
    }
    carried
}

fn stream_bytes(dump: &Minidump, entry: &DirectoryEntry) -> Option<Vec<u8>> {
    let location = entry.location;
    if !dump.holds(location.rva, location.size) {
        return None;
    }
    let mut bytes = vec![0; location.size as usize];
    dump.read_file(location.rva, &mut bytes).ok()?;
    Some(bytes)
}
