//! Writes a laid-out kernel dump, strictly from front to back.
//!
//! Pages that are in memory already are written from where they are, while
//! another thread touches those that come next, so that the writer does not wait
//! for the disk. Others go through a fixed number of buffers.

use super::Target;
use crate::error::{Error, Result};
use crate::layout::kernel::{KernelLayout, blob_header};
use crate::observer::{Observer, Phase};
use crate::plan::kernel::{BlobPart, Edits, KernelPlan};
use crate::soft_error::{HoleReason, SoftError};
use crate::target::machine::{PAGE_SIZE, PageHole, PageRun, Pfn, PhysicalMemory};
use serde_json::json;
use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

/// Pages that are read or touched at once.
const BATCH: u64 = (4 << 20) / PAGE_SIZE;
/// Threads that read or touch.
const READERS: usize = 2;
/// Buffers that circulate between a reader and the writer.
const BUFFERS_PER_READER: usize = 2;
/// Pages of zeros that are worth being left out.
const MIN_ZERO: u64 = 64;
/// Holes that are kept one by one; further ones are only counted.
const MAX_HOLES: usize = 10_000;

/// What was written.
#[derive(Clone, Debug, Default)]
pub struct KernelOutcome {
    /// Pages that turned out to be unreadable and are zero in the dump.
    pub holes: Vec<PageHole>,
    /// Pages of further holes, beyond those that are listed.
    pub unlisted_pages: u64,
    /// What else went wrong meanwhile.
    pub soft_errors: Vec<SoftError>,
}

impl KernelOutcome {
    /// Records holes; fails if the target ended.
    fn take(&mut self, holes: impl IntoIterator<Item = PageHole>) -> Result<()> {
        for hole in holes {
            // Not a hole of the target's but the end of it.
            if hole.reason == HoleReason::TargetEnded {
                return Err(Error::InvalidRequest(
                    "the machine ended while its memory was read; nothing was written".into(),
                ));
            }
            self.record(hole);
        }
        Ok(())
    }

    fn record(&mut self, hole: PageHole) {
        let holes = &mut self.holes;
        let is_room = holes.len() < MAX_HOLES;
        match holes.last_mut() {
            Some(last) if last.run.end() == hole.run.base && last.reason == hole.reason => {
                last.run.count += hole.run.count;
            }
            _ if is_room => holes.push(hole),
            _ => self.unlisted_pages += hole.run.count,
        }
    }
}

/// Writes the dump up to the end of its pages, with as little copying as source
/// and target allow. The machine is not needed after this; [`finish`] writes the
/// rest.
///
/// # Errors
/// [`Error::Write`], [`Error::Cancelled`], and [`Error::InvalidRequest`] if the
/// target ended.
pub fn write_to(
    layout: &KernelLayout,
    edits: &Edits,
    memory: &dyn PhysicalMemory,
    target: &mut Target<'_>,
    observer: &dyn Observer,
) -> Result<KernelOutcome> {
    let by_system = layout
        .pages()
        .iter()
        .all(|run| memory.mapped(*run).is_none() && memory.in_file(*run).is_some());
    target.out().write_all(layout.head()).map_err(Error::Write)?;
    let parts = parts(layout.pages(), edits, memory);
    match target {
        Target::File(_) if by_system => copy_by_system(&parts, edits, memory, target, observer),
        _ => write_pages(&parts, edits, memory, target, observer),
    }
}

/// Consecutive pages that are all written, or all known to be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    run: PageRun,
    zero: bool,
}

/// Pages cut where memory that is known to be zero begins and ends.
fn parts(pages: &[PageRun], edits: &Edits, memory: &dyn PhysicalMemory) -> Vec<Part> {
    let mut parts = Vec::new();
    for run in pages {
        let mut at = run.base;
        let mut add = |end: Pfn, zero: bool| {
            let part = PageRun { base: at, count: end.0.saturating_sub(at.0) };
            // Little is saved by leaving out little.
            if part.count > 0 && (!zero || (part.count >= MIN_ZERO && !edits.touch(part))) {
                parts.push(Part { run: part, zero });
                at = end;
            }
        };
        for content in memory.contents(*run) {
            add(content.base, true);
            add(content.end(), false);
        }
        add(run.end(), true);
        add(run.end(), false);
    }
    parts
}

