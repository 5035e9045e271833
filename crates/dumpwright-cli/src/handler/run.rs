//! `handler run`: the walk of one crash.
//!
//! The kernel starts this as root, with the core on standard input, and holds
//! the process until that is closed. Whatever happens is told in the record;
//! what goes wrong also in the system's log, and by the exit code, since nobody
//! sees standard error.

use super::RunArgs;
use super::config::Config;
use super::crash::Crash;
use super::deadline::Deadline;
use super::folder::Folder;
use super::install::previous;
use super::record::{self, Entry, Outcome};
use super::room::room;
use super::rules::Rules;
use super::spool::Core;
use super::{forward, safe, slots};
use dumpwright::target::Pid;
use dumpwright::target::linux::{CoreHead, CrashedProcess};
use dumpwright::{DumpRequest, Error, Output, Summary, write_dump};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

/// `dumpwright handler run`.
pub fn run(args: &RunArgs) -> ExitCode {
    // Files are ours alone, and none appears where the process was.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let mut trouble = std::env::set_current_dir("/").err().map(|error| error.to_string());
    let crash = match Crash::parse(&args.crash) {
        Ok(crash) => crash,
        Err(message) => return give_up(&Crash::default(), &message),
    };
    // Without it nobody knows what may be written: perhaps only sanitized dumps.
    let config = match Config::of_root(&args.config) {
        Ok(config) => config,
        Err(message) => return give_up(&crash, &message),
    };
    let state = match safe::folder(&config.state) {
        Ok(state) => state,
        Err(message) => return give_up(&crash, &message),
    };
    let mut entry = Entry::new(&crash);
    let core = match take_standard_input() {
        Ok(pipe) => Core::new(pipe),
        Err(error) => return give_up(&crash, &format!("cannot take standard input: {error}")),
    };
    handle(&config, &state, &crash, core, &mut entry);
    entry.messages.extend(trouble.take());
    for message in &entry.messages {
        record::syslog(&described(&crash, message));
    }
    if let Err(error) = record::append(&state, &entry) {
        return give_up(&crash, &format!("cannot write the record: {error}"));
    }
    // All that went wrong is in the messages, a dump by the fallback included.
    if entry.messages.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn give_up(crash: &Crash, message: &str) -> ExitCode {
    record::syslog(&described(crash, message));
    eprintln!("dumpwright: {message}");
    ExitCode::FAILURE
}

fn described(crash: &Crash, message: &str) -> String {
    let program = crash.program().to_string_lossy();
    format!("crash of {program} ({}), signal {}: {message}", crash.pid, crash.signal)
}

/// Takes the pipe from standard input, so that dropping it closes it.
fn take_standard_input() -> io::Result<File> {
    let pipe = io::stdin().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(File::from(pipe))
}

/// Dumps and forwards, as the configuration says.
fn handle(config: &Config, state: &Path, crash: &Crash, mut core: Core, entry: &mut Entry) {
    match config.rules_for(crash) {
        None => entry.outcome = Outcome::Ignored,
        Some(rules) => {
            let dump = Dump { config, rules, state, crash };
            match dump.make(&mut core, entry) {
                Ok(outcome) => entry.outcome = outcome,
                Err(message) => entry.messages.push(message),
            }
        }
    }
    if config.forward
        && let Err(message) = forward_core(state, crash, &mut core)
    {
        entry.messages.push(message);
    }
}

fn forward_core(state: &Path, crash: &Crash, core: &mut Core) -> Result<(), String> {
    let previous = previous(state)?;
    // Never to ourselves, whatever the state folder says.
    if !previous.is_pipe() || previous.ours().is_some() {
        return Ok(());
    }
    forward::forward(&previous.core_pattern, crash, &mut core.whole()?)
}

/// One dump to be made.
struct Dump<'a> {
    config: &'a Config,
    rules: &'a Rules,
    state: &'a Path,
    crash: &'a Crash,
}

