//! What a laid-out and written dump promises, whatever is in it.

use super::*;
use crate::address::RangeSet;
use crate::plan::plan;
use crate::request::DumpRequest;
use crate::soft_error::Hole;
use crate::synthetic::{SyntheticMemory, change_regions, region, snapshot, thread};
use crate::target::{MemorySource, ProcessSnapshot};
use crate::write::{Target, finish, write_memory};
use dumpwright_format::{FormatFlags, Qualifier};
use proptest::prelude::*;
use std::io::{self, Write};
use zerocopy::FromBytes;

fn written(snapshot: &ProcessSnapshot, memory: &SyntheticMemory, request: &DumpRequest) -> Vec<u8> {
    let plan = plan(snapshot, memory, request).unwrap();
    let layout = Layout::new(&plan, 0).unwrap();
    let mut out = Vec::new();
    let outcome =
        write_memory(&layout, &plan, snapshot, memory, &mut Target::Stream(&mut out), &()).unwrap();
    finish(&layout, &plan, &outcome, &mut out).unwrap();
    assert_eq!(out.len() as u64, layout.file_size());
    out
}

fn directory(dump: &[u8]) -> Vec<Directory> {
    let (header, _) = Header::read_from_prefix(dump).unwrap();
    let at = header.stream_directory_rva.get() as usize;
    let count = header.number_of_streams.get() as usize;
    <[Directory]>::ref_from_prefix_with_elems(&dump[at..], count).unwrap().0.to_vec()
}

fn stream(dump: &[u8], stream_type: StreamType) -> &[u8] {
    let entry = directory(dump)
        .into_iter()
        .find(|e| e.stream_type.get() == stream_type.0)
        .unwrap_or_else(|| panic!("no {stream_type}"));
    let at = entry.location.rva.get() as usize;
    &dump[at..at + entry.location.data_size.get() as usize]
}

/// Every range of memory in the dump: address, file offset, length.
fn memory_ranges(dump: &[u8]) -> Vec<(u64, u64, u64)> {
    if directory(dump).iter().any(|e| e.stream_type.get() == StreamType::MEMORY64_LIST.0) {
        let list = stream(dump, StreamType::MEMORY64_LIST);
        let (header, rest) = Memory64ListHeader::read_from_prefix(list).unwrap();
        assert_eq!(list.len() as u64, 16 + 16 * header.number_of_memory_ranges.get());
        let mut at = header.base_rva.get();
        <[MemoryDescriptor64]>::ref_from_bytes(rest)
            .unwrap()
            .iter()
            .map(|d| {
                let here = at;
                at += d.data_size.get();
                (d.start_of_memory_range.get(), here, d.data_size.get())
            })
            .collect()
    } else {
        <[MemoryDescriptor]>::ref_from_bytes(&stream(dump, StreamType::MEMORY_LIST)[4..])
            .unwrap()
            .iter()
            .map(|d| {
                let location = d.memory;
                let (rva, size) = (location.rva.get(), location.data_size.get());
                (d.start_of_memory_range.get(), u64::from(rva), u64::from(size))
            })
            .collect()
    }
}

/// No two of these ranges overlap, and all lie in the file.
fn assert_disjoint(mut ranges: Vec<(u64, u64)>, file_size: u64) {
    ranges.sort_unstable();
    for pair in ranges.windows(2) {
        assert!(pair[0].0 + pair[0].1 <= pair[1].0, "{:x?} overlaps {:x?}", pair[0], pair[1]);
    }
    assert!(ranges.last().is_none_or(|(at, len)| at + len <= file_size));
}

const MAIN_STACK: AddressRange = AddressRange { start: 0x7FFF_0000_0000, end: 0x7FFF_0001_0000 };
/// Words on live stacks that FILTER_MEMORY keeps: the address of code, and of
/// stacks.
const KEPT: [(u64, u64); 3] = [
    (MAIN_STACK.start + 0x9000, 0x40_1500),
    (MAIN_STACK.start + 0x9010, MAIN_STACK.start + 0x9800),
    (MAIN_STACK.end - 8, MAIN_STACK.end - 0x100),
];
/// Where the address of code lies below the stack pointer.
const DEAD: [u64; 2] = [MAIN_STACK.start, MAIN_STACK.start + 0x7F00];

