//! What does not fit, what fails on the way, and what is cancelled.

use super::*;
use crate::observer::Phase;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn check(sizes: &[u64]) -> Result<()> {
    let entries: Vec<_> = sizes.iter().map(|size| ("a.dmp".to_owned(), *size)).collect();
    cab_check(&entries)
}

#[test]
fn a_file_past_the_limit_is_refused_by_name_and_size() {
    check(&[0x7FFF_7FFF]).unwrap();
    for size in [0x7FFF_8000, u64::MAX] {
        let refused = check(&[1, size]).unwrap_err();
        assert!(matches!(&refused, Error::TooLargeForCab { name, size: s, limit: 0x7FFF_8000 }
            if name == "a.dmp" && *s == size));
    }
}

#[test]
fn files_that_could_pass_the_limit_together_are_refused() {
    check(&[0x7FFF_7FFF, 0x7F00_0000]).unwrap();
    let refused = check(&[0x7FFF_7FFF, 0x7FFF_7FFF, 200_000]).unwrap_err().to_string();
    assert!(refused.contains("without a CAB"), "{refused}");
    check(&vec![0; 65_535]).unwrap();
    let refused = check(&vec![0; 65_536]).unwrap_err().to_string();
    assert!(refused.contains("65536") && refused.contains("65535"), "{refused}");
}

#[test]
fn a_required_file_that_became_shorter_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut out = PendingFile::create(&folder.path().join("a.cab"), Overwrite::Refuse).unwrap();
    let mut short = entry("a.dmp", &text(5 << 20), Need::Required);
    short.size += 1;
    match write_cab(&mut out, &[short], None, &()) {
        Err(Error::Io { action: "read", file, source }) => {
            assert_eq!(file, Path::new("a.dmp"));
            assert_eq!(source.kind(), std::io::ErrorKind::UnexpectedEof);
        }
        other => panic!("{other:?}"),
    }
    drop(out);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Keeps what it is told, and cancels at a given number of bytes.
#[derive(Default)]
struct Watcher {
    told: Mutex<Vec<(u64, u64)>>,
    cancel_at: Option<u64>,
    done: AtomicU64,
    asked: AtomicBool,
}

impl Observer for Watcher {
    fn progress(&self, phase: Phase, done: u64, total: u64) {
        assert_eq!(phase, Phase::Package);
        self.done.store(done, Ordering::Relaxed);
        self.told.lock().unwrap().push((done, total));
    }

    fn is_cancelled(&self) -> bool {
        self.asked.store(true, Ordering::Relaxed);
        self.cancel_at.is_some_and(|at| self.done.load(Ordering::Relaxed) >= at)
    }
}

#[test]
fn progress_only_grows_and_ends_at_the_total() {
    let folder = tempfile::tempdir().unwrap();
    let mut out = PendingFile::create(&folder.path().join("a.cab"), Overwrite::Refuse).unwrap();
    let entries = vec![
        entry("a.dmp", &text(5 << 20), Need::Required),
        entry("b.so", &noise(100_000), Need::Optional),
    ];
    let watcher = Watcher::default();
    write_cab(&mut out, &entries, None, &watcher).unwrap();
    let told = watcher.told.into_inner().unwrap();
    let total = (5 << 20) + 100_000;
    assert!(told.windows(2).all(|w| w[0].0 < w[1].0) && told.iter().all(|t| t.1 == total));
    assert_eq!(told.last(), Some(&(total, total)));
    assert!(watcher.asked.into_inner());
}

#[test]
fn cancelling_ends_it_early_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut out = PendingFile::create(&folder.path().join("a.cab"), Overwrite::Refuse).unwrap();
    let watcher = Watcher { cancel_at: Some(1 << 20), ..Watcher::default() };
    let entries = vec![entry("a.dmp", &text(20 << 20), Need::Required)];
    let ended = write_cab(&mut out, &entries, None, &watcher);
    assert!(matches!(ended, Err(Error::Cancelled)));
    assert_eq!(watcher.told.into_inner().unwrap().len(), 1);
    drop(out);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_unfinished_cabinet_does_not_look_like_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut out = PendingFile::create(&folder.path().join("a.cab"), Overwrite::Refuse).unwrap();
    let watcher = Watcher { cancel_at: Some(1), ..Watcher::default() };
    write_cab(&mut out, &[entry("a.dmp", &text(2 << 20), Need::Required)], None, &watcher)
        .unwrap_err();
    let mut start = [0xEE; 4];
    out.file().seek(SeekFrom::Start(0)).unwrap();
    std::io::Read::read_exact(out.file(), &mut start).unwrap();
    assert_eq!(start, [0; 4]);
}

/// Panics when told of progress.
struct Panicking;

impl Observer for Panicking {
    fn progress(&self, _: Phase, _: u64, _: u64) {
        panic!("an observer's own fault");
    }
}

#[test]
fn an_observer_that_panics_does_not_leave_the_others_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let panicked = std::panic::catch_unwind(|| {
        let path = folder.path().join("a.cab");
        let mut out = PendingFile::create(&path, Overwrite::Refuse).unwrap();
        write_cab(&mut out, &[entry("a.dmp", &text(9 << 20), Need::Required)], None, &Panicking)
    });
    assert!(panicked.is_err());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
