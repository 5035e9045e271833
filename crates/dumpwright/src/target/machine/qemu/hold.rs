//! The guest, held still: and whatever happens, let go again.

use super::qmp::{CONTINUE, CONTINUE_ID, Qmp, QmpError};
use serde_json::json;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Monitors of guests that stand still because of this program.
static PAUSED: Mutex<Vec<(u64, UnixStream)>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(0);

/// How long the last answer is waited for.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// Lets every guest go on that this program holds: for a program that is about
/// to end without dropping its targets.
pub fn resume_all() {
    for (_, monitor) in PAUSED.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        // There is nobody left to tell.
        let _ = say_continue(monitor);
    }
}

/// Says it and waits for the answer: QEMU forgets commands of a monitor that
/// closes before they were carried out.
fn say_continue(mut monitor: UnixStream) -> io::Result<()> {
    let deadline = Instant::now() + LAST_PATIENCE;
    monitor.set_write_timeout(Some(LAST_PATIENCE))?;
    monitor.write_all(CONTINUE)?;
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    while !answer.windows(CONTINUE_ID.len()).any(|part| part == CONTINUE_ID) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        monitor.set_read_timeout(Some(left))?;
        match monitor.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            len => answer.extend_from_slice(&chunk[..len]),
        }
    }
    Ok(())
}

/// A guest that stands still.
#[derive(Debug)]
pub(super) struct Hold {
    qmp: Qmp,
    /// Whether it ran, and so has to go on; its place in [`PAUSED`].
    to_resume: Option<u64>,
    since: Option<Instant>,
    held: Option<Duration>,
    /// Whether it stood still all the time; `None` until it was released.
    undisturbed: Option<bool>,
}

impl Hold {
    /// Stops the guest, if it runs.
    pub fn stop(mut qmp: Qmp) -> Result<Hold, QmpError> {
        let status = qmp.execute("query-status", &json!({}))?;
        let mut hold = Hold { qmp, to_resume: None, since: None, held: None, undisturbed: None };
        hold.qmp.forget();
        if status["running"].as_bool() != Some(true) {
            return Ok(hold);
        }
        // From here on it may stand still, whether or not `stop` is answered.
        let ticket = NEXT.fetch_add(1, Ordering::Relaxed);
        if let Ok(monitor) = hold.qmp.last_word() {
            PAUSED.lock().unwrap_or_else(PoisonError::into_inner).push((ticket, monitor));
        }
        hold.to_resume = Some(ticket);
        hold.since = Some(Instant::now());
        hold.qmp.execute("stop", &json!({}))?;
        hold.qmp.forget();
        Ok(hold)
    }

    /// The monitor.
    pub fn qmp(&mut self) -> &mut Qmp {
        &mut self.qmp
    }

    /// Lets the guest go on, if this stopped it; once.
    pub fn release(&mut self) -> Result<(), QmpError> {
        if self.undisturbed.is_none() {
            self.undisturbed = Some(self.stands_still());
        }
        let Some(ticket) = self.to_resume.take() else { return Ok(()) };
        PAUSED.lock().unwrap_or_else(PoisonError::into_inner).retain(|(of, _)| *of != ticket);
        let done = self.qmp.execute("cont", &json!({}));
        self.held = self.since.map(|since| since.elapsed());
        done.map(drop)
    }

    /// Whether it stands still, and did so all the time. A monitor that does not
    /// answer in a short time knows nothing else.
    fn stands_still(&mut self) -> bool {
        const COMMAND: &str = "query-status";
        let asked = self.qmp.start(COMMAND, &json!({}));
        let status = asked.and_then(|()| self.qmp.finish(COMMAND, LAST_PATIENCE));
        let runs = status.is_ok_and(|status| status["running"].as_bool() == Some(true));
        !runs && !self.qmp.saw_resume()
    }

    /// Whether something else let it go on while it was held.
    pub fn was_disturbed(&self) -> bool {
        self.undisturbed == Some(false)
    }

    /// How long it has stood still; `None` for one that did not run.
    pub fn held(&self) -> Option<Duration> {
        self.held.or_else(|| self.since.map(|since| since.elapsed()))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Err(error) = self.release() {
            tracing::error!(%error, "the guest may still be paused; say 'cont' in its monitor");
        }
    }
}
