//! What Windows tells a debugger, and what it is answered.
//!
//! The answers have one aim: the process goes on as if no debugger were there.

use crate::target::{DebugEventKind, EventFilter, ExceptionRecord, Handling, Tid};
use dumpwright_format::debug_event::{
    BREAKPOINT, CREATE_PROCESS, CREATE_THREAD, CreateProcess, CreateThread, DBG_CONTROL_BREAK,
    DBG_CONTROL_C, DBG_PRINTEXCEPTION_C, DBG_PRINTEXCEPTION_WIDE_C, DBG_RIPEXCEPTION, EXCEPTION,
    EXIT_PROCESS, EXIT_THREAD, Exception, Exit, LOAD_DLL, LoadDll, SET_THREAD_NAME, SINGLE_STEP,
    STATUS_BREAKPOINT, STATUS_HANDLE_NOT_CLOSABLE, STATUS_INVALID_HANDLE, STATUS_SINGLE_STEP,
    STATUS_WX86_BREAKPOINT, STATUS_WX86_SINGLE_STEP, StateChange, UNLOAD_DLL, UnloadDll,
};
use dumpwright_format::minidump::EXCEPTION_MAXIMUM_PARAMETERS;
use zerocopy::FromBytes;

/// Something that the process stands still for until it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    /// Process and thread, as an answer names them.
    pub client: [u64; 2],
    /// What happened; `None` for what is of no interest to anybody.
    pub kind: Option<DebugEventKind>,
    /// Handles that came with it, and are the debugger's own.
    pub handles: Vec<u64>,
}

/// What an exception is to whoever only watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    /// One of the process's own.
    Own,
    /// Raised only because there is a debugger, which is to answer so.
    ForDebuggers(Handling),
}

/// What has to be looked up to judge a breakpoint or a bad handle.
pub(crate) trait Surroundings {
    /// Whether an address is in an image of ntdll.
    fn is_in_ntdll(&self, address: u64) -> bool;
    /// Whether a thread is one that breaks into a process for a debugger.
    fn breaks_in(&self, tid: Tid) -> bool;
}

impl Stop {
    /// The thread.
    pub(crate) fn tid(&self) -> Tid {
        Tid(self.client[1] as u32)
    }

    /// The answer of one who only watches.
    pub(crate) fn answer(&self, surroundings: &dyn Surroundings) -> Handling {
        match (&self.kind, self.sort(surroundings)) {
            (_, Sort::ForDebuggers(answer)) => answer,
            (Some(DebugEventKind::Exception { .. }), Sort::Own) => Handling::NotHandled,
            _ => Handling::Handled,
        }
    }

    /// Whether it is one of `wanted`.
    pub(crate) fn is_wanted(&self, wanted: EventFilter, surroundings: &dyn Surroundings) -> bool {
        let Some(kind) = &self.kind else { return false };
        let of = match kind {
            DebugEventKind::Exception { first_chance: false, .. } => EventFilter::CRASH,
            DebugEventKind::Exception { .. } => EventFilter::FIRST_CHANCE,
            DebugEventKind::ProcessExit { .. } => EventFilter::EXIT,
            DebugEventKind::ThreadStart | DebugEventKind::ThreadExit { .. } => EventFilter::THREADS,
            DebugEventKind::ModuleLoad { .. } | DebugEventKind::ModuleUnload { .. } => {
                EventFilter::MODULES
            }
        };
        wanted.contains(of) && self.sort(surroundings) == Sort::Own
    }

    fn sort(&self, surroundings: &dyn Surroundings) -> Sort {
        let Some(DebugEventKind::Exception { record, first_chance: true }) = &self.kind else {
            return Sort::Own;
        };
        match record.code {
            // Whoever raises it without a debugger has a handler, or does not raise it.
            SET_THREAD_NAME => Sort::ForDebuggers(Handling::Handled),
            // The system raises it in a process with a debugger; without, the call
            // only fails.
            STATUS_INVALID_HANDLE | STATUS_HANDLE_NOT_CLOSABLE
                if surroundings.is_in_ntdll(record.address) =>
            {
                Sort::ForDebuggers(Handling::Handled)
            }
            // What raises these goes its usual way if the debugger does not take them.
            DBG_PRINTEXCEPTION_C
            | DBG_PRINTEXCEPTION_WIDE_C
            | DBG_RIPEXCEPTION
            | DBG_CONTROL_C
            | DBG_CONTROL_BREAK => Sort::ForDebuggers(Handling::NotHandled),
            STATUS_BREAKPOINT if surroundings.breaks_in(self.tid()) => {
                Sort::ForDebuggers(Handling::Handled)
            }
            _ => Sort::Own,
        }
    }
}

