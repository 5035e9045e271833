//! The walk of one dump: target → plan → layout → write → package.

use crate::error::{Error, Result};
use crate::layout::core::CoreLayout;
use crate::layout::{DumpLayout, Layout};
use crate::observer::Observer;
use crate::package::{self, Overwrite, PendingFile, SecondaryFiles, SecondaryScope, largest_cab};
use crate::plan::{self, DumpPlan};
use crate::request::{Destination, DumpRequest, OutputFormat};
use crate::summary::Summary;
use crate::target::ProcessTarget;
use crate::target::dump_file::{OpenOptions, open_process};
#[cfg(target_os = "linux")]
use crate::target::linux::LinuxProcess as LiveProcess;
#[cfg(windows)]
use crate::target::windows::WindowsProcess as LiveProcess;
#[cfg(target_os = "linux")]
use crate::target::wine;
use crate::write::Target;
use crate::write::{self, Outcome};
use dumpwright_format::FormatFlags;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Seek};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[cfg(any(target_os = "linux", windows))]
mod event;
mod job;
mod machine;

#[cfg(any(target_os = "linux", windows))]
pub use event::{WaitFor, dump_on_event, wait_for_event};
use job::Job;
#[cfg(target_os = "linux")]
pub use machine::dump_guest;
pub use machine::{dump_target, write_machine_dump};

/// Where a dump goes, checked and opened before the target is held, so that a
/// name that cannot be written costs the target nothing.
#[derive(Debug)]
pub struct Output {
    kind: OutputKind,
    started: Instant,
}

#[derive(Debug)]
enum OutputKind {
    File(PendingFile),
    Stdout,
    Handle(File),
    /// Where the CAB is packed, and where it is copied to.
    CabToHandle(PendingFile, File),
}

impl Output {
    /// Checks the request and opens its destination.
    ///
    /// # Errors
    /// Those of [`DumpRequest::validate`], [`Error::FileExists`], [`Error::Io`].
    pub fn open(request: &DumpRequest) -> Result<Output> {
        request.validate()?;
        Self::open_checked(request)
    }

    /// Checks the request for a machine and opens its destination.
    ///
    /// # Errors
    /// Those of [`DumpRequest::validate_for_machine`], [`Error::FileExists`],
    /// [`Error::Io`].
    pub fn open_for_machine(request: &DumpRequest) -> Result<Output> {
        request.validate_for_machine()?;
        Self::open_checked(request)
    }

    fn open_checked(request: &DumpRequest) -> Result<Output> {
        let started = Instant::now();
        let kind = match &request.destination {
            Destination::Stdout => OutputKind::Stdout,
            Destination::File(file) => {
                let overwrite = if request.format_flags.contains(FormatFlags::NO_OVERWRITE) {
                    Overwrite::Refuse
                } else {
                    Overwrite::Replace
                };
                OutputKind::File(PendingFile::create(file, overwrite)?)
            }
        };
        Ok(Output { kind, started })
    }

    /// Checks the request and takes a file that the caller has opened, whose
    /// contents the dump replaces. The request's destination only serves for
    /// messages and for the name of the dump inside a CAB, and NO_OVERWRITE says
    /// nothing of a file that is already open.
    ///
    /// Unlike a file that is named, this one holds part of a dump if writing
    /// fails. A CAB is packed in the folder for temporary files and copied.
    ///
    /// # Errors
    /// Those of [`DumpRequest::validate`]; [`Error::Io`] for the temporary file.
    pub fn to_handle(request: &DumpRequest, file: File) -> Result<Output> {
        request.validate()?;
        Self::to_handle_checked(request, file)
    }

    /// As [`to_handle`](Self::to_handle), of a machine.
    ///
    /// # Errors
    /// Those of [`DumpRequest::validate_for_machine`]; [`Error::Io`] for the
    /// temporary file.
    pub fn to_handle_for_machine(request: &DumpRequest, file: File) -> Result<Output> {
        request.validate_for_machine()?;
        Self::to_handle_checked(request, file)
    }

