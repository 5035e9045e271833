//! Names of NTSTATUS values that end processes, and of macOS exceptions.

/// Codes of ntstatus.h, and those of common runtimes.
const CODES: [(u32, &str); 37] = [
    (0x4000_0015, "FATAL_APP_EXIT"),
    (0x4000_001F, "WX86_BREAKPOINT"),
    (0x4001_0005, "CONTROL_C (debugger)"),
    (0x8000_0001, "GUARD_PAGE_VIOLATION"),
    (0x8000_0002, "DATATYPE_MISALIGNMENT"),
    (0x8000_0003, "BREAKPOINT"),
    (0x8000_0004, "SINGLE_STEP"),
    (0x8000_0007, "WAKE_SYSTEM_DEBUGGER"),
    (0xC000_0005, "ACCESS_VIOLATION"),
    (0xC000_0006, "IN_PAGE_ERROR"),
    (0xC000_0008, "INVALID_HANDLE"),
    (0xC000_000D, "INVALID_PARAMETER"),
    (0xC000_0017, "NO_MEMORY"),
    (0xC000_001D, "ILLEGAL_INSTRUCTION"),
    (0xC000_0025, "NONCONTINUABLE_EXCEPTION"),
    (0xC000_0026, "INVALID_DISPOSITION"),
    (0xC000_008C, "ARRAY_BOUNDS_EXCEEDED"),
    (0xC000_008D, "FLOAT_DENORMAL_OPERAND"),
    (0xC000_008E, "FLOAT_DIVIDE_BY_ZERO"),
    (0xC000_008F, "FLOAT_INEXACT_RESULT"),
    (0xC000_0090, "FLOAT_INVALID_OPERATION"),
    (0xC000_0091, "FLOAT_OVERFLOW"),
    (0xC000_0092, "FLOAT_STACK_CHECK"),
    (0xC000_0093, "FLOAT_UNDERFLOW"),
    (0xC000_0094, "INTEGER_DIVIDE_BY_ZERO"),
    (0xC000_0095, "INTEGER_OVERFLOW"),
    (0xC000_0096, "PRIVILEGED_INSTRUCTION"),
    (0xC000_00FD, "STACK_OVERFLOW"),
    (0xC000_0135, "DLL_NOT_FOUND"),
    (0xC000_013A, "CONTROL_C_EXIT"),
    (0xC000_0194, "POSSIBLE_DEADLOCK"),
    (0xC000_0374, "HEAP_CORRUPTION"),
    (0xC000_0409, "STACK_BUFFER_OVERRUN (fast fail)"),
    (0xC000_0417, "INVALID_CRUNTIME_PARAMETER"),
    (0xC000_0420, "ASSERTION_FAILURE"),
    (0xE06D_7363, "C++ exception"),
    (0xE043_4352, ".NET exception"),
];

/// Mach exceptions 1 to 13 (mach/exception_types.h), in order.
const MACH: [&str; 13] = [
    "EXC_BAD_ACCESS",
    "EXC_BAD_INSTRUCTION",
    "EXC_ARITHMETIC",
    "EXC_EMULATION",
    "EXC_SOFTWARE",
    "EXC_BREAKPOINT",
    "EXC_SYSCALL",
    "EXC_MACH_SYSCALL",
    "EXC_RPC_ALERT",
    "EXC_CRASH",
    "EXC_RESOURCE",
    "EXC_GUARD",
    "EXC_CORPSE_NOTIFY",
];

/// The name of an exception code of Windows.
pub(super) fn windows_name(code: u32, parameters: &[u64]) -> Option<String> {
    let (_, name) = CODES.iter().find(|(value, _)| *value == code)?;
    // Parameter 0 of these two says what was tried.
    let access = match (code, parameters.first()) {
        (0xC000_0005 | 0xC000_0006, Some(0)) => " (read)",
        (0xC000_0005 | 0xC000_0006, Some(1)) => " (write)",
        (0xC000_0005 | 0xC000_0006, Some(8)) => " (execute)",
        _ => "",
    };
    Some(format!("{name}{access}"))
}

/// The name of an exception of macOS.
pub(super) fn mach_name(code: u32) -> Option<&'static str> {
    MACH.get((code as usize).checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_access_violation_tried_is_said() {
        assert_eq!(windows_name(0xC000_0005, &[1, 0]).as_deref(), Some("ACCESS_VIOLATION (write)"));
        assert_eq!(windows_name(0xC000_00FD, &[1]).as_deref(), Some("STACK_OVERFLOW"));
        assert_eq!(windows_name(1, &[]), None);
        assert_eq!(mach_name(1), Some("EXC_BAD_ACCESS"));
        assert_eq!(mach_name(0), None);
    }
}
