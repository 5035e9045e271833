//! From a number to a process that is held: which process is meant, whether it
//! is one that can be dumped, and that it is still the same once it is stopped.

use super::access;
use super::stat::Stat;
use super::sys;
use super::task::{self, TaskStatus};
use crate::error::{Error, Result};
use crate::soft_error::SoftError;
use crate::target::Pid;
use rustix::io::Errno;
use rustix::process::{PidfdFlags, pidfd_open};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// A process that was checked and is known by more than its number.
#[derive(Debug)]
pub(super) struct Identity {
    /// The process (its thread group, if a thread's id was given).
    pub(super) pid: Pid,
    /// Stands for the process whatever becomes of the number; `None` before
    /// Linux 5.3 and where seccomp forbids it.
    pidfd: Option<OwnedFd>,
    /// Tells a process from a later one of the same number, without a pidfd.
    start_time: u64,
}

impl Identity {
    /// Finds the process that `number`, a process or thread id, means.
    ///
    /// # Errors
    /// There is none, or it is a zombie, a kernel thread or this process.
    pub(super) fn find(number: Pid, notes: &mut Vec<SoftError>) -> Result<Self> {
        if let Some(reason) = foreign_proc() {
            return Err(Error::AccessDenied { pid: number, reason });
        }
        let pid = group_of(number)?;
        if pid != number {
            let message = format!("is a thread of process {pid}, which was dumped");
            notes.push(SoftError::new(format!("thread {number}"), message));
        }
        if pid.0 == std::process::id() {
            return Err(Error::OwnProcess(number));
        }
        let pidfd = open_pidfd(pid, notes)?;
        // What is read from here on is about the process of the pidfd, if that
        // still lives when `is_the_same` is asked.
        let stat = check_kind(pid, pidfd.as_ref())?;
        Ok(Identity { pid, pidfd, start_time: stat.start_ticks() })
    }

    /// Whether the process still lives, so that all that was read under its
    /// number in the meantime was about it.
    ///
    /// # Errors
    /// [`Error::ProcessEnded`].
    pub(super) fn is_the_same(&self) -> Result<()> {
        let alive = match &self.pidfd {
            Some(pidfd) => !sys::has_ended(pidfd.as_fd()),
            None => main_stat(self.pid).is_some_and(|stat| stat.start_ticks() == self.start_time),
        };
        if alive { Ok(()) } else { Err(Error::ProcessEnded(self.pid)) }
    }
}

/// What is wrong if `/proc` counts processes otherwise than system calls do: it
/// belongs to another PID namespace, and tells of another process by the same
/// number.
fn foreign_proc() -> Option<String> {
    const WAY_OUT: &str = "mount this namespace's (`mount -t proc proc /proc`, `unshare --mount-proc`), or run dumpwright outside";
    match TaskStatus::read("/proc/self/status") {
        Err(error) => Some(format!("/proc does not show this program ({error}); {WAY_OUT}")),
        // Kernels without namespaces have no such line.
        Ok(status) => status
            .field("NSpid")
            .is_some_and(|pids| pids.split_ascii_whitespace().count() > 1)
            .then(|| format!("/proc is that of another PID namespace, where its number is another process's; {WAY_OUT}")),
    }
}

/// The process that a process or thread id belongs to.
fn group_of(number: Pid) -> Result<Pid> {
    if number.0 == 0 || i32::try_from(number.0).is_err() {
        return Err(Error::NoSuchProcess(number));
    }
    match TaskStatus::read(format!("/proc/{number}/status")) {
        Ok(status) => Ok(status.number("Tgid").map_or(number, Pid)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(hidden_or_missing(number)),
        Err(error) => {
            Err(Error::AccessDenied { pid: number, reason: access::explain(number, &error) })
        }
    }
}

/// `/proc` can be mounted so that it hides the processes of others.
fn hidden_or_missing(number: Pid) -> Error {
    let exists = rustix_pid(number)
        .is_some_and(|pid| !matches!(rustix::process::test_kill_process(pid), Err(Errno::SRCH)));
    if exists && !std::path::Path::new(&format!("/proc/{number}")).exists() {
        return Error::AccessDenied {
            pid: number,
            reason: "/proc hides it (hidepid); run dumpwright with sudo".into(),
        };
    }
    Error::NoSuchProcess(number)
}

fn rustix_pid(pid: Pid) -> Option<rustix::process::Pid> {
    rustix::process::Pid::from_raw(i32::try_from(pid.0).ok()?)
}

fn open_pidfd(pid: Pid, notes: &mut Vec<SoftError>) -> Result<Option<OwnedFd>> {
    let raw = rustix_pid(pid).ok_or(Error::NoSuchProcess(pid))?;
    match pidfd_open(raw, PidfdFlags::empty()) {
        Ok(pidfd) => Ok(Some(pidfd)),
        // EINVAL: the main thread has been reaped and the number is not a
        // process's any more.
        Err(Errno::SRCH | Errno::INVAL) => Err(Error::ProcessEnded(pid)),
        Err(error) => {
            let message = format!(
                "no pidfd could be opened ({error}); that it is the same process was checked by its start time"
            );
            notes.push(SoftError::new(format!("process {pid}"), message));
            Ok(None)
        }
    }
}

fn main_stat(pid: Pid) -> Option<Stat> {
    Stat::of_thread(pid, crate::target::Tid(pid.0))
}

/// Checks that it is a process with memory; answers the `stat` of its main thread.
fn check_kind(pid: Pid, pidfd: Option<&OwnedFd>) -> Result<Stat> {
    let stat = main_stat(pid).ok_or(Error::ProcessEnded(pid))?;
    if stat.is_kernel_thread() {
        return Err(Error::KernelThread(pid));
    }
    // An exited main thread is a zombie as long as others go on. One of them may
    // take its place by an exec while they are listed, which a pidfd is above.
    if stat.has_ended() {
        let lives = match pidfd {
            Some(pidfd) => !sys::has_ended(pidfd.as_fd()),
            None => any_lives(pid)?,
        };
        if !lives {
            return Err(Error::Zombie(pid));
        }
    }
    Ok(stat)
}

/// Whether any thread of a process lives.
fn any_lives(pid: Pid) -> Result<bool> {
    let tids = task::list(pid).map_err(|_| Error::ProcessEnded(pid))?;
    let lives = |tid| Stat::of_thread(pid, tid).is_some_and(|stat| !stat.has_ended());
    Ok(tids.into_iter().any(lives))
}
