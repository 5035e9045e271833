//! A dump as the `minidump` crate and plain byte reading see it.

use minidump::{
    Minidump, MinidumpLinuxMaps, MinidumpMemoryInfoList, MinidumpModuleList, MinidumpStream,
    MinidumpSystemInfo, MinidumpThreadList, Module,
};
use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::Path;

/// Stream types by number, as minidumpapiset.h and Breakpad have them.
pub mod stream {
    pub const COMMENT_A: u32 = 10;
    pub const COMMENT_W: u32 = 11;
    pub const HANDLE_DATA: u32 = 12;
    pub const UNLOADED_MODULES: u32 = 14;
    pub const MEMORY_INFO: u32 = 16;
    pub const THREAD_INFO: u32 = 17;
    pub const TOKEN: u32 = 19;
    pub const SYSTEM_MEMORY: u32 = 21;
    pub const VM_COUNTERS: u32 = 22;
    pub const CMD_LINE: u32 = 0x4767_0006;
    pub const ENVIRON: u32 = 0x4767_0007;
    pub const MAPS: u32 = 0x4767_0009;
    pub const SOFT_ERRORS: u32 = 0x4D7A_0004;
}

/// A dump in memory.
pub struct Loaded {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// What the `minidump` crate makes of it.
    pub dump: Minidump<'static, Vec<u8>>,
}

/// A range of memory that the dump has.
pub struct Memory<'a> {
    /// First address.
    pub start: u64,
    /// Its bytes.
    pub bytes: &'a [u8],
}

impl Memory<'_> {
    /// Its addresses.
    pub fn range(&self) -> Range<u64> {
        self.start..self.start + self.bytes.len() as u64
    }
}

impl Loaded {
    /// Reads a file.
    #[track_caller]
    pub fn read(file: &Path) -> Loaded {
        Self::parse(fs::read(file).unwrap())
    }

    /// Reads bytes.
    #[track_caller]
    pub fn parse(bytes: Vec<u8>) -> Loaded {
        let dump = Minidump::read(bytes.clone())
            .unwrap_or_else(|e| panic!("the minidump crate cannot read the dump: {e}"));
        Loaded { bytes, dump }
    }

    /// A stream as the crate parses it.
    #[track_caller]
    pub fn get<'a, S: MinidumpStream<'a>>(&'a self) -> S {
        self.dump.get_stream().unwrap_or_else(|e| panic!("stream {:#x}: {e}", S::STREAM_TYPE))
    }

    /// The bytes of a stream.
    pub fn raw(&self, stream: u32) -> Option<&[u8]> {
        self.dump.get_raw_stream(stream).ok()
    }

    /// The types of the streams, in the directory's order.
    pub fn stream_types(&self) -> Vec<u32> {
        self.dump.all_streams().map(|d| d.stream_type).collect()
    }

    /// `MINIDUMP_HEADER.Flags`, read from its bytes.
    pub fn flags(&self) -> u64 {
        u64::from_le_bytes(self.bytes[24..32].try_into().unwrap())
    }

    /// The soft errors' text.
    pub fn soft_errors(&self) -> String {
        let bytes = self.raw(stream::SOFT_ERRORS).unwrap_or_default();
        String::from_utf8(bytes.to_vec()).expect("soft errors are UTF-8")
    }

    /// Thread ids.
    #[track_caller]
    pub fn tids(&self) -> BTreeSet<u32> {
        let threads: MinidumpThreadList<'_> = self.get();
        let tids: BTreeSet<_> = threads.threads.iter().map(|t| t.raw.thread_id).collect();
        assert_eq!(tids.len(), threads.threads.len(), "a thread is listed twice");
        tids
    }

    /// Stack pointer and instruction pointer of a thread.
    #[track_caller]
    pub fn registers(&self, tid: u32) -> (u64, u64) {
        let threads: MinidumpThreadList<'_> = self.get();
        let system: MinidumpSystemInfo = self.get();
        let thread = threads.get_thread(tid).unwrap_or_else(|| panic!("no thread {tid}"));
        let context = thread.context(&system, None).expect("the thread has a context");
        (context.get_stack_pointer(), context.get_instruction_pointer())
    }

