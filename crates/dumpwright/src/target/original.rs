//! What a dump recorded, for a dump that is made of it.
//!
//! A [`ProcessSnapshot`](super::ProcessSnapshot) has what any target has. A dump
//! has more of its own (version resources, miscellaneous records, streams that
//! nobody here knows), which a dump of it carries as it stands.

use crate::read::string::{eight_bit, utf16};
use dumpwright_format::MinidumpType;
use dumpwright_format::minidump::{MemoryInfo, StreamType, ThreadInfo, VsFixedFileInfo};

/// What a dump recorded beyond what any target has.
#[derive(Clone, Debug, Default)]
pub struct OriginalDump {
    /// `TimeDateStamp` of its header: when the process was as the dump shows it.
    /// A dump of the dump keeps it, since debuggers show it as the time of the
    /// session and subtract the process's start from it.
    pub time_date_stamp: u32,
    /// `Flags` of its header.
    pub minidump_type: MinidumpType,
    /// `ProcessorArchitecture` as it stands there; some architectures have two
    /// numbers.
    pub processor_architecture: u16,
    /// Whether it has all memory that the process had.
    pub full_memory: bool,
    /// The MiscInfo stream.
    pub misc_info: Option<Vec<u8>>,
    /// What further it says of each module, in the order of
    /// [`ProcessSnapshot::modules`](super::ProcessSnapshot::modules).
    pub modules: Vec<ModuleRecords>,
    /// What further it says of each thread, in the order of
    /// [`ProcessSnapshot::threads`](super::ProcessSnapshot::threads).
    pub threads: Vec<ThreadRecords>,
    /// What further it says of each handle, in the order of
    /// [`ProcessSnapshot::handles`](super::ProcessSnapshot::handles).
    pub handles: Vec<HandleRecords>,
    /// Its MemoryInfoList, entries of the same kind that touch made one.
    pub memory_info: Vec<MemoryInfo>,
    /// `ExceptionRecord` of its exception: the address of a chained one.
    pub chained_exception: u64,
    /// Its comment streams.
    pub comments: Vec<(StreamType, Vec<u8>)>,
    /// Its streams that are carried as they are.
    pub streams: Vec<CarriedStream>,
}

impl OriginalDump {
    /// The comment: that in wide characters, else the narrow one.
    pub fn comment(&self) -> Option<String> {
        let stream = |kind| self.comments.iter().find(|(k, _)| *k == kind).map(|(_, b)| &b[..]);
        let wide = stream(StreamType::COMMENT_W).map(|bytes| utf16(bytes).0);
        wide.or_else(|| stream(StreamType::COMMENT_A).map(eight_bit))
    }
}

/// Which of the streams that a flag asks for a target has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HasStreams {
    /// HandleData.
    pub handles: bool,
    /// UnloadedModuleList.
    pub unloaded_modules: bool,
    /// ThreadInfoList.
    pub thread_info: bool,
    /// ThreadNames.
    pub thread_names: bool,
    /// MemoryInfoList, or `/proc/PID/maps`, which says the same.
    pub memory_info: bool,
    /// Token.
    pub token: bool,
    /// ProcessVmCounters.
    pub vm_counters: bool,
    /// SystemMemoryInfo.
    pub system_memory: bool,
    /// IptTrace.
    pub ipt_trace: bool,
}

/// What a dump says of a module beyond base, size, name and debug id.
#[derive(Clone, Debug)]
pub struct ModuleRecords {
    /// The version resource.
    pub version_info: VsFixedFileInfo,
    /// The CodeView record.
    pub code_view: Vec<u8>,
    /// The record of another kind of debug information.
    pub misc: Vec<u8>,
}

/// What a dump says of a thread beyond what any target has.
#[derive(Clone, Debug, Default)]
pub struct ThreadRecords {
    /// Priority class.
    pub priority_class: u32,
    /// Its entry of the ThreadInfoList.
    pub info: Option<ThreadInfo>,
}

/// What a dump says of a handle beyond what any target has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandleRecords {
    /// `OBJ_*` attributes.
    pub attributes: u32,
    /// Handles to the object.
    pub handle_count: u32,
    /// Kernel pointers to the object.
    pub pointer_count: u32,
    /// Object informations: type and bytes.
    pub informations: Vec<(u32, Vec<u8>)>,
}

/// A stream that is carried as it is, with what it points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedStream {
    /// Its type.
    pub stream_type: StreamType,
    /// What can be in it.
    pub content: CarriedContent,
    /// Its bytes.
    pub section: CarriedSection,
    /// What it points to, directly or not; [`Pointer::to`] counts these.
    pub blobs: Vec<CarriedSection>,
}

/// What a carried stream can hold, as far as filters have to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarriedContent {
    /// Numbers that say nothing about a person: tables of functions, counters.
    Numbers,
    /// Who runs the process.
    Identity,
    /// Nobody here knows; any text may be in it.
    Unknown,
}

/// Bytes, and the pointers in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CarriedSection {
    /// The bytes; what stands where pointers are does not count.
    pub bytes: Vec<u8>,
    /// The pointers.
    pub pointers: Vec<Pointer>,
    /// From and to which byte text can stand that a redaction may overwrite.
    pub text: (usize, usize),
}

/// A pointer in a carried section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// Offset of the field.
    pub at: usize,
    /// What kind of field it is.
    pub kind: PointerKind,
    /// Index of the blob.
    pub to: usize,
}

/// How a field points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointerKind {
    /// A 32-bit RVA.
    Rva,
    /// A 64-bit RVA.
    Rva64,
    /// `MINIDUMP_LOCATION_DESCRIPTOR`.
    Location,
}

impl CarriedSection {
    /// Bytes without pointers, in all of which text can stand.
    pub fn text(bytes: Vec<u8>) -> Self {
        CarriedSection { text: (0, bytes.len()), bytes, pointers: Vec::new() }
    }
}

impl HasStreams {
    /// What a live process has.
    pub const ALL: HasStreams = HasStreams {
        handles: true,
        unloaded_modules: true,
        thread_info: true,
        thread_names: true,
        memory_info: true,
        token: true,
        vm_counters: true,
        system_memory: true,
        ipt_trace: true,
    };
}
