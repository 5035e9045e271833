//! Finds processes by name.

use super::sys::toolhelp;
use crate::target::Pid;
use std::io;

/// A running process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessEntry {
    /// Its id.
    pub pid: Pid,
    /// The file name of its executable.
    pub name: String,
}

/// All processes, by process id.
///
/// # Errors
/// When processes cannot be listed.
pub fn processes() -> io::Result<Vec<Pid>> {
    let mut found: Vec<_> = toolhelp::processes()?.into_iter().map(|(pid, _)| Pid(pid)).collect();
    found.sort();
    Ok(found)
}

/// The processes whose executable's file name is `name`, with or without `.exe`
/// and in any case, by process id.
///
/// # Errors
/// When processes cannot be listed.
pub fn processes_named(name: &str) -> io::Result<Vec<ProcessEntry>> {
    let wanted = stem(name);
    let mut found: Vec<_> = toolhelp::processes()?
        .into_iter()
        .filter(|(_, name)| stem(name) == wanted)
        .map(|(pid, name)| ProcessEntry { pid: Pid(pid), name })
        .collect();
    found.sort_by_key(|p| p.pid);
    Ok(found)
}

fn stem(name: &str) -> String {
    let name = name.to_lowercase();
    name.strip_suffix(".exe").map(str::to_owned).unwrap_or(name)
}