    fn to_handle_checked(request: &DumpRequest, file: File) -> Result<Output> {
        let started = Instant::now();
        let kind = if request.format_flags.contains(FormatFlags::WRITE_CAB) {
            // Never published: a name that only this process has.
            let name = format!("dumpwright-{}.cab", std::process::id());
            let cab = PendingFile::create(&std::env::temp_dir().join(name), Overwrite::Replace)?;
            OutputKind::CabToHandle(cab, file)
        } else {
            OutputKind::Handle(file)
        };
        Ok(Output { kind, started })
    }
}

/// Writes a dump of a live process: `WriteDumpFile2` for a process id.
///
/// # Errors
/// Any [`Error`]. Nothing is left under the destination's name then, and a file
/// that was there is as it was.
#[cfg(any(target_os = "linux", windows))]
pub fn dump_process(
    pid: crate::target::Pid,
    request: &DumpRequest,
    observer: &dyn Observer,
) -> Result<Summary> {
    let output = Output::open(request)?;
    write_dump(attach(pid, request)?, request, output, observer)
}

/// Attaches to a process as the request wants it seen.
#[cfg(target_os = "linux")]
fn attach(pid: crate::target::Pid, request: &DumpRequest) -> Result<Box<dyn ProcessTarget>> {
    if request.extensions.wine {
        return Ok(Box::new(wine::WineProcess::attach(pid, &request.wants())?));
    }
    let mut process = LiveProcess::attach(pid, &request.wants())?;
    if let Some(hint) = wine::hint(&process) {
        process.note(hint);
    }
    Ok(Box::new(process))
}

/// Attaches to a process.
#[cfg(windows)]
fn attach(pid: crate::target::Pid, request: &DumpRequest) -> Result<Box<dyn ProcessTarget>> {
    Ok(Box::new(LiveProcess::attach(pid, &request.wants())?))
}

/// Writes a dump of a process that crashed and asks for one from its signal
/// handler: what a server of the crash-handler crates calls, from a process of
/// its own, for a [`CrashContext`](crash_context::CrashContext) that a client
/// sent it.
///
/// `pid` is the client as the server counts (of a client in a container the
/// context has another number; `SO_PEERCRED` tells). Where Yama restricts
/// ptrace, the client must have named the server by `PR_SET_PTRACER`.
///
/// # Errors
/// As [`dump_process`], and when the process does not have the context's thread.
#[cfg(all(target_os = "linux", feature = "crash-context"))]
pub fn dump_crash(
    pid: crate::target::Pid,
    context: &crash_context::CrashContext,
    request: &DumpRequest,
    observer: &dyn Observer,
) -> Result<Summary> {
    let output = Output::open(request)?;
    let target = crate::target::linux::LinuxProcess::attach(pid, &request.wants())?;
    write_dump(Box::new(target.crashed_with(context)?), request, output, observer)
}

/// Writes a dump of the process that another dump holds: `WriteDumpFile2` for a
/// debugger whose target is a dump file. `path` may be the destination too: it
/// is the same file until the new one takes its place.
///
/// # Errors
/// As [`dump_process`], and those of [`open_process`].
pub fn dump_file(
    path: &Path,
    request: &DumpRequest,
    options: &OpenOptions,
    observer: &dyn Observer,
) -> Result<Summary> {
    let output = Output::open(request)?;
    let target = open_process(path, &request.wants(), options, observer)?;
    write_dump(target, request, output, observer)
}

/// Writes a dump of a target that was opened with the request's
/// [`wants`](DumpRequest::wants). The target is released as soon as its memory
/// has been read, and dropped.
///
/// # Errors
/// As [`dump_process`].
pub fn write_dump(
    mut target: Box<dyn ProcessTarget>,
    request: &DumpRequest,
    output: Output,
    observer: &dyn Observer,
) -> Result<Summary> {
    let plan = plan::plan(target.snapshot(), target.memory(), &within_a_cab(request))?;
    // A dump of a dump shows the process as it was then.
    let time = target.snapshot().original.as_ref().map_or_else(now, |o| o.time_date_stamp);
    let layout: Box<dyn DumpLayout> = match &plan.core {
        Some(core) => Box::new(CoreLayout::new(&plan, core, target.snapshot(), time)?),
        None => Box::new(Layout::new(&plan, time)?),
    };
    let mut job = ProcessJob { target: &mut *target, plan: &plan, layout: &*layout, observer };
    job::run(&mut job, request, output, observer)
}

