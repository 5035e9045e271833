//! What tests make Windows do, and cannot otherwise. The library that people get
//! has none of this: it is there only with the feature `fault-points`.

/// Reached before the name of the object behind a handle of the target is asked
/// for. It does not return if that was asked for: Windows waits so for a pipe or a
/// device whose owner waits itself.
#[inline]
pub(crate) fn name_of(handle: u64) {
    #[cfg(feature = "fault-points")]
    armed::name_of(handle);
    #[cfg(not(feature = "fault-points"))]
    let _ = handle;
}

#[cfg(feature = "fault-points")]
pub use armed::block_names_from;

#[cfg(feature = "fault-points")]
mod armed {
    use std::sync::atomic::{AtomicU64, Ordering};

    static FIRST: AtomicU64 = AtomicU64::new(0);
    static LAST: AtomicU64 = AtomicU64::new(0);

    /// Makes the names of handles from `first` to `last` never come. From 1 to 0,
    /// all of them come again.
    pub fn block_names_from(first: u64, last: u64) {
        FIRST.store(first, Ordering::SeqCst);
        LAST.store(last, Ordering::SeqCst);
    }

    pub(super) fn name_of(handle: u64) {
        let first = FIRST.load(Ordering::SeqCst);
        while first != 0 && (first..=LAST.load(Ordering::SeqCst)).contains(&handle) {
            std::thread::park();
        }
    }
}
