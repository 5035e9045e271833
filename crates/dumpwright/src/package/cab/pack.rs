//! Compressing files on several threads into one stream of data blocks.
//!
//! Each worker claims the next chunk, reads and compresses it on its own, and
//! waits for its turn to append it, so the order is that of the files and no
//! more than one chunk a worker is in memory.

use super::mszip::{BLOCK, Compressor};
use super::{CabEntry, Need};
use crate::error::{Error, Result};
use crate::observer::{Observer, Phase};
use crate::soft_error::SoftError;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Bytes that a worker takes at once: whole blocks, so that threads meet rarely
/// and a cancelled dump ends soon.
const CHUNK: usize = 32 * BLOCK;

/// More workers only add memory; a disk seldom takes what eight of them give.
const MAX_WORKERS: usize = 8;

/// A folder as it was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct PackedFolder {
    /// Where its first data block is.
    pub(super) start: u32,
    /// Data blocks.
    pub(super) blocks: u16,
}

/// What became of the files.
#[derive(Debug)]
pub(super) struct Packed {
    /// One for each entry; `None` for one that was left out.
    pub(super) folders: Vec<Option<PackedFolder>>,
    /// Where the last data block ends.
    pub(super) end: u32,
    /// Why entries were left out.
    pub(super) notes: Vec<SoftError>,
}

/// What is to be packed.
pub(super) struct Job<'a> {
    /// The files, in order.
    pub(super) entries: &'a [CabEntry],
    /// Where the first data block goes, behind the tables.
    pub(super) start: u64,
    /// Optional files may not reach past this offset.
    pub(super) optional_end: u64,
    /// The cabinet's name, for messages.
    pub(super) destination: &'a Path,
    /// Watches.
    pub(super) observer: &'a dyn Observer,
}

impl Job<'_> {
    fn write_failed(&self, source: io::Error) -> Error {
        Error::Io { action: "write", file: self.destination.to_owned(), source }
    }
}

/// Writes the data blocks of a job to `out`.
pub(super) fn pack(job: &Job, out: &mut File) -> Result<Packed> {
    out.seek(SeekFrom::Start(job.start)).map_err(|e| job.write_failed(e))?;
    let shared = Shared {
        job,
        claims: Mutex::new(Claims { entries: job.entries, next: 0, index: 0, offset: 0 }),
        output: Mutex::new(Output::new(job, out)),
        turn: Condvar::new(),
    };
    let chunks: u64 = job.entries.iter().map(|e| e.size.div_ceil(CHUNK as u64)).sum();
    let workers = thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS);
    thread::scope(|scope| {
        for _ in 0..workers.min(chunks as usize) {
            scope.spawn(|| shared.work());
        }
    });
    shared.output.into_inner().unwrap_or_else(PoisonError::into_inner).finish()
}

/// A part of a file, and its place in the order of all of them.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    number: u64,
    entry: usize,
    offset: u64,
    length: usize,
}

/// What has not been taken by a worker.
struct Claims<'a> {
    entries: &'a [CabEntry],
    next: u64,
    index: usize,
    offset: u64,
}

impl Iterator for Claims<'_> {
    type Item = Chunk;

    fn next(&mut self) -> Option<Chunk> {
        while self.offset >= self.entries.get(self.index)?.size {
            self.index += 1;
            self.offset = 0;
        }
        let length = (self.entries[self.index].size - self.offset).min(CHUNK as u64);
        let chunk = Chunk {
            number: self.next,
            entry: self.index,
            offset: self.offset,
            length: length as usize,
        };
        self.next += 1;
        self.offset += length;
        Some(chunk)
    }
}

struct Shared<'a> {
    job: &'a Job<'a>,
    claims: Mutex<Claims<'a>>,
    output: Mutex<Output<'a>>,
    turn: Condvar,
}

impl Shared<'_> {
    fn work(&self) {
        let _guard = StopOnPanic(self);
        let mut compressor = Compressor::new();
        let (mut input, mut packed) = (Vec::new(), Vec::new());
        loop {
            let Some(chunk) = lock(&self.claims).next() else { return };
            packed.clear();
            let blocks = self.compress(chunk, &mut compressor, &mut input, &mut packed);
            let mut output = lock(&self.output);
            while output.turn != chunk.number && output.stopped.is_none() {
                output = self.turn.wait(output).unwrap_or_else(PoisonError::into_inner);
            }
            if output.stopped.is_some() {
                return;
            }
            output.append(chunk, blocks, &packed);
            if self.job.observer.is_cancelled() {
                output.stopped.get_or_insert(Error::Cancelled);
            }
            drop(output);
            self.turn.notify_all();
        }
    }

    /// Reads and compresses a chunk into `packed`; the number of blocks.
    fn compress(
        &self,
        chunk: Chunk,
        compressor: &mut Compressor,
        input: &mut Vec<u8>,
        packed: &mut Vec<u8>,
    ) -> io::Result<u16> {
        let history = chunk.offset.min(BLOCK as u64);
        input.resize(history as usize + chunk.length, 0);
        read_exact_at(&self.job.entries[chunk.entry].source, input, chunk.offset - history)?;
        let (history, data) = input.split_at(history as usize);
        Ok(compressor.pack(history, data, packed))
    }
}

