//! The snapshot of a process under Wine, from what Linux tells and what Windows
//! left in its memory.
//!
//! Whatever cannot be had becomes a soft error.

use super::frame::FrameFinder;
use super::tables::Known;
use super::teb;
use super::threads::ThreadDescriber;
use super::{exception, modules, regions, system};
use crate::address::{AddressRange, RangeSet};
use crate::error::{Error, Result};
use crate::soft_error::SoftError;
use crate::target::linux::LinuxProcess;
use crate::target::nt::exception::Evidence;
use crate::target::nt::loader;
use crate::target::nt::pe::PeImage;
use crate::target::nt::unhandled::UnhandledFinder;
use crate::target::nt::{environment, module, read_pointer, wow64};
use crate::target::{
    Architecture, DebugId, HasStreams, MemorySource, ModuleSnapshot, Pid, ProcessInfo,
    ProcessSnapshot, ProcessTarget, Protection, ThreadSnapshot, UnixModule, UnixSide, Wants,
};
use dumpwright_format::nt::NtOffsets;
use std::fmt::Write;

/// Wine's Unix library, whose variables the address space's tables are.
const UNIX_LIBRARY: &str = "/ntdll.so";
/// `IMAGE_FILE_MACHINE_AMD64`
const MACHINE_AMD64: u16 = 0x8664;

/// Describes the process that `linux` holds still.
///
/// # Errors
/// It is no process under Wine, or one that is not dumped as such; or the
/// exception that `wants` names cannot be read.
pub(super) fn describe(linux: &LinuxProcess, wants: &Wants) -> Result<ProcessSnapshot> {
    let of_linux = linux.snapshot();
    let memory = linux.memory();
    let tebs = teb::find(linux);
    let linux_pid = of_linux.process.pid;
    let Some(first) = tebs.iter().find_map(|(_, teb)| *teb) else {
        return Err(Error::InvalidRequest(no_windows_process(linux_pid, &of_linux.modules)));
    };
    let is_narrow = is_narrow(memory, first.peb);
    let (architecture, offsets, peb) = if is_narrow {
        let teb = wow64::narrow_teb(memory, first.address);
        let peb = teb.and_then(|teb| wow64::narrow_peb(memory, teb));
        let peb = peb.ok_or_else(|| Error::InvalidRequest(no_narrow_side(linux_pid)))?;
        (Architecture::X86, &NtOffsets::NARROW, peb)
    } else {
        (Architecture::Amd64, &NtOffsets::WIDE, first.peb)
    };
    let mut notes = of_linux.soft_errors.clone();

    let loaded = loader::modules(memory, offsets, peb).unwrap_or_else(|| {
        let message = "the process has no list of its modules yet";
        notes.push(SoftError::new("modules", message));
        Vec::new()
    });
    let images: Vec<_> = loaded.iter().map(|module| PeImage::read(memory, module.base)).collect();
    let executable = images.first().and_then(Option::as_ref);
    let page_size = of_linux.page_size;
    let modules: Vec<_> = loaded
        .iter()
        .zip(&images)
        .map(|(loaded, image)| {
            let headers = wants.module_headers;
            module::describe(memory, loaded, image.as_ref(), page_size, headers, &mut notes)
        })
        .collect();
    let image_named = |name: &str| {
        let index = modules.iter().position(|module| modules::is_named(&module.path, name))?;
        images[index].as_ref()
    };
    let ntdll = image_named("ntdll.dll");
    let unloaded_modules = modules::unloaded(memory, ntdll, &mut notes);

    let ranges: Vec<_> = modules.iter().map(ModuleSnapshot::range).collect();
    let variables = variables(&of_linux.modules);
    let known = Known {
        memory,
        regions: &of_linux.regions,
        variables: &variables,
        images: &ranges,
        teb: first.address,
    };
    let allocations = known.allocations();
    if allocations.is_none() {
        let message = "Wine's tables of it were not found; allocations, and reserved and guard pages among them, are as the kernel's mappings make likely";
        notes.push(SoftError::new("address space", message));
    }
    let regions = regions::regions(&of_linux.regions, &modules, allocations.as_deref());

    let code: RangeSet = regions
        .iter()
        .filter(|r| r.page_state.is_some() && r.protection.contains(Protection::EXECUTE))
        .map(|r| r.range)
        .collect();
    let is_windows_code = |address: u64| code.find(address).is_some();
    let templates: Vec<_> = images.iter().flatten().filter_map(|image| image.tls(memory)).collect();
    let thread_describer = ThreadDescriber {
        memory,
        regions: &regions,
        finder: FrameFinder {
            memory,
            layout: of_linux.system.xstate.as_ref(),
            is_windows_code: &is_windows_code,
        },
        templates: &templates,
        executable,
        process_name: &of_linux.process.name,
        wants,
        is_narrow,
    };
    let mut unix_side = UnixSide {
        pid: linux_pid,
        threads: Vec::new(),
        modules: of_linux.modules.iter().map(unix_module).collect(),
        stacks: Vec::new(),
    };
    let mut threads: Vec<ThreadSnapshot> = Vec::new();
    for thread in &of_linux.threads {
        let teb = tebs.iter().find(|(tid, _)| *tid == thread.tid).and_then(|(_, teb)| *teb);
        let is_first = threads.is_empty();
        let seen = thread_describer.describe(thread, teb.as_ref(), is_first, &mut notes);
        threads.extend(seen.windows);
        unix_side.threads.push(seen.unix);
        unix_side.stacks.extend(seen.stacks);
    }

    let evidence = Evidence { architecture, offsets, memory, threads: &threads };
    let named = evidence.exception(&wants.exception)?;
    let of_signal = || {
        let signal = of_linux.exception.as_ref()?;
        let unix = unix_side.threads.iter().find(|thread| thread.tid == signal.tid)?;
        let thread = threads.iter().find(|thread| Some(thread.tid) == unix.windows_tid)?;
        Some(exception::of_signal(signal, thread.tid, &thread.registers))
    };
    let unhandled = || {
        let kernelbase = image_named("kernelbase.dll")?;
        let finder = UnhandledFinder::new(memory, kernelbase, &is_windows_code)?;
        let source = threads.iter().find_map(|thread| finder.find(thread, thread.stack?))?;
        evidence.exception(&source).ok().flatten()
    };
    let exception = named.or_else(of_signal).or_else(unhandled);
    let process_data = if wants.process_data {
        environment::process_data(memory, offsets, peb, &loaded)
    } else {
        Vec::new()
    };
    if wants.handles {
        let message =
            "only the wineserver knows them; dumpwright.exe, run in the same Wine, asks it";
        notes.push(SoftError::new("handles", message));
    }
    Ok(ProcessSnapshot {
        system: system::describe(memory, architecture, first.peb, &of_linux.system),
        process: ProcessInfo {
            pid: first.pid,
            namespace_pids: vec![first.pid.0],
            name: name(&modules, &of_linux.process.name),
            peb,
            ..of_linux.process.clone()
        },
        threads,
        modules,
        unloaded_modules,
        regions,
        address_space_end: of_linux.address_space_end,
        page_size,
        handles: Vec::new(),
        exception,
        platform_streams: of_linux.platform_streams.clone(),
        dso_debug: of_linux.dso_debug.clone(),
        initial_stack: of_linux.initial_stack,
        process_data,
        token: of_linux.token.clone(),
        vm_counters: of_linux.vm_counters,
        system_memory: of_linux.system_memory,
        has: HasStreams { handles: false, ..HasStreams::ALL },
        unix_side: Some(Box::new(unix_side)),
        original: None,
        soft_errors: notes,
    })
}

