//! What only Windows asks of a dumper: to tell that a crash is dumped, and to have
//! someone resume the target if it is killed itself.

use crate::args::DumpArgs;
use crate::output::Outcome;
use dumpwright::target::windows::{keeper, set_event};
use std::process::ExitCode;

/// Sets the event that Windows waits for before it ends a program that crashed,
/// when this is dropped: whatever became of the dump.
#[derive(Debug)]
pub struct Crash {
    event: u64,
}

impl Crash {
    /// The crash that the arguments are about, if they are about one.
    pub fn of(args: &DumpArgs) -> Option<Crash> {
        args.event.map(|event| Crash { event })
    }
}

impl Drop for Crash {
    fn drop(&mut self) {
        if let Err(error) = set_event(self.event) {
            // Windows waits for the end of this program, too.
            eprintln!("dumpwright: -e {}: the event cannot be set: {error}", self.event);
        }
    }
}

/// Starts another dumpwright that resumes what this one holds, should this one be
/// killed.
pub fn start_keeper() -> Option<keeper::Kept> {
    let started = std::env::current_exe().and_then(|program| keeper::start(&program, "keep"));
    started
        .inspect_err(|error| {
            eprintln!(
                "dumpwright: nothing will resume the process if dumpwright is killed: {error}"
            );
        })
        .ok()
}

/// `dumpwright keep`: that other one.
pub fn keep(process: u64, section: u64) -> Outcome {
    keeper::keep(process, section).map_err(|error| format!("keep: {error}"))?;
    Ok(ExitCode::SUCCESS)
}
