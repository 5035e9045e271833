//! Ends of threads, and whether they are the end of the process.
//!
//! A thread stops once more when it is about to end, with its memory still there,
//! and says how: by the status that `wait` would tell of it. Whether its process
//! ends with it, it does not say.

use super::super::exception::{self, SignalInfo};
use super::super::stat::Stat;
use super::super::sys;
use super::super::task;
use super::super::tracee::{Stop, stop_of};
use super::{Follower, Meaning, signals};
use crate::target::{DebugEvent, DebugEventKind, EventFilter, Tid};
use std::time::{Duration, Instant};

/// How long the others may take to come to their ends with one.
const GATHERING: Duration = Duration::from_millis(20);

/// A wait status.
#[derive(Clone, Copy)]
struct Status(u32);

impl Status {
    /// The signal that ended it, or 0.
    fn signal(self) -> i32 {
        (self.0 & 0x7F) as i32
    }

    /// The exit code as a shell has it.
    fn code(self) -> u32 {
        match self.0 & 0x7F {
            0 => self.0 >> 8 & 0xFF,
            signal => 128 + signal,
        }
    }
}

impl Follower {
    /// What the end of a thread means; `None` if it is to go on unseen.
    pub(super) fn end_of(&mut self, at: usize) -> Option<Meaning> {
        let tracee = &mut self.stopper.tracees[at];
        tracee.is_ending = true;
        let tid = tracee.tid;
        let status = Status(sys::event_message(tid).ok()? as u32);
        let by_itself = status.signal() == 0;
        let is_wanted = self.wanted.intersects(EventFilter::EXIT | EventFilter::THREADS);
        if self.is_ending || by_itself && !is_wanted {
            return None;
        }
        if !self.is_end_of_process(tid, status) {
            let kind = DebugEventKind::ThreadExit { code: status.code() };
            return self.meaning(EventFilter::THREADS, DebugEvent { tid, kind });
        }
        self.is_ending = true;
        // The kernel lets nobody see a few signals that a process cannot survive.
        let unseen = exception::is_crash(status.signal())
            && self.fatal.is_none_or(|(_, info)| info.signal != status.signal());
        if unseen {
            let info = SignalInfo::of_number(status.signal());
            self.fatal = Some((tid, info));
            if self.wanted.contains(EventFilter::CRASH) {
                return self.meaning(EventFilter::CRASH, signals::exception(tid, info, false));
            }
        }
        if !self.wanted.contains(EventFilter::EXIT) {
            return None;
        }
        let tid = self.who_ended_it(tid, status);
        let kind = DebugEventKind::ProcessExit { code: status.code() };
        self.meaning(EventFilter::EXIT, DebugEvent { tid, kind })
    }

    fn meaning(&self, kind: EventFilter, event: DebugEvent) -> Option<Meaning> {
        let ended_by = self.fatal.filter(|_| kind != EventFilter::THREADS);
        self.wanted.contains(kind).then_some(Meaning { kind, event, signal: ended_by })
    }

    /// Whether a thread that ends with `status` ends the process.
    fn is_end_of_process(&mut self, tid: Tid, status: Status) -> bool {
        if self.is_last(tid) {
            return true;
        }
        match task::system_call(self.pid, tid) {
            Some(libc::SYS_exit_group) => true,
            Some(libc::SYS_exit) if status.signal() == 0 => false,
            // seccomp can end a single thread so.
            _ if status.0 != 0 && status.signal() != libc::SIGSYS => true,
            _ => !self.is_in_exec && self.all_end(tid),
        }
    }

    /// Whether no other thread lives.
    fn is_last(&self, tid: Tid) -> bool {
        let ends = |tid: Tid| self.stopper.tracees.iter().any(|t| t.tid == tid && t.is_ending);
        if self.stopper.tracees.iter().any(|t| t.tid != tid && !t.is_ending) {
            return false;
        }
        let others = task::list(self.pid).unwrap_or_default();
        !others.into_iter().any(|other| {
            !ends(other) && Stat::of_thread(self.pid, other).is_some_and(|stat| !stat.has_ended())
        })
    }

    /// Whether all others end too, and not because a thread execs, which ends the
    /// others and goes on.
    fn all_end(&mut self, tid: Tid) -> bool {
        let deadline = Instant::now() + GATHERING;
        loop {
            let mut all = true;
            for other in self.stopper.tracees.iter().filter(|t| t.tid != tid && !t.is_ending) {
                if is_at_its_end(other.tid) {
                    continue;
                }
                all = false;
                let call = task::system_call(self.pid, other.tid);
                if matches!(call, Some(libc::SYS_execve | libc::SYS_execveat)) {
                    self.is_in_exec = true;
                    return false;
                }
            }
            if all || Instant::now() > deadline {
                return all;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// The thread that ended the process: by a call, or by a signal that came to it.
    fn who_ended_it(&self, tid: Tid, status: Status) -> Tid {
        let tids = || self.stopper.tracees.iter().map(|t| t.tid);
        let by_it = |(tid, signal)| signal == status.signal() && tids().any(|t| t == tid);
        if let Some((signalled, _)) = self.last.filter(|last| by_it(*last)) {
            return signalled;
        }
        let called = |tid: &Tid| task::system_call(self.pid, *tid) == Some(libc::SYS_exit_group);
        if called(&tid) {
            return tid;
        }
        let deadline = Instant::now() + GATHERING;
        while status.signal() == 0 && Instant::now() < deadline {
            if let Some(caller) = tids().filter(|tid| is_at_its_end(*tid)).find(called) {
                return caller;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        let main = Tid(self.pid.0);
        if tids().any(|tid| tid == main) { main } else { tid }
    }
}

/// Whether a thread stands at its end, or is past it.
fn is_at_its_end(tid: Tid) -> bool {
    !matches!(stop_of(tid), Ok(stop) if stop != Some(Stop::Event(sys::PTRACE_EVENT_EXIT)))
}
