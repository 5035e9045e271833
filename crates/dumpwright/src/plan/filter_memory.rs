//! What is changed in the copy of the target's memory.
//!
//! - FILTER_MEMORY zeroes every word of every stack that a stack trace does
//!   not need. What stays is what can be a return address, a frame pointer or
//!   a saved stack address: words that point into a module, into other
//!   executable memory, or into a stack. Everything below the stack pointer
//!   is zeroed. A stack that the dump does not show as one, such as that of a
//!   main thread that has ended, is filtered all the same: other flags can
//!   bring it in.
//! - FILTER_PATHS, FILTER_TRIAGE and NO_OPTIONAL_DATA change the strings that
//!   the kernel and the dynamic linker left in memory: arguments, environment,
//!   the name of the executable, the link map's names.

use super::Context;
use super::filter_text::Privacy;
use super::stacks::{self, HOME_REACH, Stack};
use super::windows;
use crate::address::{AddressRange, RangeSet};
use crate::redact::{Audit, AuditKind};
use crate::target::{Access, Protection};
use dumpwright_format::FormatFlags;

/// More than the kernel gives arguments and environment (6 MiB). Only a program
/// that lies about where its own are (`PR_SET_MM_MAP`) has more.
const MAX_STRINGS: u64 = 8 << 20;

/// Changes to the copy of memory, applied to each piece as it is read.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    /// Bytes that stand instead of the target's, by address, without overlaps.
    replacements: Vec<(u64, Vec<u8>)>,
    filter: Option<StackFilter>,
}

/// FILTER_MEMORY, ready to be applied.
#[derive(Clone, Debug)]
struct StackFilter {
    /// Where stacks are, and in each the lowest live address.
    stacks: Vec<(AddressRange, u64)>,
    /// What a word must point to, to stay.
    keep: RangeSet,
    /// Bytes of a word.
    word: u64,
}

impl Edits {
    /// The edits that the flags ask for.
    pub(crate) fn new(context: &Context<'_>, privacy: Privacy, stacks: &[Stack]) -> Self {
        let filter = context
            .has(FormatFlags::USER_SMALL_FILTER_MEMORY)
            .then(|| StackFilter::new(context, stacks));
        Edits { replacements: replacements(context, privacy), filter }
    }

    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.replacements.is_empty() && self.filter.is_none()
    }

    /// Lists what is changed in the memory of a dump.
    pub(crate) fn audit(&self, memory: &RangeSet, audit: &mut Audit) {
        for (start, new) in &self.replacements {
            let kind = if new.iter().all(|b| *b == 0) { AuditKind::Text } else { AuditKind::Path };
            for part in memory.within(AddressRange::with_len(*start, new.len() as u64)) {
                audit.memory(kind, part.start, part.len());
            }
        }
        for (extent, _) in self.filter.iter().flat_map(|filter| &filter.stacks) {
            for part in memory.within(*extent) {
                audit.memory(AuditKind::Stack, part.start, part.len());
            }
        }
    }

    /// Changes `bytes`, which were read at `address`. Pieces must be cut at
    /// addresses that are multiples of 8, so that no word is seen in halves.
    pub fn apply(&self, address: u64, bytes: &mut [u8]) {
        let piece = AddressRange::with_len(address, bytes.len() as u64);
        let first = self
            .replacements
            .partition_point(|(start, new)| start + new.len() as u64 <= piece.start);
        for (start, new) in &self.replacements[first..] {
            let part = AddressRange::with_len(*start, new.len() as u64).intersection(piece);
            if *start >= piece.end {
                break;
            }
            let from = (part.start - start) as usize;
            let to = (part.start - address) as usize;
            let len = part.len() as usize;
            bytes[to..to + len].copy_from_slice(&new[from..from + len]);
        }
        if let Some(filter) = &self.filter {
            filter.apply(piece, bytes);
        }
    }
}

