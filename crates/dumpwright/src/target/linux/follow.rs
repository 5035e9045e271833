//! A process that runs on under trace, until something happens that is wanted.
//!
//! All of it runs on the [tracing thread](super::tracer). Signals are handed on and
//! new threads are let go at once; for an event that is wanted the whole process is
//! stopped, and stands still until the next order comes.
//!
//! - Events are looked at without being taken, as everywhere here: whatever a thread
//!   stopped for, the kernel goes on with it should this program be killed.
//! - Nothing but a signal could end a wait for traced threads early, and a library
//!   has none to spare; so they are looked at again and again, first at once and then
//!   ever less often ([`pace`]). One system call looks at all threads.
//! - Options are set when a thread is let go ([`Tracee::go_on`]), never before:
//!   plain dumps do without.
//! - New processes are not followed. One that is made as threads are made (with an
//!   exit signal other than SIGCHLD) attaches itself and is let go when it begins.

mod ending;
mod pace;
mod signals;

use super::exception::SignalInfo;
use super::stat::Stat;
use super::stop::Stopper;
use super::sys::{self, Change};
use super::task;
use super::tracee::{Stop, Tracee, stop_of};
use super::tracer::{Order, Resume, Wait};
use crate::target::{DebugEvent, DebugEventKind, EventFilter, Handling, Pid, Tid};
use pace::Pace;
use std::collections::HashSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::time::{Duration, Instant};

/// Something that happened, as the tracing thread tells of it.
#[derive(Clone)]
pub(super) struct Happened {
    /// Which one it is: they are counted from 1.
    pub(super) number: u64,
    /// The kind that was asked for.
    pub(super) kind: EventFilter,
    /// What the caller is told.
    pub(super) event: DebugEvent,
}

/// What a process stands still for.
struct Standing {
    happened: Happened,
    /// The thread whose stop it was.
    stopped: Tid,
    /// The thread and signal that are the exception of a dump.
    signal: Option<(Tid, SignalInfo)>,
}

/// What a stop means.
struct Meaning {
    kind: EventFilter,
    event: DebugEvent,
    signal: Option<(Tid, SignalInfo)>,
}

/// A process that is followed.
struct Follower {
    pid: Pid,
    stopper: Stopper,
    happenings: Sender<Happened>,
    /// What is worth a stop: everything until it is said, so that nothing is missed.
    wanted: EventFilter,
    /// Whether the caller ever waited since the process went on.
    waits: bool,
    /// Whether it is held.
    is_held: bool,
    standing: Option<Standing>,
    /// How many things happened.
    number: u64,
    /// A signal that nothing handles, handed on.
    fatal: Option<(Tid, SignalInfo)>,
    /// Whether the process survives that while it is traced.
    survives: bool,
    /// The signal that was handed on last.
    last: Option<(Tid, i32)>,
    /// Whether the process, not only a thread, has come to its end.
    is_ending: bool,
    /// Whether the other threads are ending because one execs.
    is_in_exec: bool,
    /// When all threads were last looked at one by one.
    swept: Instant,
}

/// Whether anything happened.
#[derive(PartialEq, Eq)]
enum Progress {
    Nothing,
    Something,
    /// The process has ended.
    End,
}

/// Lets a process that `stopper` holds run, and carries out orders until the process
/// ends or is to be let go. Its end detaches what is left.
pub(super) fn follow(pid: Pid, stopper: Stopper, resume: Resume, orders: &Receiver<Order>) {
    let mut follower = Follower {
        pid,
        stopper,
        happenings: resume.happenings.clone(),
        wanted: EventFilter::all(),
        waits: false,
        is_held: true,
        standing: None,
        number: 0,
        fatal: None,
        survives: false,
        last: None,
        is_ending: false,
        is_in_exec: false,
        swept: Instant::now(),
    };
    follower.resume(resume);
    follower.run(orders);
}

