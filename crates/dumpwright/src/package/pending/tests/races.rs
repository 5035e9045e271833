//! Writers against writers, and writers against readers.

use super::*;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Two threads publish to the same name by `claim`, round after round.
fn race(rounds: u32, claim: impl Fn(PendingFile) -> Result<()> + Sync) {
    let dir = folder();
    let barrier = Barrier::new(2);
    for round in 0..rounds {
        let path = dir.path().join(format!("{round}.dmp"));
        let writer = |contents: &'static [u8]| {
            let file = pending(&path, Overwrite::Refuse, contents);
            barrier.wait();
            claim(file)
        };
        let (a, b) = thread::scope(|s| {
            let a = s.spawn(|| writer(b"a"));
            let b = s.spawn(|| writer(b"b"));
            (a.join().unwrap(), b.join().unwrap())
        });
        let winner: &[u8] = match (a, b) {
            (Ok(()), Err(Error::FileExists(p))) if p == path => b"a",
            (Err(Error::FileExists(p)), Ok(())) if p == path => b"b",
            other => panic!("round {round}: {other:?}"),
        };
        assert_eq!(fs::read(&path).unwrap(), winner, "round {round}");
    }
    assert_eq!(names(dir.path()).len(), rounds as usize, "temporary files are left");
}

#[test]
fn of_two_writers_exactly_one_wins_and_nothing_is_lost() {
    race(500, PendingFile::publish);
}

#[test]
fn of_two_writers_exactly_one_wins_without_rename_noreplace_too() {
    race(200, |file| {
        file.temporary.claim_by_link().map_err(|e| {
            assert_eq!(e.kind(), io::ErrorKind::AlreadyExists);
            Error::FileExists(file.destination.clone())
        })
    });
}

#[test]
fn a_reader_sees_the_old_file_or_the_new_one_and_never_a_part() {
    const SIZE: usize = 200_000;
    let dir = folder();
    let path = dir.path().join("a.dmp");
    fs::write(&path, vec![0; SIZE]).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|s| {
        let reader = s.spawn(|| {
            let mut seen = std::collections::BTreeSet::new();
            while !done.load(Ordering::Relaxed) {
                let contents = fs::read(&path).unwrap();
                assert_eq!(contents.len(), SIZE);
                assert!(contents.iter().all(|b| *b == contents[0]));
                seen.insert(contents[0]);
            }
            seen.len()
        });
        for round in 1..=100 {
            pending(&path, Overwrite::Replace, &vec![round; SIZE]).publish().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 1, "the reader never overlapped with a writer");
    });
    assert_eq!(names(dir.path()), ["a.dmp"]);
}
