//! A process that the kernel holds because it crashed.
//!
//! While the kernel hands a core to the handler in `core_pattern`, the process
//! stands still with its memory, its descriptors and its `/proc` files in
//! place. Its registers cannot be had by ptrace, though: its threads sleep in
//! the kernel on their way out and never come to a ptrace stop. (On Linux 6.18
//! `PTRACE_SEIZE` succeeds, `PTRACE_GETREGS` fails with ESRCH, and
//! `PTRACE_INTERRUPT` wakes the thread that writes the core, which ends the core
//! and the process. So nothing here may attach.)
//!
//! The registers come from the notes at the head of the core instead
//! ([`CoreHead`]), memory and everything else from `/proc` as for a process that
//! runs. The rest of the core is never read: the kernel waits for the pipe, and
//! lets the process go when it is closed.

use super::arch;
use super::core_head::CoreHead;
use super::described::Described;
use super::namespace_ids::NamespaceIds;
use super::proc_dir::ProcDir;
use crate::error::{Error, Result};
use crate::soft_error::SoftError;
use crate::target::core::notes::Notes;
use crate::target::core::threads::{crash, registers};
use crate::target::{
    MemorySource, ModuleSnapshot, Pid, ProcessSnapshot, ProcessTarget, ThreadSnapshot, Tid, Wants,
    XstateLayout,
};
use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

/// A process that stands still because it crashed.
pub struct CrashedProcess {
    process: Described,
    hold: Option<Box<dyn Send>>,
    since: Instant,
    held: Option<Duration>,
}

impl CrashedProcess {
    /// Describes process `pid`, which the kernel holds, by its `/proc` files and
    /// the head of its core.
    ///
    /// # Errors
    /// Its `/proc` files cannot be read, or it is not the process of that core.
    pub fn open(pid: Pid, head: &CoreHead, wants: &Wants) -> Result<CrashedProcess> {
        let since = Instant::now();
        let mut notes = Vec::new();
        let layout = arch::xstate_layout(wants);
        let core = head.notes();
        let ids = NamespaceIds::of(pid);
        let threads = threads(pid, &core, layout.as_ref(), &ids, &mut notes);
        let crashed = threads.first().ok_or_else(|| not_its_core(pid))?.tid;
        let crash = crash(&core).and_then(|(tid, signal)| Some((ids.outer(tid.0)?, signal)));
        let threads = main_thread_first(pid, threads);
        let proc = ProcDir::new(pid, crashed);
        let process = Described::new(proc, threads, crash, wants, layout, notes)?;
        Ok(CrashedProcess { process, hold: None, since, held: None })
    }

    /// Gives it what makes the kernel hold the process, the core's pipe: it is
    /// dropped when the process is released.
    #[must_use]
    pub fn held_by(mut self, hold: impl Send + 'static) -> Self {
        self.hold = Some(Box::new(hold));
        self
    }
}

impl ProcessTarget for CrashedProcess {
    fn snapshot(&self) -> &ProcessSnapshot {
        &self.process.snapshot
    }

    fn memory(&self) -> &dyn MemorySource {
        &self.process.memory
    }

    fn release(&mut self) {
        self.process.memory.process_released();
        self.hold = None;
        self.held.get_or_insert_with(|| self.since.elapsed());
    }

    fn held(&self) -> Option<Duration> {
        Some(self.held.unwrap_or_else(|| self.since.elapsed()))
    }

    fn open_module(&self, module: &ModuleSnapshot) -> io::Result<File> {
        self.process.modules.open(module)
    }
}

/// The threads in the order of the core, in the dumper's numbers. Empty if the
/// first, which crashed, is not among those of the process.
fn threads(
    pid: Pid,
    core: &Notes<'_>,
    layout: Option<&XstateLayout>,
    ids: &NamespaceIds,
    notes: &mut Vec<SoftError>,
) -> Vec<ThreadSnapshot> {
    let architecture = arch::NATIVE;
    let mut threads = Vec::with_capacity(core.threads.len());
    for (index, thread) in core.threads.iter().enumerate() {
        let inner = thread.status.pid.get();
        let mut left_out = |why: &str| {
            notes
                .push(SoftError::new(format!("thread {inner}"), format!("{why}; it was left out")));
        };
        let found = ids.outer(inner).filter(|tid| index > 0 || is_thread_of(pid, *tid));
        match (found, registers(architecture, thread, layout)) {
            (Some(tid), Some((registers, thread_pointer))) => {
                threads.push(super::thread_snapshot_of(tid, registers, thread_pointer));
            }
            _ if index == 0 => return Vec::new(),
            (None, _) => left_out("is not among the threads of the process"),
            (_, None) => left_out("has too few bytes for its registers in the core"),
        }
    }
    threads
}

fn is_thread_of(pid: Pid, tid: Tid) -> bool {
    std::path::Path::new(&format!("/proc/{pid}/task/{tid}")).exists()
}

fn main_thread_first(pid: Pid, mut threads: Vec<ThreadSnapshot>) -> Vec<ThreadSnapshot> {
    threads.sort_by_key(|thread| (thread.tid.0 != pid.0, thread.tid));
    threads
}

fn not_its_core(pid: Pid) -> Error {
    Error::Target {
        pid,
        what: "the thread that crashed".into(),
        source: io::Error::new(
            io::ErrorKind::NotFound,
            "the core on standard input is of another process",
        ),
    }
}
