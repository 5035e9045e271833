//! What clients share, and what each has of its own.

#![forbid(unsafe_code)]

use crate::abi::Answer;
use crate::com::Callback;
use crate::events::LastEvent;
use crate::fault::{self, Place};
use crate::target::{Held, Slot, Target};
use dumpwright::hresult::win32;
use dumpwright::{Error, HResult};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, ThreadId};

/// `DEBUG_OUTPUT_*` masks of what is said here.
pub mod mask {
    /// `DEBUG_OUTPUT_NORMAL`.
    pub const NORMAL: u32 = 1;
    /// `DEBUG_OUTPUT_ERROR`.
    pub const ERROR: u32 = 2;
    /// `DEBUG_OUTPUT_WARNING`.
    pub const WARNING: u32 = 4;
    /// What a new client wants: normal, errors, warnings, prompts, debuggee.
    pub const DEFAULT: u32 = 0x3F7;
}

/// The session of this process, while it has clients.
static CURRENT: Mutex<Weak<Session>> = Mutex::new(Weak::new());

/// Locks, whatever a thread that panicked left behind.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The session.
#[derive(Default)]
pub struct Session {
    state: Mutex<State>,
    clients: Mutex<Vec<Weak<ClientState>>>,
    /// `SetInterrupt` was called and nobody has asked since: 1 and its
    /// `DEBUG_INTERRUPT_*`, or 0.
    interrupt: AtomicU32,
    /// A thread is in `WaitForEvent`.
    waiting: AtomicBool,
    /// `SetInterruptTimeout`, in seconds; kept for the program.
    pub interrupt_timeout: AtomicU32,
}

/// What the session has.
#[derive(Default)]
pub struct State {
    /// The targets, in the order in which they came.
    pub targets: Vec<Target>,
    /// Engine id of the current one.
    pub current: u32,
    next_id: u32,
    /// A target came and `WaitForEvent` has not told of it yet.
    pub event: bool,
    /// The `DEBUG_STATUS_GO*` with which targets run on; `None` while they stand still.
    pub go: Option<u32>,
    /// What happened last in a process that ran.
    pub last_event: Option<LastEvent>,
    /// `DEBUG_ENGOPT_*`.
    pub engine_options: u32,
    /// `DEBUG_PROCESS_*` options.
    pub process_options: u32,
    /// Files that `AddDumpInformationFile` named.
    pub information_files: Vec<InformationFile>,
    /// How the process ended that was the last target.
    pub exit_code: Option<u32>,
}

/// A file that belongs to a dump.
pub struct InformationFile {
    /// What the program called it.
    pub name: String,
    /// The program's handle, or 0.
    pub handle: u64,
    /// `DEBUG_DUMP_FILE_*`.
    pub kind: u32,
}

impl State {
    /// The current target.
    ///
    /// # Errors
    /// `E_UNEXPECTED` if there is none.
    pub fn current(&self) -> Answer<&Target> {
        self.targets.iter().find(|t| t.id == self.current).ok_or(HResult::E_UNEXPECTED)
    }

    /// The current target.
    ///
    /// # Errors
    /// `E_UNEXPECTED` if there is none.
    pub fn current_mut(&mut self) -> Answer<&mut Target> {
        let current = self.current;
        self.targets.iter_mut().find(|t| t.id == current).ok_or(HResult::E_UNEXPECTED)
    }

    /// Adds a target and makes it the current one.
    pub fn add(&mut self, mut target: Target) {
        target.id = self.next_id;
        self.next_id += 1;
        self.current = target.id;
        self.targets.push(target);
        self.event = true;
        self.go = None;
    }

    /// The target with this engine id, if it is one still.
    pub fn target_mut(&mut self, id: u32) -> Option<&mut Target> {
        self.targets.iter_mut().find(|t| t.id == id)
    }

    /// Takes a target out.
    pub fn remove(&mut self, id: u32) -> Option<Target> {
        let index = self.targets.iter().position(|t| t.id == id)?;
        let target = self.targets.remove(index);
        if self.current == id {
            self.current = self.targets.first().map_or(0, |t| t.id);
        }
        if self.targets.is_empty() {
            (self.event, self.go) = (false, None);
        }
        self.last_event.take_if(|event| event.process == id);
        Some(target)
    }

    /// Takes the current target out.
    ///
    /// # Errors
    /// `E_UNEXPECTED` if there is none.
    pub fn remove_current(&mut self) -> Answer<Target> {
        self.remove(self.current).ok_or(HResult::E_UNEXPECTED)
    }

    /// Takes all targets out.
    pub fn remove_all(&mut self) -> Vec<Target> {
        (self.event, self.go, self.last_event) = (false, None, None);
        std::mem::take(&mut self.targets)
    }
}

impl Session {
    fn current() -> Arc<Session> {
        let mut current = lock(&CURRENT);
        if let Some(session) = current.upgrade() {
            return session;
        }
        let session = Arc::new(Session::default());
        *current = Arc::downgrade(&session);
        session
    }

