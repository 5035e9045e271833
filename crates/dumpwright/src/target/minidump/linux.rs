//! What the filters and PROCESS_THREAD_DATA have to find in the memory of a
//! Linux process: the block at the top of the main stack, and the dynamic
//! linker's list. A dump says neither; both are found as a debugger finds them.

use crate::address::AddressRange;
use crate::packed::Packed;
use crate::read::DsoDebug;
use crate::target::{
    DsoDebugSnapshot, InitialStack, LinkMapEntry, MemorySource, Region, ThreadSnapshot,
};
use std::collections::{HashMap, HashSet};

/// `AT_*` of elf.h.
const AT_RANDOM: u64 = 25;
const AT_EXECFN: u64 = 31;
/// `DT_DEBUG` of elf.h.
const DT_DEBUG: u64 = 21;
/// Bytes that `AT_RANDOM` names.
const RANDOM: u64 = 16;
/// How far below the random bytes the auxiliary vector can begin: it has some
/// twenty entries.
const AUXV_REACH: u64 = 8 << 10;
/// Most pointers that arguments and environment are believed to have.
const MAX_POINTERS: u64 = 1 << 16;
/// Most entries of the linker's list that are followed.
const MAX_ENTRIES: usize = 4096;
/// `PATH_MAX`.
const MAX_NAME: usize = 4096;
/// What a thread's control block and static TLS are taken to reach on each side
/// of the thread pointer.
const CONTROL_BLOCK: u64 = 4096;

/// Memory in words of the process.
pub(super) struct Words<'a> {
    pub memory: &'a dyn MemorySource,
    /// Bytes of a word.
    pub size: u64,
}

