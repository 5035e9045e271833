//! Calls of the Windows API, each behind a safe function. All unsafe code of
//! this backend is in this folder.

pub(super) mod console;
pub(super) mod debug;
pub(super) mod disk;
pub(super) mod information;
pub(super) mod inherited;
pub(super) mod memory;
pub(super) mod objects;
pub(super) mod power;
pub(super) mod process;
pub(super) mod section;
pub(super) mod system;
pub(super) mod thread;
pub(super) mod token;
pub(super) mod toolhelp;

use std::io;
use std::os::windows::io::{FromRawHandle, OwnedHandle};
use windows_sys::Win32::Foundation::{
    HANDLE, INVALID_HANDLE_VALUE, NTSTATUS, RtlNtStatusToDosError,
};

/// Takes over a handle that a call has just returned.
fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() || handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the calls whose results come here return a handle that nobody
    // else has, and it is a real one.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// What a call that returns a `BOOL` says.
fn succeeded(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The error that a status stands for.
fn status_error(status: NTSTATUS) -> io::Error {
    // SAFETY: a function of numbers.
    io::Error::from_raw_os_error(unsafe { RtlNtStatusToDosError(status) } as i32)
}

/// Text up to the first NUL.
fn text(units: &[u16]) -> String {
    let len = units.iter().position(|unit| *unit == 0).unwrap_or(units.len());
    String::from_utf16_lossy(&units[..len])
}
