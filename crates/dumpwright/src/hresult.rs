//! The `HRESULT` that stands for each [`Error`] where a face has no other word
//! for it: the COM server, the C API and the Python bindings all use this one
//! table. `docs/dbgeng-hresults.md` shows it to users.

use crate::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};

/// A result code of COM. Negative values are failures.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct HResult(pub i32);

impl HResult {
    /// Done.
    pub const S_OK: HResult = HResult(0);
    /// Done in part: a string was cut off, or nothing was there to do.
    pub const S_FALSE: HResult = HResult(1);
    /// Not implemented.
    pub const E_NOTIMPL: HResult = HResult::code(0x8000_4001);
    /// The object has no such interface.
    pub const E_NOINTERFACE: HResult = HResult::code(0x8000_4002);
    /// A pointer that must not be null is null.
    pub const E_POINTER: HResult = HResult::code(0x8000_4003);
    /// Failed, for a reason that has no code.
    pub const E_FAIL: HResult = HResult::code(0x8000_4005);
    /// There is no target, or one that cannot do what was asked.
    pub const E_UNEXPECTED: HResult = HResult::code(0x8000_FFFF);
    /// An argument has a value that it must not have.
    pub const E_INVALIDARG: HResult = HResult::code(0x8007_0057);
    /// Memory is used up.
    pub const E_OUTOFMEMORY: HResult = HResult::code(0x8007_000E);
    /// A handle that is none.
    pub const E_HANDLE: HResult = HResult::code(0x8007_0006);

    const fn code(value: u32) -> HResult {
        HResult(value as i32)
    }

    /// `HRESULT_FROM_WIN32` of a Windows error code.
    pub const fn from_win32(error: u32) -> HResult {
        if error == 0 { HResult::S_OK } else { HResult::code(0x8007_0000 | (error & 0xFFFF)) }
    }

    /// Whether it is a failure.
    pub const fn is_failure(self) -> bool {
        self.0 < 0
    }
}

impl fmt::Debug for HResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for HResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0 as u32)
    }
}

/// The Windows error codes that are answered (winerror.h).
pub mod win32 {
    /// `ERROR_FILE_NOT_FOUND`.
    pub const FILE_NOT_FOUND: u32 = 2;
    /// `ERROR_PATH_NOT_FOUND`.
    pub const PATH_NOT_FOUND: u32 = 3;
    /// `ERROR_ACCESS_DENIED`.
    pub const ACCESS_DENIED: u32 = 5;
    /// `ERROR_WRITE_PROTECT`.
    pub const WRITE_PROTECT: u32 = 19;
    /// `ERROR_WRITE_FAULT`.
    pub const WRITE_FAULT: u32 = 29;
    /// `ERROR_READ_FAULT`.
    pub const READ_FAULT: u32 = 30;
    /// `ERROR_FILE_EXISTS`.
    pub const FILE_EXISTS: u32 = 80;
    /// `ERROR_DISK_FULL`.
    pub const DISK_FULL: u32 = 112;
    /// `ERROR_INVALID_NAME`.
    pub const INVALID_NAME: u32 = 123;
    /// `ERROR_BUSY`.
    pub const BUSY: u32 = 170;
    /// `ERROR_FILE_TOO_LARGE`.
    pub const FILE_TOO_LARGE: u32 = 223;
    /// `ERROR_PARTIAL_COPY`.
    pub const PARTIAL_COPY: u32 = 299;
    /// `ERROR_CANCELLED`.
    pub const CANCELLED: u32 = 1223;
    /// `ERROR_FILE_CORRUPT`.
    pub const FILE_CORRUPT: u32 = 1392;
    /// `ERROR_TIMEOUT`.
    pub const TIMEOUT: u32 = 1460;
}

