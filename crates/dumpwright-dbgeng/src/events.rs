//! What happened last, and what is done about it if no callback says.

#![forbid(unsafe_code)]

use crate::event_callbacks::event;
use dumpwright::format::minidump::{EXCEPTION_MAXIMUM_PARAMETERS, Exception};
use dumpwright::info::exception_name;
use dumpwright::target::{DebugEventKind, ExceptionRecord, ExceptionSnapshot, Handling, Tid};
use zerocopy::IntoBytes;
use zerocopy::little_endian::U64;

/// `DEBUG_STATUS_*`.
pub mod status {
    /// `DEBUG_STATUS_NO_CHANGE`.
    pub const NO_CHANGE: u32 = 0;
    /// `DEBUG_STATUS_GO`.
    pub const GO: u32 = 1;
    /// `DEBUG_STATUS_GO_HANDLED`.
    pub const GO_HANDLED: u32 = 2;
    /// `DEBUG_STATUS_GO_NOT_HANDLED`.
    pub const GO_NOT_HANDLED: u32 = 3;
    /// `DEBUG_STATUS_BREAK`.
    pub const BREAK: u32 = 6;
    /// `DEBUG_STATUS_NO_DEBUGGEE`.
    pub const NO_DEBUGGEE: u32 = 7;
}

/// Exceptions that WinDbg does not break in for at their first chance: those that
/// languages throw all the time. Of the others that have a name it does.
const THROWN: [u32; 3] = [0xE06D_7363, 0xE043_4352, 0xE043_4F4D];

/// The event of a process that `GetLastEventInformation` tells.
#[derive(Clone, Debug)]
pub struct LastEvent {
    /// Engine id of the process.
    pub process: u32,
    /// The thread.
    pub thread: Tid,
    /// What happened.
    pub kind: DebugEventKind,
}

impl LastEvent {
    /// The exception that a dump holds, or that a process had when it was attached to.
    pub fn of_exception(process: u32, exception: &ExceptionSnapshot) -> LastEvent {
        let ExceptionSnapshot { tid, code, flags, address, parameters, .. } = exception.clone();
        let record = ExceptionRecord { code, flags, address, parameters };
        let kind = DebugEventKind::Exception { record, first_chance: false };
        LastEvent { process, thread: tid, kind }
    }

    /// Its `DEBUG_EVENT_*`.
    pub fn number(&self) -> u32 {
        match self.kind {
            DebugEventKind::Exception { .. } => event::EXCEPTION,
            DebugEventKind::ProcessExit { .. } => event::EXIT_PROCESS,
            DebugEventKind::ThreadStart => event::CREATE_THREAD,
            DebugEventKind::ThreadExit { .. } => event::EXIT_THREAD,
            DebugEventKind::ModuleLoad { .. } => event::LOAD_MODULE,
            DebugEventKind::ModuleUnload { .. } => event::UNLOAD_MODULE,
        }
    }

    /// Its `DEBUG_LAST_EVENT_INFO_*` (dbgeng.h), with the padding that they have.
    pub fn extra(&self) -> Vec<u8> {
        match &self.kind {
            DebugEventKind::Exception { record, first_chance } => {
                let mut bytes = exception_record(record).as_bytes().to_vec();
                bytes.extend(u32::from(*first_chance).to_le_bytes());
                bytes.extend([0; 4]);
                bytes
            }
            DebugEventKind::ProcessExit { code } | DebugEventKind::ThreadExit { code } => {
                code.to_le_bytes().to_vec()
            }
            DebugEventKind::ModuleLoad { base } | DebugEventKind::ModuleUnload { base } => {
                base.to_le_bytes().to_vec()
            }
            DebugEventKind::ThreadStart => Vec::new(),
        }
    }

    /// In words, as a debugger shows it.
    pub fn description(&self, platform_id: u32) -> String {
        match &self.kind {
            DebugEventKind::Exception { record, first_chance } => {
                let name =
                    exception_name(platform_id, record.code, record.flags, &record.parameters);
                let chance = if *first_chance { "first chance" } else { "!!! second chance !!!" };
                format!("{name} - code {:08x} ({chance})", record.code)
            }
            DebugEventKind::ProcessExit { code } => {
                format!("Exit process {:x}, code {code:x}", self.process)
            }
            DebugEventKind::ThreadStart => format!("Create thread {}", self.thread),
            DebugEventKind::ThreadExit { code } => {
                format!("Exit thread {}, code {code:x}", self.thread)
            }
            DebugEventKind::ModuleLoad { base } => format!("Load module at {base:#x}"),
            DebugEventKind::ModuleUnload { base } => format!("Unload module at {base:#x}"),
        }
    }

