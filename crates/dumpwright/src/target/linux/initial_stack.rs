//! The block that the kernel puts at the top of the main stack: `argc`, `argv`,
//! `envp`, the auxiliary vector and the strings.

use super::auxv::{AT_EXECFN, Auxv};
use super::maps::Maps;
use super::stat::Stat;
use crate::address::AddressRange;
use crate::target::{InitialStack, MemorySource};

/// Bytes of the name of the executable; `PATH_MAX`.
const MAX_EXEC_FN: usize = 4096;

/// Where the block is; `None` if the kernel does not say (no permission) or the
/// stack is no longer mapped there.
pub(super) fn find(
    stat: &Stat,
    auxv: &Auxv,
    maps: &Maps,
    memory: &dyn MemorySource,
) -> Option<InitialStack> {
    let argc = stat.start_stack();
    let stack = maps.at(argc).filter(|_| argc != 0)?;
    let strings = |(start, end): (u64, u64)| AddressRange::new(start, end);
    let exec_fn = auxv
        .get(AT_EXECFN)
        .and_then(|at| Some((at, memory.read_c_string(at, MAX_EXEC_FN)?.len() as u64 + 1)))
        .map_or(AddressRange::new(argc, argc), |(at, len)| AddressRange::with_len(at, len));
    Some(InitialStack {
        range: AddressRange::new(argc, stack.range.end),
        arguments: strings(stat.arguments()),
        environment: strings(stat.environment()),
        exec_fn,
    })
}