impl Error {
    /// The `HRESULT` that the dbgeng interfaces answer for this error.
    pub fn hresult(&self) -> HResult {
        match self {
            Error::UnknownFormatFlags(_)
            | Error::UnknownQualifier(_)
            | Error::ConflictingFlags(..)
            | Error::QualifierNotForProcess(_)
            | Error::QualifierNotForMachine(_)
            | Error::FlagsNotForMachine(_)
            | Error::InvalidRequest(_)
            | Error::EmptyFileName
            | Error::NoExtension(_)
            | Error::NoSuchProcess(_) => HResult::E_INVALIDARG,
            Error::FileExists(_) => HResult::from_win32(win32::FILE_EXISTS),
            Error::DiskFull { .. } => HResult::from_win32(win32::DISK_FULL),
            Error::TooLargeForCab { .. } | Error::RvaOverflow { .. } => {
                HResult::from_win32(win32::FILE_TOO_LARGE)
            }
            Error::Io { source, .. } | Error::Write(source) | Error::Target { source, .. } => {
                of_io(source)
            }
            Error::AccessDenied { .. } | Error::AlreadyTraced { .. } => {
                HResult::from_win32(win32::ACCESS_DENIED)
            }
            Error::ProcessEnded(_)
            | Error::Zombie(_)
            | Error::KernelThread(_)
            | Error::OwnProcess(_)
            | Error::CannotRun
            | Error::Guest { .. } => HResult::E_UNEXPECTED,
            Error::CannotStop { .. } | Error::NoEvent { .. } => HResult::from_win32(win32::TIMEOUT),
            Error::InaccessibleMemory { .. } => HResult::from_win32(win32::PARTIAL_COPY),
            Error::Cancelled => HResult::from_win32(win32::CANCELLED),
            Error::NotADump { .. }
            | Error::NotATarget { .. }
            | Error::NotAMachine { .. }
            | Error::NotAKernelDump { .. } => HResult::from_win32(win32::FILE_CORRUPT),
        }
    }
}

