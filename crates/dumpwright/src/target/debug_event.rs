//! Processes that go on under a debugger, and what they stop for.
//!
//! [`ProcessTarget::resume`](super::ProcessTarget::resume) lets a process that is
//! held still run with this program as its debugger; [`RunningProcess::wait`] waits
//! until something happens; [`RunningProcess::hold`] holds the process still again,
//! where it is, to be dumped. What happened is the exception of that dump.

use super::{ProcessTarget, Tid, Wants};
use crate::error::Result;
use bitflags::bitflags;
use std::time::Duration;

bitflags! {
    /// What is worth a stop; everything else goes on unseen.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct EventFilter: u32 {
        /// An exception that nothing in the process handles and that is about to end
        /// it: on Windows at its second chance, on Linux a signal whose default is
        /// to end the process with a core dump.
        const CRASH = 1;
        /// An exception before the process sees it: on Windows at its first chance
        /// (except the breakpoint by which a debugger breaks in, and the exceptions
        /// that name threads or carry debug output), on Linux a signal of the same
        /// kind for which there is a handler.
        const FIRST_CHANCE = 2;
        /// The process is about to end of itself; its memory is still there, where the
        /// system keeps it so long.
        const EXIT = 4;
        /// Threads start and end.
        const THREADS = 8;
        /// Modules come and go (Windows only: the Linux loader tells nobody).
        const MODULES = 16;
        /// An exception of any kind, handled or not.
        const EXCEPTION = Self::CRASH.bits() | Self::FIRST_CHANCE.bits();
        /// The end of the process by whatever way; a crash is seen where it happens.
        const END = Self::CRASH.bits() | Self::EXIT.bits();
    }
}

/// Something that happened in a process, which stands still for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebugEvent {
    /// The thread that it happened in.
    pub tid: Tid,
    /// What it was.
    pub kind: DebugEventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DebugEventKind {
    /// An exception or signal.
    Exception {
        /// What the system says of it.
        record: ExceptionRecord,
        /// Whether the process has not seen it yet; an unhandled one, which ends the
        /// process if it goes on with it, is not a first chance. On Linux a signal
        /// is asked after once: `true` if there is a handler for it.
        first_chance: bool,
    },
    /// The process is about to end.
    ProcessExit {
        /// Its exit code; on Linux 128 and the number of the signal for one that a
        /// signal ends.
        code: u32,
    },
    /// This thread has started.
    ThreadStart,
    /// This thread is about to end.
    ThreadExit {
        /// Its exit code.
        code: u32,
    },
    /// A module was mapped.
    ModuleLoad {
        /// Where.
        base: u64,
    },
    /// A module is gone.
    ModuleUnload {
        /// Where it was.
        base: u64,
    },
}

/// An exception as the system tells a debugger of it (`EXCEPTION_RECORD`, winnt.h;
/// `siginfo_t` on Linux).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExceptionRecord {
    /// Code; on Linux the signal number.
    pub code: u32,
    /// Flags; on Linux `si_code`.
    pub flags: u32,
    /// Address; on Linux `si_addr` of a fault, else the instruction pointer.
    pub address: u64,
    /// Parameters.
    pub parameters: Vec<u64>,
}

/// How a process goes on from an exception; without meaning after anything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Handling {
    /// As if nobody had been there: handlers of the process run, or it ends. The
    /// breakpoints by which a debugger breaks in on Windows are taken back.
    #[default]
    NotHandled,
    /// As if the exception had not happened: on Linux the signal is dropped.
    Handled,
}

/// A process that runs with this program as its debugger.
///
/// Dropping it detaches: the process goes on by itself, with whatever it stopped for
/// not handled.
pub trait RunningProcess: Send {
    /// Lets the process go on, with what it stopped for last not handled, until
    /// something of `wanted` happens, `timeout` (if any) passes, or `cancelled`, which
    /// is asked several times a second, answers `true`. `None` for the last two: the
    /// process runs then.
    ///
    /// # Errors
    /// [`Error::ProcessEnded`](crate::Error::ProcessEnded): it is gone, and nothing
    /// wanted happened before.
    fn wait(
        &mut self,
        wanted: EventFilter,
        timeout: Option<Duration>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<DebugEvent>>;

    /// Holds the process still where it is, stopped for an event or running, and
    /// describes it. An exception that it stopped for is the exception of the
    /// snapshot, unless `wants` names another.
    ///
    /// [`release`](ProcessTarget::release) of the answer detaches, as dropping this does;
    /// [`resume`](ProcessTarget::resume) goes on under the debugger.
    ///
    /// # Errors
    /// As attaching to a process. The process goes on by itself then.
    fn hold(self: Box<Self>, wants: &Wants) -> Result<Box<dyn ProcessTarget>>;
}
