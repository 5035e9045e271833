//! Memory that a dump holds, and its map of the address space. Contents are
//! read when asked for and never kept.

use super::error::{ReadError, ReadResult};
use super::minidump::{Location, Minidump};
use dumpwright_format::minidump::{
    Memory64ListHeader, MemoryDescriptor, MemoryDescriptor64, MemoryInfo, MemoryInfoList,
    StreamType,
};

/// Memory that a dump holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    /// Address in the target.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// Where they are in the file.
    pub file_offset: u64,
}

impl MemoryRange {
    /// Address past its end; at most `u64::MAX`.
    pub fn end(self) -> u64 {
        self.start.saturating_add(self.size)
    }

    /// Where its bytes are.
    pub fn location(self) -> Location {
        Location { rva: self.file_offset, size: self.size }
    }
}

/// An entry of the MemoryInfoList stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRegion {
    /// First address.
    pub base: u64,
    /// First address of the allocation.
    pub allocation_base: u64,
    /// `PAGE_*` given when it was allocated.
    pub allocation_protect: u32,
    /// Bytes.
    pub size: u64,
    /// `MEM_COMMIT`, `MEM_RESERVE` or `MEM_FREE`.
    pub state: u32,
    /// `PAGE_*` now.
    pub protect: u32,
    /// `MEM_PRIVATE`, `MEM_MAPPED` or `MEM_IMAGE`; 0 for free memory.
    pub memory_type: u32,
}

impl MemoryRegion {
    /// Address past its end; at most `u64::MAX`.
    pub fn end(self) -> u64 {
        self.base.saturating_add(self.size)
    }
}

/// The memory of a dump in order of address and without overlaps, cut to what
/// is in the file. Of ranges that overlap, the one that starts first counts.
#[derive(Clone, Debug, Default)]
pub struct MemoryMap(Vec<MemoryRange>);

impl MemoryMap {
    pub(crate) fn new(mut ranges: Vec<MemoryRange>, file_length: u64) -> MemoryMap {
        for range in &mut ranges {
            let in_file = file_length.saturating_sub(range.file_offset);
            let in_space = u64::MAX - range.start;
            range.size = range.size.min(in_file).min(in_space);
        }
        ranges.sort_by_key(|range| range.start);
        let mut disjoint: Vec<MemoryRange> = Vec::with_capacity(ranges.len());
        for mut range in ranges {
            let covered = disjoint.last().map_or(0, |last| last.end()).saturating_sub(range.start);
            let covered = covered.min(range.size);
            range.start += covered;
            range.file_offset = range.file_offset.saturating_add(covered);
            range.size -= covered;
            if range.size > 0 {
                disjoint.push(range);
            }
        }
        MemoryMap(disjoint)
    }

    /// The ranges, in order.
    pub fn ranges(&self) -> &[MemoryRange] {
        &self.0
    }

    /// The range that holds an address.
    pub fn find(&self, address: u64) -> Option<MemoryRange> {
        let next = self.0.partition_point(|range| range.end() <= address);
        self.0.get(next).copied().filter(|range| range.start <= address)
    }
}

impl Minidump {
    /// The ranges of the MemoryList stream, in its order.
    pub fn memory_list(&self) -> ReadResult<Option<Vec<MemoryRange>>> {
        let Some(bytes) = self.load(StreamType::MEMORY_LIST)? else { return Ok(None) };
        let ranges = bytes.counted_list()?.map(|entry: MemoryDescriptor| MemoryRange {
            start: entry.start_of_memory_range.get(),
            size: entry.memory.data_size.get().into(),
            file_offset: entry.memory.rva.get().into(),
        });
        Ok(Some(ranges.collect()))
    }

    /// The ranges of the Memory64List stream, in its order.
    ///
    /// Malformed if their bytes would end past what an offset can say; ranges
    /// past the end of the file are given as they are stated.
    pub fn memory64_list(&self) -> ReadResult<Option<Vec<MemoryRange>>> {
        let Some(bytes) = self.load(StreamType::MEMORY64_LIST)? else { return Ok(None) };
        let head: Memory64ListHeader = bytes.get(0)?;
        let count = head.number_of_memory_ranges.get();
        let entries = bytes.list::<MemoryDescriptor64>(
            size_of::<Memory64ListHeader>(),
            count,
            size_of::<MemoryDescriptor64>(),
        )?;
        let mut at = head.base_rva.get();
        let mut ranges = Vec::with_capacity(count as usize);
        for entry in entries {
            let size = entry.data_size.get();
            ranges.push(MemoryRange {
                start: entry.start_of_memory_range.get(),
                size,
                file_offset: at,
            });
            at = at.checked_add(size).ok_or_else(|| {
                bytes.malformed(
                    0,
                    format!("the sizes of its {count} ranges add up to more than 64 bits"),
                )
            })?;
        }
        Ok(Some(ranges))
    }

    /// The ranges of both memory lists, in their order.
    pub fn memory_ranges(&self) -> ReadResult<Vec<MemoryRange>> {
        let mut ranges = self.memory64_list()?.unwrap_or_default();
        ranges.extend(self.memory_list()?.unwrap_or_default());
        Ok(ranges)
    }

