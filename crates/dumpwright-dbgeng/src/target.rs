//! The targets of a session: processes that are held still or watched, and
//! dump files.

#![forbid(unsafe_code)]

use crate::abi::Answer;
use crate::platform::Running;
use crate::session::Session;
use dumpwright::HResult;
use dumpwright::format::context::amd64::{CONTEXT_AMD64, CONTEXT_XSTATE, ContextAmd64};
use dumpwright::format::context::arm64::ContextArm64;
use dumpwright::format::context::x86::ContextX86;
use dumpwright::target::machine::{MachineSnapshot, MachineTarget, PhysicalMemory};
use dumpwright::target::{
    Architecture, MemorySource, ModuleSnapshot, Pid, ProcessSnapshot, ProcessTarget,
    RunningProcess, Tid, Wants,
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
    /// What it is.
    pub subject: Subject,
    /// Whether it runs.
    pub execution: Execution,
    /// Index of the current thread; of a machine, of the current processor.
    pub current_thread: usize,
}

/// Whether a target runs.
pub enum Execution {
    /// It stands still, or never ran.
    Still,
    /// It runs with the engine as its debugger; `None` while a thread waits for it.
    Runs(Option<Box<dyn RunningProcess>>),
}

/// Where a target comes from.
pub enum Origin {
    /// A live process.
    Live {
        /// To ask after it and to end it.
        running: Running,
        /// Whether it stands still as long as it is a target.
        suspended: bool,
        /// Whether the engine may be its debugger, which sees what happens in it.
        invasive: bool,
    },
    /// A live guest of a virtual machine, which stands still.
    Guest,
    /// A dump file.
    Dump(DumpFile),
}

/// What a target is.
pub enum Subject {
    /// A process.
    Process {
        /// What it was when it became a target.
        snapshot: Arc<ProcessSnapshot>,
        /// The process itself; `None` while a writer has it.
        held: Option<Box<dyn ProcessTarget>>,
    },
    /// A machine: a kernel target.
    Machine {
        /// What it was when it became a target.
        snapshot: Arc<MachineSnapshot>,
        /// The machine itself; `None` while a writer has it.
        held: Option<Box<dyn MachineTarget>>,
    },
}

/// Where a subject's process or machine is kept, if it is of that kind.
pub type Slot<T> = fn(&mut Subject) -> Option<&mut Option<Box<T>>>;

impl Subject {
    /// The [`Slot`] of processes.
    pub fn process(&mut self) -> Option<&mut Option<Box<dyn ProcessTarget>>> {
        match self {
            Subject::Process { held, .. } => Some(held),
            Subject::Machine { .. } => None,
        }
    }

    /// The [`Slot`] of machines.
    pub fn machine(&mut self) -> Option<&mut Option<Box<dyn MachineTarget>>> {
        match self {
            Subject::Machine { held, .. } => Some(held),
            Subject::Process { .. } => None,
        }
    }

    /// What is held; `None` while a writer has it.
    pub fn held(&self) -> Option<Held<'_>> {
        match self {
            Subject::Process { snapshot, held } => {
                Some(Held::Process(snapshot, held.as_deref()?.memory()))
            }
            Subject::Machine { snapshot, held } => {
                Some(Held::Machine(snapshot, held.as_deref()?.memory()))
            }
        }
    }
}

