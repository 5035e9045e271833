//! Ctrl-C and termination: the dump is given up cleanly, and nothing is left.

use std::sync::atomic::{AtomicBool, Ordering};

static CANCELLED: AtomicBool = AtomicBool::new(false);

/// Notes SIGINT, SIGTERM and SIGHUP from here on instead of dying of them.
pub fn watch_signals() {
    // Fails only when a handler is installed already: then nothing is missing.
    let _ = ctrlc::set_handler(|| CANCELLED.store(true, Ordering::Relaxed));
}

/// Whether one of them has come.
pub fn is_cancelled() -> bool {
    CANCELLED.load(Ordering::Relaxed)
}
