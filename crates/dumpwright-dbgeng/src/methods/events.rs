//! `WaitForEvent`: lets processes run and stops them for what happens in them.

use super::OK;
use super::modules::told_module;
use crate::abi::{Answer, Out};
use crate::event_callbacks::{Told, Width, event};
use crate::events::{LastEvent, exception_record, status, strongest};
use crate::object::Client;
use crate::session::{Session, lock, mask};
use crate::target::{Execution, Origin, Subject, Target, wants_of_a_held_process};
use dumpwright::target::{
    DebugEvent, DebugEventKind, EventFilter, Handling, ProcessSnapshot, ProcessTarget,
    RunningProcess, Tid,
};
use dumpwright::{Error, HResult};
use std::time::{Duration, Instant};

/// `INFINITE`.
const INFINITE: u32 = u32::MAX;
/// `E_PENDING`.
const E_PENDING: HResult = HResult(0x8000_000A_u32 as i32);
/// `DEBUG_INTERRUPT_PASSIVE`: noticed, and nothing stops.
const INTERRUPT_PASSIVE: u32 = 1;
/// `DEBUG_INTERRUPT_EXIT`: the waiting ends, and nothing stops.
const INTERRUPT_EXIT: u32 = 2;
/// `DEBUG_ENGOPT_FINAL_BREAK`.
const FINAL_BREAK: u32 = 0x80;
/// `DEBUG_CES_EXECUTION_STATUS`.
const CES_EXECUTION_STATUS: u32 = 0x10;
/// `DEBUG_STATUS_INSIDE_WAIT`.
const INSIDE_WAIT: u64 = 1 << 32;
/// How long one of several processes is looked after before the next.
const SLICE: Duration = Duration::from_millis(20);

/// `GetExecutionStatus`.
pub fn execution_status(client: &Client, out: Out<u32>) -> Answer {
    let state = client.state.session.state();
    let none = state.current().is_err();
    out.put(if none { status::NO_DEBUGGEE } else { state.go.unwrap_or(status::BREAK) })?;
    OK
}

/// `SetExecutionStatus`: the next `WaitForEvent` lets the processes go on. Nothing is
/// stepped here.
pub fn set_execution_status(client: &Client, go: u32) -> Answer {
    match go {
        status::GO..=status::GO_NOT_HANDLED => {}
        status::NO_CHANGE | status::BREAK | status::NO_DEBUGGEE => {
            return Err(HResult::E_INVALIDARG);
        }
        // Steps, and what time travel has.
        4..=17 => return Err(HResult::E_NOTIMPL),
        _ => return Err(HResult::E_INVALIDARG),
    }
    {
        let mut state = client.state.session.state();
        state.current()?;
        if !state.targets.iter().any(Target::can_run) {
            drop(state);
            client.state.say(
                mask::ERROR,
                "no target can go on: only live processes do that were attached to invasively",
            );
            return Err(HResult::E_UNEXPECTED);
        }
        state.go = Some(go);
    }
    tell(client, &Told::EngineState(CES_EXECUTION_STATUS, go.into()));
    OK
}

/// `WaitForEvent`: tells of a target that came; and then, once `SetExecutionStatus` says
/// that they go on, lets the processes run until something happens in one of them.
/// Without either it is `E_UNEXPECTED`, as for dbgeng when no target can have events.
pub fn wait_for_event(client: &Client, flags: u32, timeout: u32) -> Answer {
    if flags != 0 {
        return Err(HResult::E_INVALIDARG);
    }
    let session = &client.state.session;
    let _turn = session.begin_wait()?;
    let is_new = std::mem::take(&mut session.state().event);
    if is_new {
        let came = {
            let state = session.state();
            state.current().ok().and_then(|target| told_process(target.process().ok()?))
        };
        if let Some(told) = came {
            tell(client, &told);
        }
        return OK;
    }
    if session.state().go.is_none() {
        return Err(HResult::E_UNEXPECTED);
    }
    let deadline =
        (timeout != INFINITE).then(|| Instant::now() + Duration::from_millis(timeout.into()));
    Wait { client, session, deadline, interest: interest(client) }.run()
}

impl Target {
    /// Whether it is a process that runs when it is told to.
    fn can_run(&self) -> bool {
        matches!(self.origin, Origin::Live { suspended: true, invasive: true, .. })
    }

    fn runs(&self) -> bool {
        matches!(self.execution, Execution::Runs(_))
    }
}

/// One `WaitForEvent`.
struct Wait<'a> {
    client: &'a Client,
    session: &'a Session,
    deadline: Option<Instant>,
    /// What the callbacks want to hear of.
    interest: u32,
}

/// What came of looking after the processes for a while.
enum Seen {
    Nothing,
    Event(u32, Box<dyn RunningProcess>, DebugEvent),
}