/// A target that can be read.
#[derive(Clone, Copy)]
pub enum Held<'a> {
    /// A process and its memory.
    Process(&'a ProcessSnapshot, &'a dyn MemorySource),
    /// A machine and its memory.
    Machine(&'a MachineSnapshot, &'a dyn PhysicalMemory),
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
    pub fn of_process(origin: Origin, process: Box<dyn ProcessTarget>) -> Target {
        let snapshot = Arc::new(process.snapshot().clone());
        let current_thread = snapshot
            .exception
            .as_ref()
            .and_then(|e| snapshot.threads.iter().position(|t| t.tid == e.tid))
            .unwrap_or(0);
        let subject = Subject::Process { snapshot, held: Some(process) };
        Target { id: 0, origin, subject, execution: Execution::Still, current_thread }
    }

    /// Puts in what a process is that stands still again, for what happened in a thread.
    pub fn stands_still(&mut self, process: Box<dyn ProcessTarget>, thread: Option<Tid>) {
        let snapshot = Arc::new(process.snapshot().clone());
        let event_thread = snapshot.threads.iter().position(|t| Some(t.tid) == thread);
        self.current_thread = event_thread.unwrap_or(0);
        self.subject = Subject::Process { snapshot, held: Some(process) };
        self.execution = Execution::Still;
    }

    /// Refuses what only a target that stands still can be asked.
    ///
    /// # Errors
    /// `E_UNEXPECTED` of one that runs.
    pub fn must_stand_still(&self) -> Answer<()> {
        match self.execution {
            Execution::Still => Ok(()),
            Execution::Runs(_) => Err(HResult::E_UNEXPECTED),
        }
    }

    /// A target of a machine that was just opened.
    pub fn of_machine(origin: Origin, machine: Box<dyn MachineTarget>) -> Target {
        let snapshot = Arc::new(machine.snapshot().clone());
        let current_thread = snapshot.current_processor;
        let subject = Subject::Machine { snapshot, held: Some(machine) };
        Target { id: 0, origin, subject, execution: Execution::Still, current_thread }
    }

    /// What the process was.
    ///
    /// # Errors
    /// `E_UNEXPECTED` of a machine: the question is one of user mode.
    pub fn process(&self) -> Answer<&ProcessSnapshot> {
        match &self.subject {
            Subject::Process { snapshot, .. } => Ok(snapshot),
            Subject::Machine { .. } => Err(HResult::E_UNEXPECTED),
        }
    }

    /// What the machine was.
    ///
    /// # Errors
    /// `E_UNEXPECTED` of a process: the question is one of kernel mode.
    pub fn machine(&self) -> Answer<&MachineSnapshot> {
        match &self.subject {
            Subject::Machine { snapshot, .. } => Ok(snapshot),
            Subject::Process { .. } => Err(HResult::E_UNEXPECTED),
        }
    }

    /// The process id; 0 of a machine.
    pub fn pid(&self) -> Pid {
        self.process().map_or(Pid(0), |snapshot| snapshot.process.pid)
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
fn tailored(mut snapshot: ProcessSnapshot, wants: &Wants) -> ProcessSnapshot {
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

/// A held target on loan to a writer. It is not released but given back when
/// the writer has done.
struct Loan<T: ?Sized> {
    held: Option<Box<T>>,
    slot: Slot<T>,
    id: u32,
    session: Arc<Session>,
}

impl<T: ?Sized> Loan<T> {
    fn take(id: u32, slot: Slot<T>, session: &Arc<Session>) -> Answer<Loan<T>> {
        let held = session.lend(id, slot)?;
        Ok(Loan { held: Some(held), slot, id, session: session.clone() })
    }

    fn held(&self) -> &T {
        self.held.as_deref().expect("it is only taken when the loan ends")
    }
}

impl<T: ?Sized> Drop for Loan<T> {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            self.session.give_back(self.id, self.slot, held);
        }
    }
}

/// A process on loan, with the snapshot that fits the request.
pub struct ProcessLoan {
    loan: Loan<dyn ProcessTarget>,
    snapshot: ProcessSnapshot,
}

impl ProcessLoan {
    /// Lends the process of target `id`. Inside is the engine's answer: an
    /// exception that is wanted can be unreadable.
    ///
    /// # Errors
    /// As [`Session::lend`].
    pub fn take(
        id: u32,
        wants: &Wants,
        session: &Arc<Session>,
    ) -> Answer<dumpwright::Result<ProcessLoan>> {
        let loan = Loan::take(id, Subject::process, session)?;
        let mut snapshot = loan.held().snapshot().clone();
        if wants.exception.is_given() {
            match loan.held().exception(&wants.exception) {
                Ok(exception) => snapshot.exception = exception,
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(ProcessLoan { snapshot: tailored(snapshot, wants), loan }))
    }
}

impl ProcessTarget for ProcessLoan {
    fn snapshot(&self) -> &ProcessSnapshot {
        &self.snapshot
    }

    fn memory(&self) -> &dyn MemorySource {
        self.loan.held().memory()
    }

    fn release(&mut self) {}

    fn held(&self) -> Option<Duration> {
        self.loan.held().held()
    }

    fn open_module(&self, module: &ModuleSnapshot) -> io::Result<File> {
        self.loan.held().open_module(module)
    }
}

/// A machine on loan.
pub struct MachineLoan(Loan<dyn MachineTarget>);

impl MachineLoan {
    /// Lends the machine of target `id`.
    ///
    /// # Errors
    /// As [`Session::lend`].
    pub fn take(id: u32, session: &Arc<Session>) -> Answer<MachineLoan> {
        Loan::take(id, Subject::machine, session).map(MachineLoan)
    }
}

impl MachineTarget for MachineLoan {
    fn snapshot(&self) -> &MachineSnapshot {
        self.0.held().snapshot()
    }

    fn memory(&self) -> &dyn PhysicalMemory {
        self.0.held().memory()
    }

    fn release(&mut self) {}

    fn held(&self) -> Option<Duration> {
        self.0.held().held()
    }
}
