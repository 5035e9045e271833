//! The mappings of a process, as `/proc/<pid>/smaps` or `maps` lists them.
//!
//! One read of `smaps` gives both the `maps` lines, byte for byte, and the
//! `VmFlags` that say which mappings must not be read. Names are bytes: a path
//! is whatever the target's file system holds.
//!
//! `smaps` is read while the process is held, although the kernel counts pages
//! for it, about 40 ms for each GiB in small pages. Flags that were read before
//! would be stale where it counts: a program that marks memory `MADV_DONTDUMP`
//! and then stores its secrets there, or has a userfaultfd watch it, changes
//! nothing that the quick `maps` shows.

use super::mapping::{Mapping, VmFlags};
use super::proc_dir::ProcDir;
use crate::address::AddressRange;
use crate::error::{Error, Result};
use crate::packed::Packed;
use crate::soft_error::SoftError;
use crate::target::stream_bytes::TextPacker;
use crate::target::{Protection, StreamBytes};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

/// The mappings in order, and where they came from.
#[derive(Clone, Debug, Default)]
pub(in crate::target) struct Maps {
    /// In order of address, without overlaps.
    pub mappings: Packed<Mapping>,
    /// The text of `/proc/<pid>/maps`.
    pub text: StreamBytes,
}

impl Maps {
    /// Reads the mappings of a process.
    ///
    /// # Errors
    /// [`Error::Target`] if there is neither `smaps` nor `maps`,
    /// [`Error::ProcessEnded`] if they are empty.
    pub(super) fn read(proc: &ProcDir, notes: &mut Vec<SoftError>) -> Result<Maps> {
        let root = proc.root_prefix();
        let parse = |source| Maps::parse_seen(source, |path| root.strip(path));
        let (maps, bad) = match File::open(proc.path("smaps")).and_then(parse) {
            Ok(parsed) => parsed,
            Err(error) => {
                let message = format!(
                    "cannot be read ({error}); mappings of devices were told by their names alone"
                );
                notes.push(SoftError::new("/proc smaps", message));
                let path = proc.path("maps");
                File::open(&path).and_then(parse).map_err(|source| Error::Target {
                    pid: proc.pid,
                    what: path.display().to_string(),
                    source,
                })?
            }
        };
        if bad > 0 {
            let message = format!("{bad} lines were not understood and left out");
            notes.push(SoftError::new("/proc maps", message));
        }
        // A process without memory has ended, or is doing so.
        if maps.mappings.is_empty() { Err(Error::ProcessEnded(proc.pid)) } else { Ok(maps) }
    }

    /// Parses `smaps` or `maps`; also counts lines that make no sense. Line by
    /// line: the `smaps` of a process with many mappings is a hundred MiB.
    pub fn parse(source: impl Read) -> io::Result<(Maps, usize)> {
        Self::parse_seen(source, |path| path)
    }

    /// As [`parse`](Self::parse), with the paths of files as `seen` makes them.
    /// The text stays as it is.
    fn parse_seen(
        source: impl Read,
        seen: impl for<'p> Fn(&'p [u8]) -> &'p [u8],
    ) -> io::Result<(Maps, usize)> {
        let mut source = BufReader::with_capacity(64 << 10, source);
        let mut maps = Maps::default();
        let mut bad = 0;
        // `VmFlags` lines belong to the mapping last seen, if it was taken.
        let mut last: Option<Mapping> = None;
        let mut end = 0;
        let mut line = Vec::new();
        let mut text = TextPacker::default();
        while source.read_until(b'\n', &mut line)? > 0 {
            match line.first() {
                Some(b'0'..=b'9' | b'a'..=b'f') => {
                    maps.mappings.extend(last.take());
                    text.push(&line);
                    match parse_line(&line).filter(|(m, _)| m.range.start >= end) {
                        Some((mapping, name)) => {
                            let name = if mapping.is_file() { seen(&name) } else { &name };
                            end = mapping.range.end;
                            last = Some(Mapping { name: name.into(), ..mapping });
                        }
                        None => bad += 1,
                    }
                }
                Some(b'V') => {
                    if let (Some(flags), Some(mapping)) =
                        (line.strip_prefix(b"VmFlags:"), &mut last)
                    {
                        mapping.flags = Some(parse_flags(flags));
                    }
                }
                _ => {}
            }
            line.clear();
        }
        maps.mappings.extend(last);
        maps.text = text.finish();
        Ok((maps, bad))
    }

    /// The mapping that holds `address`.
    pub fn at(&self, address: u64) -> Option<Mapping> {
        self.mappings.at(address)
    }
}

