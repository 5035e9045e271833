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
        let tag = u128::from_be_bytes(self.tag);
        // The first three fields are little-endian numbers on the wire.
        let first = ((tag >> 96) as u32).swap_bytes();
        let second = ((tag >> 80) as u16).swap_bytes();
        let third = ((tag >> 64) as u16).swap_bytes();
        let (fourth, last) = ((tag >> 48) as u16, tag & 0xFFFF_FFFF_FFFF);
        format!("{first:08x}-{second:04x}-{third:04x}-{fourth:04x}-{last:012x}")
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