/// Whether the executable, as the PEB leads to it, is one of 32 bits. Wine gives
/// 64-bit processes a 32-bit TEB too.
fn is_narrow(memory: &dyn MemorySource, peb: u64) -> bool {
    let offsets = &NtOffsets::WIDE;
    let base = peb.checked_add(offsets.peb_image_base);
    let base = base.and_then(|at| read_pointer(memory, offsets, at));
    let image = base.and_then(|base| PeImage::read(memory, base));
    image.is_some_and(|image| image.machine != MACHINE_AMD64)
}

fn no_windows_process(pid: Pid, modules: &[ModuleSnapshot]) -> String {
    let library = modules.iter().find(|m| m.path.ends_with(UNIX_LIBRARY));
    match library {
        _ if !cfg!(target_arch = "x86_64") => {
            "--wine is there for x86-64 only; leave it out, or run dumpwright.exe in the same Wine"
                .into()
        }
        Some(_) => format!(
            "process {pid} has Wine in it and no thread of 64-bit Windows (a 32-bit program, or one that has only begun); leave --wine out, or run dumpwright.exe in the same Wine"
        ),
        None => format!(
            "process {pid} does not run under Wine: no thread of it is one of Windows; leave --wine out"
        ),
    }
}

fn no_narrow_side(pid: Pid) -> String {
    format!(
        "process {pid} is a 32-bit Windows process that has only begun; try again, leave --wine out, or run dumpwright.exe in the same Wine"
    )
}

/// The writable segments of Wine's Unix library.
fn variables(modules: &[ModuleSnapshot]) -> Vec<AddressRange> {
    let library = modules.iter().find(|module| module.path.ends_with(UNIX_LIBRARY));
    let segments = library.iter().flat_map(|library| &library.segments);
    segments.filter(|s| s.protection.contains(Protection::WRITE)).map(|s| s.range).collect()
}

fn unix_module(module: &ModuleSnapshot) -> UnixModule {
    let build_id = match &module.debug_id {
        DebugId::ElfBuildId(id) => id.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }),
        DebugId::None | DebugId::Pdb70 { .. } => String::new(),
    };
    UnixModule { path: module.path.clone(), base: module.base, size: module.size, build_id }
}

/// The name of the executable, or what Linux calls the process.
fn name(modules: &[ModuleSnapshot], comm: &str) -> String {
    let path = modules.first().map(|module| module.path.as_str());
    path.and_then(|path| path.rsplit('\\').next()).unwrap_or(comm).to_owned()
}