impl StackFilter {
    fn new(context: &Context<'_>, stacks: &[Stack]) -> Self {
        let mut extents: Vec<(AddressRange, u64)> = stacks
            .iter()
            .map(|s| (stack_extent(context, s), s.live.start))
            .chain(stacks::homes(context).into_iter().map(|home| (home, home.end)))
            .collect();
        extents.sort_unstable();
        // Two threads never share a stack, but a wrong stack pointer can make
        // it look so: then the union is filtered, live from the lowest on.
        extents.dedup_by(|next, previous| {
            let overlaps = next.0.overlaps(previous.0);
            if overlaps {
                previous.0.end = previous.0.end.max(next.0.end);
                previous.1 = previous.1.min(next.1);
            }
            overlaps
        });
        let code = context
            .snapshot
            .regions
            .iter()
            .filter(|r| r.protection.contains(Protection::EXECUTE) && r.access == Access::Normal)
            .map(|r| r.range);
        let modules = context.snapshot.modules.iter().map(crate::target::ModuleSnapshot::range);
        // A call that never returns can be the last instruction of its range;
        // its return address is then the first one past the end.
        let return_addresses = code
            .chain(modules)
            .map(|range| AddressRange::new(range.start, range.end.saturating_add(1)));
        let keep = return_addresses.chain(extents.iter().map(|(e, _)| *e)).collect();
        let word = context.snapshot.system.architecture.pointer_size();
        StackFilter { stacks: extents, keep, word }
    }

    fn apply(&self, piece: AddressRange, bytes: &mut [u8]) {
        let first = self.stacks.partition_point(|(extent, _)| extent.end <= piece.start);
        for (extent, live) in &self.stacks[first..] {
            if extent.start >= piece.end {
                break;
            }
            let part = extent.intersection(piece);
            let start = (part.start - piece.start) as usize;
            let slice = &mut bytes[start..start + part.len() as usize];
            self.apply_to_stack(part.start, *live, slice);
        }
    }

    /// Zeroes what is no use in the part of a stack at `start`, whose live part
    /// begins at `live`.
    fn apply_to_stack(&self, start: u64, live: u64, bytes: &mut [u8]) {
        let size = self.word as usize;
        // A dump's memory can start and end anywhere: halves of words go.
        let lead = ((start.wrapping_neg() % self.word) as usize).min(bytes.len());
        let (halves, whole) = bytes.split_at_mut(lead);
        halves.fill(0);
        let mut words = whole.chunks_exact_mut(size);
        let mut address = start + lead as u64;
        let mut texts = TextRuns::default();
        let mut kept = Vec::new();
        for word in &mut words {
            let value = stacks::little_endian(word);
            if address < live || self.keep.find(value).is_none() {
                word.fill(0);
            } else if size == 4 {
                kept.push(address);
            }
            if size == 4 {
                texts.push(address, value as u32);
            }
            address += self.word;
        }
        words.into_remainder().fill(0);
        let base = start + lead as u64;
        for address in kept.into_iter().filter(|address| texts.holds(*address)) {
            let at = (address - base) as usize;
            whole[at..at + size].fill(0);
        }
    }
}

/// Runs of words that read as text. A 32-bit address space is so full that four
/// letters, or two of UTF-16, can be an address in a module; several in a row
/// are a string.
#[derive(Default)]
struct TextRuns {
    runs: Vec<AddressRange>,
}

impl TextRuns {
    /// Words in a row that make a string.
    const MIN: u64 = 3;

    fn push(&mut self, address: u64, word: u32) {
        if !is_text(word) {
            return;
        }
        match self.runs.last_mut() {
            Some(last) if last.end == address => last.end += 4,
            _ => self.runs.push(AddressRange::with_len(address, 4)),
        }
    }

    fn holds(&self, address: u64) -> bool {
        let next = self.runs.partition_point(|run| run.end <= address);
        self.runs.get(next).is_some_and(|run| run.contains(address) && run.len() >= 4 * Self::MIN)
    }
}

/// Whether four bytes are text of ASCII or UTF-16.
fn is_text(word: u32) -> bool {
    let letter = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    match word.to_le_bytes() {
        [a, 0, b, 0] => letter(a) && letter(b),
        bytes => bytes.into_iter().all(letter),
    }
}

