//! Files that hold physical memory, each kind told by its first bytes.
//!
//! Every kind ends as an `Image`: which bytes of the file are which page
//! frames, and what is known of the processors. Files are read with `pread` and
//! not mapped: a file that shrinks meanwhile, or lies on a failing disk, gives
//! holes then, where a mapping would end the program with SIGBUS.

mod elf;
mod extents;
pub(in crate::target::machine) mod kdump;
mod lime;
mod notes;
mod raw;
mod recognise;

#[cfg(target_os = "linux")]
#[cfg(target_os = "linux")]
pub(in crate::target::machine) use elf::{HeadError, parse_head};
pub use extents::ExtentMemory;
pub use raw::RawLayout;
pub(super) use recognise::{FileKind, ImageKind, PEEK, recognise};

use super::snapshot::{MachineArchitecture, ProcessorSnapshot};
use crate::read::Source;
use crate::soft_error::SoftError;
use std::sync::Arc;

/// A part of a file, and where it stood in physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::target::machine) struct Extent {
    /// Physical address of the first byte.
    pub start: u64,
    /// Bytes.
    pub len: u64,
    /// Where the first byte is in the file.
    pub offset: u64,
}

/// What a file says of a machine, before anything in its memory is looked at.
#[derive(Debug, Default)]
pub(in crate::target::machine) struct Image {
    /// Memory.
    pub extents: Vec<Extent>,
    /// Processors, in the file's order.
    pub processors: Vec<ProcessorSnapshot>,
    /// Architecture, where the file tells it.
    pub architecture: Option<MachineArchitecture>,
    /// The `DUMP_HEADER64` that a driver in the guest prepared.
    pub prepared_header: Option<Vec<u8>>,
    /// What is not as it might be.
    pub soft_errors: Vec<SoftError>,
}

/// Reads what an image file says. `Err` has the cause and the way out.
pub(super) fn parse(
    kind: ImageKind,
    source: &Arc<dyn Source>,
    layout: &RawLayout,
) -> Result<Image, Refusal> {
    match kind {
        ImageKind::Lime => Ok(lime::parse(&**source)?),
        ImageKind::Elf => elf::parse(&**source),
        ImageKind::Raw => Ok(raw::parse(source.len(), layout)?),
    }
}

/// Why a file is not used as an image.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::target::machine) enum Refusal {
    /// It is an ELF file, and not of a machine: a core of a process, a program.
    NotOfAMachine,
    /// It is damaged or cannot be read: why, and the way out.
    Bad(String),
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Refusal::Bad(reason)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::NotOfAMachine => f.write_str("it is an ELF file and not of a machine"),
            Refusal::Bad(reason) => f.write_str(reason),
        }
    }
}
