//! The snapshot of the process that a core holds.

use super::file::CoreFile;
use super::files::CoreFiles;
use super::linked::{self, LinkedFile};
use super::maps::CoreMaps;
use super::memory::{CoreMemory, Piece};
use super::notes::Notes;
use super::{initial_stack, own, threads};
use crate::address::{AddressRange, RangeSet};
use crate::error::Result;
use crate::packed::Packed;
use crate::soft_error::SoftError;
use crate::target::linux::auxv::{AT_ENTRY, AT_PAGESZ, Auxv};
use crate::target::linux::elf::Image;
use crate::target::linux::exception::Evidence;
use crate::target::linux::images::{Found, ImageFinder};
use crate::target::linux::initial_stack as linux_initial_stack;
use crate::target::linux::link_map::LinkMap;
use crate::target::linux::mapping::Mapping;
use crate::target::linux::modules::{Headers, ModuleDescriber, keep_apart};
use crate::target::linux::regions::{self, RegionBuilder};
use crate::target::linux::thread_start::ThreadStarts;
use crate::target::linux::threads::{local_storage, static_tls_size};
use crate::target::{
    Absent, Access, Architecture, DebugId, HasStreams, MemorySource, ModuleSnapshot, Pid,
    PlatformStream, ProcessInfo, ProcessSnapshot, Protection, Region, Segment, StreamBytes,
    SystemSnapshot, Wants,
};
use dumpwright_format::elf_core::PrPsInfo;
use dumpwright_format::minidump::{PLATFORM_LINUX, StreamType};
use std::fs::File;

/// What flags ask for and cores have.
const HAS: HasStreams = HasStreams {
    unloaded_modules: true,
    thread_info: true,
    thread_names: true,
    memory_info: true,
    handles: false,
    token: false,
    vm_counters: false,
    system_memory: false,
    ipt_trace: false,
};