/// What of a stack's mapping is filtered. A foreign stack's ends are not known;
/// what is taken of it says nothing about dead frames below it, nor about what
/// other flags take of it.
fn stack_extent(context: &Context<'_>, stack: &Stack) -> AddressRange {
    let foreign = stack.extent == stack.live;
    match context.region_at(stack.live.start).filter(|_| foreign) {
        Some(region) => AddressRange::new(
            stack.live.start.saturating_sub(HOME_REACH),
            stack.live.start.saturating_add(HOME_REACH),
        )
        .intersection(region.range),
        None => stack.extent,
    }
}

/// The strings to change: arguments and environment, and names of files.
fn replacements(context: &Context<'_>, privacy: Privacy) -> Vec<(u64, Vec<u8>)> {
    let mut replacements = Vec::new();
    let mut zeroed = Vec::new();
    let mut replace = |range: AddressRange, change: &dyn Fn(&[u8]) -> Vec<u8>| {
        // What was never populated holds no string, and is not to be read.
        for part in context.readable_parts(range) {
            for part in context.memory.populated(part) {
                let mut bytes = vec![0; part.len() as usize];
                context.memory.read(&[part], &mut bytes, &mut Vec::new());
                let changed = change(&bytes);
                if changed != bytes {
                    replacements.push((part.start, changed));
                }
            }
        }
    };
    if let Some(stack) = &context.snapshot.initial_stack {
        // They can touch or overlap: AT_EXECFN's string follows the
        // environment, and a program may have moved its arguments.
        let strings: RangeSet =
            [stack.arguments, stack.environment, stack.exec_fn, stack.first_strings]
                .into_iter()
                .map(|range| AddressRange::with_len(range.start, range.len().min(MAX_STRINGS)))
                .collect();
        for range in strings.ranges() {
            if privacy.drops_arguments() {
                // Whatever stands there, and whether or not it can be read now.
                let parts = context.readable_parts(range).into_iter();
                zeroed.extend(parts.map(|part| (part.start, vec![0; part.len() as usize])));
            } else if privacy.paths {
                replace(range, &|bytes| shorten_strings(privacy, bytes));
            }
        }
    }
    if privacy.paths || privacy.triage {
        for entry in context.snapshot.dso_debug.iter().flat_map(|d| &d.entries) {
            replace(entry.name_range, &|bytes| pad(privacy.path_bytes(bytes), bytes.len()));
        }
    }
    replacements.append(&mut zeroed);
    replacements.extend(windows::replacements(context, privacy));
    replacements.sort_unstable();
    disjoint(replacements)
}

/// Without overlaps: link-map names can lie in the initial stack (the
/// executable's does). What begins first counts.
fn disjoint(sorted: Vec<(u64, Vec<u8>)>) -> Vec<(u64, Vec<u8>)> {
    let mut disjoint: Vec<(u64, Vec<u8>)> = Vec::with_capacity(sorted.len());
    let mut end = 0;
    for (start, mut new) in sorted {
        let covered = u64::saturating_sub(end, start).min(new.len() as u64);
        new.drain(..covered as usize);
        let start = start + covered;
        if !new.is_empty() {
            end = start + new.len() as u64;
            disjoint.push((start, new));
        }
    }
    disjoint
}

/// NUL-terminated strings with their paths shortened, each padded to its length.
fn shorten_strings(privacy: Privacy, bytes: &[u8]) -> Vec<u8> {
    bytes
        .split_inclusive(|b| *b == 0)
        .flat_map(|string| pad(&privacy.text_bytes(string), string.len()))
        .collect()
}

