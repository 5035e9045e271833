//! The OS thread that holds a process still.
//!
//! The kernel takes ptrace requests only from the thread that attached, and
//! detaches what is left when that thread ends. So each capture has a thread of
//! its own: it stops the process, reports what it saw, sleeps until it is told
//! to let go, and ends, which also takes care of threads that would not stop.

use super::held_thread::HeldThread;
use super::stop::Stopper;
use crate::error::{Error, Result};
use crate::soft_error::SoftError;
use crate::target::{Pid, XstateLayout};
use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
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
        let threads = outcome
            .recv()
            .map_err(|_| failed(io::Error::other("the tracing thread ended unexpectedly")))??;
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
