//! The OS thread that holds a process still.
//!
//! The kernel takes ptrace requests only from the thread that attached, and
//! detaches what is left when that thread ends. So each capture has a thread of
//! its own: it stops the process, reports what it saw, sleeps until it is told
//! to let go, and ends, which also takes care of threads that would not stop.

use super::held_thread::HeldThread;
use super::stat::Stat;
use super::stop::Stopper;
use super::{sys, task};
use crate::error::{Error, Result};
use crate::soft_error::SoftError;
use crate::target::{Pid, XstateLayout};
use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A process that stands still until this is released or dropped.
pub(super) struct Tracer {
    since: Instant,
    /// How long it stood still, once it is released.
    held: Option<Duration>,
    /// Dropping it is the word to let go.
    hold: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the tracing thread saw.
pub(super) struct Held {
    /// The threads that stand still, main thread first.
    pub(super) threads: Vec<HeldThread>,
    /// What could not be had.
    pub(super) notes: Vec<SoftError>,
    since: Instant,
}

impl Tracer {
    /// Stops process `pid`.
    ///
    /// # Errors
    /// The process ended, may not be attached to, or no thread of it stopped
    /// within `timeout`. Then nothing is held.
    pub(super) fn hold(
        pid: Pid,
        timeout: Duration,
        layout: Option<XstateLayout>,
    ) -> Result<(Tracer, Held)> {
        let failed = |source| Error::Target { pid, what: "its threads".into(), source };
        let (hold, until_released) = mpsc::channel();
        let (report, outcome) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("dumpwright-trace".into())
            .spawn(move || trace(pid, timeout, layout.as_ref(), &report, &until_released))
            .map_err(failed)?;
        let outcome = loop {
            match outcome.recv_timeout(PATIENCE) {
                Ok(outcome) => break outcome,
                Err(RecvTimeoutError::Timeout) => reap_threads(pid),
                Err(RecvTimeoutError::Disconnected) => {
                    let source = io::Error::other("the tracing thread ended unexpectedly");
                    break Err(failed(source));
                }
            }
        };
        let threads = match outcome {
            Ok(seen) => seen,
            Err(error) => {
                // Its end detaches what could not be detached otherwise.
                drop(hold);
                let _ = thread.join();
                return Err(error);
            }
        };
        let since = threads.since;
        let tracer = Tracer { since, held: None, hold: Some(hold), thread: Some(thread) };
        Ok((tracer, threads))
    }

    /// Lets the process go on; does nothing the second time.
    pub(super) fn release(&mut self) {
        drop(self.hold.take());
        if let Some(thread) = self.thread.take() {
            // If it panicked, its end has detached everything all the same.
            let _ = thread.join();
            self.held = Some(self.since.elapsed());
        }
    }

    /// How long the process has stood still, or stood still.
    pub(super) fn held(&self) -> Duration {
        self.held.unwrap_or_else(|| self.since.elapsed())
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.release();
    }
}

/// How long stopping may take before the process is looked at for an exec.
const PATIENCE: Duration = Duration::from_millis(20);

/// Takes the ends of traced threads. An exec ends all other threads and does not
/// go on until they are waited for; and meanwhile the kernel lets the tracing
/// thread wait, when it attaches to a further thread, until the exec is over.
/// The main thread's end is its parent's to see.
fn reap_threads(pid: Pid) {
    let threads = task::list(pid).unwrap_or_default();
    for tid in threads.into_iter().filter(|tid| tid.0 != pid.0) {
        if Stat::of_thread(pid, tid).is_some_and(|stat| stat.has_ended()) {
            sys::reap(tid);
        }
    }
}

/// The life of the tracing thread.
fn trace(
    pid: Pid,
    timeout: Duration,
    layout: Option<&XstateLayout>,
    report: &Sender<Result<Held>>,
    until_released: &Receiver<()>,
) {
    let mut stopper = Stopper::new(pid, timeout);
    let outcome = stopper.stop().map(|()| Held {
        threads: stopper.inspect(layout),
        notes: stopper.take_notes(),
        since: stopper.since(),
    });
    if outcome.is_err() {
        // Nothing may be held any more when the caller hears of it.
        stopper.detach();
    }
    if report.send(outcome).is_ok() {
        // Ends with an error, which is the word, when the sender is dropped.
        let _ = until_released.recv();
    }
    stopper.detach();
}
