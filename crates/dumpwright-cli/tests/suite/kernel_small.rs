//! The small dump, against a real one: the guest of `triage_x64.dmp` is rebuilt
//! around that dump's blocks, and a small dump of it must have them again.

use super::support::cli::dumpwright;
use super::support::frames::assert_no_canary_in;
use super::support::guest::{Guest, RebuiltGuest, dump_image, real_small_dump};
use dumpwright_testkit::{Block, Nt, NtOptions, PagingMode, Run, TriageDump, nt};
use std::ffi::OsStr;

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
    // A breakpoint in KeBugCheckEx, whatever the context is of.
    assert_eq!(ours.bytes[0xf00..0xf98], real.bytes[0xf00..0xf98], "exception");

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

/// Puts an array of blocks that drivers registered into a guest, which says that
/// it has `count`.
fn register(nt: &mut Nt, blocks: &[(u64, u64)], count: u32) {
    let (number, array) = (Nt::variable(0x21_1200), Nt::variable(0x21_1210));
    let kdbg = Nt::variable(nt::rva::KDBG);
    let mut poke = |va: u64, bytes: &[u8]| nt.system.write(&mut nt.image, va, bytes);
    poke(kdbg + 0x308, &number.to_le_bytes());
    poke(kdbg + 0x310, &array.to_le_bytes());
    poke(number, &count.to_le_bytes());
    for (index, (start, end)) in blocks.iter().enumerate() {
        poke(array + 16 * index as u64, &start.to_le_bytes());
        poke(array + 16 * index as u64 + 8, &end.to_le_bytes());
    }
}

#[test]
fn what_drivers_registered_for_small_dumps_is_in_them() {
    let mut nt = Nt::build(&NtOptions::default());
    // In a page that nothing points to, across the border to the next.
    let (start, len) = (nt.modules[2].base + 0x1ff0, 0x120);
    let bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
    nt.system.write(&mut nt.image, start, &bytes);
    register(&mut nt, &[(start, start + len)], 1);
    let guest = Guest::of(nt);
    let small = guest.dump(&["-m"]).small();
    let block = Block { va: start, bytes };
    assert_eq!(covered(&sorted_blocks(&small), &block), len as usize);
}

#[test]
fn absurd_registrations_neither_leak_nor_swell_a_small_dump() {
    let mut nt = Nt::build(&NtOptions::default());
    let driver = nt.modules[2].base;
    let mut blocks: Vec<(u64, u64)> = nt.canaries().map(|c| (c.va, c.va + 0x1000)).collect();
    blocks.extend([
        (driver, driver - 1),
        (driver, u64::MAX),
        (0xffff_8000_0000_0000, 0xffff_ffff_ffff_f000),
        (nt::KERNEL, nt::KERNEL + (1 << 40)),
        (u64::MAX - 3, u64::MAX),
        (0, 0),
    ]);
    register(&mut nt, &blocks, u32::MAX);
    let guest = Guest::of(nt);
    let dump = guest.dump(&["-m"]);
    assert_no_canary_in(&dump.file, &guest.nt);
    assert!(dump.small().bytes.len() < 4 << 20, "{} bytes", dump.small().bytes.len());
    assert!(dump.mentions("registered"), "{}", dump.summary);
}

#[test]
fn a_small_dump_has_the_current_one_of_many_processors_and_tells_of_those_left_out() {
    let options = NtOptions {
        processors: 70,
        bug_check: Some((0xd1, [0x10, 2, 0, 0xffff_f804_1234_5678])),
        crashed: 68,
        runs: vec![Run::new(0x1, 0x9f), Run::new(0x100, 0x2_0000)],
        ..NtOptions::default()
    };
    let guest = Guest::of(Nt::build(&options));
    let dump = guest.dump(&["-m"]);
    let small = dump.small();
    assert_eq!(small.u32(0x34), 70, "NumberProcessors");
    let blocks = sorted_blocks(&small);
    for number in [68, 0, 62] {
        let va = guest.nt.processors[number].prcb;
        let block = Block { va, bytes: guest.nt.read(va, 0xaf00).unwrap() };
        assert_eq!(covered(&blocks, &block), 0xaf00, "KPRCB of processor {number}");
    }
    let all = Nt::variable(nt::rva::PROCESSOR_BLOCK);
    let block = Block { va: all, bytes: guest.nt.read(all, 70 * 8).unwrap() };
    assert_eq!(covered(&blocks, &block), 70 * 8, "KiProcessorBlock");
    assert!(dump.mentions("those of 6 more are left out"), "{}", dump.summary);
    // Registers are of all.
    let info = dumpwright([OsStr::new("info"), OsStr::new("--json"), dump.file.as_os_str()]).ok();
    assert_eq!(info.json()["processors"].as_array().unwrap().len(), 70);
}

#[test]
fn no_user_page_leaks_into_small_dumps_whatever_the_paging() {
    for (paging, large_kernel, kva_shadow) in [
        (PagingMode::Long4, true, false),
        (PagingMode::Long4, false, true),
        (PagingMode::Long5, true, false),
        (PagingMode::Long5, false, true),
    ] {
        let options = NtOptions { paging, large_kernel, kva_shadow, ..NtOptions::default() };
        let mut nt = Nt::build(&options);
        // Everything that is followed points at programs, too.
        let canaries: Vec<u64> = nt.canaries().map(|c| c.va).collect();
        for (index, va) in canaries.iter().enumerate() {
            let at = nt.processors[0].thread + 0x700 + 8 * index as u64;
            nt.system.write(&mut nt.image, at, &va.to_le_bytes());
        }
        let guest = Guest::of(nt);
        let dump = guest.dump(&["-m"]);
        assert_no_canary_in(&dump.file, &guest.nt);
        let p = &guest.nt.processors[0];
        assert_eq!(dump.small().prcb(), guest.nt.read(p.prcb, 0xaf00).unwrap());
    }
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
