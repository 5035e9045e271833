//! `/proc/PID/maps` as a dump of a Linux process has it.

use crate::address::AddressRange;
use crate::target::Protection;

/// A line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::target) struct Mapping {
    pub range: AddressRange,
    pub protection: Protection,
    pub shared: bool,
    pub name: String,
}

/// The mappings, in order and without overlaps. Lines that make no sense are
/// passed over.
pub(super) fn parse(maps: &[u8]) -> Vec<Mapping> {
    let text = String::from_utf8_lossy(maps);
    let mut mappings: Vec<Mapping> = text.lines().filter_map(mapping).collect();
    mappings.sort_by_key(|m| m.range.start);
    let mut end = 0;
    mappings.retain(|m| {
        let fits = m.range.start >= end && !m.range.is_empty();
        if fits {
            end = m.range.end;
        }
        fits
    });
    mappings
}

/// `start-end rwxp offset device inode    name`; the name may hold spaces.
fn mapping(line: &str) -> Option<Mapping> {
    let mut rest = line;
    let mut field = || {
        let (field, after) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = after.trim_start_matches(' ');
        field
    };
    let (start, end) = field().split_once('-')?;
    let permissions = field();
    let (_offset, _device, _inode) = (field(), field(), field());
    let mut protection = Protection::empty();
    protection.set(Protection::READ, permissions.contains('r'));
    protection.set(Protection::WRITE, permissions.contains('w'));
    protection.set(Protection::EXECUTE, permissions.contains('x'));
    Some(Mapping {
        range: AddressRange::new(
            u64::from_str_radix(start, 16).ok()?,
            u64::from_str_radix(end, 16).ok()?,
        ),
        protection,
        shared: permissions.ends_with('s'),
        name: rest.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_have_protection_and_names_with_spaces() {
        let maps = parse(
            b"1000-2000 rw-p 00000000 00:00 0          [heap]\nnonsense\n\
              1800-3000 rw-p 00000000 00:00 0\n\
              3000-4000 r-xs 00000000 08:01 12         /usr/a file\n",
        );
        assert_eq!(maps.len(), 2, "{maps:?}");
        assert_eq!(maps[0].name, "[heap]");
        assert_eq!((maps[1].name.as_str(), maps[1].shared), ("/usr/a file", true));
        assert_eq!(maps[1].protection, Protection::READ | Protection::EXECUTE);
    }
}
