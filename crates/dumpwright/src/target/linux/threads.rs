//! What `/proc` and the mappings tell of each thread.

use super::arch::NATIVE;
use super::clock::BootClock;
use super::elf::Image;
use super::maps::Maps;
use super::proc_dir::ProcDir;
use super::stat::Stat;
use super::thread_start::ThreadStarts;
use crate::address::AddressRange;
use crate::soft_error::SoftError;
use crate::target::{Architecture, MemorySource, ThreadSnapshot, ThreadTimes, Tid, Wants};

/// Room for `struct pthread` of glibc, with the rseq area in it (0x900 bytes
/// and a bit in 2.36 on x86-64) and for what other libraries keep there.
const THREAD_DESCRIPTOR: u64 = 0xa00;
/// glibc's surplus of static TLS for libraries loaded later
/// (`glibc.rtld.optional_static_tls` and what it reserves itself).
const TLS_SURPLUS: u64 = 2048;
/// The least that is taken for static TLS.
const MIN_STATIC_TLS: u64 = 4096;

/// Fills in threads.
pub(super) struct ThreadDescriber<'a> {
    /// The process.
    pub proc: &'a ProcDir,
    /// Its mappings.
    pub maps: &'a Maps,
    /// Conversion of ticks.
    pub clock: BootClock,
    /// Start address of the main thread.
    pub entry: Option<u64>,
    /// Where the others keep theirs.
    pub starts: Option<ThreadStarts>,
    /// The memory of the process.
    pub memory: &'a dyn MemorySource,
    /// Bytes that static TLS takes at most, see [`static_tls_size`].
    pub static_tls: u64,
    /// What is asked for.
    pub wants: &'a Wants,
}

impl ThreadDescriber<'_> {
    /// Fills in name, priority, times and local storage of a thread that has
    /// registers and thread pointer already.
    pub fn describe(&self, thread: &mut ThreadSnapshot, notes: &mut Vec<SoftError>) {
        let tid = thread.tid;
        let stat = Stat::of_thread(self.proc.pid, tid);
        match &stat {
            Some(stat) => {
                thread.name = stat.name();
                thread.priority = stat.priority();
            }
            None => note(notes, tid, "has no name, priority and times that could be read"),
        }
        if self.wants.thread_info {
            thread.info = stat.map(|stat| self.times(thread, &stat, notes));
        }
        if self.wants.process_data {
            thread.local_storage.extend(local_storage(
                NATIVE,
                self.maps,
                self.static_tls,
                thread.thread_pointer,
            ));
        }
    }

    fn times(
        &self,
        thread: &ThreadSnapshot,
        stat: &Stat,
        notes: &mut Vec<SoftError>,
    ) -> ThreadTimes {
        let tid = thread.tid;
        let affinity = affinity(tid).unwrap_or_else(|error| {
            note(notes, tid, &format!("has no affinity that could be read: {error}"));
            0
        });
        let is_main = tid.0 == self.proc.pid.0;
        let find = |starts: ThreadStarts| starts.of(thread.thread_pointer, self.maps, self.memory);
        ThreadTimes {
            create_time: self.clock.time_at(stat.start_ticks()),
            kernel_time: self.clock.duration(stat.kernel_ticks()),
            user_time: self.clock.duration(stat.user_ticks()),
            start_address: if is_main { self.entry } else { self.starts.and_then(find) },
            affinity,
        }
    }
}

/// Thread control block, static TLS (of at most `static_tls` bytes) and rseq
/// area around a thread pointer, as far as they lie in one mapping.
///
/// The sizes are upper bounds: x86-64 (variant II) has the TLS blocks below
/// the thread pointer and the descriptor above, arm64 (variant I) the other
/// way round.
pub(in crate::target) fn local_storage(
    architecture: Architecture,
    maps: &Maps,
    static_tls: u64,
    thread_pointer: u64,
) -> Option<AddressRange> {
    let mapping = maps.at(thread_pointer)?;
    let (below, above) = match architecture {
        Architecture::Arm64 => (THREAD_DESCRIPTOR, static_tls),
        Architecture::Amd64 | Architecture::X86 => (static_tls, THREAD_DESCRIPTOR),
    };
    let range = AddressRange::new(
        thread_pointer.saturating_sub(below),
        thread_pointer.saturating_add(above),
    );
    Some(range.intersection(mapping.range)).filter(|r| !r.is_empty())
}

/// An upper bound for the static TLS of a thread: the TLS segments of all
/// images, although those of libraries loaded later lie elsewhere, and the
/// surplus that the dynamic linker keeps.
pub(in crate::target) fn static_tls_size<'i>(images: impl Iterator<Item = &'i Image>) -> u64 {
    /// No module's TLS that is larger fits a thread's stack.
    const MOST: u64 = 64 << 20;
    let blocks = images.filter_map(|image| image.tls).fold(0u64, |sum, (size, align)| {
        let align = align.clamp(1, 1 << 16);
        sum.saturating_add(size.min(MOST).next_multiple_of(align).saturating_add(align))
    });
    blocks.saturating_add(TLS_SURPLUS).clamp(MIN_STATIC_TLS, MOST)
}

/// The first 64 processors that a thread may run on.
fn affinity(tid: Tid) -> std::io::Result<u64> {
    let set = rustix::thread::sched_getaffinity(rustix::thread::Pid::from_raw(tid.0 as i32))?;
    Ok((0..64).filter(|cpu| set.is_set(*cpu)).fold(0, |mask, cpu| mask | 1 << cpu))
}

fn note(notes: &mut Vec<SoftError>, tid: Tid, message: &str) {
    notes.push(SoftError::new(format!("thread {tid}"), message));
}
