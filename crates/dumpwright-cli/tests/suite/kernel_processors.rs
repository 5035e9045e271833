//! Processors: the one that a dump is seen from, and the registers of all.

use super::support::cli::{command, run};
use super::support::guest::{Guest, dump_image};
use dumpwright_testkit::{DumpFile, Nt, NtOptions, PAGE, Processor};
use serde_json::Value;
use std::path::Path;

fn info(file: &Path) -> Value {
    run(command().args(["info", "--json"]).arg(file)).ok().json()
}

/// The context that a processor's `KPRCB` points to, in a dump.
fn context(dump: &DumpFile, nt: &Nt, p: &Processor) -> Vec<u8> {
    let byte = |va: u64| {
        let gpa = nt.system.translate(&nt.image, va).unwrap();
        dump.page(gpa / PAGE).unwrap()[(gpa % PAGE) as usize]
    };
    (p.context_at..p.context_at + 0x4d0).map(byte).collect()
}

#[test]
fn registers_of_every_processor_are_in_a_dump_and_in_a_dump_of_it() {
    let mut nt = Nt::build(&NtOptions { processors: 3, ..NtOptions::default() });
    // A kernel that runs has not kept them, and its floating point is its own.
    for at in nt.processors.iter().map(|p| p.context_at).collect::<Vec<_>>() {
        nt.system.write(&mut nt.image, at, &[0; 0x4d0]);
        nt.system.write(&mut nt.image, at + 0x1a0, &[0xfb; 16]);
    }
    let guest = Guest::of(nt);
    let full = guest.dump(&["-f"]);
    let again = dump_image(&full.file, &["--type", "bitmap-full"]);
    for dump in [&full, &again] {
        let found = info(&dump.file);
        let file = dump.open();
        for (number, p) in guest.nt.processors.iter().enumerate() {
            let registers = found["processors"][number]["registers"].as_array().unwrap();
            let register = |name: &str| {
                let pair = registers.iter().find(|r| r[0] == name).unwrap();
                let digits = pair[1].as_str().unwrap().trim_start_matches("0x");
                u64::from_str_radix(digits, 16).unwrap()
            };
            assert_eq!(register("rip"), p.registers.rip);
            assert_eq!(register("rsp"), p.registers.rsp());
            assert_eq!(register("cr3"), p.registers.cr3);
            assert_eq!(register("kernel_gs_base"), p.registers.kernel_gs_base);
            // Where a debugger looks for them.
            let (ours, real) = (context(&file, &guest.nt, p), p.registers.context());
            assert_eq!(ours[0x38..0x48], real[0x38..0x48], "segments and flags");
            assert_eq!(ours[0x78..0x100], real[0x78..0x100], "general registers");
            assert_eq!(ours[0x1a0..0x1b0], [0xfb; 16], "what is not known stays");
        }
    }
    let small = guest.dump(&["-m"]).small();
    let p = &guest.nt.processors[1];
    let blocks = small.data_blocks();
    let block =
        blocks.iter().find(|b| b.va <= p.context_at && p.context_at < b.va + b.bytes.len() as u64);
    let block = block.expect("contexts are in small dumps");
    let at = (p.context_at - block.va) as usize + 0x78;
    assert_eq!(block.bytes[at..at + 0x88], p.registers.context()[0x78..0x100]);
}

#[test]
fn what_a_crashed_kernel_kept_of_its_processors_stays() {
    let options = NtOptions { bug_check: Some((0xd1, [1, 2, 3, 4])), ..NtOptions::default() };
    let guest = Guest::of(Nt::build(&options));
    let file = guest.dump(&["-f"]).open();
    for p in &guest.nt.processors {
        assert_eq!(context(&file, &guest.nt, p), guest.nt.read(p.context_at, 0x4d0).unwrap());
    }
}

#[test]
fn the_processor_that_raised_the_bug_check_is_the_one_that_a_dump_is_seen_from() {
    let options = NtOptions {
        bug_check: Some((0xd1, [0x10, 2, 0, 0xffff_f804_1234_5678])),
        crashed: 2,
        processors: 3,
        ..NtOptions::default()
    };
    let guest = Guest::of(Nt::build(&options));
    let crashed = &guest.nt.processors[2];
    let process = &guest.nt.processes[crashed.process];
    let full = guest.dump(&["-f"]);
    let file = full.open();
    assert_eq!(file.header_u64(0x10), process.space.root, "DirectoryTableBase");
    assert_eq!(file.header_u64(0x348 + 0xf8), crashed.registers.rip, "the context's RIP");
    let small = guest.dump(&["-m"]).small();
    assert_eq!(small.prcb(), guest.nt.read(crashed.prcb, 0xaf00).unwrap());
    assert_eq!(small.thread(), guest.nt.read(crashed.thread, 0x898).unwrap());
    assert_eq!(small.stack().va, crashed.registers.rsp());
    // A dump of that dump is seen from it too.
    let again = dump_image(&full.file, &["-m"]).small();
    assert_eq!(again.prcb(), small.prcb());
    assert_eq!(again.context()[0x78..0x100], small.context()[0x78..0x100]);
    // And from another, if that is asked for.
    let other = guest.dump(&["-m", "--raw-header", "cpu=0"]).small();
    assert_eq!(other.prcb(), guest.nt.read(guest.nt.processors[0].prcb, 0xaf00).unwrap());
    let none = guest.dump(&["-m", "--raw-header", "cpu=7"]);
    let told = none.summary["soft_error_list"].to_string();
    assert!(told.contains("no processor 7 of 3"), "{told}");
}
