//! What goes into an ELF core besides memory: mappings and notes.
//!
//! The memory is that of the minidump plan, filters included. Memory that was
//! never used goes into a note of our own ([`OWNER_DUMPWRIGHT`]), which other
//! readers pass over; the layout adds one with the streams of a minidump. All
//! text has passed the same filters as in a minidump.

mod files;
mod notes;
mod process;
mod registers;

use super::Context;
use super::assembly::Assembly;
use super::filter_text::Privacy;
use crate::address::{AddressRange, RangeSet};
use crate::error::{Error, Result};
use crate::packed::Packed;
use crate::redact::Redactor;
use crate::target::{Absent, Architecture, Platform, ProcessSnapshot};
use dumpwright_format::FormatFlags;
use dumpwright_format::elf_core::{
    EM_AARCH64, EM_X86_64, NOTE_ZERO, NT_AUXV, OWNER_CORE, OWNER_DUMPWRIGHT,
};
use dumpwright_format::minidump::StreamType;
pub(crate) use notes::head as note_head;

pub use files::FileNote;
pub use notes::Notes;

/// What an ELF core holds besides memory.
#[derive(Clone, Debug)]
pub struct CorePlan {
    /// `e_machine`.
    pub machine: u16,
    /// The notes that are known before memory is read.
    pub notes: Notes,
    /// How many mappings there are, each of which is a segment at least.
    pub mappings: u64,
    /// Bytes of a page.
    pub page_size: u64,
}

/// Text that is in no stream of the assembly, as far as a core may show it.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    /// What the flags filter.
    pub privacy: Privacy,
    /// What the request overwrites.
    pub redactor: Option<&'a Redactor>,
}

impl Text<'_> {
    /// A path.
    fn path(self, path: &str) -> Vec<u8> {
        self.redacted(&self.privacy.path(path))
    }

    /// The name of a thread or process.
    fn name(self, name: &str, program: &str) -> Vec<u8> {
        self.redacted(&self.privacy.thread_name(name, program))
    }

    /// Any other text.
    fn redacted(self, text: &str) -> Vec<u8> {
        let mut bytes = text.as_bytes().to_vec();
        if let Some(redactor) = self.redactor {
            redactor.redact(&mut bytes);
        }
        bytes
    }
}

/// Plans the core of a Linux process.
///
/// # Errors
/// [`Error::InvalidRequest`] for any other process.
pub(super) fn plan(context: &Context<'_>, assembly: &Assembly, text: Text<'_>) -> Result<CorePlan> {
    let snapshot = context.snapshot;
    let machine = machine(snapshot)?;
    let mut notes = Notes::default();
    let stream = |kind| {
        let found = assembly.streams().iter().find(|(stream_type, _)| *stream_type == kind);
        found.map(|(_, section)| section.bytes())
    };
    let maps = assembly.streams().iter().find(|(kind, _)| *kind == StreamType::LINUX_MAPS);
    let maps = maps.map(|(_, section)| section.to_stream());
    process::notes(context, text, stream, &mut notes, |notes| {
        if let Some(auxv) = stream(StreamType::LINUX_AUXV) {
            notes.put(OWNER_CORE, NT_AUXV, auxv);
        }
        if let Some(files) = FileNote::new(snapshot, maps, text) {
            notes.put_files(files);
        }
    });
    if context.has(FormatFlags::USER_SMALL_FULL_MEMORY) {
        notes.put_ranges(OWNER_DUMPWRIGHT, NOTE_ZERO, never_used(context));
    }
    Ok(CorePlan {
        machine,
        notes,
        mappings: snapshot.regions.len() as u64,
        page_size: snapshot.page_size,
    })
}

/// Memory that the process had never used, for which full memory stores nothing.
fn never_used(context: &Context<'_>) -> Packed<AddressRange> {
    let mut ranges = Packed::new();
    let regions = context.snapshot.regions.iter();
    for region in regions.filter(|r| r.absent == Absent::Zero && context.may_read(r)) {
        let populated: RangeSet = context.memory.populated(region.range).into_iter().collect();
        ranges.extend(populated.missing_from(region.range));
    }
    ranges
}

fn machine(snapshot: &ProcessSnapshot) -> Result<u16> {
    let system = &snapshot.system;
    if system.platform() != Platform::Linux {
        return Err(Error::InvalidRequest(
            "only Linux processes have ELF cores; write a minidump of this one (leave --as out)"
                .into(),
        ));
    }
    match system.architecture {
        Architecture::Amd64 => Ok(EM_X86_64),
        Architecture::Arm64 => Ok(EM_AARCH64),
        Architecture::X86 => Err(Error::InvalidRequest(
            "ELF cores of 32-bit processes are not written; write a minidump (leave --as out)"
                .into(),
        )),
    }
}
