//! MODULE_HEADERS: frames by an unwinder that has the dump and no file.

use crate::support::cli::dump;
use crate::support::dump::Loaded;
use crate::support::readers::{Frame, Traces, gdb_traces};
use crate::support::target::Target;
use framehop::x86_64::{CacheX86_64, UnwindRegsX86_64, UnwinderX86_64};
use framehop::{ExplicitModuleSectionInfo, Module, Unwinder};
use minidump::{MinidumpContext, MinidumpRawContext, MinidumpSystemInfo, MinidumpThreadList};
use std::ops::Range;
use std::process::Command;

const PT_LOAD: u32 = 1;
const PT_GNU_EH_FRAME: u32 = 0x6474_e550;

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A module's unwind tables, from the memory that the dump has.
fn module(loaded: &Loaded, name: String, range: Range<u64>) -> Option<Module<Vec<u8>>> {
    let header = loaded.bytes_at(range.start, 64)?;
    let (offset, count) = (number(&header[32..40]), number(&header[56..58]));
    let headers = loaded.bytes_at(range.start + offset, 56 * count)?;
    let with_type = |kind| headers.chunks(56).find(|h| number(&h[..4]) == u64::from(kind));
    let bias = range.start.wrapping_sub(number(&with_type(PT_LOAD)?[16..24]) & !0xFFF);
    let table = with_type(PT_GNU_EH_FRAME)?;
    let at = bias.wrapping_add(number(&table[16..24]));
    let hdr = loaded.bytes_at(at, number(&table[40..48]))?;
    let frames = (at + 4).wrapping_add_signed(i64::from(number(&hdr[4..8]) as i32));
    // As much as lies there: the end of the section is in no program header.
    let mut eh_frame = Vec::new();
    for memory in loaded.memory() {
        let next = frames + eh_frame.len() as u64;
        if memory.range().contains(&next) {
            eh_frame.extend_from_slice(&memory.bytes[(next - memory.start) as usize..]);
        }
    }
    let info = ExplicitModuleSectionInfo {
        base_svma: range.start,
        eh_frame_hdr_svma: Some(at..at + hdr.len() as u64),
        eh_frame_hdr: Some(hdr),
        eh_frame_svma: Some(frames..frames + eh_frame.len() as u64),
        eh_frame: Some(eh_frame),
        ..Default::default()
    };
    Some(Module::new(name, range.clone(), range.start, info))
}

/// The frames of all threads: addresses as debuggers show them.
fn unwind(loaded: &Loaded) -> Traces {
    let mut unwinder: UnwinderX86_64<Vec<u8>> = UnwinderX86_64::new();
    for (name, range) in loaded.modules() {
        let tables = module(loaded, name, range);
        unwinder.add_module(tables.expect("the dump has each module's unwind tables"));
    }
    let threads: MinidumpThreadList<'_> = loaded.get();
    let system: MinidumpSystemInfo = loaded.get();
    let mut read = |at: u64| loaded.bytes_at(at, 8).map(|b| number(&b)).ok_or(());
    let mut traces = Traces::new();
    for thread in &threads.threads {
        let context = thread.context(&system, None).unwrap();
        let MinidumpContext { raw: MinidumpRawContext::Amd64(r), .. } = context.as_ref() else {
            panic!("another processor")
        };
        let registers = UnwindRegsX86_64::new(r.rip, r.rsp, r.rbp);
        let mut cache: CacheX86_64 = CacheX86_64::new();
        let mut frames: Vec<Frame> = Vec::new();
        let mut walk = unwinder.iter_frames(r.rip, registers, &mut cache, &mut read);
        while let Ok(Some(frame)) = walk.next() {
            frames.push((frame.address(), String::new()));
        }
        traces.insert(thread.raw.thread_id, frames);
    }
    traces
}

/// Python and its libraries keep no frame pointers: without tables there is
/// nothing to go by.
#[test]
fn frames_unwind_without_the_binaries() {
    let script = "import threading
def deep(n): return deep(n - 1) if n else threading.Event().wait()
for i in range(4): threading.Thread(target=deep, args=(20,), daemon=True).start()
print('READY {}', flush=True)
deep(9)";
    let mut python = Command::new("python3");
    python.args(["-c", script]);
    let target = Target::command(python);
    let loaded = dump(&target, &["--module-headers", "-mR"]).load();
    let Some(truth) = gdb_traces(target.pid()) else { return };
    let seen = unwind(&loaded);
    assert_eq!(seen.len(), truth.len());
    for (tid, frames) in &truth {
        let pcs = |frames: &[Frame]| frames.iter().map(|f| f.0).collect::<Vec<_>>();
        let (seen, truth) = (pcs(&seen[tid]), pcs(frames));
        assert!(truth.len() >= 10, "thread {tid} has little to unwind: {truth:x?}");
        assert!(seen.starts_with(&truth), "thread {tid}: {seen:x?} is not {truth:x?}");
    }
}
