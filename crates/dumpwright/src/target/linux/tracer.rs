//! The OS thread that holds a process still.
//!
//! The kernel takes ptrace requests only from the thread that attached, and
//! detaches what is left when that thread ends. So each capture has a thread of
//! its own: it stops the process, reports what it saw, sleeps until it is told
//! to let go, and ends, which also takes care of threads that would not stop. Told
//! to let the process run instead, it [follows](super::follow) it.

use super::exception::SignalInfo;
use super::follow::{self, Happened};
use super::held_thread::HeldThread;
use super::stat::Stat;
use super::stop::Stopper;
use super::{sys, task};
use crate::error::{Error, Result};
use crate::soft_error::SoftError;
use crate::target::{EventFilter, Handling, Pid, Tid, XstateLayout};
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
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

/// What the tracing thread saw.
pub(super) struct Held {
    /// The threads that stand still, main thread first.
    pub(super) threads: Vec<HeldThread>,
    /// What could not be had.
    pub(super) notes: Vec<SoftError>,
    /// The thread and signal that a followed process stopped for.
    pub(super) event: Option<(Tid, SignalInfo)>,
    since: Instant,
}

/// What the tracing thread is told to do.
pub(super) enum Order {
    /// Let the process run, from being held, and tell what happens.
    Resume(Resume),
    /// Let it go on until something that is wanted happens.
    Wait(Wait),
    /// Hold it still.
    Hold(Hold),
}

/// How a process that was held goes on.
pub(super) struct Resume {
    /// The thread and signal that it stopped for.
    pub(super) crash: Option<(Tid, SignalInfo)>,
    /// How that goes on.
    pub(super) handling: Handling,
    /// Where to tell what happens. It is dropped when the process has ended.
    pub(super) happenings: Sender<Happened>,
}

/// What is waited for.
pub(super) struct Wait {
    /// What is worth a stop.
    pub(super) wanted: EventFilter,
    /// The number of the last event that the caller knows.
    pub(super) known: u64,
}

/// How to hold a process.
pub(super) struct Hold {
    timeout: Duration,
    layout: Option<XstateLayout>,
    report: Sender<Result<Held>>,
}

impl Hold {
    /// Stops the process by `stop` and reports it; answers whether it is held.
    /// Nothing is, if not.
    pub(super) fn carry_out(
        self,
        stopper: &mut Stopper,
        event: Option<(Tid, SignalInfo)>,
        stop: impl FnOnce(&mut Stopper, Duration) -> Result<()>,
    ) -> bool {
        let outcome = stop(stopper, self.timeout).map(|()| Held {
            threads: stopper.inspect(self.layout.as_ref()),
            notes: stopper.take_notes(),
            event,
            since: stopper.since(),
        });
        let is_held = outcome.is_ok();
        if !is_held {
            // Nothing may be held any more when the caller hears of it.
            stopper.detach();
        }
        self.report.send(outcome).is_ok() && is_held
    }
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
        let (orders, received) = mpsc::channel();
        let (report, outcome) = mpsc::channel();
        let task = Hold { timeout, layout, report };
        let thread = std::thread::Builder::new()
            .name("dumpwright-trace".into())
            .spawn(move || trace(pid, task, &received))
            .map_err(|source| failed(pid, source))?;
        let thread = Some(thread);
        let mut tracer = Tracer { since: Instant::now(), held: None, orders: Some(orders), thread };
        // If it fails, the end of the thread detaches what could not be detached
        // otherwise.
        let held = outcome_of(pid, &outcome).unwrap_or_else(|| {
            Err(failed(pid, io::Error::other("the tracing thread ended unexpectedly")))
        })?;
        tracer.since = held.since;
        Ok((tracer, held))
    }

    /// Lets the process run.
    ///
    /// # Errors
    /// It was released.
    pub(super) fn resume(&self, resume: Resume) -> Result<()> {
        self.order(Order::Resume(resume)).ok_or(Error::CannotRun)
    }

    /// Lets a process that runs go on until something happens; `None` if it has ended.
    pub(super) fn wait(&self, wait: Wait) -> Option<()> {
        self.order(Order::Wait(wait))
    }

    /// Stops a process that runs.
    ///
    /// # Errors
    /// As [`hold`](Self::hold).
    pub(super) fn hold_again(
        &mut self,
        pid: Pid,
        timeout: Duration,
        layout: Option<XstateLayout>,
    ) -> Result<Held> {
        let (report, outcome) = mpsc::channel();
        self.order(Order::Hold(Hold { timeout, layout, report }))
            .ok_or(Error::ProcessEnded(pid))?;
        // No answer: it ended before the order came.
        let held = outcome_of(pid, &outcome).unwrap_or(Err(Error::ProcessEnded(pid)))?;
        self.since = held.since;
        Ok(held)
    }

    fn order(&self, order: Order) -> Option<()> {
        self.orders.as_ref()?.send(order).ok()
    }

    /// Lets the process go on; does nothing the second time.
    pub(super) fn release(&mut self) {
        drop(self.orders.take());
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

/// What the tracing thread reports of a hold; `None` if it ends before.
fn outcome_of(pid: Pid, outcome: &Receiver<Result<Held>>) -> Option<Result<Held>> {
    loop {
        match outcome.recv_timeout(PATIENCE) {
            Ok(outcome) => return Some(outcome),
            Err(RecvTimeoutError::Timeout) => reap_threads(pid),
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}

fn failed(pid: Pid, source: io::Error) -> Error {
    Error::Target { pid, what: "its threads".into(), source }
}

/// The life of the tracing thread.
fn trace(pid: Pid, hold: Hold, orders: &Receiver<Order>) {
    let timeout = hold.timeout;
    let mut stopper = Stopper::new(pid, timeout);
    if hold.carry_out(&mut stopper, None, |stopper, _| stopper.stop()) {
        // Ends with an error, which is the word to let go, when the sender is dropped.
        if let Ok(Order::Resume(resume)) = orders.recv() {
            return follow::follow(pid, stopper, resume, orders);
        }
    }
    stopper.detach();
}