/// Has the system copy from file to file: nothing passes through this process
/// but what is edited.
fn copy_by_system(
    parts: &[Part],
    edits: &Edits,
    memory: &dyn PhysicalMemory,
    target: &mut Target<'_>,
    observer: &dyn Observer,
) -> Result<KernelOutcome> {
    let total = total(parts);
    let mut done = 0;
    let mut outcome = KernelOutcome::default();
    for batch in Batches::new(parts) {
        let runs = match batch {
            Batch::Pages(runs) => runs,
            Batch::Zero(pages) => {
                target.zeros(pages * PAGE_SIZE).map_err(Error::Write)?;
                done += pages * PAGE_SIZE;
                continue;
            }
        };
        let Target::File(out) = &mut *target else { continue };
        for run in runs {
            if observer.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let Some((mut file, offset)) = memory.in_file(run) else { continue };
            let len = run.count * PAGE_SIZE;
            let start = out.stream_position().map_err(Error::Write)?;
            let mut copy = || {
                file.seek(SeekFrom::Start(offset))?;
                io::copy(&mut file.take(len), *out)
            };
            if edits.touch(run) || copy().ok() != Some(len) {
                // Page by page, so that what can be read is.
                out.seek(SeekFrom::Start(start)).map_err(Error::Write)?;
                let mut buffer = vec![0; len as usize];
                let (_, holes) = fill(&[run], edits, memory, &mut buffer);
                outcome.take(holes)?;
                out.write_all(&buffer).map_err(Error::Write)?;
            }
            done += len;
            observer.progress(Phase::Write, done, total);
        }
    }
    Ok(outcome)
}

/// Bytes of all parts.
fn total(parts: &[Part]) -> u64 {
    parts.iter().map(|part| part.run.count * PAGE_SIZE).sum()
}

/// Writes pages from where they are in memory, or through buffers.
fn write_pages(
    parts: &[Part],
    edits: &Edits,
    memory: &dyn PhysicalMemory,
    out: &mut Target<'_>,
    observer: &dyn Observer,
) -> Result<KernelOutcome> {
    let total = total(parts);
    let mut sink = Sink { out, observer, done: 0, total, outcome: KernelOutcome::default() };
    thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|first| {
                let (filled, full) = mpsc::sync_channel::<Filled<'_>>(1);
                let (give_back, empty) = mpsc::channel::<Vec<u8>>();
                scope.spawn(move || {
                    let batches = Batches::new(parts).skip(first).step_by(READERS);
                    read_batches(batches, edits, memory, &empty, &filled);
                });
                (full, give_back)
            })
            .collect();
        // The readers take turns; each is done when its channel closes.
        for (full, give_back) in readers.iter().cycle() {
            let Ok(filled) = full.recv() else { break };
            sink.accept(&filled)?;
            if let Bytes::Buffer(buffer, _) = filled.bytes {
                // Fails when the reader has read its last batch.
                let _ = give_back.send(buffer);
            }
        }
        Ok(sink.outcome)
    })
}

/// Writes what follows the pages: secondary data.
///
/// # Errors
/// [`Error::Write`]; [`Error::InvalidRequest`] if a file that is attached became
/// shorter.
pub fn finish(
    layout: &KernelLayout,
    plan: &KernelPlan,
    outcome: &KernelOutcome,
    out: &mut dyn Write,
) -> Result<()> {
    use zerocopy::IntoBytes;
    let mut put = |bytes: &[u8]| out.write_all(bytes).map_err(Error::Write);
    if !plan.blobs.is_empty() {
        put(layout.blob_file_header().as_bytes())?;
    }
    for blob in &plan.blobs {
        put(blob_header(blob).as_bytes())?;
        for part in &blob.data {
            match part {
                BlobPart::Bytes(bytes) => put(bytes)?,
                BlobPart::SoftErrors(room) => {
                    let unlisted = outcome.unlisted_pages;
                    let errors = [&plan.soft_errors[..], &outcome.soft_errors].concat();
                    put(&report(&errors, &outcome.holes, unlisted, *room))?;
                }
                BlobPart::File(file, len) => copy_file(file, *len, &mut put)?,
            }
        }
        put(&vec![0; blob.padding() as usize])?;
    }
    out.flush().map_err(Error::Write)
}

