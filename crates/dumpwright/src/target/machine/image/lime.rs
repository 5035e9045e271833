//! LiME: a header before each range.

use super::{Extent, Image};
use crate::read::Source;
use dumpwright_format::machine::lime::{LIME_MAGIC, LimeRangeHeader};
use zerocopy::FromBytes;

/// Ranges that are read; `/proc/iomem` of a real machine lists some dozens.
const MAX_RANGES: usize = 65_536;
const HEADER: u64 = size_of::<LimeRangeHeader>() as u64;

pub(super) fn parse(source: &dyn Source) -> Result<Image, String> {
    let mut image = Image::default();
    let mut at = 0;
    while at < source.len() {
        if image.extents.len() == MAX_RANGES {
            return Err(format!("it has more than {MAX_RANGES} ranges; no machine has that"));
        }
        let mut bytes = [0; HEADER as usize];
        let header = source.read_at(at, &mut bytes).ok();
        let header = header
            .and_then(|()| LimeRangeHeader::read_from_bytes(&bytes).ok())
            .ok_or_else(|| cut_off(at, source.len()))?;
        if header.magic.get() != LIME_MAGIC || header.version.get() != 1 {
            return Err(format!(
                "no LiME range header stands at offset {at:#x}, where the range before it ends; it is damaged, or compressed"
            ));
        }
        let (start, last) = (header.s_addr.get(), header.e_addr.get());
        let len = last
            .checked_sub(start)
            .and_then(|less| less.checked_add(1))
            .ok_or_else(|| format!("the range at offset {at:#x} ends before it starts"))?;
        let offset = at + HEADER;
        at = offset
            .checked_add(len)
            .filter(|end| *end <= source.len())
            .ok_or_else(|| cut_off(at, source.len()))?;
        image.extents.push(Extent { start, len, offset });
    }
    Ok(image)
}

fn cut_off(at: u64, len: u64) -> String {
    format!(
        "it is cut off: the range at offset {at:#x} reaches past the end of the file ({len:#x}); take or copy it again"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::IntoBytes;

    fn lime(ranges: &[(u64, u64)]) -> Vec<u8> {
        let mut out = Vec::new();
        for &(start, last) in ranges {
            let header = LimeRangeHeader {
                magic: LIME_MAGIC.into(),
                version: 1.into(),
                s_addr: start.into(),
                e_addr: last.into(),
                reserved: [0; 8],
            };
            out.extend_from_slice(header.as_bytes());
            out.resize(out.len() + (last - start + 1) as usize, 0xaa);
        }
        out
    }

    #[test]
    fn ranges_are_found_where_their_headers_say() {
        let file = lime(&[(0x1000, 0x1fff), (0x10_0000, 0x10_2fff)]);
        let image = parse(&file).unwrap();
        assert_eq!(
            image.extents,
            [
                Extent { start: 0x1000, len: 0x1000, offset: 32 },
                Extent { start: 0x10_0000, len: 0x3000, offset: 0x1000 + 64 }
            ]
        );
    }

    #[test]
    fn a_cut_or_senseless_image_is_refused() {
        let file = lime(&[(0x1000, 0x1fff), (0x10_0000, 0x10_2fff)]);
        for len in [10, 40, 0x1020 + 10, file.len() - 1] {
            assert!(parse(&file[..len].to_vec()).unwrap_err().contains("cut off"), "{len}");
        }
        let mut backwards = lime(&[(0x1000, 0x1fff)]);
        backwards[16..24].copy_from_slice(&0u64.to_le_bytes());
        assert!(parse(&backwards).unwrap_err().contains("before it starts"));
        let mut all = lime(&[(0, 0xfff)]);
        all[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(parse(&all).is_err());
    }
}
