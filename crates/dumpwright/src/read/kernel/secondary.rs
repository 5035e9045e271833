//! Secondary data behind a dump.

use super::{Bytes, malformed};
use crate::read::error::ReadError;
use dumpwright_format::kernel::{BLOB_SIGNATURE1, BLOB_SIGNATURE2, BlobFileHeader, BlobHeader};

/// Blocks that are listed.
const MAX_BLOCKS: usize = 0x1_0000;

/// A block of secondary data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecondaryBlock {
    /// Its `GUID`, as on the wire.
    pub tag: [u8; 16],
    /// File offset of its data.
    pub offset: u64,
    /// Bytes of its data.
    pub size: u32,
}

impl SecondaryBlock {
    /// The tag as a GUID is written.
    pub fn guid(&self) -> String {
        let t = &self.tag;
        let a = u32::from_le_bytes([t[0], t[1], t[2], t[3]]);
        let (b, c) = (u16::from_le_bytes([t[4], t[5]]), u16::from_le_bytes([t[6], t[7]]));
        let d = u16::from_be_bytes([t[8], t[9]]);
        let e = u64::from_be_bytes([0, 0, t[10], t[11], t[12], t[13], t[14], t[15]]);
        format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
    }
}

/// The blocks from `at` on; none if nothing stands there.
pub fn read(bytes: &Bytes<'_>, at: u64, note: &mut dyn FnMut(ReadError)) -> Vec<SecondaryBlock> {
    let mut blocks = Vec::new();
    let Ok(header) = bytes.get::<BlobFileHeader>(at) else { return blocks };
    if header.signature1.get() != BLOB_SIGNATURE1 || header.signature2.get() != BLOB_SIGNATURE2 {
        return blocks;
    }
    let mut at = at.saturating_add(header.header_size.get().into());
    while at < bytes.len && blocks.len() < MAX_BLOCKS {
        let header = match bytes.get::<BlobHeader>(at) {
            Ok(header) => header,
            Err(fault) => {
                note(fault);
                break;
            }
        };
        let size = u64::from(header.header_size.get());
        if size < size_of::<BlobHeader>() as u64 {
            note(
                malformed(
                    at,
                    format!("the head of a block of secondary data says it has {size} bytes"),
                )
                .into(),
            );
            break;
        }
        let offset = at.saturating_add(size).saturating_add(header.pre_pad.get().into());
        let end = offset.saturating_add(header.data_size.get().into());
        if end > bytes.len {
            note(
                malformed(at, "a block of secondary data reaches past the end of the file").into(),
            );
            break;
        }
        blocks.push(SecondaryBlock { tag: header.tag, offset, size: header.data_size.get() });
        at = end.saturating_add(header.post_pad.get().into());
    }
    blocks
}
