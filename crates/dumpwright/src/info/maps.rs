//! The address space as `/proc/PID/maps` tells it.

use super::model::MemoryKind;
use crate::address::AddressRange;

/// The regions of a maps file, with what they are. Lines that make no sense are
/// passed over.
pub(super) fn regions(maps: &str) -> impl Iterator<Item = (AddressRange, MemoryKind)> + '_ {
    maps.lines().filter_map(region)
}

fn region(line: &str) -> Option<(AddressRange, MemoryKind)> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let start = u64::from_str_radix(start, 16).ok()?;
    let end = u64::from_str_radix(end, 16).ok()?;
    let permissions = fields.next()?;
    // Offset, device and inode come before the name.
    let name = fields.nth(3).unwrap_or("");
    let kind = if name == "[heap]" {
        MemoryKind::Heap
    } else if name.starts_with("[stack") {
        MemoryKind::Stack
    } else if name.starts_with("[vdso]") || name.starts_with("[vsyscall]") {
        MemoryKind::Image
    } else if name.starts_with('/') || permissions.ends_with('s') {
        MemoryKind::Mapped
    } else {
        MemoryKind::Private
    };
    Some((AddressRange::new(start, end), kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_from_names_and_permissions() {
        let maps = "\
            1000-2000 rw-p 00000000 00:00 0          [heap]\n\
            2000-3000 r--p 00000000 08:01 12         /usr/share/a file\n\
            3000-4000 rw-s 00000000 00:00 0\n\
            4000-5000 rw-p 00000000 00:00 0\n\
            nonsense\n\
            5000-6000 rw-p 00000000 00:00 0          [stack]\n";
        let kinds: Vec<_> = regions(maps).map(|(_, kind)| kind.name()).collect();
        assert_eq!(kinds, ["heap", "mapped", "mapped", "private", "stack"]);
    }
}
