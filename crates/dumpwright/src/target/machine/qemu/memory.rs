//! The guest's memory where it lies.
//!
//! Whatever way it is had, some words of each part are compared with what QEMU
//! itself reads there (`xp`): a file that was replaced, or a monitor whose other
//! end is not QEMU, is noticed and not believed.

use super::layout::{self, Region};
use super::qmp::{Qmp, QmpError};
use crate::address::AddressRange;
use crate::read::Source;
use crate::soft_error::SoftError;
use crate::target::Pid;
use crate::target::linux::maps::Maps;
use crate::target::linux::pagemap::Pagemap;
use crate::target::machine::image::{Extent, ExtentMemory, ImageKind, RawLayout, parse};
use crate::target::machine::open::MachineOptions;
use serde_json::{Value, json};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

/// Backends that are asked for.
const MAX_BACKENDS: usize = 1024;
/// Words that are compared in each place.
const WORDS: usize = 8;

/// A memory backend that is a shared file.
#[derive(Debug)]
pub(super) struct Backend {
    id: String,
    path: PathBuf,
    offset: u64,
}

/// The guest's memory backends that are shared files. What QEMU does not tell
/// is had in another way.
pub(super) fn backends(qmp: &mut Qmp) -> Vec<Backend> {
    let objects = qmp.execute("qom-list", &json!({ "path": "/objects" })).unwrap_or_default();
    let of_kind = |object: &&Value| object["type"] == "child<memory-backend-file>";
    let ids: Vec<String> = objects
        .as_array()
        .into_iter()
        .flatten()
        .filter(of_kind)
        .filter_map(|object| object["name"].as_str().map(str::to_owned))
        .take(MAX_BACKENDS)
        .collect();
    ids.into_iter().filter_map(|id| backend(qmp, id)).collect()
}

fn backend(qmp: &mut Qmp, id: String) -> Option<Backend> {
    let mut get = |property: &str| {
        let arguments = json!({ "path": format!("/objects/{id}"), "property": property });
        qmp.execute("qom-get", &arguments).ok()
    };
    if get("share")?.as_bool() != Some(true) {
        return None;
    }
    let path = PathBuf::from(get("mem-path")?.as_str()?);
    // A property of later versions.
    let offset = get("offset").and_then(|offset| offset.as_u64()).unwrap_or(0);
    path.is_file().then_some(Backend { id, path, offset })
}

/// The memory of QEMU's process.
#[derive(Debug)]
struct ProcessMemory {
    file: File,
    maps: Maps,
    pagemap: Pagemap,
}

impl ProcessMemory {
    fn open(pid: u32) -> io::Result<Self> {
        let file = File::open(format!("/proc/{pid}/mem"))?;
        let (maps, _) = Maps::parse(File::open(format!("/proc/{pid}/maps"))?)?;
        Ok(ProcessMemory { file, maps, pagemap: Pagemap::of(Pid(pid)) })
    }
}

impl Source for ProcessMemory {
    fn len(&self) -> u64 {
        u64::MAX
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buf, offset).map_err(|error| match error.kind() {
            // The file has an end only once there is no memory any more.
            io::ErrorKind::UnexpectedEof => io::ErrorKind::BrokenPipe.into(),
            _ => error,
        })
    }

    /// Of private memory that is no file's, the page tables tell what the guest
    /// ever touched.
    fn contents(&self, offset: u64, len: u64) -> Vec<(u64, u64)> {
        let range = AddressRange::with_len(offset, len);
        let private = self
            .maps
            .at(offset)
            .is_some_and(|m| !m.shared && !m.is_file() && m.range.end >= range.end);
        if !private {
            return vec![(range.start, range.end)];
        }
        self.pagemap.populated(range).into_iter().map(|part| (part.start, part.end)).collect()
    }
}

/// The file that a shared mapping of QEMU's is of, such as a memfd's, and where
/// in it `host` lies.
fn shared_file(pid: u32, maps: &Maps, host: u64, len: u64) -> Option<(File, u64)> {
    let mapping = maps.at(host).filter(|m| m.shared && m.is_file())?;
    (mapping.range.end >= host.checked_add(len)?).then_some(())?;
    let AddressRange { start, end } = mapping.range;
    let file = File::open(format!("/proc/{pid}/map_files/{start:x}-{end:x}")).ok()?;
    file.metadata().ok()?.is_file().then(|| (file, mapping.offset_of(host)))
}

