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

    /// How long to pause before looking again at so many threads.
    pub(super) fn pause(&self, threads: u32) -> Duration {
        const LONGEST: Duration = Duration::from_millis(5);
        // What it takes to look at one, fifty times.
        const A_THREAD: Duration = Duration::from_micros(5);
        const AT_ONCE: Duration = Duration::from_micros(50);
        let quiet = self.since.elapsed();
        if quiet < AT_ONCE {
            // What was just let go may stop again at once.
            std::thread::yield_now();
            return Duration::ZERO;
        }
        (quiet / 4).min(LONGEST + A_THREAD * threads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_the_quiet_and_have_an_end() {
        let mut pace = Pace::new();
        assert!(pace.pause(1) < Duration::from_millis(1));
        pace.since = Instant::now().checked_sub(Duration::from_millis(8)).unwrap();
        let pause = pace.pause(1);
        assert!(pause >= Duration::from_millis(2) && pause < Duration::from_millis(5), "{pause:?}");
        pace.since = Instant::now().checked_sub(Duration::from_secs(8)).unwrap();
        assert_eq!(pace.pause(0), Duration::from_millis(5));
        assert_eq!(pace.pause(1000), Duration::from_millis(10));
        pace.restart();
        assert!(pace.pause(1000) < Duration::from_millis(1));
    }
}
