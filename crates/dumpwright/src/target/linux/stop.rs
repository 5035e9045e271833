//! Stopping every thread of a process, looking at each, and letting them go.
//!
//! All of it runs on one OS thread (see [`tracer`](super::tracer)), because the
//! kernel takes ptrace requests only from the thread that attached.
//!
//! - `PTRACE_SEIZE` and `PTRACE_INTERRUPT` send no signal: the target sees
//!   nothing but the time that passed, and a target that was stopped by SIGSTOP
//!   is still stopped afterwards. (System calls that signal(7) lists under
//!   "interruption by stop signals", such as `epoll_wait`, can return `EINTR`,
//!   as after any stop.)
//! - Stops are looked at without consuming the event (see
//!   [`sys::observe`]). A signal that a thread had stopped for is handed back
//!   when it is detached; if this process dies first, the kernel does it.
//! - All waits share one deadline. A thread that does not stop by then (state D)
//!   is left to the kernel, which detaches it when the tracing thread ends.

use super::held_thread::{HeldThread, WORKER, inspect};
use super::stat::Stat;
use super::sys::{self, Observed};
use super::task::{self, TaskStatus};
use super::tracee::{Tracee, Vanished, stop_of};
use crate::error::{Error, Result};
use crate::soft_error::SoftError;
use crate::target::{Pid, Tid, XstateLayout};
use std::collections::HashSet;
use std::io;
use std::time::{Duration, Instant};

/// What is said of a thread that ended before anybody came.
const EXITED: &str = "has exited; it has no registers or stack any more";

/// Why a thread could not be attached to.
enum Refusal {
    /// It ended.
    Gone,
    /// The kernel runs it.
    Worker,
    /// Another debugger has it.
    Traced(Pid),
    /// Not allowed, or another error.
    Denied(io::Error),
}

/// The threads of a process that the calling OS thread has attached to.
pub(super) struct Stopper {
    pid: Pid,
    timeout: Duration,
    pub(super) tracees: Vec<Tracee>,
    seen: HashSet<Tid>,
    notes: Vec<SoftError>,
    refused: Option<Refusal>,
    /// Whether a thread ended since the last listing.
    ended: bool,
    /// When the first thread was interrupted.
    since: Option<Instant>,
    /// Whether new threads attach themselves.
    follows: bool,
}

impl Stopper {
    /// Nothing attached yet.
    pub(super) fn new(pid: Pid, timeout: Duration) -> Self {
        Stopper {
            pid,
            timeout,
            tracees: Vec::new(),
            seen: HashSet::new(),
            notes: Vec::new(),
            refused: None,
            ended: false,
            since: None,
            follows: false,
        }
    }

    /// When the process began to stand still.
    pub(super) fn since(&self) -> Instant {
        self.since.unwrap_or_else(Instant::now)
    }

    /// What could not be had, once.
    pub(super) fn take_notes(&mut self) -> Vec<SoftError> {
        std::mem::take(&mut self.notes)
    }

    /// Attaches to all threads and stops them. A thread that was created in the
    /// meantime is found by the next listing, so it lists until nothing is new.
    ///
    /// # Errors
    /// The process ended, may not be attached to, or no thread of it stopped or
    /// is blocked.
    pub(super) fn stop(&mut self) -> Result<()> {
        let deadline = Instant::now() + self.timeout;
        loop {
            let new = self.new_threads()?;
            let ended = std::mem::take(&mut self.ended);
            if new.is_empty() && !ended {
                break;
            }
            if self.since.is_some() && Instant::now() >= deadline {
                for tid in new {
                    self.note(tid, "was created too late to be stopped; it was left out");
                }
                break;
            }
            self.seize(&new);
            if let (true, Some(Refusal::Traced(_))) = (self.tracees.is_empty(), &self.refused) {
                return Err(self.failure());
            }
            if ended {
                // By an exec perhaps, which ends also those that had stopped and
                // gives an id that is known to another thread.
                self.tracees.iter_mut().for_each(|t| t.stop = None);
                self.look_at_running();
            }
            self.interrupt();
            self.wait(deadline);
        }
        if self.runs_on() {
            // A dump of the others alone would not be one of this process.
            self.detach();
            return Err(self.failure());
        }
        if self.tracees.iter().any(|t| t.stop.is_some() || self.is_blocked(t.tid)) {
            Ok(())
        } else {
            Err(self.failure())
        }
    }