    /// Whether the engine stops for it if no callback says otherwise.
    pub fn breaks(&self, platform_id: u32) -> bool {
        match &self.kind {
            DebugEventKind::Exception { first_chance: false, .. } => true,
            // Programs of Linux handle faults in their daily work.
            DebugEventKind::Exception { record, .. } => {
                let name = exception_name(platform_id, record.code, 0, &[]);
                let is_windows = platform_id <= 2;
                is_windows && !THROWN.contains(&record.code) && !name.starts_with("exception ")
            }
            _ => false,
        }
    }

    /// How the process goes on from it, as one of `DEBUG_STATUS_GO*` says.
    pub fn handling(&self, go: u32) -> Handling {
        match (&self.kind, go) {
            (_, status::GO_HANDLED) => Handling::Handled,
            (_, status::GO_NOT_HANDLED) => Handling::NotHandled,
            // `g` goes past a breakpoint that is part of the program.
            (DebugEventKind::Exception { record, .. }, _) if is_breakpoint(record.code) => {
                Handling::Handled
            }
            _ => Handling::NotHandled,
        }
    }
}

/// `STATUS_BREAKPOINT`, `STATUS_SINGLE_STEP`, their 32-bit kin, and SIGTRAP.
fn is_breakpoint(code: u32) -> bool {
    matches!(code, 0x8000_0003 | 0x8000_0004 | 0x4000_001E | 0x4000_001F | 5)
}

/// `EXCEPTION_RECORD64`, winnt.h: laid out as `MINIDUMP_EXCEPTION` is.
pub fn exception_record(record: &ExceptionRecord) -> Exception {
    let count = record.parameters.len().min(EXCEPTION_MAXIMUM_PARAMETERS);
    let mut information = [U64::new(0); EXCEPTION_MAXIMUM_PARAMETERS];
    for (place, value) in information.iter_mut().zip(&record.parameters) {
        *place = (*value).into();
    }
    Exception {
        exception_code: record.code.into(),
        exception_flags: record.flags.into(),
        exception_record: 0.into(),
        exception_address: record.address.into(),
        number_parameters: (count as u32).into(),
        unused_alignment: 0.into(),
        exception_information: information,
    }
}

/// What callbacks that differ come to: a break before going on, and not handling an
/// exception before handling it.
pub fn strongest(answers: impl IntoIterator<Item = u32>) -> u32 {
    const ORDER: [u32; 5] =
        [status::NO_CHANGE, status::GO, status::GO_HANDLED, status::GO_NOT_HANDLED, status::BREAK];
    let rank = |answer: u32| ORDER.iter().position(|status| *status == answer);
    answers
        .into_iter()
        .filter(|answer| rank(*answer).is_some())
        .max_by_key(|a| rank(*a))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exception(code: u32, first_chance: bool) -> LastEvent {
        let record = ExceptionRecord { code, address: 0x1000, ..ExceptionRecord::default() };
        let kind = DebugEventKind::Exception { record, first_chance };
        LastEvent { process: 0, thread: Tid(7), kind }
    }

    #[test]
    fn a_break_is_the_strongest_answer_and_nonsense_is_none() {
        assert_eq!(strongest([1, 0, 3, 2]), status::GO_NOT_HANDLED);
        assert_eq!(strongest([1, 6, 3]), status::BREAK);
        assert_eq!(strongest([0x8000_4001, 99]), status::NO_CHANGE);
        assert_eq!(strongest([]), status::NO_CHANGE);
    }

    #[test]
    fn windows_breaks_at_the_first_chance_of_faults_and_linux_only_at_the_end() {
        assert!(exception(0xC000_0005, true).breaks(2));
        assert!(!exception(0xE06D_7363, true).breaks(2));
        assert!(!exception(0x1234_5678, true).breaks(2));
        assert!(exception(0x1234_5678, false).breaks(2));
        assert!(!exception(11, true).breaks(0x8201));
        assert!(exception(11, false).breaks(0x8201));
    }

    #[test]
    fn going_on_passes_breakpoints_and_leaves_faults_to_the_process() {
        assert_eq!(exception(0x8000_0003, true).handling(status::GO), Handling::Handled);
        assert_eq!(exception(0xC000_0005, true).handling(status::GO), Handling::NotHandled);
        assert_eq!(exception(0xC000_0005, true).handling(status::GO_HANDLED), Handling::Handled);
        let not = exception(0x8000_0003, true).handling(status::GO_NOT_HANDLED);
        assert_eq!(not, Handling::NotHandled);
    }

    #[test]
    fn the_extra_information_has_the_sizes_of_dbgeng_h() {
        assert_eq!(exception(0xC000_0005, true).extra().len(), 160);
        let exit = DebugEventKind::ProcessExit { code: 3 };
        let exit = LastEvent { process: 0, thread: Tid(7), kind: exit };
        assert_eq!(exit.extra(), [3, 0, 0, 0]);
    }
}