/// Describes the process; also answers its memory.
pub(super) fn describe(
    file: File,
    core: &CoreFile,
    notes: &Notes<'_>,
    files: &CoreFiles,
    wants: &Wants,
) -> Result<(ProcessSnapshot, CoreMemory)> {
    let architecture = core.architecture;
    let auxv = Auxv::parse(notes.auxv);
    let page_size = page_size(&auxv);
    let mut troubles: Vec<SoftError> =
        core.troubles.iter().map(|trouble| SoftError::new("core", trouble)).collect();
    let recorded = own::recorded(&notes.ours, architecture, wants, &mut troubles);

    let pieces = core.segments.iter().filter(|s| s.present > 0).map(|s| Piece {
        range: AddressRange::with_len(s.range.start, s.present),
        offset: s.offset,
        file: 0,
    });
    let mut memory = CoreMemory::new(file, pieces, page_size);
    memory.set_zero(notes.ours.zero.iter().copied().collect());
    let mut maps = CoreMaps::new(&core.segments, &notes.files, &auxv, page_size);
    if notes.files.is_empty() {
        let linked = linked::files(architecture, &maps.maps, &memory, &auxv, page_size, files);
        let linked: Vec<_> = linked.iter().map(LinkedFile::as_mapped).collect();
        maps = CoreMaps::new(&core.segments, &linked, &auxv, page_size);
    }
    let recorded_streams = recorded.iter().flat_map(|recorded| &recorded.platform_streams);
    for stream in recorded_streams.filter(|s| s.stream_type == StreamType::LINUX_MAPS) {
        maps.name_by(&stream.bytes.to_bytes());
    }
    fill_in(architecture, &mut maps, files, &mut memory, page_size, &mut troubles);
    maps.write_text();
    let mut maps = maps.maps;

    let finder =
        ImageFinder { architecture, maps: &maps, files, memory: &memory, auxv: &auxv, page_size };
    let mut unfound = Vec::new();
    let (images, link_map) = find_images(&finder, &mut unfound);
    if recorded.is_none() {
        troubles.append(&mut unfound);
    }
    let describer =
        ModuleDescriber { files, memory: &memory, page_size, headers: Headers::wanted(wants) };
    let mut modules: Vec<_> = images.iter().map(|found| describer.describe(found)).collect();
    add_unreadable_modules(&maps.mappings, link_map.as_ref(), &mut modules);
    keep_apart(&mut modules);
    let built =
        RegionBuilder { maps: &maps, modules: &modules, files, memory: &memory, page_size }.build();
    let mut sparse = RangeSet::new();
    let regions = built.iter().map(|region| settled(region, &memory, &mut sparse)).collect();
    drop(built);

    let pid = pid(notes);
    let layout = threads::xstate_layout(architecture, notes, wants, &mut troubles);
    let mut threads =
        threads::threads(architecture, notes, pid, layout.as_ref(), wants, &mut troubles);
    if threads.is_empty() {
        troubles.push(SoftError::new("core", "it holds no threads"));
    }
    let static_tls = static_tls_size(images.iter().map(|f| &f.image));
    let find_starts = || ThreadStarts::find(architecture, images.iter().map(|f| &f.image), &memory);
    let starts = wants.thread_info.then(find_starts).flatten();
    for thread in &mut threads {
        if thread.tid.0 == pid {
            // A core has the name of the process, which is that of its main thread.
            thread.name = notes.process.map(|info| process_name(&info)).unwrap_or_default();
        }
        if let Some(info) = &mut thread.info {
            info.start_address = if thread.tid.0 == pid {
                auxv.get(AT_ENTRY)
            } else {
                starts.and_then(|starts| starts.of(thread.thread_pointer, &maps, &memory))
            };
        }
        if wants.process_data {
            thread.local_storage.extend(local_storage(
                architecture,
                &maps,
                static_tls,
                thread.thread_pointer,
            ));
        }
    }

    let places = initial_stack::find(notes.auxv, &auxv, &maps, &memory);
    let initial_stack =
        places.and_then(|places| linux_initial_stack::at(&places, &auxv, &maps, &memory));
    let strings = |range: Option<AddressRange>| {
        let strings = range.and_then(|range| read_strings(range, &memory));
        strings.filter(|strings| !strings.is_empty())
    };
    let arguments = strings(initial_stack.as_ref().map(|s| s.arguments));
    let environment = strings(initial_stack.as_ref().map(|s| s.environment));
    if arguments.is_none() && recorded.is_none() {
        let message = "was not found; of the arguments only what the core repeats is known";
        troubles.push(SoftError::new("initial stack", message));
    }
    let process_data = match &link_map {
        Some(link_map) if wants.process_data => {
            link_map.memory.iter().copied().collect::<RangeSet>().ranges().iter().collect()
        }
        _ => Vec::new(),
    };
    let (create_time, user_time, kernel_time) = threads::process_times(notes, pid);
    let mut system = system(architecture);
    system.xstate = layout;
    let address_space_end = regions::address_space_end(architecture, &maps);
    let mut streams = Vec::new();
    let mut add = |stream_type, bytes: Option<StreamBytes>| {
        let bytes = bytes.filter(|bytes| !bytes.is_empty());
        streams.extend(bytes.map(|bytes| PlatformStream { stream_type, bytes }));
    };
    let repeated = notes.process.map(|info| psargs(&info));
    add(StreamType::LINUX_CMD_LINE, arguments.or(repeated).map(StreamBytes::from));
    add(StreamType::LINUX_ENVIRON, environment.map(StreamBytes::from));
    add(StreamType::LINUX_AUXV, Some(notes.auxv.to_vec().into()));
    add(StreamType::LINUX_MAPS, Some(std::mem::take(&mut maps.text)));
    let mut snapshot = ProcessSnapshot {
        system,
        process: ProcessInfo {
            pid: Pid(pid),
            peb: 0,
            namespace_pids: vec![pid],
            name: notes.process.map(|info| process_name(&info)).unwrap_or_default(),
            create_time,
            user_time,
            kernel_time,
            nt: None,
        },
        threads,
        modules,
        unloaded_modules: Vec::new(),
        regions,
        address_space_end,
        page_size,
        handles: Vec::new(),
        exception: None,
        platform_streams: streams,
        dso_debug: link_map.map(|link_map| link_map.debug),
        initial_stack,
        process_data,
        token: None,
        vm_counters: None,
        system_memory: None,
        has: HAS,
        original: None,
        unix_side: None,
        soft_errors: troubles,
    };
    let has_exception = recorded.is_some() && !wants.exception.is_given();
    if let Some(recorded) = recorded {
        own::complete(recorded, core.troubles.is_empty(), &maps.mappings, &mut snapshot);
    }
    memory.set_sparse(sparse);
    if has_exception {
        return Ok((snapshot, memory));
    }
    snapshot.exception = Evidence {
        pid: snapshot.process.pid,
        architecture,
        threads: &snapshot.threads,
        regions: &snapshot.regions,
        memory: &memory,
        layout: snapshot.system.xstate.as_ref(),
        crash: threads::crash(notes),
    }
    .exception(&wants.exception)?;
    Ok((snapshot, memory))
}

/// Bytes of a page; every system that writes cores has at least 4 KiB.
fn page_size(auxv: &Auxv) -> u64 {
    auxv.get(AT_PAGESZ)
        .filter(|size| size.is_power_of_two() && (4096..=65536).contains(size))
        .unwrap_or(4096)
}

fn pid(notes: &Notes<'_>) -> u32 {
    let named = notes.process.map(|info| info.pid.get()).filter(|pid| *pid != 0);
    named.or_else(|| notes.threads.first().map(|t| t.status.pid.get())).unwrap_or_default()
}

