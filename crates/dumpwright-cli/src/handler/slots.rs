//! How many dumps are made at a time: each takes the lock of a slot, which the
//! kernel takes back however the handler ends.

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How often a slot is looked for.
const PAUSE: Duration = Duration::from_millis(20);

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held for what its drop does")] File);

/// Takes one of `count` slots, and waits up to `wait` for one; `None` if none
/// became free.
///
/// # Errors
/// The lock files in `state` cannot be made.
pub fn take(state: &Path, count: usize, wait: Duration) -> io::Result<Option<Lock>> {
    let end = Instant::now() + wait;
    loop {
        for slot in 0..count {
            let file = open(state, &format!("slot-{slot}.lock"))?;
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(Lock(file))),
                Err(Errno::WOULDBLOCK) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        thread::sleep(PAUSE);
    }
}

/// Takes the one lock of that name, however long it takes.
///
/// # Errors
/// As [`take`].
pub fn lock(state: &Path, name: &str) -> io::Result<Lock> {
    let file = open(state, name)?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
    Ok(Lock(file))
}

fn open(state: &Path, name: &str) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(state.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_slots_as_said_and_each_is_free_again() {
        let state = tempfile::tempdir().unwrap();
        let take = |wait| take(state.path(), 2, wait).unwrap();
        let first = take(Duration::ZERO);
        let second = take(Duration::ZERO);
        assert!(first.is_some() && second.is_some());
        assert!(take(Duration::from_millis(30)).is_none());
        thread::scope(|scope| {
            let waiting = scope.spawn(|| take(Duration::from_secs(30)).is_some());
            thread::sleep(PAUSE);
            drop(first);
            assert!(waiting.join().unwrap());
        });
    }
}
