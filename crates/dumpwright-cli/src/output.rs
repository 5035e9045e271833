//! What commands end with: an exit code or an error, and text on standard output.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// Exit code of `verify` when it found faults.
pub const FAULTS: u8 = 3;
/// Exit code of a wrong command line.
pub const USAGE: u8 = 2;
/// Exit code after a signal that asked to end.
pub const INTERRUPTED: u8 = 130;

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// The engine's error.
    Engine(dumpwright::Error),
    /// The command line asks for what cannot be.
    Usage(String),
    /// Anything else, as the line to print.
    Message(String),
}

/// Result of a command.
pub type Outcome<T = ExitCode> = Result<T, Failure>;

impl Failure {
    /// The exit code that says it.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Engine(dumpwright::Error::Cancelled) => ExitCode::from(INTERRUPTED),
            Failure::Usage(_) => ExitCode::from(USAGE),
            _ => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Engine(error) => error.fmt(f),
            Failure::Usage(message) | Failure::Message(message) => f.write_str(message),
        }
    }
}

impl From<dumpwright::Error> for Failure {
    fn from(error: dumpwright::Error) -> Self {
        Failure::Engine(error)
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Failure::Message(message)
    }
}

/// Prints to standard output. A reader that has gone away (`| head`) is no
/// failure.
pub fn print(text: &str) -> Outcome<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {error}").into())
        }
        _ => Ok(()),
    }
}

/// Prints to standard error. Nothing can be said of a failure there, and what was
/// done is done.
pub fn print_aside(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// A value as indented JSON with a final newline.
pub fn json(value: &impl serde::Serialize) -> Outcome<String> {
    serde_json::to_string_pretty(value)
        .map(|text| text + "\n")
        .map_err(|error| format!("cannot make JSON: {error}").into())
}
