//! What goes into a cabinet beside the dump: images and their debug files
//! (`DEBUG_FORMAT_CAB_SECONDARY_FILES` and `…_ALL_IMAGES`).
//!
//! What cannot be had is a note, never a failure: the dump is worth more than
//! its company.

mod debug_files;
mod links;
#[cfg(test)]
mod tests;

use super::cab::{CabEntry, Need, largest_cab};
use crate::address::AddressRange;
use crate::soft_error::SoftError;
use crate::target::{
    Access, Backing, DebugId, ModuleSnapshot, Platform, ProcessTarget, Protection, Region, Segment,
};
use debug_files::{Found, SearchPaths};
use dumpwright_format::cab::{FILE_SIZE_LIMIT, MAX_CABINET_SIZE, MAX_FILES};
use links::Links;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::SystemTime;

/// Which files go along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondaryScope {
    /// `CAB_SECONDARY_FILES`: the image and the debug files of every module in
    /// the dump.
    Modules,
    /// `CAB_SECONDARY_ALL_IMAGES`: also every other ELF file that is mapped,
    /// such as one that is only being read.
    AllImages,
}

/// A file to go along.
#[derive(Debug)]
pub struct SecondaryFile {
    /// Name, without a folder. Several may have the same.
    pub name: String,
    /// Its size in bytes when it was opened.
    pub size: u64,
    /// The file, opened for reading.
    pub file: File,
    /// When it was last changed.
    pub modified: Option<SystemTime>,
}

impl From<SecondaryFile> for CabEntry {
    fn from(file: SecondaryFile) -> CabEntry {
        CabEntry {
            name: file.name,
            size: file.size,
            source: file.file,
            modified: file.modified,
            need: Need::Optional,
        }
    }
}

/// What goes along, and what was left out.
#[derive(Debug, Default)]
pub struct SecondaryFiles {
    /// The files, opened.
    pub entries: Vec<SecondaryFile>,
    /// What could not be opened or does not fit.
    pub notes: Vec<SoftError>,
}

/// Opens the files that go into a cabinet beside a dump of `dump_size` bytes.
///
/// Images come from the target, as it sees them; debug files from this machine:
/// by build id below `/usr/lib/debug/.build-id` and in debuginfod's cache, by
/// `.gnu_debuglink` (its checksum is verified) beside the image, in `.debug`
/// and below `/usr/lib/debug`, with the common part that dwz has split off
/// (`.gnu_debugaltlink`) and with split DWARF in a `.dwp`. A module that has no
/// file, the vDSO, is taken from memory.
///
/// The files and the dump together pass [`cab_check`](super::cab_check), and take
/// no more than `disk_space` bytes where that is known: what does not fit is left
/// out. Each file
/// stays open until it is packed, so some of a very great number can be left
/// out for that too.
pub fn collect_secondary_files(
    target: &dyn ProcessTarget,
    scope: SecondaryScope,
    dump_size: u64,
    disk_space: Option<u64>,
) -> SecondaryFiles {
    collect(target, scope, dump_size, disk_space, &SearchPaths::of_this_machine())
}

fn collect(
    target: &dyn ProcessTarget,
    scope: SecondaryScope,
    dump_size: u64,
    disk_space: Option<u64>,
    paths: &SearchPaths,
) -> SecondaryFiles {
    let dump_needs = largest_cab([dump_size]);
    let mut collector = Collector {
        target,
        paths,
        found: SecondaryFiles::default(),
        seen: HashSet::new(),
        room: MAX_CABINET_SIZE.saturating_sub(dump_needs),
        disk: disk_space.map_or(u64::MAX, |space| space.saturating_sub(dump_needs)),
    };
    for module in &target.snapshot().modules {
        collector.module(module);
    }
    if scope == SecondaryScope::AllImages {
        collector.other_images();
    }
    collector.found
}

/// The largest image that is taken from memory.
const MAX_IMAGE_IN_MEMORY: u64 = 1 << 20;

struct Collector<'a> {
    target: &'a dyn ProcessTarget,
    paths: &'a SearchPaths,
    found: SecondaryFiles,
    /// Device and inode of each file that is in already.
    seen: HashSet<(u64, u64)>,
    /// Bytes that the cabinet still has room for.
    room: u64,
    /// Bytes that the disk still has room for.
    disk: u64,
}

