//! The engine by itself, on a guest that it is told everything about: a fault
//! here is one of planning, layout or writing, and none of discovery.

use super::support::frames::{assert_kernel_only, assert_whole};
use super::support::guest::{Guest, KERNEL_ONLY, PAGE_TYPES, WHOLE};
use dumpwright::KernelDumpType;
use dumpwright_testkit::{Nt, NtOptions, PagingMode, Run};
use kdmp_parser::KernelDumpParser;

fn kind(name: &str) -> KernelDumpType {
    KernelDumpType::from_name(name).unwrap()
}

#[test]
fn every_type_holds_what_belongs_in_it() {
    let guest = Guest::new();
    for (name, value) in PAGE_TYPES {
        let dump = guest.dump_known(kind(name));
        assert_eq!(dump.open().dump_type(), value, "{name}");
        assert_eq!(dump.open().header_u64(0xfa0), dump.open().length, "{name}");
        if WHOLE.contains(&name) {
            assert_whole(&dump.open(), &guest.nt.image);
        }
        if KERNEL_ONLY.contains(&name) {
            assert_kernel_only(&dump, &guest.nt);
        }
        if [1, 5, 6, 8, 9, 10].contains(&value) {
            let parser = KernelDumpParser::new(&dump.file).unwrap();
            assert_eq!(parser.physmem().len(), dump.open().pages.len(), "{name}");
            assert_eq!(parser.kernel_modules().len(), guest.nt.modules.len(), "{name}");
        }
    }
}

#[test]
fn a_small_dump_holds_the_structures_of_the_current_processor() {
    let guest = Guest::new();
    let small = guest.dump_known(KernelDumpType::Triage).small();
    let nt = &guest.nt;
    let (p, process) = (&nt.processors[0], &nt.processes[nt.processors[0].process]);
    assert_eq!(small.context()[0x78..0x100], p.registers.context()[0x78..0x100]);
    assert_eq!(small.prcb(), nt.read(p.prcb, 0xaf00).unwrap());
    assert_eq!(small.thread(), nt.read(p.thread, 0x898).unwrap());
    assert_eq!(small.process(), nt.read(process.eprocess, 0xa40).unwrap());
    assert_eq!(small.debugger_data(), nt.debugger_data);
    let stack = small.stack();
    assert_eq!(stack.va, p.registers.rsp());
    assert_eq!(stack.bytes, nt.read(stack.va, (p.stack.1 - stack.va) as usize).unwrap());
    let drivers: Vec<_> = small.drivers().iter().map(|d| (d.base(), d.size())).collect();
    assert_eq!(drivers, nt.modules.iter().map(|m| (m.base, m.size)).collect::<Vec<_>>());
    assert_eq!(small.unloaded(), nt.unloaded);
    for block in small.data_blocks() {
        assert_eq!(Some(&block.bytes), nt.read(block.va, block.bytes.len()).as_ref());
    }
}

#[test]
fn no_user_page_leaks_whatever_the_tables_look_like() {
    let mut huge =
        NtOptions { huge_user_page: Some(0x20_0000), litter: 64, ..NtOptions::default() };
    huge.runs.push(Run::new(0x20_0000, 0x24_0000));
    for options in [
        NtOptions { large_kernel: false, kva_shadow: true, ..NtOptions::default() },
        NtOptions { paging: PagingMode::Long5, ..NtOptions::default() },
        huge,
    ] {
        let guest = Guest::of(Nt::build(&options));
        assert_kernel_only(&guest.dump_known(KernelDumpType::KernelMemory), &guest.nt);
    }
}
