//! The engine's errors as exceptions.

use dumpwright::Error;
use dumpwright::read::ReadError;
use dumpwright::verify::{Fault, Severity};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

create_exception!(
    _dumpwright,
    DumpwrightError,
    PyException,
    "Any failure; `hresult` has its code."
);
create_exception!(
    _dumpwright,
    InvalidRequest,
    DumpwrightError,
    "The request cannot be carried out."
);
create_exception!(_dumpwright, DumpExists, DumpwrightError, "The file exists and was left alone.");
create_exception!(
    _dumpwright,
    NoSuchProcess,
    DumpwrightError,
    "There is no such process (any more)."
);
create_exception!(
    _dumpwright,
    AccessDenied,
    DumpwrightError,
    "The process may not be attached to."
);
create_exception!(_dumpwright, Cancelled, DumpwrightError, "The progress function answered False.");
create_exception!(_dumpwright, NotADump, DumpwrightError, "The file is no dump that can be read.");

/// The exception for an error. Failures of files are `OSError`s with their
/// `errno`, as Python has them everywhere.
pub fn exception(py: Python<'_>, error: Error) -> PyErr {
    let message = error.to_string();
    let hresult = error.hresult().0 as u32;
    let exception = match error {
        Error::Io { source, file, .. } if source.raw_os_error().is_some() => {
            return PyOSError::new_err((source.raw_os_error(), message, file));
        }
        Error::UnknownFormatFlags(_)
        | Error::UnknownQualifier(_)
        | Error::ConflictingFlags(..)
        | Error::QualifierNotForProcess(_)
        | Error::QualifierNotForMachine(_)
        | Error::FlagsNotForMachine(_)
        | Error::InvalidRequest(_)
        | Error::EmptyFileName
        | Error::NoExtension(_) => InvalidRequest::new_err(message),
        Error::FileExists(_) => DumpExists::new_err(message),
        Error::NoSuchProcess(_) | Error::ProcessEnded(_) | Error::Zombie(_) => {
            NoSuchProcess::new_err(message)
        }
        Error::AccessDenied { .. } | Error::AlreadyTraced { .. } => AccessDenied::new_err(message),
        Error::Cancelled => Cancelled::new_err(message),
        Error::NotADump { .. }
        | Error::NotATarget { .. }
        | Error::NotAMachine { .. }
        | Error::NotAKernelDump { .. } => NotADump::new_err(message),
        _ => DumpwrightError::new_err(message),
    };
    // An exception that takes no attributes is still the right one.
    let _ = exception.value(py).setattr("hresult", hresult);
    exception
}

/// The exception for trouble in a dump that was opened.
pub fn read_exception(error: ReadError) -> PyErr {
    match error {
        ReadError::Io { .. } => PyRuntimeError::new_err(error.to_string()),
        other => NotADump::new_err(other.to_string()),
    }
}

/// Faults of a dump as dictionaries.
pub fn faults(py: Python<'_>, faults: Vec<Fault>) -> PyResult<Vec<Bound<'_, PyDict>>> {
    faults
        .into_iter()
        .map(|fault| {
            let entry = PyDict::new(py);
            let severity = match fault.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            entry.set_item("severity", severity)?;
            entry.set_item("stream", fault.stream.map(|s| s.0))?;
            entry.set_item("offset", fault.offset)?;
            entry.set_item("message", fault.message)?;
            Ok(entry)
        })
        .collect()
}
