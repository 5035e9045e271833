//! Makes full user-mode dumps of the old kind, since no sample of one is at hand.

use dumpwright_format::context::amd64::{CONTEXT_ALL, ContextAmd64};
use dumpwright_format::context::x86::{CONTEXT_X86, ContextX86};
use dumpwright_format::minidump::{MEM_COMMIT, MEM_IMAGE, MEM_PRIVATE};
use zerocopy::{FromZeros, IntoBytes};

pub(super) const STACK: u64 = 0x10_0000;
pub(super) const IMAGE: u64 = 0x40_0000;
pub(super) const TEB: u64 = 0x20_0000;

/// A dump of a process with one thread, one module, a stack, a TEB and a guard
/// page whose contents are not stored.
pub(super) fn dump(wide: bool) -> Vec<u8> {
    let pointer = if wide { 8 } else { 4 };
    let mut out = Out { bytes: Vec::new(), pointer };
    let regions = [
        (STACK - 0x1000, 0x1000_u64, 0x104_u32, MEM_PRIVATE),
        (STACK, 0x2000, 4, MEM_PRIVATE),
        (TEB, 0x1000, 4, MEM_PRIVATE),
        (IMAGE, 0x1000, 0x20, MEM_IMAGE),
    ];
    out.words(&[
        0x5245_5355,
        if wide { 0x3436_5544 } else { 0x504D_5544 },
        5,
        1,
        if wide { 0x8664 } else { 0x14C },
        1,
        1,
        regions.len() as u32,
    ]);
    let offsets = out.bytes.len();
    out.bytes.resize(offsets + 8 * pointer, 0);

    let threads = out.bytes.len();
    out.words(&[77, 1, 0x20, 8]);
    out.address(TEB);
    out.bytes.resize(out.bytes.len() + 7 * pointer, 0);
    let contexts = out.bytes.len();
    out.bytes.extend(context(wide));
    let modules = out.bytes.len();
    let name = b"C:\\app\\app.exe\0";
    out.address(IMAGE);
    out.words(&[0x1000, name.len() as u32]);
    out.bytes.extend_from_slice(name);
    let memory = out.bytes.len();
    for (base, size, protect, kind) in regions {
        out.address(base);
        out.address(base);
        out.words(&[protect]);
        if wide {
            out.words(&[0]);
        }
        out.address(size);
        out.words(&[MEM_COMMIT, protect, kind]);
        if wide {
            out.words(&[0]);
        }
    }
    let event = out.bytes.len();
    out.words(&[1, 1234, 77]);
    if wide {
        out.words(&[0]);
    }
    out.words(&[0xC000_0005, 0]);
    out.address(0);
    out.address(IMAGE + 0x10);
    out.words(&[2]);
    if wide {
        out.words(&[0]);
    }
    out.address(1);
    out.address(0xDEAD);
    out.bytes.resize(out.bytes.len() + 13 * pointer + 4, 0);
    let version = out.bytes.len();
    out.words(&[1, pointer as u32 * 8]);
    let data = out.bytes.len();
    for (base, size, protect, _) in regions {
        if protect & 0x100 == 0 {
            out.bytes.extend(contents(base, size));
        }
    }
    let places = [contexts, modules, data, memory, event, threads, version, 0];
    for (index, place) in places.into_iter().enumerate() {
        let at = offsets + index * pointer;
        out.bytes[at..at + pointer].copy_from_slice(&place.to_le_bytes()[..pointer]);
    }
    out.bytes
}

/// The same dump with the two offsets of its threads the other way round.
pub(super) fn swapped(wide: bool) -> Vec<u8> {
    let mut bytes = dump(wide);
    let (pointer, offsets) = (if wide { 8 } else { 4 }, 32);
    for at in offsets..offsets + pointer {
        bytes.swap(at, at + 5 * pointer);
    }
    bytes
}

/// What stands in a region.
pub(super) fn contents(base: u64, size: u64) -> Vec<u8> {
    (0..size).map(|at| (((base + at) * 7) >> 3) as u8).collect()
}

fn context(wide: bool) -> Vec<u8> {
    if wide {
        let mut context = ContextAmd64::new_zeroed();
        context.context_flags = CONTEXT_ALL.into();
        context.rsp = (STACK + 0x1800).into();
        context.rip = (IMAGE + 0x10).into();
        return context.as_bytes().to_vec();
    }
    let mut context = ContextX86::new_zeroed();
    context.context_flags = (CONTEXT_X86 | 7).into();
    context.esp = (STACK as u32 + 0x1800).into();
    context.eip = (IMAGE as u32 + 0x10).into();
    context.as_bytes().to_vec()
}

struct Out {
    bytes: Vec<u8>,
    pointer: usize,
}

impl Out {
    fn words(&mut self, words: &[u32]) {
        self.bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }

    fn address(&mut self, address: u64) {
        let bytes = address.to_le_bytes();
        self.bytes.extend_from_slice(&bytes[..self.pointer]);
    }
}
