//! Processes: opening them, and what they are.

use super::{owned, succeeded, text};
use crate::target::FileTime;
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};
use windows_sys::Win32::Foundation::{FILETIME, WAIT_OBJECT_0};
use windows_sys::Win32::System::Threading::{
    GetPriorityClass, GetProcessId, GetProcessTimes, IsWow64Process, OpenProcess,
    PROCESS_ACCESS_RIGHTS, QueryFullProcessImageNameW, WaitForSingleObject,
};

/// Opens a process.
pub(in super::super) fn open(pid: u32, access: PROCESS_ACCESS_RIGHTS) -> io::Result<OwnedHandle> {
    // SAFETY: takes numbers and returns a handle that is ours.
    owned(unsafe { OpenProcess(access, 0, pid) })
}

/// The id of a process: a number that is not a multiple of four opens the
/// process whose id it is rounded down to.
pub(in super::super) fn id(process: BorrowedHandle<'_>) -> u32 {
    // SAFETY: the handle is a process's.
    unsafe { GetProcessId(process.as_raw_handle()) }
}

/// Whether it has ended (the handle keeps what is left of it).
pub(in super::super) fn has_ended(process: BorrowedHandle<'_>) -> bool {
    // SAFETY: the handle is a process's; nothing is waited for.
    unsafe { WaitForSingleObject(process.as_raw_handle(), 0) == WAIT_OBJECT_0 }
}

/// Whether it is a 32-bit process on a 64-bit system.
pub(in super::super) fn is_wow64(process: BorrowedHandle<'_>) -> bool {
    let mut result = 0;
    // SAFETY: the handle is a process's, and the result is writable.
    let asked = unsafe { IsWow64Process(process.as_raw_handle(), &raw mut result) };
    asked != 0 && result != 0
}

/// Its priority class: `*_PRIORITY_CLASS`.
pub(in super::super) fn priority_class(process: BorrowedHandle<'_>) -> io::Result<u32> {
    // SAFETY: the handle is a process's.
    match unsafe { GetPriorityClass(process.as_raw_handle()) } {
        0 => Err(io::Error::last_os_error()),
        class => Ok(class),
    }
}

/// The path of its executable.
pub(in super::super) fn image_path(process: BorrowedHandle<'_>) -> io::Result<String> {
    let mut path = vec![0; 32 << 10];
    let mut len = path.len() as u32;
    // SAFETY: the buffer is writable for as many units as `len` says.
    succeeded(unsafe {
        QueryFullProcessImageNameW(process.as_raw_handle(), 0, path.as_mut_ptr(), &raw mut len)
    })?;
    Ok(text(&path))
}

/// When it was created, kernel time and user time in 100 ns units.
pub(in super::super) fn times(process: BorrowedHandle<'_>) -> io::Result<(FileTime, u64, u64)> {
    let mut times = [FILETIME::default(); 4];
    let [created, exited, kernel, user] = &mut times;
    // SAFETY: the handle is a process's, and all four are writable.
    succeeded(unsafe { GetProcessTimes(process.as_raw_handle(), created, exited, kernel, user) })?;
    Ok((FileTime(ticks(*created)), ticks(*kernel), ticks(*user)))
}

/// A `FILETIME` as one number.
pub(super) fn ticks(time: FILETIME) -> u64 {
    u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime)
}
