//! The walk of one kernel dump.

use super::job::{self, Job};
use super::{Output, write_dump};
use crate::error::Result;
use crate::layout::kernel::KernelLayout;
use crate::observer::Observer;
use crate::package::SecondaryFiles;
use crate::plan::kernel::{self as plan, KernelPlan};
use crate::request::DumpRequest;
use crate::soft_error::SoftError;
use crate::summary::Summary;
use crate::target::dump_file::{OpenOptions, Opened, open_target};
use crate::target::machine::{MachineOptions, MachineTarget};
use crate::write::Target;
use crate::write::kernel::{self as write, KernelOutcome};
use dumpwright_format::FormatFlags;
use std::path::Path;
use std::time::Duration;

/// Writes a kernel dump of a machine: `WriteDumpFile2` for a kernel target. The
/// machine is released as soon as its memory has been read, and dropped.
///
/// `output` comes from [`Output::open_for_machine`].
///
/// # Errors
/// Any [`Error`](crate::Error). Nothing is left under the destination's name then, and a file
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
    let mut job = MachineJob { target: &mut *target, plan: &plan, layout: &layout, observer };
    job::run(&mut job, request, output, observer)
}

/// Writes a dump of what a file holds: of the machine in a memory image or kernel
/// dump, else of a process, as [`dump_file`](super::dump_file).
///
/// # Errors
/// Any [`Error`](crate::Error), as [`write_machine_dump`] and [`dump_file`](super::dump_file).
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
/// As [`write_machine_dump`], and [`Error::Guest`](crate::Error::Guest).
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

/// A dump of a machine, laid out.
struct MachineJob<'a> {
    target: &'a mut dyn MachineTarget,
    plan: &'a KernelPlan,
    layout: &'a KernelLayout,
    observer: &'a dyn Observer,
}

impl Job for MachineJob<'_> {
    type Outcome = KernelOutcome;

    fn size(&self) -> u64 {
        self.layout.file_size()
    }

    fn write(&mut self, mut to: Target<'_>) -> Result<KernelOutcome> {
        let memory = self.target.memory();
        let mut outcome =
            write::write_to(self.layout, &self.plan.edits, memory, &mut to, self.observer)?;
        self.target.release();
        outcome.soft_errors.extend(self.target.disturbance());
        write::finish(self.layout, self.plan, &outcome, to.out())?;
        Ok(outcome)
    }

    fn summary(&self, request: &DumpRequest, outcome: &KernelOutcome) -> Summary {
        Summary::of_machine(request, self.target.snapshot(), self.plan, outcome, self.layout)
    }

    fn secondary_files(&self, request: &DumpRequest, _: Option<u64>) -> SecondaryFiles {
        let secondary = FormatFlags::CAB_SECONDARY_FILES | FormatFlags::CAB_SECONDARY_ALL_IMAGES;
        let mut files = SecondaryFiles::default();
        if request.format_flags.intersects(secondary) {
            files.notes.push(SoftError::new(
                "secondary files",
                "a machine's images and symbols are not files here, so the CAB holds the dump alone",
            ));
        }
        files
    }

    fn held(&self) -> Option<Duration> {
        self.target.held()
    }
}
