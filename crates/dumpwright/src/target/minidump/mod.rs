//! Minidumps as targets: a process as a dump of it shows it, whoever wrote it.
//!
//! What the plan makes anew (threads, modules, memory lists, …) is read into the
//! snapshot; everything else is carried as it stands
//! ([`OriginalDump`]). The memory stays in the file and is
//! read when the new dump is written, so a small dump of a large one costs what
//! the small one does.
//!
//! Bytes of the source are foreign: what cannot be made out is left out and
//! noted, never made up.

#![forbid(unsafe_code)]

mod crashpad;
pub(super) mod exception;
pub(super) mod files;
mod handles;
mod linux;
mod macos;
mod maps;
pub(super) mod memory;
pub(super) mod modules;
pub(super) mod regions;
pub(super) mod soft_errors;
mod streams;
mod system;
#[cfg(test)]
mod tests;
mod threads;
mod tree;

use super::{
    HasStreams, MemorySource, ModuleSnapshot, OriginalDump, Platform, ProcessSnapshot,
    ProcessTarget, ThreadSnapshot, Wants,
};
use crate::address::AddressRange;
use crate::error::{Error, Result};
use crate::read::{Minidump, ReadError};
use dumpwright_format::MinidumpType;
use dumpwright_format::minidump::{StreamType, architecture_name};
use dumpwright_format::nt::NtOffsets;
use files::ModuleFiles;
use linux::Words;
use memory::DumpMemory;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use system::or_note;

const PAGE: u64 = 4096;

/// A process that a minidump shows.
pub struct MinidumpProcess {
    snapshot: ProcessSnapshot,
    memory: DumpMemory,
    files: ModuleFiles,
}

impl MinidumpProcess {
    /// The process that a dump shows. `wants` is the request's
    /// ([`DumpRequest::wants`](crate::DumpRequest::wants)).
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if the exception that `wants` names is not in
    /// the dump; [`Error::NotATarget`] for a dump without SystemInfo, of an architecture
    /// that dumps are not made of, or whose lists of threads, modules or memory
    /// cannot be read; [`Error::Io`].
    pub fn open(dump: Minidump, wants: &Wants) -> Result<MinidumpProcess> {
        let dump = Arc::new(dump);
        let file = dump.file().to_owned();
        open(&dump, wants).map_err(|fault| match fault {
            Fault::Read(ReadError::Io { source, .. }) => Error::Io { action: "read", file, source },
            Fault::Read(error) => Error::NotATarget { file, reason: error.to_string() },
            Fault::Refused(reason) => Error::NotATarget { file, reason },
            Fault::Request(error) => error,
        })
    }

    /// Looks for the files of modules below a folder that stands for `/` of that
    /// machine, or for the root of its drive, and not where they were.
    #[must_use]
    pub fn with_sysroot(mut self, sysroot: Option<PathBuf>) -> MinidumpProcess {
        self.files.sysroot = sysroot;
        self
    }
}

impl MinidumpProcess {
    /// What the dump says, without its memory.
    #[cfg(target_os = "linux")]
    pub(super) fn into_snapshot(self) -> ProcessSnapshot {
        self.snapshot
    }
}

/// Why a dump cannot be a target.
enum Fault {
    Read(ReadError),
    Refused(String),
    Request(Error),
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        Fault::Read(error)
    }
}

