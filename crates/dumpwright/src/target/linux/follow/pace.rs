//! How often the threads of a process that runs are looked at.

use std::time::{Duration, Instant};

/// The longer nothing happens, the less often it is looked: a program that stops
/// often is kept waiting for a part of the time between only, and one that never
/// does costs next to nothing.
pub(super) struct Pace {
    since: Instant,
}

impl Pace {
    /// Begins with no pause.
    pub(super) fn new() -> Self {
        Pace { since: Instant::now() }
    }

    /// Something has happened.
    pub(super) fn restart(&mut self) {
        self.since = Instant::now();
    }

    /// How long to pause before looking again.
    pub(super) fn pause(&self) -> Duration {
        const LONGEST: Duration = Duration::from_millis(5);
        const AT_ONCE: Duration = Duration::from_micros(50);
        let quiet = self.since.elapsed();
        if quiet < AT_ONCE {
            // What was just let go may stop again at once.
            std::thread::yield_now();
            return Duration::ZERO;
        }
        (quiet / 4).min(LONGEST)
    }
}
