//! Live Linux processes.
//!
//! [`LinuxProcess::attach`] walks through these modules in order:
//!
//! 1. `attach`: which process is meant, and whether it can be dumped;
//! 2. `tracer` and `stop`: an OS thread of its own stops all threads and reads
//!    their registers (`arch`) and signals;
//! 3. `maps`, `memory`, `pagemap` and `shared_memory`: the process's memory is opened;
//! 4. `describe`: everything that `/proc` and the memory tell is gathered;
//! 5. `exception`: what the process stopped for, or what the request named.
//!
//! [`CrashedProcess`] is a process that the kernel holds because it crashed: it
//! is not attached to, and `core_head` takes the place of step 2. The steps from
//! 3 on are the same, in `described`.
//!
//! The process stands still until [`release`](ProcessTarget::release) or drop,
//! and then goes on as if nothing had happened: no signal was sent to it, and
//! one that arrived meanwhile is delivered. If the dumper is killed, the kernel
//! does the same.

mod access;
pub(super) mod arch;
mod attach;
pub(super) mod auxv;
mod clock;
mod core_head;
mod counters;
mod cpu;
#[cfg(feature = "crash-context")]
mod crash_context;
mod crashed;
mod debug_id;
mod describe;
mod described;
pub(super) mod elf;
pub(super) mod elf_file;
pub(super) mod exception;
mod file_text;
mod follow;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod handles;
mod held_thread;
pub(super) mod images;
pub(super) mod initial_stack;
pub(super) mod link_map;
pub(super) mod mapped_file;
pub(super) mod mapping;
pub(super) mod maps;
mod memory;
mod module_file;
pub(super) mod modules;
mod namespace_ids;
pub(super) mod pagemap;
mod proc_dir;
pub mod processes;
pub(super) mod regions;
pub(super) mod root;
mod running;
mod shared_memory;
mod sockets;
mod stat;
mod stop;
mod streams;
mod sys;
mod system;
mod task;
pub(super) mod thread_start;
pub(super) mod threads;
mod time_zone;
mod token;
mod tracee;
mod tracer;
mod unwind;
mod version;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod testkit;
#[cfg(test)]
mod tests;

pub use core_head::CoreHead;
pub use crashed::CrashedProcess;
pub use memory::LinuxMemory;

use crate::error::{Error, Result};
use crate::soft_error::SoftError;
use crate::target::{
    ExceptionSnapshot, ExceptionSource, Handling, MemorySource, ModuleSnapshot, Pid,
    ProcessSnapshot, ProcessTarget, Registers, RunningProcess, ThreadSnapshot, Tid, Wants,
    XstateLayout,
};
use attach::Identity;
use described::Described;
use exception::{Dispositions, SignalInfo, ThreadSignals};
use held_thread::HeldThread;
use proc_dir::ProcDir;
use running::LinuxRunning;
use std::fs::File;
use std::io;
use std::time::Duration;
use task::TaskStatus;
use tracer::{Held, Tracer};

/// How to hold a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttachOptions {
    /// How long to wait for all threads to stop. Threads that have not by then
    /// (they wait for a device, or for a child after `vfork`) are dumped with
    /// what is known of them.
    pub stop_timeout: Duration,
}

impl Default for AttachOptions {
    fn default() -> Self {
        AttachOptions { stop_timeout: Duration::from_secs(5) }
    }
}

/// A live process that is held still.
pub struct LinuxProcess {
    // Fields drop in order: first let the process go.
    tracer: Tracer,
    process: Described,
    identity: Identity,
    options: AttachOptions,
    second_pointers: Vec<(Tid, u64)>,
}

impl LinuxProcess {
    /// Stops a process and describes it. `pid` can also be the id of one of its
    /// threads.
    ///
    /// # Errors
    /// There is no such process; it is a zombie, a kernel thread or this
    /// process; it may not be attached to, or another debugger has it; no thread
    /// of it stopped; or the exception that `wants` names cannot be read.
    /// Nothing is held then.
    pub fn attach(pid: Pid, wants: &Wants) -> Result<LinuxProcess> {
        Self::attach_with(pid, wants, AttachOptions::default())
    }

    /// As [`attach`](Self::attach), with options.
    ///
    /// # Errors
    /// As [`attach`](Self::attach).
    pub fn attach_with(pid: Pid, wants: &Wants, options: AttachOptions) -> Result<LinuxProcess> {
        let mut notes = Vec::new();
        let identity = Identity::find(pid, &mut notes)?;
        let layout = arch::xstate_layout(wants);
        let (tracer, held) = hold(&identity, options.stop_timeout, layout.as_ref())?;
        Self::described(identity, tracer, held, wants, layout, options, notes)
    }

