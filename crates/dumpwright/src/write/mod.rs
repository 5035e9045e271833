//! Writes a laid-out dump to any [`Write`], strictly from front to back, or into
//! a file of our own, by several threads at once.
//!
//! Memory goes through a fixed number of buffers, so what the writer needs
//! does not grow with the target.

#![forbid(unsafe_code)]

mod batch;
mod in_place;
pub mod kernel;
mod progress;
pub mod soft_errors;
mod target;

use crate::address::AddressRange;
use crate::error::{Error, Result};
use crate::layout::DumpLayout;
use crate::observer::Observer;
use crate::plan::{DumpPlan, MemoryPlan};
use crate::redact::{Audit, Scanner};
use crate::soft_error::Hole;
use crate::target::{MemorySource, ProcessSnapshot};
use batch::{BATCH_SIZE, Batch, Batches};
use progress::Progress;
use soft_errors::Holes;
use std::io::{Seek, SeekFrom, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
pub use target::Target;

/// Threads that read the target: reading costs the kernel about twice what
/// writing to its page cache does.
const READERS: usize = 2;
/// Buffers that circulate between a reader and the writer.
const BUFFERS_PER_READER: usize = 3;
/// With less memory than this a second thread costs more than it saves.
const PIPELINE_MIN: u64 = 8 << 20;
/// The unit in which the remains of a bad page are looked for.
const PARTIAL_UNIT: u64 = 512;

/// What was written.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Memory that turned out to be unreadable and is zero in the dump.
    pub holes: Vec<Hole>,
    /// Bytes of further holes, beyond those that are listed.
    pub unlisted_hole_bytes: u64,
    /// What was redacted in memory.
    pub audit: Audit,
}

/// Writes the dump up to the end of its memory. The target is not needed
/// after this; [`finish`] writes the rest.
///
/// # Errors
/// [`Error::Write`], [`Error::Cancelled`], [`Error::ProcessEnded`], and under
/// [`HolePolicy::Fail`](crate::plan::HolePolicy) [`Error::InaccessibleMemory`].
pub fn write_memory(
    layout: &dyn DumpLayout,
    plan: &DumpPlan,
    snapshot: &ProcessSnapshot,
    source: &dyn MemorySource,
    to: &mut Target<'_>,
    observer: &dyn Observer,
) -> Result<Outcome> {
    layout.write_head(plan, snapshot, to.out()).map_err(Error::Write)?;
    let plan = &plan.memory;
    let mut progress = Progress::new(plan, snapshot, observer);
    match to {
        // Redacting follows texts across batches.
        Target::File(file) if plan.redactor.is_none() && plan.len() >= PIPELINE_MIN => {
            let start = file.stream_position().map_err(Error::Write)?;
            in_place::write(source, file, start, &mut progress)?;
            file.seek(SeekFrom::Start(start + plan.len())).map_err(Error::Write)?;
            Ok(progress.outcome)
        }
        to => write_stream(source, to.out(), progress),
    }
}

/// Writes the memory from front to back: other threads read the target while
/// this one writes what was read before.
fn write_stream(
    source: &dyn MemorySource,
    out: &mut dyn Write,
    progress: Progress<'_>,
) -> Result<Outcome> {
    let plan = progress.plan;
    let scanner = plan.redactor.as_ref().map(Scanner::new);
    let mut sink = Sink { progress, out, scanner, redacted: Vec::new() };
    if plan.len() < PIPELINE_MIN {
        let mut buffer = vec![0; BATCH_SIZE.min(plan.len() as usize)];
        for batch in Batches::new(plan) {
            let filled = fill(&batch, plan, source, &mut buffer);
            sink.accept(&buffer[..batch.len()], &batch.ranges(), filled)?;
        }
        return sink.finish();
    }
    thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|first| {
                let (filled, full) = mpsc::sync_channel::<Filled>(1);
                let (give_back, empty) = mpsc::channel::<Vec<u8>>();
                scope.spawn(move || {
                    let batches = Batches::new(plan).skip(first).step_by(READERS);
                    read_batches(batches, plan, source, &empty, &filled);
                });
                (full, give_back)
            })
            .collect();
        // The readers take turns; each is done when its channel closes.
        for (full, give_back) in readers.iter().cycle() {
            let Ok(Filled { buffer, ranges, len, holes }) = full.recv() else { break };
            sink.accept(&buffer[..len], &ranges, holes)?;
            // Fails when the reader has read its last batch.
            let _ = give_back.send(buffer);
        }
        sink.finish()
    })
}

/// A batch that was read.
struct Filled {
    buffer: Vec<u8>,
    ranges: Vec<AddressRange>,
    len: usize,
    holes: Vec<Hole>,
}

