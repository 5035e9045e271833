//! Full user-mode dumps of the old kind as targets. A dump of one is a minidump.
//!
//! Such a dump has threads, modules without versions and debug records, the
//! whole address space and its contents. It does not say when it was written:
//! the time of the file stands in for that.

#![forbid(unsafe_code)]

#[cfg(test)]
mod synth;
#[cfg(test)]
mod tests;

use super::minidump::exception::Evidence;
use super::minidump::files::ModuleFiles;
use super::minidump::memory::DumpMemory;
use super::minidump::{modules, peb, regions, whole_stack};
use super::{
    Architecture, DebugId, ExceptionSnapshot, FileTime, HasStreams, MemorySource, ModuleRecords,
    ModuleSnapshot, OriginalDump, Pid, Platform, ProcessInfo, ProcessSnapshot, ProcessTarget,
    Registers, SystemSnapshot, ThreadRecords, ThreadSnapshot, Tid, Wants,
};
use crate::error::{Error, Result};
use crate::read::userdump::{UserDump, UserDumpModule, UserDumpThread};
use crate::read::{Malformed, ReadError, Source, decode_context};
use crate::soft_error::SoftError;
use dumpwright_format::MinidumpType;
use dumpwright_format::minidump::{
    MISC_INFO_SIZES, MISC1_PROCESS_ID, MiscInfo5, PLATFORM_WIN32_NT, PROCESSOR_ARCHITECTURE_AMD64,
    PROCESSOR_ARCHITECTURE_INTEL, VsFixedFileInfo,
};
use dumpwright_format::nt::NtOffsets;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use zerocopy::{FromZeros, IntoBytes};

const PAGE: u64 = 4096;

/// A process that a full user-mode dump of the old kind shows.
pub struct UserDumpProcess {
    snapshot: ProcessSnapshot,
    memory: DumpMemory,
    files: ModuleFiles,
}

impl UserDumpProcess {
    /// Opens a dump.
    ///
    /// # Errors
    /// Those of [`UserDump::read`]; [`Error::InvalidRequest`] if the exception
    /// that `wants` names is not in the dump.
    pub fn open(path: &Path, file: File, wants: &Wants) -> Result<UserDumpProcess> {
        let modified = file.metadata().and_then(|m| m.modified()).ok();
        let since = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let seconds = since.map_or(0, |since| u32::try_from(since.as_secs()).unwrap_or(u32::MAX));
        Self::from_source(file, path, seconds, wants)
    }

    fn from_source(
        source: impl Source + 'static,
        path: &Path,
        time_date_stamp: u32,
        wants: &Wants,
    ) -> Result<UserDumpProcess> {
        let dump = UserDump::read(&source, path)?;
        let source: Arc<dyn Source> = Arc::new(source);
        let length = source.len();
        let file = source.clone();
        let read = move |offset, buf: &mut [u8]| read_at(&*file, offset, buf);
        let memory = DumpMemory::of(dump.memory.clone(), length, Box::new(read));
        let mut snapshot = snapshot(&dump, &*source, path, &memory, time_date_stamp)?;
        let evidence = Evidence {
            pid: snapshot.process.pid,
            platform: Platform::Windows,
            architecture: snapshot.system.architecture,
            threads: &snapshot.threads,
            regions: &snapshot.regions,
            memory: &memory,
            layout: None,
            own: snapshot.exception.take().map(|own| (own, nested(&dump))),
        };
        let (exception, chained) = evidence.exception(&wants.exception)?.unzip();
        snapshot.exception = exception;
        if let Some(original) = &mut snapshot.original {
            original.chained_exception = chained.unwrap_or_default();
        }
        let files = ModuleFiles { platform: Platform::Windows, sysroot: None };
        Ok(UserDumpProcess { snapshot, memory, files })
    }

