//! `dump`: which processes, which request, and what came of it.

use crate::args::{DumpArgs, Event, Format};
use crate::machine::Found;
use crate::output::{Failure, Outcome, json, print, print_aside};
use crate::progress::Progress;
#[cfg(windows)]
use crate::windows;
use crate::{cancel, machine, privacy, report};
use dumpwright::dot_dump::{mini_flags, unique_name};
use dumpwright::error::LIST_PROCESSES;
use dumpwright::target::dump_file::open_process;
#[cfg(target_os = "linux")]
use dumpwright::target::linux::processes::{ProcessEntry, processes_named};
#[cfg(windows)]
use dumpwright::target::windows::processes::{ProcessEntry, processes_named};
use dumpwright::target::{EventFilter, ExceptionSource, Pid, ProcessTarget, Tid};
use dumpwright::{
    Destination, DumpRequest, Extensions, FormatFlags, OpenOptions, Output, OutputFormat,
    Qualifier, Summary, WaitFor, dump_file, dump_process, wait_for_event, write_dump,
};
use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

/// `dumpwright dump`.
pub fn run(args: &DumpArgs) -> Outcome {
    #[cfg(windows)]
    let _crash = windows::Crash::of(args);
    let mut request = request(args)?;
    let found = machine::find(args, &request)?;
    if matches!(found, Found::Machine(_)) {
        request = machine::request(request, args)?;
    } else if args.machine.kernel_type().is_some() {
        return Err(machine::missing(args));
    } else {
        request.validate().map_err(|error| Failure::Usage(error.to_string()))?;
    }
    let sources = match found {
        Found::Machine(machine) => vec![Source::Machine(machine)],
        Found::Process(target) => vec![Source::Opened(target)],
        Found::Other => sources(args)?,
    };
    privacy::check_audit(args)?;
    if request.destination == Destination::Stdout {
        cancel::watch_signals_while_streaming();
    } else {
        cancel::watch_signals();
    }
    #[cfg(windows)]
    let _keeper = matches!(sources[..], [Source::Process(_), ..]).then(windows::start_keeper);
    let mut failures = Vec::new();
    let mut written = Vec::new();
    let count = sources.len();
    for source in sources {
        match dump_one(source, args, &request) {
            // One document for all, since that is what a reader of JSON expects.
            Ok(summary) if args.all && args.json => written.push(summary),
            Ok(summary) => report(&summary, args, &request)?,
            Err(failure) if count == 1 || cancel::is_cancelled() => {
                report_all(&written, args)?;
                return Err(failure);
            }
            Err(failure) => failures.push(failure.to_string()),
        }
    }
    report_all(&written, args)?;
    if failures.is_empty() {
        Ok(ExitCode::SUCCESS)
    } else {
        Err(format!(
            "{} of {} processes were not dumped: {}",
            failures.len(),
            count,
            failures.join("; ")
        )
        .into())
    }
}

/// What is dumped.
enum Source<'a> {
    /// A live process.
    Process(Pid),
    /// The process that a dump holds.
    File(&'a Path),
    /// The same, opened.
    Opened(Box<dyn ProcessTarget>),
    /// A machine.
    Machine(machine::Machine),
}

fn sources(args: &DumpArgs) -> Outcome<Vec<Source<'_>>> {
    match &args.open {
        Some(file) => Ok(vec![Source::File(file)]),
        None => Ok(find_processes(args)?.into_iter().map(Source::Process).collect()),
    }
}

fn dump_one(source: Source<'_>, args: &DumpArgs, request: &DumpRequest) -> Outcome<Summary> {
    let mut request = request.clone();
    let progress = Progress::new();
    let result = match source {
        Source::Process(pid) => {
            if let Some(event) = args.on {
                dump_on(event, pid, args, &mut request, &progress)
            } else {
                make_unique(&mut request, args, pid);
                dump_process(pid, &request, &progress)
            }
        }
        Source::File(file) => dump_of_file(file, args, &mut request, &progress),
        Source::Opened(target) => {
            make_unique(&mut request, args, target.snapshot().process.pid);
            Output::open(&request)
                .and_then(|output| write_dump(target, &request, output, &progress))
        }
        Source::Machine(machine) => {
            make_unique(&mut request, args, Pid(0));
            machine::dump(machine, args, &request, &progress)
        }
    };
    progress.clear();
    let summary = result?;
    privacy::write_audit(args, &summary)?;
    Ok(summary)
}

/// With `-a --json`, says what came of all dumps.
fn report_all(written: &[Summary], args: &DumpArgs) -> Outcome<()> {
    if args.all && args.json { print(&json(&written)?) } else { Ok(()) }
}

/// Says what came of a dump.
fn report(summary: &Summary, args: &DumpArgs, request: &DumpRequest) -> Outcome<()> {
    let text = if args.json { json(summary)? } else { report::text(summary) };
    // Standard output may be the dump itself.
    if request.destination == Destination::Stdout {
        print_aside(&text);
        Ok(())
    } else {
        let file = summary.file.clone().unwrap_or_default();
        print(&text).map_err(|e| {
            format!("'{}' was written, and its summary not: {e}", file.display()).into()
        })
    }
}

/// Dumps the process that a dump holds. Its id, which a unique name ends with,
/// is only known once the dump is open.
fn dump_of_file(
    file: &Path,
    args: &DumpArgs,
    request: &mut DumpRequest,
    progress: &Progress,
) -> dumpwright::Result<Summary> {
    let options = OpenOptions { sysroot: args.sysroot.clone() };
    if !args.unique {
        return dump_file(file, request, &options, progress);
    }
    let target = open_process(file, &request.wants(), &options, progress)?;
    make_unique(request, args, target.snapshot().process.pid);
    write_dump(target, request, Output::open(request)?, progress)
}

