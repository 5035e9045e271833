//! Places where tests make a method panic, to see that nothing of it crosses the
//! boundary. The library that people get has none of this: it is there only with
//! the feature `fault-points`.

#![cfg_attr(not(feature = "fault-points"), forbid(unsafe_code))]

/// Where a method can be made to panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Place {
    /// Before a method does anything.
    Method = 1,
    /// With the lock of the session's state.
    StateLocked,
    /// While a dump is written, on the thread that told of its progress.
    Progress,
    /// With the lock of a client's callbacks.
    CallbacksLocked,
    /// When the last reference to a client is released.
    LastRelease,
}

/// Panics if the place is the one that was asked for; once.
#[inline]
pub fn point(place: Place) {
    #[cfg(feature = "fault-points")]
    armed::point(place);
    #[cfg(not(feature = "fault-points"))]
    let _ = place;
}

#[cfg(feature = "fault-points")]
mod armed {
    use super::Place;
    use std::sync::atomic::{AtomicU32, Ordering};

    static ARMED: AtomicU32 = AtomicU32::new(0);

    /// Asks for a panic at a place, and answers the place that was asked for
    /// before and was not reached; 0 for none.
    // SAFETY: no other symbol of the program has this name.
    #[unsafe(no_mangle)]
    pub extern "system" fn dumpwright_test_panic_at(place: u32) -> u32 {
        ARMED.swap(place, Ordering::SeqCst)
    }

    /// Makes the names of the target's handles from `first` to `last` never come.
    // SAFETY: no other symbol of the program has this name.
    #[cfg(windows)]
    #[unsafe(no_mangle)]
    pub extern "system" fn dumpwright_test_block_names(first: u64, last: u64) {
        dumpwright::fault::block_names_from(first, last);
    }

    pub(super) fn point(place: Place) {
        let here = place as u32;
        let reached = ARMED.compare_exchange(here, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        assert!(!reached, "asked for by a test: {place:?}");
    }
}