    /// The session's state. Not to be held while callbacks or the engine run.
    pub fn state(&self) -> MutexGuard<'_, State> {
        let state = lock(&self.state);
        fault::point(Place::StateLocked);
        state
    }

    /// Runs `body` with the current target, which must not be lent to a writer.
    ///
    /// # Errors
    /// `E_UNEXPECTED` without a target, `ERROR_BUSY`, or what `body` answers.
    pub fn with_held<T>(&self, body: impl FnOnce(&Target, Held<'_>) -> Answer<T>) -> Answer<T> {
        let state = self.state();
        let target = state.current()?;
        target.must_stand_still()?;
        let held = target.subject.held().ok_or(HResult::from_win32(win32::BUSY))?;
        body(target, held)
    }

    /// Takes the process or machine of a target for a while.
    ///
    /// # Errors
    /// `ERROR_BUSY` if another call has it; `E_UNEXPECTED` if the target is gone or
    /// runs.
    pub fn lend<T: ?Sized>(&self, id: u32, slot: Slot<T>) -> Answer<Box<T>> {
        let mut state = self.state();
        let target = state.target_mut(id).ok_or(HResult::E_UNEXPECTED)?;
        target.must_stand_still()?;
        let slot = slot(&mut target.subject).ok_or(HResult::E_UNEXPECTED)?;
        slot.take().ok_or(HResult::from_win32(win32::BUSY))
    }

    /// Gives it back. If its target was detached meanwhile, it is let go.
    pub fn give_back<T: ?Sized>(&self, id: u32, slot: Slot<T>, held: Box<T>) {
        let mut state = self.state();
        let target = state.target_mut(id);
        // What is not wanted any more is dropped after the lock.
        let _gone = match target.and_then(|t| slot(&mut t.subject)) {
            Some(slot) => slot.replace(held),
            None => Some(held),
        };
        drop(state);
    }

    /// Asks for an interrupt: a `DEBUG_INTERRUPT_*`.
    pub fn ask_interrupt(&self, kind: u32) {
        self.interrupt.store(kind + 1, Ordering::Relaxed);
    }

    /// Whether an interrupt is pending.
    pub fn is_interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed) != 0
    }

    /// The interrupt that is pending; it is over with the question.
    pub fn take_interrupt(&self) -> Option<u32> {
        self.interrupt.swap(0, Ordering::Relaxed).checked_sub(1)
    }

    /// Begins a `WaitForEvent`, of which there is one at a time.
    ///
    /// # Errors
    /// `ERROR_BUSY`.
    pub fn begin_wait(&self) -> Answer<Waiting<'_>> {
        if self.waiting.swap(true, Ordering::Acquire) {
            return Err(HResult::from_win32(win32::BUSY));
        }
        Ok(Waiting(self))
    }
}

/// A thread is in `WaitForEvent`, until this is dropped.
pub struct Waiting<'a>(&'a Session);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.store(false, Ordering::Release);
    }
}

/// What a client has of its own.
pub struct ClientState {
    /// What it shares.
    pub session: Arc<Session>,
    /// Its callbacks and how it wants its output.
    pub callbacks: Mutex<Callbacks>,
    /// The thread that created it.
    thread: ThreadId,
    /// `ExitDispatch` was called.
    pub exit_dispatch: Mutex<bool>,
    /// Wakes `DispatchCallbacks`.
    pub dispatch: Condvar,
}

/// Callbacks of a client.
pub struct Callbacks {
    /// `SetOutputCallbacks`.
    pub output: Option<Callback>,
    /// `SetOutputCallbacksWide`.
    pub output_wide: Option<Callback>,
    /// `SetInputCallbacks`.
    pub input: Option<Callback>,
    /// `SetEventCallbacks`.
    pub event: Option<Callback>,
    /// `SetEventCallbacksWide`.
    pub event_wide: Option<Callback>,
    /// `SetOutputMask`.
    pub mask: u32,
    /// `SetOutputWidth`.
    pub width: u32,
    /// `SetOutputLinePrefix`.
    pub line_prefix: String,
}

impl ClientState {
    /// A client of the process's session.
    pub fn new() -> Arc<ClientState> {
        Self::of(Session::current())
    }

    /// A client of a session.
    pub fn of(session: Arc<Session>) -> Arc<ClientState> {
        let client = Arc::new(ClientState {
            session,
            callbacks: Mutex::new(Callbacks {
                output: None,
                output_wide: None,
                input: None,
                event: None,
                event_wide: None,
                mask: mask::DEFAULT,
                width: 80,
                line_prefix: String::new(),
            }),
            thread: thread::current().id(),
            exit_dispatch: Mutex::new(false),
            dispatch: Condvar::new(),
        });
        let mut clients = lock(&client.session.clients);
        clients.retain(|c| c.strong_count() > 0);
        clients.push(Arc::downgrade(&client));
        drop(clients);
        client
    }

    /// Every client of the session.
    pub fn clients(&self) -> Vec<Arc<ClientState>> {
        lock(&self.session.clients).iter().filter_map(Weak::upgrade).collect()
    }

    /// Every client whose callbacks may be called here.
    pub fn audience(&self) -> Vec<Arc<ClientState>> {
        let here = thread::current().id();
        self.clients()
            .into_iter()
            .filter(|c| c.thread == here || std::ptr::eq(Arc::as_ptr(c), self))
            .collect()
    }

    /// Says a line to the output callbacks.
    pub fn say(&self, mask: u32, text: &str) {
        for client in self.audience() {
            client.hear(mask, text);
        }
    }

    /// Calls this client's output callbacks, without a lock.
    fn hear(&self, mask: u32, text: &str) {
        let (output, wide, text) = {
            let callbacks = lock(&self.callbacks);
            fault::point(Place::CallbacksLocked);
            if callbacks.mask & mask == 0 {
                return;
            }
            let text = format!("{}{text}\n", callbacks.line_prefix);
            (callbacks.output.clone(), callbacks.output_wide.clone(), text)
        };
        if let Some(output) = output {
            output.output(mask, &text);
        }
        if let Some(wide) = wide {
            wide.output_wide(mask, &text);
        }
    }

    /// Says what went wrong, and answers its code.
    pub fn fail(&self, error: &Error) -> HResult {
        self.say(mask::ERROR, &error.to_string());
        error.hresult()
    }
}
