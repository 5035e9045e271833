//! What every dump goes through once it is laid out: written to where it goes,
//! or into a CAB.

use super::{Output, OutputKind, copy_to_handle, dump_name, empty, file_size};
use crate::error::{Error, Result};
use crate::observer::Observer;
use crate::package::{self, CabEntry, Need, PendingFile, SecondaryFiles, largest_cab};
use crate::request::{Destination, DumpRequest};
use crate::summary::Summary;
use crate::write::Target;
use dumpwright_format::FormatFlags;
use std::io::{self, Seek};
use std::time::Duration;

/// One dump, laid out.
pub(super) trait Job {
    /// What is known of a dump once it is written.
    type Outcome;

    /// Bytes of the dump.
    fn size(&self) -> u64;

    /// Writes the dump, and lets the target go as soon as it is not needed.
    fn write(&mut self, to: Target<'_>) -> Result<Self::Outcome>;

    /// What was done.
    fn summary(&self, request: &DumpRequest, outcome: &Self::Outcome) -> Summary;

    /// Files that go into a CAB beside the dump, which together take no more than
    /// `disk_space` bytes where that is known.
    fn secondary_files(&self, request: &DumpRequest, disk_space: Option<u64>) -> SecondaryFiles;

    /// How long the target stood still.
    fn held(&self) -> Option<Duration>;
}

/// Writes a dump to its destination.
pub(super) fn run(
    job: &mut impl Job,
    request: &DumpRequest,
    output: Output,
    observer: &dyn Observer,
) -> Result<Summary> {
    let mut summary = match output.kind {
        OutputKind::Stdout => {
            let outcome = job.write(Target::Stream(&mut io::stdout().lock()))?;
            job.summary(request, &outcome)
        }
        OutputKind::Handle(mut file) => {
            empty(&mut file).map_err(Error::Write)?;
            // It may be a pipe, or one that only grows at its end.
            let outcome = job.write(Target::Stream(&mut file))?;
            job.summary(request, &outcome)
        }
        OutputKind::CabToHandle(mut cab, file) => {
            let summary = write_cab(job, request, &mut cab, observer)?;
            copy_to_handle(cab, file)?;
            summary
        }
        OutputKind::File(mut file) if request.format_flags.contains(FormatFlags::WRITE_CAB) => {
            let summary = write_cab(job, request, &mut file, observer)?;
            file.publish()?;
            summary
        }
        OutputKind::File(mut file) => {
            file.reserve(job.size())?;
            let outcome = job.write(Target::File(file.file()))?;
            file.publish()?;
            job.summary(request, &outcome)
        }
    };
    summary.held = job.held().unwrap_or_default();
    summary.total = output.started.elapsed();
    Ok(summary)
}

/// Writes the dump into a temporary file without a name, and packs that.
fn write_cab(
    job: &mut impl Job,
    request: &DumpRequest,
    cab: &mut PendingFile,
    observer: &dyn Observer,
) -> Result<Summary> {
    let Destination::File(destination) = &request.destination else {
        return Err(Error::EmptyFileName);
    };
    let name = dump_name(destination, request.extensions.format);
    let size = job.size();
    package::cab_check(&[(name.clone(), size)])?;
    // The dump, and at worst a CAB that could not compress it.
    cab.check_space(size + largest_cab([size]))?;
    let io_error = |action| move |source| Error::Io { action, file: destination.clone(), source };
    // A process that a crash ends when it goes on takes its root folder along.
    let space = cab.free_space().map(|space| space.saturating_sub(size));
    let files = job.secondary_files(request, space);
    let mut dump = cab.scratch()?;
    let outcome = job.write(Target::File(&mut dump))?;
    dump.rewind().map_err(io_error("rewind the dump for"))?;

    let mut summary = job.summary(request, &outcome);
    let need = Need::Required;
    let mut entries = vec![CabEntry { name, size, source: dump, modified: None, need }];
    entries.extend(files.entries.into_iter().map(CabEntry::from));
    summary.note(files.notes);
    let max_size = request.extensions.max_size;
    let packed = package::write_cab(cab, &entries, max_size, observer)?;
    summary.cab_files = packed.names;
    summary.note(packed.notes);
    summary.size = file_size(cab.file()).map_err(io_error("read the size of"))?;
    // The table of many files beside a dump that does not compress.
    match max_size {
        Some(max) if summary.size > max => Err(Error::InvalidRequest(format!(
            "the CAB has {} bytes and --max-size allows {max}; allow more, or leave the secondary files out (-b)",
            summary.size
        ))),
        _ => Ok(summary),
    }
}
