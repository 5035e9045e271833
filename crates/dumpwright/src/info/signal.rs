//! Names of Linux signals and of the reasons behind them. Numbers are those of
//! x86 and ARM (asm-generic/signal.h, asm-generic/siginfo.h).

/// Signals 1 to 31, in order.
const SIGNALS: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

const ILL: [&str; 11] = [
    "ILL_ILLOPC",
    "ILL_ILLOPN",
    "ILL_ILLADR",
    "ILL_ILLTRP",
    "ILL_PRVOPC",
    "ILL_PRVREG",
    "ILL_COPROC",
    "ILL_BADSTK",
    "ILL_BADIADDR",
    "ILL_BREAK",
    "ILL_BNDMOD",
];
const FPE: [&str; 8] = [
    "FPE_INTDIV",
    "FPE_INTOVF",
    "FPE_FLTDIV",
    "FPE_FLTOVF",
    "FPE_FLTUND",
    "FPE_FLTRES",
    "FPE_FLTINV",
    "FPE_FLTSUB",
];
const SEGV: [&str; 10] = [
    "SEGV_MAPERR",
    "SEGV_ACCERR",
    "SEGV_BNDERR",
    "SEGV_PKUERR",
    "SEGV_ACCADI",
    "SEGV_ADIDERR",
    "SEGV_ADIPERR",
    "SEGV_MTEAERR",
    "SEGV_MTESERR",
    "SEGV_CPERR",
];
const BUS: [&str; 5] = ["BUS_ADRALN", "BUS_ADRERR", "BUS_OBJERR", "BUS_MCEERR_AR", "BUS_MCEERR_AO"];
const TRAP: [&str; 6] =
    ["TRAP_BRKPT", "TRAP_TRACE", "TRAP_BRANCH", "TRAP_HWBKPT", "TRAP_UNK", "TRAP_PERF"];
const SYS: [&str; 2] = ["SYS_SECCOMP", "SYS_USER_DISPATCH"];

/// A signal's name.
pub(super) fn signal_name(signal: u32) -> Option<String> {
    match signal {
        1..=31 => SIGNALS.get(signal as usize - 1).map(|name| (*name).to_owned()),
        32..=64 => Some(format!("SIGRTMIN+{}", signal - 32)),
        _ => None,
    }
}

/// The name of a signal's `si_code`.
pub(super) fn code_name(signal: u32, code: i32) -> Option<&'static str> {
    let general = match code {
        0 => "SI_USER",
        0x80 => "SI_KERNEL",
        -1 => "SI_QUEUE",
        -2 => "SI_TIMER",
        -3 => "SI_MESGQ",
        -4 => "SI_ASYNCIO",
        -5 => "SI_SIGIO",
        -6 => "SI_TKILL",
        -7 => "SI_DETHREAD",
        -60 => "SI_ASYNCNL",
        _ => "",
    };
    if !general.is_empty() {
        return Some(general);
    }
    let table: &[&str] = match signal {
        4 => &ILL,
        5 => &TRAP,
        7 => &BUS,
        8 => &FPE,
        11 => &SEGV,
        31 => &SYS,
        _ => return None,
    };
    table.get(usize::try_from(code).ok()?.checked_sub(1)?).copied()
}

/// Whether the address of a signal's record is that of a fault.
pub(super) fn has_fault_address(signal: u32, code: i32) -> bool {
    matches!(signal, 4 | 5 | 7 | 8 | 11) && code > 0 && code != 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_and_their_reasons_have_their_names() {
        assert_eq!(signal_name(11).as_deref(), Some("SIGSEGV"));
        assert_eq!(signal_name(31).as_deref(), Some("SIGSYS"));
        assert_eq!(signal_name(34).as_deref(), Some("SIGRTMIN+2"));
        assert_eq!(signal_name(0), None);
        assert_eq!(code_name(11, 1), Some("SEGV_MAPERR"));
        assert_eq!(code_name(6, -6), Some("SI_TKILL"));
        assert_eq!(code_name(11, 99), None);
        assert_eq!(code_name(11, i32::MIN), None);
    }
}