fn pad(shortened: &[u8], len: usize) -> Vec<u8> {
    let mut padded = shortened.to_vec();
    padded.resize(len, 0);
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter() -> Edits {
        Edits {
            replacements: vec![(0x9004, b"abc".to_vec())],
            filter: Some(StackFilter {
                stacks: vec![(AddressRange::new(0x1000, 0x2000), 0x1010)],
                keep: [AddressRange::new(0x1000, 0x2000), AddressRange::new(0x40_0000, 0x50_0000)]
                    .into_iter()
                    .collect(),
                word: 8,
            }),
        }
    }

    fn words(values: &[u64]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    #[test]
    fn return_addresses_and_stack_addresses_stay_and_all_else_goes() {
        let mut bytes =
            words(&[0x40_1000, 0x1800, 0x40_1000, 0x1800, 7, 0x7365_6372_6574, u64::MAX]);
        filter().apply(0x1000, &mut bytes);
        assert_eq!(bytes, words(&[0, 0, 0x40_1000, 0x1800, 0, 0, 0]));
    }

    fn narrow() -> Edits {
        let mut filter = filter();
        if let Some(filter) = &mut filter.filter {
            filter.word = 4;
            filter.keep.insert(AddressRange::new(0x40_0000, 0x80_0000));
        }
        filter
    }

    #[test]
    fn words_have_the_size_of_the_processs_pointers() {
        let of = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>();
        let mut bytes = of(&[0x40_1000, 0x40_1000, 7, 0x1800]);
        narrow().apply(0x100c, &mut bytes);
        assert_eq!(bytes, of(&[0, 0x40_1000, 0, 0x1800]));
    }

    #[test]
    fn text_that_looks_like_addresses_goes_and_a_single_address_stays() {
        let text: Vec<u8> = "CANARYZ\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut bytes = text.clone();
        narrow().apply(0x1800, &mut bytes);
        assert_eq!(bytes, [0; 16]);
        let mut alone = 0x41_0042_u32.to_le_bytes();
        narrow().apply(0x1800, &mut alone);
        assert_eq!(alone, 0x41_0042_u32.to_le_bytes());
    }

    #[test]
    fn a_piece_within_the_last_word_there_is_loses_it() {
        let top = AddressRange::new(u64::MAX - 0xfff, u64::MAX);
        let filter = StackFilter {
            stacks: vec![(top, top.start)],
            keep: [top].into_iter().collect(),
            word: 8,
        };
        let edits = Edits { replacements: Vec::new(), filter: Some(filter) };
        let mut bytes = [7; 4];
        edits.apply(u64::MAX - 4, &mut bytes);
        assert_eq!(bytes, [0; 4]);
    }

    #[test]
    fn pieces_that_start_within_a_word_lose_its_half() {
        let mut bytes = [words(&[0x40_1000])[4..].to_vec(), words(&[0x40_1000])].concat();
        bytes.push(9);
        filter().apply(0x1804, &mut bytes);
        assert_eq!(bytes, [vec![0; 4], words(&[0x40_1000]), vec![0]].concat());
    }

    #[test]
    fn what_overlaps_is_cut_and_never_dropped() {
        let cut = disjoint(vec![(0, vec![1; 4]), (2, vec![2; 4]), (3, vec![3; 2]), (9, vec![4])]);
        assert_eq!(cut, [(0, vec![1; 4]), (4, vec![2; 2]), (9, vec![4])]);
    }

    #[test]
    fn memory_that_is_no_stack_is_left_alone() {
        let mut bytes = words(&[7, 8]);
        filter().apply(0x2000, &mut bytes);
        assert_eq!(bytes, words(&[7, 8]));
    }

    #[test]
    fn replacements_are_cut_at_the_ends_of_the_piece() {
        let mut bytes = [1; 2];
        filter().apply(0x9003, &mut bytes);
        assert_eq!(bytes, [1, b'a']);
        filter().apply(0x9006, &mut bytes);
        assert_eq!(bytes, [b'c', b'a']);
    }

    #[test]
    fn shortened_strings_keep_their_places() {
        let paths = Privacy { paths: true, ..Privacy::default() };
        assert_eq!(shorten_strings(paths, b"/a/bc\0X=/d/e\0"), b"bc\0\0\0\0X=e\0\0\0\0");
    }
}
