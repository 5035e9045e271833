//! Where the kernel put arguments, environment and auxiliary vector: a core
//! does not say, so they are found by the auxiliary vector, a copy of which it
//! holds.
//!
//! Programs change the lists below the vector: `unsetenv` moves pointers up to
//! fill a gap, glibc points elsewhere with what it rewrites (`GLIBC_TUNABLES`),
//! servers clear arguments to make room for a title. The lists' shape stays, and
//! so do the strings' bounds: what is asked of the pointers is no more than that
//! some lead to where the strings are.

use crate::address::AddressRange;
use crate::target::MemorySource;
use crate::target::linux::auxv::{AT_EXECFN, AT_RANDOM, Auxv};
use crate::target::linux::initial_stack::Places;
use crate::target::linux::maps::Maps;

/// How far below the random bytes the vector begins: its own length, the name
/// of the platform, and alignment.
const REACH: u64 = 4096;
/// Pointers of arguments and environment that are looked at: 8 MiB of them.
const MAX_POINTERS: usize = 1 << 20;
/// Bytes of strings that are looked at; the kernel takes at most 6 MiB.
const MAX_STRINGS: u64 = 8 << 20;
/// Bytes of one string; `MAX_ARG_STRLEN`.
const MAX_STRING: usize = 128 << 10;

/// Finds the block; `None` if the core does not even tell which memory it is in.
/// Arguments and environment are empty where only that is known.
pub(super) fn find(
    auxv_bytes: &[u8],
    auxv: &Auxv,
    maps: &Maps,
    memory: &dyn MemorySource,
) -> Option<Places> {
    let random = auxv.get(AT_RANDOM)?;
    let stack = maps.at(random)?.range;
    let places = || {
        let vector = find_vector(auxv_bytes, random, stack, memory)?;
        Lists::below(vector, stack, memory)?.places(vector, stack, auxv, memory)
    };
    let nothing = (random, random);
    let unknown = Places { argc: random, arguments: nothing, environment: nothing };
    Some(places().unwrap_or(unknown))
}

/// Where the vector with the entries of `auxv_bytes` is.
fn find_vector(
    auxv_bytes: &[u8],
    random: u64,
    stack: AddressRange,
    memory: &dyn MemorySource,
) -> Option<u64> {
    let kinds: Vec<&[u8]> = auxv_bytes.chunks_exact(16).map(|pair| &pair[..8]).collect();
    let len = kinds.len() as u64 * 16;
    let start = random.saturating_sub(len + REACH).max(stack.start).next_multiple_of(16);
    let mut bytes = vec![0; random.checked_sub(start)? as usize];
    if kinds.is_empty() || !memory.read_exact(start, &mut bytes) {
        return None;
    }
    // It has the alignment of the stack.
    let found = bytes.windows(kinds.len() * 16).step_by(8).position(|window| {
        window.chunks_exact(16).zip(&kinds).all(|(pair, kind)| pair[..8] == **kind)
    })?;
    Some(start + 8 * found as u64)
}

/// The lists of pointers, nulls of cleared entries included.
#[derive(Debug, PartialEq, Eq)]
struct Lists {
    /// Where `argc` stands.
    argc: u64,
    arguments: Vec<u64>,
    environment: Vec<u64>,
}

impl Lists {
    /// Those that end with the null below the vector: the words are looked
    /// through downwards for a count behind which as many others and a null
    /// stand. No pointer is as small as a count.
    fn below(vector: u64, stack: AddressRange, memory: &dyn MemorySource) -> Option<Lists> {
        let mut words = Vec::new();
        let mut at = vector;
        while words.len() < MAX_POINTERS {
            at = at.checked_sub(8).filter(|at| stack.contains(*at))?;
            let word = memory.read_u64(at)?;
            // Behind it: the arguments, their null, the environment, its null.
            let behind = words.len() as u64;
            if word >= 1
                && word < behind.saturating_sub(1)
                && words[(behind - 1 - word) as usize] == 0
            {
                words.reverse();
                let environment = words[word as usize + 1..words.len() - 1].to_vec();
                words.truncate(word as usize);
                return Some(Lists { argc: at, arguments: words, environment });
            }
            words.push(word);
            if words[0] != 0 {
                return None;
            }
        }
        None
    }

    /// Where the strings are. They lie above the vector, without gaps: first all
    /// arguments, then the environment, then the name of the executable.
    fn places(
        &self,
        vector: u64,
        stack: AddressRange,
        auxv: &Auxv,
        memory: &dyn MemorySource,
    ) -> Option<Places> {
        let above = AddressRange::new(vector, stack.end);
        let end = auxv.get(AT_EXECFN).filter(|at| above.contains(*at)).or_else(|| {
            let last = self.pointers_in(above).max()?;
            Some(last + memory.read_c_string(last, MAX_STRING)?.len() as u64 + 1)
        })?;
        let strings = AddressRange::new(vector, end);
        let start = self.pointers_in(strings).min()?;
        let mut bytes = vec![0; (end - start).min(MAX_STRINGS) as usize];
        if !memory.read_exact(start, &mut bytes) {
            return None;
        }
        let within = |pointer: &&u64| strings.contains(**pointer);
        let middle = self.environment.iter().filter(within).min().copied();
        let split = arguments_len(&bytes, self.arguments.len(), middle.map(|at| at - start));
        let split = start + split as u64;
        Some(Places { argc: self.argc, arguments: (start, split), environment: (split, end) })
    }

    fn pointers_in(&self, range: AddressRange) -> impl Iterator<Item = u64> {
        let all = self.arguments.iter().chain(&self.environment).copied();
        all.filter(move |pointer| range.contains(*pointer))
    }
}

