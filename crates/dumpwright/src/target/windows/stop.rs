//! Holds a process still: every thread suspended, and resumed for certain.

use super::keeper::Line;
use super::sys::{thread, toolhelp};
use crate::error::{Error, Result};
use crate::soft_error::SoftError;
use crate::target::{Pid, Tid};
use std::collections::HashSet;
use std::os::windows::io::{AsHandle, OwnedHandle};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use windows_sys::Win32::System::Threading::{
    THREAD_ACCESS_RIGHTS, THREAD_GET_CONTEXT, THREAD_QUERY_INFORMATION, THREAD_SUSPEND_RESUME,
};

const ACCESS: THREAD_ACCESS_RIGHTS =
    THREAD_GET_CONTEXT | THREAD_QUERY_INFORMATION | THREAD_SUSPEND_RESUME;

/// How long a process may go on starting threads faster than they are found.
const DEADLINE: Duration = Duration::from_secs(5);

/// What this process holds still.
static HELD: Mutex<Vec<Weak<Suspension>>> = Mutex::new(Vec::new());

/// Resumes every process that is being dumped, for a program that ends without
/// unwinding.
pub fn resume_all() {
    for suspension in lock(&HELD).drain(..).filter_map(|weak| weak.upgrade()) {
        suspension.resume();
    }
}

/// A thread that is suspended.
#[derive(Debug)]
pub(super) struct StoppedThread {
    /// Its id.
    pub tid: Tid,
    /// It.
    pub handle: Arc<OwnedHandle>,
    /// How often it was suspended before.
    pub suspend_count: u32,
}

/// A process whose threads are suspended until this is released or dropped.
#[derive(Debug)]
pub(super) struct Stopped {
    threads: Vec<StoppedThread>,
    suspension: Arc<Suspension>,
    since: Instant,
    held: Option<Duration>,
}

/// The suspensions to take back.
#[derive(Debug, Default)]
struct Suspension(Mutex<Vec<(Arc<OwnedHandle>, Option<Line>)>>);

impl Suspension {
    fn resume(&self) {
        for (handle, kept) in lock(&self.0).drain(..) {
            // It fails for a thread that was terminated meanwhile.
            if let Err(error) = thread::resume((*handle).as_handle()) {
                tracing::debug!(%error, "a thread was not resumed");
            }
            if let Some(line) = kept {
                line.end();
            }
        }
    }
}

impl Drop for Suspension {
    fn drop(&mut self) {
        self.resume();
    }
}

impl Stopped {
    /// Suspends all threads. Lists them again until a list has nothing new: the
    /// threads that could start another stand still by then. The thread that is
    /// `standing` already, for a debug event, may be one that ends: no such thread can be
    /// suspended, and none needs to be.
    ///
    /// # Errors
    /// No list can be had, or no thread could be suspended.
    pub(super) fn stop(
        pid: Pid,
        standing: Option<Tid>,
        notes: &mut Vec<SoftError>,
    ) -> Result<Stopped> {
        let since = Instant::now();
        let suspension = Arc::new(Suspension::default());
        lock(&HELD).push(Arc::downgrade(&suspension));
        let mut stopped = Stopped { threads: Vec::new(), suspension, since, held: None };
        let mut seen = HashSet::new();
        let mut failure = None;
        loop {
            let listed = toolhelp::threads(pid.0).map_err(|source| Error::Target {
                pid,
                what: "the list of its threads".into(),
                source,
            })?;
            let fresh: Vec<_> = listed.into_iter().filter(|tid| seen.insert(*tid)).collect();
            if fresh.is_empty() {
                break;
            }
            for tid in fresh {
                let result = match stopped.suspend(tid) {
                    Err(_) if standing == Some(Tid(tid)) => stopped.take_standing(tid),
                    result => result,
                };
                if let Err(error) = result {
                    notes.push(SoftError::new(
                        format!("thread {tid}"),
                        format!("was not suspended and is not in the dump: {error}"),
                    ));
                    failure = Some(error);
                }
            }
            if since.elapsed() > DEADLINE {
                notes.push(SoftError::new("threads", "new ones were started all the time"));
                break;
            }
        }
        match failure {
            Some(source) if stopped.threads.is_empty() => {
                Err(Error::Target { pid, what: "its threads".into(), source })
            }
            None if stopped.threads.is_empty() => Err(Error::ProcessEnded(pid)),
            _ => Ok(stopped),
        }
    }

    fn suspend(&mut self, tid: u32) -> std::io::Result<()> {
        let handle = Arc::new(thread::open(tid, ACCESS)?);
        // The lock makes suspending and keeping one step for `resume_all`.
        let mut held = lock(&self.suspension.0);
        let kept = Line::begin((*handle).as_handle());
        let suspend_count = match thread::suspend((*handle).as_handle()) {
            Ok(count) => count,
            Err(error) => {
                if let Some(line) = kept {
                    line.end();
                }
                return Err(error);
            }
        };
        if let Some(line) = &kept {
            line.suspended(suspend_count);
        }
        held.push((Arc::clone(&handle), kept));
        drop(held);
        self.threads.push(StoppedThread { tid: Tid(tid), handle, suspend_count });
        Ok(())
    }

    fn take_standing(&mut self, tid: u32) -> std::io::Result<()> {
        let handle = Arc::new(thread::open(tid, ACCESS)?);
        self.threads.push(StoppedThread { tid: Tid(tid), handle, suspend_count: 0 });
        Ok(())
    }

    /// The threads, once.
    pub(super) fn take_threads(&mut self) -> Vec<StoppedThread> {
        std::mem::take(&mut self.threads)
    }

    /// Resumes them. Does nothing the second time.
    pub(super) fn release(&mut self) {
        if self.held.is_none() {
            self.suspension.resume();
            self.held = Some(self.since.elapsed());
            lock(&HELD).retain(|weak| weak.strong_count() > 0);
        }
    }

    /// Whether they go on.
    pub(super) fn is_released(&self) -> bool {
        self.held.is_some()
    }

    /// How long they have been suspended, or were until they were released.
    pub(super) fn held(&self) -> Duration {
        self.held.unwrap_or_else(|| self.since.elapsed())
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.release();
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Resuming is due whoever panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