    /// The memory of the dump in order of address and without overlaps.
    pub fn memory_map(&self) -> ReadResult<&MemoryMap> {
        if let Some(map) = self.memory_map.get() {
            return Ok(map);
        }
        let map = MemoryMap::new(self.memory_ranges()?, self.len());
        Ok(self.memory_map.get_or_init(|| map))
    }

    /// Fills `buf` with the target's memory from `address` on.
    ///
    /// Fails with [`ReadError::NotInDump`] and the first address that is
    /// missing; what stands in `buf` from there on is not defined.
    pub fn read_memory(&self, address: u64, buf: &mut [u8]) -> ReadResult<()> {
        let map = self.memory_map()?;
        let mut done = 0;
        while done < buf.len() {
            let at = address
                .checked_add(done as u64)
                .ok_or(ReadError::NotInDump { address: u64::MAX })?;
            let range = map.find(at).ok_or(ReadError::NotInDump { address: at })?;
            let skip = at - range.start;
            let take = (range.size - skip).min((buf.len() - done) as u64) as usize;
            self.read_file(range.file_offset + skip, &mut buf[done..done + take])?;
            done += take;
        }
        Ok(())
    }

    /// The map of the address space, from the MemoryInfoList stream.
    pub fn memory_info(&self) -> ReadResult<Option<Vec<MemoryRegion>>> {
        let Some(bytes) = self.load(StreamType::MEMORY_INFO_LIST)? else { return Ok(None) };
        let head: MemoryInfoList = bytes.get(0)?;
        let regions = bytes.list(
            head.size_of_header.get() as usize,
            head.number_of_entries.get(),
            head.size_of_entry.get() as usize,
        )?;
        let regions = regions.map(|entry: MemoryInfo| MemoryRegion {
            base: entry.base_address.get(),
            allocation_base: entry.allocation_base.get(),
            allocation_protect: entry.allocation_protect.get(),
            size: entry.region_size.get(),
            state: entry.state.get(),
            protect: entry.protect.get(),
            memory_type: entry.memory_type.get(),
        });
        Ok(Some(regions.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::synth::Synth;
    use super::*;
    use dumpwright_format::minidump::LocationDescriptor;
    use proptest::prelude::*;

    fn descriptor(start: u64, size: u32, rva: u32) -> MemoryDescriptor {
        let memory = LocationDescriptor { data_size: size.into(), rva: rva.into() };
        MemoryDescriptor { start_of_memory_range: start.into(), memory }
    }

    #[test]
    fn memory_is_read_across_ranges_that_touch_and_missing_addresses_are_named() {
        let mut synth = Synth::new();
        let rva = synth.put(b"abcdefgh");
        synth.list(
            StreamType::MEMORY_LIST,
            &[descriptor(0x1004, 4, rva + 4), descriptor(0x1000, 4, rva)],
        );
        let dump = synth.open();
        let mut buf = [0; 6];
        dump.read_memory(0x1001, &mut buf).unwrap();
        assert_eq!(&buf, b"bcdefg");
        let error = dump.read_memory(0x1003, &mut buf).unwrap_err();
        assert!(matches!(error, ReadError::NotInDump { address: 0x1008 }), "{error}");
        assert!(dump.read_memory(u64::MAX, &mut buf).is_err());
    }

    #[test]
    fn memory64_ranges_follow_each_other_in_the_file() {
        let mut synth = Synth::new();
        let rva = u64::from(synth.put(b"0123456789"));
        let words = [2u64, rva, 0x1000, 4, 0x8000, 6];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        synth.stream(StreamType::MEMORY64_LIST, &bytes);
        let dump = synth.open();
        let mut buf = [0; 6];
        dump.read_memory(0x8000, &mut buf).unwrap();
        assert_eq!(&buf, b"456789");
    }

    #[test]
    fn sizes_past_64_bits_are_malformed() {
        let mut synth = Synth::new();
        let words = [2u64, 32, 0, u64::MAX, 0, u64::MAX];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        synth.stream(StreamType::MEMORY64_LIST, &bytes);
        assert!(synth.open().memory64_list().is_err());
    }

    proptest! {
        #[test]
        fn the_map_is_ordered_disjoint_in_the_file_and_finds_each_stored_address(
            ranges in proptest::collection::vec(
                (0..64u64, 0..16u64, 0..64u64)
                    .prop_map(|(start, size, file_offset)| MemoryRange { start, size, file_offset }),
                0..12,
            ),
        ) {
            let map = MemoryMap::new(ranges.clone(), 64);
            for pair in map.ranges().windows(2) {
                prop_assert!(pair[0].end() <= pair[1].start);
            }
            for range in map.ranges() {
                prop_assert!(range.size > 0 && range.file_offset + range.size <= 64);
            }
            for address in 0..80 {
                let stored = ranges.iter().any(|r| {
                    let size = r.size.min(64 - r.file_offset);
                    (r.start..r.start + size).contains(&address)
                });
                prop_assert_eq!(map.find(address).is_some(), stored);
            }
        }
    }
}
