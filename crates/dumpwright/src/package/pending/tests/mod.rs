//! What [`PendingFile`] promises, with faults put in its way.

mod faults;
mod names;
mod races;

use super::*;
use std::fs;
use std::io::Write;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn pending(destination: &Path, overwrite: Overwrite, contents: &[u8]) -> PendingFile {
    let mut file = PendingFile::create(destination, overwrite).unwrap();
    file.file().write_all(contents).unwrap();
    file
}

#[test]
fn the_final_name_appears_with_the_whole_contents() {
    let dir = folder();
    let path = dir.path().join("a.dmp");
    let file = pending(&path, Overwrite::Refuse, b"whole");
    assert!(!path.exists());
    file.publish().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"whole");
    assert_eq!(names(dir.path()), ["a.dmp"]);
}

#[cfg(target_os = "linux")]
#[test]
fn an_unfinished_file_is_locked_for_as_long_as_its_writer_lives() {
    use rustix::fs::{FlockOperation, flock};
    let dir = folder();
    let file = pending(&dir.path().join("a.dmp"), Overwrite::Refuse, b"half");
    let other = File::open(dir.path().join(&names(dir.path())[0])).unwrap();
    let lock = || flock(&other, FlockOperation::NonBlockingLockExclusive);
    assert_eq!(lock(), Err(rustix::io::Errno::WOULDBLOCK));
    drop(file);
    assert_eq!(lock(), Ok(()));
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_a_dump() {
    use std::os::unix::fs::PermissionsExt;
    let dir = folder();
    let path = dir.path().join("a.dmp");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let file = pending(&path, Overwrite::Replace, b"secret");
    for entry in fs::read_dir(dir.path()).unwrap().map(Result::unwrap) {
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        let expected = if entry.file_name() == "a.dmp" { 0o666 } else { 0o600 };
        assert_eq!(mode, expected, "{:?}", entry.file_name());
    }
    file.publish().unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn dropping_or_panicking_leaves_nothing_behind() {
    let dir = folder();
    let path = dir.path().join("a.dmp");
    fs::write(&path, "old").unwrap();
    drop(pending(&path, Overwrite::Replace, b"half"));
    let panicked = std::panic::catch_unwind(|| {
        let _file = pending(&path, Overwrite::Replace, b"half");
        panic!("in mid-write");
    });
    assert!(panicked.is_err());
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(dir.path()), ["a.dmp"]);
}

#[test]
fn an_existing_file_is_refused_before_any_work() {
    let dir = folder();
    let path = dir.path().join("a.dmp");
    fs::write(&path, "old").unwrap();
    let refused = PendingFile::create(&path, Overwrite::Refuse);
    assert!(matches!(refused, Err(Error::FileExists(p)) if p == path));
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(dir.path()), ["a.dmp"]);
}

#[test]
fn a_file_that_came_into_being_meanwhile_is_not_lost() {
    let dir = folder();
    let path = dir.path().join("a.dmp");
    let file = pending(&path, Overwrite::Refuse, b"mine");
    fs::write(&path, "theirs").unwrap();
    assert!(matches!(file.publish(), Err(Error::FileExists(p)) if p == path));
    assert_eq!(fs::read(&path).unwrap(), b"theirs");
    assert_eq!(names(dir.path()), ["a.dmp"]);
}

#[test]
fn a_scratch_file_has_no_name() {
    let dir = folder();
    let file = pending(&dir.path().join("a.dmp"), Overwrite::Refuse, b"");
    let before = names(dir.path());
    let mut scratch = file.scratch().unwrap();
    scratch.write_all(b"on the way").unwrap();
    assert_eq!(names(dir.path()), before);
}

#[test]
fn the_portable_way_keeps_the_same_promises() {
    let dir = folder();
    let create = || {
        let folder = portable::Folder::open(dir.path()).unwrap();
        let mut temporary = portable::Temporary::create(folder, "a.dmp".into()).unwrap();
        temporary.file().write_all(b"new").unwrap();
        temporary.settle().unwrap();
        temporary
    };
    let path = dir.path().join("a.dmp");
    create().claim().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");

    fs::write(&path, "old").unwrap();
    let refused = create().claim().unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    drop(create());
    assert_eq!(fs::read(&path).unwrap(), b"old");

    create().replace().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(names(dir.path()), ["a.dmp"]);

    let folder = portable::Folder::open(dir.path()).unwrap();
    assert!(matches!(folder.kind_of("a.dmp".as_ref()).unwrap(), Existing::File(k) if k.is_file()));
    assert!(matches!(folder.kind_of("b.dmp".as_ref()).unwrap(), Existing::Nothing));
    assert!(portable::Folder::open(&path).is_err());
    let mut temporary = create();
    temporary.check_size(1).unwrap();
    temporary.reserve(1).unwrap();
    assert_eq!(temporary.free_space().unwrap(), None);
    assert_eq!(temporary.name(), "a.dmp");
    assert!(temporary.folder().kind_of("x".as_ref()).is_ok());
    temporary.scratch().unwrap().write_all(b"x").unwrap();
}
