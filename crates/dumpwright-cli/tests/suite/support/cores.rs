//! Makes ELF cores: by gdb's `gcore`, and by the kernel.

use super::target::Target;
use super::tools::{command, run, skip};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A core in a folder that goes with it.
pub struct Core {
    _folder: Option<TempDir>,
    /// The file.
    pub file: PathBuf,
}

/// The core that `gcore` makes of a process.
#[track_caller]
pub fn gcore(target: &Target) -> Option<Core> {
    let gcore = command("gcore")?;
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().join("core");
    run(Command::new(gcore).arg("-o").arg(&prefix).arg(target.pid().to_string()));
    let file = folder.path().join(format!("core.{}", target.pid()));
    Some(Core { _folder: Some(folder), file })
}

/// Starts a program whose core may be any size, on one processor: a thread that
/// the kernel wakes to end it has the number of its processor written into its
/// memory (rseq).
const SCRIPT: &str = r#"ulimit -c unlimited
cpu=$(taskset -pc $$ | sed 's/.*: *//; s/[,-].*//')
exec taskset -c "$cpu" "$@""#;

/// Starts a fixture whose core the kernel would write, in the folder of the
/// target; `None` where the machine gives cores to a program or writes none.
pub fn may_dump_core(program: PathBuf, arguments: &[&str]) -> Option<Target> {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let pattern = pattern.trim();
    if pattern.starts_with(['|', '/']) || pattern.contains('%') || pattern.is_empty() {
        skip("a core by the kernel", &format!("core_pattern is '{pattern}'"));
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    shell.current_dir(folder.path());
    shell.args(["-c", SCRIPT, "sh"]).arg(program).args(arguments);
    Some(Target::start(shell, folder))
}

/// The core that the kernel writes of a target of [`may_dump_core`] when
/// `end` ends it.
#[track_caller]
pub fn kernel_core(target: &mut Target, end: impl FnOnce(&mut Target)) -> Option<Core> {
    end(target);
    target.wait_for_end();
    let found = fs::read_dir(target.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_string_lossy().starts_with("core"));
    let Some(file) = found else {
        skip("a core by the kernel", "the kernel wrote none (RLIMIT_CORE cannot be raised?)");
        return None;
    };
    Some(Core { _folder: None, file })
}