/// How many of the strings' bytes are those of `count` arguments. `environment`
/// is where the first of its strings lies that is still pointed to, if any is.
fn arguments_len(strings: &[u8], count: usize, environment: Option<u64>) -> usize {
    let ends = strings.iter().enumerate().filter(|(_, byte)| **byte == 0);
    let counted = ends.map(|(at, _)| at + 1).nth(count - 1).unwrap_or(strings.len());
    let Some(environment) = environment.map(|at| at as usize) else { return counted };
    match strings.get(counted..environment) {
        // A string of the environment that nobody points to any more.
        Some(between) if between.iter().any(|byte| *byte != 0) => counted,
        // Arguments that a shorter title was written over; or a longer one.
        Some(_) | None => environment.min(strings.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft_error::Hole;

    const STACK: u64 = 0x7FFF_0000_0000;
    const STRINGS: &[u8] = b"prog\0-x\0A=1\0BB=2\0C=3\0/bin/prog\0";

    /// A stack of a page, strings in its second half.
    struct Stack(Vec<u8>);

    impl MemorySource for Stack {
        fn read(&self, ranges: &[AddressRange], buf: &mut [u8], _: &mut Vec<Hole>) {
            let mut rest = buf;
            for range in ranges {
                let (part, behind) = rest.split_at_mut(range.len() as usize);
                part.copy_from_slice(&self.0[(range.start - STACK) as usize..][..part.len()]);
                rest = behind;
            }
        }

        fn populated(&self, range: AddressRange) -> Vec<AddressRange> {
            vec![range]
        }
    }

    fn string(at: u64) -> u64 {
        STACK + 0x800 + at
    }

    /// What is found with these words below the vector.
    fn found(words: &[u64], strings: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let random = STACK + 0x700;
        let vector = [[AT_EXECFN, string(21)], [AT_RANDOM, random], [0, 0]];
        let vector: Vec<u8> = vector.iter().flatten().flat_map(|w| w.to_le_bytes()).collect();
        let mut stack = vec![0; 0x1000];
        let words: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        stack[0x600..][..vector.len()].copy_from_slice(&vector);
        stack[0x600 - words.len()..0x600].copy_from_slice(&words);
        stack[0x800..][..strings.len()].copy_from_slice(strings);
        let range = AddressRange::new(STACK, STACK + 0x1000);
        let text = b"7fff00000000-7fff00001000 rw-p 00000000 00:00 0    [stack]\n";
        let (maps, _) = Maps::parse(text.as_slice()).unwrap();
        let memory: &dyn MemorySource = &Stack(stack);
        let places = find(&vector, &Auxv::parse(&vector), &maps, memory)?;
        assert!(range.contains(places.argc));
        let text = |(start, end): (u64, u64)| {
            let mut bytes = vec![0; (end - start) as usize];
            assert!(memory.read_exact(start, &mut bytes));
            bytes
        };
        Some((text(places.arguments), text(places.environment)))
    }

    #[track_caller]
    fn assert_found(words: &[u64]) {
        let (arguments, environment) = found(words, STRINGS).unwrap();
        assert_eq!(arguments, b"prog\0-x\0");
        assert_eq!(environment, b"A=1\0BB=2\0C=3\0");
    }

    #[test]
    fn the_strings_are_found_whatever_a_program_did_to_the_pointers() {
        let [prog, x, a, b, c] = [0, 5, 8, 12, 17].map(string);
        let heap = 0x5555_0000_1000;
        assert_found(&[2, prog, x, 0, a, b, c, 0]);
        // Arguments in another order, as getopt leaves them.
        assert_found(&[2, x, prog, 0, a, b, c, 0]);
        // A string elsewhere: the first, one between, all.
        assert_found(&[2, prog, x, 0, heap, b, c, 0]);
        assert_found(&[2, prog, x, 0, a, heap, c, 0]);
        assert_found(&[2, prog, x, 0, heap, heap, heap, 0]);
        // After unsetenv of the last, the first, and all.
        assert_found(&[2, prog, x, 0, a, b, 0, 0]);
        assert_found(&[2, prog, x, 0, b, c, 0, 0]);
        assert_found(&[2, prog, x, 0, 0, 0, 0, 0]);
        // An argument cleared, or replaced.
        assert_found(&[2, prog, 0, 0, a, b, c, 0]);
        assert_found(&[2, prog, heap, 0, a, b, c, 0]);
        // What lies below may look like anything.
        assert_found(&[0, 1, 0, 2, prog, x, 0, a, b, c, 0]);
    }

    #[test]
    fn a_title_over_the_arguments_is_the_arguments() {
        let pointers = [2, string(0), string(5), 0, string(8), string(12), string(17), 0];
        let strings = b"x: idle\0A=1\0BB=2\0C=3\0/bin/prog\0";
        assert_eq!(found(&pointers, strings).unwrap().0, b"x: idle\0");
        let strings = b"x\0\0\0\0\0\0\0A=1\0BB=2\0C=3\0/bin/prog\0";
        assert_eq!(found(&pointers, strings).unwrap().0, b"x\0\0\0\0\0\0\0");
    }

    #[test]
    fn lists_that_make_no_sense_leave_the_place_of_the_block() {
        let nothing = Some((Vec::new(), Vec::new()));
        assert_eq!(found(&[], STRINGS), nothing);
        assert_eq!(found(&[2, string(0), 0, 7], STRINGS), nothing);
        assert_eq!(found(&[9, 0x5555_0000_1000, 0, 0], STRINGS), nothing);
    }
}
