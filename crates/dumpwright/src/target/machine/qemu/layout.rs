//! Where QEMU keeps the guest's memory: `info mtree -f`, as text.

/// A part of the guest's physical memory that lies in one memory region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Region {
    /// First physical address.
    pub start: u64,
    /// Bytes.
    pub len: u64,
    /// Name of the region: of a memory backend, its id.
    pub name: String,
    /// Where in the region it starts.
    pub offset: u64,
}

/// Regions that are read; a machine has some hundreds.
const MAX_REGIONS: usize = 8192;

/// RAM and ROM in the view that the processors have of memory.
pub(super) fn regions(mtree: &str) -> Vec<Region> {
    let mut in_memory = false;
    let mut in_view = false;
    let mut regions = Vec::new();
    for line in mtree.lines() {
        if line.starts_with("FlatView") {
            (in_view, in_memory) = (true, false);
        } else if in_view && line.trim_start().starts_with("AS \"memory\"") {
            in_memory = true;
        } else if in_memory && regions.len() < MAX_REGIONS {
            regions.extend(region(line));
        }
    }
    regions
}

/// `  0000000000100000-000000000fffffff (prio 0, ram): m0 @0000000000100000 KVM`
fn region(line: &str) -> Option<Region> {
    let (range, rest) = line.trim_start().split_once(" (prio ")?;
    let (start, last) = range.split_once('-')?;
    let start = u64::from_str_radix(start, 16).ok()?;
    let last = u64::from_str_radix(last, 16).ok()?;
    let (kind, name) = rest.split_once("): ")?;
    let kind = kind.rsplit(' ').next()?;
    if !matches!(kind, "ram" | "rom") {
        return None;
    }
    let (name, offset) = match name.split_once(" @") {
        Some((name, offset)) => {
            let digits = offset.split(' ').next()?;
            (name, u64::from_str_radix(digits, 16).ok()?)
        }
        None => (name.split(' ').next()?, 0),
    };
    let name = name.rsplit('/').next()?.to_owned();
    Some(Region { start, len: last.checked_sub(start)?.checked_add(1)?, name, offset })
}

/// The address in the answer to `gpa2hva`.
pub(super) fn host_address(answer: &str) -> Option<u64> {
    let digits = answer.trim().rsplit_once(" is 0x")?.1;
    u64::from_str_radix(digits, 16).ok()
}

/// The words in the answer to `xp /NNgx`.
pub(super) fn words(answer: &str) -> Vec<u64> {
    let words = answer.lines().filter_map(|line| line.split_once(": "));
    words
        .flat_map(|(_, words)| words.split_whitespace())
        .filter_map(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ram_and_rom_of_the_processors_view_are_found() {
        let text = "FlatView #0\n AS \"I/O\", root: io\n Root memory region: io\n  0000000000000000-0000000000000007 (prio 0, ram): wrong\n\nFlatView #1\n AS \"memory\", root: system\n AS \"cpu-memory-0\", root: system\n Root memory region: system\n  0000000000000000-000000000009ffff (prio 0, ram): m0 KVM\n  00000000000a0000-00000000000bffff (prio 1, i/o): vga-lowmem\n  00000000000c0000-00000000000c9fff (prio 0, rom): /objects/m0 @00000000000c0000 KVM\n  00000000fd000000-00000000fdffffff (prio 1, ram): vga.vram\n\n";
        let found = regions(text);
        assert_eq!(
            found[..2],
            [
                Region { start: 0, len: 0xa_0000, name: "m0".into(), offset: 0 },
                Region { start: 0xc_0000, len: 0xa000, name: "m0".into(), offset: 0xc_0000 },
            ]
        );
        assert_eq!(found[2].name, "vga.vram");
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn answers_of_the_human_monitor_are_read() {
        let answer = "Host virtual address for 0x0 (m0) is 0x7f1d8ffff000\r\n";
        assert_eq!(host_address(answer), Some(0x7f1d_8fff_f000));
        assert_eq!(host_address("Memory at address 0xa0000 is not RAM"), None);
        let answer = "0000000000000000: 0xf000ff53f000ff53 0x0000000000000001\r\n";
        assert_eq!(words(answer), [0xf000_ff53_f000_ff53, 1]);
        assert!(regions("garbage\n(prio\n 5-3 (prio 0, ram): x").is_empty());
    }
}