impl Collector<'_> {
    fn module(&mut self, module: &ModuleSnapshot) {
        let name = self.base_name(&module.path);
        let image = match self.target.open_module(module) {
            Ok(image) => image,
            Err(e) => return self.without_file(module, &e),
        };
        let links = Links::read(&image).unwrap_or_default();
        let debug_files = self.paths.find(&image, &module.path, &links, known_id(module));
        self.add(name.to_owned(), image);
        for Found { suffix, file } in debug_files.files {
            self.add(format!("{name}{suffix}"), file);
        }
        let notes = debug_files.notes.into_iter();
        self.found.notes.extend(notes.map(|note| SoftError::new(module.path.clone(), note)));
    }

    /// A module that no file can be opened for: the vDSO has none, others have
    /// lost theirs.
    fn without_file(&mut self, module: &ModuleSnapshot, why: &io::Error) {
        if module.path.contains('/') || self.is_windows() || module.size > MAX_IMAGE_IN_MEMORY {
            return self.note(&module.path, format!("the image cannot be opened: {why}"));
        }
        match self.read_image(module.range()) {
            Ok(file) => self.add(module.path.clone(), file),
            Err(e) => {
                self.note(&module.path, format!("the image cannot be taken from memory: {e}"));
            }
        }
    }

    fn read_image(&self, range: AddressRange) -> io::Result<File> {
        let mut image = vec![0; range.len() as usize];
        if !self.target.memory().read_exact(range.start, &mut image) {
            return Err(io::Error::other("parts of it cannot be read"));
        }
        let mut file = tempfile::tempfile()?;
        file.write_all(&image)?;
        Ok(file)
    }

    fn other_images(&mut self) {
        let mut tried = HashSet::new();
        for region in &self.target.snapshot().regions {
            let may_be = region.backing == Backing::File
                && region.access != Access::Forbidden
                && region.name.starts_with('/');
            if may_be && tried.insert(Arc::clone(&region.name)) {
                self.other_image(&region);
            }
        }
    }

    /// Takes the file of a mapping along, if it is an ELF file.
    fn other_image(&mut self, region: &Region) {
        match self.target.open_module(&as_module(region)) {
            Ok(file) if links::is_elf(&file) => {
                self.add(self.base_name(&region.name).to_owned(), file);
            }
            Err(e) if self.starts_as_elf(region) => {
                self.note(&region.name, format!("the image cannot be opened: {e}"));
            }
            // Data, whether it can be reached or not.
            Ok(_) | Err(_) => {}
        }
    }

    fn starts_as_elf(&self, region: &Region) -> bool {
        let mut magic = [0; 4];
        region.is_readable()
            && self.target.memory().read_exact(region.range.start, &mut magic)
            && magic == links::MAGIC
    }

    /// Adds a file unless it is in already, or does not fit.
    fn add(&mut self, name: String, file: File) {
        let metadata = match file.metadata() {
            Ok(metadata) => metadata,
            Err(e) => return self.note(&name, format!("cannot be looked at: {e}")),
        };
        if !metadata.is_file() || metadata.len() == 0 {
            return self.note(&name, "is not a file with contents".into());
        }
        if !self.seen.insert(identity(&metadata)) {
            return;
        }
        let size = metadata.len();
        let needs = largest_cab([size]);
        if let Some(why) = self.does_not_fit(size, needs, &file) {
            return self.note(&name, format!("left out of the CAB: {why}"));
        }
        self.room -= needs;
        self.disk -= needs;
        let modified = metadata.modified().ok();
        self.found.entries.push(SecondaryFile { name, size, file, modified });
    }

    fn does_not_fit(&self, size: u64, needs: u64, file: &File) -> Option<String> {
        if size >= FILE_SIZE_LIMIT {
            return Some(format!(
                "it has {size} bytes and a CAB holds files smaller than {FILE_SIZE_LIMIT}"
            ));
        }
        if needs > self.room {
            return Some(format!("its {size} bytes could make the CAB too large"));
        }
        if needs > self.disk {
            return Some(format!(
                "the disk has no room left for its {size} bytes; free some or write elsewhere"
            ));
        }
        // The dump itself is a file too.
        if self.found.entries.len() + 1 >= MAX_FILES {
            return Some(format!("a CAB holds {MAX_FILES} files"));
        }
        descriptors_run_out(file)
            .then(|| "too many files would be open at once; raise the limit (ulimit -n)".to_owned())
    }

    fn is_windows(&self) -> bool {
        self.target.snapshot().system.platform() == Platform::Windows
    }

    /// A file's name without folders, as its own system divides them.
    fn base_name<'p>(&self, path: &'p str) -> &'p str {
        let is_separator = |c| c == '/' || c == '\\' && self.is_windows();
        path.rsplit(is_separator).next().unwrap_or(path)
    }

    fn note(&mut self, subject: &str, message: String) {
        self.found.notes.push(SoftError::new(subject, message));
    }
}

/// The build id by which the target knows a module.
fn known_id(module: &ModuleSnapshot) -> Option<&[u8]> {
    match &module.debug_id {
        DebugId::ElfBuildId(id) => Some(id),
        DebugId::None | DebugId::Pdb70 { .. } => None,
    }
}

/// What a target needs to know to open the file behind a mapping.
fn as_module(region: &Region) -> ModuleSnapshot {
    ModuleSnapshot {
        base: region.range.start,
        size: region.range.len(),
        path: region.name.to_string(),
        debug_id: DebugId::None,
        version: None,
        time_date_stamp: 0,
        check_sum: 0,
        segments: vec![Segment { range: region.range, protection: Protection::READ }],
        headers: Vec::new(),
    }
}

/// What a file is, however it was reached.
#[cfg(unix)]
fn identity(metadata: &std::fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// Length and time of change stand for an identity that is not to be had.
#[cfg(not(unix))]
fn identity(metadata: &std::fs::Metadata) -> (u64, u64) {
    let changed =
        metadata.modified().ok().and_then(|t| t.duration_since(SystemTime::UNIX_EPOCH).ok());
    (metadata.len(), changed.map_or(0, |since| since.as_nanos() as u64))
}

/// Whether so many files are open that others would soon fail to open theirs:
/// a descriptor is always the lowest free number.
#[cfg(target_os = "linux")]
fn descriptors_run_out(file: &File) -> bool {
    use std::os::fd::AsRawFd;
    /// Descriptors that stay free for everybody else in this process.
    const SPARE: u64 = 64;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.is_some_and(|most| file.as_raw_fd() as u64 + SPARE >= most)
}

#[cfg(not(target_os = "linux"))]
fn descriptors_run_out(_file: &File) -> bool {
    false
}

/// A door for the fuzz targets: what a module's file says of its debug files.
#[cfg(feature = "fuzzing")]
pub fn links(file: &File) {
    let _ = Links::read(file);
}