    /// Looks for the files of modules below a folder that stands for the root
    /// of that machine's drive.
    #[must_use]
    pub fn with_sysroot(mut self, sysroot: Option<PathBuf>) -> UserDumpProcess {
        self.files.sysroot = sysroot;
        self
    }
}

fn read_at(source: &dyn Source, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
    let length = buf.len() as u64;
    if offset.checked_add(length).is_none_or(|end| end > source.len()) {
        let reason = "past the end of the file".into();
        return Err(Malformed { stream: None, offset, reason }.into());
    }
    source.read_at(offset, buf).map_err(|source| ReadError::Io { offset, length, source })
}

fn snapshot(
    dump: &UserDump,
    source: &dyn Source,
    path: &Path,
    memory: &DumpMemory,
    time_date_stamp: u32,
) -> Result<ProcessSnapshot> {
    let (architecture, processor_architecture, offsets) = if dump.pointer_size == 4 {
        (Architecture::X86, PROCESSOR_ARCHITECTURE_INTEL, NtOffsets::NARROW)
    } else {
        (Architecture::Amd64, PROCESSOR_ARCHITECTURE_AMD64, NtOffsets::WIDE)
    };
    let mut notes = vec![SoftError::new(
        "source",
        "full user-mode dumps of the old kind have no time of their own; the file's was taken",
    )];
    let mut threads = Vec::with_capacity(dump.threads.len());
    for stored in &dump.threads {
        let mut bytes = vec![0; stored.context.size as usize];
        read_at(source, stored.context.rva, &mut bytes).map_err(|error| Error::NotATarget {
            file: path.to_owned(),
            reason: format!("the context of thread {}: {error}", stored.thread_id),
        })?;
        let mut thread = thread(stored, registers(processor_architecture, bytes));
        thread.stack = whole_stack(memory, &offsets, &thread);
        threads.push(thread);
    }
    let mut modules: Vec<_> = dump.modules.iter().map(|m| module(m, memory)).collect();
    let memory_info = regions::merge(dump.regions.clone(), &[]);
    let regions = regions::regions(&memory_info, &[], memory.held(), &modules, Platform::Windows);
    modules::add_places(&mut modules, &regions, memory, Platform::Windows);
    let stored: u64 = dump.memory.iter().map(|range| range.size).sum();
    let held: u64 = memory.held().len();
    if held < stored {
        let message = format!("{} bytes of its regions are not in the file", stored - held);
        notes.push(SoftError::new("source", message));
    }
    let exception = exception(dump, &threads);
    let original = OriginalDump {
        time_date_stamp,
        minidump_type: MinidumpType::WITH_FULL_MEMORY | MinidumpType::WITH_FULL_MEMORY_INFO,
        processor_architecture,
        full_memory: true,
        misc_info: dump.process_id.map(misc_info),
        modules: modules.iter().map(|_| no_records()).collect(),
        threads: dump
            .threads
            .iter()
            .map(|t| ThreadRecords { priority_class: t.priority_class, info: None })
            .collect(),
        memory_info,
        ..OriginalDump::default()
    };
    let name = modules.first().map(|m| m.path.rsplit('\\').next().unwrap_or_default().to_owned());
    let pid = dump.process_id.unwrap_or(0);
    Ok(ProcessSnapshot {
        system: system(dump, architecture),
        process: ProcessInfo {
            pid: Pid(pid),
            namespace_pids: vec![pid],
            name: name.unwrap_or_default(),
            peb: peb(memory, &offsets, &threads),
            create_time: FileTime::default(),
            user_time: 0,
            kernel_time: 0,
            nt: None,
        },
        threads,
        modules,
        unloaded_modules: Vec::new(),
        address_space_end: regions.last().map_or(0, |region| region.range.end),
        regions,
        page_size: PAGE,
        handles: Vec::new(),
        exception,
        platform_streams: Vec::new(),
        dso_debug: None,
        initial_stack: None,
        process_data: Vec::new(),
        token: None,
        vm_counters: None,
        system_memory: None,
        has: HasStreams { memory_info: true, ..HasStreams::default() },
        original: Some(Box::new(original)),
        unix_side: None,
        soft_errors: notes,
    })
}