/// Copies exactly so many bytes: the size is in the file already.
fn copy_file(file: &File, len: u64, put: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    use crate::read::Source;
    let mut buffer = vec![0; len.min(1 << 20) as usize];
    let mut at = 0;
    while at < len {
        let take = (len - at).min(buffer.len() as u64) as usize;
        file.read_at(at, &mut buffer[..take]).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => Error::InvalidRequest(
                "a file that is attached became shorter while the dump was written; try again when it stays as it is".into(),
            ),
            _ => Error::Write(e),
        })?;
        put(&buffer[..take])?;
        at += take as u64;
    }
    Ok(())
}

/// What went wrong, as JSON of exactly `room` bytes (`u64::MAX`: as long as it
/// is): as much of it as fits, and how much was left out.
pub fn report(
    soft_errors: &[SoftError],
    holes: &[PageHole],
    unlisted_pages: u64,
    room: u64,
) -> Vec<u8> {
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    let mut listed = (soft_errors.len(), holes.len());
    loop {
        let hole = |hole: &PageHole| {
            json!({
                "first_page": format!("{:#x}", hole.run.base.0),
                "pages": hole.run.count,
                "reason": hole.reason.to_string(),
            })
        };
        let left_out = holes[listed.1..].iter().map(|h| h.run.count).sum::<u64>();
        let value = json!({
            "soft_errors": &soft_errors[..listed.0],
            "soft_errors_not_listed": soft_errors.len() - listed.0,
            "holes": holes[..listed.1].iter().map(hole).collect::<Vec<_>>(),
            "pages_not_listed": unlisted_pages + left_out,
        });
        let mut bytes = value.to_string().into_bytes();
        if bytes.len() <= room || listed == (0, 0) {
            let len = if room == usize::MAX { bytes.len() } else { room };
            bytes.resize(len, b' ');
            return bytes;
        }
        // Halving ends soon, and the list is for people.
        if listed.1 > 0 {
            listed.1 /= 2;
        } else {
            listed.0 /= 2;
        }
    }
}

/// What is read or left out at once.
enum Batch {
    /// Runs of together at most [`BATCH`] pages.
    Pages(Vec<PageRun>),
    /// So many pages of zeros.
    Zero(u64),
}

/// The parts of a dump in batches.
struct Batches<'a> {
    parts: std::slice::Iter<'a, Part>,
    rest: Option<Part>,
}

impl<'a> Batches<'a> {
    fn new(parts: &'a [Part]) -> Self {
        let mut parts = parts.iter();
        let rest = parts.next().copied();
        Batches { parts, rest }
    }
}

impl Iterator for Batches<'_> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let mut batch = Vec::new();
        let mut room = BATCH;
        while let Some(Part { run, zero }) = self.rest.filter(|_| room > 0) {
            if zero && batch.is_empty() {
                self.rest = self.parts.next().copied();
                return Some(Batch::Zero(run.count));
            } else if zero {
                break;
            }
            let take = run.count.min(room);
            batch.push(PageRun { base: run.base, count: take });
            room -= take;
            self.rest = if take < run.count {
                let run = PageRun { base: Pfn(run.base.0 + take), count: run.count - take };
                Some(Part { run, zero })
            } else {
                self.parts.next().copied()
            };
        }
        (!batch.is_empty()).then_some(Batch::Pages(batch))
    }
}

/// A batch that can be written.
struct Filled<'a> {
    bytes: Bytes<'a>,
    holes: Vec<PageHole>,
}

