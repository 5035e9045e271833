//! Finds the real dumps that tests are held against. They belong to other
//! projects and are not part of this one.

use std::fs;
use std::path::PathBuf;

/// Dumps that no reader can accept, among the others.
pub(crate) const UNSOUND: [&str; 2] =
    ["rust-minidump-invalid-range.dmp", "rust-minidump-invalid-record-count.dmp"];

/// Every user-mode sample, as name and bytes. Says loudly that a test is
/// skipped when there are none: `DUMPWRIGHT_SAMPLES` names the folder that has
/// `user/` in it.
pub(crate) fn user() -> Vec<(String, Vec<u8>)> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/samples");
    let folder = std::env::var_os("DUMPWRIGHT_SAMPLES").map_or(beside.into(), PathBuf::from);
    let Ok(entries) = fs::read_dir(folder.join("user")) else {
        eprintln!("SKIPPED: no sample dumps in '{}'; set DUMPWRIGHT_SAMPLES", folder.display());
        return Vec::new();
    };
    let mut samples: Vec<_> = entries
        .map(|entry| entry.expect("the folder can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "dmp"))
        .map(|path| {
            let name = path.file_name().expect("it is a file").to_string_lossy().into_owned();
            (name, fs::read(path).expect("samples can be read"))
        })
        .collect();
    samples.sort();
    assert!(!samples.is_empty(), "'{}' has no dumps", folder.display());
    samples
}

/// The samples that real writers wrote whole.
pub(crate) fn sound() -> Vec<(String, Vec<u8>)> {
    let mut samples = user();
    samples.retain(|(name, _)| !UNSOUND.contains(&name.as_str()));
    samples
}

/// A kernel-mode sample's bytes; `None`, loudly, where it is not there.
pub(crate) fn kernel(name: &str) -> Option<Vec<u8>> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/samples");
    let folder = std::env::var_os("DUMPWRIGHT_SAMPLES").map_or(beside.into(), PathBuf::from);
    let file = folder.join("kernel").join(name);
    let bytes = fs::read(&file).ok();
    if bytes.is_none() {
        eprintln!("SKIPPED: no sample '{}'; set DUMPWRIGHT_SAMPLES", file.display());
    }
    bytes
}