/// The `HRESULT` of a failed operation of the system.
pub fn of_io(error: &io::Error) -> HResult {
    #[cfg(windows)]
    if let Some(code) = error.raw_os_error() {
        return HResult::from_win32(code as u32);
    }
    let code = match error.kind() {
        ErrorKind::NotFound => win32::FILE_NOT_FOUND,
        ErrorKind::NotADirectory => win32::PATH_NOT_FOUND,
        // Windows denies access to a folder that is opened as a file.
        ErrorKind::PermissionDenied | ErrorKind::IsADirectory => win32::ACCESS_DENIED,
        ErrorKind::ReadOnlyFilesystem => win32::WRITE_PROTECT,
        ErrorKind::AlreadyExists => win32::FILE_EXISTS,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => win32::DISK_FULL,
        ErrorKind::FileTooLarge => win32::FILE_TOO_LARGE,
        ErrorKind::InvalidFilename => win32::INVALID_NAME,
        ErrorKind::BrokenPipe | ErrorKind::WriteZero => win32::WRITE_FAULT,
        ErrorKind::TimedOut => win32::TIMEOUT,
        ErrorKind::OutOfMemory => return HResult::E_OUTOFMEMORY,
        ErrorKind::InvalidInput => return HResult::E_INVALIDARG,
        _ => return HResult::E_FAIL,
    };
    HResult::from_win32(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::AddressRange;
    use crate::soft_error::HoleReason;
    use crate::target::Pid;
    use dumpwright_format::{FormatFlags, Qualifier};
    use std::path::PathBuf;

    fn samples() -> Vec<(Error, u32)> {
        let file = || PathBuf::from("x.dmp");
        let pid = Pid(1);
        let io = |kind: ErrorKind| Error::Io { action: "open", file: file(), source: kind.into() };
        let flags = FormatFlags::empty();
        vec![
            (Error::UnknownFormatFlags(1), 0x8007_0057),
            (Error::UnknownQualifier(1), 0x8007_0057),
            (Error::ConflictingFlags(flags, flags), 0x8007_0057),
            (Error::QualifierNotForProcess(Qualifier::Full), 0x8007_0057),
            (Error::InvalidRequest(String::new()), 0x8007_0057),
            (Error::EmptyFileName, 0x8007_0057),
            (Error::NoExtension(file()), 0x8007_0057),
            (Error::FileExists(file()), 0x8007_0050),
            (Error::DiskFull { file: file(), needed: 2, available: 1 }, 0x8007_0070),
            (Error::TooLargeForCab { name: "x".into(), size: 2, limit: 1 }, 0x8007_00DF),
            (Error::RvaOverflow { what: "x".into(), offset: 1 }, 0x8007_00DF),
            (io(ErrorKind::NotFound), 0x8007_0002),
            (io(ErrorKind::NotADirectory), 0x8007_0003),
            (io(ErrorKind::PermissionDenied), 0x8007_0005),
            (io(ErrorKind::IsADirectory), 0x8007_0005),
            (io(ErrorKind::ReadOnlyFilesystem), 0x8007_0013),
            (io(ErrorKind::AlreadyExists), 0x8007_0050),
            (io(ErrorKind::InvalidFilename), 0x8007_007B),
            (io(ErrorKind::OutOfMemory), 0x8007_000E),
            (io(ErrorKind::Other), 0x8000_4005),
            (Error::Write(ErrorKind::StorageFull.into()), 0x8007_0070),
            (Error::Write(ErrorKind::QuotaExceeded.into()), 0x8007_0070),
            (Error::Write(ErrorKind::FileTooLarge.into()), 0x8007_00DF),
            (Error::Write(ErrorKind::BrokenPipe.into()), 0x8007_001D),
            (Error::NoSuchProcess(pid), 0x8007_0057),
            (Error::ProcessEnded(pid), 0x8000_FFFF),
            (Error::AccessDenied { pid, reason: String::new() }, 0x8007_0005),
            (Error::AlreadyTraced { pid, tracer: pid }, 0x8007_0005),
            (Error::Zombie(pid), 0x8000_FFFF),
            (Error::KernelThread(pid), 0x8000_FFFF),
            (Error::OwnProcess(pid), 0x8000_FFFF),
            (Error::CannotRun, 0x8000_FFFF),
            (Error::NoEvent { pid, seconds: 5 }, 0x8007_05B4),
            (Error::CannotStop { pid, seconds: 5, state: 'D' }, 0x8007_05B4),
            (
                Error::Target {
                    pid,
                    what: "maps".into(),
                    source: ErrorKind::PermissionDenied.into(),
                },
                0x8007_0005,
            ),
            (
                Error::InaccessibleMemory {
                    range: AddressRange::new(0, 1),
                    name: String::new(),
                    reason: HoleReason::NotInSource,
                },
                0x8007_012B,
            ),
            (Error::Cancelled, 0x8007_04C7),
            (Error::NotADump { file: file(), reason: String::new() }, 0x8007_0570),
            (Error::NotATarget { file: file(), reason: String::new() }, 0x8007_0570),
            (Error::NotAMachine { file: file(), reason: String::new() }, 0x8007_0570),
            (Error::NotAKernelDump { file: file(), reason: String::new() }, 0x8007_0570),
            (Error::Guest { socket: file(), reason: String::new() }, 0x8000_FFFF),
            (Error::QualifierNotForMachine(Qualifier::ImageFile), 0x8007_0057),
            (Error::FlagsNotForMachine(FormatFlags::empty()), 0x8007_0057),
        ]
    }

    #[test]
    fn every_error_has_the_documented_hresult() {
        for (error, expected) in samples() {
            assert_eq!(error.hresult().0 as u32, expected, "{error:?}");
        }
    }

    /// The table for users has a row for each sample: the variant and its value.
    #[test]
    fn the_table_in_the_docs_is_the_one_in_the_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/dbgeng-hresults.md");
        let docs = std::fs::read_to_string(path).unwrap();
        for (error, value) in samples() {
            let debug = format!("{error:?}");
            let name = debug.split(|c: char| !c.is_alphanumeric()).next().unwrap();
            let value = format!("0x{value:08X}");
            assert!(
                docs.lines().any(|l| l.contains(&format!("`{name}`")) && l.contains(&value)),
                "docs/dbgeng-hresults.md has no row with `{name}` and {value}"
            );
        }
    }
}
