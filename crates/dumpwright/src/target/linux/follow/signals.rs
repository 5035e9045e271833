//! Signals: which of them are worth a stop.

use super::super::arch;
use super::super::exception::{self, Dispositions, SignalInfo};
use super::super::sys;
use super::super::task::TaskStatus;
use super::{Follower, Meaning};
use crate::target::{DebugEvent, DebugEventKind, EventFilter, ExceptionRecord, Tid};

impl Follower {
    /// What it means that a signal is about to be delivered to a thread; `None` if it
    /// is to be handed on unseen.
    pub(super) fn signal(&mut self, tid: Tid, signal: i32) -> Option<Meaning> {
        self.last = Some((tid, signal));
        if !exception::is_crash(signal) {
            return None;
        }
        let info = SignalInfo::parse(&sys::signal_info(tid).ok()?);
        // Read each time: the process changes it as it likes, and the kernel does
        // before it forces a signal on a thread that blocks or ignores it.
        let status = TaskStatus::read(format!("/proc/{}/task/{tid}/status", self.pid)).ok()?;
        let dispositions = Dispositions::of(&status);
        let kind = if dispositions.are_fatal_for(info) {
            self.fatal = Some((tid, info));
            EventFilter::CRASH
        } else if dispositions.catch(info) {
            EventFilter::FIRST_CHANCE
        } else {
            return None;
        };
        self.wanted.contains(kind).then(|| Meaning {
            kind,
            event: exception(tid, info, kind == EventFilter::FIRST_CHANCE),
            signal: Some((tid, info)),
        })
    }
}

/// The event that a signal is.
pub(super) fn exception(tid: Tid, info: SignalInfo, first_chance: bool) -> DebugEvent {
    let ip =
        arch::thread_registers(tid, None).map_or(0, |thread| thread.registers.instruction_pointer);
    let record = ExceptionRecord {
        code: info.signal as u32,
        flags: info.code as u32,
        address: info.place(ip),
        parameters: Vec::new(),
    };
    DebugEvent { tid, kind: DebugEventKind::Exception { record, first_chance } }
}
