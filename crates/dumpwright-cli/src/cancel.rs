//! Ctrl-C and termination: the dump is given up cleanly, and nothing is left.

use crate::output::INTERRUPTED;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

static CANCELLED: AtomicBool = AtomicBool::new(false);

/// How long a reader that has stopped reading may hold up the end of a stream.
const GRACE: Duration = Duration::from_secs(1);

/// Notes SIGINT, SIGTERM and SIGHUP from here on instead of dying of them. The
/// second one ends the program at once, should it be stuck.
pub fn watch_signals() {
    watch(|| {});
}

/// The same for a dump that goes into a pipe. A write that waits for the reader
/// never comes to see the note, and the target stands still meanwhile; so the
/// program ends shortly after, and the kernel lets the target go.
pub fn watch_signals_while_streaming() {
    watch(|| {
        thread::sleep(GRACE);
        crate::output::print_aside("dumpwright: cancelled; the stream ends unfinished\n");
        end();
    });
}

fn watch(then: impl Fn() + Send + 'static) {
    // Fails only when a handler is installed already: then nothing is missing.
    let _ = ctrlc::set_handler(move || {
        if CANCELLED.swap(true, Ordering::Relaxed) {
            end();
        }
        then();
    });
    // Behind the other: the last one is asked first.
    #[cfg(windows)]
    dumpwright::target::windows::on_console_close(closed);
}

/// The console is being closed, and Windows ends the program when this returns: the
/// dump is given up meanwhile, or the program ends here.
#[cfg(windows)]
fn closed() {
    CANCELLED.store(true, Ordering::Relaxed);
    thread::sleep(GRACE * 3);
    end();
}

/// Ends the program where it is, without what it was writing. Linux lets a process go on by itself; guests
/// have to be told, and Windows processes too.
fn end() -> ! {
    #[cfg(unix)]
    dumpwright::target::machine::qemu::resume_all();
    #[cfg(windows)]
    dumpwright::target::windows::resume_all();
    dumpwright::package::remove_pending_files();
    std::process::exit(INTERRUPTED.into())
}

/// Whether one of them has come.
pub fn is_cancelled() -> bool {
    CANCELLED.load(Ordering::Relaxed)
}