impl Wait<'_> {
    fn run(&self) -> Answer {
        loop {
            self.start();
            let running = self.running();
            if running.is_empty() {
                self.session.state().go = None;
                return Err(HResult::E_UNEXPECTED);
            }
            let mut seen = Seen::Nothing;
            for id in &running {
                seen = self.look_after(*id, running.len() == 1);
                if matches!(seen, Seen::Event(..)) {
                    break;
                }
            }
            if let Seen::Event(id, process, happened) = seen {
                if self.stops(id, process, happened) {
                    self.stop_all();
                    return OK;
                }
                continue;
            }
            match self.session.take_interrupt() {
                None | Some(INTERRUPT_PASSIVE) => {}
                Some(INTERRUPT_EXIT) => return Err(E_PENDING),
                Some(_) => {
                    self.session.state().last_event = None;
                    self.stop_all();
                    return OK;
                }
            }
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(HResult::S_FALSE);
            }
        }
    }

    /// Lets every process go on that stands still and can.
    fn start(&self) {
        loop {
            let (id, process, handling) = {
                let mut state = self.session.state();
                let go = state.go.unwrap_or(status::GO);
                let last = state.last_event.clone();
                let still = state.targets.iter_mut().find_map(|target| {
                    if !target.can_run() || target.runs() {
                        return None;
                    }
                    let Subject::Process { held, .. } = &mut target.subject else { return None };
                    let process = held.take()?;
                    target.execution = Execution::Runs(None);
                    Some((target.id, process))
                });
                let Some((id, process)) = still else { return };
                let last = last.filter(|event| event.process == id);
                let handling = last.map_or(Handling::default(), |event| event.handling(go));
                (id, process, handling)
            };
            match process.resume(handling) {
                Ok(running) => self.put_back(id, running),
                Err(error) => self.lose(id, &error),
            }
        }
    }

    fn running(&self) -> Vec<u32> {
        self.session.state().targets.iter().filter(|t| t.runs()).map(|t| t.id).collect()
    }

    /// Takes the process that runs out, to be waited for.
    fn take(&self, id: u32) -> Option<(Box<dyn RunningProcess>, u32)> {
        let mut state = self.session.state();
        let target = state.target_mut(id)?;
        let platform = target.process().ok()?.system.platform_id;
        match &mut target.execution {
            Execution::Runs(process) => Some((process.take()?, platform)),
            Execution::Still => None,
        }
    }

    /// Puts it back. If its target was detached meanwhile, it is let go.
    fn put_back(&self, id: u32, process: Box<dyn RunningProcess>) {
        let mut state = self.session.state();
        let _gone = match state.target_mut(id) {
            Some(target) => {
                target.execution = Execution::Runs(Some(process));
                None
            }
            None => Some(process),
        };
        drop(state);
    }

    /// Waits until something happens in a process, for as long as nobody else is due.
    fn look_after(&self, id: u32, alone: bool) -> Seen {
        let Some((mut process, platform)) = self.take(id) else { return Seen::Nothing };
        let left = self.deadline.map(|d| d.saturating_duration_since(Instant::now()));
        let slice = if alone { left } else { Some(left.unwrap_or(SLICE).min(SLICE)) };
        let cancelled =
            || self.session.is_interrupted() || self.session.state().target_mut(id).is_none();
        match process.wait(self.filter(platform), slice, &cancelled) {
            Ok(Some(event)) => return Seen::Event(id, process, event),
            Ok(None) => self.put_back(id, process),
            Err(error) => self.lose(id, &error),
        }
        Seen::Nothing
    }

    fn filter(&self, platform: u32) -> EventFilter {
        let wants = |events: u32| self.interest & events != 0;
        let mut filter = EventFilter::CRASH | EventFilter::EXIT;
        // Where handled exceptions are daily work, they are only looked at for callbacks.
        let breaks_early = platform <= 2;
        filter.set(EventFilter::FIRST_CHANCE, breaks_early || wants(event::EXCEPTION));
        filter.set(EventFilter::THREADS, wants(event::CREATE_THREAD | event::EXIT_THREAD));
        filter.set(EventFilter::MODULES, wants(event::LOAD_MODULE | event::UNLOAD_MODULE));
        filter
    }

    /// Whether the engine stops for what happened. If not, the process goes on.
    fn stops(&self, id: u32, process: Box<dyn RunningProcess>, happened: DebugEvent) -> bool {
        let last = LastEvent { process: id, thread: happened.tid, kind: happened.kind };
        let (platform, finally) = {
            let mut state = self.session.state();
            if let DebugEventKind::ProcessExit { code } = last.kind {
                state.exit_code = Some(code);
            }
            let finally = state.engine_options & FINAL_BREAK != 0;
            let platform =
                state.target_mut(id).and_then(|t| Some(t.process().ok()?.system.platform_id));
            (platform.unwrap_or_default(), finally)
        };
        let is_exit = matches!(last.kind, DebugEventKind::ProcessExit { .. });
        let breaks = last.breaks(platform) || is_exit && finally;
        let is_told = self.interest & last.number() != 0;
        if !breaks && !is_told {
            self.put_back(id, process);
            return false;
        }
        if !self.hold(id, process, Some(last.thread)) {
            // Where the system keeps no memory of a process that ends (Wine).
            if let (true, DebugEventKind::ProcessExit { code }) = (is_told, &last.kind) {
                tell(self.client, &Told::ExitProcess(*code));
            }
            return false;
        }
        let told = {
            let mut state = self.session.state();
            state.current = id;
            state.last_event = Some(last.clone());
            state.go = None;
            let target = state.target_mut(id);
            target.and_then(|target| told_event(&last, target.process().ok()?))
        };
        if breaks {
            self.client.state.say(mask::NORMAL, &last.description(platform));
        }
        let answer = told.map_or(status::NO_CHANGE, |told| tell(self.client, &told));
        let go = match answer {
            status::NO_CHANGE if breaks => return true,
            status::BREAK => return true,
            status::NO_CHANGE => status::GO,
            go => go,
        };
        // It may be that the callback detached from everything.
        let mut state = self.session.state();
        state.go = (!state.targets.is_empty()).then_some(go);
        false
    }

    /// Holds a process still that runs or has stopped; whether it is a target still.
    fn hold(&self, id: u32, process: Box<dyn RunningProcess>, thread: Option<Tid>) -> bool {
        match process.hold(&wants_of_a_held_process()) {
            Ok(held) => self.install(id, held, thread),
            Err(error) => {
                self.lose(id, &error);
                false
            }
        }
    }

    fn install(&self, id: u32, held: Box<dyn ProcessTarget>, thread: Option<Tid>) -> bool {
        let mut state = self.session.state();
        let Some(target) = state.target_mut(id) else {
            drop(state);
            return false;
        };
        target.stands_still(held, thread);
        true
    }

    /// Everything stands still.
    fn stop_all(&self) {
        self.session.state().go = None;
        for id in self.running() {
            if let Some((process, _)) = self.take(id) {
                self.hold(id, process, None);
            }
        }
        let told = Told::EngineState(CES_EXECUTION_STATUS, INSIDE_WAIT | u64::from(status::BREAK));
        tell(self.client, &told);
    }

    /// A process that is no target any more: it has ended, or cannot be held.
    fn lose(&self, id: u32, error: &Error) {
        let gone = {
            let mut state = self.session.state();
            let gone = state.remove(id);
            if let Some(Target { origin: Origin::Live { running, .. }, .. }) = &gone
                && let Ok(Some(code)) = running.exit_code()
            {
                state.exit_code = Some(code);
            }
            gone
        };
        drop(gone);
        if !matches!(error, Error::ProcessEnded(_)) {
            self.client.state.fail(error);
        }
    }
}

