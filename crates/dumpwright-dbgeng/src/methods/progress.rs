//! What the output callbacks hear of work that takes long, and how it is ended.
//!
//! The engine tells of its progress on threads of its own. Callbacks are called on
//! the thread that called the method, so the engine works on another one
//! meanwhile, and waits while it is listened to.

use crate::fault::{self, Place};
use crate::object::Client;
use crate::session::{lock, mask};
use dumpwright::{Observer, Phase};
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// Carries out what takes long. The output callbacks hear how far it is;
/// `SetInterrupt` ends it, and so does a panic of who listens.
pub fn watched<T: Send>(client: &Client, work: impl FnOnce(&dyn Observer) -> T + Send) -> T {
    let (tell, told) = channel();
    let (answer, heard) = channel();
    let progress = Progress {
        client,
        line: Mutex::new(Line { tell, heard, said: None }),
        cancelled: AtomicBool::new(false),
    };
    // All that this thread has goes when it panics, before the engine is waited for.
    thread::scope(move |scope| {
        // The line is gone with `progress`, and then nothing more is told.
        let engine = scope.spawn(move || work(&progress));
        // With a panic here `answer` is gone, which whoever tells notices.
        for text in told {
            fault::point(Place::Progress);
            client.state.say(mask::NORMAL, &text);
            let _ = answer.send(());
        }
        engine.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

struct Progress<'a> {
    client: &'a Client,
    line: Mutex<Line>,
    cancelled: AtomicBool,
}

/// The way to the thread that listens.
struct Line {
    tell: Sender<String>,
    heard: Receiver<()>,
    said: Option<(Phase, u64)>,
}

impl Observer for Progress<'_> {
    fn progress(&self, phase: Phase, done: u64, total: u64) {
        let tenth = done.saturating_mul(10).checked_div(total).unwrap_or(10).min(10);
        let now = Some((phase, tenth));
        let mut line = lock(&self.line);
        if std::mem::replace(&mut line.said, now) == now {
            return;
        }
        let what = match phase {
            Phase::Unpack => "Unpacking",
            Phase::Write => "Writing",
            Phase::Package => "Packing",
        };
        let told = line.tell.send(format!("{what}: {}%", tenth * 10)).is_ok();
        if !told || line.heard.recv().is_err() {
            self.cancelled.store(true, Ordering::Relaxed);
        }
    }

    fn is_cancelled(&self) -> bool {
        if self.client.state.session.take_interrupt() {
            self.cancelled.store(true, Ordering::Relaxed);
        }
        self.cancelled.load(Ordering::Relaxed)
    }
}
