//! A process that runs under trace, from the side of who waits for it.

use super::attach::Identity;
use super::exception::SignalInfo;
use super::follow::Happened;
use super::tracer::{Resume, Tracer, Wait};
use super::{AttachOptions, LinuxProcess, arch};
use crate::error::{Error, Result};
use crate::target::{DebugEvent, EventFilter, Handling, ProcessTarget, RunningProcess, Tid, Wants};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// A process that the tracing thread follows.
pub(super) struct LinuxRunning {
    // Fields drop in order: first let the process go.
    tracer: Tracer,
    identity: Identity,
    options: AttachOptions,
    happenings: Receiver<Happened>,
    /// The number of the last event that was told.
    known: u64,
}

impl LinuxRunning {
    /// Lets a held process run. `crash` is the thread and signal that it stopped for.
    pub(super) fn resume(
        tracer: Tracer,
        identity: Identity,
        options: AttachOptions,
        crash: Option<(Tid, SignalInfo)>,
        handling: Handling,
    ) -> Result<LinuxRunning> {
        let (send, happenings) = mpsc::channel();
        tracer.resume(Resume { crash, handling, happenings: send })?;
        Ok(LinuxRunning { tracer, identity, options, happenings, known: 0 })
    }

    fn ended(&self) -> Error {
        Error::ProcessEnded(self.identity.pid)
    }
}

impl RunningProcess for LinuxRunning {
    fn wait(
        &mut self,
        wanted: EventFilter,
        timeout: Option<Duration>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<DebugEvent>> {
        const LOOK_UP: Duration = Duration::from_millis(50);
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        // What an earlier wait did not take is told again if it is wanted now.
        while self.happenings.try_recv().is_ok() {}
        self.tracer.wait(Wait { wanted, known: self.known }).ok_or_else(|| self.ended())?;
        loop {
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            match self.happenings.recv_timeout(left.map_or(LOOK_UP, |left| left.min(LOOK_UP))) {
                Ok(happened)
                    if happened.number > self.known && wanted.intersects(happened.kind) =>
                {
                    self.known = happened.number;
                    return Ok(Some(happened.event));
                }
                Ok(_) => continue,
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if cancelled() || left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
        }
    }

    fn hold(mut self: Box<Self>, wants: &Wants) -> Result<Box<dyn ProcessTarget>> {
        let layout = arch::xstate_layout(wants);
        let timeout = self.options.stop_timeout;
        let held = self.tracer.hold_again(self.identity.pid, timeout, layout.clone())?;
        self.identity.is_the_same()?;
        let Self { tracer, identity, options, .. } = *self;
        let process =
            LinuxProcess::described(identity, tracer, held, wants, layout, options, Vec::new())?;
        Ok(Box::new(process))
    }
}