fn process_name(info: &PrPsInfo) -> String {
    let name = info.fname.split(|b| *b == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

/// The arguments as a core repeats them: divided by blanks and cut.
fn psargs(info: &PrPsInfo) -> Vec<u8> {
    let text = info.psargs.split(|b| *b == 0).next().unwrap_or_default();
    let text = text.trim_ascii_end();
    if text.is_empty() { Vec::new() } else { [text, b"\0"].concat() }
}

/// Finds the images that mapped files begin with, and fills in what the core
/// left out of them.
fn fill_in(
    architecture: Architecture,
    maps: &mut CoreMaps,
    files: &CoreFiles,
    memory: &mut CoreMemory,
    page_size: u64,
    troubles: &mut Vec<SoftError>,
) {
    let headers: Vec<Mapping> =
        maps.maps.mappings.iter().filter(|m| m.is_file() && m.offset == 0).collect();
    for header in headers {
        let Some(image) = Image::at(memory, architecture, header.range.start, page_size) else {
            continue;
        };
        maps.take_protection_of(&image, page_size);
        if let Err(reason) = files.fill(&image, &header, &maps.maps, memory, page_size) {
            let subject = format!("module {}", String::from_utf8_lossy(&header.name));
            let message = format!("pages that the core left out could not be filled in: {reason}");
            troubles.push(SoftError::new(subject, message));
        }
    }
}

/// The images, the executable first, and the dynamic linker's list.
fn find_images(
    finder: &ImageFinder<'_>,
    troubles: &mut Vec<SoftError>,
) -> (Vec<Found>, Option<LinkMap>) {
    let executable = finder.executable();
    if executable.is_none() {
        let message = "was not found where the auxiliary vector says";
        troubles.push(SoftError::new("executable", message));
    }
    let mut link_map =
        executable.as_ref().and_then(|e| LinkMap::read(finder.memory, &e.image, troubles));
    let linked = |map: &Option<LinkMap>| map.as_ref().map(|m| m.debug.entries.clone());
    let mut images = finder.all(executable.clone(), linked(&link_map).as_deref());
    if link_map.is_none() {
        link_map = images.iter().find_map(|f| LinkMap::read(finder.memory, &f.image, troubles));
        if link_map.is_some() {
            images = finder.all(executable, linked(&link_map).as_deref());
        }
    }
    (images, link_map)
}

/// Adds the modules whose headers the core left out: files with code, or that
/// the dynamic linker lists. What identifies them is not known.
fn add_unreadable_modules(
    mappings: &Packed<Mapping>,
    link_map: Option<&LinkMap>,
    modules: &mut Vec<ModuleSnapshot>,
) {
    let linked = |m: &Mapping| {
        let mut entries = link_map.iter().flat_map(|map| &map.debug.entries);
        entries.any(|e| m.range.contains(e.ld))
    };
    let mut mappings = mappings.iter().peekable();
    while let Some(first) = mappings.next() {
        let mut parts = vec![first];
        while let Some(next) = mappings.next_if(|m| m.same_file(&parts[0])) {
            parts.push(next);
        }
        let first = &parts[0];
        let end = parts.last().map_or(first.range.end, |last| last.range.end);
        let range = AddressRange::new(first.range.start, end);
        let is_code = parts.iter().any(|m| m.protection.contains(Protection::EXECUTE));
        let known = modules.iter().any(|m| m.range().overlaps(range));
        if !first.is_file() || known || !(is_code || parts.iter().any(linked)) {
            continue;
        }
        modules.push(ModuleSnapshot {
            base: range.start,
            size: range.len(),
            path: String::from_utf8_lossy(&first.name).into_owned(),
            debug_id: DebugId::None,
            version: None,
            time_date_stamp: 0,
            check_sum: 0,
            segments: parts
                .iter()
                .map(|m| Segment { range: m.range, protection: m.protection })
                .collect(),
            headers: Vec::new(),
        });
    }
}

/// The region with what its absent pages are; one whose unstored pages were never
/// used is added to `sparse`.
fn settled(mut region: Region, memory: &CoreMemory, sparse: &mut RangeSet) -> Region {
    // Not even of a core of ours: the kernel's own pages.
    let kernel = region.name.starts_with("[vvar") || &*region.name == "[vsyscall]";
    region.access = if kernel { Access::Forbidden } else { Access::Normal };
    region.backed_end = region.range.end;
    let whole = memory.present(region.range).missing_from(region.range).is_empty();
    region.absent = match region.absent {
        _ if !whole => Absent::Missing,
        Absent::Zero => {
            sparse.insert(region.range);
            Absent::Zero
        }
        Absent::File | Absent::Unknown | Absent::Missing => Absent::File,
    };
    region
}

fn read_strings(range: AddressRange, memory: &dyn MemorySource) -> Option<Vec<u8>> {
    /// More than the kernel gives arguments and environment.
    const MAX: u64 = 8 << 20;
    let mut bytes = vec![0; range.len().min(MAX) as usize];
    memory.read_exact(range.start, &mut bytes).then_some(bytes)
}

/// A core says of its system no more than the kind of processor.
fn system(architecture: Architecture) -> SystemSnapshot {
    SystemSnapshot {
        architecture,
        platform_id: PLATFORM_LINUX,
        product_type: 0,
        suite_mask: 0,
        processor_level: 0,
        processor_revision: 0,
        cpu: [0; 24],
        number_of_processors: 0,
        version: [0; 3],
        description: String::new(),
        build: String::new(),
        processor_mhz: None,
        time_zone: None,
        xstate: None,
    }
}
