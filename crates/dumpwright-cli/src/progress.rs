//! A progress bar on a terminal, and the way a signal stops the engine.

use crate::cancel;
use dumpwright::{Observer, Phase};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};
use std::sync::Mutex;

/// Shows progress on standard error, if that is a terminal.
pub struct Progress {
    bar: ProgressBar,
    phase: Mutex<Option<Phase>>,
}

impl Progress {
    /// A bar that is not shown yet.
    pub fn new() -> Self {
        let target = if io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template(
            "{msg} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        ) {
            bar.set_style(style.progress_chars("=> "));
        }
        // Set before anything is drawn: what it will do first.
        let bar = bar.with_message(message(Phase::Write));
        Progress { bar, phase: Mutex::new(None) }
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn message(phase: Phase) -> &'static str {
    match phase {
        Phase::Wait => "waiting",
        Phase::Unpack => "unpacking",
        Phase::Write => "writing",
        Phase::Package => "packing",
    }
}

impl Observer for Progress {
    fn progress(&self, phase: Phase, done: u64, total: u64) {
        // Nobody knows how far off it is.
        if phase == Phase::Wait {
            return;
        }
        self.bar.set_length(total);
        if let Ok(mut shown) = self.phase.lock()
            && *shown != Some(phase)
        {
            // The speed of one phase says nothing of the next.
            if shown.is_some() {
                self.bar.set_message(message(phase));
                self.bar.reset();
            }
            *shown = Some(phase);
        }
        self.bar.set_position(done);
    }

    fn is_cancelled(&self) -> bool {
        cancel::is_cancelled()
    }
}
