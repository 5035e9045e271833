//! How a caller watches a dump being written and stops it.

#![forbid(unsafe_code)]

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// What the engine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A process is watched until something happens in it; in milliseconds, of 0 where
    /// nothing limits them.
    Wait,
    /// A dump is taken out of what it is packed in, to be read.
    Unpack,
    /// Memory is copied into the dump.
    Write,
    /// The dump is packed into a CAB.
    Package,
}

/// Watches a dump and can stop it. All methods have defaults that do nothing, and are
/// called on any thread ([`observe_here`] calls back on one).
pub trait Observer: Sync {
    /// `done` of `total` bytes of a phase are done (milliseconds of [`Phase::Wait`]).
    fn progress(&self, _phase: Phase, _done: u64, _total: u64) {}

    /// Asked again and again; answering `true` ends the dump with
    /// [`Error::Cancelled`](crate::Error::Cancelled).
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Watches nothing.
impl Observer for () {}

/// Carries out `work` on a thread of its own, and calls `listen` on this thread with
/// its progress. The engine tells an [`Observer`] on whatever thread gets further;
/// callbacks that belong to a thread are called by this.
///
/// `listen` answers `false` to end the work, and so does `cancelled`, which is asked on
/// any thread. The engine waits while it is listened to. A panic on either side ends
/// the work and goes on here.
pub fn observe_here<T: Send>(
    mut listen: impl FnMut(Phase, u64, u64) -> bool,
    cancelled: impl Fn() -> bool + Send + Sync,
    work: impl FnOnce(&dyn Observer) -> T + Send,
) -> T {
    let (tell, told) = channel();
    let (answer, answered) = channel();
    let line = Mutex::new(Line { tell, answered });
    let distant = Distant { line, cancelled, given_up: AtomicBool::new(false) };
    // What this thread has of the line goes when it panics, and the engine sees it.
    thread::scope(move |scope| {
        let engine = scope.spawn(move || work(&distant));
        for (phase, done, total) in told {
            // Nobody waits for the answer if the engine panicked.
            let _ = answer.send(listen(phase, done, total));
        }
        engine.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// The engine's end of the line to the thread that listens.
struct Line {
    tell: Sender<(Phase, u64, u64)>,
    answered: Receiver<bool>,
}

struct Distant<C> {
    line: Mutex<Line>,
    cancelled: C,
    given_up: AtomicBool,
}

impl<C: Fn() -> bool + Send + Sync> Observer for Distant<C> {
    fn progress(&self, phase: Phase, done: u64, total: u64) {
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on =
            line.tell.send((phase, done, total)).is_ok() && line.answered.recv().unwrap_or(false);
        if !goes_on {
            self.given_up.store(true, Ordering::Relaxed);
        }
    }

    fn is_cancelled(&self) -> bool {
        self.given_up.load(Ordering::Relaxed) || (self.cancelled)()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// Tells of ten steps from threads of its own, as the engine does.
    fn steps(observer: &dyn Observer) -> u64 {
        for step in 1..=10 {
            thread::scope(|scope| {
                scope.spawn(|| observer.progress(Phase::Write, step, 10));
            });
            if observer.is_cancelled() {
                return step;
            }
        }
        10
    }

    #[test]
    fn progress_is_told_on_the_thread_that_called() {
        let here = thread::current().id();
        let mut heard = Vec::new();
        let listen = |_, done, _| {
            assert_eq!(thread::current().id(), here);
            heard.push(done);
            true
        };
        assert_eq!(observe_here(listen, || false, steps), 10);
        assert_eq!(heard, (1..=10).collect::<Vec<_>>());
    }

    #[test]
    fn who_listens_ends_the_work_by_an_answer_and_by_a_panic() {
        assert_eq!(observe_here(|_, done, _| done < 4, || false, steps), 4);
        assert_eq!(observe_here(|_, _, _| true, || true, steps), 1);
        let reached = Mutex::new(0);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let work = |observer: &dyn Observer| *reached.lock().unwrap() = steps(observer);
            observe_here(|_, done, _| done < 3 || panic!("while it listens"), || false, work);
        }));
        assert!(panicked.is_err());
        assert_eq!(*reached.lock().unwrap(), 3);
    }
}