impl Dump<'_> {
    fn make(&self, core: &mut Core, entry: &mut Entry) -> Result<Outcome, String> {
        let slot = slots::take(self.state, self.config.parallel, self.config.wait);
        let slot = slot.map_err(|error| format!("'{}': {error}", self.state.display()))?;
        let Some(_slot) = slot else {
            entry.messages.push(format!(
                "{} dumps were being made for {} s and longer (parallel, wait); no dump of this crash",
                self.config.parallel,
                self.config.wait.as_secs()
            ));
            return Ok(Outcome::Skipped);
        };
        let folder = Folder::open(&self.rules.folder)?;
        let lock = || {
            slots::lock(self.state, "folder.lock")
                .map_err(|error| format!("'{}': {error}", self.state.display()))
        };
        let made_room = {
            let _lock = lock()?;
            folder.sweep();
            room(&folder, self.rules, self.config.parallel)?
        };
        let (room, removed) = made_room;
        entry.removed = removed;
        let (crash, rules) = (self.crash, self.rules);
        let name =
            folder.new_name(crash.program(), crash.pid, SystemTime::now(), rules.extension());
        let request = rules.request(&name, room);
        let summary = self.write(core, &request, &folder, room, entry)?;
        let left_out: u64 = summary.left_out.iter().map(|left| left.bytes).sum();
        // That max-size cuts is what it is there for.
        if left_out > 0 && rules.max_size.is_none_or(|size| room < size) {
            entry.messages.push(format!(
                "{left_out} bytes of memory did not fit into the {room} bytes that were left for it (budget, min-free)"
            ));
        }
        entry.size = Some(summary.size);
        entry.held_ms = Some(summary.held.as_millis() as u64);
        entry.file = Some(name.clone());
        let _lock = lock()?;
        match folder.keep_to(rules, &self.config.counted_apart(), &name) {
            Ok(removed) => entry.removed.extend(removed),
            Err(error) => entry.messages.push(format!("old dumps could not be removed: {error}")),
        }
        Ok(Outcome::Dumped)
    }

    /// Writes the dump of the process that the kernel holds; where `/proc` does
    /// not tell enough of it, of its core.
    fn write(
        &self,
        core: &mut Core,
        request: &DumpRequest,
        folder: &Folder,
        room: u64,
        entry: &mut Entry,
    ) -> Result<Summary, String> {
        let deadline = Deadline::new(self.config.time_limit, self.given_up(entry));
        let target = match self.open_live(core, request) {
            Ok(target) => target,
            Err(why) => {
                entry.messages.push(format!("its core was taken instead, since {why}"));
                entry.source = Some("core".into());
                let keep = self.config.forward;
                return core
                    .dump(request.clone(), folder, room, keep, &deadline)
                    .map_err(|error| self.said(error));
            }
        };
        entry.source = Some("live".into());
        let dumped = Output::open(request)
            .and_then(|output| write_dump(Box::new(target), request, output, &deadline));
        dumped.map_err(|error| self.said(error))
    }

    /// Tells of a dump that hangs where nothing can be done about it.
    fn given_up(&self, entry: &Entry) -> impl FnOnce() + Send + use<> {
        let (state, crash, mut entry) = (self.state.to_owned(), self.crash.clone(), entry.clone());
        move || {
            let message = "its dump hangs, a disk or the core's pipe perhaps; given up";
            record::syslog(&described(&crash, message));
            entry.messages.push(message.into());
            // The system's log has it in any case.
            let _ = record::append(&state, &entry);
        }
    }

    /// An error of the engine, in the words of the configuration.
    fn said(&self, error: Error) -> String {
        match error {
            Error::Cancelled => {
                let limit = self.config.time_limit.as_secs();
                format!("it took longer than {limit} s (time-limit) and was given up")
            }
            error => error.to_string(),
        }
    }

    fn open_live(&self, core: &mut Core, request: &DumpRequest) -> Result<CrashedProcess, String> {
        let pipe = core.pipe.as_mut().ok_or("the core is gone")?;
        let head = CoreHead::read(pipe, &mut core.taken).map_err(|error| error.to_string())?;
        let target = CrashedProcess::open(Pid(self.crash.pid), &head, &request.wants());
        let target = target.map_err(|error| error.to_string())?;
        // A handler that gets the core too needs the process held on.
        Ok(match core.pipe.take_if(|_| !self.config.forward) {
            Some(pipe) => target.held_by(pipe),
            None => target,
        })
    }
}
