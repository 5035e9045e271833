//! How long one dump may take. A disk that hangs, or a program's files on a
//! network that is gone, must not hold crashed processes for ever.

use dumpwright::Observer;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// How much longer than its time a dump may take to end by itself.
const GRACE: Duration = Duration::from_secs(30);

/// Ends the dump that it observes when its time is over, and the program if
/// that does not help, until it is dropped.
pub struct Deadline {
    end: Instant,
    /// Dropping it is the word that the dump is done.
    _done: Sender<()>,
}

impl Deadline {
    /// From now on. `give_up` tells whom it may concern, before the program ends.
    pub fn new(limit: Duration, give_up: impl FnOnce() + Send + 'static) -> Deadline {
        let (done, is_done) = mpsc::channel();
        thread::spawn(move || {
            if is_done.recv_timeout(limit + GRACE) == Err(RecvTimeoutError::Timeout) {
                give_up();
                std::process::exit(1);
            }
        });
        Deadline { end: Instant::now() + limit, _done: done }
    }
}

impl Observer for Deadline {
    fn is_cancelled(&self) -> bool {
        Instant::now() >= self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_is_cancelled_when_its_time_is_over() {
        let deadline = Deadline::new(Duration::from_millis(20), || {});
        assert!(!deadline.is_cancelled());
        thread::sleep(Duration::from_millis(30));
        assert!(deadline.is_cancelled());
    }
}
