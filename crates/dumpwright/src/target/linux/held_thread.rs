//! What is known of a thread while it stands still. Runs on the tracing thread.

use super::arch;
use super::exception::SignalInfo;
use super::stat::Stat;
use super::sys;
use super::task;
use super::tracee::Stop;
use crate::target::{Pid, Registers, Tid, XstateLayout};
use std::time::Duration;

/// A thread that stands still.
#[derive(Clone, Debug)]
pub(super) struct HeldThread {
    /// Its id.
    pub(super) tid: Tid,
    /// Its registers.
    pub(super) registers: Registers,
    /// FS base or `TPIDR_EL0`.
    pub(super) thread_pointer: u64,
    /// GS base where FS base is the thread pointer.
    pub(super) second_pointer: u64,
    /// The signal that it is stopped for.
    pub(super) signal: Option<SignalInfo>,
    /// Signals that wait for this thread.
    pub(super) pending: Vec<SignalInfo>,
    /// Whether it is stopped, and not merely blocked in the kernel with only
    /// instruction and stack pointer known.
    pub(super) stopped: bool,
}

/// What is said of the kernel's threads inside a process.
pub(super) const WORKER: &str =
    "is a worker of the kernel inside the process; it has neither user registers nor a stack";

/// Looks at one thread; answers what is known, with a note where that is not
/// all, or why nothing is known.
pub(super) fn inspect(
    pid: Pid,
    tid: Tid,
    stop: Option<Stop>,
    timeout: Duration,
    layout: Option<&XstateLayout>,
) -> Result<(HeldThread, Option<String>), String> {
    let Some(stop) = stop else {
        return blocked_thread(pid, tid, timeout);
    };
    let arch::ThreadState { registers, thread_pointer, second_pointer } =
        arch::thread_registers(tid, layout)
            .map_err(|error| format!("its registers cannot be read ({error}); it was left out"))?;
    // No user thread has a stack pointer of 0, so this costs the others nothing.
    if registers.stack_pointer == 0
        && Stat::of_thread(pid, tid).is_some_and(|stat| stat.is_user_worker())
    {
        return Err(WORKER.into());
    }
    let signal = match stop {
        Stop::Signal(_) => sys::signal_info(tid).ok().map(|info| SignalInfo::parse(&info)),
        _ => None,
    };
    let pending = pending_signals(tid);
    let stopped = true;
    let thread =
        HeldThread { tid, registers, thread_pointer, second_pointer, signal, pending, stopped };
    Ok((thread, None))
}

/// A thread that does not stop is usually blocked in the kernel, which then
/// tells where: enough for its stack.
fn blocked_thread(
    pid: Pid,
    tid: Tid,
    timeout: Duration,
) -> Result<(HeldThread, Option<String>), String> {
    let state = Stat::of_thread(pid, tid).map_or('?', |stat| stat.state());
    let what = format!("did not stop within {timeout:?} (state {state})");
    let Some((ip, sp)) = task::blocked_at(pid, tid) else {
        return Err(format!("{what}; it was left out"));
    };
    let thread = HeldThread {
        tid,
        registers: arch::sparse_registers(ip, sp),
        thread_pointer: 0,
        second_pointer: 0,
        signal: None,
        pending: Vec::new(),
        stopped: false,
    };
    Ok((thread, Some(format!("{what}; only its instruction and stack pointer are known"))))
}

fn pending_signals(tid: Tid) -> Vec<SignalInfo> {
    // A synchronous signal is queued before all others, so the first few do.
    let mut infos = [[0; sys::SIGINFO_SIZE]; 8];
    let found = sys::pending_signals(tid, &mut infos).unwrap_or(0);
    infos[..found.min(infos.len())].iter().map(SignalInfo::parse).collect()
}