impl Words<'_> {
    /// The word at an address.
    pub(super) fn at(&self, address: u64) -> Option<u64> {
        let mut word = [0; 8];
        let part = &mut word[..self.size as usize];
        self.memory.read_exact(address, part).then(|| u64::from_le_bytes(word))
    }

    /// Word `index` behind `address`.
    fn behind(&self, address: u64, index: u64) -> Option<u64> {
        self.at(address.checked_add(index * self.size)?)
    }

    /// The number of words of `bytes`.
    fn of<'b>(&self, bytes: &'b [u8]) -> impl Iterator<Item = u64> + 'b {
        let size = self.size as usize;
        bytes.chunks_exact(size).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        })
    }

    /// The block at the top of the main stack. Everything above the random bytes
    /// counts as strings where the dump does not have what would tell more.
    pub(super) fn initial_stack(
        &self,
        auxv: &[u8],
        regions: &Packed<Region>,
    ) -> Option<InitialStack> {
        let entries: Vec<u64> = self.of(auxv).collect();
        let value = |kind| entries.chunks_exact(2).find(|e| e[0] == kind).map(|e| e[1]);
        let random = value(AT_RANDOM)?;
        let stack = regions.at(random)?.range;
        let nothing = AddressRange::new(stack.end, stack.end);
        let exec_fn = value(AT_EXECFN)
            .filter(|at| stack.contains(*at))
            .and_then(|at| {
                let len = self.memory.read_c_string(at, MAX_NAME)?.len() as u64 + 1;
                Some(AddressRange::with_len(at, len))
            })
            .unwrap_or(nothing);
        let start = random.saturating_add(RANDOM).min(stack.end);
        let mut found = InitialStack {
            range: AddressRange::new(random, stack.end),
            arguments: nothing,
            environment: nothing,
            exec_fn,
            first_strings: AddressRange::new(start, stack.end),
        };
        if let Some((argc, arguments, environment)) = self.pointers(&entries, random, stack) {
            found.range.start = argc;
            let end = if exec_fn.is_empty() { stack.end } else { exec_fn.start };
            let first = |pointers: &[u64]| pointers.iter().copied().min();
            let middle = first(&environment).unwrap_or(end);
            // A program that writes its title over them has them elsewhere, or
            // in another order; the strings above the random bytes stay.
            if let Some(start) = first(&arguments).filter(|start| *start <= middle) {
                found.arguments = AddressRange::new(start, middle);
            }
            if stack.contains(middle) {
                found.environment = AddressRange::new(middle, end);
            }
        }
        Some(found)
    }

    /// Where `argc` stands, and the pointers to arguments and environment that
    /// lie below the auxiliary vector.
    fn pointers(
        &self,
        auxv: &[u64],
        random: u64,
        stack: AddressRange,
    ) -> Option<(u64, Vec<u64>, Vec<u64>)> {
        let lowest = random.saturating_sub(AUXV_REACH).max(stack.start);
        let mut at = random & !(self.size - 1);
        let is_vector = |at| (0..4).all(|i| self.behind(at, i) == auxv.get(i as usize).copied());
        while !is_vector(at) {
            at = at.checked_sub(self.size).filter(|at| *at >= lowest)?;
        }
        let mut down = |until: &dyn Fn(u64, u64) -> bool| {
            let mut pointers = Vec::new();
            loop {
                at = at.checked_sub(self.size).filter(|at| *at >= stack.start)?;
                let word = self.at(at)?;
                if until(word, pointers.len() as u64) {
                    return Some((at, pointers));
                }
                if pointers.len() as u64 == MAX_POINTERS {
                    return None;
                }
                pointers.push(word);
            }
        };
        // The NULL that ends the environment, and then its pointers up to the
        // NULL that ends the arguments.
        down(&|word, _| word == 0)?;
        let (_, environment) = down(&|word, _| word == 0)?;
        let (argc, arguments) = down(&|word, count| word == count)?;
        Some((argc, arguments, environment))
    }

    /// The linker's list with the places of its names, and the memory that it
    /// stands in.
    pub(super) fn link_map(&self, stored: DsoDebug) -> (DsoDebugSnapshot, Vec<AddressRange>) {
        let mut memory =
            vec![AddressRange::with_len(stored.dynamic, stored.dynamic_bytes.len() as u64)];
        let places = self.names(stored.dynamic, &stored.dynamic_bytes, &mut memory);
        let entry = |entry: crate::read::LinkMap| LinkMapEntry {
            addr: entry.addr,
            ld: entry.ld,
            name: entry.name.unwrap_or_default(),
            name_range: places
                .get(&(entry.addr, entry.ld))
                .copied()
                .unwrap_or(AddressRange::new(0, 0)),
        };
        let snapshot = DsoDebugSnapshot {
            version: stored.version,
            brk: stored.brk,
            ldbase: stored.ldbase,
            dynamic: stored.dynamic,
            dynamic_bytes: stored.dynamic_bytes,
            entries: stored.entries.into_iter().map(entry).collect(),
        };
        (snapshot, memory)
    }

    /// Follows `DT_DEBUG` to `struct r_debug` and its `struct link_map`s: where
    /// the name of each is, by `l_addr` and `l_ld`.
    fn names(
        &self,
        dynamic: u64,
        dynamic_bytes: &[u8],
        memory: &mut Vec<AddressRange>,
    ) -> HashMap<(u64, u64), AddressRange> {
        let mut places = HashMap::new();
        let words: Vec<u64> = self.of(dynamic_bytes).collect();
        let position = words.chunks_exact(2).position(|entry| entry[0] == DT_DEBUG);
        // The bytes of the stream may be those of the file, in which the linker
        // has yet to put the address.
        let r_debug = position.and_then(|index| {
            let stored = words[2 * index + 1];
            if stored != 0 { Some(stored) } else { self.behind(dynamic, 2 * index as u64 + 1) }
        });
        let Some(mut at) = r_debug.and_then(|r_debug| {
            memory.push(AddressRange::with_len(r_debug, 5 * self.size));
            self.behind(r_debug, 1)
        }) else {
            return places;
        };
        let mut seen = HashSet::new();
        while at != 0 && seen.len() < MAX_ENTRIES && seen.insert(at) {
            let read = |index| self.behind(at, index);
            let (Some(addr), Some(name), Some(ld), Some(next)) =
                (read(0), read(1), read(2), read(3))
            else {
                break;
            };
            memory.push(AddressRange::with_len(at, 5 * self.size));
            let length = self.memory.read_c_string(name, MAX_NAME).map_or(0, |n| n.len() as u64);
            if length > 0 {
                memory.push(AddressRange::with_len(name, length + 1));
                places.insert((addr, ld), AddressRange::with_len(name, length));
            }
            at = next;
        }
        places
    }
}