/// Wakes the other workers when one panics: its turn would never pass.
struct StopOnPanic<'a, 'b>(&'a Shared<'b>);

impl Drop for StopOnPanic<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            lock(&self.0.output).stopped.get_or_insert(Error::Cancelled);
            self.0.turn.notify_all();
        }
    }
}

/// The cabinet's data and what is known of it so far.
struct Output<'a> {
    job: &'a Job<'a>,
    file: &'a mut File,
    /// Number of the chunk that comes next.
    turn: u64,
    /// Where it goes.
    position: u64,
    /// Bytes dealt with, before compression.
    done: u64,
    total: u64,
    folders: Vec<Option<PackedFolder>>,
    notes: Vec<SoftError>,
    stopped: Option<Error>,
}

impl<'a> Output<'a> {
    fn new(job: &'a Job<'a>, file: &'a mut File) -> Self {
        // Where a file without contents stays, as a folder without blocks.
        let empty = PackedFolder { start: offset(job.start), blocks: 0 };
        Output {
            job,
            file,
            turn: 0,
            position: job.start,
            done: 0,
            total: job.entries.iter().map(|e| e.size).sum(),
            folders: vec![Some(empty); job.entries.len()],
            notes: Vec::new(),
            stopped: None,
        }
    }

    /// Appends what was made of a chunk. It is this chunk's turn.
    fn append(&mut self, chunk: Chunk, blocks: io::Result<u16>, packed: &[u8]) {
        self.turn += 1;
        self.done += chunk.length as u64;
        if chunk.offset == 0 {
            self.folders[chunk.entry] =
                Some(PackedFolder { start: offset(self.position), blocks: 0 });
        }
        // A file that was left out leaves out its other chunks too.
        if self.folders[chunk.entry].is_some() {
            let done = match blocks {
                Ok(blocks) => self.write(chunk, blocks, packed),
                Err(e) => self.source_failed(chunk.entry, e),
            };
            if let Err(e) = done {
                self.stopped = Some(e);
                return;
            }
        }
        self.job.observer.progress(Phase::Package, self.done, self.total);
    }

    fn write(&mut self, chunk: Chunk, blocks: u16, packed: &[u8]) -> Result<()> {
        let end = self.position + packed.len() as u64;
        if self.job.entries[chunk.entry].need == Need::Optional && end > self.job.optional_end {
            return self.leave_out(
                chunk.entry,
                format!(
                    "left out of the CAB, which would pass the {} bytes that it may have",
                    self.job.optional_end
                ),
            );
        }
        self.file.write_all(packed).map_err(|e| self.job.write_failed(e))?;
        self.position = end;
        if let Some(folder) = &mut self.folders[chunk.entry] {
            folder.blocks += blocks;
        }
        Ok(())
    }

    fn source_failed(&mut self, entry: usize, source: io::Error) -> Result<()> {
        let CabEntry { name, need, .. } = &self.job.entries[entry];
        match need {
            Need::Required => Err(Error::Io { action: "read", file: name.into(), source }),
            Need::Optional => {
                self.leave_out(entry, format!("left out of the CAB: it cannot be read: {source}"))
            }
        }
    }

    /// Takes back what was written of a file.
    fn leave_out(&mut self, entry: usize, why: String) -> Result<()> {
        if let Some(folder) = self.folders[entry].take() {
            self.position = u64::from(folder.start);
            self.file.seek(SeekFrom::Start(self.position)).map_err(|e| self.job.write_failed(e))?;
        }
        self.notes.push(SoftError::new(self.job.entries[entry].name.clone(), why));
        Ok(())
    }

    fn finish(self) -> Result<Packed> {
        if let Some(e) = self.stopped {
            return Err(e);
        }
        // Cuts off what was left of a file that was left out at the end.
        self.file.set_len(self.position).map_err(|e| self.job.write_failed(e))?;
        Ok(Packed { folders: self.folders, end: offset(self.position), notes: self.notes })
    }
}

/// An offset in the cabinet as its tables hold it.
fn offset(position: u64) -> u32 {
    u32::try_from(position).expect("cab_check bounded the whole cabinet")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A worker that panicked has stopped the others; what it left is not used.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_exact_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < buf.len() {
        #[cfg(unix)]
        let read =
            std::os::unix::fs::FileExt::read_at(file, &mut buf[done..], offset + done as u64);
        #[cfg(windows)]
        let read =
            std::os::windows::fs::FileExt::seek_read(file, &mut buf[done..], offset + done as u64);
        match read {
            Ok(0) => {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "it has become shorter meanwhile",
                ));
            }
            Ok(read) => done += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
