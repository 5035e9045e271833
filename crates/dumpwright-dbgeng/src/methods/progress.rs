//! What the output callbacks hear of work that takes long, and how it is ended.

use crate::fault::{self, Place};
use crate::object::Client;
use crate::session::mask;
use dumpwright::{Observer, Phase, observe_here};
use std::sync::atomic::{AtomicBool, Ordering};

/// Carries out what takes long. The output callbacks hear how far it is, on this
/// thread; `SetInterrupt` ends it.
pub fn watched<T: Send>(client: &Client, work: impl FnOnce(&dyn Observer) -> T + Send) -> T {
    let mut said = None;
    let listen = |phase: Phase, done: u64, total: u64| {
        let tenth = done.saturating_mul(10).checked_div(total).unwrap_or(10).min(10);
        if said.replace((phase, tenth)) != Some((phase, tenth)) {
            fault::point(Place::Progress);
            let what = match phase {
                Phase::Wait => "Waiting",
                Phase::Unpack => "Unpacking",
                Phase::Write => "Writing",
                Phase::Package => "Packing",
            };
            client.state.say(mask::NORMAL, &format!("{what}: {}%", tenth * 10));
        }
        true
    };
    let interrupted = AtomicBool::new(false);
    let cancelled = || {
        // An interrupt is over with the question, and the dump is not.
        interrupted.load(Ordering::Relaxed)
            || client.state.session.take_interrupt().is_some()
                && !interrupted.swap(true, Ordering::Relaxed)
    };
    observe_here(listen, cancelled, work)
}
