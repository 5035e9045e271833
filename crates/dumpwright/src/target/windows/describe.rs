//! The snapshot of a process that is held still.
//!
//! Whatever cannot be had becomes a soft error.

use super::memory::WindowsMemory;
use super::stop::StoppedThread;
use super::sys::system::Machine;
use super::sys::{information, process, system as machine};
use super::threads::{self, ThreadDescriber};
use super::{counters, facts, handles, modules, regions, system, token};
use crate::error::{Error, Result};
use crate::soft_error::SoftError;
use crate::target::nt::environment;
use crate::target::nt::exception::Evidence;
use crate::target::nt::module;
use crate::target::nt::pe::PeImage;
use crate::target::nt::unhandled::UnhandledFinder;
use crate::target::nt::wow64;
use crate::target::{
    Architecture, FileTime, HasStreams, Pid, ProcessInfo, ProcessSnapshot, ThreadSnapshot, Wants,
};
use dumpwright_format::nt::NtOffsets;
use std::cell::RefCell;
use std::os::windows::io::BorrowedHandle;
use windows_sys::Wdk::System::Threading::{ProcessBasicInformation, ProcessWow64Information};

/// Describes the process that `memory` is of, whose `threads` are suspended.
///
/// # Errors
/// The exception that `wants` names cannot be read, or no thread has registers.
pub(super) fn describe(
    pid: Pid,
    memory: &WindowsMemory,
    threads: &[StoppedThread],
    wants: &Wants,
    mut notes: Vec<SoftError>,
) -> Result<ProcessSnapshot> {
    let process = memory.process();
    let machine = machine::machine();
    let (architecture, offsets) = if process::is_wow64(process) {
        (Architecture::X86, &NtOffsets::NARROW)
    } else {
        (Architecture::Amd64, &NtOffsets::WIDE)
    };
    let address_space_end = match architecture {
        Architecture::X86 => 1 << 32,
        _ => machine.last_address + 1,
    };
    let peb = peb(memory, architecture, threads, &mut notes);
    let ranges = regions::page_ranges(process, address_space_end);
    let loaded = modules::loaded(memory, offsets, peb, &ranges, &mut notes);
    let images: Vec<_> = loaded.iter().map(|module| PeImage::read(memory, module.base)).collect();
    let modules: Vec<_> = loaded
        .iter()
        .zip(&images)
        .map(|(module, image)| {
            let image = image.as_ref();
            module::describe(
                memory,
                module,
                image,
                machine.page_size,
                wants.module_headers,
                &mut notes,
            )
        })
        .collect();
    let unloaded_modules = modules::unloaded(memory, offsets, &modules, &images, &mut notes);
    let regions = regions::regions(process, &ranges, &modules);

    let templates: Vec<_> = images.iter().flatten().filter_map(|image| image.tls(memory)).collect();
    let mut xstate = (wants.extended_state && architecture == Architecture::Amd64)
        .then(|| system::xstate_layout(memory))
        .flatten();
    let extended = xstate.is_some();
    let describer = ThreadDescriber {
        memory,
        architecture,
        offsets,
        templates: &templates,
        wants,
        extended,
        contexts: RefCell::default(),
    };
    let threads: Vec<_> =
        threads.iter().filter_map(|thread| describer.describe(thread, &mut notes)).collect();
    if threads.is_empty() {
        return Err(Error::ProcessEnded(pid));
    }
    // Of what length the contexts are only they say.
    let context_size = threads.iter().map(|t| t.registers.context.len()).max();
    match (&mut xstate, context_size) {
        (Some(layout), Some(size)) if size > FIXED_CONTEXT => layout.context_size = size as u32,
        _ => xstate = None,
    }
    let evidence = evidence(architecture, memory, &threads);
    let exception = evidence.exception(&wants.exception)?.or_else(|| {
        let is_code = |at: u64| modules.iter().any(|module| module.range().contains(at));
        let kernelbase = modules::index_of(&modules, "kernelbase.dll")?;
        let finder = UnhandledFinder::new(memory, images[kernelbase].as_ref()?, &is_code)?;
        let source = threads.iter().find_map(|thread| finder.find(thread, thread.stack?))?;
        evidence.exception(&source).ok().flatten()
    });
    let process_data = if wants.process_data && peb != 0 {
        environment::process_data(memory, offsets, peb, &loaded)
    } else {
        Vec::new()
    };
    let mut snapshot = ProcessSnapshot {
        system: system::describe(architecture, machine, xstate),
        process: process_info(process, pid, peb, machine, &mut notes),
        threads,
        modules,
        unloaded_modules,
        regions,
        address_space_end,
        page_size: machine.page_size,
        handles: Vec::new(),
        exception,
        platform_streams: Vec::new(),
        dso_debug: None,
        initial_stack: None,
        process_data,
        has: HasStreams::ALL,
        original: None,
        unix_side: None,
        token: None,
        vm_counters: None,
        system_memory: None,
        soft_errors: notes,
    };
    let notes = &mut snapshot.soft_errors;
    if wants.handles {
        snapshot.handles = handles::read(process, pid, notes);
    }
    if wants.token {
        snapshot.token = token::describe(process, notes);
    }
    if wants.vm_counters {
        snapshot.vm_counters = counters::of_this_process(process, notes);
    }
    if wants.system_memory {
        snapshot.system_memory = counters::of_the_system(machine, notes);
    }
    Ok(snapshot)
}

