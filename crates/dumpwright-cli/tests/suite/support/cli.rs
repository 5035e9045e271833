//! Runs the command under test.

use super::dump::Loaded;
use super::target::Target;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use tempfile::TempDir;

/// What a run of the command left.
#[derive(Debug)]
pub struct Run {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Run {
    /// Asserts success.
    #[track_caller]
    pub fn ok(self) -> Run {
        assert!(self.status.success(), "dumpwright failed ({}): {}", self.status, self.stderr);
        self
    }

    /// Asserts a failure that says why in one line; returns that line.
    #[track_caller]
    pub fn refused(self) -> String {
        assert!(!self.status.success(), "dumpwright succeeded where it should refuse");
        assert!(self.status.code().is_some(), "dumpwright was killed: {}", self.status);
        let text = self.stderr.trim_end();
        assert!(!text.is_empty(), "no message");
        assert_eq!(text.lines().count(), 1, "not one line:\n{text}");
        assert!(!text.contains("panicked"), "{text}");
        text.to_owned()
    }

    /// Its standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Its standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|e| panic!("not JSON ({e}): {}", self.text()))
    }
}

/// The program under test: the one that cargo built, or, to test an installed
/// one, what `DUMPWRIGHT_PROGRAM` names.
pub fn program() -> PathBuf {
    let built = || env!("CARGO_BIN_EXE_dumpwright").into();
    std::env::var_os("DUMPWRIGHT_PROGRAM").map_or_else(built, PathBuf::from)
}

/// The command, for a test that needs more of it than [`dumpwright`].
pub fn command() -> Command {
    let mut command = Command::new(program());
    command.stdin(Stdio::null());
    command
}

/// Runs the command.
pub fn dumpwright<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Run {
    run(command().args(arguments))
}

/// Runs a prepared command.
pub fn run(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    Run {
        status: output.status,
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A dump that was written, in a folder that goes with it.
pub struct Written {
    _folder: TempDir,
    /// The file.
    pub file: PathBuf,
    /// The summary that `--json` gave.
    pub summary: Value,
}

impl Written {
    /// Reads it with the `minidump` crate.
    pub fn load(&self) -> Loaded {
        Loaded::read(&self.file)
    }

    /// The names of a list of the summary.
    pub fn names(&self, key: &str) -> Vec<String> {
        let list = self.summary[key].as_array().unwrap_or_else(|| panic!("no list {key}"));
        list.iter().map(|n| n.as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Whether a soft error of the summary or the dump speaks of `text`.
    pub fn mentions(&self, text: &str) -> bool {
        let summary = self.summary["soft_error_list"].to_string();
        let stream = self.load().soft_errors();
        let text = text.to_lowercase();
        summary.to_lowercase().contains(&text) || stream.to_lowercase().contains(&text)
    }
}

/// Dumps a target with these options; the dump must succeed, its summary must
/// agree with the file, and `verify` must find no fault.
#[track_caller]
pub fn dump(target: &Target, options: &[&str]) -> Written {
    let written = dump_pid(target.pid(), options);
    assert_verifies(&written.file);
    written
}

/// Like [`dump`] for any process, without `verify`.
#[track_caller]
pub fn dump_pid(pid: u32, options: &[&str]) -> Written {
    dump_source("-p", pid.to_string().as_ref(), options)
}

/// Dumps the process that a dump holds, without `verify`.
#[track_caller]
pub fn dump_file(source: &Path, options: &[&str]) -> Written {
    dump_source("-z", source.as_os_str(), options)
}

#[track_caller]
fn dump_source(kind: &str, source: &OsStr, options: &[&str]) -> Written {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("target.dmp");
    let mut command = command();
    command.args(["dump", "--json", kind]).arg(source).args(options).arg(&file);
    let run = run(&mut command).ok();
    let summary = run.json();
    let length = fs::metadata(&file).unwrap().len();
    assert_eq!(summary["size"].as_u64(), Some(length), "the summary's size");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(left, std::slice::from_ref(&file), "nothing but the dump is left behind");
    Written { _folder: folder, file, summary }
}

/// Asserts that `dumpwright verify` finds no fault.
#[track_caller]
pub fn assert_verifies(file: &Path) {
    let run = dumpwright([OsStr::new("verify"), file.as_os_str()]);
    assert!(run.status.success(), "verify: {}{}", run.text(), run.stderr);
}
