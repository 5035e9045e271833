//! What goes into a kernel dump: which type it is, which page frames or pieces
//! of memory it holds, and what is added to them.

mod active;
mod choose;
mod comment;
mod context;
mod edits;
mod page_set;
mod paging;
mod secondary;
mod select;
#[cfg(test)]
mod tests;
mod triage;

pub use edits::Edits;
pub use page_set::PageSet;
pub use paging::{AddressSpace, Half, Walked};
pub use secondary::{Blob, BlobPart};
pub use triage::{Driver, TriagePlan};

use crate::error::Result;
use crate::kernel_type::{KernelDumpType, MemoryChoice};
use crate::request::DumpRequest;
use crate::soft_error::SoftError;
use crate::target::machine::{MachineSnapshot, PageRun, PhysicalMemory, registers};
use dumpwright_format::kernel::{FULL_TEXT_TAG, PROCESSORS_TAG, SOFT_ERRORS_TAG};
use select::Machine;

/// Bytes that are kept free for holes that only reading will show.
const ROOM_FOR_HOLES: u64 = 4096;

/// Everything that a kernel dump will hold, without a place in the file yet.
#[derive(Debug)]
pub struct KernelPlan {
    /// The type that is written.
    pub kind: KernelDumpType,
    /// The machine's memory map, for the header.
    pub ram: Vec<PageRun>,
    /// What the dump holds.
    pub body: Body,
    /// Bytes of pages that are written otherwise than they are in memory.
    pub edits: Edits,
    /// The header's comment, without a NUL.
    pub comment: Option<Vec<u8>>,
    /// Secondary data.
    pub blobs: Vec<Blob>,
    /// What could not be had.
    pub soft_errors: Vec<SoftError>,
}

/// What a kernel dump holds.
#[derive(Debug)]
pub enum Body {
    /// Page frames, in order.
    Pages(Vec<PageRun>),
    /// Pieces of virtual memory.
    Triage(Box<TriagePlan>),
}

/// Plans a dump of a machine.
///
/// # Errors
/// Those of a type that this machine cannot be dumped as; [`Error::Io`] for
/// files to attach.
///
/// [`Error::Io`]: crate::Error::Io
pub fn plan(
    snapshot: &MachineSnapshot,
    memory: &dyn PhysicalMemory,
    request: &DumpRequest,
) -> Result<KernelPlan> {
    let mut soft_errors = snapshot.soft_errors.clone();
    let ram = select::ram_of(snapshot, memory, &mut soft_errors);
    let machine = Machine { snapshot, memory, ram: &ram };
    let kind = choose::choose(request, &machine, &mut soft_errors)?;
    let (body, edits) = if let Some(contents) = &snapshot.small_dump {
        (Body::Triage(contents.clone()), Edits::default())
    } else if kind.memory() == MemoryChoice::Pieces {
        select::require_kernel(&machine, kind)?;
        let edits = select::edits(&machine, &mut soft_errors);
        let contents = triage::plan(&machine, &edits, &mut soft_errors);
        (Body::Triage(Box::new(contents)), Edits::default())
    } else {
        let pages = select::select(&machine, kind, &mut soft_errors)?;
        let edits = select::edits(&machine, &mut soft_errors);
        (Body::Pages(pages), edits)
    };
    let text = request.comment.as_deref().or(snapshot.comment.as_deref());
    let comment = text.map(|text| comment::encode(text, &mut soft_errors));
    let mut blobs: Vec<Blob> = snapshot
        .secondary_data
        .iter()
        .filter(|(tag, _)| ![FULL_TEXT_TAG, PROCESSORS_TAG, SOFT_ERRORS_TAG].contains(tag))
        .map(|(tag, data)| Blob::bytes(*tag, data.clone()))
        .collect();
    if let Some(registers) = registers::encode(snapshot) {
        blobs.push(Blob::bytes(PROCESSORS_TAG, registers));
    }
    if let (Some(text), Some(comment::Encoded { whole: false, .. })) = (text, &comment) {
        blobs.push(Blob::bytes(FULL_TEXT_TAG, text.as_bytes().to_vec()));
    }
    for file in &request.extensions.attach {
        blobs.push(Blob::file(file)?);
    }
    let can_have_holes = match &body {
        Body::Pages(pages) => pages.iter().any(|run| memory.mapped(*run).is_none()),
        Body::Triage(_) => false,
    };
    if can_have_holes || !soft_errors.is_empty() {
        let stated = crate::write::kernel::report(&soft_errors, &[], 0, u64::MAX).len() as u64;
        let room = stated + if can_have_holes { ROOM_FOR_HOLES } else { 0 };
        blobs.push(Blob { tag: SOFT_ERRORS_TAG, data: vec![BlobPart::SoftErrors(room)] });
    }
    Ok(KernelPlan { kind, body, edits, comment: comment.map(|c| c.bytes), blobs, soft_errors, ram })
}
