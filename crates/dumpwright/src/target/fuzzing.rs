//! Doors for the fuzz targets to parsers that no public function leads to by
//! itself. Compiled with the feature `fuzzing` only, and no interface.

use super::MemorySource;
use super::nt::{exports, loader, pe::PeImage, version};
use crate::address::AddressRange;
use crate::soft_error::{Hole, HoleReason};
use dumpwright_format::nt::NtOffsets;

/// Where the bytes stand in memory.
pub(super) const BASE: u64 = 0x5000_0000;
/// Bytes of a page.
pub(super) const PAGE: u64 = 4096;

/// Memory of which some bytes at [`BASE`] are all that can be read.
pub(super) struct Placed<'a>(pub &'a [u8]);

impl MemorySource for Placed<'_> {
    fn read(&self, ranges: &[AddressRange], buf: &mut [u8], holes: &mut Vec<Hole>) {
        let mut rest = buf;
        for range in ranges {
            let (part, tail) = rest.split_at_mut(range.len() as usize);
            let from = range.start.checked_sub(BASE).and_then(|from| {
                self.0.get(from as usize..(from as usize).checked_add(part.len())?)
            });
            match from {
                Some(from) => part.copy_from_slice(from),
                None => {
                    part.fill(0);
                    holes.push(Hole { range: *range, reason: HoleReason::NotInSource });
                }
            }
            rest = tail;
        }
    }

    fn populated(&self, range: AddressRange) -> Vec<AddressRange> {
        vec![range]
    }
}

/// A PE image as it stands in memory: what describes the module, its version,
/// its exports; and the bytes behind it as a loader's list.
pub fn pe_image(bytes: &[u8]) {
    let memory = Placed(bytes);
    for offsets in [&NtOffsets::WIDE, &NtOffsets::NARROW] {
        let _ = loader::modules(&memory, offsets, BASE);
    }
    let Some(image) = PeImage::read(&memory, BASE) else { return };
    for segment in image.segments(PAGE) {
        assert!(segment.range.start <= segment.range.end);
    }
    let _ = image.header_ranges(&memory);
    let _ = image.debug_id(&memory);
    let _ = image.tls(&memory);
    let _ = version::file_version(&memory, &image);
    let _ = exports::address_of(&memory, &image, "RtlGetUnloadEventTraceEx");
}
