//! Dumps of what happens in a process while it is watched.

use super::{LiveProcess, Output, write_dump};
use crate::error::{Error, Result};
use crate::observer::{Observer, Phase};
use crate::request::DumpRequest;
use crate::summary::Summary;
use crate::target::{DebugEvent, EventFilter, Handling, Pid, ProcessTarget, RunningProcess, Wants};
use std::time::{Duration, Instant};

/// What to wait for in a process, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitFor {
    /// What ends the waiting.
    pub events: EventFilter,
    /// How long; `None` for as long as it takes.
    pub timeout: Option<Duration>,
}

/// Lets a process run with this one as its debugger until something happens in it. It
/// has stopped there then: [`hold`](RunningProcess::hold) it to dump it.
///
/// # Errors
/// As attaching to a process; [`Error::NoEvent`], [`Error::Cancelled`], and
/// [`Error::ProcessEnded`] if it ends before. It goes on by itself then.
pub fn wait_for_event(
    pid: Pid,
    wait: WaitFor,
    observer: &dyn Observer,
) -> Result<(DebugEvent, Box<dyn RunningProcess>)> {
    let process = LiveProcess::attach(pid, &Wants::default())?;
    let mut running = Box::new(process).resume(Handling::default())?;
    let began = Instant::now();
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let cancelled = || {
        let total = wait.timeout.map_or(0, millis);
        observer.progress(Phase::Wait, millis(began.elapsed()), total);
        observer.is_cancelled()
    };
    match running.wait(wait.events, wait.timeout, &cancelled)? {
        Some(event) => Ok((event, running)),
        None if observer.is_cancelled() => Err(Error::Cancelled),
        None => {
            let seconds = wait.timeout.unwrap_or_default().as_secs();
            Err(Error::NoEvent { pid, seconds })
        }
    }
}

/// Writes a dump of a process when something happens in it: a crash, mostly. An
/// exception that it stopped for is the exception of the dump. It goes on then as if it
/// had not been watched: a crash ends it. A name that cannot be written is an error
/// before anything is waited for.
///
/// # Errors
/// As [`wait_for_event`] and [`dump_process`](super::dump_process).
pub fn dump_on_event(
    pid: Pid,
    wait: WaitFor,
    request: &DumpRequest,
    observer: &dyn Observer,
) -> Result<Summary> {
    #[cfg(target_os = "linux")]
    if request.extensions.wine {
        return Err(Error::CannotRun);
    }
    // Nothing is kept of it: the dump may be hours away.
    drop(Output::open(request)?);
    let (_, running) = wait_for_event(pid, wait, observer)?;
    let output = Output::open(request)?;
    write_dump(running.hold(&request.wants())?, request, output, observer)
}