/// What all callbacks that may be called here want to hear of.
fn interest(client: &Client) -> u32 {
    listeners(client).iter().fold(0, |mask, (callback, _)| mask | callback.interest())
}

fn listeners(client: &Client) -> Vec<(crate::com::Callback, Width)> {
    let mut found = Vec::new();
    for client in client.state.audience() {
        let callbacks = lock(&client.callbacks);
        found.extend(callbacks.event.clone().map(|c| (c, Width::Narrow)));
        found.extend(callbacks.event_wide.clone().map(|c| (c, Width::Wide)));
    }
    found
}

/// Tells every callback that wants to hear of it; what they come to, a `DEBUG_STATUS_*`.
fn tell(client: &Client, told: &Told) -> u32 {
    let bit = told.interest();
    let mut answers = Vec::new();
    for (callback, width) in listeners(client) {
        if callback.interest() & bit != 0 {
            answers.push(callback.tell(told, width).0 as u32);
        }
    }
    strongest(answers)
}

/// What is told of an event.
fn told_event(event: &LastEvent, process: &ProcessSnapshot) -> Option<Told> {
    Some(match &event.kind {
        DebugEventKind::Exception { record, first_chance } => {
            Told::Exception(Box::new(exception_record(record)), *first_chance)
        }
        DebugEventKind::ProcessExit { code } => Told::ExitProcess(*code),
        DebugEventKind::ThreadStart => {
            // Of a thread that is only just starting there may be nothing yet.
            let thread = process.threads.iter().find(|t| t.tid == event.thread);
            let start = thread.and_then(|t| t.info.as_ref()?.start_address);
            let data = thread.map_or(0, |t| t.thread_pointer);
            Told::CreateThread(data, start.unwrap_or_default())
        }
        DebugEventKind::ThreadExit { code } => Told::ExitThread(*code),
        DebugEventKind::ModuleLoad { base } => Told::LoadModule(told_module(process, *base)),
        DebugEventKind::ModuleUnload { base } => {
            Told::UnloadModule(told_module(process, *base).image, *base)
        }
    })
}

/// What is told of a process that became a target.
fn told_process(process: &ProcessSnapshot) -> Option<Told> {
    let first = process.threads.first()?;
    let start = first.info.as_ref().and_then(|info| info.start_address).unwrap_or_default();
    let program = process.modules.first().map_or(0, |module| module.base);
    Some(Told::CreateProcess(told_module(process, program), first.thread_pointer, start))
}
