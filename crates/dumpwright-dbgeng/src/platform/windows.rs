//! Windows: narrow text is in the ANSI code page, handles are handles.

use super::{Description, Start};
use crate::abi::Answer;
use dumpwright::hresult::of_io;
use dumpwright::target::machine::MachineTarget;
use dumpwright::target::windows::{WindowsProcess, processes};
use dumpwright::target::{Pid, ProcessTarget, Wants};
use dumpwright::{HResult, Result};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle, RawHandle};
use std::path::{Path, PathBuf};
use std::ptr;
use windows_sys::Wdk::System::Threading::NtQueryInformationProcess;
use windows_sys::Win32::Foundation::{UNICODE_STRING, WAIT_OBJECT_0};
use windows_sys::Win32::Globalization::{CP_ACP, GetACP, MultiByteToWideChar, WideCharToMultiByte};
use windows_sys::Win32::Storage::FileSystem::GetFinalPathNameByHandleW;
use windows_sys::Win32::System::Threading::{
    CREATE_UNICODE_ENVIRONMENT, CreateProcessW, DEBUG_ONLY_THIS_PROCESS, DEBUG_PROCESS,
    GetExitCodeProcess, OpenProcess, PROCESS_INFORMATION, PROCESS_QUERY_LIMITED_INFORMATION,
    PROCESS_SYNCHRONIZE, PROCESS_TERMINATE, QueryFullProcessImageNameW, STARTUPINFOW,
    TerminateProcess, WaitForSingleObject,
};

/// `ProcessCommandLineInformation`.
const COMMAND_LINE: i32 = 60;
/// Characters of the longest path.
const MAX_PATH: usize = 0x8000;
/// Milliseconds that an ended process may take to be gone.
const PATIENCE: u32 = 5000;
/// The exit code that a process is ended with.
const ENDED: u32 = 0xC000_013A;
/// The code page of UTF-8.
const UTF8: u32 = 65001;

/// Narrow text as a file name.
pub fn from_narrow(bytes: Vec<u8>) -> OsString {
    let length = bytes.len() as i32;
    // SAFETY: `length` bytes are there; no room is given, so none is written.
    let needed =
        unsafe { MultiByteToWideChar(CP_ACP, 0, bytes.as_ptr(), length, ptr::null_mut(), 0) };
    let mut units = vec![0; needed.max(0) as usize];
    // SAFETY: as above, and there is room for `needed` units.
    let written = unsafe {
        MultiByteToWideChar(CP_ACP, 0, bytes.as_ptr(), length, units.as_mut_ptr(), needed)
    };
    units.truncate(written.max(0) as usize);
    OsString::from_wide(&units)
}

/// Text as narrow.
pub fn to_narrow(text: &str) -> Vec<u8> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let length = units.len() as i32;
    let (none, unused) = (ptr::null(), ptr::null_mut());
    // SAFETY: `length` units are there; no room is given, so none is written.
    let needed = unsafe {
        WideCharToMultiByte(CP_ACP, 0, units.as_ptr(), length, ptr::null_mut(), 0, none, unused)
    };
    let mut bytes = vec![0; needed.max(0) as usize];
    // SAFETY: as above, and there is room for `needed` bytes.
    let written = unsafe {
        let out = bytes.as_mut_ptr();
        WideCharToMultiByte(CP_ACP, 0, units.as_ptr(), length, out, needed, none, unused)
    };
    bytes.truncate(written.max(0) as usize);
    bytes
}

/// Whether a byte of narrow text goes on with the character before it.
pub fn continues(byte: u8) -> bool {
    // SAFETY: it takes nothing.
    byte & 0xC0 == 0x80 && unsafe { GetACP() } == UTF8
}

/// Wide text as a file name.
pub fn from_wide(units: &[u16]) -> Answer<OsString> {
    Ok(OsString::from_wide(units))
}

/// A file of ours for a handle of the caller's. 0 and -1 are none.
pub fn borrow_file(handle: u64) -> Answer<File> {
    if handle == 0 || handle == u64::MAX || handle == u64::from(u32::MAX) {
        return Err(HResult::E_HANDLE);
    }
    // SAFETY: the caller keeps the handle open for the call; one that is not
    // open makes the copy fail.
    let borrowed = unsafe { BorrowedHandle::borrow_raw(handle as RawHandle) };
    borrowed.try_clone_to_owned().map(File::from).map_err(|_| HResult::E_HANDLE)
}

/// A name by which an open file can be opened again.
pub fn path_of(file: &File) -> io::Result<PathBuf> {
    let mut units = vec![0; MAX_PATH];
    // SAFETY: the handle is open, and there is room for so many units.
    let length = unsafe {
        GetFinalPathNameByHandleW(file.as_raw_handle(), units.as_mut_ptr(), MAX_PATH as u32, 0)
    };
    if length == 0 || length as usize > units.len() {
        return Err(io::Error::last_os_error());
    }
    Ok(OsString::from_wide(&units[..length as usize]).into())
}

/// Opens a live process: it stands still until the answer is released.
pub fn hold(pid: Pid, wants: &Wants) -> Result<Box<dyn ProcessTarget>> {
    Ok(Box::new(WindowsProcess::attach(pid, wants)?))
}

/// Live guests are held on Linux only.
pub fn hold_guest(socket: &Path) -> Result<Box<dyn MachineTarget>> {
    let reason = "live guests are dumped on Linux only; open a memory image of it".to_owned();
    Err(dumpwright::Error::Guest { socket: socket.to_owned(), reason })
}

/// All processes.
pub fn processes() -> io::Result<Vec<Pid>> {
    processes::processes()
}