fn worker_stack(i: u32) -> u64 {
    0x7F00_0000_0000 + u64::from(i) * 0x10_0000
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_dump_is_sound_and_true_to_its_target(
        bits in any::<u32>(),
        threads in 1u32..40,
        holes in proptest::collection::vec((0u64..32, 1u64..4), 0..6),
        untouched in proptest::collection::vec((0u64..32, 1u64..8), 0..6),
        max_size in proptest::option::of(80_000u64..400_000),
    ) {
        let mut snapshot = snapshot();
        let mut stacks = Vec::new();
        for i in 1..threads {
            let base = worker_stack(i);
            stacks.push(region(base, base + 0x4000));
            let mut thread = thread(100 + i, base + 0x1230, 0x40_2000 + u64::from(i) * 7);
            thread.thread_pointer = base + 0x3000;
            snapshot.threads.push(thread);
        }
        change_regions(&mut snapshot, |regions| {
            regions.append(&mut stacks);
            regions.sort_by_key(|r| r.range.start);
        });
        let pages = |list: Vec<(u64, u64)>| -> RangeSet {
            list.into_iter()
                .map(|(at, len)| AddressRange::with_len(0x60_0000 + at * 0x1000, len * 0x1000))
                .collect()
        };
        let unpopulated = pages(untouched);
        let memory = SyntheticMemory {
            unreadable: pages(holes).difference(&unpopulated),
            unpopulated,
            words: [(MAIN_STACK.start + 0xFF00, 0x60_2000)]
                .into_iter()
                .chain(KEPT)
                .chain(DEAD.map(|at| (at, 0x40_1500)))
                .collect(),
        };
        let flags = (FormatFlags::from_bits_truncate(bits)
            - FormatFlags::USER_SMALL_FULL_AUXILIARY_STATE
            - FormatFlags::USER_SMALL_NO_IGNORE_INACCESSIBLE_MEM)
            | FormatFlags::USER_SMALL_IGNORE_INACCESSIBLE_MEM;
        let mut request = DumpRequest::new("x.dmp", Qualifier::Small).flags(flags).comment("ü");
        request.extensions.max_size = max_size;
        let dump = written(&snapshot, &memory, &request);
        if let Some(max) = max_size {
            prop_assert!(dump.len() as u64 <= max);
        }

        let ranges = memory_ranges(&dump);
        let mut places: Vec<_> = ranges.iter().map(|(_, at, len)| (*at, *len)).collect();
        for entry in directory(&dump) {
            places.push((entry.location.rva.get().into(), entry.location.data_size.get().into()));
        }
        assert_disjoint(places, dump.len() as u64);
        let mut addresses: Vec<_> = ranges.iter().map(|(start, _, len)| (*start, *len)).collect();
        prop_assert!(addresses.iter().all(|(_, len)| *len > 0));
        prop_assert!(addresses.is_sorted());
        addresses.sort_unstable();
        assert_disjoint(addresses, u64::MAX);

        let filtered = flags.contains(FormatFlags::USER_SMALL_FILTER_MEMORY);
        let stacks: RangeSet = [MAIN_STACK]
            .into_iter()
            .chain((1..threads).map(|i| AddressRange::with_len(worker_stack(i), 0x4000)))
            .collect();
        let truth = |address: u64| {
            let kept = KEPT.iter().any(|(at, _)| *at == address & !7);
            if filtered && stacks.find(address).is_some() && !kept {
                0
            } else {
                memory.byte(address)
            }
        };
        let mut bad = RangeSet::new();
        for (start, at, len) in ranges {
            for offset in 0..len {
                let address = start + offset;
                let byte = dump[(at + offset) as usize];
                if memory.unreadable.find(address).is_some() {
                    prop_assert_eq!(byte, 0);
                    bad.insert(AddressRange::with_len(address, 1));
                } else {
                    prop_assert_eq!(byte, truth(address), "at {:#x}", address);
                }
            }
        }
        let soft: serde_json::Value =
            serde_json::from_slice(stream(&dump, StreamType::MOZ_SOFT_ERRORS)).unwrap();
        let number = |v: &serde_json::Value| {
            u64::from_str_radix(&v.as_str().unwrap()[2..], 16).unwrap()
        };
        let listed: RangeSet = soft
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|e| e.get("hole"))
            .map(|h| AddressRange::new(number(&h["start"]), number(&h["end"])))
            .collect();
        prop_assert_eq!(listed, bad, "every hole is listed, and nothing else");
    }
}

/// Keeps the beginning and the end of what is written, and counts the rest.
struct Ends {
    head: Vec<u8>,
    tail: Vec<u8>,
    len: u64,
}

