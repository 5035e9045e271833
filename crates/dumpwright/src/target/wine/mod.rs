//! Processes under Wine, dumped from outside as the Windows processes that they
//! are.
//!
//! [`WineProcess::attach`] stops the process as Linux does (`target/linux`), and
//! reads what Windows leaves in its memory (`target/nt`):
//!
//! 1. `teb`: which threads are threads of Windows, and where the PEB is;
//! 2. `describe`: modules and company, by the loader's list;
//! 3. `tables` and `regions`: the address space as Wine's own tables have it,
//!    or else as the kernel maps it;
//! 4. `threads` and `frame`: Windows registers, also of threads that are in a
//!    system call or signal handler;
//! 5. what is left over is the [`UnixSide`](crate::target::UnixSide).
//!
//! Nothing here asks the wineserver, so what only that knows (handles, suspend
//! counts, priorities) is missing, and noted.

#![forbid(unsafe_code)]

mod code;
mod describe;
mod exception;
mod frame;
mod modules;
mod narrow;
mod regions;
mod system;
mod tables;
mod teb;
mod threads;

use crate::error::Result;
use crate::soft_error::SoftError;
use crate::target::linux::LinuxProcess;
use crate::target::{
    ExceptionSource, MemorySource, ModuleSnapshot, Pid, ProcessSnapshot, ProcessTarget, Wants,
};
use std::fs::File;
use std::io;
use std::time::Duration;

/// A live process under Wine that is held still.
pub struct WineProcess {
    linux: LinuxProcess,
    snapshot: ProcessSnapshot,
}

impl WineProcess {
    /// Stops a process and describes it. `pid` is what Linux calls it.
    ///
    /// # Errors
    /// Those of [`LinuxProcess::attach`]; it is not a process under a 64-bit Wine.
    /// Nothing is held then.
    pub fn attach(pid: Pid, wants: &Wants) -> Result<WineProcess> {
        // What these find out is of Linux, and would be thrown away.
        let of_linux = Wants {
            handles: false,
            process_data: false,
            module_headers: false,
            exception: ExceptionSource::default(),
            ..wants.clone()
        };
        let linux = LinuxProcess::attach(pid, &of_linux)?;
        let snapshot = describe::describe(&linux, wants)?;
        Ok(WineProcess { linux, snapshot })
    }
}

impl ProcessTarget for WineProcess {
    fn snapshot(&self) -> &ProcessSnapshot {
        &self.snapshot
    }

    fn memory(&self) -> &dyn MemorySource {
        self.linux.memory()
    }

    fn release(&mut self) {
        self.linux.release();
    }

    fn held(&self) -> Option<Duration> {
        self.linux.held()
    }

    fn open_module(&self, module: &ModuleSnapshot) -> io::Result<File> {
        self.linux.open_module(module)
    }
}

/// For a process that is dumped as a Linux one: that it could be dumped as one
/// of Windows, if it could.
pub(crate) fn hint(linux: &LinuxProcess) -> Option<SoftError> {
    teb::find(linux).iter().find_map(|(_, teb)| teb.as_ref())?;
    let message = "it runs under Wine and was dumped as a Linux process; --wine dumps it as the Windows process that it is";
    Some(SoftError::new("process", message))
}
