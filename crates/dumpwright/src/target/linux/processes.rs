//! Finds processes by name.

use crate::target::Pid;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::{fs, io};

/// A running process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessEntry {
    /// Its id.
    pub pid: Pid,
    /// Its short name (`comm`), at most 15 bytes.
    pub name: String,
}

/// All processes that can be seen, by process id. Kernel threads are among them.
///
/// # Errors
/// When `/proc` cannot be listed.
pub fn processes() -> io::Result<Vec<Pid>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        found.extend(entry?.file_name().to_str().and_then(|n| n.parse().ok()).map(Pid));
    }
    found.sort();
    Ok(found)
}

/// The processes whose short name or whose executable's file name is `name`,
/// by process id.
///
/// # Errors
/// When `/proc` cannot be listed. Processes that end meanwhile are passed over.
pub fn processes_named(name: &str) -> io::Result<Vec<ProcessEntry>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let file_name = entry?.file_name();
        let Some(pid) = file_name.to_str().and_then(|n| n.parse().ok()).map(Pid) else { continue };
        let Ok(comm) = fs::read(format!("/proc/{pid}/comm")) else { continue };
        let comm = comm.strip_suffix(b"\n").unwrap_or(&comm);
        if comm == name.as_bytes() || executable_is(pid, name) {
            found.push(ProcessEntry { pid, name: String::from_utf8_lossy(comm).into_owned() });
        }
    }
    found.sort_by_key(|p| p.pid);
    Ok(found)
}

fn executable_is(pid: Pid, name: &str) -> bool {
    let Ok(target) = fs::read_link(format!("/proc/{pid}/exe")) else { return false };
    let bytes = target.as_os_str().as_bytes();
    let bytes = bytes.strip_suffix(b" (deleted)").unwrap_or(bytes);
    let file_name = bytes.rsplit(|b| *b == b'/').next().unwrap_or(bytes);
    OsStr::from_bytes(file_name) == name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_process_is_found_by_the_name_of_its_executable() {
        let exe = std::env::current_exe().unwrap();
        let found = processes_named(exe.file_name().unwrap().to_str().unwrap()).unwrap();
        assert!(found.iter().any(|p| p.pid.0 == std::process::id()));
        assert!(processes().unwrap().contains(&Pid(std::process::id())));
        assert!(processes_named("no process is named so").unwrap().is_empty());
    }
}
