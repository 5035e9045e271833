//! A process that stands still, described: what is the same however it is held.

use super::describe;
use super::exception::{Evidence, SignalInfo};
use super::mapping::Mapping;
use super::maps::Maps;
use super::memory::LinuxMemory;
use super::module_file::ModuleFiles;
use super::proc_dir::ProcDir;
use crate::error::{Error, Result};
use crate::soft_error::SoftError;
use crate::target::{
    ExceptionSnapshot, ExceptionSource, ProcessSnapshot, ThreadSnapshot, Tid, Wants, XstateLayout,
};
use std::sync::Arc;

/// What `/proc` and the memory of a process tell.
pub(super) struct Described {
    pub snapshot: ProcessSnapshot,
    pub memory: LinuxMemory,
    pub modules: ModuleFiles,
    /// The thread that a signal is about to end.
    pub(super) crash: Option<(Tid, SignalInfo)>,
}

impl Described {
    /// Describes the process of `proc`, whose `threads` have their registers and
    /// thread pointers already. `crash` is the thread that a signal is about to
    /// end, and `notes` are the soft errors so far.
    ///
    /// # Errors
    /// It has no mappings any more, or the exception that `wants` names cannot be
    /// read.
    pub fn new(
        proc: ProcDir,
        threads: Vec<ThreadSnapshot>,
        crash: Option<(Tid, SignalInfo)>,
        wants: &Wants,
        layout: Option<XstateLayout>,
        mut notes: Vec<SoftError>,
    ) -> Result<Described> {
        let pid = proc.pid;
        let maps = Maps::read(&proc, &mut notes)?;
        // The files of a process that is gone are there and empty.
        if maps.mappings.is_empty() {
            return Err(Error::ProcessEnded(pid));
        }
        let mut maps = Arc::new(maps);
        let mut memory = LinuxMemory::open(&proc);
        memory.is_mapped_as(&maps);
        if wants.full_memory {
            notes.extend(memory.unasked_shared_memory());
        }
        let snapshot = describe::describe(&proc, &maps, threads, &memory, wants, layout, notes);
        // From here on files alone matter.
        if let Some(maps) = Arc::get_mut(&mut maps) {
            maps.mappings = maps.mappings.iter().filter(Mapping::is_file).collect();
        }
        let modules = ModuleFiles::of(proc, maps);
        let mut described = Described { snapshot, memory, modules, crash };
        described.snapshot.exception = described.exception(&wants.exception)?;
        Ok(described)
    }

    /// The exception that `source` names.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn exception(&self, source: &ExceptionSource) -> Result<Option<ExceptionSnapshot>> {
        let snapshot = &self.snapshot;
        Evidence {
            pid: snapshot.process.pid,
            architecture: snapshot.system.architecture,
            threads: &snapshot.threads,
            regions: &snapshot.regions,
            memory: &self.memory,
            layout: snapshot.system.xstate.as_ref(),
            crash: self.crash,
        }
        .exception(source)
    }
}
