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
/// by process id. A process under Wine also has the file name of its Windows
/// program, with or without `.exe`, in any case.
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
    /// `wine`, `wine64`, `wine-preloader`, `wine64-preloader`
    const WINE: &[u8] = b"wine";
    let Ok(target) = fs::read_link(format!("/proc/{pid}/exe")) else { return false };
    let bytes = target.as_os_str().as_bytes();
    let bytes = bytes.strip_suffix(b" (deleted)").unwrap_or(bytes);
    let file_name = bytes.rsplit(|b| *b == b'/').next().unwrap_or(bytes);
    OsStr::from_bytes(file_name) == name
        || (file_name.starts_with(WINE)
            && fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| program_is(&line, name)))
}

/// Whether a command line begins with the path of a Windows program of that
/// name.
fn program_is(command_line: &[u8], name: &str) -> bool {
    let path = command_line.split(|b| *b == 0).next().unwrap_or_default();
    let program = path.rsplit(|b| matches!(b, b'\\' | b'/')).next().unwrap_or_default();
    let stem = match program.split_last_chunk::<4>() {
        Some((stem, extension)) if extension.eq_ignore_ascii_case(b".exe") => stem,
        _ => program,
    };
    [program, stem].into_iter().any(|found| found.eq_ignore_ascii_case(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_windows_program_is_known_by_its_file_name_with_or_without_the_extension() {
        let line = b"C:\\Program Files\\A b\\Long-Named-Program.exe\0-x\0";
        for name in ["long-named-program", "Long-Named-Program.exe"] {
            assert!(program_is(line, name), "{name}");
        }
        assert!(program_is(b"/srv/x.exe\0", "X"));
        assert!(!program_is(line, "Program") && !program_is(b"", "x"));
    }

    #[test]
    fn our_own_process_is_found_by_the_name_of_its_executable() {
        let exe = std::env::current_exe().unwrap();
        let found = processes_named(exe.file_name().unwrap().to_str().unwrap()).unwrap();
        assert!(found.iter().any(|p| p.pid.0 == std::process::id()));
        assert!(processes().unwrap().contains(&Pid(std::process::id())));
        assert!(processes_named("no process is named so").unwrap().is_empty());
    }
}
