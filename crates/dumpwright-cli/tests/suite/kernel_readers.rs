//! Readers that others wrote, on kernel dumps of every type that they read:
//! each page that they see is held against the image.

use super::support::frames::{kernel, ram};
use super::support::guest::{Guest, KernelDump, PAGE_TYPES, WHOLE};
use super::support::readers::script_on;
use super::support::unhex;
use dumpwright_testkit::{Nt, kdbg, nt};
use kdmp_parser::{Gpa, Gva, Gxa as _, KernelDumpParser};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect()
}

/// What readers must translate: addresses of the kernel, by the system's tables.
fn kernel_places(nt: &Nt) -> Vec<u64> {
    let mut places = vec![Nt::variable(nt::rva::KDBG), nt::KERNEL + 0x1000];
    places.extend(nt.processors.iter().flat_map(|p| [p.prcb, p.thread, p.stack.0]));
    places.extend(nt.modules.iter().map(|m| m.entry));
    places
}

#[track_caller]
fn assert_kdmp_parser(dump: &KernelDump, nt: &Nt, name: &str) {
    let parser = KernelDumpParser::new(&dump.file).unwrap_or_else(|e| panic!("{name}: {e}"));
    let pages: Vec<u64> = parser.physmem().map(|(gpa, _)| gpa.u64() / 4096).collect();
    let ours: Vec<u64> = dump.open().pages.keys().copied().collect();
    assert_eq!(pages.len(), ours.len(), "{name}: pages");
    let mut bytes = [0; 4096];
    for pfn in ours {
        parser.phys_read_exact(Gpa::new(pfn * 4096), &mut bytes).unwrap();
        assert!(bytes == nt.image.page(pfn), "{name}: frame {pfn:#x}");
    }
    let mut modules: Vec<_> =
        parser.kernel_modules().map(|(r, n)| (r.start.u64(), n.to_owned())).collect();
    modules.sort_unstable();
    let mut built: Vec<_> = nt.modules.iter().map(|m| (m.base, m.name.clone())).collect();
    built.sort_unstable();
    assert_eq!(modules, built, "{name}: modules");
    let context = parser.context_record();
    let registers = &nt.processors[0].registers;
    assert_eq!((context.rip, context.rsp), (registers.rip, registers.rsp()), "{name}");
    let mut block = vec![0; kdbg::SIZE];
    let at = Gva::new(parser.headers().kd_debugger_data_block);
    parser.virt_read_exact(at, &mut block).unwrap();
    assert_eq!(block, nt.debugger_data, "{name}: KDBG through the header's page table");
}

#[test]
fn kdmp_parser_reads_every_type_that_it_knows() {
    let guest = Guest::new();
    for (name, value) in PAGE_TYPES {
        if [1, 5, 6, 8, 9, 10].contains(&value) {
            assert_kdmp_parser(&guest.dump_type(name), &guest.nt, name);
        }
    }
}

#[test]
fn kdmp_parser_finds_the_programs_modules_in_a_dump_of_kernel_and_user_memory() {
    let guest = Guest::new();
    let dump = guest.dump(&["-ka"]);
    let parser = KernelDumpParser::new(&dump.file).unwrap();
    let mut found: Vec<_> = parser.user_modules().map(|(_, name)| name.to_owned()).collect();
    found.sort_unstable();
    let process = &guest.nt.processes[guest.nt.processors[0].process];
    let mut built: Vec<_> = process.modules.iter().map(|m| m.0.clone()).collect();
    built.sort_unstable();
    assert_eq!(found, built);
}

#[test]
fn the_kdmp_parser_of_pypi_reads_every_type_that_it_knows() {
    let guest = Guest::new();
    let nt = &guest.nt;
    let places = kernel_places(nt);
    let arguments: Vec<String> =
        places.iter().map(|va| format!("{:x}:{va:x}", nt.system.root)).collect();
    let expected: Vec<_> =
        places.iter().map(|va| nt.system.translate(&nt.image, *va).unwrap()).collect();
    for (name, value) in PAGE_TYPES {
        if ![1, 5, 6, 8, 9, 10].contains(&value) {
            continue;
        }
        let dump = guest.dump_type(name);
        let Some(seen) = script_on("pypi_kdmp.py", &[&dump.file, &guest.raw], &arguments) else {
            return;
        };
        let ours: Vec<u64> = dump.open().pages.keys().copied().collect();
        assert_eq!(numbers(&seen["pages"]), ours, "{name}");
        assert_eq!(seen["different"], json!([]), "{name}");
        assert_eq!(numbers(&seen["translated"]), expected, "{name}");
        assert_eq!(seen["rip"].as_u64(), Some(nt.processors[0].registers.rip), "{name}");
    }
}