/// A dump of a process, laid out.
struct ProcessJob<'a> {
    target: &'a mut dyn ProcessTarget,
    plan: &'a DumpPlan,
    layout: &'a dyn DumpLayout,
    observer: &'a dyn Observer,
}

impl Job for ProcessJob<'_> {
    type Outcome = Outcome;

    fn size(&self) -> u64 {
        self.layout.file_size()
    }

    fn write(&mut self, mut to: Target<'_>) -> Result<Outcome> {
        let target = &*self.target;
        let outcome = write::write_memory(
            self.layout,
            self.plan,
            target.snapshot(),
            target.memory(),
            &mut to,
            self.observer,
        )?;
        self.target.release();
        write::finish(self.layout, self.plan, &outcome, to.out())?;
        Ok(outcome)
    }

    fn summary(&self, request: &DumpRequest, outcome: &Outcome) -> Summary {
        let snapshot = self.target.snapshot();
        Summary::new(request, snapshot, self.plan, outcome, self.layout.file_size())
    }

    fn secondary_files(&self, request: &DumpRequest, disk_space: Option<u64>) -> SecondaryFiles {
        let scope = secondary_scope(request.format_flags);
        let (target, size) = (&*self.target, self.size());
        scope
            .map(|scope| package::collect_secondary_files(target, scope, size, disk_space))
            .unwrap_or_default()
    }

    fn held(&self) -> Option<Duration> {
        self.target.held()
    }
}

/// Makes a regular file empty; a pipe has nothing that could be taken away.
fn empty(file: &mut File) -> io::Result<()> {
    if file.metadata()?.is_file() {
        file.set_len(0)?;
        file.rewind()?;
    }
    Ok(())
}

/// Copies a packed CAB into a file that the caller has opened.
fn copy_to_handle(mut cab: PendingFile, mut file: File) -> Result<()> {
    let from = cab.file();
    from.rewind().map_err(Error::Write)?;
    empty(&mut file).map_err(Error::Write)?;
    io::copy(from, &mut file).map_err(Error::Write)?;
    Ok(())
}

/// The request, its size budget less what a CAB adds to a dump that does not
/// compress.
fn within_a_cab(request: &DumpRequest) -> Cow<'_, DumpRequest> {
    match request.extensions.max_size {
        Some(max) if request.format_flags.contains(FormatFlags::WRITE_CAB) => {
            let mut request = request.clone();
            let added = largest_cab([max]).saturating_sub(max);
            request.extensions.max_size = Some(max.saturating_sub(added));
            Cow::Owned(request)
        }
        _ => Cow::Borrowed(request),
    }
}

/// Which files go into a CAB beside the dump.
fn secondary_scope(flags: FormatFlags) -> Option<SecondaryScope> {
    if flags.adds_all_images() {
        Some(SecondaryScope::AllImages)
    } else {
        flags.contains(FormatFlags::CAB_SECONDARY_FILES).then_some(SecondaryScope::Modules)
    }
}

fn file_size(file: &File) -> io::Result<u64> {
    file.metadata().map(|m| m.len())
}

/// The name of the dump inside its CAB: that of the request, with the
/// extension of a dump.
fn dump_name(destination: &Path, format: OutputFormat) -> String {
    let is_cab = destination.extension().is_some_and(|e| e.eq_ignore_ascii_case("cab"));
    let extension = match format {
        OutputFormat::Minidump => "dmp",
        OutputFormat::ElfCore => "core",
    };
    let named = if is_cab { destination.with_extension(extension) } else { destination.to_owned() };
    named.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Seconds since 1970, as the header counts them.
fn now() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}
