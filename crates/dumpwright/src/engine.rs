//! The walk of one dump: target → plan → layout → write → package.

use crate::error::{Error, Result};
use crate::layout::core::CoreLayout;
use crate::layout::{DumpLayout, Layout};
use crate::observer::Observer;
use crate::package::{self, CabEntry, Need, Overwrite, PendingFile, SecondaryScope, largest_cab};
use crate::plan::{self, DumpPlan};
use crate::request::{Destination, DumpRequest, OutputFormat};
use crate::summary::Summary;
use crate::target::ProcessTarget;
use crate::target::dump_file::{OpenOptions, open_process};
#[cfg(target_os = "linux")]
use crate::target::linux::LinuxProcess as LiveProcess;
#[cfg(windows)]
use crate::target::windows::WindowsProcess as LiveProcess;
use crate::write::{self, Outcome};
use dumpwright_format::FormatFlags;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

mod machine;

pub use machine::write_machine_dump;

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
    /// messages, and NO_OVERWRITE says nothing of a file that is already open.
    ///
    /// Unlike a file that is named, this one holds part of a dump if writing
    /// fails.
    ///
    /// # Errors
    /// Those of [`DumpRequest::validate`]; [`Error::InvalidRequest`] with
    /// WRITE_CAB, since a CAB is packed beside the file that it will be.
    pub fn to_handle(request: &DumpRequest, file: File) -> Result<Output> {
        let started = Instant::now();
        request.validate()?;
        if request.format_flags.contains(FormatFlags::WRITE_CAB) {
            return Err(Error::InvalidRequest(
                "a CAB cannot be written to a file handle; name the file, or leave WRITE_CAB out"
                    .into(),
            ));
        }
        Ok(Output { kind: OutputKind::Handle(file), started })
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
    let target = LiveProcess::attach(pid, &request.wants())?;
    write_dump(Box::new(target), request, output, observer)
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
        Some(core) => Box::new(CoreLayout::new(&plan, core)),
        None => Box::new(Layout::new(&plan, time)?),
    };
    let mut job = Job { target: &mut *target, plan: &plan, layout: &*layout, observer };
    let mut summary = match output.kind {
        OutputKind::Stdout => {
            let outcome = job.write(&mut io::stdout().lock())?;
            job.summary(request, &outcome)
        }
        OutputKind::Handle(mut file) => {
            empty(&mut file).map_err(Error::Write)?;
            let outcome = job.write(&mut file)?;
            job.summary(request, &outcome)
        }
        OutputKind::File(mut file) if request.format_flags.contains(FormatFlags::WRITE_CAB) => {
            let summary = job.write_cab(request, &mut file)?;
            file.publish()?;
            summary
        }
        OutputKind::File(mut file) => {
            file.reserve(layout.file_size())?;
            let outcome = job.write(file.file())?;
            file.publish()?;
            job.summary(request, &outcome)
        }
    };
    summary.held = target.held().unwrap_or_default();
    summary.total = output.started.elapsed();
    Ok(summary)
}

/// One dump, laid out.
struct Job<'a> {
    target: &'a mut dyn ProcessTarget,
    plan: &'a DumpPlan,
    layout: &'a dyn DumpLayout,
    observer: &'a dyn Observer,
}

impl Job<'_> {
    /// Writes the dump, and lets the target go as soon as it is not needed.
    fn write(&mut self, out: &mut dyn Write) -> Result<Outcome> {
        let target = &*self.target;
        let outcome = write::write_memory(
            self.layout,
            self.plan,
            target.snapshot(),
            target.memory(),
            out,
            self.observer,
        )?;
        self.target.release();
        write::finish(self.layout, self.plan, &outcome, out)?;
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
        // The dump, and at worst a CAB that could not compress it.
        cab.check_space(size + largest_cab([size]))?;
        let io_error =
            |action| move |source| Error::Io { action, file: destination.clone(), source };
        let mut dump = cab.scratch()?;
        let outcome = self.write(&mut dump)?;
        dump.rewind().map_err(io_error("rewind the dump for"))?;

        let mut summary = self.summary(request, &outcome);
        let need = Need::Required;
        let mut entries = vec![CabEntry { name, size, source: dump, modified: None, need }];
        if let Some(scope) = secondary_scope(request.format_flags) {
            let files =
                package::collect_secondary_files(&*self.target, scope, size, cab.free_space());
            entries.extend(files.entries.into_iter().map(CabEntry::from));
            summary.note(files.notes);
        }
        let max_size = request.extensions.max_size;
        let packed = package::write_cab(cab, &entries, max_size, self.observer)?;
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

    fn summary(&self, request: &DumpRequest, outcome: &Outcome) -> Summary {
        let snapshot = self.target.snapshot();
        Summary::new(request, snapshot, self.plan, outcome, self.layout.file_size())
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
