//! What `/proc` says of single threads: whether they live, who they belong to.
//! Only what attaching needs to know; the rest of a thread's description is
//! made from the held process.

use crate::target::{Pid, Tid};
use std::ffi::c_long;
use std::fs;
use std::io;
use std::path::Path;

/// The ids of a process's threads, its main thread first where it is listed.
pub(super) fn list(pid: Pid) -> io::Result<Vec<Tid>> {
    let mut tids = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
        // The process may end while its directory is read.
        let name = entry?.file_name();
        tids.extend(name.to_str().and_then(|name| name.parse().ok()).map(Tid));
    }
    tids.sort_unstable_by_key(|tid| (tid.0 != pid.0, tid.0));
    Ok(tids)
}

/// The text of a `status` file.
pub(super) struct TaskStatus(String);

impl TaskStatus {
    /// Reads one.
    pub(super) fn read(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(TaskStatus(String::from_utf8_lossy(&fs::read(path)?).into_owned()))
    }

    /// The text behind `key:`.
    pub(super) fn field(&self, key: &str) -> Option<&str> {
        self.0.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':')).map(str::trim)
    }

    /// The first number behind `key:`.
    pub(super) fn number(&self, key: &str) -> Option<u32> {
        self.field(key)?.split_ascii_whitespace().next()?.parse().ok()
    }

    /// The hexadecimal mask behind `key:`.
    pub(super) fn mask(&self, key: &str) -> Option<u64> {
        u64::from_str_radix(self.field(key)?, 16).ok()
    }
}

/// Instruction and stack pointer of a thread that is blocked in a system call,
/// from its `syscall` file; `None` for one that runs.
pub(super) fn blocked_at(pid: Pid, tid: Tid) -> Option<(u64, u64)> {
    parse_blocked_at(&fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall")).ok()?)
}

/// The number of the system call that a thread is in, if it stands still in one.
pub(super) fn system_call(pid: Pid, tid: Tid) -> Option<c_long> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall")).ok()?;
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// `number arguments… sp pc`, or `running`, or `-1 sp pc` outside a call.
fn parse_blocked_at(text: &str) -> Option<(u64, u64)> {
    let mut fields = text.split_ascii_whitespace().rev();
    let mut hex = || u64::from_str_radix(fields.next()?.strip_prefix("0x")?, 16).ok();
    let (ip, sp) = (hex()?, hex()?);
    (sp != 0).then_some((ip, sp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_thread_tells_where_it_is_and_a_running_one_does_not() {
        let blocked = "230 0x1 0x0 0x7f 0x0 0x0 0x0 0x7ffc1000 0x7f0042\n";
        assert_eq!(parse_blocked_at(blocked), Some((0x7f_0042, 0x7ffc_1000)));
        assert_eq!(parse_blocked_at("running\n"), None);
        assert_eq!(parse_blocked_at("-1 0x7ffc1000 0x7f0042\n"), Some((0x7f_0042, 0x7ffc_1000)));
        assert_eq!(parse_blocked_at("0\n"), None);
    }

    #[test]
    fn the_main_thread_is_listed_first() {
        let pid = Pid(std::process::id());
        let other = std::thread::spawn(move || list(pid).unwrap()).join().unwrap();
        assert_eq!(other[0], Tid(pid.0));
        assert!(other.len() > 1);
    }
}