    /// Module names with their addresses, in address order.
    #[track_caller]
    pub fn modules(&self) -> Vec<(String, Range<u64>)> {
        let modules: MinidumpModuleList = self.get();
        modules
            .by_addr()
            .map(|m| (m.code_file().into_owned(), m.base_address()..m.base_address() + m.size()))
            .collect()
    }

    /// The only module whose name ends so.
    #[track_caller]
    pub fn module(&self, end: &str) -> Range<u64> {
        let all = self.modules();
        let mut found = all.iter().filter(|(name, _)| name.ends_with(end));
        let first = found.next().unwrap_or_else(|| panic!("no module {end} in {all:?}"));
        assert!(found.next().is_none(), "two modules {end}");
        first.1.clone()
    }

    /// The memory, in address order; it must not overlap.
    #[track_caller]
    pub fn memory(&self) -> Vec<Memory<'_>> {
        let mut ranges = self.raw_memory();
        ranges.sort_by_key(|m| m.start);
        for pair in ranges.windows(2) {
            assert!(pair[0].range().end <= pair[1].start, "memory ranges overlap");
        }
        ranges
    }

    /// Both memory lists, read byte by byte: the layout is simple enough, and
    /// the crate copies or hides what this has to see. Ranges of other writers
    /// overlap.
    pub fn raw_memory(&self) -> Vec<Memory<'_>> {
        let u32_at = |at: usize| u32::from_le_bytes(self.bytes[at..at + 4].try_into().unwrap());
        let mut ranges = Vec::new();
        for entry in self.dump.all_streams() {
            let at = entry.location.rva as usize;
            match entry.stream_type {
                5 => {
                    for i in 0..u32_at(at) as usize {
                        let d = at + 4 + 16 * i;
                        let (size, rva) = (u32_at(d + 8) as usize, u32_at(d + 12) as usize);
                        let bytes = &self.bytes[rva..rva + size];
                        ranges.push(Memory { start: self.u64_at(d), bytes });
                    }
                }
                9 => {
                    let mut rva = self.u64_at(at + 8) as usize;
                    for i in 0..self.u64_at(at) as usize {
                        let d = at + 16 + 16 * i;
                        let size = self.u64_at(d + 8) as usize;
                        let bytes = &self.bytes[rva..rva + size];
                        ranges.push(Memory { start: self.u64_at(d), bytes });
                        rva += size;
                    }
                }
                _ => {}
            }
        }
        ranges
    }

    fn u64_at(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes[at..at + 8].try_into().unwrap())
    }

    /// The bytes of an address range, if the dump has all of it.
    pub fn bytes_at(&self, start: u64, length: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut at = start;
        for memory in self.memory() {
            if at >= start + length {
                break;
            }
            if memory.range().contains(&at) {
                let skip = (at - memory.start) as usize;
                let take = (memory.bytes.len() - skip).min((start + length - at) as usize);
                bytes.extend_from_slice(&memory.bytes[skip..skip + take]);
                at += take as u64;
            }
        }
        (at == start + length).then_some(bytes)
    }

    /// Whether the dump has any byte of an address range.
    pub fn has_any(&self, range: Range<u64>) -> bool {
        self.memory().iter().any(|m| m.start < range.end && range.start < m.range().end)
    }

    /// Bytes of memory that the dump has.
    pub fn memory_size(&self) -> u64 {
        self.memory().iter().map(|m| m.bytes.len() as u64).sum()
    }

    /// The memory-information list.
    #[track_caller]
    pub fn memory_info(&self) -> MinidumpMemoryInfoList<'_> {
        self.get()
    }

    /// The maps stream, parsed.
    #[track_caller]
    pub fn maps(&self) -> MinidumpLinuxMaps<'_> {
        self.get()
    }
}