/// What a request for an exception is answered from.
pub(super) fn evidence<'a>(
    architecture: Architecture,
    memory: &'a WindowsMemory,
    threads: &'a [ThreadSnapshot],
) -> Evidence<'a> {
    let offsets = match architecture {
        Architecture::X86 => &NtOffsets::NARROW,
        _ => &NtOffsets::WIDE,
    };
    Evidence { architecture, offsets, memory, threads }
}

/// Bytes of a context without extended state.
const FIXED_CONTEXT: usize = size_of::<dumpwright_format::context::amd64::ContextAmd64>();

/// Where the PEB of the process's own width is; 0 if that is not known.
fn peb(
    memory: &WindowsMemory,
    architecture: Architecture,
    threads: &[StoppedThread],
    notes: &mut Vec<SoftError>,
) -> u64 {
    /// What no address of a process is below.
    const LOWEST: u64 = 0x1_0000;
    let process = memory.process();
    let peb = if architecture == Architecture::X86 {
        // Wine only says whether there is one; every TEB names it.
        let stated = information::of_process::<1>(process, ProcessWow64Information);
        let named = || {
            let teb = threads.iter().find_map(threads::teb)?;
            wow64::narrow_peb(memory, wow64::narrow_teb(memory, teb)?)
        };
        let stated = stated.map(|[peb]| peb);
        match stated {
            Ok(LOWEST..) => stated,
            _ => named().map_or(stated, Ok),
        }
    } else {
        // Exit status, PEB, affinity, priority, two ids.
        information::of_process::<6>(process, ProcessBasicInformation).map(|words| words[1])
    };
    let mut unknown = |why: String| {
        notes.push(SoftError::new("PEB", format!("its address is not known{why}")));
        0
    };
    match peb {
        Ok(peb @ LOWEST..) => peb,
        Ok(_) => unknown(String::new()),
        Err(error) => unknown(format!(": {error}")),
    }
}

fn process_info(
    process: BorrowedHandle<'_>,
    pid: Pid,
    peb: u64,
    machine: Machine,
    notes: &mut Vec<SoftError>,
) -> ProcessInfo {
    let path = process::image_path(process).unwrap_or_default();
    let (create_time, kernel_time, user_time) = process::times(process).unwrap_or_else(|error| {
        notes.push(SoftError::new("process times", format!("cannot be read: {error}")));
        (FileTime::default(), 0, 0)
    });
    ProcessInfo {
        pid,
        namespace_pids: vec![pid.0],
        name: path.rsplit('\\').next().unwrap_or_default().to_owned(),
        peb,
        create_time,
        user_time,
        kernel_time,
        nt: Some(Box::new(facts::read(process, machine))),
    }
}