enum Bytes<'a> {
    /// Where they are in memory.
    Mapped(&'a [u8]),
    /// A buffer, and how much of it counts.
    Buffer(Vec<u8>, usize),
    /// So many zeros, that nobody reads.
    Zero(u64),
}

/// The life of a reading thread: it is done when it has read all its batches, or
/// when the writer has given up.
fn read_batches<'a>(
    batches: impl Iterator<Item = Batch>,
    edits: &Edits,
    memory: &'a dyn PhysicalMemory,
    empty: &Receiver<Vec<u8>>,
    filled: &SyncSender<Filled<'a>>,
) {
    let mut own = BUFFERS_PER_READER;
    for batch in batches {
        let batch = match batch {
            Batch::Pages(batch) => batch,
            Batch::Zero(pages) => {
                let bytes = Bytes::Zero(pages * PAGE_SIZE);
                if filled.send(Filled { bytes, holes: Vec::new() }).is_err() {
                    return;
                }
                continue;
            }
        };
        let ready = if let Some(bytes) = mapped(&batch, edits, memory) {
            touch(bytes);
            Filled { bytes: Bytes::Mapped(bytes), holes: Vec::new() }
        } else {
            let mut buffer = if own > 0 {
                own -= 1;
                vec![0; (BATCH * PAGE_SIZE) as usize]
            } else {
                let Ok(buffer) = empty.recv() else { return };
                buffer
            };
            let (len, holes) = fill(&batch, edits, memory, &mut buffer);
            Filled { bytes: Bytes::Buffer(buffer, len), holes }
        };
        if filled.send(ready).is_err() {
            return;
        }
    }
}

/// A batch that is in memory in one piece and stays as it is.
fn mapped<'a>(
    batch: &[PageRun],
    edits: &Edits,
    memory: &'a dyn PhysicalMemory,
) -> Option<&'a [u8]> {
    let [run] = batch else { return None };
    if edits.touch(*run) {
        return None;
    }
    let bytes = memory.mapped(*run)?;
    (bytes.len() as u64 == run.count * PAGE_SIZE).then_some(bytes)
}

/// Has pages of a mapping brought in before the writer needs them.
fn touch(bytes: &[u8]) {
    let sum = bytes.iter().step_by(PAGE_SIZE as usize).fold(0_u8, |sum, byte| sum ^ byte);
    black_box(sum);
}

fn fill(
    batch: &[PageRun],
    edits: &Edits,
    memory: &dyn PhysicalMemory,
    buffer: &mut [u8],
) -> (usize, Vec<PageHole>) {
    let mut holes = Vec::new();
    let mut at = 0;
    for run in batch {
        let bytes = &mut buffer[at..at + (run.count * PAGE_SIZE) as usize];
        at += bytes.len();
        match memory.mapped(*run) {
            Some(there) if there.len() == bytes.len() => bytes.copy_from_slice(there),
            _ => memory.read_pages(*run, bytes, &mut holes),
        }
        edits.apply(*run, bytes);
    }
    (at, holes)
}

/// Takes batches in order.
struct Sink<'a, 'b> {
    out: &'a mut Target<'b>,
    observer: &'a dyn Observer,
    done: u64,
    total: u64,
    outcome: KernelOutcome,
}

impl Sink<'_, '_> {
    fn accept(&mut self, filled: &Filled<'_>) -> Result<()> {
        if self.observer.is_cancelled() {
            return Err(Error::Cancelled);
        }
        self.outcome.take(filled.holes.iter().copied())?;
        let bytes = match &filled.bytes {
            Bytes::Mapped(bytes) => bytes,
            Bytes::Buffer(buffer, len) => &buffer[..*len],
            Bytes::Zero(len) => {
                self.done += len;
                return self.out.zeros(*len).map_err(Error::Write);
            }
        };
        self.out.out().write_all(bytes).map_err(Error::Write)?;
        self.done += bytes.len() as u64;
        self.observer.progress(Phase::Write, self.done, self.total);
        Ok(())
    }
}

#[cfg(test)]
#[path = "kernel_tests.rs"]
mod tests;