#[test]
fn volatilitys_crash_layer_reads_complete_dumps() {
    let guest = Guest::new();
    for (name, value) in [("full", 1), ("bitmap-full", 5)] {
        let dump = guest.dump_type(name);
        let Some(seen) = script_on("volatility_crash.py", &[&dump.file, &guest.raw], &[]) else {
            return;
        };
        assert_eq!(seen["layer"], "WindowsCrashDump64Layer", "{name}");
        assert_eq!(seen["dump_type"], value, "{name}");
        assert_eq!(seen["different"], json!([]), "{name}");
        let pages: u64 =
            seen["runs"].as_array().unwrap().iter().map(|r| r[1].as_u64().unwrap()).sum();
        assert_eq!(pages, guest.nt.image.ram_pages(), "{name}");
        assert_eq!(seen["debugger_data"].as_u64(), Some(Nt::variable(nt::rva::KDBG)), "{name}");
    }
}

#[test]
fn volatilitys_crash_layer_reads_the_bitmaps_of_kernel_dumps() {
    let guest = Guest::new();
    for (name, value) in [("bitmap-kernel", 6), ("automatic", 7)] {
        let dump = guest.dump_type(name);
        let Some(seen) = script_on("volatility_crash.py", &[&dump.file, &guest.raw], &[]) else {
            return;
        };
        assert_eq!(seen["dump_type"], value, "{name}");
        assert_eq!(seen["different"], json!([]), "{name}");
        let runs = seen["runs"].as_array().unwrap().iter().map(numbers);
        let pages: Vec<u64> = runs.flat_map(|run| run[0]..run[0] + run[1]).collect();
        let ours: Vec<u64> = dump.open().pages.keys().copied().collect();
        assert_eq!(pages, ours, "{name}");
    }
}

#[test]
fn a_reader_written_from_descriptions_alone_reads_every_bitmap_page_by_page() {
    let guest = Guest::new();
    let image = &guest.nt.image;
    for (name, value) in PAGE_TYPES.into_iter().filter(|(_, v)| [2, 5, 6, 7].contains(v)) {
        let dump = guest.dump_type(name);
        let Some(seen) = script_on("bitmap_dump.py", &[&dump.file, &guest.raw], &[]) else {
            return;
        };
        assert_eq!(seen["type"], value, "{name}");
        assert_eq!(seen["different"], json!([]), "{name}");
        let pages: BTreeSet<u64> = numbers(&seen["pages"]).into_iter().collect();
        if WHOLE.contains(&name) {
            assert_eq!(pages, ram(image), "{name}");
        } else {
            assert!(kernel(&guest.nt).is_subset(&pages), "{name}: pages of the kernel are lost");
            let foreign = guest.nt.canaries().map(|canary| canary.pfn);
            let foreign: Vec<_> = foreign.filter(|pfn| pages.contains(pfn)).collect();
            assert!(foreign.is_empty(), "{name}: user pages {foreign:x?}");
        }
    }
}

#[test]
fn memprocfs_reads_memory_through_the_page_tables_of_a_complete_dump() {
    let guest = Guest::new();
    let nt = &guest.nt;
    let places = kernel_places(nt);
    let mut arguments = vec![format!("{:x}", nt.system.root)];
    arguments.extend(places.iter().map(|va| format!("{va:x}:20")));
    for name in ["full", "bitmap-full"] {
        let dump = guest.dump_type(name);
        let Some(seen) = script_on("memprocfs_dump.py", &[&dump.file, &guest.raw], &arguments)
        else {
            return;
        };
        assert_eq!(seen["different"], json!([]), "{name}");
        for (va, sample) in places.iter().zip(seen["samples"].as_array().unwrap()) {
            let bytes = nt.read(*va, 0x20).unwrap();
            assert_eq!(unhex(sample.as_str().unwrap()), bytes, "{name}: {va:#x}");
        }
    }
}
