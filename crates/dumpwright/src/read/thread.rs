//! Threads: the list, their names and their times.

use super::error::ReadResult;
use super::minidump::{Location, Minidump};
use super::wire::StreamBytes;
use dumpwright_format::minidump::{self as wire, StreamType};
use zerocopy::little_endian::U32;

/// An entry of the ThreadList stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Thread id.
    pub thread_id: u32,
    /// How often the thread was suspended.
    pub suspend_count: u32,
    /// Priority class.
    pub priority_class: u32,
    /// Priority.
    pub priority: u32,
    /// Address of the TEB; on Linux the thread pointer.
    pub teb: u64,
    /// First address of the stack that is stored.
    pub stack_start: u64,
    /// Where the stack's bytes are.
    pub stack: Location,
    /// Where the context is; [`Minidump::registers`] decodes it.
    pub context: Location,
}

/// An entry of the ThreadNames stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadName {
    /// Thread id.
    pub thread_id: u32,
    /// File offset of the name.
    pub name_rva: u64,
    /// The name.
    pub name: Option<String>,
}

/// An entry of the ThreadInfoList stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadInfo {
    /// Thread id.
    pub thread_id: u32,
    /// `MINIDUMP_THREAD_INFO_*` flags.
    pub dump_flags: u32,
    /// An HRESULT, if the thread could not be dumped whole.
    pub dump_error: u32,
    /// Exit status; 0x103 while it runs.
    pub exit_status: u32,
    /// Creation, 100 ns units since 1601.
    pub create_time: u64,
    /// Exit, 100 ns units since 1601, or 0.
    pub exit_time: u64,
    /// Time in the kernel, 100 ns units.
    pub kernel_time: u64,
    /// Time in user mode, 100 ns units.
    pub user_time: u64,
    /// Start address.
    pub start_address: u64,
    /// Mask of processors.
    pub affinity: u64,
}

impl Minidump {
    /// The threads, from the ThreadList stream, or the ThreadExList stream of a
    /// dump that has only that.
    pub fn threads(&self) -> ReadResult<Option<Vec<Thread>>> {
        if let Some(bytes) = self.load(StreamType::THREAD_LIST)? {
            return Ok(Some(bytes.counted_list()?.map(thread).collect()));
        }
        let Some(bytes) = self.load(StreamType::THREAD_EX_LIST)? else { return Ok(None) };
        Ok(Some(bytes.counted_list()?.map(|entry: wire::ThreadEx| thread(entry.thread)).collect()))
    }

    /// The names of threads, from the ThreadNames stream.
    pub fn thread_names(&self) -> ReadResult<Option<Vec<ThreadName>>> {
        let Some(bytes) = self.load(StreamType::THREAD_NAMES)? else { return Ok(None) };
        let mut allowance = self.allowance();
        let names = bytes.counted_list()?.map(|entry: wire::ThreadName| {
            let name_rva = entry.rva_of_thread_name.get();
            let name = self.referred_string(name_rva, &mut allowance);
            ThreadName { thread_id: entry.thread_id.get(), name_rva, name }
        });
        Ok(Some(names.collect()))
    }

    /// Times, start addresses and more, from the ThreadInfoList stream.
    pub fn thread_info(&self) -> ReadResult<Option<Vec<ThreadInfo>>> {
        let Some(bytes) = self.load(StreamType::THREAD_INFO_LIST)? else { return Ok(None) };
        let head = ListHead::of(&bytes)?;
        let infos =
            bytes.list(head.header, head.count, head.entry)?.map(|entry: wire::ThreadInfo| {
                ThreadInfo {
                    thread_id: entry.thread_id.get(),
                    dump_flags: entry.dump_flags.get(),
                    dump_error: entry.dump_error.get(),
                    exit_status: entry.exit_status.get(),
                    create_time: entry.create_time.get(),
                    exit_time: entry.exit_time.get(),
                    kernel_time: entry.kernel_time.get(),
                    user_time: entry.user_time.get(),
                    start_address: entry.start_address.get(),
                    affinity: entry.affinity.get(),
                }
            });
        Ok(Some(infos.collect()))
    }
}

/// The head of a list that states its own sizes: of the head, of an entry, and
/// the number of entries.
pub(crate) struct ListHead {
    pub(crate) header: usize,
    pub(crate) entry: usize,
    pub(crate) count: u64,
}

impl ListHead {
    pub(crate) fn of(bytes: &StreamBytes) -> ReadResult<ListHead> {
        let [header, entry, count]: [U32; 3] = bytes.get(0)?;
        Ok(ListHead {
            header: header.get() as usize,
            entry: entry.get() as usize,
            count: count.get().into(),
        })
    }
}

fn thread(entry: wire::Thread) -> Thread {
    Thread {
        thread_id: entry.thread_id.get(),
        suspend_count: entry.suspend_count.get(),
        priority_class: entry.priority_class.get(),
        priority: entry.priority.get(),
        teb: entry.teb.get(),
        stack_start: entry.stack.start_of_memory_range.get(),
        stack: entry.stack.memory.into(),
        context: entry.thread_context.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::synth::Synth;
    use super::*;

    #[test]
    fn names_lead_to_their_threads_and_a_lost_name_is_none() {
        let mut synth = Synth::new();
        let name = u64::from(synth.string("wörker"));
        let entry = |thread_id: u32, rva: u64| wire::ThreadName {
            thread_id: thread_id.into(),
            rva_of_thread_name: rva.into(),
        };
        synth.list(StreamType::THREAD_NAMES, &[entry(1, name), entry(2, u64::MAX)]);
        let names = synth.open().thread_names().unwrap().unwrap();
        assert_eq!(names[0].name.as_deref(), Some("wörker"));
        assert_eq!((names[1].thread_id, &names[1].name), (2, &None));
    }

    #[test]
    fn thread_info_heeds_the_sizes_that_its_head_states() {
        let mut bytes = Vec::new();
        for word in [16u32, 72, 1, 0] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend([5, 0, 0, 0]);
        bytes.resize(16 + 72, 0);
        let mut synth = Synth::new();
        synth.stream(StreamType::THREAD_INFO_LIST, &bytes);
        assert_eq!(synth.open().thread_info().unwrap().unwrap()[0].thread_id, 5);
        let mut synth = Synth::new();
        synth.stream(StreamType::THREAD_INFO_LIST, &bytes[..80]);
        assert!(synth.open().thread_info().is_err());
    }
}