/// Dumps a process when something happens in it.
fn dump_on(
    event: Event,
    pid: Pid,
    args: &DumpArgs,
    request: &mut DumpRequest,
    progress: &Progress,
) -> dumpwright::Result<Summary> {
    // Found out now, that it cannot be written; nothing is kept for the hours to come.
    drop(Output::open(request)?);
    let events = match event {
        Event::Crash => EventFilter::CRASH,
        Event::Exception => EventFilter::EXCEPTION,
        Event::Exit => EventFilter::END,
    };
    let wait = WaitFor { events, timeout: args.wait_seconds.map(Duration::from_secs) };
    if io::stderr().is_terminal() {
        eprintln!("waiting in process {pid}; Ctrl-C gives it up, and the process runs on");
    }
    let (_, running) = wait_for_event(pid, wait, progress)?;
    // A unique name has the time of what happened.
    make_unique(request, args, pid);
    let output = Output::open(request)?;
    write_dump(running.hold(&request.wants())?, request, output, progress)
}

/// With `-u`, makes the file's name one of its own.
fn make_unique(request: &mut DumpRequest, args: &DumpArgs, pid: Pid) {
    if args.unique
        && let Destination::File(file) = &request.destination
    {
        request.destination = Destination::File(unique_name(file, pid, SystemTime::now()));
    }
}

fn find_processes(args: &DumpArgs) -> Outcome<Vec<Pid>> {
    if let Some(pid) = args.pid {
        return Ok(vec![Pid(pid)]);
    }
    let name = args.name.as_deref().unwrap_or_default();
    let mut found =
        processes_named(name).map_err(|error| format!("cannot list processes: {error}"))?;
    found.retain(|p| p.pid.0 != std::process::id());
    match found.as_slice() {
        [] => Err(format!("no process is named '{name}'; see `{LIST_PROCESSES}`").into()),
        [_] => Ok(vec![found[0].pid]),
        _ if args.all => Ok(found.iter().map(|p| p.pid).collect()),
        several => Err(several_found(name, several).into()),
    }
}

fn several_found(name: &str, found: &[ProcessEntry]) -> String {
    let pids: Vec<_> = found.iter().map(|p| p.pid.to_string()).collect();
    format!(
        "{} processes are named '{name}' ({}); choose one with -p, or dump all with -a -u",
        found.len(),
        pids.join(", ")
    )
}

/// The request that the arguments make.
fn request(args: &DumpArgs) -> Outcome<DumpRequest> {
    let mut flags = args.flags.flags;
    for letters in &args.mini {
        flags |= mini_flags(letters).map_err(Failure::Usage)?;
    }
    if !args.full.is_empty() && !args.mini.is_empty() {
        return Err(usage("-f and -m choose different types; give one"));
    }
    let implied = if args.full.is_empty() { Qualifier::Small } else { Qualifier::Default };
    let qualifier = args.qualifier.unwrap_or(implied);
    if !args.full.is_empty() && qualifier != implied {
        return Err(usage("-f and --qualifier choose different types; give one"));
    }
    if args.sanitize {
        flags |= privacy::SANITIZE;
    }
    if args.full.iter().any(|letters| letters.contains('y')) {
        flags |= FormatFlags::USER_SMALL_ADD_AVX_XSTATE_CONTEXT;
    }
    if !args.cab.is_empty() {
        flags |= FormatFlags::WRITE_CAB;
    }
    if args.cab.iter().any(|letters| letters.contains('a')) {
        flags |= FormatFlags::CAB_SECONDARY_FILES;
    }
    let cab = flags.contains(FormatFlags::WRITE_CAB);
    args.flags.check_shared_bit(cab).map_err(Failure::Usage)?;
    if args.overwrite && flags.contains(FormatFlags::NO_OVERWRITE) {
        return Err(usage("-o and NO_OVERWRITE contradict each other; give one"));
    }
    flags.set(FormatFlags::NO_OVERWRITE, !args.overwrite);
    let destination = if args.file.as_os_str() == "-" {
        Destination::Stdout
    } else {
        Destination::File(args.file.clone())
    };
    if args.unique && destination == Destination::Stdout {
        return Err(usage("-u makes file names and standard output has none; leave one out"));
    }
    if destination == Destination::Stdout && io::stdout().is_terminal() {
        return Err(usage("a dump is nothing for a terminal; pipe it, or name a file"));
    }
    let mut request = DumpRequest::to(destination, qualifier).flags(flags).extensions(Extensions {
        token: args.token,
        vm_counters: args.vm_counters,
        system_memory: args.system_memory,
        memory: args.memory.clone(),
        max_size: args.max_size,
        include_dontdump: args.include_dontdump,
        #[cfg(target_os = "linux")]
        wine: args.wine,
        exception: exception_source(args)?,
        format: match args.format {
            Format::Minidump => OutputFormat::Minidump,
            Format::Core => OutputFormat::ElfCore,
        },
        redact: privacy::patterns(args)?,
        ..Extensions::default()
    });
    request.comment.clone_from(&args.comment);
    Ok(request)
}

fn usage(message: &str) -> Failure {
    Failure::Usage(message.to_owned())
}

fn exception_source(args: &DumpArgs) -> Outcome<ExceptionSource> {
    let thread = args
        .exception_thread
        .map(|tid| {
            u32::try_from(tid)
                .map(Tid)
                .map_err(|_| Failure::Usage(format!("-xt {tid}: no thread id is that large")))
        })
        .transpose()?;
    Ok(ExceptionSource {
        thread,
        context: args.exception_context,
        record: args.exception_record,
        pointers: args.exception_pointers,
        jit_debug_info: args.jit_debug_info,
    })
}