fn open(dump: &Arc<Minidump>, wants: &Wants) -> Result<MinidumpProcess, Fault> {
    let mut notes = Vec::new();
    let info = dump.system_info()?.ok_or_else(|| {
        Fault::Refused("it has no SystemInfo stream, which says of what system it is".into())
    })?;
    let architecture = system::architecture(info.processor_architecture).ok_or_else(|| {
        Fault::Refused(format!(
            "it is of a process on {} (processor architecture {:#x}), and dumps are made of x86, x86-64 and aarch64 ones; `info` and `verify` read it",
            architecture_name(info.processor_architecture),
            info.processor_architecture
        ))
    })?;
    let misc = or_note("misc info", dump.misc_info(), &mut notes);
    let stored_threads = dump.threads()?.unwrap_or_default();
    let memory = DumpMemory::new(dump.clone(), &stored_threads)?;
    let contexts = threads::Contexts {
        dump,
        processor_architecture: info.processor_architecture,
        extended: wants.extended_state,
    };
    let names = or_note("thread names", dump.thread_names(), &mut notes);
    let infos = or_note("thread information", dump.thread_info(), &mut notes);
    let (has_names, has_infos) = (names.is_some(), infos.is_some());
    let mut threads = threads::threads(&contexts, &stored_threads, names, infos, &mut notes);
    let own_exception = threads::exception(&contexts, dump.exception(), &mut notes);
    let (mut modules, module_records) = modules::modules(dump, &mut notes)?;

    let carried = streams::read(dump, &mut notes);
    let platform_stream = |stream_type| {
        carried.platform.iter().find(|s| s.stream_type == stream_type).map(|s| s.bytes.to_bytes())
    };
    let maps =
        platform_stream(StreamType::LINUX_MAPS).as_deref().map(maps::parse).unwrap_or_default();
    let memory_info = or_note("memory information", dump.memory_info(), &mut notes);
    let memory_info = memory_info.map(|stored| regions::merge(stored, &maps)).unwrap_or_default();
    let xstate = wants.extended_state && threads.extended;
    let system = system::system(&info, architecture, misc.as_ref(), xstate);
    let platform = system.platform();
    let regions = regions::regions(&memory_info, &maps, memory.held(), &modules, platform);

    modules::add_places(&mut modules, &regions, &memory, platform);
    let words = Words { memory: &memory, size: architecture.pointer_size() };
    let offsets = if words.size == 4 { NtOffsets::NARROW } else { NtOffsets::WIDE };
    let mut process_peb = 0;
    if platform == Platform::Windows {
        process_peb = peb(&memory, &offsets, &threads.list);
        for thread in &mut threads.list {
            thread.stack = whole_stack(&memory, &offsets, thread).or(thread.stack);
        }
    }
    let status = platform_stream(StreamType::LINUX_PROC_STATUS);
    let process = system::process(misc.as_ref(), status.as_deref(), &modules, process_peb);

    let dso_debug = or_note("dynamic linker's list", dump.dso_debug(), &mut notes);
    let link_map = dso_debug.map(|stored| words.link_map(stored));
    let (dso_debug, process_data) =
        link_map.map_or((None, Vec::new()), |(list, memory)| (Some(list), memory));
    let initial_stack = platform_stream(StreamType::LINUX_AUXV)
        .and_then(|auxv| words.initial_stack(&auxv, &regions));
    if platform == Platform::Linux {
        for thread in &mut threads.list {
            thread.local_storage = linux::local_storage(thread.thread_pointer);
            let is_main = thread.tid.0 == process.pid.0;
            thread.stack = linux::own_stack(thread, is_main, &regions);
        }
    }

    let handle_data = or_note("handles", dump.handles(), &mut notes);
    let unloaded = or_note("unloaded modules", dump.unloaded_modules(), &mut notes);
    let held = |stream_type| dump.stream(stream_type).is_some();
    let has = HasStreams {
        handles: handle_data.is_some(),
        unloaded_modules: unloaded.is_some(),
        thread_info: has_infos,
        thread_names: has_names,
        memory_info: !memory_info.is_empty() || !maps.is_empty(),
        token: held(StreamType::TOKEN),
        vm_counters: held(StreamType::PROCESS_VM_COUNTERS),
        system_memory: held(StreamType::SYSTEM_MEMORY_INFO),
        ipt_trace: held(StreamType::IPT_TRACE),
    };
    let (handles, handle_records) =
        handle_data.map(|data| handles::handles(data, &mut notes)).unwrap_or_default();
    soft_errors::read(dump, &mut notes);
    let evidence = exception::Evidence {
        pid: process.pid,
        platform,
        architecture,
        threads: &threads.list,
        regions: &regions,
        memory: &memory,
        layout: system.xstate.as_ref(),
        own: own_exception,
    };
    let exception = evidence.exception(&wants.exception).map_err(Fault::Request)?;
    let (exception, chained_exception) = exception.unzip();
    let minidump_type = dump.minidump_type();
    let original = OriginalDump {
        time_date_stamp: dump.header().time_date_stamp.get(),
        minidump_type,
        processor_architecture: info.processor_architecture,
        full_memory: minidump_type.contains(MinidumpType::WITH_FULL_MEMORY),
        misc_info: misc.and_then(|_| dump.stream_bytes(StreamType::MISC_INFO).ok().flatten()),
        modules: module_records,
        threads: threads.records,
        handles: handle_records,
        memory_info,
        chained_exception: chained_exception.unwrap_or_default(),
        comments: carried.comments,
        streams: carried.streams,
    };
    let address_space_end = regions.last().map_or(0, |region| region.range.end);
    let snapshot = ProcessSnapshot {
        system,
        process,
        threads: threads.list,
        modules,
        unloaded_modules: unloaded.map(modules::unloaded).unwrap_or_default(),
        regions,
        address_space_end,
        page_size: page_size(dump),
        handles,
        exception,
        platform_streams: carried.platform,
        dso_debug,
        initial_stack,
        process_data,
        token: None,
        vm_counters: None,
        system_memory: None,
        has,
        original: Some(Box::new(original)),
        unix_side: None,
        soft_errors: notes,
    };
    let files = ModuleFiles { platform, sysroot: None };
    Ok(MinidumpProcess { snapshot, memory, files })
}

/// The address of the PEB, by the first TEB that the dump holds.
pub(super) fn peb(
    memory: &dyn MemorySource,
    offsets: &NtOffsets,
    threads: &[ThreadSnapshot],
) -> u64 {
    let words = Words { memory, size: offsets.pointer };
    let tebs = threads.iter().map(|thread| thread.thread_pointer).filter(|teb| *teb != 0);
    tebs.filter_map(|teb| words.at(teb.checked_add(offsets.teb_peb)?))
        .find(|peb| *peb != 0)
        .unwrap_or(0)
}

/// All that a thread's stack may ever use, where the dump holds the TEB that
/// says it.
pub(super) fn whole_stack(
    memory: &dyn MemorySource,
    offsets: &NtOffsets,
    thread: &ThreadSnapshot,
) -> Option<AddressRange> {
    let words = Words { memory, size: offsets.pointer };
    let field = |offset: u64| words.at(thread.thread_pointer.checked_add(offset)?);
    let start = field(offsets.teb_deallocation_stack)?;
    let stack = AddressRange::new(start, field(offsets.teb_stack_base)?);
    stack.contains(thread.registers.stack_pointer).then_some(stack)
}

/// What the dump says of it, or what all systems but a few have.
fn page_size(dump: &Minidump) -> u64 {
    let stated = dump.system_memory().ok().flatten().map(|info| u64::from(info.page_size));
    stated.filter(|size| size.is_power_of_two() && *size >= PAGE).unwrap_or(PAGE)
}

impl ProcessTarget for MinidumpProcess {
    fn snapshot(&self) -> &ProcessSnapshot {
        &self.snapshot
    }

    fn memory(&self) -> &dyn MemorySource {
        &self.memory
    }

    fn release(&mut self) {}

    fn held(&self) -> Option<Duration> {
        None
    }

    fn open_module(&self, module: &ModuleSnapshot) -> io::Result<File> {
        self.files.open(module)
    }
}
