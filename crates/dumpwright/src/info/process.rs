//! The process, from whatever streams tell of it.

use super::model::ProcessInfo;
use crate::read::{MiscInfo, Module};
use crate::time::CivilTime;

/// What there is to tell from.
#[derive(Default)]
pub(super) struct Sources<'a> {
    pub(super) misc: Option<&'a MiscInfo>,
    /// `/proc/PID/status`.
    pub(super) status: Option<&'a str>,
    pub(super) command_line: Option<Vec<String>>,
    /// The first module is the executable, by convention.
    pub(super) executable: Option<&'a Module>,
}

pub(super) fn summary(sources: Sources) -> ProcessInfo {
    let misc = sources.misc;
    let field = |name: &str| {
        let mut lines = sources.status?.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    let module = sources.executable.and_then(|m| m.name.as_deref()).map(file_name);
    let namespace_pids: Vec<u32> = field("NSpid")
        .map(|pids| pids.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect())
        .unwrap_or_default();
    let create = misc.and_then(|m| m.process_create_time).filter(|time| *time != 0);
    ProcessInfo {
        pid: misc
            .and_then(|m| m.process_id)
            .or_else(|| field("Pid").and_then(|pid| pid.parse().ok())),
        // One id says nothing that `pid` does not.
        namespace_pids: if namespace_pids.len() > 1 { namespace_pids } else { Vec::new() },
        name: module.or(field("Name")).map(str::to_owned),
        command_line: sources.command_line,
        create_timestamp: create,
        create_time: create.map(|seconds| CivilTime::from_unix(seconds.into()).to_string()),
        user_seconds: misc.and_then(|m| m.process_user_time),
        kernel_seconds: misc.and_then(|m| m.process_kernel_time),
        vm_counters: None,
    }
}

/// The last part of a path of either kind.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_without_misc_info_is_known_by_its_status_file() {
        let status = Some("Name:\tsleepy\nPid:\t42\nNSpid:\t42\t7\n");
        let process = summary(Sources { status, ..Sources::default() });
        assert_eq!((process.pid, process.name.as_deref()), (Some(42), Some("sleepy")));
        assert_eq!(process.namespace_pids, [42, 7]);
    }

    #[test]
    fn file_names_end_paths_of_both_kinds() {
        assert_eq!(file_name("/usr/bin/cat"), "cat");
        assert_eq!(file_name(r"C:\Windows\calc.exe"), "calc.exe");
        assert_eq!(file_name("calc.exe"), "calc.exe");
    }
}