/// Parses `start-end rwxp offset major:minor inode   name`.
/// The name stands apart.
fn parse_line(line: &[u8]) -> Option<(Mapping, Cow<'_, [u8]>)> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let (start, rest) = hex(line)?;
    let (end, rest) = hex(rest.strip_prefix(b"-")?)?;
    let (permissions, rest) = rest.strip_prefix(b" ")?.split_at_checked(4)?;
    let (offset, rest) = hex(rest.strip_prefix(b" ")?)?;
    let (major, rest) = hex(rest.strip_prefix(b" ")?)?;
    let (minor, rest) = hex(rest.strip_prefix(b":")?)?;
    let rest = rest.strip_prefix(b" ")?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let inode = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
    // The kernel pads the columns with blanks; a name itself begins with `/`,
    // `[` or a letter.
    let name = &rest[digits..];
    let blanks = name.iter().take_while(|b| **b == b' ').count();
    if start >= end {
        return None;
    }
    let set = |at: usize, byte, flag| {
        if permissions[at] == byte { flag } else { Protection::empty() }
    };
    let mapping = Mapping {
        range: AddressRange::new(start, end),
        protection: set(0, b'r', Protection::READ)
            | set(1, b'w', Protection::WRITE)
            | set(2, b'x', Protection::EXECUTE),
        shared: permissions[3] == b's',
        offset,
        device: (major as u32, minor as u32),
        inode,
        name: Arc::default(),
        flags: None,
    };
    Some((mapping, unescape(&name[blanks..])))
}

/// A hexadecimal number and what follows it; `None` without digits or with
/// more than 64 bits.
fn hex(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let number = std::str::from_utf8(&text[..digits]).ok()?;
    Some((u64::from_str_radix(number, 16).ok()?, &text[digits..]))
}

/// Undoes the one escape of these files: a newline in a path is `\012`.
fn unescape(name: &[u8]) -> Cow<'_, [u8]> {
    if !name.contains(&b'\\') {
        return Cow::Borrowed(name);
    }
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
    Cow::Owned(out)
}

fn parse_flags(text: &[u8]) -> VmFlags {
    text.split(u8::is_ascii_whitespace).fold(VmFlags::empty(), |flags, word| {
        flags
            | match word {
                b"io" => VmFlags::IO,
                b"pf" => VmFlags::PFN,
                b"dd" => VmFlags::DONT_DUMP,
                b"um" | b"uw" | b"ui" => VmFlags::USER_FAULT,
                _ => VmFlags::empty(),
            }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: &[u8] =
        b"7f00000000-7f00002000 r-xp 00001000 08:01 1234                       /a b\\012c (deleted)\n";

    #[test]
    fn a_line_gives_all_its_columns_and_the_name_as_bytes() {
        let (maps, bad) = Maps::parse(LINE).unwrap();
        assert_eq!(bad, 0);
        let m = maps.mappings.iter().next().unwrap();
        assert_eq!(m.range, AddressRange::new(0x7f_0000_0000, 0x7f_0000_2000));
        assert_eq!(m.protection, Protection::READ | Protection::EXECUTE);
        assert!(!m.shared);
        assert_eq!((m.offset, m.device, m.inode), (0x1000, (8, 1), 1234));
        assert_eq!(*m.name, *b"/a b\nc (deleted)");
        assert_eq!(m.flags, None);
    }

    #[test]
    fn smaps_details_give_flags_and_leave_no_trace_in_the_text() {
        let mut text = LINE.to_vec();
        text.extend_from_slice(b"Size: 8 kB\nAnonymous: 0 kB\nVmFlags: rd io pf dd \n");
        text.extend_from_slice(b"7f00003000-7f00004000 rw-p 00000000 00:00 0 \n");
        let (maps, bad) = Maps::parse(&text[..]).unwrap();
        assert_eq!(bad, 0);
        let flags = VmFlags::IO | VmFlags::PFN | VmFlags::DONT_DUMP;
        let found: Vec<_> = maps.mappings.iter().map(|m| m.flags).collect();
        assert_eq!(found, [Some(flags), None]);
        let plain = [LINE, b"7f00003000-7f00004000 rw-p 00000000 00:00 0 \n".as_slice()].concat();
        assert_eq!(maps.text, plain.into());
    }

    #[test]
    fn a_line_out_of_order_is_left_out_with_its_flags() {
        let mut text = LINE.to_vec();
        text.extend_from_slice(b"1000-2000 rw-p 00000000 00:00 0 \nVmFlags: io\n");
        let (maps, bad) = Maps::parse(&text[..]).unwrap();
        assert_eq!((maps.mappings.len(), bad), (1, 1));
        assert_eq!(maps.mappings.last().unwrap().flags, None);
    }

    #[test]
    fn the_text_is_that_of_the_kernels_own_maps() {
        let child = crate::target::linux::testkit::Child::sleeping();
        let maps = Maps::read(&child.proc_dir(), &mut Vec::new()).unwrap();
        let plain = child.proc_dir().read("maps").unwrap();
        assert_eq!(String::from_utf8_lossy(&maps.text.to_bytes()), String::from_utf8_lossy(&plain));
        assert!(maps.mappings.iter().all(|m| m.flags.is_some()));
    }

    proptest! {
        #[test]
        fn whatever_the_text_the_mappings_are_ordered(
            lines in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..60),
                    "[0-9a-f]{0,20}-[0-9a-f]{0,20} [rwxps-]{0,5} [0-9a-f]{0,9} 0:0 [0-9]{0,22} .{0,9}"
                        .prop_map(String::into_bytes),
                ],
                0..20,
            )
        ) {
            let (maps, _) = Maps::parse(&lines.join(&b'\n')[..]).unwrap();
            let mappings: Vec<_> = maps.mappings.iter().collect();
            for pair in mappings.windows(2) {
                prop_assert!(pair[0].range.end <= pair[1].range.start);
            }
            prop_assert!(maps.mappings.iter().all(|m| !m.range.is_empty()));
        }
    }
}
