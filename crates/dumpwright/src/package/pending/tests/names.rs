//! Destinations of every shape.

use super::*;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

fn refusal(destination: &Path, overwrite: Overwrite) -> (&'static str, io::Error) {
    match PendingFile::create(destination, overwrite) {
        Err(Error::Io { action, file, source }) => {
            assert_eq!(file, destination);
            (action, source)
        }
        other => panic!("{}: {other:?}", destination.display()),
    }
}

#[test]
fn a_name_that_is_a_folder_is_refused_whatever_it_looks_like() {
    let dir = folder();
    let there = dir.path().join("dumps.d");
    fs::create_dir(&there).unwrap();
    for name in ["new.dmp/", "new.dmp/.", "dumps.d/", "dumps.d/.", "..", ".", "dumps.d/..", "//"] {
        let path = PathBuf::from(format!("{}/{name}", dir.path().display()));
        let (action, source) = refusal(&path, Overwrite::Replace);
        assert_eq!((action, source.kind()), ("create", io::ErrorKind::InvalidInput), "{name}");
    }
    let (action, source) = refusal(&there, Overwrite::Replace);
    assert_eq!((action, source.kind()), ("replace", io::ErrorKind::IsADirectory));
    symlink(&there, dir.path().join("link.dmp")).unwrap();
    let (_, source) = refusal(&dir.path().join("link.dmp"), Overwrite::Replace);
    assert_eq!(source.kind(), io::ErrorKind::IsADirectory);
    assert!(matches!(
        PendingFile::create(Path::new(""), Overwrite::Replace),
        Err(Error::EmptyFileName)
    ));
    assert_eq!(names(dir.path()), ["dumps.d", "link.dmp"]);
}

#[test]
fn a_missing_folder_or_a_file_in_its_place_is_named_as_such() {
    let dir = folder();
    let (action, source) = refusal(&dir.path().join("no/a.dmp"), Overwrite::Refuse);
    assert_eq!((action, source.kind()), ("open the folder of", io::ErrorKind::NotFound));
    fs::write(dir.path().join("file"), "").unwrap();
    let (action, source) = refusal(&dir.path().join("file/a.dmp"), Overwrite::Refuse);
    assert_eq!((action, source.kind()), ("open the folder of", io::ErrorKind::NotADirectory));
}

#[test]
fn devices_and_pipes_are_never_replaced() {
    let dir = folder();
    let fifo = dir.path().join("pipe.dmp");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    symlink("/dev/null", dir.path().join("null.dmp")).unwrap();
    for path in [fifo, dir.path().join("null.dmp"), "/dev/null".into()] {
        let (action, source) = refusal(&path, Overwrite::Replace);
        assert_eq!((action, source.kind()), ("replace", io::ErrorKind::InvalidInput), "{path:?}");
    }
    assert_eq!(names(dir.path()), ["null.dmp", "pipe.dmp"]);
}

#[test]
fn a_destination_that_becomes_a_device_meanwhile_stays_one() {
    let dir = folder();
    let path = dir.path().join("a.dmp");
    let file = pending(&path, Overwrite::Replace, b"dump");
    symlink("/dev/null", &path).unwrap();
    assert!(matches!(file.publish(), Err(Error::Io { action: "replace", .. })));
    assert_eq!(fs::read_link(&path).unwrap(), Path::new("/dev/null"));
    assert_eq!(names(dir.path()), ["a.dmp"]);
}

#[test]
fn a_link_is_replaced_and_not_followed() {
    let dir = folder();
    let (link, behind) = (dir.path().join("a.dmp"), dir.path().join("behind"));
    fs::write(&behind, "precious").unwrap();
    symlink(&behind, &link).unwrap();
    pending(&link, Overwrite::Replace, b"dump").publish().unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_file());
    assert_eq!(fs::read(&link).unwrap(), b"dump");
    assert_eq!(fs::read(&behind).unwrap(), b"precious");
}

#[test]
fn a_dangling_link_exists_too() {
    let dir = folder();
    let link = dir.path().join("a.dmp");
    symlink("nowhere", &link).unwrap();
    let refused = PendingFile::create(&link, Overwrite::Refuse);
    assert!(matches!(refused, Err(Error::FileExists(_))));
    pending(&link, Overwrite::Replace, b"dump").publish().unwrap();
    assert_eq!(fs::read(&link).unwrap(), b"dump");
    assert_eq!(names(dir.path()), ["a.dmp"]);
}

#[test]
fn names_need_not_be_text() {
    let dir = folder();
    let mut longest = vec![b'a'; 251];
    longest.extend(b".dmp");
    for name in [b"\xff\xfe .dmp".as_slice(), b"new\nline\\.dmp", b"-rf .dmp", &longest] {
        let path = dir.path().join(OsStr::from_bytes(name));
        pending(&path, Overwrite::Refuse, name).publish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), name);
    }
    assert_eq!(names(dir.path()).len(), 4);
}

#[test]
fn a_name_too_long_is_found_out_before_any_work() {
    let dir = folder();
    let (action, source) = refusal(&dir.path().join("a".repeat(256)), Overwrite::Replace);
    assert_eq!((action, source.raw_os_error()), ("look at", Some(libc::ENAMETOOLONG)));
    assert_eq!(names(dir.path()).len(), 0);
}

#[test]
fn a_folder_that_moves_meanwhile_takes_its_dump_along() {
    let dir = folder();
    let (before, after) = (dir.path().join("before"), dir.path().join("after"));
    fs::create_dir(&before).unwrap();
    let file = pending(&before.join("a.dmp"), Overwrite::Refuse, b"dump");
    fs::rename(&before, &after).unwrap();
    fs::create_dir(&before).unwrap();
    file.publish().unwrap();
    assert_eq!(names(&after), ["a.dmp"]);
    assert!(names(&before).is_empty());
}
