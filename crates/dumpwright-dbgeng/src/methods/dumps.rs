//! Dump files: opening them as targets, and writing them.

use super::OK;
use super::progress::watched;
use crate::abi::{Answer, Out, Text, TextBuf, Wide};
use crate::object::Client;
use crate::platform;
use crate::session::{InformationFile, mask};
use crate::target::{
    DumpFile, MachineLoan, Origin, ProcessLoan, Subject, Target, wants_of_a_held_process,
};
use dumpwright::hresult::of_io;
use dumpwright::target::dump_file::{Content, Opened, open_process, open_target};
use dumpwright::target::machine::{GuestKind, MachineOptions, MachineTarget};
use dumpwright::target::{OriginalDump, Pid, ProcessTarget};
use dumpwright::{
    DumpRequest, FormatFlags, HResult, MinidumpType, OpenOptions, Output, Summary, write_dump,
    write_machine_dump,
};
use std::fs::File;
use std::path::PathBuf;

/// `DEBUG_DUMP_FILE_BASE`: the type of a dump that is open.
const DUMP_FILE_BASE: u32 = u32::MAX;
/// `DEBUG_DUMP_FILE_PAGE_FILE_DUMP`: the only type of further files.
const PAGE_FILE_DUMP: u32 = 0;
/// `DEBUG_DUMP_FILE_LOAD_FAILED_INDEX`.
const LOAD_FAILED_INDEX: u32 = u32::MAX;

/// `OpenDumpFile`.
pub fn open(client: &Client, file: impl Text) -> Answer {
    open_file(client, file, 0)
}

/// `OpenDumpFileWide`: with a handle the name only serves for messages.
pub fn open_handle(client: &Client, file: Wide, handle: u64) -> Answer {
    open_file(client, file, handle)
}

/// `OpenDumpFileWide2`. A dump has one architecture; another cannot be chosen.
pub fn open_handle2(client: &Client, file: Wide, handle: u64, architecture: u32) -> Answer {
    if architecture != 0 {
        return Err(HResult::E_NOTIMPL);
    }
    open_file(client, file, handle)
}

fn open_file(client: &Client, file: impl Text, handle: u64) -> Answer {
    let name = file.os()?.unwrap_or_default();
    let (path, kept) = if handle == 0 {
        if name.is_empty() {
            return Err(HResult::E_INVALIDARG);
        }
        (PathBuf::from(&name), None)
    } else {
        let file = platform::borrow_file(handle)?;
        (platform::path_of(&file).map_err(|e| of_io(&e))?, Some(file))
    };
    let state = &client.state;
    let name = name.to_string_lossy().into_owned();
    state.say(mask::NORMAL, &format!("Loading dump file '{name}'"));
    let opened = watched(client, |progress| {
        let (wants, options) = (wants_of_a_held_process(), OpenOptions::default());
        open_target(&path, &wants, &options, &MachineOptions::default(), progress)
    });
    let opened = opened.map_err(|error| state.fail(&error))?;
    let file = DumpFile { path, name, handle, kept, format: None };
    let (target, what, comment) = match opened {
        Opened::Process(process, content) => process_target(file, process, &content),
        Opened::Machine(machine) => machine_target(file, machine),
    };
    state.session.state().add(target);
    state.say(mask::NORMAL, &what);
    if let Some(comment) = comment {
        state.say(mask::NORMAL, &format!("Comment: '{comment}'"));
    }
    OK
}

/// The target that a process in a dump is, what is said of it, and its comment.
fn process_target(
    mut file: DumpFile,
    process: Box<dyn ProcessTarget>,
    content: &Content,
) -> (Target, String, Option<String>) {
    let snapshot = process.snapshot();
    let what = format!(
        "process {} ('{}'), {} threads, {} modules",
        snapshot.process.pid,
        snapshot.process.name,
        snapshot.threads.len(),
        snapshot.modules.len()
    );
    let original = snapshot.original.as_deref();
    let comment = original.and_then(OriginalDump::comment);
    if *content == Content::Minidump {
        file.format = original.map(|o| format_flags(o.minidump_type).bits());
    }
    (Target::of_process(Origin::Dump(file), process), what, comment)
}

