//! The snapshot of a process that is held still: everything but registers and
//! memory contents, which the capture has.
//!
//! Whatever cannot be had becomes a soft error.

use super::auxv::{AT_ENTRY, Auxv, is_32_bit};
use super::clock::BootClock;
use super::images::{Found, ImageFinder};
use super::link_map::LinkMap;
use super::mapped_file::MappedFiles;
use super::mapping::Mapping;
use super::maps::Maps;
use super::modules::{self, Headers, ModuleDescriber};
use super::proc_dir::ProcDir;
use super::regions::{self, RegionBuilder};
use super::stat::Stat;
use super::thread_start::ThreadStarts;
use super::threads::{self, ThreadDescriber};
use super::{arch, counters, file_text, handles, initial_stack, streams, system, token};
use crate::address::RangeSet;
use crate::soft_error::SoftError;
use crate::target::{
    HasStreams, MemorySource, ModuleSnapshot, ProcessInfo, ProcessSnapshot, ThreadSnapshot, Wants,
    XstateLayout,
};

/// Describes the process of `proc`, whose `threads` have their registers and
/// thread pointers already. `notes` are the soft errors
/// so far; the exception is the caller's to add.
pub(super) fn describe(
    proc: &ProcDir,
    maps: &Maps,
    mut threads: Vec<ThreadSnapshot>,
    memory: &dyn MemorySource,
    wants: &Wants,
    xstate: Option<XstateLayout>,
    mut notes: Vec<SoftError>,
) -> ProcessSnapshot {
    let page_size = rustix::param::page_size() as u64;
    let files = MappedFiles::new(proc);
    let auxv_bytes = read_or_note(proc, "auxv", &mut notes);
    let auxv = Auxv::parse(&auxv_bytes);

    let finder = ImageFinder {
        architecture: arch::NATIVE,
        maps,
        files: &files,
        memory,
        auxv: &auxv,
        page_size,
    };
    let (images, link_map) = find_images(&finder, &mut notes);
    let describer =
        ModuleDescriber { files: &files, memory, page_size, headers: Headers::wanted(wants) };
    let mut modules: Vec<_> = images.iter().map(|found| describer.describe(found)).collect();
    modules::keep_apart(&mut modules);
    note_unidentified(&modules, &mut notes);
    let regions =
        RegionBuilder { maps, modules: &modules, files: &files, memory, page_size }.build();

    // Of a live thread: the addresses in it are zero once a thread has exited.
    let stat = proc.read("stat").ok().and_then(|line| Stat::parse(&line));
    let clock = BootClock::now();
    let find_starts = || ThreadStarts::find(arch::NATIVE, images.iter().map(|f| &f.image), memory);
    let thread_describer = ThreadDescriber {
        proc,
        maps,
        clock,
        entry: auxv.get(AT_ENTRY),
        starts: wants.thread_info.then(find_starts).flatten(),
        memory,
        static_tls: threads::static_tls_size(images.iter().map(|f| &f.image)),
        wants,
    };
    for thread in &mut threads {
        thread_describer.describe(thread, &mut notes);
    }

    let environ = proc.read("environ").unwrap_or_default();
    let initial_stack =
        stat.as_ref().and_then(|stat| initial_stack::find(stat, &auxv, maps, memory));
    if initial_stack.is_none() {
        notes.push(SoftError::new("initial stack", "the kernel does not say where it is"));
    }
    let process_data = match &link_map {
        Some(link_map) if wants.process_data => {
            link_map.memory.iter().copied().collect::<RangeSet>().ranges().iter().collect()
        }
        _ => Vec::new(),
    };
    let mut snapshot = ProcessSnapshot {
        system: system::describe(proc, &auxv, &environ, xstate),
        process: process_info(proc, clock, &mut notes),
        threads,
        modules,
        // glibc, musl and bionic keep no record of what was unloaded.
        unloaded_modules: Vec::new(),
        regions,
        address_space_end: regions::address_space_end(arch::NATIVE, maps),
        page_size,
        handles: Vec::new(),
        exception: None,
        platform_streams: streams::read(proc, maps.text.clone(), auxv_bytes, &mut notes),
        dso_debug: link_map.map(|link_map| link_map.debug),
        initial_stack,
        process_data,
        token: None,
        vm_counters: None,
        system_memory: None,
        has: HasStreams::ALL,
        original: None,
        unix_side: None,
        soft_errors: notes,
    };
    add_wanted(proc, wants, stat.as_ref(), &mut snapshot);
    snapshot
}