/// The life of a reading thread: fills buffers, its own first and then those
/// that come back, until it is done or the writer has given up.
fn read_batches(
    batches: impl Iterator<Item = Batch>,
    plan: &MemoryPlan,
    source: &dyn MemorySource,
    empty: &Receiver<Vec<u8>>,
    filled: &SyncSender<Filled>,
) {
    let mut own = BUFFERS_PER_READER;
    for batch in batches {
        let mut buffer = if own > 0 {
            own -= 1;
            vec![0; BATCH_SIZE]
        } else {
            let Ok(buffer) = empty.recv() else { return };
            buffer
        };
        let holes = fill(&batch, plan, source, &mut buffer);
        let (ranges, len) = (batch.ranges(), batch.len());
        if filled.send(Filled { buffer, ranges, len, holes }).is_err() {
            return;
        }
    }
}

/// Writes what follows the memory.
///
/// # Errors
/// [`Error::Write`].
pub fn finish(
    layout: &dyn DumpLayout,
    plan: &DumpPlan,
    outcome: &Outcome,
    out: &mut dyn Write,
) -> Result<()> {
    let holes = Holes { listed: &outcome.holes, unlisted_bytes: outcome.unlisted_hole_bytes };
    out.write_all(&layout.trailer(plan, holes)).and_then(|()| out.flush()).map_err(Error::Write)
}

/// Takes filled buffers in order.
struct Sink<'a> {
    progress: Progress<'a>,
    out: &'a mut dyn Write,
    scanner: Option<Scanner<'a>>,
    /// What the scanner gave out.
    redacted: Vec<u8>,
}

impl Sink<'_> {
    /// Takes the bytes of `ranges`, back to back.
    fn accept(&mut self, bytes: &[u8], ranges: &[AddressRange], holes: Vec<Hole>) -> Result<()> {
        self.progress.check(holes)?;
        match &mut self.scanner {
            None => self.out.write_all(bytes).map_err(Error::Write)?,
            Some(scanner) => {
                let mut rest = bytes;
                for range in ranges {
                    let (piece, after) = rest.split_at(range.len() as usize);
                    scanner.feed(range.start, piece, &mut self.redacted);
                    rest = after;
                }
                self.out.write_all(&self.redacted).map_err(Error::Write)?;
                self.redacted.clear();
            }
        }
        self.progress.advance(bytes.len());
        Ok(())
    }

    /// Writes what is left, and says what was done.
    fn finish(self) -> Result<Outcome> {
        let Sink { progress: Progress { plan, mut outcome, .. }, out, scanner, mut redacted } =
            self;
        if let (Some(mut scanner), Some(redactor)) = (scanner, &plan.redactor) {
            scanner.flush(&mut redacted);
            out.write_all(&redacted).map_err(Error::Write)?;
            for found in scanner.into_found() {
                outcome.audit.add(redactor.entry(&found));
            }
        }
        Ok(outcome)
    }
}

/// Fills a buffer with a batch, changed as the plan says.
fn fill(
    batch: &Batch,
    plan: &MemoryPlan,
    source: &dyn MemorySource,
    buffer: &mut [u8],
) -> Vec<Hole> {
    let mut holes = Vec::new();
    let mut at = 0;
    for run in &batch.runs {
        let bytes = &mut buffer[at..at + run.len()];
        at += bytes.len();
        if run.zero {
            bytes.fill(0);
            continue;
        }
        let first_new = holes.len();
        source.read(&run.ranges, bytes, &mut holes);
        if plan.scan_partial_pages && holes.len() > first_new {
            let bad = holes.split_off(first_new);
            holes.extend(scan_partial(&bad, run, source, bytes));
        }
        if !plan.edits.is_empty() {
            let mut rest = &mut *bytes;
            for range in &run.ranges {
                let (piece, after) = rest.split_at_mut(range.len() as usize);
                plan.edits.apply(range.start, piece);
                rest = after;
            }
        }
    }
    holes
}

/// Looks for readable parts of bad pages, unit by unit; returns the holes that
/// remain.
fn scan_partial(
    bad: &[Hole],
    run: &batch::Run,
    source: &dyn MemorySource,
    bytes: &mut [u8],
) -> Vec<Hole> {
    let mut remaining = Vec::new();
    for hole in bad {
        let mut at = hole.range.start;
        while at < hole.range.end {
            let end = at.saturating_add(PARTIAL_UNIT).min(hole.range.end);
            let unit = AddressRange::new(at, end);
            let mut unread = Vec::new();
            if let Some(offset) = run.offset_of(at) {
                let bytes = &mut bytes[offset..offset + unit.len() as usize];
                source.read(&[unit], bytes, &mut unread);
            }
            for hole in unread {
                hole.add_to(&mut remaining);
            }
            at = end;
        }
    }
    remaining
}