    /// Describes a process that is held.
    fn described(
        identity: Identity,
        tracer: Tracer,
        held: Held,
        wants: &Wants,
        layout: Option<XstateLayout>,
        options: AttachOptions,
        mut notes: Vec<SoftError>,
    ) -> Result<LinuxProcess> {
        let pid = identity.pid;
        let Held { threads, notes: stop_notes, event, .. } = held;
        notes.extend(stop_notes);
        let live = threads.iter().find(|t| t.stopped).or(threads.first());
        let live = live.ok_or(Error::ProcessEnded(pid))?.tid;
        let proc = ProcDir::new(pid, live);
        let crash = event.or_else(|| find_crash(&proc, &threads));
        let second_pointers = threads.iter().map(|t| (t.tid, t.second_pointer)).collect();
        let threads = threads.into_iter().map(thread_snapshot).collect();
        let process = Described::new(proc, threads, crash, wants, layout, notes)?;
        let threads = process.snapshot.threads.len();
        tracing::debug!(%pid, threads, held = ?tracer.held(), "described");
        Ok(LinuxProcess { tracer, process, identity, options, second_pointers })
    }

    /// GS base of each thread where FS base is the thread pointer.
    pub(in crate::target) fn second_pointers(&self) -> &[(Tid, u64)] {
        &self.second_pointers
    }

    /// Adds a soft error.
    pub(crate) fn note(&mut self, note: SoftError) {
        self.process.snapshot.soft_errors.push(note);
    }
}

impl ProcessTarget for LinuxProcess {
    fn snapshot(&self) -> &ProcessSnapshot {
        &self.process.snapshot
    }

    fn memory(&self) -> &dyn MemorySource {
        &self.process.memory
    }

    fn release(&mut self) {
        self.process.memory.process_released();
        self.tracer.release();
    }

    fn held(&self) -> Option<Duration> {
        Some(self.tracer.held())
    }

    fn open_module(&self, module: &ModuleSnapshot) -> io::Result<File> {
        self.process.modules.open(module)
    }

    fn exception(&self, source: &ExceptionSource) -> Result<Option<ExceptionSnapshot>> {
        self.process.exception(source)
    }

    fn resume(self: Box<Self>, handling: Handling) -> Result<Box<dyn RunningProcess>> {
        let LinuxProcess { tracer, process, identity, options, .. } = *self;
        let crash = process.crash;
        Ok(Box::new(LinuxRunning::resume(tracer, identity, options, crash, handling)?))
    }
}

/// Stops a process, and makes sure that it is still the one that was found.
///
/// An exec ends all threads but the one that calls it, and that one takes the
/// main thread's id. In the middle of it the process looks as if it had ended
/// or were forbidden or traced, so what lives is tried again.
fn hold(
    identity: &Identity,
    timeout: Duration,
    layout: Option<&XstateLayout>,
) -> Result<(Tracer, Held)> {
    const ATTEMPTS: u32 = 4;
    const PAUSE: Duration = Duration::from_millis(2);
    let mut attempt = 1;
    loop {
        let outcome = Tracer::hold(identity.pid, timeout, layout.cloned());
        identity.is_the_same()?;
        let passing = matches!(
            outcome,
            Err(Error::ProcessEnded(_) | Error::AccessDenied { .. } | Error::AlreadyTraced { .. })
        );
        if !passing || attempt == ATTEMPTS {
            return outcome;
        }
        attempt += 1;
        std::thread::sleep(PAUSE);
    }
}

/// The thread that a fatal signal is about to end.
fn find_crash(proc: &ProcDir, threads: &[HeldThread]) -> Option<(Tid, SignalInfo)> {
    let status = TaskStatus::read(proc.path("status")).ok()?;
    let signals: Vec<ThreadSignals> = threads
        .iter()
        .map(|t| ThreadSignals { tid: t.tid, current: t.signal, pending: t.pending.clone() })
        .collect();
    exception::find_crash(&signals, Dispositions::of(&status))
}

/// What is known of a thread before its description.
fn thread_snapshot(thread: HeldThread) -> ThreadSnapshot {
    thread_snapshot_of(thread.tid, thread.registers, thread.thread_pointer)
}

fn thread_snapshot_of(tid: Tid, registers: Registers, thread_pointer: u64) -> ThreadSnapshot {
    ThreadSnapshot {
        tid,
        name: String::new(),
        registers,
        thread_pointer,
        stack: None,
        suspend_count: 0,
        priority: 0,
        info: None,
        local_storage: Vec::new(),
    }
}
