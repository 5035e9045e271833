//! Several threads copy the target's memory into a file, each a batch at a time
//! to where it belongs: what a thread reads is still in its processor's cache
//! when it writes it.

use super::batch::{BATCH_SIZE, Batches};
use super::fill;
use super::progress::Progress;
use crate::error::{Error, Result};
use crate::soft_error::Hole;
use crate::target::MemorySource;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// One copies while the other waits for the file system's lock on the file; more
/// than a few only wait.
const THREADS: std::ops::RangeInclusive<usize> = 2..=4;

/// Copies the memory of the plan to `file` at `offset`.
pub(super) fn write(
    source: &dyn MemorySource,
    file: &File,
    offset: u64,
    progress: &mut Progress<'_>,
) -> Result<()> {
    let plan = progress.plan;
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let queue = Mutex::new(Queue { batches: Batches::new(plan), index: 0, offset, stop: false });
    let order = Mutex::new(Order { progress, next: 0, early: BTreeMap::new(), failed: None });
    let work = || {
        let mut buffer = vec![0; BATCH_SIZE];
        loop {
            let mut waiting = lock(&queue);
            let Some((index, offset, batch)) = waiting.next() else { break };
            drop(waiting);
            let bytes = &mut buffer[..batch.len()];
            let holes = fill(&batch, plan, source, bytes);
            let written = write_at(file, bytes, offset);
            if !lock(&order).take(index, Done { len: bytes.len(), holes, written }) {
                lock(&queue).stop = true;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..processors.clamp(*THREADS.start(), *THREADS.end()) {
            scope.spawn(work);
        }
        work();
    });
    let order = order.into_inner().unwrap_or_else(PoisonError::into_inner);
    order.failed.map_or(Ok(()), Err)
}

/// The batches that nobody has taken yet.
struct Queue<'a> {
    batches: Batches<'a>,
    index: u64,
    offset: u64,
    stop: bool,
}

impl Iterator for Queue<'_> {
    /// Its number, where in the file it goes, and the batch.
    type Item = (u64, u64, super::batch::Batch);

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.next().filter(|_| !self.stop)?;
        let at = (self.index, self.offset);
        self.index += 1;
        self.offset += batch.len() as u64;
        Some((at.0, at.1, batch))
    }
}

/// A batch that was copied.
struct Done {
    len: usize,
    holes: Vec<Hole>,
    written: io::Result<()>,
}

/// Puts what happened to the batches into their order, so that the first failure
/// and the list of holes do not depend on which thread was faster.
struct Order<'a, 'b> {
    progress: &'a mut Progress<'b>,
    next: u64,
    /// Batches that were done before one in front of them.
    early: BTreeMap<u64, Done>,
    failed: Option<Error>,
}

impl Order<'_, '_> {
    /// Takes a batch; `false` if there is no need for more.
    fn take(&mut self, index: u64, done: Done) -> bool {
        self.early.insert(index, done);
        while let Some(Done { len, holes, written }) = self.early.remove(&self.next) {
            self.next += 1;
            if self.failed.is_some() {
                continue;
            }
            match self.progress.check(holes).and_then(|()| written.map_err(Error::Write)) {
                Ok(()) => self.progress.advance(len),
                Err(error) => self.failed = Some(error),
            }
        }
        self.failed.is_none()
    }
}

