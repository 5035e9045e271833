//! Ctrl-C and termination: the dump is given up cleanly, and nothing is left.

use crate::output::INTERRUPTED;
use std::sync::atomic::{AtomicBool, Ordering};

static CANCELLED: AtomicBool = AtomicBool::new(false);

/// Notes SIGINT, SIGTERM and SIGHUP from here on instead of dying of them. The
/// second one ends the program at once, should it be stuck.
pub fn watch_signals() {
    // Fails only when a handler is installed already: then nothing is missing.
    let _ = ctrlc::set_handler(|| {
        if CANCELLED.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(INTERRUPTED));
        }
    });
}

/// Whether one of them has come.
pub fn is_cancelled() -> bool {
    CANCELLED.load(Ordering::Relaxed)
}
