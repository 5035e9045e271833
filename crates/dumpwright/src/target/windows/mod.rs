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
//! Windows does not resume the threads of a dumper that is killed: a [`keeper`]
//! does, where the program has one. Whatever else ends a dump — an error, a
//! panic, Ctrl-C — resumes them; a program that is about to end without
//! unwinding calls [`resume_all`].

#[cfg(not(target_arch = "x86_64"))]
compile_error!(
    "for Windows, dumpwright is built for x86-64 only (x86_64-pc-windows-msvc or -gnu); such a build runs on Windows on ARM, too, and opens dumps there"
);

mod attach;
mod counters;
mod describe;
mod facts;
mod handles;
pub mod keeper;
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
pub use sys::console::on_close as on_console_close;
pub(crate) use sys::disk::free_space;
pub use sys::inherited::set_event;

use crate::error::Result;
use crate::target::{
    Architecture, ExceptionSnapshot, ExceptionSource, MemorySource, ModuleSnapshot, Pid,
    ProcessSnapshot, ProcessTarget, Wants,
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
        if self.snapshot.system.architecture == Architecture::X86 {
            return File::open(of_the_narrow_side(&module.path));
        }
        File::open(&module.path)
    }

    fn exception(&self, source: &ExceptionSource) -> Result<Option<ExceptionSnapshot>> {
        let ProcessSnapshot { system, threads, .. } = &self.snapshot;
        describe::evidence(system.architecture, &self.memory, threads).exception(source)
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
