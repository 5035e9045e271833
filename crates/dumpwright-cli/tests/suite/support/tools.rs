//! Whether a tool is there; and what happens when it is not: the test says so
//! with a line that begins with SKIPPED, or fails under
//! `DUMPWRIGHT_REQUIRE_READERS=1`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Notes that a test or a part of one cannot run.
///
/// # Panics
/// When all readers are required.
pub fn skip(what: &str, why: &str) {
    let required = std::env::var("DUMPWRIGHT_REQUIRE_READERS").is_ok_and(|v| v != "0");
    assert!(!required, "{what} cannot run: {why} (DUMPWRIGHT_REQUIRE_READERS is set)");
    eprintln!("SKIPPED: {what}: {why}");
}

/// The path of a command, or `None` after a note that it is missing.
pub fn command(name: &str) -> Option<PathBuf> {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        skip(name, "it is not installed; see scripts/install-test-tools");
    }
    found
}

/// The Python that has the readers, or `None` after a note that it is missing.
pub fn reader_python() -> Option<PathBuf> {
    let python = std::env::var_os("DUMPWRIGHT_READERS_VENV")
        .map_or_else(|| root().join("target/readers-venv"), PathBuf::from)
        .join("bin/python");
    if !python.exists() {
        skip("PyPI readers", "no target/readers-venv; run scripts/install-test-tools");
        return None;
    }
    Some(python)
}

/// Runs a command to its end and returns what it said.
///
/// # Panics
/// If it cannot be started, or fails.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?} failed ({}):\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
