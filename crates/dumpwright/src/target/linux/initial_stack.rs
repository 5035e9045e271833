//! The block that the kernel puts at the top of the main stack: `argc`, `argv`,
//! `envp`, the auxiliary vector and the strings.

use super::auxv::{AT_BASE_PLATFORM, AT_EXECFN, AT_PLATFORM, AT_RANDOM, Auxv};
use super::maps::Maps;
use super::stat::Stat;
use crate::address::AddressRange;
use crate::target::{InitialStack, MemorySource};

/// Bytes of the name of the executable; `PATH_MAX`.
const MAX_EXEC_FN: usize = 4096;
/// Bytes that `AT_RANDOM` names.
const RANDOM: u64 = 16;

/// Where the block is; `None` if the kernel does not say (no permission) or the
/// stack is no longer mapped there.
pub(super) fn find(
    stat: &Stat,
    auxv: &Auxv,
    maps: &Maps,
    memory: &dyn MemorySource,
) -> Option<InitialStack> {
    let places = Places {
        argc: stat.start_stack(),
        arguments: stat.arguments(),
        environment: stat.environment(),
    };
    at(&places, auxv, maps, memory)
}

/// Where the parts of the block are, from start to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::target) struct Places {
    /// `argc`.
    pub argc: u64,
    /// The argument strings.
    pub arguments: (u64, u64),
    /// The environment strings.
    pub environment: (u64, u64),
}

/// The block whose parts are at `places`; `None` if no mapping is there.
pub(in crate::target) fn at(
    places: &Places,
    auxv: &Auxv,
    maps: &Maps,
    memory: &dyn MemorySource,
) -> Option<InitialStack> {
    let argc = places.argc;
    let stack = maps.at(argc).filter(|_| argc != 0)?;
    let strings = |(start, end): (u64, u64)| AddressRange::new(start, end);
    let exec_fn = auxv
        .get(AT_EXECFN)
        .and_then(|at| Some((at, memory.read_c_string(at, MAX_EXEC_FN)?.len() as u64 + 1)))
        .map_or(AddressRange::new(argc, argc), |(at, len)| AddressRange::with_len(at, len));
    Some(InitialStack {
        range: AddressRange::new(argc, stack.range.end),
        arguments: strings(places.arguments),
        environment: strings(places.environment),
        exec_fn,
        first_strings: AddressRange::new(
            first_strings(auxv, memory).filter(|at| stack.range.contains(*at)).unwrap_or(argc),
            stack.range.end,
        )
        .intersection(AddressRange::new(argc, stack.range.end)),
    })
}

/// Where the strings begin that `execve` copied: above the last of what the
/// kernel then puts below them (`create_elf_tables`, fs/binfmt_elf.c).
fn first_strings(auxv: &Auxv, memory: &dyn MemorySource) -> Option<u64> {
    let name_end = |kind| {
        let at = auxv.get(kind)?;
        Some(at + memory.read_c_string(at, MAX_EXEC_FN)?.len() as u64 + 1)
    };
    let random_end = auxv.get(AT_RANDOM)?.checked_add(RANDOM)?;
    [AT_PLATFORM, AT_BASE_PLATFORM].into_iter().filter_map(name_end).chain([random_end]).max()
}