/// The target that a machine in a file is, what is said of it, and its comment.
fn machine_target(
    file: DumpFile,
    machine: Box<dyn MachineTarget>,
) -> (Target, String, Option<String>) {
    let snapshot = machine.snapshot();
    let dump = match snapshot.source_type {
        Some(kind) => format!("{} kernel dump", kind.name().unwrap_or("unknown")),
        None => "memory image".to_owned(),
    };
    let guest = match snapshot.guest {
        GuestKind::Windows => format!("Windows build {}", snapshot.build),
        GuestKind::Other => "a guest that is no Windows".to_owned(),
    };
    let processors = snapshot.processors.len();
    let mut what = vec![format!("{dump} of {guest}, {processors} processors")];
    if let Some(check) = snapshot.bug_check {
        let parameters: Vec<_> = check.parameters.iter().map(|p| format!("{p:x}")).collect();
        what.push(format!("BugCheck {:X}, {{{}}}", check.code, parameters.join(", ")));
    }
    let comment = snapshot.comment.clone();
    (Target::of_machine(Origin::Dump(file), machine), what.join("\n"), comment)
}

/// The `DEBUG_FORMAT_*` flags of a dump, without what no flag stands for.
fn format_flags(mut kind: MinidumpType) -> FormatFlags {
    loop {
        match FormatFlags::try_from(kind) {
            Ok(flags) => return flags,
            Err(unknown) if unknown.0.is_empty() => return FormatFlags::empty(),
            Err(unknown) => kind.remove(unknown.0),
        }
    }
}

/// `AddDumpInformationFile`: a further file of the dump that will be opened
/// next.
pub fn add_information(client: &Client, file: impl Text, kind: u32) -> Answer {
    add_file(client, file, 0, kind)
}

/// `AddDumpInformationFileWide`: with a handle the name only serves for
/// messages.
pub fn add_information_handle(client: &Client, file: Wide, handle: u64, kind: u32) -> Answer {
    add_file(client, file, handle, kind)
}

/// Lists a file with the dump. Nothing is read from it, since no layout of page
/// files is public; memory that was paged out stays missing, which is said.
fn add_file(client: &Client, file: impl Text, handle: u64, kind: u32) -> Answer {
    let name = file.os()?.unwrap_or_default();
    if kind != PAGE_FILE_DUMP {
        return Err(HResult::E_INVALIDARG);
    }
    if handle != 0 {
        drop(platform::borrow_file(handle)?);
    } else if name.is_empty() {
        return Err(HResult::E_INVALIDARG);
    } else {
        File::open(&name).map_err(|error| of_io(&error))?;
    }
    let name = name.to_string_lossy().into_owned();
    let message =
        format!("page file '{name}' is listed and not read: what was paged out is missing");
    {
        let mut state = client.state.session.state();
        if !state.targets.is_empty() {
            return Err(HResult::E_UNEXPECTED);
        }
        state.information_files.push(InformationFile { name, handle, kind });
    }
    client.state.say(mask::WARNING, &message);
    OK
}

/// `GetNumberDumpFiles`: of the current target.
pub fn number(client: &Client, number: Out<u32>) -> Answer {
    let state = client.state.session.state();
    let count = match state.current() {
        Ok(Target { origin: Origin::Dump(_), .. }) => 1 + state.information_files.len(),
        _ => 0,
    };
    number.put(count as u32)?;
    OK
}

/// `GetDumpFile`.
pub fn file(
    client: &Client,
    index: u32,
    buffer: impl TextBuf,
    size: u32,
    needed: Out<u32>,
    handle: Out<u64>,
    kind: Out<u32>,
) -> Answer {
    let state = client.state.session.state();
    let Origin::Dump(dump) = &state.current()?.origin else { return Err(HResult::E_UNEXPECTED) };
    let (name, number, file_kind) = match index {
        // No further file is ever needed and missing.
        LOAD_FAILED_INDEX => return Err(HResult::E_NOINTERFACE),
        0 => (dump.name.clone(), dump.handle, DUMP_FILE_BASE),
        _ => {
            let further = state.information_files.get(index as usize - 1);
            let file = further.ok_or(HResult::E_INVALIDARG)?;
            (file.name.clone(), file.handle, file.kind)
        }
    };
    drop(state);
    handle.put_if_wanted(number);
    kind.put_if_wanted(file_kind);
    buffer.fill(size, needed, &name)
}

/// `WriteDumpFile`.
pub fn write(client: &Client, file: impl Text, qualifier: u32) -> Answer {
    write_file(client, &request(file, qualifier, 0, None)?)
}

/// `WriteDumpFile2`.
pub fn write2<T: Text>(client: &Client, file: T, qualifier: u32, flags: u32, comment: T) -> Answer {
    write_file(client, &request(file, qualifier, flags, comment.text()?.as_deref())?)
}

