//! When things that the kernel dates "since boot" happened.

use crate::target::FileTime;
use std::time::{SystemTime, UNIX_EPOCH};

/// Converts the kernel's ticks into times and durations.
#[derive(Clone, Copy, Debug)]
pub(super) struct BootClock {
    /// Nanoseconds from 1970 to boot.
    boot_nanos: u64,
    /// Nanoseconds of a tick.
    tick_nanos: u64,
}

impl BootClock {
    /// The clock of this machine, as its time is set now.
    pub fn now() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let boot_nanos = (since_1970.as_nanos() as u64).saturating_sub(nanos_since_boot());
        let ticks = rustix::param::clock_ticks_per_second().max(1);
        BootClock { boot_nanos, tick_nanos: 1_000_000_000 / ticks }
    }

    /// The time of day at `ticks` since boot.
    pub fn time_at(self, ticks: u64) -> FileTime {
        let nanos = ticks.saturating_mul(self.tick_nanos);
        FileTime::from_unix_nanos(self.boot_nanos.saturating_add(nanos))
    }

    /// `ticks` as a duration in 100 ns units.
    pub fn duration(self, ticks: u64) -> u64 {
        ticks.saturating_mul(self.tick_nanos) / 100
    }
}

/// Nanoseconds since boot, suspends included: the clock of `starttime` in
/// `/proc/<pid>/stat`. Not `/proc/uptime`, which some container file systems
/// replace by the container's own.
fn nanos_since_boot() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of this frame, which the call fills.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    if result != 0 {
        return 0;
    }
    (time.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64)
}
