//! ELF cores of Linux processes, by the kernel, gdb's `gcore` and others.
//!
//! [`CoreProcess::open`] walks through these modules in order:
//!
//! 1. `file`: header, segments and note segments, however damaged;
//! 2. `notes`: what the notes say;
//! 3. `maps`: the mappings, from segments and `NT_FILE`;
//! 4. `memory` and `files`: the bytes, those that the core left out filled in
//!    from the very files that were mapped, told by their build id;
//! 5. `describe`: everything as a snapshot, with the modules that also describe
//!    live processes ([`linux`](super::linux)).

mod describe;
mod file;
mod files;
mod initial_stack;
mod linked;
mod maps;
mod memory;
pub(super) mod notes;
mod own;
pub(super) mod threads;

#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::target::{MemorySource, ModuleSnapshot, ProcessSnapshot, ProcessTarget, Wants};
use file::CoreFile;
use files::CoreFiles;
use memory::CoreMemory;
use notes::Notes;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

/// The process that an ELF core holds.
pub struct CoreProcess {
    snapshot: ProcessSnapshot,
    memory: CoreMemory,
    files: CoreFiles,
}

impl CoreProcess {
    /// Opens a core. `path` is for messages; `sysroot` is where the programs
    /// and libraries are that the process had mapped, if not in this machine's
    /// root.
    ///
    /// # Errors
    /// [`Error::NotATarget`]: it is no core of a 64-bit process;
    /// [`Error::InvalidRequest`]: the exception that `wants` names is not there.
    pub fn open(
        path: &Path,
        file: File,
        wants: &Wants,
        sysroot: Option<&Path>,
    ) -> Result<CoreProcess> {
        let refuse = |reason: String| Error::NotATarget { file: path.to_owned(), reason };
        let core = CoreFile::read(&file).map_err(refuse)?;
        let mut notes = Notes::default();
        for (bytes, align) in &core.notes {
            notes.take(bytes, *align);
        }
        if notes.is_machine {
            return Err(refuse("it is memory of a machine, which holds no single process".into()));
        }
        if notes.threads.is_empty() && core.segments.is_empty() {
            return Err(refuse("it holds neither threads nor memory".into()));
        }
        let files = CoreFiles::new(sysroot);
        let (snapshot, memory) = describe::describe(file, &core, &notes, &files, wants)?;
        Ok(CoreProcess { snapshot, memory, files })
    }
}

impl ProcessTarget for CoreProcess {
    fn snapshot(&self) -> &ProcessSnapshot {
        &self.snapshot
    }

    fn memory(&self) -> &dyn MemorySource {
        &self.memory
    }

    fn release(&mut self) {}

    fn held(&self) -> Option<Duration> {
        None
    }

    fn open_module(&self, module: &ModuleSnapshot) -> io::Result<File> {
        self.files.open_module(module)
    }
}