impl Write for Ends {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.head.len() < 1 << 20 {
            self.head.extend_from_slice(buf);
        }
        self.tail = buf.to_vec();
        self.len += buf.len() as u64;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_dump_past_4_gib_has_every_pointer_in_reach() {
    let mut snapshot = snapshot();
    let big = AddressRange::new(0x10_0000_0000, 0x10_0000_0000 + (9 << 29));
    change_regions(&mut snapshot, |regions| regions.insert(4, region(big.start, big.end)));
    let mut memory = SyntheticMemory::default();
    memory.unpopulated.insert(big);
    memory.unreadable.insert(AddressRange::new(0x60_1000, 0x60_2000));
    let mut request = DumpRequest::new("x.dmp", Qualifier::Small)
        .flags(FormatFlags::DUMP_MA | FormatFlags::USER_SMALL_IGNORE_INACCESSIBLE_MEM);
    request.extensions.memory = vec![big];
    let plan = plan(&snapshot, &memory, &request).unwrap();
    let layout = Layout::new(&plan, 0).unwrap();
    let mut out = Ends { head: Vec::new(), tail: Vec::new(), len: 0 };
    let outcome =
        write_memory(&layout, &plan, &snapshot, &memory, &mut Target::Stream(&mut out), &())
            .unwrap();
    finish(&layout, &plan, &outcome, &mut out).unwrap();
    assert_eq!(out.len, layout.file_size());
    assert!(out.len > 1 << 32);

    let head = &out.head[..layout.head_size() as usize];
    for entry in directory(head) {
        let end = entry.location.rva.get() as usize + entry.location.data_size.get() as usize;
        assert!(end <= head.len(), "{:?} stands in the head", entry.stream_type);
    }
    // The stack lies past 4 GiB: no descriptor may claim a place for it.
    let threads = stream(head, StreamType::THREAD_LIST);
    let (thread, _) = dumpwright_format::minidump::Thread::read_from_prefix(&threads[4..]).unwrap();
    assert_eq!(thread.stack.memory.rva.get(), 0);
    assert_eq!(thread.stack.memory.data_size.get(), 0);
    assert_ne!(thread.stack.start_of_memory_range.get(), 0);
    // The list of holes is at the end, where the stream in the head says.
    let soft: Vec<serde_json::Value> =
        serde_json::from_slice(stream(head, StreamType::MOZ_SOFT_ERRORS)).unwrap();
    let pointer = soft.last().unwrap().get("holes_at_end_of_file").unwrap();
    let offset = u64::from_str_radix(&pointer["offset"].as_str().unwrap()[2..], 16).unwrap();
    assert_eq!(offset + pointer["size"].as_u64().unwrap(), out.len);
    assert_eq!(out.tail.len() as u64, pointer["size"].as_u64().unwrap());
    let holes: Vec<serde_json::Value> = serde_json::from_slice(&out.tail).unwrap();
    assert_eq!(holes[0]["hole"]["start"], "0x601000");
}

/// As a kernel reads: a page with anything unreadable in the part of it that
/// is asked for gives nothing of that part.
struct WholePages(SyntheticMemory);

impl MemorySource for WholePages {
    fn read(&self, ranges: &[AddressRange], buf: &mut [u8], holes: &mut Vec<Hole>) {
        let mut rest = buf;
        for range in ranges {
            let mut at = range.start;
            while at < range.end {
                let part = AddressRange::new(at, ((at & !0xFFF) + 0x1000).min(range.end));
                let (bytes, after) = rest.split_at_mut(part.len() as usize);
                let mut bad = Vec::new();
                self.0.read(&[part], bytes, &mut bad);
                if let Some(hole) = bad.first() {
                    bytes.fill(0);
                    Hole { range: part, reason: hole.reason }.add_to(holes);
                }
                (rest, at) = (after, part.end);
            }
        }
    }

    fn populated(&self, range: AddressRange) -> Vec<AddressRange> {
        self.0.populated(range)
    }
}

#[test]
fn partial_pages_are_kept_when_asked_for_and_only_then() {
    let snapshot = snapshot();
    let bad = AddressRange::new(0x60_1400, 0x60_1600);
    let memory = WholePages(SyntheticMemory {
        unreadable: [bad].into_iter().collect(),
        ..SyntheticMemory::default()
    });
    for (flags, hole) in [
        (FormatFlags::empty(), AddressRange::new(0x60_1000, 0x60_2000)),
        (FormatFlags::USER_SMALL_SCAN_PARTIAL_PAGES, bad),
    ] {
        let request = DumpRequest::new("x.dmp", Qualifier::Small)
            .flags(flags | FormatFlags::USER_SMALL_PRIVATE_READ_WRITE_MEMORY);
        let plan = plan(&snapshot, &memory, &request).unwrap();
        let layout = Layout::new(&plan, 0).unwrap();
        let mut out = Vec::new();
        let outcome =
            write_memory(&layout, &plan, &snapshot, &memory, &mut Target::Stream(&mut out), &())
                .unwrap();
        assert_eq!(outcome.holes.iter().map(|h| h.range).collect::<Vec<_>>(), [hole]);
        let (start, at, _) =
            memory_ranges(&out).into_iter().find(|(start, ..)| *start == 0x60_0000).unwrap();
        for address in 0x60_1000..0x60_2000 {
            let byte = out[(at + address - start) as usize];
            let expected = if hole.contains(address) { 0 } else { memory.0.byte(address) };
            assert_eq!(byte, expected, "{flags:?} at {address:#x}");
        }
    }
}