/// A thread that panicked takes the dump with it when it is joined.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
fn write_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_write(file, bytes, offset)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => (bytes, offset) = (&bytes[n..], offset + n as u64),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::address::AddressRange;
    use crate::error::{Error, Result};
    use crate::layout::{DumpLayout, Layout};
    use crate::observer::{Observer, Phase};
    use crate::plan::plan;
    use crate::request::DumpRequest;
    use crate::synthetic::{SyntheticMemory, change_regions, region, snapshot};
    use crate::write::{Outcome, Target, finish, write_memory};
    use dumpwright_format::{FormatFlags, Qualifier};
    use std::io::{Read, Seek};
    use std::sync::Mutex;

    const BIG: AddressRange =
        AddressRange { start: 0x10_0000_0000, end: 0x10_0000_0000 + (12 << 20) };

    /// Dumps [`BIG`] both ways: to a stream and to a file.
    fn both(
        memory: &SyntheticMemory,
        flags: FormatFlags,
        observer: &dyn Observer,
    ) -> [Result<(Outcome, Vec<u8>)>; 2] {
        let mut snapshot = snapshot();
        change_regions(&mut snapshot, |regions| regions.insert(4, region(BIG.start, BIG.end)));
        let request = DumpRequest::new("x.dmp", Qualifier::Small)
            .flags(flags | FormatFlags::USER_SMALL_PRIVATE_READ_WRITE_MEMORY);
        let plan = plan(&snapshot, memory, &request).unwrap();
        let layout = Layout::new(&plan, 0).unwrap();
        let write = |target: &mut Target<'_>| {
            let outcome = write_memory(&layout, &plan, &snapshot, memory, target, observer)?;
            finish(&layout, &plan, &outcome, target.out())?;
            Ok(outcome)
        };
        let mut streamed = Vec::new();
        let first = write(&mut Target::Stream(&mut streamed)).map(|o| (o, streamed));
        let mut file = tempfile::tempfile().unwrap();
        let second = write(&mut Target::File(&mut file)).map(|outcome| {
            let mut bytes = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes.len() as u64, layout.file_size());
            (outcome, bytes)
        });
        [first, second]
    }

    #[derive(Default)]
    struct Watch {
        seen: Mutex<Vec<u64>>,
        cancel_at: Option<u64>,
    }

    impl Observer for Watch {
        fn progress(&self, _: Phase, done: u64, total: u64) {
            assert!(done <= total);
            self.seen.lock().unwrap().push(done);
        }

        fn is_cancelled(&self) -> bool {
            let seen = self.seen.lock().unwrap();
            self.cancel_at.is_some_and(|at| seen.last().is_some_and(|done| *done >= at))
        }
    }

    #[test]
    fn several_threads_write_what_one_would_and_report_the_same_holes() {
        let mut memory = SyntheticMemory::default();
        for at in [0, 0x7_f000, 0x8_0000, 0x30_0000, 0xbf_f000] {
            memory.unreadable.insert(AddressRange::with_len(BIG.start + at, 0x1000));
        }
        let watch = Watch::default();
        let [streamed, in_place] = both(&memory, FormatFlags::empty(), &watch).map(Result::unwrap);
        assert!(streamed.1 == in_place.1, "the files differ");
        assert_eq!(streamed.0.holes, in_place.0.holes);
        assert_eq!(streamed.0.holes.len(), 4, "{:?}", streamed.0.holes);
        let seen = watch.seen.into_inner().unwrap();
        let (first, second) = seen.split_at(seen.len() / 2);
        assert_eq!(first, second, "progress comes in order");
        assert!(first.is_sorted());
    }

    #[test]
    fn the_first_bad_range_fails_the_dump_whichever_thread_finds_it() {
        let mut memory = SyntheticMemory::default();
        let first = AddressRange::with_len(BIG.start + 0x10_0000, 0x1000);
        memory.unreadable =
            (0..20).map(|i| AddressRange::with_len(first.start + i * 0x8_0000, 0x1000)).collect();
        for result in both(&memory, FormatFlags::DUMP_MA, &()) {
            let error = result.unwrap_err();
            assert!(
                matches!(error, Error::InaccessibleMemory { range, .. } if range == first),
                "{error:?}"
            );
        }
    }

    #[test]
    fn cancelling_stops_all_threads() {
        let watch = Watch { cancel_at: Some(1 << 20), ..Watch::default() };
        for result in both(&SyntheticMemory::default(), FormatFlags::empty(), &watch) {
            assert!(matches!(result, Err(Error::Cancelled)));
            assert!(watch.seen.lock().unwrap().len() < 10);
            watch.seen.lock().unwrap().clear();
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_that_takes_no_more_is_an_error() {
        let mut snapshot = snapshot();
        change_regions(&mut snapshot, |regions| regions.insert(4, region(BIG.start, BIG.end)));
        let memory = SyntheticMemory::default();
        let request = DumpRequest::new("x.dmp", Qualifier::Small).flags(FormatFlags::DUMP_MA);
        let plan = plan(&snapshot, &memory, &request).unwrap();
        let layout = Layout::new(&plan, 0).unwrap();
        let mut full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error =
            write_memory(&layout, &plan, &snapshot, &memory, &mut Target::File(&mut full), &());
        assert!(matches!(error, Err(Error::Write(_))), "{error:?}");
    }
}
