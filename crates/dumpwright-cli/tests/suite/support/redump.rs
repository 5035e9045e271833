//! Dumps of dumps.

use super::cli::{Run, assert_verifies, command, run};
use super::dump::Loaded;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A dump of a dump, in a folder that goes with it.
pub struct Redump {
    _folder: TempDir,
    /// The file.
    pub file: PathBuf,
}

impl Redump {
    /// Reads it with the `minidump` crate.
    pub fn load(&self) -> Loaded {
        Loaded::read(&self.file)
    }
}

/// Runs `dump -z` into a new folder.
pub fn try_redump(source: &Path, options: &[&str], name: &str) -> (Redump, Run) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    let run = run(command().arg("dump").arg("-z").arg(source).args(options).arg(&file));
    (Redump { _folder: folder, file }, run)
}

/// Dumps a dump; it must succeed, and `verify` must find no fault.
#[track_caller]
pub fn redump(source: &Path, options: &[&str]) -> Redump {
    let (redump, run) = try_redump(source, options, "again.dmp");
    run.ok();
    assert_verifies(&redump.file);
    redump
}
