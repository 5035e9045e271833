//! The walk of one kernel dump.

use super::{Output, OutputKind, copy_to_handle, dump_name, empty, file_size, write_dump};
use crate::error::{Error, Result};
use crate::layout::kernel::KernelLayout;
use crate::observer::Observer;
use crate::package::{self, CabEntry, Need, PendingFile, largest_cab};
use crate::plan::kernel::{self as plan, KernelPlan};
use crate::request::{Destination, DumpRequest};
use crate::soft_error::SoftError;
use crate::summary::Summary;
use crate::target::dump_file::{OpenOptions, Opened, open_target};
use crate::target::machine::{MachineOptions, MachineTarget};
use crate::write::kernel::{self as write, KernelOutcome, Target};
use dumpwright_format::FormatFlags;
use std::io::{self, Seek};
use std::path::Path;

/// Writes a kernel dump of a machine: `WriteDumpFile2` for a kernel target. The
/// machine is released as soon as its memory has been read, and dropped.
///
/// `output` comes from [`Output::open_for_machine`].
///
/// # Errors
/// Any [`Error`]. Nothing is left under the destination's name then, and a file
/// that was there is as it was.
pub fn write_machine_dump(
    mut target: Box<dyn MachineTarget>,
    request: &DumpRequest,
    output: Output,
    observer: &dyn Observer,
) -> Result<Summary> {
    request.validate_for_machine()?;
    let plan = plan::plan(target.snapshot(), target.memory(), request)?;
    let layout = KernelLayout::new(&plan, target.snapshot())?;
    let mut job = Job { target: &mut *target, plan: &plan, layout: &layout, observer };
    let mut summary = match output.kind {
        OutputKind::Stdout => {
            let outcome = job.write(Target::Stream(&mut io::stdout().lock()))?;
            job.summary(request, &outcome)
        }
        OutputKind::Handle(mut file) => {
            empty(&mut file).map_err(Error::Write)?;
            let outcome = job.write(Target::File(&mut file))?;
            job.summary(request, &outcome)
        }
        OutputKind::CabToHandle(mut cab, file) => {
            let summary = job.write_cab(request, &mut cab)?;
            copy_to_handle(cab, file)?;
            summary
        }
        OutputKind::File(mut file) if request.format_flags.contains(FormatFlags::WRITE_CAB) => {
            let summary = job.write_cab(request, &mut file)?;
            file.publish()?;
            summary
        }
        OutputKind::File(mut file) => {
            file.reserve(layout.file_size())?;
            let outcome = job.write(Target::File(file.file()))?;
            file.publish()?;
            job.summary(request, &outcome)
        }
    };
    summary.held = target.held().unwrap_or_default();
    summary.total = output.started.elapsed();
    Ok(summary)
}

/// Writes a dump of what a file holds: of the machine in a memory image or kernel
/// dump, else of a process, as [`dump_file`](super::dump_file).
///
/// # Errors
/// Any [`Error`], as [`write_machine_dump`] and [`dump_file`](super::dump_file).
pub fn dump_target(
    path: &Path,
    request: &DumpRequest,
    options: &OpenOptions,
    machine: &MachineOptions,
    observer: &dyn Observer,
) -> Result<Summary> {
    match open_target(path, &request.wants(), options, machine, observer)? {
        Opened::Machine(target) => {
            let output = Output::open_for_machine(request)?;
            write_machine_dump(target, request, output, observer)
        }
        Opened::Process(target, _) => write_dump(target, request, Output::open(request)?, observer),
    }
}

/// Writes a kernel dump of a live QEMU or KVM guest, whose QMP monitor is at
/// `socket`. It stands still while its memory is read.
///
/// # Errors
/// As [`write_machine_dump`], and [`Error::Guest`].
#[cfg(target_os = "linux")]
pub fn dump_guest(
    socket: &Path,
    request: &DumpRequest,
    machine: &MachineOptions,
    observer: &dyn Observer,
) -> Result<Summary> {
    let output = Output::open_for_machine(request)?;
    let target = crate::target::machine::qemu::QemuMachine::attach(socket, machine)?;
    write_machine_dump(Box::new(target), request, output, observer)
}

/// One dump, laid out.
struct Job<'a> {
    target: &'a mut dyn MachineTarget,
    plan: &'a KernelPlan,
    layout: &'a KernelLayout,
    observer: &'a dyn Observer,
}

impl Job<'_> {
    /// Writes the dump, and lets the machine go as soon as it is not needed.
    fn write(&mut self, mut to: Target<'_>) -> Result<KernelOutcome> {
        let memory = self.target.memory();
        let outcome =
            write::write_to(self.layout, &self.plan.edits, memory, &mut to, self.observer)?;
        self.target.release();
        write::finish(self.layout, self.plan, &outcome, to.out())?;
        Ok(outcome)
    }

    /// Writes the dump into a temporary file without a name, and packs that.
    fn write_cab(&mut self, request: &DumpRequest, cab: &mut PendingFile) -> Result<Summary> {
        let Destination::File(destination) = &request.destination else {
            return Err(Error::EmptyFileName);
        };
        let name = dump_name(destination, request.extensions.format);
        let size = self.layout.file_size();
        package::cab_check(&[(name.clone(), size)])?;
        cab.check_space(size + largest_cab([size]))?;
        let io_error =
            |action| move |source| Error::Io { action, file: destination.clone(), source };
        let mut dump = cab.scratch()?;
        let outcome = self.write(Target::File(&mut dump))?;
        dump.rewind().map_err(io_error("rewind the dump for"))?;

        let mut summary = self.summary(request, &outcome);
        let need = Need::Required;
        let entries = vec![CabEntry { name, size, source: dump, modified: None, need }];
        let secondary = FormatFlags::CAB_SECONDARY_FILES | FormatFlags::CAB_SECONDARY_ALL_IMAGES;
        if request.format_flags.intersects(secondary) {
            summary.note(vec![SoftError::new(
                "secondary files",
                "a machine's images and symbols are not files here, so the CAB holds the dump alone",
            )]);
        }
        let packed = package::write_cab(cab, &entries, None, self.observer)?;
        summary.cab_files = packed.names;
        summary.note(packed.notes);
        summary.size = file_size(cab.file()).map_err(io_error("read the size of"))?;
        Ok(summary)
    }

    fn summary(&self, request: &DumpRequest, outcome: &KernelOutcome) -> Summary {
        Summary::of_machine(request, self.target.snapshot(), self.plan, outcome, self.layout)
    }
}
