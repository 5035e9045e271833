//! Lists of processes and threads.

use super::{owned, succeeded, text};
use std::io;
use std::os::windows::io::AsRawHandle;
use windows_sys::Win32::Foundation::ERROR_NO_MORE_FILES;
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
    TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
};

/// Ids and names of all processes.
pub(in super::super) fn processes() -> io::Result<Vec<(u32, String)>> {
    // SAFETY: takes numbers and returns a handle that is ours.
    let list = owned(unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0) })?;
    let mut entry =
        PROCESSENTRY32W { dwSize: size_of::<PROCESSENTRY32W>() as u32, ..Default::default() };
    let mut found = Vec::new();
    // SAFETY: the handle is a list's, and the entry names its size.
    let mut more = succeeded(unsafe { Process32FirstW(list.as_raw_handle(), &raw mut entry) });
    while more.is_ok() {
        found.push((entry.th32ProcessID, text(&entry.szExeFile)));
        // SAFETY: as above.
        more = succeeded(unsafe { Process32NextW(list.as_raw_handle(), &raw mut entry) });
    }
    ended(more)?;
    Ok(found)
}

/// Ids of the threads of a process, in the order they were created in.
pub(in super::super) fn threads(pid: u32) -> io::Result<Vec<u32>> {
    // SAFETY: takes numbers and returns a handle that is ours.
    let list = owned(unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0) })?;
    let mut entry =
        THREADENTRY32 { dwSize: size_of::<THREADENTRY32>() as u32, ..Default::default() };
    let mut found = Vec::new();
    // SAFETY: the handle is a list's, and the entry names its size.
    let mut more = succeeded(unsafe { Thread32First(list.as_raw_handle(), &raw mut entry) });
    while more.is_ok() {
        if entry.th32OwnerProcessID == pid {
            found.push(entry.th32ThreadID);
        }
        // SAFETY: as above.
        more = succeeded(unsafe { Thread32Next(list.as_raw_handle(), &raw mut entry) });
    }
    ended(more)?;
    Ok(found)
}

/// Whether a list came to its end, and not to an error.
fn ended(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.raw_os_error() == Some(ERROR_NO_MORE_FILES as i32) => Ok(()),
        other => other,
    }
}
