//! What the header of a kernel dump says, against what the guest is.

use super::support::guest::{Guest, PAGE_TYPES};
use dumpwright_testkit::{DumpFile, KdbgForm, Nt, NtOptions, kdbg, nt};
use kdmp_parser::{Gpa, Gva, KernelDumpParser};

fn crashed() -> Nt {
    let bug_check =
        Some((0x1000_007e, [0xc000_0005, nt::KERNEL + 0x2234, 0xffff_8504_0000_4000, 7]));
    Nt::build(&NtOptions { bug_check, processors: 3, ..NtOptions::default() })
}

#[track_caller]
fn assert_header(dump: &DumpFile, nt: &Nt, name: &str) {
    let expected = nt.header();
    let current = &nt.processors[0];
    assert_eq!(dump.header_u32(0x8), 0xf, "{name}: MajorVersion");
    assert_eq!(dump.header_u32(0xc), expected.build, "{name}: MinorVersion");
    let dtb = dump.header_u64(0x10);
    let tables = [current.registers.cr3, nt.system.root];
    assert!(tables.contains(&dtb), "{name}: DirectoryTableBase {dtb:#x}");
    assert_eq!(dump.header_u64(0x18), expected.pfn_database, "{name}: PfnDataBase");
    assert_eq!(dump.header_u64(0x20), expected.loaded_module_list, "{name}: PsLoadedModuleList");
    assert_eq!(dump.header_u64(0x28), expected.active_process_head, "{name}: PsActiveProcessHead");
    assert_eq!(dump.header_u32(0x30), 0x8664, "{name}: MachineImageType");
    assert_eq!(dump.header_u32(0x34), expected.processors, "{name}: NumberProcessors");
    let (code, parameters) = nt.bug_check.unwrap_or((0x161, [0; 4]));
    assert_eq!(dump.header_u32(0x38), code, "{name}: BugCheckCode");
    if nt.bug_check.is_some() {
        for (i, parameter) in parameters.into_iter().enumerate() {
            assert_eq!(dump.header_u64(0x40 + 8 * i), parameter, "{name}: parameter {i}");
        }
    }
    assert_eq!(dump.header_u64(0x80), expected.debugger_data, "{name}: KdDebuggerDataBlock");
    assert_eq!(dump.header_u64(0xfa0), dump.length, "{name}: RequiredDumpSpace");
    assert_eq!(dump.header_u64(0xfa8), nt.system_time, "{name}: SystemTime");
    assert_eq!(dump.header_u64(0x1030), nt.system_up_time, "{name}: SystemUpTime");
    assert_eq!(dump.header_u32(0x1040), 1, "{name}: ProductType");
    assert_eq!(dump.header_u32(0x1044), 0x110, "{name}: SuiteMask");
    assert_eq!(dump.header_u32(0x1048), 0, "{name}: WriterStatus");
    let context = &dump.header[0x348..0x348 + 0x4d0];
    let ours = current.registers.context();
    // General registers, instruction pointer, flags and the two selectors.
    assert_eq!(context[0x78..0x100], ours[0x78..0x100], "{name}: ContextRecord");
    for at in [0x38, 0x42, 0x44] {
        assert_eq!(context[at..at + 2], ours[at..at + 2], "{name}: ContextRecord at {at:#x}");
    }
}

#[test]
fn every_field_of_the_header_is_the_guests() {
    for nt in [Nt::build(&NtOptions::default()), crashed()] {
        let guest = Guest::of(nt);
        for (name, _) in PAGE_TYPES {
            assert_header(&guest.dump_type(name).open(), &guest.nt, name);
        }
    }
}

#[test]
fn the_runs_of_a_complete_dump_are_the_guests() {
    let guest = Guest::new();
    assert_eq!(guest.dump_type("full").open().header_runs(), guest.nt.image.runs());
}

/// Reads KDBG from a dump, where its header says that it is.
fn debugger_data(file: &std::path::Path, nt: &Nt) -> Vec<u8> {
    let parser = KernelDumpParser::new(file).unwrap();
    let at = Gva::new(parser.headers().kd_debugger_data_block);
    let mut block = vec![0; kdbg::SIZE];
    parser.virt_read_exact_with_dtb(at, &mut block, Gpa::new(nt.system.root)).unwrap();
    block
}

#[test]
fn an_encoded_kdbg_is_decoded_in_the_dump_where_a_copy_is_known() {
    let options = NtOptions { kdbg: KdbgForm::EncodedWithCopy, ..NtOptions::default() };
    let guest = Guest::of(Nt::build(&options));
    for name in ["full", "kernel-memory", "bitmap-full"] {
        let dump = guest.dump_type(name);
        let block = debugger_data(&dump.file, &guest.nt);
        // The list entry may be of the copy.
        assert_eq!(block[0x10..], guest.nt.debugger_data[0x10..], "{name}");
    }
    let small = guest.dump(&["-m"]).small();
    assert_eq!(small.debugger_data()[0x10..], guest.nt.debugger_data[0x10..]);
}

#[test]
fn a_clear_kdbg_is_left_as_it_is() {
    let guest = Guest::new();
    let dump = guest.dump(&["-k"]);
    assert_eq!(debugger_data(&dump.file, &guest.nt), guest.nt.debugger_data);
}

#[test]
fn an_encoded_kdbg_that_nobody_explains_is_said_and_costs_no_page() {
    let options = NtOptions { kdbg: KdbgForm::Encoded, ..NtOptions::default() };
    let guest = Guest::of(Nt::build(&options));
    let dump = guest.dump_type("bitmap-full");
    assert_eq!(dump.open().pages.len() as u64, guest.nt.image.ram_pages());
    assert!(dump.mentions("KDBG") || dump.mentions("debugger data"), "{}", dump.summary);
}

#[test]
fn an_encoded_kdbg_is_decoded_in_the_dump_by_the_kernels_symbols() {
    let options = NtOptions { kdbg: KdbgForm::Encoded, ..NtOptions::default() };
    let guest = Guest::of(Nt::build(&options));
    let pdb = guest.path("ntkrnlmp.pdb");
    std::fs::write(&pdb, guest.nt.pdb()).unwrap();
    for kind in ["full", "kernel-memory"] {
        let dump = guest.dump(&["--type", kind, "--pdb", pdb.to_str().unwrap()]);
        assert_eq!(debugger_data(&dump.file, &guest.nt), guest.nt.debugger_data, "{kind}");
        let parser = KernelDumpParser::new(&dump.file).unwrap();
        assert_eq!(parser.kernel_modules().len(), guest.nt.modules.len(), "{kind}");
    }
}