/// What the kernel wrote of a stop; of a 32-bit process if `narrow`.
pub(crate) fn stop(change: &StateChange, narrow: bool) -> Stop {
    let mut handles = Vec::new();
    let kind = match change.state.get() {
        CREATE_THREAD => {
            handles.push(part::<CreateThread>(change).thread.get());
            Some(DebugEventKind::ThreadStart)
        }
        CREATE_PROCESS => {
            let created: CreateProcess = part(change);
            handles.extend([created.process, created.thread, created.file].map(zerocopy::U64::get));
            None
        }
        EXIT_THREAD => Some(DebugEventKind::ThreadExit { code: part::<Exit>(change).status.get() }),
        EXIT_PROCESS => {
            Some(DebugEventKind::ProcessExit { code: part::<Exit>(change).status.get() })
        }
        EXCEPTION | BREAKPOINT | SINGLE_STEP => {
            let exception: Exception = part(change);
            let first_chance = exception.first_chance.get() != 0;
            Some(DebugEventKind::Exception { record: record(&exception, narrow), first_chance })
        }
        LOAD_DLL => {
            let loaded: LoadDll = part(change);
            handles.push(loaded.file.get());
            Some(DebugEventKind::ModuleLoad { base: loaded.base.get() })
        }
        UNLOAD_DLL => {
            Some(DebugEventKind::ModuleUnload { base: part::<UnloadDll>(change).base.get() })
        }
        _ => None,
    };
    handles.retain(|handle| *handle != 0);
    Stop { client: change.client.map(zerocopy::U64::get), kind, handles }
}

/// What the state has.
fn part<T: FromBytes>(change: &StateChange) -> T {
    // Each of them is shorter than the room for them all.
    T::read_from_prefix(&change.info).map_or_else(|_| T::new_zeroed(), |(part, _)| part)
}

fn record(exception: &Exception, narrow: bool) -> ExceptionRecord {
    let record = &exception.record;
    let count = (record.number_parameters.get() as usize).min(EXCEPTION_MAXIMUM_PARAMETERS);
    let own = |value: u64| if narrow { narrowed(value) } else { value };
    ExceptionRecord {
        code: match record.code.get() {
            STATUS_WX86_BREAKPOINT if narrow => STATUS_BREAKPOINT,
            STATUS_WX86_SINGLE_STEP if narrow => STATUS_SINGLE_STEP,
            code => code,
        },
        flags: record.flags.get(),
        address: own(record.address.get()),
        parameters: record.information.iter().take(count).map(|word| own(word.get())).collect(),
    }
}

