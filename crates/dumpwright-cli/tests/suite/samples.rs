//! Real dumps of other writers go through `info` and `verify`.

use crate::support::cli::dumpwright;
use crate::support::dump::Loaded;
use crate::support::tools::root;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

/// The sample dumps. They are other projects' data and no part of this one:
/// where they are not found the tests say so.
pub fn samples() -> Vec<PathBuf> {
    let folder = std::env::var_os("DUMPWRIGHT_SAMPLES")
        .map_or_else(|| root().join("../shared/samples"), PathBuf::from)
        .join("user");
    let Ok(entries) = fs::read_dir(&folder) else {
        // Not a missing reader: a checkout has no way to get them.
        eprintln!("SKIPPED: samples: {} does not exist", folder.display());
        return Vec::new();
    };
    let mut files: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension() == Some(OsStr::new("dmp")));
    files.sort();
    files
}

pub fn is_malformed(file: &std::path::Path) -> bool {
    let name = file.file_name().unwrap().to_string_lossy();
    name.contains("invalid-r")
}

#[test]
fn info_describes_every_good_sample_as_the_minidump_crate_does() {
    for file in samples().iter().filter(|f| !is_malformed(f)) {
        let loaded = Loaded::read(file);
        let all = [OsStr::new("info"), OsStr::new("--all"), file.as_os_str()];
        let run = dumpwright(all).ok();
        let text = run.text();
        for (name, _) in loaded.modules() {
            let name = name.rsplit(['/', '\\']).next().unwrap().to_owned();
            assert!(text.contains(&name), "{}: no module {name}\n{text}", file.display());
        }
        for tid in loaded.tids() {
            assert!(text.contains(&tid.to_string()), "{}: no thread {tid}", file.display());
        }
        let json = dumpwright([OsStr::new("info"), file.as_os_str(), OsStr::new("--json")]).ok();
        assert!(json.json().is_object(), "{}", file.display());
    }
}

#[test]
fn verify_finds_no_fault_in_good_samples() {
    for file in samples().iter().filter(|f| !is_malformed(f)) {
        let run = dumpwright([OsStr::new("verify"), file.as_os_str()]);
        assert!(run.status.success(), "{}: {}{}", file.display(), run.text(), run.stderr);
    }
}

#[test]
fn verify_names_the_faults_of_malformed_samples() {
    for file in samples().iter().filter(|f| is_malformed(f)) {
        let run = dumpwright([OsStr::new("verify"), file.as_os_str()]);
        assert!(!run.status.success(), "{} is good?", file.display());
        assert!(run.status.code().is_some(), "{}: {}", file.display(), run.status);
        let said = run.text() + &run.stderr;
        assert!(!said.trim().is_empty() && !said.contains("panicked"), "{said}");
    }
}

#[test]
fn cut_and_scribbled_samples_end_in_words_and_not_in_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    for file in samples() {
        let bytes = fs::read(&file).unwrap();
        let cut = |n: usize| bytes[..n.min(bytes.len())].to_vec();
        let scribbled = |step: usize| {
            let mut bytes = bytes.clone();
            bytes.iter_mut().skip(32).step_by(step).for_each(|b| *b = 0xff);
            bytes
        };
        let variants =
            [cut(0), cut(31), cut(32), cut(300), cut(bytes.len() / 2), scribbled(7), scribbled(97)];
        for (i, variant) in variants.iter().enumerate() {
            let path = folder.path().join("broken.dmp");
            fs::write(&path, variant).unwrap();
            for word in ["info", "verify"] {
                let run = dumpwright([OsStr::new(word), path.as_os_str()]);
                let said = run.text() + &run.stderr;
                assert!(run.status.code().is_some(), "{word} variant {i} of {}", file.display());
                assert!(!said.contains("panicked"), "{word} {i} {}: {said}", file.display());
            }
        }
    }
}
