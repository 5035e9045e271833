//! `NT_FILE`: the mapped files, from the text of `/proc/<pid>/maps`, which has
//! their offsets.

use super::Text;
use crate::target::{ModuleSnapshot, ProcessSnapshot, StreamBytes};
use dumpwright_format::elf_core::{FileNoteEntry, FileNoteHeader};
use std::io::{self, Write};
use zerocopy::IntoBytes;

/// The description of the note. Made while it is written: a process with many
/// mappings has tens of MiB of them.
#[derive(Clone, Debug)]
pub struct FileNote {
    files: Files,
    page_size: u64,
    count: u64,
    size: u64,
}

#[derive(Clone, Debug)]
enum Files {
    /// In the text of `/proc/<pid>/maps`, filtered already.
    Maps(StreamBytes),
    /// Base, end and path of each module of a dump without that text.
    Modules(Vec<(u64, u64, Vec<u8>)>),
}

impl FileNote {
    /// The note; `None` if no files are known.
    pub(super) fn new(
        snapshot: &ProcessSnapshot,
        maps: Option<StreamBytes>,
        text: Text<'_>,
    ) -> Option<FileNote> {
        let files = maps.map_or_else(
            || {
                let modules = snapshot.modules.iter().filter(|m| m.path.starts_with('/'));
                let file = |m: &ModuleSnapshot| (m.base, m.range().end, text.path(&m.path));
                Files::Modules(modules.map(file).collect())
            },
            Files::Maps,
        );
        let mut note = FileNote { files, page_size: snapshot.page_size, count: 0, size: 0 };
        let (mut count, mut size) = (0, size_of::<FileNoteHeader>());
        note.each(&mut |_, name| {
            count += 1;
            size += size_of::<FileNoteEntry>() + name.len() + 1;
            Ok(())
        })
        .ok()?;
        (note.count, note.size) = (count, size as u64);
        (count > 0).then_some(note)
    }

    /// Its bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Writes it.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let header = FileNoteHeader { count: self.count.into(), page_size: self.page_size.into() };
        out.write_all(header.as_bytes())?;
        self.each(&mut |entry, _| out.write_all(entry.as_bytes()))?;
        self.each(&mut |_, name| {
            out.write_all(name)?;
            out.write_all(&[0])
        })
    }

    fn each(&self, take: &mut dyn FnMut(FileNoteEntry, &[u8]) -> io::Result<()>) -> io::Result<()> {
        let entry = |start: u64, end: u64, offset: u64| FileNoteEntry {
            start: start.into(),
            end: end.into(),
            offset: (offset / self.page_size).into(),
        };
        match &self.files {
            Files::Maps(maps) => maps.pieces().try_for_each(|piece| {
                let mut lines = piece.split(|b| *b == b'\n').filter_map(line);
                lines.try_for_each(|(start, end, at, name)| take(entry(start, end, at), &name))
            }),
            Files::Modules(modules) => {
                let mut modules = modules.iter();
                modules.try_for_each(|(start, end, path)| take(entry(*start, *end, 0), path))
            }
        }
    }
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
