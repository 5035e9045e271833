//! Linux: narrow text is bytes, handles are file descriptors.

use super::{Description, Start};
use crate::abi::Answer;
use dumpwright::hresult::of_io;
use dumpwright::target::linux::LinuxProcess;
use dumpwright::target::linux::processes;
use dumpwright::target::machine::qemu::QemuMachine;
use dumpwright::target::machine::{MachineOptions, MachineTarget};
use dumpwright::target::{Pid, ProcessTarget, Wants};
use dumpwright::{HResult, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Mutex;

/// Narrow text as a file name: the bytes.
pub fn from_narrow(bytes: Vec<u8>) -> OsString {
    OsString::from_vec(bytes)
}

/// Text as narrow: UTF-8.
pub fn to_narrow(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// Whether a byte of narrow text goes on with the character before it.
pub fn continues(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// Wide text as a file name.
pub fn from_wide(units: &[u16]) -> Answer<OsString> {
    String::from_utf16(units).map(OsString::from).map_err(|_| HResult::E_INVALIDARG)
}

/// A file of ours for a descriptor of the caller's. 0 and -1 are none.
pub fn borrow_file(handle: u64) -> Answer<File> {
    let raw = RawFd::try_from(handle).map_err(|_| HResult::E_HANDLE)?;
    if raw <= 0 {
        return Err(HResult::E_HANDLE);
    }
    // SAFETY: the caller keeps the descriptor open for the call; one that is
    // not open makes the copy fail.
    let borrowed = unsafe { BorrowedFd::borrow_raw(raw) };
    borrowed.try_clone_to_owned().map(File::from).map_err(|_| HResult::E_HANDLE)
}

/// A name by which an open file can be opened again.
#[expect(clippy::unnecessary_wraps, reason = "Windows has to ask for it")]
pub fn path_of(file: &File) -> io::Result<PathBuf> {
    Ok(PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())))
}

/// Opens a live process: it stands still until the answer is released.
pub fn hold(pid: Pid, wants: &Wants) -> Result<Box<dyn ProcessTarget>> {
    Ok(Box::new(LinuxProcess::attach(pid, wants)?))
}

/// Opens a live guest: it stands still until the answer is released.
pub fn hold_guest(socket: &Path) -> Result<Box<dyn MachineTarget>> {
    Ok(Box::new(QemuMachine::attach(socket, &MachineOptions::default())?))
}

/// All processes.
pub fn processes() -> io::Result<Vec<Pid>> {
    processes::processes()
}

/// Processes by the name of their executable; `name` can be a whole path.
pub fn processes_named(name: &str, full: bool) -> io::Result<Vec<Pid>> {
    if full {
        let is_it = |pid: &Pid| {
            fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|e| e == Path::new(name))
        };
        return Ok(processes()?.into_iter().filter(is_it).collect());
    }
    Ok(processes::processes_named(name)?.into_iter().map(|p| p.pid).collect())
}

/// What a process is; `None` if there is no such process.
pub fn description(pid: Pid) -> Option<Description> {
    let comm = fs::read(format!("/proc/{pid}/comm")).ok()?;
    let executable = match fs::read_link(format!("/proc/{pid}/exe")) {
        Ok(path) => path.to_string_lossy().into_owned(),
        Err(_) => String::from_utf8_lossy(&comm).trim_end().to_owned(),
    };
    let command_line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = command_line.split(|b| *b == 0).map(String::from_utf8_lossy).collect();
    Some(Description { executable, command_line: words.join(" ").trim_end().to_owned() })
}

/// How long an ended process may take to be gone.
const PATIENCE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// A process that the session watches: known by a descriptor, so that its id
/// cannot come to mean another.
pub struct Running {
    descriptor: OwnedFd,
    child: Option<Mutex<Child>>,
}

impl Running {
    /// Finds a process.
    pub fn open(pid: Pid) -> io::Result<Running> {
        let raw = i32::try_from(pid.0).ok().and_then(rustix::process::Pid::from_raw);
        let raw = raw.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Running { descriptor: pidfd_open(raw, PidfdFlags::empty())?, child: None })
    }

    /// Ends it, which takes effect once nobody holds it.
    pub fn terminate(&self) -> Answer<()> {
        match pidfd_send_signal(&self.descriptor, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(of_io(&error.into())),
        }
    }

    /// Waits until it has ended, for a few seconds.
    pub fn wait_until_ended(&self) {
        self.wait(&PATIENCE);
    }

    fn wait(&self, timeout: &Timespec) -> bool {
        let mut fds = [PollFd::new(&self.descriptor, PollFlags::IN)];
        poll(&mut fds, Some(timeout)).is_ok_and(|ready| ready > 0)
    }

    /// Its exit code, as far as it has ended and can be known: a signal is told
    /// as shells do, 128 and its number.
    ///
    /// # Errors
    /// `E_FAIL` if it was not started here.
    pub fn exit_code(&self) -> Answer<Option<u32>> {
        // Asked only when it has ended: waiting for a child that is traced
        // would take the tracer's events.
        if !self.wait(&Timespec::default()) {
            return Ok(None);
        }
        let child = self.child.as_ref().ok_or(HResult::E_FAIL)?;
        let status = crate::session::lock(child).try_wait().ok().flatten();
        let status = status.ok_or(HResult::E_FAIL)?;
        let code = status.code().or_else(|| status.signal().map(|s| 128 + s));
        code.map(|c| Some(c as u32)).ok_or(HResult::E_FAIL)
    }
}

/// Starts a process and answers its id.
pub fn start(start: &Start) -> io::Result<(Pid, Running)> {
    let words = split(&start.command_line);
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments);
    if let Some(directory) = &start.directory {
        command.current_dir(directory);
    }
    if let Some(environment) = &start.environment {
        command.env_clear();
        for entry in environment {
            let mut parts = entry.as_bytes().splitn(2, |b| *b == b'=');
            if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
                command.env(OsStr::from_bytes(name), OsStr::from_bytes(value));
            }
        }
    }
    let child = command.spawn()?;
    let pid = Pid(child.id());
    let mut running = Running::open(pid)?;
    running.child = Some(Mutex::new(child));
    Ok((pid, running))
}

/// Splits a command line at spaces; quotes of either kind hold words together,
/// and a backslash outside single quotes takes the next character as it is.
fn split(line: &OsStr) -> Vec<OsString> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = line.as_bytes().iter().copied();
    while let Some(byte) = bytes.next() {
        match (byte, quote) {
            (b' ' | b'\t', None) => words.extend(word.take().map(OsString::from_vec)),
            (b'"' | b'\'', None) => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            (byte, Some(open)) if byte == open => quote = None,
            (b'\\', None | Some(b'"')) => word.get_or_insert_default().extend(bytes.next()),
            (byte, _) => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word.map(OsString::from_vec));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_split_as_a_shell_would() {
        let words = split(OsStr::new(r#"sh  -c "echo \"a b\"" 'c\d' e\ f """#));
        assert_eq!(words, ["sh", "-c", "echo \"a b\"", r"c\d", "e f", ""]);
        assert!(split(OsStr::new("  ")).is_empty());
    }
}
