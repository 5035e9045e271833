//! Writes a laid-out dump, strictly from front to back, to any [`Write`].
//!
//! Memory goes through a fixed number of buffers, so what the writer needs
//! does not grow with the target: other threads read the target while this one
//! writes what was read before.

#![forbid(unsafe_code)]

mod batch;
pub mod kernel;
pub mod soft_errors;

use crate::address::AddressRange;
use crate::error::{Error, Result};
use crate::layout::DumpLayout;
use crate::observer::{Observer, Phase};
use crate::plan::{DumpPlan, HolePolicy, MemoryPlan};
use crate::redact::{Audit, Scanner};
use crate::soft_error::{Hole, HoleReason};
use crate::target::{MemorySource, ProcessSnapshot};
use batch::{BATCH_SIZE, Batch, Batches};
use soft_errors::Holes;
use std::io::Write;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

/// Threads that read the target: reading costs the kernel about twice what
/// writing to its page cache does.
const READERS: usize = 2;
/// Buffers that circulate between a reader and the writer.
const BUFFERS_PER_READER: usize = 3;
/// With less memory than this a second thread costs more than it saves.
const PIPELINE_MIN: u64 = 8 << 20;
/// The unit in which the remains of a bad page are looked for.
const PARTIAL_UNIT: u64 = 512;
/// Holes that are kept one by one; further ones are only counted.
const MAX_HOLES: usize = 10_000;

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
/// [`HolePolicy::Fail`] [`Error::InaccessibleMemory`].
pub fn write_memory(
    layout: &dyn DumpLayout,
    plan: &DumpPlan,
    snapshot: &ProcessSnapshot,
    source: &dyn MemorySource,
    out: &mut dyn Write,
    observer: &dyn Observer,
) -> Result<Outcome> {
    layout.write_head(plan, snapshot, out).map_err(Error::Write)?;
    let plan = &plan.memory;
    let mut sink = Sink {
        plan,
        snapshot,
        out,
        observer,
        done: 0,
        total: plan.len(),
        outcome: Outcome::default(),
        scanner: plan.redactor.as_ref().map(Scanner::new),
        redacted: Vec::new(),
    };
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
    plan: &'a MemoryPlan,
    snapshot: &'a ProcessSnapshot,
    out: &'a mut dyn Write,
    observer: &'a dyn Observer,
    done: u64,
    total: u64,
    outcome: Outcome,
    scanner: Option<Scanner<'a>>,
    /// What the scanner gave out.
    redacted: Vec<u8>,
}

impl Sink<'_> {
    /// Takes the bytes of `ranges`, back to back.
    fn accept(&mut self, bytes: &[u8], ranges: &[AddressRange], holes: Vec<Hole>) -> Result<()> {
        if self.observer.is_cancelled() {
            return Err(Error::Cancelled);
        }
        // Not a hole of the target's but the end of it, whatever the policy.
        if holes.iter().any(|hole| hole.reason == HoleReason::TargetEnded) {
            return Err(Error::ProcessEnded(self.snapshot.process.pid));
        }
        if let (HolePolicy::Fail, Some(hole)) = (self.plan.hole_policy, holes.first()) {
            return Err(self.inaccessible(hole));
        }
        for hole in holes {
            self.record(hole);
        }
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
        self.done += bytes.len() as u64;
        self.observer.progress(Phase::Write, self.done, self.total);
        Ok(())
    }

    /// Writes what is left, and says what was done.
    fn finish(mut self) -> Result<Outcome> {
        if let (Some(mut scanner), Some(redactor)) = (self.scanner, &self.plan.redactor) {
            scanner.flush(&mut self.redacted);
            self.out.write_all(&self.redacted).map_err(Error::Write)?;
            for found in scanner.into_found() {
                self.outcome.audit.add(redactor.entry(&found));
            }
        }
        Ok(self.outcome)
    }

    fn record(&mut self, hole: Hole) {
        let holes = &mut self.outcome.holes;
        let goes_on = holes.last().is_some_and(|last| hole.continues(last));
        if goes_on || holes.len() < MAX_HOLES {
            hole.add_to(holes);
        } else {
            self.outcome.unlisted_hole_bytes += hole.range.len();
        }
    }

    fn inaccessible(&self, hole: &Hole) -> Error {
        let region = self.snapshot.regions.iter().find(|r| r.range.contains(hole.range.start));
        Error::InaccessibleMemory {
            range: hole.range,
            name: region.map(|r| r.name.to_string()).unwrap_or_default(),
            reason: hole.reason,
        }
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
