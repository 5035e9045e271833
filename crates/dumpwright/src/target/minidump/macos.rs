//! Mozilla's streams of macOS processes, whose pointers are moved. The
//! structures are those of Breakpad's fork in Mozilla's tree, as the
//! `minidump-common` crate describes them.

use super::tree::{Reader, Tree};
use crate::read::Minidump;
use crate::target::{CarriedContent, CarriedStream};
use dumpwright_format::minidump::StreamType;

/// `MINIDUMP_MAC_CRASH_INFO`: the stream's type, number of records, size of a
/// record's fixed part, and locations of up to 20 records.
const RECORD_COUNT: usize = 4;
const RECORDS: usize = 12;
const MAX_RECORDS: usize = 20;
/// `MINIDUMP_MAC_BOOTARGS`: the stream's type and a 64-bit RVA.
const BOOT_ARGS: usize = 4;

/// The stream with its pointers to be moved; `None` if one leads nowhere.
/// A record is one piece: its strings follow its fixed part.
pub(super) fn carry_crash_info(dump: &Minidump, bytes: &[u8]) -> Option<CarriedStream> {
    let mut reader = Reader::new(dump);
    let mut tree = Tree::new(bytes.to_vec());
    let count = (tree.word(RECORD_COUNT)? as usize).min(MAX_RECORDS);
    for index in 0..count {
        reader.location(&mut tree, RECORDS + 8 * index, |_, bytes| Some(Tree::text(bytes)))?;
    }
    // Locations that do not count must not lead anywhere either.
    tree.clear_from(RECORDS + 8 * count);
    Some(tree.into_stream(StreamType::MOZ_MACOS_CRASH_INFO, CarriedContent::Unknown))
}

/// The stream with its pointer to be moved; `None` if it leads nowhere.
pub(super) fn carry_boot_args(dump: &Minidump, bytes: &[u8]) -> Option<CarriedStream> {
    let mut tree = Tree::new(bytes.to_vec());
    Reader::new(dump).counted64(&mut tree, BOOT_ARGS, 2)?;
    Some(tree.into_stream(StreamType::MOZ_MACOS_BOOTARGS, CarriedContent::Unknown))
}
