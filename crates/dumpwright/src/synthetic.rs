//! Made-up processes, so that plan, layout and write are tested without a real one.

use crate::address::{AddressRange, RangeSet};
use crate::soft_error::{Hole, HoleReason};
use crate::target::{
    Absent, Access, Architecture, Backing, DebugId, FileTime, HasStreams, MemorySource,
    ModuleSnapshot, Pid, PlatformStream, ProcessInfo, ProcessSnapshot, Protection, Region,
    Registers, Segment, SystemSnapshot, ThreadSnapshot, Tid,
};
use dumpwright_format::context::amd64::{CONTEXT_ALL, ContextAmd64};
use dumpwright_format::minidump::{PLATFORM_LINUX, StreamType};
use zerocopy::{FromZeros, IntoBytes};

/// Memory whose every byte can be told from its address, with pages that were
/// never populated, pages that cannot be read, and words that a test put there.
#[derive(Default)]
pub struct SyntheticMemory {
    pub unpopulated: RangeSet,
    pub unreadable: RangeSet,
    pub words: Vec<(u64, u64)>,
}

impl SyntheticMemory {
    /// The byte that stands at `address`.
    pub fn byte(&self, address: u64) -> u8 {
        let word = self.words.iter().find(|(at, _)| address & !7 == *at);
        match word {
            Some((at, value)) => value.to_le_bytes()[(address - at) as usize],
            None if self.unpopulated.find(address).is_some() => 0,
            // No word of it looks like an address in user space.
            None => (address.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8 | 0x80,
        }
    }
}

impl MemorySource for SyntheticMemory {
    fn read(&self, ranges: &[AddressRange], buf: &mut [u8], holes: &mut Vec<Hole>) {
        let mut out = buf.iter_mut();
        for range in ranges {
            for (address, byte) in (range.start..range.end).zip(&mut out) {
                *byte =
                    if self.unreadable.find(address).is_some() { 0 } else { self.byte(address) };
            }
            let bad = self.unreadable.within(*range);
            holes.extend(bad.map(|range| Hole { range, reason: HoleReason::Errno(5) }));
        }
    }

    fn populated(&self, range: AddressRange) -> Vec<AddressRange> {
        self.unpopulated.missing_from(range)
    }
}

/// A private anonymous readable and writable region.
pub fn region(start: u64, end: u64) -> Region {
    Region {
        range: AddressRange::new(start, end),
        protection: Protection::READ | Protection::WRITE,
        shared: false,
        backing: Backing::Anonymous,
        name: "".into(),
        allocation_base: start,
        access: Access::Normal,
        absent: Absent::Zero,
        backed_end: end,
        page_state: None,
    }
}

/// A thread with this stack pointer.
pub fn thread(tid: u32, stack_pointer: u64, instruction_pointer: u64) -> ThreadSnapshot {
    let mut context = ContextAmd64::new_zeroed();
    context.context_flags = CONTEXT_ALL.into();
    context.rsp = stack_pointer.into();
    context.rip = instruction_pointer.into();
    ThreadSnapshot {
        tid: Tid(tid),
        name: format!("thread-{tid}"),
        registers: Registers {
            context: context.as_bytes().to_vec(),
            instruction_pointer,
            stack_pointer,
            general: vec![stack_pointer],
        },
        thread_pointer: 0,
        stack: None,
        suspend_count: 0,
        priority: 20,
        info: None,
        local_storage: Vec::new(),
    }
}

/// A process with an executable at 0x400000 (code, data), a heap at 0x600000,
/// a library mapping of a file at 0x700000, and a main stack.
/// Lets `change` change all regions, which stay in order.
pub fn change_regions(snapshot: &mut ProcessSnapshot, change: impl FnOnce(&mut Vec<Region>)) {
    snapshot.regions.change(AddressRange::new(0, u64::MAX), change);
}

pub fn snapshot() -> ProcessSnapshot {
    let image = |start, end, protection| Region {
        protection,
        backing: Backing::Image(0),
        absent: Absent::File,
        name: "/home/ann/app".into(),
        allocation_base: 0x40_0000,
        ..region(start, end)
    };
    let code = Protection::READ | Protection::EXECUTE;
    let data = Protection::READ | Protection::WRITE;
    ProcessSnapshot {
        system: SystemSnapshot {
            architecture: Architecture::Amd64,
            platform_id: PLATFORM_LINUX,
            product_type: 0,
            suite_mask: 0,
            processor_level: 6,
            processor_revision: 1,
            cpu: [0; 24],
            number_of_processors: 2,
            version: [6, 1, 0],
            description: "Linux 6.1.0".into(),
            build: "6.1.0".into(),
            processor_mhz: None,
            time_zone: None,
            xstate: None,
        },
        process: ProcessInfo {
            pid: Pid(100),
            namespace_pids: vec![100],
            name: "app".into(),
            peb: 0,
            create_time: FileTime::from_unix_nanos(1_700_000_000_000_000_000),
            user_time: 0,
            kernel_time: 0,
            nt: None,
        },
        threads: vec![thread(100, 0x7FFF_0000_8000, 0x40_1000)],
        modules: vec![ModuleSnapshot {
            base: 0x40_0000,
            size: 0x6000,
            path: "/home/ann/app".into(),
            debug_id: DebugId::ElfBuildId(vec![1; 20]),
            version: None,
            time_date_stamp: 0,
            check_sum: 0,
            segments: vec![
                Segment { range: AddressRange::new(0x40_0000, 0x40_4000), protection: code },
                Segment { range: AddressRange::new(0x40_4000, 0x40_6000), protection: data },
            ],
            headers: vec![AddressRange::new(0x40_0000, 0x40_0238)],
        }],
        unloaded_modules: Vec::new(),
        regions: [
            image(0x40_0000, 0x40_4000, code),
            image(0x40_4000, 0x40_6000, data),
            Region { name: "[heap]".into(), ..region(0x60_0000, 0x62_0000) },
            Region {
                backing: Backing::File,
                absent: Absent::File,
                shared: true,
                name: "/var/lib/app/data".into(),
                ..region(0x70_0000, 0x70_8000)
            },
            Region { name: "[stack]".into(), ..region(0x7FFF_0000_0000, 0x7FFF_0001_0000) },
        ]
        .into_iter()
        .collect(),
        address_space_end: 0x7FFF_FFFF_F000,
        page_size: 4096,
        handles: Vec::new(),
        exception: None,
        platform_streams: vec![PlatformStream {
            stream_type: StreamType::LINUX_ENVIRON,
            bytes: b"HOME=/home/ann\0".to_vec().into(),
        }],
        dso_debug: None,
        initial_stack: None,
        process_data: Vec::new(),
        token: None,
        vm_counters: None,
        system_memory: None,
        has: HasStreams::ALL,
        original: None,
        unix_side: None,
        soft_errors: Vec::new(),
    }
}
