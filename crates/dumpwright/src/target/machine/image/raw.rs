//! Raw images: memory and nothing else.
//!
//! Such a file does not say where a byte stood. In one of a machine with little
//! memory, the offset is the address; above some size PCs leave a hole below
//! 4 GiB for devices, and what would lie there goes on at 4 GiB.

use super::{Extent, Image};
use crate::address::AddressRange;
use crate::soft_error::SoftError;
use crate::target::machine::PAGE_SIZE;

const GIB: u64 = 1 << 30;

/// Where the bytes of a raw image stood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RawLayout {
    /// As QEMU's `pc` machine has it for that much memory; said in a soft error
    /// where it is more than a guess could know.
    #[default]
    Guess,
    /// The offset is the address.
    Flat,
    /// RAM has a hole from this address to 4 GiB.
    HoleFrom(u64),
    /// These ranges, back to back.
    Ranges(Vec<AddressRange>),
}

impl RawLayout {
    /// QEMU's `pc` (i440FX): above 3.5 GiB of memory, the hole begins at 3 GiB.
    pub const PC: RawLayout = RawLayout::HoleFrom(3 * GIB);
    /// QEMU's `q35`: above 2.75 GiB of memory, the hole begins at 2 GiB.
    pub const Q35: RawLayout = RawLayout::HoleFrom(2 * GIB);
}

/// Above this, `q35` splits memory; up to this, no machine of QEMU does.
const MAX_UNSPLIT: u64 = 0xb000_0000;
/// From this on `pc` splits memory.
const MAX_PC_UNSPLIT: u64 = 0xe000_0000;

pub(super) fn parse(len: u64, layout: &RawLayout) -> Result<Image, String> {
    let mut image = Image::default();
    let whole = len - len % PAGE_SIZE;
    match layout {
        RawLayout::Ranges(ranges) => {
            image.extents = listed(ranges, len)?;
            return Ok(image);
        }
        RawLayout::Flat => image.extents.push(Extent { start: 0, len: whole, offset: 0 }),
        RawLayout::HoleFrom(hole) => image.extents = split(whole, *hole),
        RawLayout::Guess if whole < MAX_UNSPLIT => {
            image.extents.push(Extent { start: 0, len: whole, offset: 0 });
        }
        RawLayout::Guess => {
            let hole = if whole < MAX_PC_UNSPLIT { whole } else { 3 * GIB };
            image.extents = split(whole, hole);
            image.soft_errors.push(SoftError::new(
                "memory layout",
                format!(
                    "a raw image does not say where its {whole:#x} bytes stood; taken as QEMU's pc machine has them ({}). If that is wrong, give --ranges flat, pc, q35, or a list",
                    if hole == whole { "without a hole" } else { "a hole from 3 GiB to 4 GiB" }
                ),
            ));
        }
    }
    if whole != len {
        image.soft_errors.push(SoftError::new(
            "memory layout",
            format!(
                "the image is not whole pages: its last {} bytes were left out; it may be cut off",
                len - whole
            ),
        ));
    }
    Ok(image)
}

fn split(len: u64, hole: u64) -> Vec<Extent> {
    let low = len.min(hole);
    let mut extents = vec![Extent { start: 0, len: low, offset: 0 }];
    if len > low {
        extents.push(Extent { start: 4 * GIB, len: len - low, offset: low });
    }
    extents
}

fn listed(ranges: &[AddressRange], len: u64) -> Result<Vec<Extent>, String> {
    let mut extents = Vec::with_capacity(ranges.len());
    let mut offset = 0u64;
    for range in ranges {
        let size = range.end - range.start;
        let start = range.start;
        if start % PAGE_SIZE != 0 || size % PAGE_SIZE != 0 {
            return Err(format!("--ranges {range}: not whole pages of {PAGE_SIZE:#x} bytes"));
        }
        extents.push(Extent { start, len: size, offset });
        offset = offset.saturating_add(size);
    }
    if offset != len {
        return Err(format!(
            "--ranges adds up to {offset:#x} bytes and the file has {len:#x}; give exactly what it holds"
        ));
    }
    Ok(extents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_image_is_flat_and_a_large_guess_is_stated() {
        let small = parse(GIB, &RawLayout::Guess).unwrap();
        assert_eq!(small.extents, [Extent { start: 0, len: GIB, offset: 0 }]);
        assert!(small.soft_errors.is_empty());
        let large = parse(8 * GIB, &RawLayout::Guess).unwrap();
        assert_eq!(large.extents[1], Extent { start: 4 * GIB, len: 5 * GIB, offset: 3 * GIB });
        assert!(large.soft_errors[0].message.contains("--ranges"));
        let q35 = parse(8 * GIB, &RawLayout::Q35).unwrap();
        assert_eq!(q35.extents[1], Extent { start: 4 * GIB, len: 6 * GIB, offset: 2 * GIB });
        assert!(q35.soft_errors.is_empty());
    }

    #[test]
    fn a_list_must_be_exactly_what_the_file_holds() {
        let ranges = vec![AddressRange::new(0, 0x1000), AddressRange::new(0x10000, 0x12000)];
        let image = parse(0x3000, &RawLayout::Ranges(ranges.clone())).unwrap();
        assert_eq!(image.extents[1], Extent { start: 0x10000, len: 0x2000, offset: 0x1000 });
        assert!(parse(0x4000, &RawLayout::Ranges(ranges)).unwrap_err().contains("adds up"));
        let odd = vec![AddressRange::new(0, 0x800)];
        assert!(parse(0x800, &RawLayout::Ranges(odd)).unwrap_err().contains("whole pages"));
    }
}