/// `WriteDumpFileWide`: with a handle the name only serves for messages, and
/// inside a CAB.
pub fn write_wide(
    client: &Client,
    file: Wide,
    handle: u64,
    qualifier: u32,
    flags: u32,
    comment: Wide,
) -> Answer {
    let comment = comment.text()?;
    if handle == 0 {
        return write_file(client, &request(file, qualifier, flags, comment.as_deref())?);
    }
    let out = platform::borrow_file(handle)?;
    let name = file.os()?.map(PathBuf::from).filter(|name| name.extension().is_some());
    let name = name.unwrap_or_else(|| "handle.dmp".into());
    let request = request_of(name, qualifier, flags, comment.as_deref())?;
    write_to(client, None, &request, Some(out))
}

fn request(
    file: impl Text,
    qualifier: u32,
    flags: u32,
    comment: Option<&str>,
) -> Answer<DumpRequest> {
    let file = file.os()?.filter(|name| !name.is_empty()).ok_or(HResult::E_INVALIDARG)?;
    request_of(file.into(), qualifier, flags, comment)
}

fn request_of(
    file: PathBuf,
    qualifier: u32,
    flags: u32,
    comment: Option<&str>,
) -> Answer<DumpRequest> {
    DumpRequest::from_raw(file, qualifier, flags, comment).map_err(|error| error.hresult())
}

/// Writes a dump of the current target to the file that the request names.
pub fn write_file(client: &Client, request: &DumpRequest) -> Answer {
    write_to(client, None, request, None)
}

/// Writes a dump of a target to the file that the request names.
pub fn write_file_of(client: &Client, target: u32, request: &DumpRequest) -> Answer {
    write_to(client, Some(target), request, None)
}

/// How a target is read for a dump.
enum Source {
    Held(u32),
    Process(Pid),
    File(PathBuf),
    Machine(u32),
}

/// Of the target with this id, or of the current one.
fn source(client: &Client, target: Option<u32>) -> Answer<Source> {
    let state = client.state.session.state();
    let target = match target {
        Some(id) => state.targets.iter().find(|t| t.id == id).ok_or(HResult::E_UNEXPECTED)?,
        None => state.current()?,
    };
    Ok(match (&target.subject, &target.origin) {
        (Subject::Machine { .. }, _) => Source::Machine(target.id),
        (_, Origin::Live { suspended: false, .. }) => Source::Process(target.pid()),
        (_, Origin::Dump(dump)) => Source::File(dump.path.clone()),
        (_, Origin::Live { .. } | Origin::Guest) => Source::Held(target.id),
    })
}

/// Writes a dump to a file that the program has opened, or to the one that the
/// request names.
fn write_to(
    client: &Client,
    target: Option<u32>,
    request: &DumpRequest,
    handle: Option<File>,
) -> Answer {
    // First, so that a call without a target leaves no temporary file for a moment.
    let source = source(client, target)?;
    let is_machine = matches!(source, Source::Machine(_));
    let output = match (handle, is_machine) {
        (None, false) => Output::open(request),
        (None, true) => Output::open_for_machine(request),
        (Some(file), false) => Output::to_handle(request, file),
        (Some(file), true) => Output::to_handle_for_machine(request, file),
    };
    let state = &client.state;
    let output = output.map_err(|error| state.fail(&error))?;
    let wants = request.wants();
    let written = match source {
        Source::Machine(id) => {
            let machine = Box::new(MachineLoan::take(id, &state.session)?);
            watched(client, |progress| write_machine_dump(machine, request, output, progress))
        }
        Source::Held(id) => ProcessLoan::take(id, &wants, &state.session)?.and_then(|loan| {
            watched(client, |progress| write_dump(Box::new(loan), request, output, progress))
        }),
        Source::Process(pid) => watched(client, |progress| {
            let process = platform::hold(pid, &wants)?;
            write_dump(process, request, output, progress)
        }),
        Source::File(path) => watched(client, |progress| {
            let process = open_process(&path, &wants, &OpenOptions::default(), progress)?;
            write_dump(process, request, output, progress)
        }),
    };
    report(client, written)
}

/// Says what was written, and what could not be.
fn report(client: &Client, written: dumpwright::Result<Summary>) -> Answer {
    let state = &client.state;
    let summary = written.map_err(|error| state.fail(&error))?;
    let file = summary.file.clone().unwrap_or_default();
    let (kind, size) = (summary.kind, summary.size);
    state.say(mask::NORMAL, &format!("Dump '{}' written: {kind}, {size} bytes", file.display()));
    for error in &summary.soft_error_list {
        state.say(mask::WARNING, &format!("{}: {}", error.subject, error.message));
    }
    for hole in &summary.holes {
        state.say(mask::WARNING, &format!("{}-{}: {}", hole.start, hole.end, hole.reason));
    }
    OK
}
