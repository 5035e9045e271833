//! One traced thread: whether and for what it stopped, and how it goes on.

use super::exception::SignalInfo;
use super::sys::{self, Observed};
use crate::target::Tid;

/// What a thread stopped for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Our interrupt, or the beginning of a new thread: nothing to give back.
    Interrupted,
    /// The process is stopped by SIGSTOP or its like.
    GroupStopped,
    /// A signal that was about to be delivered.
    Signal(i32),
    /// A `PTRACE_EVENT_*`: nothing to give back.
    Event(i32),
}

impl Stop {
    /// From a wait status: the signal in the low byte, an event above.
    pub(super) fn from_status(status: i32) -> Self {
        let signal = status & 0x7F;
        match status >> 8 {
            0 => Stop::Signal(signal),
            sys::PTRACE_EVENT_STOP if signal == libc::SIGTRAP => Stop::Interrupted,
            sys::PTRACE_EVENT_STOP => Stop::GroupStopped,
            event => Stop::Event(event),
        }
    }

    /// From what a stopped thread says itself: the code of an event is its status.
    fn from_info(info: SignalInfo) -> Self {
        if info.code >> 8 > 0 { Self::from_status(info.code) } else { Stop::Signal(info.signal) }
    }

    /// The signal to give back; 0 for none.
    pub(super) fn signal(self) -> i32 {
        match self {
            Stop::Signal(signal) => signal,
            _ => 0,
        }
    }
}

/// A thread that the calling OS thread has attached to.
pub(super) struct Tracee {
    pub(super) tid: Tid,
    /// What it stopped for, once that was seen.
    pub(super) stop: Option<Stop>,
    /// Whether it stops for new threads, an exec and its end.
    pub(super) follows: bool,
    /// Whether it has yet to run.
    pub(super) is_new: bool,
    /// Whether it has come to its end.
    pub(super) is_ending: bool,
}

impl Tracee {
    /// One that runs.
    pub(super) fn new(tid: Tid) -> Self {
        Tracee { tid, stop: None, follows: false, is_new: false, is_ending: false }
    }

    /// Has it stop for new threads, an exec and its end. It must stand still.
    pub(super) fn follow(&mut self) {
        if !self.follows {
            self.follows = sys::follow_thread(self.tid).is_ok();
        }
    }

    /// Lets it go on from `stop`, with `signal` delivered to it unless 0.
    pub(super) fn go_on(&mut self, stop: Stop, signal: i32) {
        self.stop = None;
        self.is_new = false;
        self.follow();
        // Fails only if the thread was killed meanwhile.
        let _ = match stop {
            Stop::GroupStopped => sys::listen(self.tid),
            _ => sys::go_on(self.tid, signal),
        };
    }
}

/// The thread ended, or is not traced any more.
pub(super) struct Vanished;

/// Whether and for what a thread has stopped.
pub(super) fn stop_of(tid: Tid) -> Result<Option<Stop>, Vanished> {
    match sys::observe(tid) {
        Observed::Stopped(status) => Ok(Some(Stop::from_status(status))),
        Observed::Gone => Err(Vanished),
        // Another thread of this process may have taken the event with a
        // `waitpid(-1)`. Then only the thread itself tells that it stands still.
        Observed::Nothing => {
            Ok(sys::signal_info(tid).ok().map(|info| Stop::from_info(SignalInfo::parse(&info))))
        }
    }
}
