//! This program as the debugger of a process.
//!
//! Whatever becomes of it, the process goes on by itself: an error, a panic and Ctrl-C
//! answer what it stands still for and detach; and the debug object ends no process when
//! it is closed, as it is if this program is killed.

use super::stop::{Stopped, lock};
use super::sys::debug::{self, DebugObject};
use super::sys::{information, memory, process, system, thread};
use crate::error::{Error, Result};
use crate::target::nt::debugged::{self, Stop, Surroundings};
use crate::target::nt::registers::registers;
use crate::target::{Architecture, DebugEventKind, Handling, Pid, Tid};
use std::io;
use std::os::windows::io::{AsHandle, OwnedHandle};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use windows_sys::Wdk::System::Threading::{ProcessDebugPort, ThreadQuerySetWin32StartAddress};
use windows_sys::Win32::System::Threading::{
    PROCESS_ACCESS_RIGHTS, PROCESS_QUERY_INFORMATION, PROCESS_SUSPEND_RESUME, PROCESS_SYNCHRONIZE,
    PROCESS_VM_READ, PROCESS_VM_WRITE, THREAD_GET_CONTEXT, THREAD_QUERY_INFORMATION,
};

/// What a debugger needs; Wine asks for the right to write, too.
const ACCESS: PROCESS_ACCESS_RIGHTS = PROCESS_SUSPEND_RESUME
    | PROCESS_QUERY_INFORMATION
    | PROCESS_VM_READ
    | PROCESS_VM_WRITE
    | PROCESS_SYNCHRONIZE;

/// How many events are answered before a process is let go: what was on its way.
const MOST_ON_THEIR_WAY: usize = 10_000;

/// What this process debugs.
static DEBUGGED: Mutex<Vec<Weak<Attached>>> = Mutex::new(Vec::new());

/// Lets every process that is debugged go on by itself, for a program that ends without
/// unwinding.
pub(super) fn detach_all() {
    let all: Vec<_> = lock(&DEBUGGED).drain(..).collect();
    for attached in all.iter().filter_map(Weak::upgrade) {
        attached.let_go();
    }
}

/// A process that this one debugs until this is dropped.
#[derive(Debug)]
pub(super) struct Debugger(Arc<Attached>);

#[derive(Debug)]
struct Attached {
    pid: Pid,
    process: OwnedHandle,
    narrow: bool,
    object: DebugObject,
    /// Set by who wants it let go, so that nobody waits for its events any more.
    leaving: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    attached: bool,
    /// What it stands still for.
    stop: Option<Stop>,
}

impl Debugger {
    /// Becomes the debugger of a process whose threads are suspended: what has been
    /// until now is over when this returns, and what comes is an event.
    ///
    /// # Errors
    /// It has a debugger, has ended, or may not be debugged.
    pub(super) fn attach(pid: Pid) -> Result<Debugger> {
        let failed = |source| Error::Target { pid, what: "its debug events".into(), source };
        let process = process::open(pid.0, ACCESS).map_err(|error| {
            let reason =
                format!("its debugger would have to suspend it ({error}); run as administrator");
            Error::AccessDenied { pid, reason }
        })?;
        let attached = Arc::new(Attached {
            pid,
            narrow: process::is_wow64(process.as_handle()),
            process,
            object: DebugObject::new().map_err(failed)?,
            leaving: AtomicBool::new(false),
            state: Mutex::default(),
        });
        {
            // The lock makes attaching and keeping one step for `detach_all`.
            let mut debugged = lock(&DEBUGGED);
            debugged.retain(|weak| weak.strong_count() > 0);
            let process = attached.process.as_handle();
            attached.object.attach(process).map_err(|error| {
                // Windows and Wine give different reasons for a process that has one.
                let debugger = information::of_process::<1>(process, ProcessDebugPort);
                if debugger.is_ok_and(|[port]| port != 0) {
                    let reason = "a debugger has it already; detach that one first".into();
                    return Error::AccessDenied { pid, reason };
                }
                attached.failed(error)
            })?;
            lock(&attached.state).attached = true;
            debugged.push(Arc::downgrade(&attached));
        }
        let debugger = Debugger(attached);
        // The threads and modules that are there are told as if they came now.
        while debugger.next(Duration::ZERO)?.is_some() {
            debugger.go_on(Handling::NotHandled)?;
        }
        Ok(debugger)
    }

    /// The process.
    pub(super) fn pid(&self) -> Pid {
        self.0.pid
    }

    /// What the process stands still for, or stops for within so long.
    ///
    /// # Errors
    /// It was let go, or the kernel tells nothing.
    pub(super) fn next(&self, patience: Duration) -> Result<Option<Stop>> {
        let attached = &*self.0;
        if attached.leaving.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        let mut state = lock(&attached.state);
        if state.stop.is_none() {
            state.stop = attached.next(patience).map_err(|source| attached.failed(source))?;
        }
        Ok(state.stop.clone())
    }

