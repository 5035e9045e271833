//! The targets of a session: processes that are held still or watched, and
//! dump files.

#![forbid(unsafe_code)]

use crate::platform::Running;
use crate::session::Session;
use dumpwright::format::context::amd64::{CONTEXT_AMD64, CONTEXT_XSTATE, ContextAmd64};
use dumpwright::format::context::arm64::ContextArm64;
use dumpwright::format::context::x86::ContextX86;
use dumpwright::target::{
    Architecture, MemorySource, ModuleSnapshot, Pid, ProcessSnapshot, ProcessTarget, Wants,
};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use zerocopy::FromBytes;

/// A target.
pub struct Target {
    /// Engine id, from 0.
    pub id: u32,
    /// Where it comes from.
    pub origin: Origin,
    /// What it was when it became a target.
    pub snapshot: Arc<ProcessSnapshot>,
    /// The process; `None` while a writer has it.
    pub process: Option<Box<dyn ProcessTarget>>,
    /// Index of the current thread.
    pub current_thread: usize,
}

/// Where a target comes from.
pub enum Origin {
    /// A live process.
    Live {
        /// To ask after it and to end it.
        running: Running,
        /// Whether it stands still as long as it is a target.
        suspended: bool,
    },
    /// A dump file.
    Dump(DumpFile),
}

/// A dump file that is open.
pub struct DumpFile {
    /// What is opened to read it.
    pub path: PathBuf,
    /// What the program called it.
    pub name: String,
    /// The program's handle, or 0.
    pub handle: u64,
    /// Kept open for a file that came as a handle.
    pub kept: Option<File>,
    /// Whether it is a minidump, and its `DEBUG_FORMAT_*` flags.
    pub format: Option<u32>,
}

impl Target {
    /// A target of a process that was just opened.
    pub fn new(origin: Origin, process: Box<dyn ProcessTarget>) -> Target {
        let snapshot = Arc::new(process.snapshot().clone());
        let current_thread = snapshot
            .exception
            .as_ref()
            .and_then(|e| snapshot.threads.iter().position(|t| t.tid == e.tid))
            .unwrap_or(0);
        Target { id: 0, origin, snapshot, process: Some(process), current_thread }
    }

    /// The process id.
    pub fn pid(&self) -> Pid {
        self.snapshot.process.pid
    }
}

/// What a held process is asked for, since nobody knows yet what will be asked
/// of it. Streams that only dumpwright's own extensions ask for are left out:
/// these interfaces have no word for them.
pub fn wants_of_a_held_process() -> Wants {
    Wants {
        handles: true,
        full_memory: true,
        thread_info: true,
        extended_state: true,
        process_data: true,
        module_headers: true,
        ..Wants::default()
    }
}

/// What a snapshot would have been if only this had been wanted.
pub fn tailored(snapshot: &ProcessSnapshot, wants: &Wants) -> ProcessSnapshot {
    let mut snapshot = snapshot.clone();
    if !wants.handles {
        snapshot.handles.clear();
    }
    if !wants.full_memory {
        snapshot.soft_errors.retain(|e| e.subject != "shared memory");
    }
    if !wants.extended_state {
        snapshot.system.xstate = None;
        let plain = context_size(snapshot.system.architecture);
        let exception = snapshot.exception.iter_mut().map(|e| &mut e.registers);
        let threads = snapshot.threads.iter_mut().map(|t| &mut t.registers);
        for registers in threads.chain(exception) {
            let extended = registers.context.len() > plain;
            registers.context.truncate(plain);
            if extended && snapshot.system.architecture == Architecture::Amd64 {
                without_xstate_flag(&mut registers.context);
            }
        }
    }
    for thread in &mut snapshot.threads {
        if !wants.thread_info {
            thread.info = None;
        }
        if !wants.process_data {
            thread.local_storage.clear();
        }
    }
    if !wants.process_data {
        snapshot.process_data.clear();
    }
    if !wants.module_headers {
        for module in &mut snapshot.modules {
            module.headers.clear();
        }
    }
    snapshot
}

fn context_size(architecture: Architecture) -> usize {
    match architecture {
        Architecture::Amd64 => size_of::<ContextAmd64>(),
        Architecture::X86 => size_of::<ContextX86>(),
        Architecture::Arm64 => size_of::<ContextArm64>(),
    }
}

/// Takes the bit out that says that an extended context follows.
fn without_xstate_flag(context: &mut [u8]) {
    if let Ok(context) = ContextAmd64::mut_from_bytes(context) {
        let flags = context.context_flags.get() & !(CONTEXT_XSTATE & !CONTEXT_AMD64);
        context.context_flags = flags.into();
    }
}

/// A held process on loan to a writer, with the snapshot that fits the request.
/// It is not released but given back when the writer has done.
pub struct Loan {
    process: Option<Box<dyn ProcessTarget>>,
    snapshot: ProcessSnapshot,
    id: u32,
    session: Arc<Session>,
}

impl Loan {
    /// Lends the process of target `id`.
    pub fn new(
        process: Box<dyn ProcessTarget>,
        wants: &Wants,
        id: u32,
        session: Arc<Session>,
    ) -> Loan {
        let snapshot = tailored(process.snapshot(), wants);
        Loan { process: Some(process), snapshot, id, session }
    }

    fn process(&self) -> &dyn ProcessTarget {
        self.process.as_deref().expect("it is only taken when the loan ends")
    }
}

impl ProcessTarget for Loan {
    fn snapshot(&self) -> &ProcessSnapshot {
        &self.snapshot
    }

    fn memory(&self) -> &dyn MemorySource {
        self.process().memory()
    }

    fn release(&mut self) {}

    fn held(&self) -> Option<Duration> {
        self.process().held()
    }

    fn open_module(&self, module: &ModuleSnapshot) -> io::Result<File> {
        self.process().open_module(module)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            self.session.give_back(self.id, process);
        }
    }
}