fn system(dump: &UserDump, architecture: Architecture) -> SystemSnapshot {
    let (major, minor) = (dump.header.major_version.get(), dump.header.minor_version.get());
    SystemSnapshot {
        architecture,
        platform_id: PLATFORM_WIN32_NT,
        product_type: 0,
        suite_mask: 0,
        processor_level: 0,
        processor_revision: 0,
        cpu: [0; 24],
        number_of_processors: 0,
        version: [major, minor, 0],
        description: String::new(),
        build: String::new(),
        processor_mhz: None,
        time_zone: None,
        xstate: None,
    }
}

fn registers(processor_architecture: u16, context: Vec<u8>) -> Registers {
    match decode_context(processor_architecture, &context) {
        Some(decoded) => Registers {
            instruction_pointer: decoded.instruction_pointer,
            stack_pointer: decoded.stack_pointer,
            general: decoded.general.iter().map(|(_, value)| *value).collect(),
            context,
        },
        None => Registers { context, ..Registers::none() },
    }
}

fn thread(stored: &UserDumpThread, registers: Registers) -> ThreadSnapshot {
    ThreadSnapshot {
        tid: Tid(stored.thread_id),
        name: String::new(),
        registers,
        thread_pointer: stored.teb,
        stack: None,
        suspend_count: stored.suspend_count,
        priority: stored.priority as i32,
        info: None,
        local_storage: Vec::new(),
    }
}

/// A module, with what its PE header in memory says of it.
fn module(stored: &UserDumpModule, memory: &dyn MemorySource) -> ModuleSnapshot {
    let word = |offset: u64| {
        let mut word = [0; 4];
        let at = stored.base.checked_add(offset)?;
        memory.read_exact(at, &mut word).then(|| u32::from_le_bytes(word))
    };
    // e_lfanew; TimeDateStamp of the file header, CheckSum of the optional one.
    let header = word(0x3C).map(u64::from);
    let field = |offset: u64| header.and_then(|header| word(header + offset)).unwrap_or(0);
    ModuleSnapshot {
        base: stored.base,
        size: stored.size.into(),
        path: stored.name.clone(),
        debug_id: DebugId::None,
        version: None,
        time_date_stamp: field(8),
        check_sum: field(24 + 64),
        segments: Vec::new(),
        headers: Vec::new(),
    }
}

/// The address of a chained exception.
fn nested(dump: &UserDump) -> u64 {
    dump.exception.as_ref().map_or(0, |exception| exception.nested_record)
}

fn no_records() -> ModuleRecords {
    let version_info = VsFixedFileInfo::new_zeroed();
    ModuleRecords { version_info, code_view: Vec::new(), misc: Vec::new() }
}

/// The exception with the registers of its thread: the debugger that wrote the
/// dump stood there.
fn exception(dump: &UserDump, threads: &[ThreadSnapshot]) -> Option<ExceptionSnapshot> {
    let stored = dump.exception.as_ref()?;
    let thread = threads.iter().find(|thread| thread.tid.0 == stored.thread_id)?;
    Some(ExceptionSnapshot {
        tid: thread.tid,
        code: stored.code,
        flags: stored.flags,
        address: stored.address,
        parameters: stored.parameters.clone(),
        registers: thread.registers.clone(),
    })
}

/// The first form of MiscInfo, with the process id and nothing else.
fn misc_info(process_id: u32) -> Vec<u8> {
    let mut info = MiscInfo5::new_zeroed();
    info.size_of_info = (MISC_INFO_SIZES[0] as u32).into();
    info.flags1 = MISC1_PROCESS_ID.into();
    info.process_id = process_id.into();
    info.as_bytes()[..MISC_INFO_SIZES[0]].to_vec()
}

impl ProcessTarget for UserDumpProcess {
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
