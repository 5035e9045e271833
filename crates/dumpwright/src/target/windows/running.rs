//! A process that runs, with this one as its debugger.

use super::WindowsProcess;
use super::debugger::Debugger;
use super::memory::WindowsMemory;
use crate::error::{Error, Result};
use crate::target::{
    DebugEvent, DebugEventKind, EventFilter, Handling, ProcessTarget, RunningProcess, Wants,
};
use std::time::{Duration, Instant};

/// How long the kernel is asked at a time: whether to give up is asked in between.
const TURN: Duration = Duration::from_millis(50);

/// A live process that runs under this program.
pub(super) struct RunningWindowsProcess {
    // Fields drop in order: first let the process go.
    debugger: Debugger,
    memory: WindowsMemory,
    /// What it stands still for.
    event: Option<DebugEvent>,
    has_ended: bool,
}

impl RunningWindowsProcess {
    /// The process that `memory` is of.
    pub(super) fn new(debugger: Debugger, memory: WindowsMemory) -> Self {
        RunningWindowsProcess { debugger, memory, event: None, has_ended: false }
    }
}

impl RunningProcess for RunningWindowsProcess {
    fn wait(
        &mut self,
        wanted: EventFilter,
        timeout: Option<Duration>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<DebugEvent>> {
        let since = Instant::now();
        if self.event.take().is_some() {
            self.debugger.go_on(Handling::NotHandled)?;
        }
        loop {
            if self.has_ended {
                return Err(Error::ProcessEnded(self.debugger.pid()));
            }
            let left = timeout.map(|timeout| timeout.saturating_sub(since.elapsed()));
            let turn = left.map_or(TURN, |left| left.min(TURN));
            let Some(stop) = self.debugger.next(turn)? else {
                if cancelled() || left.is_some_and(|left| left.is_zero()) {
                    return Ok(None);
                }
                continue;
            };
            self.has_ended = matches!(stop.kind, Some(DebugEventKind::ProcessExit { .. }));
            if stop.is_wanted(wanted, self.debugger.surroundings()) {
                self.event = stop.kind.clone().map(|kind| DebugEvent { tid: stop.tid(), kind });
                return Ok(self.event.clone());
            }
            self.debugger.go_on(Handling::NotHandled)?;
            // Events may come without a pause.
            if cancelled() {
                return Ok(None);
            }
        }
    }

    fn hold(self: Box<Self>, wants: &Wants) -> Result<Box<dyn ProcessTarget>> {
        let RunningWindowsProcess { debugger, memory, event, .. } = *self;
        let pid = debugger.pid();
        let held = WindowsProcess::hold(pid, memory, wants, Some(debugger), event)?;
        Ok(Box::new(held))
    }
}