    /// Lets it go on from what it stands still for, if anything. An exception that is
    /// not handled here is answered as by one who only watches.
    pub(super) fn go_on(&self, handling: Handling) -> Result<()> {
        let attached = &*self.0;
        let stop = lock(&attached.state).stop.take();
        stop.map_or(Ok(()), |stop| attached.answer(&stop, handling))
            .map_err(|source| attached.failed(source))
    }

    /// What is needed to judge an event.
    pub(super) fn surroundings(&self) -> &dyn Surroundings {
        &*self.0
    }
}

impl Drop for Debugger {
    fn drop(&mut self) {
        self.0.let_go();
    }
}

impl Attached {
    fn failed(&self, source: io::Error) -> Error {
        if process::has_ended(self.process.as_handle()) {
            return Error::ProcessEnded(self.pid);
        }
        Error::Target { pid: self.pid, what: "its debug events".into(), source }
    }

    fn next(&self, patience: Duration) -> io::Result<Option<Stop>> {
        let Some(change) = self.object.wait(patience)? else { return Ok(None) };
        let mut stop = debugged::stop(&change, self.narrow);
        debug::close(&stop.handles);
        self.correct(&mut stop);
        tracing::trace!(pid = %self.pid, ?stop, "a debug event");
        Ok(Some(stop))
    }

    /// An exception that the 64-bit side of a 32-bit process raises for the other has
    /// the place of that call under Wine; what matters is where its 32-bit code is.
    fn correct(&self, stop: &mut Stop) {
        let tid = stop.tid();
        if self.narrow
            && let Some(DebugEventKind::Exception { record, .. }) = &mut stop.kind
            && self.is_of_the_wide_side(record.address)
            && let Some(address) = narrow_instruction(tid)
        {
            record.address = address;
        }
    }

    /// Whether an address of a 32-bit process is in what makes its system calls.
    fn is_of_the_wide_side(&self, address: u64) -> bool {
        address > u32::MAX.into() || self.is_in(address, "\\wow64")
    }

    /// Whether the path of the file that is mapped at an address ends with a name that
    /// begins so.
    fn is_in(&self, address: u64, name: &str) -> bool {
        memory::mapped_file(self.process.as_handle(), address).is_some_and(|path| {
            let path = path.to_lowercase();
            path.rfind('\\').is_some_and(|at| path[at..].starts_with(name))
        })
    }

    fn answer(&self, stop: &Stop, handling: Handling) -> io::Result<()> {
        let handled = handling == Handling::Handled || stop.answer(self) == Handling::Handled;
        self.object.go_on(stop.client, handled)
    }

    /// Detaches, with everything answered that has come until then. The threads are
    /// suspended meanwhile: what one of them raised in between would be neither told nor
    /// handled.
    fn let_go(&self) {
        self.leaving.store(true, Ordering::Relaxed);
        let mut state = lock(&self.state);
        if !std::mem::take(&mut state.attached) {
            return;
        }
        let still = Stopped::stop(self.pid, None, &mut Vec::new());
        let stops = state
            .stop
            .take()
            .into_iter()
            .chain(std::iter::from_fn(|| self.next(Duration::ZERO).ok().flatten()));
        for stop in stops.take(MOST_ON_THEIR_WAY) {
            if let Err(error) = self.answer(&stop, Handling::NotHandled) {
                tracing::debug!(pid = %self.pid, %error, "a debug event was not answered");
            }
        }
        // It fails for one that has ended.
        if let Err(error) = self.object.detach(self.process.as_handle()) {
            tracing::debug!(pid = %self.pid, %error, "was not detached from");
        }
        drop(still);
    }
}

impl Surroundings for Attached {
    fn is_in_ntdll(&self, address: u64) -> bool {
        self.is_in(address, "\\ntdll.dll")
    }

    fn breaks_in(&self, tid: Tid) -> bool {
        let start = thread::open(tid.0, THREAD_QUERY_INFORMATION).and_then(|thread| {
            information::of_thread::<1>(thread.as_handle(), ThreadQuerySetWin32StartAddress)
        });
        // ntdll is where it is in every process.
        start.is_ok_and(|[start]| Some(start) == system::break_in_routine())
    }
}

/// Where the 32-bit code of a thread is that stands still for an event.
fn narrow_instruction(tid: Tid) -> Option<u64> {
    let thread = thread::open(tid.0, THREAD_GET_CONTEXT | THREAD_QUERY_INFORMATION).ok()?;
    let context = thread::wow64_context(thread.as_handle()).ok()?;
    registers(Architecture::X86, context).map(|registers| registers.instruction_pointer)
}
