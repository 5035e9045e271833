//! Whether two dumps show the same process.

use super::dump::{Loaded, stream};
use super::frozen::PAGE;
use minidump::{MinidumpModuleList, MinidumpThreadList, Module};
use std::collections::{BTreeMap, HashMap};

/// Contexts by thread, less what no core holds (the debug registers), or gdb
/// does not keep (the processor's mask for MXCSR).
fn contexts(loaded: &Loaded) -> BTreeMap<u32, Vec<u8>> {
    const FLAGS: usize = 48;
    const DEBUG_REGISTERS: std::ops::Range<usize> = 72..120;
    const MXCSR_MASK: std::ops::Range<usize> = 284..288;
    let threads: MinidumpThreadList<'_> = loaded.get();
    let context = |thread: &minidump::MinidumpThread<'_>| {
        let location = thread.raw.thread_context;
        let start = location.rva as usize;
        let mut bytes = loaded.bytes[start..start + location.data_size as usize].to_vec();
        if cfg!(target_arch = "x86_64") {
            bytes[FLAGS] &= !0x10;
            bytes[DEBUG_REGISTERS].fill(0);
            bytes[MXCSR_MASK].fill(0);
        }
        (thread.raw.thread_id, bytes)
    };
    threads.threads.iter().map(context).collect()
}

/// Name, addresses and build id of each module.
pub fn modules(loaded: &Loaded) -> Vec<(String, u64, u64, String)> {
    let modules: MinidumpModuleList = loaded.get();
    let describe = |m: &minidump::MinidumpModule| {
        let id = m.code_identifier().map(|id| id.to_string()).unwrap_or_default();
        (m.code_file().into_owned(), m.base_address(), m.size(), id)
    };
    modules.by_addr().map(describe).collect()
}

/// The bytes of each page, or part of one, that a dump has.
pub fn pages(loaded: &Loaded) -> HashMap<u64, &[u8]> {
    let mut pages = HashMap::new();
    for memory in loaded.memory() {
        assert_eq!(memory.start % PAGE, 0, "a full dump holds whole pages");
        for (i, page) in memory.bytes.chunks(PAGE as usize).enumerate() {
            pages.insert(memory.start + i as u64 * PAGE, page);
        }
    }
    pages
}

/// A page that one of two dumps lacks must be zero in the other: cores hold
/// pages that were never used, and file systems may keep zeros or not.
#[track_caller]
pub fn assert_same_memory(a: &Loaded, b: &Loaded) {
    let (a, b) = (pages(a), pages(b));
    let zero = |page: &[u8]| page.iter().all(|byte| *byte == 0);
    let mut same = 0;
    for (address, page) in &a {
        match b.get(address) {
            Some(other) => {
                assert!(page == other, "the page at {address:#x} differs");
                same += 1;
            }
            None => assert!(zero(page), "the page at {address:#x} is missing in the second"),
        }
    }
    for (address, page) in &b {
        assert!(a.contains_key(address) || zero(page), "{address:#x} is missing in the first");
    }
    assert!(same > 100, "only {same} pages were compared");
}

/// The same contexts, but for bytes that mean nothing.
#[track_caller]
pub fn assert_same_contexts(a: &Loaded, b: &Loaded) {
    let (a, b) = (contexts(a), contexts(b));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "threads");
    for (tid, context) in &a {
        let other = &b[tid];
        assert_eq!(context.len(), other.len(), "length of the context of thread {tid}");
        let differ: Vec<_> = (0..context.len())
            .filter(|at| context[*at] != other[*at])
            .filter(|at| !(is_restart(context, other) && (RAX.contains(at) || RIP.contains(at))))
            .map(|at| (at, context[at], other[at]))
            .collect();
        assert!(differ.is_empty(), "thread {tid} differs (offset, bytes): {differ:?}");
    }
}

/// Where `CONTEXT` has them.
const RAX: std::ops::Range<usize> = 120..128;
const RIP: std::ops::Range<usize> = 248..256;

/// Whether one has a system call interrupted and the other has it made ready to
/// be done again: between a live dump and its end the kernel may do that to a
/// thread, whose call number is then back in RAX and whose RIP is at the call.
fn is_restart(a: &[u8], b: &[u8]) -> bool {
    if cfg!(not(target_arch = "x86_64")) {
        return false;
    }
    let word = |bytes: &[u8], at: &std::ops::Range<usize>| {
        i64::from_le_bytes(bytes[at.clone()].try_into().unwrap())
    };
    // ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK.
    let interrupted = |bytes| matches!(word(bytes, &RAX), -516 | -514..=-512);
    (interrupted(a) != interrupted(b)) && (word(a, &RIP) - word(b, &RIP)).abs() == 2
}

/// The same threads, modules, memory, arguments and environment.
#[track_caller]
pub fn assert_same_process(live: &Loaded, core: &Loaded) {
    assert_same_contexts(core, live);
    assert_eq!(modules(core), modules(live));
    assert_same_memory(live, core);
    for stream in [stream::CMD_LINE, stream::ENVIRON] {
        let text = |l: &Loaded| l.raw(stream).map(|b| String::from_utf8_lossy(b).into_owned());
        assert_eq!(text(core), text(live), "stream {stream:#x}");
    }
}