/// The stack that a thread's descriptor names, if it is the thread's own. A
/// thread in a signal handler can stand on an alternate stack, which is what
/// writers name then; its own has to be found behind it, as of a live thread.
pub(super) fn own_stack(
    thread: &ThreadSnapshot,
    is_main: bool,
    regions: &Packed<Region>,
) -> Option<AddressRange> {
    let stack = thread.stack?;
    let home = if is_main {
        regions.iter().find(|region| &*region.name == "[stack]")
    } else {
        regions.at(thread.thread_pointer)
    };
    match home {
        Some(home) if !home.range.overlaps(stack) => None,
        Some(_) | None => Some(stack),
    }
}

/// What stands for a thread's TEB.
pub(super) fn local_storage(thread_pointer: u64) -> Vec<AddressRange> {
    if thread_pointer == 0 {
        return Vec::new();
    }
    vec![AddressRange::new(
        thread_pointer.saturating_sub(CONTROL_BLOCK),
        thread_pointer.saturating_add(CONTROL_BLOCK),
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft_error::Hole;
    use crate::synthetic::region;

    struct Bytes(u64, Vec<u8>);

    impl MemorySource for Bytes {
        fn read(&self, ranges: &[AddressRange], buf: &mut [u8], holes: &mut Vec<Hole>) {
            let from = (ranges[0].start as usize).wrapping_sub(self.0 as usize);
            match self.1.get(from..from.wrapping_add(buf.len())) {
                Some(bytes) => buf.copy_from_slice(bytes),
                None => holes.push(Hole {
                    range: ranges[0],
                    reason: crate::soft_error::HoleReason::NotInSource,
                }),
            }
        }

        fn populated(&self, range: AddressRange) -> Vec<AddressRange> {
            vec![range]
        }
    }

    #[test]
    fn arguments_and_environment_are_found_below_the_auxiliary_vector() {
        let at = 0x7000;
        let auxv = [6, 4096, AT_RANDOM, 0x7080, AT_EXECFN, 0x709e, 0, 0];
        // argc, argv, NULL, envp, NULL, auxv, padding.
        let mut words = vec![2, 0x7090, 0x7094, 0, 0x7098, 0];
        words.extend(auxv);
        words.resize(16, 0);
        let mut bytes: Vec<u8> = words.iter().flat_map(|w: &u64| w.to_le_bytes()).collect();
        bytes.extend([0xAA; 16]);
        bytes.extend(b"app\0arg\0KEY=v\0app\0");
        bytes.resize(0x100, 0);
        let auxv: Vec<u8> = auxv.iter().flat_map(|w: &u64| w.to_le_bytes()).collect();
        let memory = Bytes(at, bytes);
        let words = Words { memory: &memory, size: 8 };
        let regions = [region(at, at + 0x100)].into_iter().collect();
        let found = words.initial_stack(&auxv, &regions).unwrap();
        assert_eq!(found.range.start, at);
        assert_eq!(found.arguments, AddressRange::new(0x7090, 0x7098));
        assert_eq!(found.environment, AddressRange::new(0x7098, 0x709e));
        assert_eq!(found.exec_fn, AddressRange::new(0x709e, 0x70a2));
        assert_eq!(found.first_strings, AddressRange::new(0x7090, 0x7100));
    }

    #[test]
    fn an_alternate_stack_is_not_a_threads_own() {
        let mut stack = region(0x1_0000, 0x2_0000);
        stack.name = "[stack]".into();
        let regions = [stack, region(0x5_0000, 0x6_0000)].into_iter().collect();
        let thread = |start, thread_pointer| ThreadSnapshot {
            stack: Some(AddressRange::with_len(start, 0x100)),
            thread_pointer,
            ..crate::synthetic::thread(1, start, 0)
        };
        let own = |start, pointer, is_main| {
            own_stack(&thread(start, pointer), is_main, &regions).is_some()
        };
        assert!(own(0x1_8000, 0x9000, true));
        assert!(!own(0x5_8000, 0x9000, true));
        assert!(own(0x5_8000, 0x5_f000, false));
        assert!(!own(0x1_8000, 0x5_f000, false));
        // Where nothing tells, the descriptor does.
        assert!(own(0x1_8000, 0, false) && own(0x1_8000, 0x9000, false));
    }
}