/// Adds what only some dumps hold.
fn add_wanted(proc: &ProcDir, wants: &Wants, stat: Option<&Stat>, snapshot: &mut ProcessSnapshot) {
    let notes = &mut snapshot.soft_errors;
    if wants.handles {
        snapshot.handles = handles::read(proc, notes);
    }
    if wants.token {
        snapshot.token = token::describe(proc, notes);
    }
    if wants.vm_counters {
        snapshot.vm_counters = counters::of_process(proc, stat, notes);
    }
    if wants.system_memory {
        snapshot.system_memory = counters::of_system(
            snapshot.page_size,
            snapshot.system.number_of_processors,
            snapshot.address_space_end,
            notes,
        );
    }
}

/// The images of the process, the executable first, and the dynamic linker's
/// list if it has one.
fn find_images(
    finder: &ImageFinder<'_>,
    notes: &mut Vec<SoftError>,
) -> (Vec<Found>, Option<LinkMap>) {
    let executable = finder.executable();
    if executable.is_none() {
        notes.push(SoftError::new("executable", executable_trouble(finder)));
    }
    let mut link_map =
        executable.as_ref().and_then(|e| LinkMap::read(finder.memory, &e.image, notes));
    let linked = |map: &Option<LinkMap>| map.as_ref().map(|m| m.debug.entries.clone());
    let mut images = finder.all(executable.clone(), linked(&link_map).as_deref());
    if link_map.is_none() {
        // Started as `ld.so program`, the kernel's executable is the dynamic
        // linker, and the program is another module.
        link_map = images.iter().find_map(|f| LinkMap::read(finder.memory, &f.image, notes));
        if link_map.is_some() {
            images = finder.all(executable, linked(&link_map).as_deref());
        }
    }
    (images, link_map)
}

/// Why the executable was not found among the mappings.
fn executable_trouble(finder: &ImageFinder) -> &'static str {
    let is_32 = finder.maps.mappings.iter().filter(Mapping::is_file).any(|m| {
        let mut ident = [0; 5];
        m.protection.contains(crate::target::Protection::EXECUTE)
            && finder.memory.read_exact(m.range.start, &mut ident)
            && is_32_bit(&ident)
    });
    if is_32 {
        "is a 32-bit one; its modules cannot be described (gdb's gcore writes a core that has them)"
    } else {
        "was not found where the auxiliary vector says"
    }
}

fn note_unidentified(modules: &[ModuleSnapshot], notes: &mut Vec<SoftError>) {
    for module in modules.iter().filter(|m| !modules::is_identified(m)) {
        let message = "has no build id, and its file cannot be read for a stand-in";
        notes.push(SoftError::new(format!("module {}", module.path), message));
    }
}

/// The process as a whole. The main thread's files have its start and its name
/// even when that thread has exited.
fn process_info(proc: &ProcDir, clock: BootClock, notes: &mut Vec<SoftError>) -> ProcessInfo {
    let main = |name: &str| std::fs::read(format!("/proc/{}/{name}", proc.pid));
    let either = |name: &str| main(name).or_else(|_| proc.read(name));
    let stat = either("stat").ok().and_then(|line| Stat::parse(&line));
    if stat.is_none() {
        notes.push(SoftError::new("process times", "/proc stat cannot be read"));
    }
    let status = either("status").unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let namespace_pids: Vec<u32> = file_text::value(&status, "NStgid")
        .unwrap_or_default()
        .split_ascii_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect();
    let name = either("comm").unwrap_or_default();
    let ticks = |get: fn(&Stat) -> u64| stat.as_ref().map_or(0, get);
    ProcessInfo {
        pid: proc.pid,
        peb: 0,
        namespace_pids: if namespace_pids.is_empty() { vec![proc.pid.0] } else { namespace_pids },
        name: String::from_utf8_lossy(name.strip_suffix(b"\n").unwrap_or(&name)).into_owned(),
        create_time: clock.time_at(ticks(Stat::start_ticks)),
        user_time: clock.duration(ticks(Stat::user_ticks)),
        kernel_time: clock.duration(ticks(Stat::kernel_ticks)),
        nt: None,
    }
}

fn read_or_note(proc: &ProcDir, name: &str, notes: &mut Vec<SoftError>) -> Vec<u8> {
    proc.read(name).unwrap_or_else(|error| {
        notes.push(SoftError::new(format!("/proc {name}"), format!("cannot be read: {error}")));
        Vec::new()
    })
}

#[cfg(test)]
mod tests;