impl Follower {
    fn run(&mut self, orders: &Receiver<Order>) {
        let mut pace = Pace::new();
        loop {
            let order = if self.is_held || self.standing.is_some() {
                orders.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                match self.look() {
                    Progress::End => return,
                    Progress::Something => {
                        pace.restart();
                        orders.try_recv().map_err(|error| match error {
                            TryRecvError::Empty => RecvTimeoutError::Timeout,
                            TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
                        })
                    }
                    Progress::Nothing => orders.recv_timeout(pace.pause(self.threads())),
                }
            };
            match order {
                Ok(order) => {
                    if !self.obey(order) {
                        return;
                    }
                    pace.restart();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.stopper.detach(),
            }
        }
    }

    fn threads(&self) -> u32 {
        self.stopper.tracees.len() as u32
    }

    /// Carries out an order; answers whether the process is still attached to.
    fn obey(&mut self, order: Order) -> bool {
        match order {
            Order::Resume(resume) => self.resume(resume),
            Order::Wait(wait) => self.wait(&wait),
            Order::Hold(hold) => {
                let event = self.standing.as_ref().and_then(|standing| standing.signal);
                self.is_held = true;
                return hold.carry_out(&mut self.stopper, event, Stopper::stop_again);
            }
        }
        true
    }

    fn resume(&mut self, resume: Resume) {
        self.happenings = resume.happenings;
        self.wanted = EventFilter::all();
        self.waits = false;
        self.is_held = false;
        if resume.handling == Handling::Handled {
            self.fatal = None;
            self.go_on(resume.crash.map(|(tid, _)| tid), Handling::Handled);
        } else {
            // A crash that attaching came upon is yet to be told.
            self.go_on(None, Handling::NotHandled);
        }
    }

    fn wait(&mut self, wait: &Wait) {
        self.wanted = wait.wanted;
        self.waits = true;
        if let Some(Standing { happened, .. }) = &self.standing {
            if happened.number > wait.known && self.wanted.intersects(happened.kind) {
                self.tell();
            } else {
                self.go_on(None, Handling::NotHandled);
            }
        }
    }

    fn tell(&self) {
        if let Some(standing) = &self.standing {
            // Fails if the caller is about to let go, which is the next order.
            let _ = self.happenings.send(standing.happened.clone());
        }
    }

    /// Lets all threads go on. What a thread other than the one of the event has
    /// stopped for meanwhile is yet to be looked at.
    fn go_on(&mut self, crash: Option<Tid>, handling: Handling) {
        let standing = self.standing.take();
        let known = standing.map(|standing| standing.stopped).or(crash);
        self.stopper.goes_on();
        let tracees = &mut self.stopper.tracees;
        // The first that runs may end all the others at once, and they stop again for
        // that. So all are ready for it before, and looked at once more.
        for tracee in tracees.iter_mut() {
            tracee.stop = None;
            if stop_of(tracee.tid).is_ok_and(|stop| stop.is_some()) {
                tracee.follow();
            }
        }
        // Backwards, since one may be detached.
        for at in (0..self.stopper.tracees.len()).rev() {
            let Tracee { tid, is_new, .. } = self.stopper.tracees[at];
            let Ok(Some(stop)) = stop_of(tid) else { continue };
            let signal = match handling {
                Handling::NotHandled if known == Some(tid) => stop.signal(),
                _ => 0,
            };
            let is_interrupted = matches!(stop, Stop::Interrupted | Stop::GroupStopped);
            if known == Some(tid) || is_interrupted && !is_new {
                self.hand_on(at, stop, signal);
            }
        }
    }

    /// Looks at what happened since the last time.
    fn look(&mut self) -> Progress {
        /// How often the threads are looked at one by one, in case somebody took
        /// their events away.
        const SWEEP: Duration = Duration::from_millis(250);
        const A_THREAD: Duration = Duration::from_millis(1);
        // One that is always found first must not hide the others for good.
        let most = self.stopper.tracees.len().max(64);
        let mut progress = Progress::Nothing;
        for _ in 0..most {
            match sys::observe_any() {
                Change::Nothing => {
                    if self.swept.elapsed() > SWEEP.max(A_THREAD * self.threads()) {
                        break;
                    }
                    return progress;
                }
                Change::NoThread => return Progress::End,
                Change::Stopped(tid, status) => self.stopped(tid, Stop::from_status(status)),
                Change::Ended(tid) if tid.0 == self.pid.0 => return Progress::End,
                Change::Ended(tid) if self.ended(tid) => {}
                Change::Ended(_) | Change::Foreign => break,
            }
            progress = Progress::Something;
            if self.standing.is_some() {
                return progress;
            }
        }
        match self.sweep() {
            Progress::Nothing => progress,
            more => more,
        }
    }

    /// Looks at each thread by itself.
    fn sweep(&mut self) -> Progress {
        let mut progress = Progress::Nothing;
        let mut tids: Vec<Tid> = self.stopper.tracees.iter().map(|t| t.tid).collect();
        let known: HashSet<Tid> = tids.iter().copied().collect();
        let listed = task::list(self.pid).unwrap_or_default();
        tids.extend(listed.into_iter().filter(|tid| !known.contains(tid)));
        for tid in tids {
            match stop_of(tid) {
                Ok(None) => continue,
                Ok(Some(stop)) => self.stopped(tid, stop),
                Err(_) if tid.0 == self.pid.0 && known.contains(&tid) => return Progress::End,
                Err(_) if !known.contains(&tid) => continue,
                Err(_) => _ = self.ended(tid),
            }
            progress = Progress::Something;
            if self.standing.is_some() {
                return progress;
            }
        }
        self.swept = Instant::now();
        progress
    }

    /// Takes the end of a thread; answers whether it was one of the process.
    fn ended(&mut self, tid: Tid) -> bool {
        let before = self.stopper.tracees.len();
        self.stopper.tracees.retain(|t| t.tid != tid);
        // A child of another thread that has ended may have become one of this thread.
        let is_ours = before != self.stopper.tracees.len()
            || Stat::of_thread(self.pid, tid).is_some()
            || Stat::of_thread(Pid(tid.0), tid)
                .is_none_or(|stat| stat.parent().0 != std::process::id());
        if is_ours {
            sys::reap(tid);
        }
        is_ours
    }

    /// A thread has stopped: lets it go on, or the others stop too.
    fn stopped(&mut self, tid: Tid, stop: Stop) {
        let Some(at) = self.find_or_adopt(tid, stop) else { return };
        let is_new = self.stopper.tracees[at].is_new;
        let meaning = match stop {
            Stop::Interrupted | Stop::GroupStopped if is_new => self.thread_start(tid),
            Stop::Signal(signal) => self.signal(tid, signal),
            Stop::Event(sys::PTRACE_EVENT_EXIT) => self.end_of(at),
            Stop::Event(sys::PTRACE_EVENT_EXEC) => return self.executed(tid, stop),
            _ => None,
        };
        let Some(Meaning { kind, event, signal }) = meaning else {
            return self.hand_on(at, stop, stop.signal());
        };
        self.stopper.tracees[at].stop = Some(stop);
        self.number += 1;
        let happened = Happened { number: self.number, kind, event };
        self.standing = Some(Standing { happened, stopped: tid, signal });
        self.stopper.interrupt();
        if self.waits {
            self.tell();
        }
    }

    /// The place of a thread, which may be new. A new process is let go.
    fn find_or_adopt(&mut self, tid: Tid, stop: Stop) -> Option<usize> {
        let tracees = &mut self.stopper.tracees;
        if let Some(at) = tracees.iter().position(|t| t.tid == tid) {
            return Some(at);
        }
        let is_thread = Stat::of_thread(self.pid, tid).is_some();
        if !is_thread {
            let _ = sys::detach(tid, stop.signal());
            return None;
        }
        tracees.push(Tracee { is_new: true, follows: true, ..Tracee::new(tid) });
        Some(tracees.len() - 1)
    }

    fn thread_start(&self, tid: Tid) -> Option<Meaning> {
        let event = DebugEvent { tid, kind: DebugEventKind::ThreadStart };
        let kind = EventFilter::THREADS;
        self.wanted.contains(kind).then_some(Meaning { kind, event, signal: None })
    }

    /// The process has another program, and no thread but the one that is its main
    /// thread now.
    fn executed(&mut self, tid: Tid, stop: Stop) {
        self.stopper.tracees.retain(|t| t.tid == tid);
        self.is_ending = false;
        self.is_in_exec = false;
        self.fatal = None;
        if let Some(tracee) = self.stopper.tracees.first_mut() {
            tracee.is_ending = false;
            tracee.go_on(stop, 0);
        }
    }
}