    /// Stops a process again that ran on under trace.
    ///
    /// # Errors
    /// As [`stop`](Self::stop).
    pub(super) fn stop_again(&mut self, timeout: Duration) -> Result<()> {
        self.timeout = timeout;
        self.notes.clear();
        self.refused = None;
        self.leave_out_main_thread();
        self.seen.extend(self.tracees.iter().map(|t| t.tid));
        // Each of them is looked at anew.
        self.ended = true;
        self.stop()
    }

    /// A main thread that has exited is traced as long as the others go on, and never
    /// stops.
    fn leave_out_main_thread(&mut self) {
        let main = Tid(self.pid.0);
        self.seen.clear();
        if has_ended(self.pid, main) {
            self.tracees.retain(|t| t.tid != main);
            self.seen.insert(main);
            self.note(main, EXITED);
        }
    }

    /// Says that the process goes on under trace.
    pub(super) fn goes_on(&mut self) {
        self.since = None;
        self.follows = true;
    }

    /// Whether a thread that did not stop is blocked where it runs nothing of the
    /// process: it stops before it does so again. A parent in `vfork` waits like
    /// this, and what a cgroup has frozen.
    fn is_blocked(&self, tid: Tid) -> bool {
        let state = || Stat::of_thread(self.pid, tid).map(|stat| stat.state());
        state() == Some('D') && task::blocked_at(self.pid, tid).is_some()
    }

    /// Lists the threads that were not seen before.
    fn new_threads(&mut self) -> Result<Vec<Tid>> {
        let mut listed = task::list(self.pid).map_err(|_| Error::ProcessEnded(self.pid))?;
        listed.retain(|tid| self.seen.insert(*tid));
        Ok(listed)
    }

    /// Attaches to all, without stopping any.
    fn seize(&mut self, tids: &[Tid]) {
        for &tid in tids {
            match sys::seize(tid) {
                Ok(()) => self.tracees.push(Tracee::new(tid)),
                Err(error) => self.refuse(tid, error),
            }
            // Two dumpers that each held some of the threads would both write
            // half a dump. The main thread comes first: who has it goes on.
            if tid.0 == self.pid.0 && matches!(self.refused, Some(Refusal::Traced(_))) {
                break;
            }
        }
    }

    /// Whether the main thread lives and was not attached to: a thread that called
    /// exec has its id now, unless it was refused.
    fn runs_on(&self) -> bool {
        let main = Tid(self.pid.0);
        !self.tracees.iter().any(|t| t.tid == main)
            && Stat::of_thread(self.pid, main).is_some_and(|stat| !stat.has_ended())
    }

    /// Asks all that run to stop, as close together as can be.
    pub(super) fn interrupt(&mut self) {
        self.since.get_or_insert_with(Instant::now);
        for tracee in self.tracees.iter().filter(|t| t.stop.is_none()) {
            // Fails only for a thread that is gone, which waiting finds out.
            let _ = sys::interrupt(tracee.tid);
        }
    }

    fn refuse(&mut self, tid: Tid, error: io::Error) {
        // A thread that one of those which are followed has made is attached to
        // already.
        if self.follows && sys::observe(tid) != Observed::Gone {
            self.tracees.push(Tracee { is_new: true, follows: true, ..Tracee::new(tid) });
            return;
        }
        let refusal = classify(self.pid, tid, error);
        // The one that was refused may have ended since, and another have its id.
        if matches!(refusal, Refusal::Denied(_)) && sys::seize(tid).is_ok() {
            self.tracees.push(Tracee::new(tid));
            return;
        }
        self.ended |= matches!(refusal, Refusal::Gone);
        let message = match &refusal {
            Refusal::Gone => EXITED.to_owned(),
            Refusal::Worker => format!("{WORKER}; it was not stopped"),
            Refusal::Traced(tracer) => {
                format!("is traced by process {tracer}; it was not stopped and is left out")
            }
            Refusal::Denied(error) => {
                format!("could not be attached to ({error}); it was not stopped and is left out")
            }
        };
        self.note(tid, message);
        // The first reason that is about more than one thread explains a failure.
        if !matches!(self.refused, Some(Refusal::Traced(_) | Refusal::Denied(_))) {
            self.refused = Some(refusal);
        }
    }

