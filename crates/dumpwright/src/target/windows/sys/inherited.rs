//! Handles that pass from one process to another by number.

use super::{owned, succeeded};
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use windows_sys::Win32::Foundation::{
    DUPLICATE_SAME_ACCESS, DuplicateHandle, GetHandleInformation, HANDLE, WAIT_OBJECT_0,
};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, INFINITE, PROCESS_SYNCHRONIZE, SetEvent, WaitForSingleObject,
};

/// Takes over a handle that whoever started this process gave it.
///
/// # Errors
/// There is none of that number.
pub(in super::super) fn take(handle: u64) -> io::Result<OwnedHandle> {
    let handle = handle as HANDLE;
    let mut flags = 0;
    // SAFETY: any number may be asked for.
    succeeded(unsafe { GetHandleInformation(handle, &raw mut flags) })?;
    // SAFETY: it is a handle, and it was given to this process to be taken here, once.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// Sets the event that whoever started this process gave it.
///
/// # Errors
/// There is no event of that number, or it may not be set.
pub fn set_event(event: u64) -> io::Result<()> {
    let event = take(event)?;
    // SAFETY: the handle is one; that it is an event's is checked by the kernel.
    succeeded(unsafe { SetEvent(event.as_raw_handle()) })
}

/// Gives another process a handle of ours; what it is called there.
pub(in super::super) fn give(
    object: BorrowedHandle<'_>,
    process: BorrowedHandle<'_>,
) -> io::Result<u64> {
    let mut copy: HANDLE = std::ptr::null_mut();
    // SAFETY: `copy` is writable, and both handles are ours.
    succeeded(unsafe {
        DuplicateHandle(
            GetCurrentProcess(),
            object.as_raw_handle(),
            process.as_raw_handle(),
            &raw mut copy,
            0,
            0,
            DUPLICATE_SAME_ACCESS,
        )
    })?;
    Ok(copy as u64)
}

/// A handle for this process, which those that it starts inherit: to wait for
/// its end.
pub(in super::super) fn this_process() -> io::Result<OwnedHandle> {
    let mut copy: HANDLE = std::ptr::null_mut();
    // SAFETY: `copy` is writable.
    succeeded(unsafe {
        DuplicateHandle(
            GetCurrentProcess(),
            GetCurrentProcess(),
            GetCurrentProcess(),
            &raw mut copy,
            PROCESS_SYNCHRONIZE,
            1,
            0,
        )
    })?;
    owned(copy)
}

/// What a handle is called.
pub(in super::super) fn number(handle: BorrowedHandle<'_>) -> u64 {
    handle.as_raw_handle() as u64
}

/// Waits until a process has ended.
pub(in super::super) fn wait_for_end(process: BorrowedHandle<'_>) -> io::Result<()> {
    // SAFETY: the handle is one; others than processes may be waited for, too.
    match unsafe { WaitForSingleObject(process.as_raw_handle(), INFINITE) } {
        WAIT_OBJECT_0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
