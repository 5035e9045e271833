//! The signal that is about to end a process under Wine, as an exception.

use crate::target::{ExceptionSnapshot, Registers, Tid};

/// `STATUS_*` for a signal that ends the process.
fn code(signal: u32) -> u32 {
    const SIGILL: u32 = 4;
    const SIGTRAP: u32 = 5;
    const SIGBUS: u32 = 7;
    const SIGFPE: u32 = 8;
    const SIGSEGV: u32 = 11;
    match signal {
        // STATUS_ILLEGAL_INSTRUCTION
        SIGILL => 0xC000_001D,
        // STATUS_BREAKPOINT
        SIGTRAP => 0x8000_0003,
        // STATUS_ACCESS_VIOLATION
        SIGSEGV | SIGBUS => 0xC000_0005,
        // STATUS_FLOAT_INVALID_OPERATION
        SIGFPE => 0xC000_0090,
        // STATUS_FATAL_APP_EXIT
        _ => 0x4000_0015,
    }
}

/// The exception that a signal is to thread `tid`, whose Windows registers are
/// `registers`. The signal and its code are the parameters.
pub(super) fn of_signal(
    signal: &ExceptionSnapshot,
    tid: Tid,
    registers: &Registers,
) -> ExceptionSnapshot {
    ExceptionSnapshot {
        tid,
        code: code(signal.code),
        flags: 0,
        address: signal.registers.instruction_pointer,
        parameters: vec![signal.code.into(), signal.flags.into()],
        registers: registers.clone(),
    }
}
