//! From a number to an open process.

use super::sys::{process, system, token};
use crate::error::{Error, Result};
use crate::target::Pid;
use std::io;
use std::os::windows::io::{AsHandle, OwnedHandle};
use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_INVALID_PARAMETER};
use windows_sys::Win32::System::Threading::{
    PROCESS_ACCESS_RIGHTS, PROCESS_DUP_HANDLE, PROCESS_QUERY_INFORMATION,
    PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE, PROCESS_VM_READ,
};

/// What reading memory and most information needs.
const LEAST: PROCESS_ACCESS_RIGHTS =
    PROCESS_QUERY_INFORMATION | PROCESS_VM_READ | PROCESS_SYNCHRONIZE;

/// `IMAGE_FILE_MACHINE_AMD64`, winnt.h.
const AMD64: u16 = 0x8664;

/// Opens a process for dumping.
///
/// # Errors
/// There is none of that number, it has ended, it is this process, it may
/// not be opened, or the processor is another one.
pub(super) fn open(pid: Pid) -> Result<OwnedHandle> {
    if pid.0 == std::process::id() {
        return Err(Error::OwnProcess(pid));
    }
    if let Some(machine) = system::native_machine().filter(|machine| *machine != AMD64) {
        let reason = format!(
            "Windows runs on a processor of another kind here (machine {machine:#x}), and processes are dumped on x86-64 only"
        );
        return Err(Error::AccessDenied { pid, reason });
    }
    // Users without the privilege have their own processes all the same.
    if let Err(error) = token::enable_debug_privilege() {
        tracing::debug!(%error, "SeDebugPrivilege is not to be had");
    }
    let opened = process::open(pid.0, LEAST | PROCESS_DUP_HANDLE)
        .or_else(|_| process::open(pid.0, LEAST))
        .map_err(|error| refused(pid, error))?;
    if process::id(opened.as_handle()) != pid.0 {
        return Err(Error::NoSuchProcess(pid));
    }
    if process::has_ended(opened.as_handle()) {
        return Err(Error::ProcessEnded(pid));
    }
    Ok(opened)
}

fn refused(pid: Pid, error: io::Error) -> Error {
    match error.raw_os_error().map(|code| code as u32) {
        // The idle and system processes answer so, too.
        Some(ERROR_INVALID_PARAMETER) => Error::NoSuchProcess(pid),
        Some(ERROR_ACCESS_DENIED) => Error::AccessDenied { pid, reason: why_denied(pid) },
        _ => Error::Target { pid, what: "the process (OpenProcess)".into(), source: error },
    }
}

fn why_denied(pid: Pid) -> String {
    if process::open(pid.0, PROCESS_QUERY_LIMITED_INFORMATION).is_ok() {
        "it belongs to another user, runs with higher rights or is a protected process; run as administrator (protected processes cannot be dumped)".into()
    } else {
        "it belongs to another user or to the system; run as administrator".into()
    }
}