/// Processes by the name of their executable; `name` can be a whole path.
pub fn processes_named(name: &str, full: bool) -> io::Result<Vec<Pid>> {
    if full {
        let is_it =
            |pid: &Pid| description(*pid).is_some_and(|d| d.executable.eq_ignore_ascii_case(name));
        return Ok(processes()?.into_iter().filter(is_it).collect());
    }
    Ok(processes::processes_named(name)?.into_iter().map(|p| p.pid).collect())
}

/// What a process is; `None` if it cannot be asked.
pub fn description(pid: Pid) -> Option<Description> {
    let process = open(pid, PROCESS_QUERY_LIMITED_INFORMATION).ok()?;
    let mut units = vec![0; MAX_PATH];
    let mut length = MAX_PATH as u32;
    // SAFETY: the handle is open, and there is room for `length` units.
    let done = unsafe {
        QueryFullProcessImageNameW(process.as_raw_handle(), 0, units.as_mut_ptr(), &raw mut length)
    };
    if done == 0 {
        return None;
    }
    let executable = String::from_utf16_lossy(&units[..length as usize]);
    Some(Description { executable, command_line: command_line(&process).unwrap_or_default() })
}

fn command_line(process: &OwnedHandle) -> Option<String> {
    // Of 8 bytes each, so that the structure at the start is aligned.
    let mut buffer = vec![0_u64; MAX_PATH / 2];
    let size = size_of_val(buffer.as_slice()) as u32;
    // SAFETY: the handle is open, and there is room for `size` bytes.
    let status = unsafe {
        NtQueryInformationProcess(
            process.as_raw_handle(),
            COMMAND_LINE,
            buffer.as_mut_ptr().cast(),
            size,
            ptr::null_mut(),
        )
    };
    if status < 0 {
        return None;
    }
    // SAFETY: the call has put a string's description at the start.
    let string = unsafe { buffer.as_ptr().cast::<UNICODE_STRING>().read() };
    if string.Buffer.is_null() {
        return None;
    }
    // SAFETY: its text stands behind it in the buffer, with this many bytes.
    let units = unsafe { std::slice::from_raw_parts(string.Buffer, string.Length as usize / 2) };
    Some(String::from_utf16_lossy(units))
}

fn open(pid: Pid, access: u32) -> io::Result<OwnedHandle> {
    // SAFETY: it takes plain values.
    let handle = unsafe { OpenProcess(access, 0, pid.0) };
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just opened.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// A process that the session watches.
pub struct Running {
    process: OwnedHandle,
}

impl Running {
    /// Finds a process.
    pub fn open(pid: Pid) -> io::Result<Running> {
        let watch = PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE;
        // Who may not end it may still be able to dump it.
        let process = open(pid, watch | PROCESS_TERMINATE).or_else(|_| open(pid, watch))?;
        Ok(Running { process })
    }

    fn has_ended(&self, wait: u32) -> bool {
        // SAFETY: the handle is open.
        unsafe { WaitForSingleObject(self.process.as_raw_handle(), wait) == WAIT_OBJECT_0 }
    }

    /// Ends it, which takes effect once nobody holds it.
    pub fn terminate(&self) -> Answer<()> {
        // SAFETY: the handle is open.
        let done = unsafe { TerminateProcess(self.process.as_raw_handle(), ENDED) };
        if done == 0 && !self.has_ended(0) {
            return Err(of_io(&io::Error::last_os_error()));
        }
        Ok(())
    }

    /// Waits until it has ended, for a few seconds.
    pub fn wait_until_ended(&self) {
        self.has_ended(PATIENCE);
    }

    /// Its exit code, as far as it has ended.
    ///
    /// # Errors
    /// The system's, if it cannot be asked.
    pub fn exit_code(&self) -> Answer<Option<u32>> {
        if !self.has_ended(0) {
            return Ok(None);
        }
        let mut code = 0;
        // SAFETY: the handle is open, and the code has a place.
        let done = unsafe { GetExitCodeProcess(self.process.as_raw_handle(), &raw mut code) };
        if done == 0 { Err(of_io(&io::Error::last_os_error())) } else { Ok(Some(code)) }
    }
}

/// Starts a process and answers its id.
pub fn start(start: &Start) -> io::Result<(Pid, Running)> {
    let with_nul = |text: &OsStr| text.encode_wide().chain([0]).collect::<Vec<u16>>();
    let mut line = with_nul(&start.command_line);
    let directory = start.directory.as_ref().map(|d| with_nul(d.as_os_str()));
    let environment = start.environment.as_ref().map(|entries| {
        entries.iter().flat_map(|e| with_nul(e)).chain([0, 0]).collect::<Vec<u16>>()
    });
    // It is no debugger's: only held while it is dumped.
    let flags = start.flags & !(DEBUG_PROCESS | DEBUG_ONLY_THIS_PROCESS);
    let startup = STARTUPINFOW { cb: size_of::<STARTUPINFOW>() as u32, ..Default::default() };
    let mut process = PROCESS_INFORMATION::default();
    // SAFETY: all strings end with NUL (the environment with an empty string)
    // and live until the call returns.
    let done = unsafe {
        CreateProcessW(
            ptr::null(),
            line.as_mut_ptr(),
            ptr::null(),
            ptr::null(),
            0,
            flags | CREATE_UNICODE_ENVIRONMENT,
            environment.as_ref().map_or(ptr::null(), |e| e.as_ptr().cast()),
            directory.as_ref().map_or(ptr::null(), Vec::as_ptr),
            &raw const startup,
            &raw mut process,
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both were just opened and are nobody else's.
    let (running, _thread) = unsafe {
        (
            OwnedHandle::from_raw_handle(process.hProcess),
            OwnedHandle::from_raw_handle(process.hThread),
        )
    };
    Ok((Pid(process.dwProcessId), Running { process: running }))
}
