//! Live Windows processes (and Wine's, seen from inside).
//!
//! [`WindowsProcess::attach`] walks through these modules in order:
//!
//! 1. `attach`: the process is opened, with a word on why it cannot be;
//! 2. `stop`: all its threads are suspended, until two lists agree;
//! 3. `memory` and `regions`: its memory is opened and its map read;
//! 4. `describe` and its company: what the system and the process's own memory
//!    (`target/nt`) tell.
//!
//! [`ProcessTarget::resume`] lets it run again, with this program as its `debugger`, and
//! `running` waits for events.
//!
//! Windows does not resume the threads of a dumper that is killed: a [`keeper`]
//! does, where the program has one. Whatever else ends a dump — an error, a
//! panic, Ctrl-C — resumes them; a program that is about to end without
//! unwinding calls [`resume_all`].

#[cfg(not(target_arch = "x86_64"))]
compile_error!(
    "for Windows, dumpwright is built for x86-64 only (x86_64-pc-windows-msvc or -gnu); such a build runs on Windows on ARM, too, and opens dumps there"
);

mod attach;
mod contexts;
mod counters;
mod debugger;
mod describe;
mod facts;
mod handles;
pub mod keeper;
mod memory;
mod modules;
pub mod processes;
mod regions;
mod running;
mod stop;
mod sys;
mod system;
mod threads;
mod token;

pub use memory::WindowsMemory;
pub use sys::console::on_close as on_console_close;
pub(crate) use sys::disk::free_space;
pub use sys::inherited::set_event;

use crate::error::Result;
use crate::soft_error::SoftError;
use crate::target::{
    Architecture, DebugEvent, DebugEventKind, ExceptionSnapshot, ExceptionSource, Handling,
    MemorySource, ModuleSnapshot, Pid, ProcessSnapshot, ProcessTarget, RunningProcess, Wants,
};
use debugger::Debugger;
use running::RunningWindowsProcess;
use std::fs::File;
use std::io;
use std::time::Duration;
use stop::Stopped;

/// Lets every process that is being dumped or debugged go on, for a program that ends
/// without unwinding.
pub fn resume_all() {
    debugger::detach_all();
    stop::resume_all();
}

/// A live process that is held still.
pub struct WindowsProcess {
    // Fields drop in order: first let the process go. Its threads go on last, so that
    // nothing happens in it that the debugger would not answer any more.
    debugger: Option<Debugger>,
    stopped: Stopped,
    snapshot: ProcessSnapshot,
    memory: WindowsMemory,
}

impl WindowsProcess {
    /// Suspends a process and describes it.
    ///
    /// # Errors
    /// There is no such process; it is this one; it may not be opened; it has
    /// ended; or the exception that `wants` names cannot be read. Nothing is
    /// held then.
    pub fn attach(pid: Pid, wants: &Wants) -> Result<WindowsProcess> {
        let memory = WindowsMemory::new(attach::open(pid)?);
        Self::hold(pid, memory, wants, None, None)
    }

    /// The same for the process that `memory` is of, which stands still for `event`
    /// already, if any.
    fn hold(
        pid: Pid,
        memory: WindowsMemory,
        wants: &Wants,
        debugger: Option<Debugger>,
        event: Option<DebugEvent>,
    ) -> Result<WindowsProcess> {
        let mut notes = Vec::new();
        let standing = event.as_ref().map(|event| event.tid);
        let mut stopped = Stopped::stop(pid, standing, &mut notes)?;
        let threads = stopped.take_threads();
        let mut snapshot = describe::describe(pid, &memory, &threads, wants, notes)?;
        tracing::debug!(%pid, threads = snapshot.threads.len(), held = ?stopped.held(), "described");
        if let Some(event) = event.filter(|_| !wants.exception.is_given()) {
            snapshot.exception = exception_of(&event, &mut snapshot);
        }
        Ok(WindowsProcess { debugger, stopped, snapshot, memory })
    }
}

/// The exception that a process stopped for, with the registers that the thread has
/// meanwhile: those at the exception.
fn exception_of(event: &DebugEvent, snapshot: &mut ProcessSnapshot) -> Option<ExceptionSnapshot> {
    let DebugEventKind::Exception { record, .. } = &event.kind else { return None };
    let Some(thread) = snapshot.threads.iter().find(|thread| thread.tid == event.tid) else {
        let message = format!(
            "exception {:#x} at {:#x} is not in the dump, since its thread is not",
            record.code, record.address
        );
        snapshot.soft_errors.push(SoftError::new(format!("thread {}", event.tid), message));
        return None;
    };
    Some(ExceptionSnapshot {
        tid: event.tid,
        code: record.code,
        flags: record.flags,
        address: record.address,
        parameters: record.parameters.clone(),
        registers: thread.registers.clone(),
    })
}

impl ProcessTarget for WindowsProcess {
    fn snapshot(&self) -> &ProcessSnapshot {
        &self.snapshot
    }

    fn memory(&self) -> &dyn MemorySource {
        &self.memory
    }

    fn release(&mut self) {
        drop(self.debugger.take());
        self.stopped.release();
    }

    fn held(&self) -> Option<Duration> {
        Some(self.stopped.held())
    }

    fn open_module(&self, module: &ModuleSnapshot) -> io::Result<File> {
        if self.snapshot.system.architecture == Architecture::X86 {
            return File::open(of_the_narrow_side(&module.path));
        }
        File::open(&module.path)
    }

    fn exception(&self, source: &ExceptionSource) -> Result<Option<ExceptionSnapshot>> {
        let ProcessSnapshot { system, threads, .. } = &self.snapshot;
        describe::evidence(system.architecture, &self.memory, threads).exception(source)
    }

    fn resume(self: Box<Self>, handling: Handling) -> Result<Box<dyn RunningProcess>> {
        let WindowsProcess { debugger, mut stopped, snapshot, memory } = *self;
        let pid = snapshot.process.pid;
        let debugger = if let Some(debugger) = debugger {
            debugger.go_on(handling)?;
            debugger
        } else {
            if stopped.is_released() {
                stopped = Stopped::stop(pid, None, &mut Vec::new())?;
            }
            Debugger::attach(pid)?
        };
        stopped.release();
        Ok(Box::new(RunningWindowsProcess::new(debugger, memory)))
    }
}

/// Where a 32-bit process's file is for a 64-bit one: the system gives the one
/// its own libraries in the folder where the other sees 64-bit ones.
fn of_the_narrow_side(path: &str) -> String {
    sys::system::system_folders()
        .and_then(|(wide, narrow)| {
            let (head, tail) = path.split_at_checked(wide.len())?;
            (head.eq_ignore_ascii_case(&wide) && tail.starts_with('\\'))
                .then(|| format!("{narrow}{tail}"))
        })
        .unwrap_or_else(|| path.to_owned())
}
