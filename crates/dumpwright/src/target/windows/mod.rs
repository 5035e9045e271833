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
//! Windows does not resume the threads of a dumper that is killed: the process
//! then stands still until someone else resumes it. Whatever else ends a dump —
//! an error, a panic, Ctrl-C — resumes them; a program that is about to end
//! without unwinding calls [`resume_all`].

mod attach;
mod counters;
mod describe;
mod handles;
mod memory;
mod modules;
pub mod processes;
mod regions;
mod stop;
mod sys;
mod system;
mod threads;
mod token;

pub use memory::WindowsMemory;
pub use stop::resume_all;

use crate::error::Result;
use crate::target::{
    ExceptionSnapshot, ExceptionSource, MemorySource, ModuleSnapshot, Pid, ProcessSnapshot,
    ProcessTarget, Wants,
};
use std::fs::File;
use std::io;
use std::time::Duration;
use stop::Stopped;

/// A live process that is held still.
pub struct WindowsProcess {
    // Fields drop in order: first let the process go.
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
        let process = attach::open(pid)?;
        let mut notes = Vec::new();
        let mut stopped = Stopped::stop(pid, &mut notes)?;
        let memory = WindowsMemory::new(process);
        let threads = stopped.take_threads();
        let snapshot = describe::describe(pid, &memory, &threads, wants, notes)?;
        tracing::debug!(%pid, threads = snapshot.threads.len(), held = ?stopped.held(), "described");
        Ok(WindowsProcess { stopped, snapshot, memory })
    }
}

impl ProcessTarget for WindowsProcess {
    fn snapshot(&self) -> &ProcessSnapshot {
        &self.snapshot
    }

    fn memory(&self) -> &dyn MemorySource {
        &self.memory
    }

    fn release(&mut self) {
        self.stopped.release();
    }

    fn held(&self) -> Option<Duration> {
        Some(self.stopped.held())
    }

    fn open_module(&self, module: &ModuleSnapshot) -> io::Result<File> {
        File::open(&module.path)
    }

    fn exception(&self, source: &ExceptionSource) -> Result<Option<ExceptionSnapshot>> {
        let ProcessSnapshot { system, threads, .. } = &self.snapshot;
        describe::evidence(system.architecture, &self.memory, threads).exception(source)
    }
}
