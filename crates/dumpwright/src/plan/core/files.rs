//! `NT_FILE`: the mapped files, from the text of `/proc/<pid>/maps`, which has
//! their offsets.

use super::Text;
use crate::target::ProcessSnapshot;
use dumpwright_format::elf_core::{FileNoteEntry, FileNoteHeader};
use zerocopy::IntoBytes;

/// The note; `None` if no files are known. `maps` has been filtered already.
pub(super) fn note(
    snapshot: &ProcessSnapshot,
    maps: Option<&[u8]>,
    text: Text<'_>,
) -> Option<Vec<u8>> {
    let page_size = snapshot.page_size;
    let mut entries = Vec::new();
    let mut names = Vec::new();
    let mut add = |start: u64, end: u64, offset: u64, name: &[u8]| {
        entries.push(FileNoteEntry {
            start: start.into(),
            end: end.into(),
            offset: (offset / page_size).into(),
        });
        names.extend_from_slice(name);
        names.push(0);
    };
    match maps {
        Some(maps) => {
            for (start, end, offset, name) in maps.split(|b| *b == b'\n').filter_map(line) {
                add(start, end, offset, &name);
            }
        }
        // A dump without maps still names its modules.
        None => {
            for module in snapshot.modules.iter().filter(|m| m.path.starts_with('/')) {
                let path = text.path(&module.path);
                add(module.base, module.range().end, 0, &path);
            }
        }
    }
    if entries.is_empty() {
        return None;
    }
    let header =
        FileNoteHeader { count: (entries.len() as u64).into(), page_size: page_size.into() };
    Some([header.as_bytes(), entries.as_bytes(), &names].concat())
}

/// `start-end rwxp offset major:minor inode   name` of a mapping that is a
/// file's: one with a name that is no label of the kernel's.
fn line(line: &[u8]) -> Option<(u64, u64, u64, Vec<u8>)> {
    let mut rest = line;
    let mut field = || {
        let (first, after) = rest.split_at(rest.iter().position(|b| *b == b' ')?);
        rest = after.trim_ascii_start();
        std::str::from_utf8(first).ok()
    };
    let (start, end) = field()?.split_once('-')?;
    field()?;
    let offset = field()?;
    field()?;
    field()?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let (start, end, offset) = (hex(start)?, hex(end)?, hex(offset)?);
    // Names that cannot be names of files would be taken for such by readers.
    let is_file = !rest.is_empty() && rest[0] != b'[';
    (is_file && start < end).then(|| (start, end, offset, unescape(rest)))
}

/// A newline in a path is `\012` in the text.
fn unescape(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((first, tail)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(b"\\012") {
            out.push(b'\n');
            rest = after;
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_are_listed_with_their_offset_and_whole_name() {
        let file = b"1000-3000 r-xp 00002000 08:01 77          /a b\\012c (deleted)";
        assert_eq!(line(file), Some((0x1000, 0x3000, 0x2000, b"/a b\nc (deleted)".to_vec())));
        for other in [
            &b"1000-2000 rw-p 00000000 00:00 0 "[..],
            b"1000-2000 rw-p 00000000 00:00 0          [stack]",
            b"nonsense",
            b"",
        ] {
            assert_eq!(line(other), None);
        }
    }
}
