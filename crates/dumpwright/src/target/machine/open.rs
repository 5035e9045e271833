//! What a file is, and the machine in it.

use super::image::{self, ExtentMemory, FileKind, ImageKind, PEEK, RawLayout, recognise};
use super::symbols::SymbolSources;
use super::understand::{self, ByHand, Effort};
use super::{MachineSnapshot, MachineTarget, PhysicalMemory, raw};
use crate::error::{Error, Result};
use crate::read::Source;
use crate::read::kernel::KernelDump;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How machines are to be opened and understood.
#[derive(Clone, Debug, Default)]
pub struct MachineOptions {
    /// Where the bytes of a raw image stood. Anything but a guess says also that
    /// a file of unknown contents is a raw image.
    pub layout: RawLayout,
    /// What is known of the guest and need not be found.
    pub by_hand: ByHand,
    /// Where symbols of the guest's kernel may be had.
    pub symbols: SymbolSources,
    /// Folder for large temporary files, if not the system's.
    pub scratch: Option<PathBuf>,
}

/// Opens a file that holds a machine: a memory image or a kernel dump. `None` if
/// its contents are something else, such as a dump of a process.
///
/// # Errors
/// [`Error::Io`], and [`Error::NotAMachine`] for a machine image that is damaged
/// or of a kind that cannot be read.
pub fn open_machine(
    path: &Path,
    options: &MachineOptions,
) -> Result<Option<Box<dyn MachineTarget>>> {
    let io = |source| Error::Io { action: "open", file: path.into(), source };
    // Asked by name first, because opening a pipe would wait for a writer.
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Ok(None);
    }
    let file = File::open(path).map_err(io)?;
    open_machine_source(Box::new(file), path, options)
}

/// Opens bytes that hold a machine; `name` is for messages.
///
/// # Errors
/// As [`open_machine`].
pub fn open_machine_source(
    source: Box<dyn Source>,
    name: &Path,
    options: &MachineOptions,
) -> Result<Option<Box<dyn MachineTarget>>> {
    let failed = |source| Error::Io { action: "read", file: name.to_owned(), source };
    let refused = |reason| Error::NotAMachine { file: name.to_owned(), reason };
    let mut start = [0; PEEK];
    let len = source.len().min(PEEK as u64) as usize;
    source.read_at(0, &mut start[..len]).map_err(failed)?;
    if KernelDump::recognises(&start[..len]) {
        return kernel_dump(source, name, options).map(Some);
    }
    let Some(kind) = kind_of(&start[..len], source.len(), options).map_err(refused)? else {
        return Ok(None);
    };
    let source: Arc<dyn Source> = Arc::from(source);
    let kind = match kind {
        FileKind::Kdump => {
            let (memory, image) = image::kdump::open(source).map_err(refused)?;
            let snapshot = understand::understand(&memory, image, options, Effort::Search);
            return Ok(Some(Box::new(ImageMachine { snapshot, memory })));
        }
        FileKind::Image(ImageKind::Raw) if options.layout == RawLayout::Guess => {
            let (memory, snapshot) = raw::open(&source, options).map_err(refused)?;
            return Ok(Some(Box::new(ImageMachine { snapshot, memory })));
        }
        FileKind::Image(kind) => kind,
    };
    let mut image = match image::parse(kind, &source, &options.layout) {
        Ok(image) => image,
        Err(image::Refusal::NotOfAMachine) => return Ok(None),
        Err(image::Refusal::Bad(reason)) => return Err(refused(reason)),
    };
    let extents = std::mem::take(&mut image.extents);
    let (memory, soft_errors) = ExtentMemory::new(source, extents).map_err(refused)?;
    image.soft_errors.extend(soft_errors);
    let snapshot = understand::understand(&memory, image, options, Effort::Search);
    Ok(Some(Box::new(ImageMachine { snapshot, memory })))
}

/// A kernel dump as a target. What its header says stays; what it does not say
/// is looked for in its memory.
fn kernel_dump(
    source: Box<dyn Source>,
    name: &Path,
    options: &MachineOptions,
) -> Result<Box<dyn MachineTarget>> {
    let memory = KernelDump::from_named_source(source, name)?;
    let mut snapshot = memory.machine();
    understand::complete(&memory, &mut snapshot, options);
    Ok(Box::new(ImageMachine { snapshot, memory }))
}

/// Signatures of files that are no memory, whatever their size.
const OTHER_FILES: [&[u8]; 13] = [
    b"MDMP",
    b"PMDM",
    b"MSCF",
    b"USERDU",
    b"MZ",
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"\x28\xb5\x2f\xfd",
    b"\xfd7zXZ",
    // LZ4: a frame, and the older form of the `lz4` tool.
    b"\x04\x22\x4d\x18",
    b"\x02\x21\x4c\x18",
    b"7z\xbc\xaf",
    b"BZh",
];
/// The smallest file that is taken for a raw image without being asked.
const MIN_RAW: u64 = 1 << 20;

/// What a file is by its first bytes; a raw image has none, so what is nothing
/// else and has whole pages is taken for one.
fn kind_of(start: &[u8], len: u64, options: &MachineOptions) -> Result<Option<FileKind>, String> {
    if options.layout != RawLayout::Guess {
        return Ok(Some(FileKind::Image(ImageKind::Raw)));
    }
    if let Some(kind) = recognise(start) {
        return kind.map(Some);
    }
    let other = OTHER_FILES.iter().any(|signature| start.starts_with(signature));
    let raw = !other && len >= MIN_RAW && len.is_multiple_of(super::PAGE_SIZE);
    Ok(raw.then_some(FileKind::Image(ImageKind::Raw)))
}

/// A machine in a file.
struct ImageMachine<M> {
    snapshot: MachineSnapshot,
    memory: M,
}

impl<M: PhysicalMemory> MachineTarget for ImageMachine<M> {
    fn snapshot(&self) -> &MachineSnapshot {
        &self.snapshot
    }

    fn memory(&self) -> &dyn PhysicalMemory {
        &self.memory
    }

    fn release(&mut self) {}

    fn held(&self) -> Option<Duration> {
        None
    }
}
