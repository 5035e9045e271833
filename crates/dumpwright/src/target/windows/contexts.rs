//! Registers of suspended threads, asked for on a thread that may be left behind:
//! Wine 8 waits for good for those of a thread that is only just starting.

use super::sys::thread;
use std::io;
use std::os::windows::io::{AsHandle, OwnedHandle};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::Builder;
use std::time::Duration;

/// How long the system may take for the registers of one thread.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Which context is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `CONTEXT`.
    Plain,
    /// `CONTEXT` with extended state, or without if there is none.
    Extended,
    /// The 32-bit one of WOW64.
    Narrow,
}

/// Asks for contexts.
#[derive(Default)]
pub(super) struct Contexts {
    line: Option<Line>,
}

struct Line {
    ask: Sender<(Arc<OwnedHandle>, Kind)>,
    answers: Receiver<io::Result<Vec<u8>>>,
}

impl Contexts {
    /// The context of a suspended thread.
    ///
    /// # Errors
    /// The system's, or that it did not answer in time.
    pub(super) fn of(&mut self, thread: &Arc<OwnedHandle>, kind: Kind) -> io::Result<Vec<u8>> {
        let line = match self.line.take() {
            Some(line) => line,
            None => Line::open()?,
        };
        let ended = || io::Error::other("the thread that asks for it ended");
        line.ask.send((Arc::clone(thread), kind)).map_err(|_| ended())?;
        match line.answers.recv_timeout(TIMEOUT) {
            Ok(answer) => {
                self.line = Some(line);
                answer
            }
            // It is left behind, and ends when the system answers.
            Err(RecvTimeoutError::Timeout) => {
                let message = format!("the system did not tell within {TIMEOUT:?}");
                Err(io::Error::new(io::ErrorKind::TimedOut, message))
            }
            Err(RecvTimeoutError::Disconnected) => Err(ended()),
        }
    }
}

impl Line {
    fn open() -> io::Result<Line> {
        let (ask, asked) = channel::<(Arc<OwnedHandle>, Kind)>();
        let (answer, answers) = channel();
        Builder::new().name("contexts".into()).spawn(move || {
            for (thread, kind) in asked {
                if answer.send(context(&thread, kind)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Line { ask, answers })
    }
}

fn context(handle: &OwnedHandle, kind: Kind) -> io::Result<Vec<u8>> {
    let handle = handle.as_handle();
    match kind {
        Kind::Narrow => thread::wow64_context(handle),
        Kind::Plain => thread::context(handle),
        Kind::Extended => thread::extended_context(handle).or_else(|_| thread::context(handle)),
    }
}