/// A file and where in it parts of memory are.
type Part = (Arc<dyn Source>, Vec<Extent>);

/// Finds the guest's RAM.
pub(super) fn open(
    qmp: &mut Qmp,
    ram: &[Extent],
    backends: &[Backend],
    options: &MachineOptions,
) -> Result<(ExtentMemory, Vec<SoftError>), String> {
    let mtree = qmp.human("info mtree -f").unwrap_or_default();
    let mut parts: Vec<Part> = Vec::new();
    let mut files = Vec::new();
    for backend in backends {
        if let Ok(file) = File::open(&backend.path) {
            files.push((backend, parts.len()));
            parts.push((Arc::new(file), Vec::new()));
        }
    }
    let process = qmp.peer().and_then(|pid| Some((pid, Arc::new(ProcessMemory::open(pid).ok()?))));
    let process = process.map(|(pid, memory)| {
        let source: Arc<dyn Source> = memory.clone();
        parts.push((source, Vec::new()));
        (pid, memory, parts.len() - 1)
    });
    let mut rest = Vec::new();
    for region in pieces(ram, &layout::regions(&mtree)) {
        let file = files.iter().find(|(backend, _)| backend.id == region.name);
        let in_file = file.and_then(|(backend, part)| {
            let offset = backend.offset.checked_add(region.offset)?;
            Some((*part, offset))
        });
        let check = |qmp: &mut Qmp, parts: &[Part], part: usize, offset| {
            let extent = Extent { start: region.start, len: region.len, offset };
            is_the_same(qmp, &*parts[part].0, extent).then_some((part, extent))
        };
        let mut found = in_file.and_then(|(part, offset)| check(qmp, &parts, part, offset));
        if let (None, Some((pid, memory, part))) = (found, &process)
            && let Some(host) = host_address(qmp, &region)
        {
            if let Some((file, offset)) = shared_file(*pid, &memory.maps, host, region.len) {
                parts.push((Arc::new(file), Vec::new()));
                found = check(qmp, &parts, parts.len() - 1, offset);
            }
            found = found.or_else(|| check(qmp, &parts, *part, host));
        }
        match found {
            Some((part, extent)) => parts[part].1.push(extent),
            None => rest.push(Extent { start: region.start, len: region.len, offset: 0 }),
        }
    }
    let mut soft_errors = Vec::new();
    if !rest.is_empty() {
        soft_errors.extend(dump(qmp, joined(rest), ram, options, &mut parts)?);
    }
    let (memory, more) = ExtentMemory::of_several(parts)?;
    soft_errors.extend(more);
    Ok((memory, soft_errors))
}

/// RAM cut to the regions that it lies in; what lies in none has no name.
pub(super) fn pieces(ram: &[Extent], regions: &[Region]) -> Vec<Region> {
    let mut pieces = Vec::new();
    for extent in ram {
        let end = extent.start.saturating_add(extent.len);
        let mut at = extent.start;
        while at < end {
            let holds = |r: &&Region| r.start <= at && at - r.start < r.len;
            let piece = if let Some(region) = regions.iter().find(holds) {
                let skip = at - region.start;
                let len = (region.len - skip).min(end - at);
                let offset = region.offset.saturating_add(skip);
                Region { start: at, len, name: region.name.clone(), offset }
            } else {
                let later = regions.iter().map(|r| r.start).filter(|start| *start > at);
                let next = later.min().unwrap_or(end).min(end);
                Region { start: at, len: next - at, name: String::new(), offset: 0 }
            };
            at += piece.len;
            pieces.push(piece);
        }
    }
    pieces
}

/// Where a part lies in QEMU's address space: one block, so that its ends are
/// as far apart there.
fn host_address(qmp: &mut Qmp, region: &Region) -> Option<u64> {
    let mut of = |at: u64| layout::host_address(&qmp.human(&format!("gpa2hva {at:#x}")).ok()?);
    let last_page = (region.len - 1) & !0xfff;
    let first = of(region.start)?;
    let last = of(region.start.checked_add(last_page)?)?;
    (last.checked_sub(first) == Some(last_page)).then_some(first)
}