    /// Waits until all have stopped or ended, or the deadline has passed.
    fn wait(&mut self, deadline: Instant) {
        const SHORTEST: Duration = Duration::from_micros(20);
        const LONGEST: Duration = Duration::from_millis(1);
        let mut pause = SHORTEST;
        while self.look_at_running() && Instant::now() < deadline {
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// Looks at the threads that still run; answers whether any still does.
    fn look_at_running(&mut self) -> bool {
        let mut gone = Vec::new();
        let mut running = false;
        for tracee in self.tracees.iter_mut().filter(|t| t.stop.is_none()) {
            match stop_of(tracee.tid) {
                // The main thread's end is not told before that of all others.
                Ok(None) if tracee.tid.0 == self.pid.0 && has_ended(self.pid, tracee.tid) => {
                    gone.push(tracee.tid);
                }
                Ok(stop) => {
                    running |= stop.is_none();
                    tracee.stop = stop;
                }
                Err(Vanished) => gone.push(tracee.tid),
            }
        }
        for tid in gone {
            self.drop_vanished(tid);
        }
        running
    }

    fn drop_vanished(&mut self, tid: Tid) {
        self.ended = true;
        self.tracees.retain(|t| t.tid != tid);
        self.note(tid, "ended while the process was being stopped; it was left out");
    }

    /// Why nothing stopped.
    fn failure(&self) -> Error {
        let pid = self.pid;
        if !self.tracees.is_empty() {
            let state = Stat::of_thread(pid, self.tracees[0].tid).map_or('?', |s| s.state());
            return Error::CannotStop { pid, seconds: self.timeout.as_secs(), state };
        }
        match &self.refused {
            Some(Refusal::Traced(tracer)) => Error::AlreadyTraced { pid, tracer: *tracer },
            Some(Refusal::Denied(error)) => {
                Error::AccessDenied { pid, reason: super::access::explain(pid, error) }
            }
            Some(Refusal::Worker) => Error::KernelThread(pid),
            Some(Refusal::Gone) | None => Error::ProcessEnded(pid),
        }
    }

    /// Reads the registers and signals of every thread that stands still.
    pub(super) fn inspect(&mut self, layout: Option<&XstateLayout>) -> Vec<HeldThread> {
        let mut held = Vec::with_capacity(self.tracees.len());
        let mut notes = Vec::new();
        for tracee in &self.tracees {
            match inspect(self.pid, tracee.tid, tracee.stop, self.timeout, layout) {
                Ok((thread, None)) => held.push(thread),
                Ok((thread, Some(note))) => {
                    held.push(thread);
                    notes.push(SoftError::new(subject(tracee.tid), note));
                }
                Err(note) => notes.push(SoftError::new(subject(tracee.tid), note)),
            }
        }
        self.notes.append(&mut notes);
        held
    }

    /// Lets all threads go on, with the signals that they had stopped for.
    pub(super) fn detach(&mut self) {
        // The main thread last: another dumper that waits for it finds all the
        // others free then.
        for tracee in std::mem::take(&mut self.tracees).into_iter().rev() {
            let stop = match tracee.stop {
                Some(stop) => Some(stop),
                // It may have stopped since; if not, the kernel detaches it when
                // this OS thread ends.
                None => stop_of(tracee.tid).ok().flatten(),
            };
            let Some(stop) = stop else { continue };
            // Fails only if the thread was killed meanwhile.
            let _ = sys::detach(tracee.tid, stop.signal());
        }
    }

    fn note(&mut self, tid: Tid, message: impl Into<String>) {
        self.notes.push(SoftError::new(subject(tid), message));
    }
}

impl Drop for Stopper {
    fn drop(&mut self) {
        self.detach();
    }
}

fn has_ended(pid: Pid, tid: Tid) -> bool {
    Stat::of_thread(pid, tid).is_some_and(|stat| stat.has_ended())
}

fn subject(tid: Tid) -> String {
    format!("thread {tid}")
}

fn classify(pid: Pid, tid: Tid, error: io::Error) -> Refusal {
    if error.raw_os_error() == Some(libc::ESRCH) {
        return Refusal::Gone;
    }
    // The kernel answers EPERM to all of these.
    match Stat::of_thread(pid, tid) {
        None => return Refusal::Gone,
        Some(stat) if stat.has_ended() => return Refusal::Gone,
        Some(stat) if stat.is_user_worker() => return Refusal::Worker,
        Some(_) => {}
    }
    TaskStatus::read(format!("/proc/{pid}/task/{tid}/status"))
        .ok()
        .and_then(|status| status.number("TracerPid"))
        .filter(|tracer| *tracer != 0)
        .map_or(Refusal::Denied(error), |tracer| Refusal::Traced(Pid(tracer)))
}

#[cfg(test)]
mod tests;
