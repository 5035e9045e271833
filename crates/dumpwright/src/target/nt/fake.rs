//! A process's memory made of pieces, for tests.

use crate::address::AddressRange;
use crate::soft_error::{Hole, HoleReason};
use crate::target::MemorySource;

/// Pieces at addresses; everything else cannot be read.
#[derive(Default)]
pub(crate) struct FakeMemory(Vec<(u64, Vec<u8>)>);

impl FakeMemory {
    /// Puts `bytes` at `address`; later pieces go before earlier ones.
    pub(crate) fn put(&mut self, address: u64, bytes: impl Into<Vec<u8>>) {
        self.0.insert(0, (address, bytes.into()));
    }

    /// Puts a `u64`.
    pub(crate) fn put_u64(&mut self, address: u64, value: u64) {
        self.put(address, value.to_le_bytes());
    }

    /// Puts a `u32`.
    pub(crate) fn put_u32(&mut self, address: u64, value: u32) {
        self.put(address, value.to_le_bytes());
    }

    /// Puts UTF-16 text without a NUL at `buffer`, and a 64-bit
    /// `UNICODE_STRING` of it at `address`.
    pub(crate) fn put_string(&mut self, address: u64, buffer: u64, text: &str) {
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let length = bytes.len() as u16;
        self.put(address, [length.to_le_bytes(), length.to_le_bytes()].concat());
        self.put_u64(address + 8, buffer);
        self.put(buffer, bytes);
    }

    fn byte(&self, address: u64) -> Option<u8> {
        self.0.iter().find_map(|(start, bytes)| {
            bytes.get(usize::try_from(address.checked_sub(*start)?).ok()?).copied()
        })
    }
}

impl MemorySource for FakeMemory {
    fn read(&self, ranges: &[AddressRange], buf: &mut [u8], holes: &mut Vec<Hole>) {
        let addresses = ranges.iter().flat_map(|range| range.start..range.end);
        for (address, out) in addresses.zip(buf) {
            *out = self.byte(address).unwrap_or_else(|| {
                let range = AddressRange::with_len(address, 1);
                Hole { range, reason: HoleReason::NotInSource }.add_to(holes);
                0
            });
        }
    }

    fn populated(&self, range: AddressRange) -> Vec<AddressRange> {
        vec![range]
    }
}