/// A word of 32-bit code that was widened by its sign.
fn narrowed(value: u64) -> u64 {
    if value >= 0xFFFF_FFFF_8000_0000 { value & 0xFFFF_FFFF } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dumpwright_format::debug_event::STATE_INFO_SIZE;
    use dumpwright_format::nt::ExceptionRecord64;
    use zerocopy::IntoBytes;

    struct Here;

    impl Surroundings for Here {
        fn is_in_ntdll(&self, address: u64) -> bool {
            address >= 0x7FF0_0000
        }
        fn breaks_in(&self, tid: Tid) -> bool {
            tid == Tid(99)
        }
    }

    fn change(state: u32, tid: u64, info: &[u8]) -> StateChange {
        let mut all = [0; STATE_INFO_SIZE];
        all[..info.len()].copy_from_slice(info);
        StateChange {
            state: state.into(),
            alignment: 0.into(),
            client: [8.into(), tid.into()],
            info: all,
        }
    }

    fn exception(code: u32, address: u64, tid: u64, first_chance: u32) -> StateChange {
        let record = ExceptionRecord64 {
            code: code.into(),
            flags: 1.into(),
            record: 0.into(),
            address: address.into(),
            number_parameters: 2.into(),
            alignment: 0.into(),
            information: [[1.into(), 0xFFFF_FFFF_9000_0000.into()].as_slice(), &[0.into(); 13]]
                .concat()
                .try_into()
                .unwrap(),
        };
        let exception =
            Exception { record, first_chance: first_chance.into(), alignment: 0.into() };
        change(EXCEPTION, tid, exception.as_bytes())
    }

    #[test]
    fn an_exception_is_told_with_thread_parameters_and_chance() {
        let Stop { client, kind, handles } = stop(&exception(0xC000_0005, 0x1234, 12, 0), false);
        assert_eq!((client, handles), ([8, 12], Vec::new()));
        let parameters = vec![1, 0xFFFF_FFFF_9000_0000];
        let record = ExceptionRecord { code: 0xC000_0005, flags: 1, address: 0x1234, parameters };
        assert_eq!(kind, Some(DebugEventKind::Exception { record, first_chance: false }));
    }

    #[test]
    fn an_exception_of_32_bit_code_is_the_one_that_this_code_knows() {
        let narrow = stop(&exception(STATUS_WX86_BREAKPOINT, 0xFFFF_FFFF_8000_1000, 12, 1), true);
        let Some(DebugEventKind::Exception { record, .. }) = narrow.kind else { panic!() };
        assert_eq!((record.code, record.address), (STATUS_BREAKPOINT, 0x8000_1000));
        assert_eq!(record.parameters, [1, 0x9000_0000]);
    }

    #[test]
    fn what_is_raised_for_debuggers_stops_nobody_and_hurts_nobody() {
        let all = EventFilter::all();
        for (code, address, tid, answer) in [
            (SET_THREAD_NAME, 0x1000, 12, Handling::Handled),
            (STATUS_INVALID_HANDLE, 0x7FF0_1000, 12, Handling::Handled),
            (DBG_PRINTEXCEPTION_C, 0x1000, 12, Handling::NotHandled),
            (DBG_CONTROL_C, 0x1000, 12, Handling::NotHandled),
            (STATUS_BREAKPOINT, 0x7FF0_1000, 99, Handling::Handled),
        ] {
            let stop = stop(&exception(code, address, tid, 1), false);
            assert!(!stop.is_wanted(all, &Here), "{code:#x}");
            assert_eq!(stop.answer(&Here), answer, "{code:#x}");
        }
    }

    #[test]
    fn exceptions_of_the_process_go_on_to_its_handlers() {
        for (code, address, tid) in [
            (0xC000_0005, 0x1000, 12),
            // Raised by the program itself, and its own breakpoint.
            (STATUS_INVALID_HANDLE, 0x1000, 12),
            (STATUS_BREAKPOINT, 0x7FF0_1000, 12),
        ] {
            let first = stop(&exception(code, address, tid, 1), false);
            assert_eq!(first.answer(&Here), Handling::NotHandled);
            assert!(first.is_wanted(EventFilter::FIRST_CHANCE, &Here));
            assert!(!first.is_wanted(EventFilter::all() - EventFilter::FIRST_CHANCE, &Here));
            let last = stop(&exception(code, address, tid, 0), false);
            assert_eq!(last.answer(&Here), Handling::NotHandled);
            assert!(last.is_wanted(EventFilter::CRASH, &Here));
            assert!(!last.is_wanted(EventFilter::all() - EventFilter::CRASH, &Here));
        }
        // At its second chance even such a one is a crash.
        let last = stop(&exception(SET_THREAD_NAME, 0x1000, 12, 0), false);
        assert!(last.is_wanted(EventFilter::CRASH, &Here));
    }

    #[test]
    fn starts_and_ends_are_told_and_their_handles_kept_to_be_closed() {
        let words = |words: &[u64]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>();
        let started = stop(&change(CREATE_THREAD, 16, &words(&[0x44, 0, 0x1000])), false);
        assert_eq!(started.kind, Some(DebugEventKind::ThreadStart));
        assert_eq!((started.tid(), &started.handles[..]), (Tid(16), &[0x44][..]));
        let created = stop(&change(CREATE_PROCESS, 16, &words(&[0x40, 0x44, 0, 0x48])), false);
        assert_eq!((created.kind, &created.handles[..]), (None, &[0x40, 0x44, 0x48][..]));
        let loaded = stop(&change(LOAD_DLL, 16, &words(&[0x4C, 0x7000_0000])), false);
        assert_eq!(loaded.kind, Some(DebugEventKind::ModuleLoad { base: 0x7000_0000 }));
        assert_eq!(loaded.handles, [0x4C]);
        let ended = stop(&change(EXIT_PROCESS, 16, &words(&[3])), false);
        assert_eq!(ended.kind, Some(DebugEventKind::ProcessExit { code: 3 }));
        assert!(ended.is_wanted(EventFilter::EXIT, &Here));
        assert_eq!(ended.answer(&Here), Handling::Handled);
        assert_eq!(stop(&change(77, 16, &[]), false).kind, None);
    }
}
