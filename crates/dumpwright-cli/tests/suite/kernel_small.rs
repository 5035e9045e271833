//! The small dump, against a real one: the guest of `triage_x64.dmp` is rebuilt
//! around that dump's blocks, and a small dump of it must have them again.

use super::support::guest::{RebuiltGuest, dump_image, real_small_dump};
use dumpwright_testkit::{Block, TriageDump};

/// Bytes that a dump has of `block`, and how many of them there are; those that
/// it has must be right.
#[track_caller]
fn covered(blocks: &[Block], block: &Block) -> usize {
    let end = block.va + block.bytes.len() as u64;
    let mut covered = 0;
    let from = blocks.partition_point(|b| b.va + b.bytes.len() as u64 <= block.va);
    for ours in blocks[from..].iter().take_while(|b| b.va < end) {
        let start = ours.va.max(block.va);
        let stop = end.min(ours.va + ours.bytes.len() as u64);
        let of = |b: &Block| b.bytes[(start - b.va) as usize..(stop - b.va) as usize].to_vec();
        assert!(of(ours) == of(block), "the dumps differ at {start:#x}");
        covered += (stop - start) as usize;
    }
    covered
}

/// Everything of a small dump that stands for virtual memory.
fn sorted_blocks(dump: &TriageDump) -> Vec<Block> {
    let mut blocks = dump.data_blocks();
    blocks.sort_by_key(|b| b.va);
    for pair in blocks.windows(2) {
        assert!(pair[0].va + pair[0].bytes.len() as u64 <= pair[1].va, "data blocks overlap");
    }
    blocks
}

#[track_caller]
fn assert_same_structures(ours: &TriageDump, real: &TriageDump) {
    // General registers, selectors, flags, instruction pointer.
    assert_eq!(ours.context()[0x38..0x48], real.context()[0x38..0x48]);
    assert_eq!(ours.context()[0x78..0x100], real.context()[0x78..0x100]);
    assert!(ours.prcb() == real.prcb(), "KPRCB");
    assert!(ours.process() == real.process(), "EPROCESS");
    assert!(ours.thread() == real.thread(), "ETHREAD");
    assert!(ours.debugger_data() == real.debugger_data(), "debugger data");
    assert_eq!(ours.unloaded(), real.unloaded());
    for at in [0xc, 0x30, 0x34, 0x38] {
        assert_eq!(ours.u32(at), real.u32(at), "header at {at:#x}");
    }
    for at in [0x10, 0x18, 0x20, 0x28, 0x40, 0x48, 0x50, 0x58, 0x80] {
        assert_eq!(ours.u64(at), real.u64(at), "header at {at:#x}");
    }
}

#[track_caller]
fn assert_same_drivers(ours: &TriageDump, real: &TriageDump) {
    let (ours, real) = (ours.drivers(), real.drivers());
    assert_eq!(ours.len(), real.len());
    for (a, b) in ours.iter().zip(&real) {
        assert_eq!(a.name, b.name);
        assert_eq!((a.base(), a.size()), (b.base(), b.size()), "{}", b.name);
        // CheckSum, and the time stamp that the dump has behind it.
        assert_eq!(a.entry[0x78..0x88], b.entry[0x78..0x88], "{}", b.name);
    }
}

#[test]
fn a_small_dump_of_the_rebuilt_guest_is_the_real_one_again() {
    let Some(guest) = RebuiltGuest::new() else { return };
    let real = &guest.rebuilt.triage;
    let ours = dump_image(&guest.elf, &["-m"]).small();
    assert_same_structures(&ours, real);
    assert_same_drivers(&ours, real);

    assert_eq!(ours.stack(), real.stack());

    let mut all = sorted_blocks(&ours);
    all.push(ours.stack());
    all.sort_by_key(|b| b.va);
    let blocks = real.data_blocks();
    let missing: Vec<_> = blocks
        .iter()
        .filter(|block| covered(&all, block) < block.bytes.len())
        .map(|block| format!("{:#x}+{:#x}", block.va, block.bytes.len()))
        .collect();
    assert!(missing.is_empty(), "{} of {} blocks: {missing:?}", missing.len(), blocks.len());
    // What else it has is what the rebuilding put around the real blocks, and
    // pointers that the real kernel had no more room for.
    let (ours, real) = (ours.bytes.len(), real.bytes.len());
    assert!(ours < real + real / 4, "{ours} bytes, the real one has {real}");
}

#[test]
fn a_small_dump_of_a_small_dump_loses_nothing() {
    let Some(sample) = real_small_dump() else { return };
    let real = TriageDump::read(&sample).unwrap();
    let ours = dump_image(&sample, &["-m"]).small();
    assert_same_structures(&ours, &real);
    assert_same_drivers(&ours, &real);
    assert_eq!(ours.stack(), real.stack());
    let mut all = sorted_blocks(&ours);
    all.push(ours.stack());
    all.sort_by_key(|b| b.va);
    for block in real.data_blocks() {
        assert!(covered(&all, &block) >= block.bytes.len(), "the block at {:#x}", block.va);
    }
}
