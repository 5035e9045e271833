use super::*;
use std::os::unix::fs::symlink;

fn folder() -> (tempfile::TempDir, Folder) {
    let base = tempfile::tempdir().unwrap();
    let folder = Folder::open(base.path()).unwrap();
    (base, folder)
}

fn dump(folder: &Folder, program: &str, second: u64, size: usize) -> PathBuf {
    let at = UNIX_EPOCH + Duration::from_secs(1_795_489_199 + second);
    let path = folder.new_name(OsStr::new(program), 42, at, "dmp");
    fs::write(&path, vec![0; size]).unwrap();
    path
}

fn limits(count: usize, budget: u64) -> Rules {
    Rules { count, budget, ..Rules::default() }
}

#[test]
fn a_name_tells_program_time_and_process_and_is_known_again() {
    let (_base, folder) = folder();
    let at = UNIX_EPOCH + Duration::from_millis(1_795_489_199_042);
    for (program, name) in [
        ("nginx", "nginx_2026-11-24_02-59-59-042_42.crash.dmp"),
        ("a_b c/d\n", "a_b-c-d-_2026-11-24_02-59-59-042_42.crash.dmp"),
        ("../..", "-.._2026-11-24_02-59-59-042_42.crash.dmp"),
        ("", "unnamed_2026-11-24_02-59-59-042_42.crash.dmp"),
    ] {
        let path = folder.new_name(OsStr::new(program), 42, at, "dmp");
        let name = name.trim_start_matches("-..");
        let expected = if program == "../.." { format!("unnamed{name}") } else { name.into() };
        assert_eq!(path.file_name().unwrap().to_str(), Some(expected.as_str()));
        assert_eq!(parse_name(&path).unwrap().1, "2026-11-24_02-59-59-042");
    }
}

#[test]
fn the_oldest_go_first_and_the_new_one_stays() {
    let (_base, folder) = folder();
    let all: Vec<_> = (0..5).map(|n| dump(&folder, "x", n, 100)).collect();
    let removed = folder.keep_to(&limits(3, 1 << 30), &BTreeSet::new(), &all[4]).unwrap();
    assert_eq!(removed, all[..2]);
    // By bytes.
    let removed = folder.keep_to(&limits(3, 250), &BTreeSet::new(), &all[4]).unwrap();
    assert_eq!(removed, all[2..3]);
    let removed = folder.keep_to(&limits(3, 10), &BTreeSet::new(), &all[4]).unwrap();
    assert_eq!(removed, all[3..4]);
    assert_eq!(folder.dumps().unwrap().len(), 1);
}

#[test]
fn a_program_with_a_number_of_its_own_is_counted_apart() {
    let (_base, folder) = folder();
    let apart = BTreeSet::from(["own"]);
    let own: Vec<_> = (0..4).map(|n| dump(&folder, "own", n, 1)).collect();
    let rest: Vec<_> = (4..8).map(|n| dump(&folder, "x", n, 1)).collect();
    let by_program = Rules { counted: Counted::Program, ..limits(1, 1 << 30) };
    assert_eq!(folder.keep_to(&limits(2, 1 << 30), &apart, &rest[3]).unwrap(), rest[..2]);
    assert_eq!(folder.keep_to(&by_program, &apart, &own[3]).unwrap(), own[..3]);
    assert_eq!(folder.dumps().unwrap().len(), 3);
}

#[test]
fn files_of_others_are_never_touched() {
    let (base, folder) = folder();
    let new = dump(&folder, "x", 9, 1);
    let foreign = [
        "notes.txt",
        "x.dmp",
        "x_2026-11-24_02-59-59-042_42.dmp",
        "x_2026-11-24_02-59-59-042_y.crash.dmp",
        "_2026-11-24_02-59-59-042_42.crash.dmp",
        "x_2026-11-24_02-59-59_42.crash.dmp",
    ];
    for name in foreign {
        fs::write(base.path().join(name), "mine").unwrap();
    }
    let elsewhere = base.path().join("elsewhere");
    fs::write(&elsewhere, "mine").unwrap();
    symlink(&elsewhere, base.path().join("x_2000-01-01_00-00-00-000_1.crash.dmp")).unwrap();
    fs::create_dir(base.path().join("x_2000-01-01_00-00-00-000_2.crash.dmp")).unwrap();
    assert!(folder.keep_to(&limits(1, 0), &BTreeSet::new(), &new).unwrap().is_empty());
    assert_eq!(folder.remove_oldest().unwrap(), Some(new));
    assert_eq!(folder.remove_oldest().unwrap(), None);
    folder.sweep();
    assert_eq!(fs::read_dir(base.path()).unwrap().count(), foreign.len() + 3);
}

#[test]
fn only_what_was_abandoned_is_swept() {
    let (base, folder) = folder();
    let [old, young, written] =
        [0, 1, 2].map(|n| base.path().join(format!(".dumpwright-0{n}.part")));
    for path in [&old, &young, &written] {
        fs::write(path, "").unwrap();
    }
    let then = SystemTime::now() - 2 * ABANDONED;
    let open = |path| fs::File::options().write(true).open(path).unwrap();
    open(&old).set_modified(then).unwrap();
    let writer = open(&written);
    writer.set_modified(then).unwrap();
    rustix::fs::flock(&writer, FlockOperation::NonBlockingLockExclusive).unwrap();
    folder.sweep();
    assert_eq!((old.exists(), young.exists(), written.exists()), (false, true, true));
    drop(writer);
    folder.sweep();
    assert!(!written.exists(), "its writer is gone");
}
