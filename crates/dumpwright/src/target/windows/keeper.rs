//! Resumes what this process suspended, should it be killed: Windows does not.
//!
//! A second process, the keeper, waits for the end of the first. Both see a
//! table of the threads that are suspended; the keeper has a handle to each. One
//! that ends with an empty table, or is told to, has done nothing.
//!
//! A debugger that ends lets its process go, too, but a process has one at most, and it
//! may be another. Windows 11 has suspensions that end with their handle
//! (`NtCreateProcessStateChange`), undocumented.

use super::sys::inherited;
use super::sys::section::SharedWords;
use super::sys::thread;
use std::ffi::OsStr;
use std::io;
use std::os::windows::io::{AsHandle, BorrowedHandle};
use std::os::windows::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use windows_sys::Win32::System::Threading::{CREATE_BREAKAWAY_FROM_JOB, DETACHED_PROCESS};

/// Threads that the table has room for; more are not kept.
const MOST_THREADS: usize = 1 << 16;

/// A line of the table: the thread's handle in the keeper, and state and count.
const LINE: usize = 2;

/// Words before the lines: whether the keeper waits.
const HEAD: usize = 1;

/// How long a keeper may take to begin; one that takes longer is not waited for.
const BEGIN: Duration = Duration::from_secs(3);

/// The thread is suspended, or about to be. Below it is how often it was before.
const SUSPENDED: u64 = 1 << 32;

/// The keeper of this process.
static KEEPER: Mutex<Option<Keeper>> = Mutex::new(None);

#[derive(Debug)]
struct Keeper {
    process: Child,
    table: SharedWords,
    /// Lines that were used and are free again.
    free: Vec<usize>,
    /// The first line that was never used.
    fresh: usize,
}

/// While this lives, a keeper does.
#[derive(Debug)]
pub struct Kept(());

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(mut keeper) = lock().take() {
            // It only waits; nothing is suspended any more.
            let _ = keeper.process.kill();
            let _ = keeper.process.wait();
        }
    }
}

/// Starts `program` as this process's keeper, with `argument` and two numbers,
/// which it is to hand to [`keep`].
///
/// # Errors
/// It cannot be started.
pub fn start(program: &Path, argument: impl AsRef<OsStr>) -> io::Result<Kept> {
    let table = SharedWords::create(HEAD + MOST_THREADS * LINE)?;
    let this_process = inherited::this_process()?;
    let number = inherited::number(this_process.as_handle());
    let spawn = |flags| {
        Command::new(program)
            .arg(argument.as_ref())
            .args([number.to_string(), table.handle().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .creation_flags(flags)
            .spawn()
    };
    // Without our console, whose Ctrl-C is not meant for it, and outside of our job,
    // which may end with us; not every job allows that.
    let process =
        spawn(DETACHED_PROCESS | CREATE_BREAKAWAY_FROM_JOB).or_else(|_| spawn(DETACHED_PROCESS))?;
    // Wine 8's server can crash of a process that is started while handles are listed.
    let since = Instant::now();
    while table.words()[0].load(Ordering::Acquire) == 0 && since.elapsed() < BEGIN {
        std::thread::sleep(Duration::from_millis(1));
    }
    *lock() = Some(Keeper { process, table, free: Vec::new(), fresh: 0 });
    Ok(Kept(()))
}

/// The keeper's whole work: waits for the end of the process whose handle is
/// `process`, and resumes the threads that are in the table of `section` then.
///
/// # Errors
/// The numbers are not those that [`start`] gave.
pub fn keep(process: u64, section: u64) -> io::Result<()> {
    let process = inherited::take(process)?;
    let table = SharedWords::open(inherited::take(section)?, HEAD + MOST_THREADS * LINE)?;
    table.words()[0].store(1, Ordering::Release);
    inherited::wait_for_end(process.as_handle())?;
    for [handle, state] in lines(&table) {
        let state = state.load(Ordering::Acquire);
        if state & SUSPENDED == 0 {
            continue;
        }
        let Ok(thread) = inherited::take(handle.load(Ordering::Acquire)) else { continue };
        let before = state as u32;
        // How often it is suspended is told when it is once more. The process may have
        // been killed before it suspended the thread, or after it resumed it.
        let Ok(now) = thread::suspend(thread.as_handle()) else { continue };
        for _ in 0..=u32::from(now > before) {
            let _ = thread::resume(thread.as_handle());
        }
    }
    Ok(())
}

/// A thread that the keeper knows of.
#[derive(Debug)]
pub(super) struct Line(usize);

impl Line {
    /// Makes a thread known that is about to be suspended. `None` without a keeper,
    /// or with a full table.
    pub fn begin(thread: BorrowedHandle<'_>) -> Option<Line> {
        let mut kept = lock();
        let keeper = kept.as_mut()?;
        let line = keeper.free.last().copied().unwrap_or(keeper.fresh);
        if line >= MOST_THREADS {
            return None;
        }
        let given = inherited::give(thread, keeper.process.as_handle());
        let handle =
            given.inspect_err(|error| tracing::warn!(%error, "a thread is not kept")).ok()?;
        if keeper.free.pop().is_none() {
            keeper.fresh += 1;
        }
        let [handle_word, state] = keeper.line(line)?;
        handle_word.store(handle, Ordering::Release);
        // Nobody else suspends it, most likely: then it was not suspended.
        state.store(SUSPENDED, Ordering::Release);
        Some(Line(line))
    }

    /// It is suspended now, and was `count` times before.
    pub fn suspended(&self, count: u32) {
        self.set(SUSPENDED | u64::from(count));
    }

    /// It is not suspended any more.
    pub fn end(self) {
        self.set(0);
        if let Some(keeper) = lock().as_mut() {
            keeper.free.push(self.0);
        }
    }

    fn set(&self, state: u64) {
        if let Some([_, word]) = lock().as_ref().and_then(|keeper| keeper.line(self.0)) {
            word.store(state, Ordering::Release);
        }
    }
}

impl Keeper {
    fn line(&self, index: usize) -> Option<&[AtomicU64; LINE]> {
        lines(&self.table).get(index)
    }
}

fn lines(table: &SharedWords) -> &[[AtomicU64; LINE]] {
    table.words()[HEAD..].as_chunks().0
}

fn lock() -> MutexGuard<'static, Option<Keeper>> {
    KEEPER.lock().unwrap_or_else(PoisonError::into_inner)
}
