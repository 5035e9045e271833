//! Where the kernel put arguments, environment and auxiliary vector: a core
//! does not say, so they are found by the auxiliary vector, a copy of which it
//! holds.

use crate::address::AddressRange;
use crate::target::MemorySource;
use crate::target::linux::auxv::{AT_RANDOM, Auxv};
use crate::target::linux::initial_stack::Places;
use crate::target::linux::maps::Maps;

/// How far below the random bytes the vector begins: its own length, the name
/// of the platform, and alignment.
const REACH: u64 = 4096;
/// Bytes of arguments' and environment's pointers that are looked at.
const MAX_POINTERS: u64 = 8 << 20;
/// Bytes of one string; `MAX_ARG_STRLEN`.
const MAX_STRING: usize = 128 << 10;

/// Finds the block; `None` if the core holds no stack that has one.
pub(super) fn find(
    auxv_bytes: &[u8],
    auxv: &Auxv,
    maps: &Maps,
    memory: &dyn MemorySource,
) -> Option<Places> {
    let random = auxv.get(AT_RANDOM)?;
    let stack = maps.at(random)?.range;
    let vector = find_vector(auxv_bytes, random, stack, memory)?;
    let (environment_at, environment) = pointers_below(vector, stack, memory)?;
    let (arguments_at, arguments) = pointers_below(environment_at, stack, memory)?;
    // `argc` stands before the first argument, and is how many there are.
    let argc = arguments_at.checked_sub(8)?;
    let counted = memory.read_u64(argc)?;
    if counted != arguments.len() as u64 {
        return None;
    }
    let end = |pointers: &[u64]| {
        let last = *pointers.last()?;
        Some(last + memory.read_c_string(last, MAX_STRING)?.len() as u64 + 1)
    };
    let first = |pointers: &[u64]| pointers.first().copied();
    let arguments_end = first(&environment).or_else(|| end(&arguments)).unwrap_or(argc);
    Some(Places {
        argc,
        arguments: (first(&arguments).unwrap_or(arguments_end), arguments_end),
        environment: (arguments_end, end(&environment).unwrap_or(arguments_end)),
    })
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

/// The pointers of the list that ends with the null before `end`, and where it
/// begins.
fn pointers_below(
    end: u64,
    stack: AddressRange,
    memory: &dyn MemorySource,
) -> Option<(u64, Vec<u64>)> {
    let mut at = end.checked_sub(8)?;
    if memory.read_u64(at)? != 0 {
        return None;
    }
    let lowest = end.saturating_sub(MAX_POINTERS).max(stack.start);
    let mut pointers = Vec::new();
    while at > lowest {
        let word = memory.read_u64(at - 8)?;
        // Above the arguments' null is the environment; below the arguments is
        // their count, which is no address in the stack.
        if !stack.contains(word) {
            break;
        }
        pointers.push(word);
        at -= 8;
    }
    pointers.reverse();
    Some((at, pointers))
}