/// Whether some words of a part are what QEMU reads there.
fn is_the_same(qmp: &mut Qmp, source: &dyn Source, extent: Extent) -> bool {
    let size = (WORDS * 8) as u64;
    let Some(last) = extent.len.checked_sub(size) else { return false };
    [0, (last / 2) & !7, last & !7].into_iter().all(|skip| {
        let mut bytes = [0; WORDS * 8];
        let Some(offset) = extent.offset.checked_add(skip) else { return false };
        if source.read_at(offset, &mut bytes).is_err() {
            return false;
        }
        let ours =
            bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()));
        let command = format!("xp /{WORDS}gx {:#x}", extent.start + skip);
        qmp.human(&command).is_ok_and(|answer| layout::words(&answer).into_iter().eq(ours))
    })
}

/// Extents that touch as one.
fn joined(extents: Vec<Extent>) -> Vec<Extent> {
    let mut out: Vec<Extent> = Vec::new();
    for extent in extents {
        match out.last_mut() {
            Some(last) if last.start + last.len == extent.start => last.len += extent.len,
            _ => out.push(extent),
        }
    }
    out
}

/// Has QEMU dump what cannot be had otherwise into files without names.
fn dump(
    qmp: &mut Qmp,
    rest: Vec<Extent>,
    ram: &[Extent],
    options: &MachineOptions,
    parts: &mut Vec<Part>,
) -> Result<Option<SoftError>, String> {
    let total: u64 = rest.iter().map(|extent| extent.len).sum();
    let all = total == ram.iter().map(|extent| extent.len).sum::<u64>();
    let ranges = if all { vec![None] } else { rest.into_iter().map(Some).collect() };
    for range in ranges {
        let file = dumped(qmp, range, options)?;
        let image = parse(ImageKind::Elf, &file, &RawLayout::Guess)
            .map_err(|reason| format!("QEMU's dump of its memory cannot be used: {reason}"))?;
        parts.push((file, image.extents));
    }
    // Video memory and firmware are small, whatever way they come.
    Ok((total > 64 << 20).then(|| {
        SoftError::new(
            "pause",
            format!(
                "the guest stood still while QEMU wrote {total} bytes of its memory to a file; a shared memory backend (memory-backend-file, share=on), or the right to read QEMU's memory, makes that much shorter"
            ),
        )
    }))
}

fn dumped(
    qmp: &mut Qmp,
    range: Option<Extent>,
    options: &MachineOptions,
) -> Result<Arc<dyn Source>, String> {
    const COMMAND: &str = "dump-guest-memory";
    const NAME: &str = "dumpwright-memory";
    let temporary = match &options.scratch {
        Some(folder) => tempfile::tempfile_in(folder),
        None => tempfile::tempfile(),
    };
    let file = temporary.map_err(|error| format!("cannot make a temporary file: {error}"))?;
    let fd = file.try_clone().map(OwnedFd::from).map_err(|error| error.to_string())?;
    qmp.give_fd(NAME, &fd).map_err(|error| error.to_string())?;
    let mut arguments = json!({ "paging": false, "protocol": format!("fd:{NAME}") });
    if let Some(range) = range {
        arguments["begin"] = range.start.into();
        arguments["length"] = range.len.into();
    }
    qmp.start(COMMAND, &arguments).map_err(|error| error.to_string())?;
    let mut before = 0;
    loop {
        match qmp.finish(COMMAND, super::PATIENCE) {
            Ok(_) => return Ok(Arc::new(file)),
            // It takes as long as it takes, as long as it goes on.
            Err(QmpError::Timeout(..)) if Source::len(&file) > before => {
                before = Source::len(&file);
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ram_is_cut_to_the_regions_it_lies_in() {
        let region =
            |start, len, name: &str, offset| Region { start, len, name: name.into(), offset };
        let ram = [Extent { start: 0, len: 0x5000, offset: 0 }];
        let regions = [region(0x1000, 0x1000, "a", 0x1000), region(0x3000, 0x8000, "b", 0x10)];
        assert_eq!(
            pieces(&ram, &regions),
            [
                region(0, 0x1000, "", 0),
                region(0x1000, 0x1000, "a", 0x1000),
                region(0x2000, 0x1000, "", 0),
                region(0x3000, 0x2000, "b", 0x10),
            ]
        );
        let touching = pieces(&ram, &[])
            .iter()
            .map(|r| Extent { start: r.start, len: r.len, offset: 0 })
            .collect();
        assert_eq!(joined(touching), ram);
    }
}
