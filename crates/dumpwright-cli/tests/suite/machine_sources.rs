//! Every source of physical memory, and what is understood of the guest in it:
//! a guest that the test kit built is found again as it was built.

use dumpwright::target::machine::image::RawLayout;
use dumpwright::target::machine::{
    ByHand, GuestKind, Gva, MachineOptions, MachineTarget, PageRun, Pfn, SymbolSources,
    open_machine, open_machine_source,
};
use dumpwright_testkit::output::{self, ElfNotes};
use dumpwright_testkit::{KdbgForm, Nt, NtOptions, PAGE, PagingMode, nt};
use std::path::Path;
use tempfile::TempDir;

fn open(path: &Path, options: &MachineOptions) -> Box<dyn MachineTarget> {
    open_machine(path, options).unwrap().expect("it is a machine")
}

fn elf(nt: &Nt, with_registers: bool) -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guest.elf");
    let registers = nt.registers();
    let processors = if with_registers { registers.as_slice() } else { &[] };
    output::elf(&nt.image, &ElfNotes { processors, vmcoreinfo: None }, &path).unwrap();
    (folder, path)
}

/// Everything that the test kit knows of its guest.
#[track_caller]
fn assert_understood(target: &dyn MachineTarget, nt: &Nt, with_registers: bool) {
    let found = target.snapshot();
    assert_eq!(found.guest, GuestKind::Windows, "{:?}", found.soft_errors);
    assert_eq!(found.kernel_base, Gva(nt::KERNEL));
    assert_eq!(found.build, nt::BUILD);
    assert_eq!(found.major_version, 0xf);
    assert_eq!(found.debugger_data, Gva(Nt::variable(nt::rva::KDBG)));
    assert_eq!(found.loaded_module_list, Gva(Nt::variable(nt::rva::MODULES)));
    assert_eq!(found.active_process_head, Gva(Nt::variable(nt::rva::PROCESSES)));
    assert_eq!(found.pfn_database, Gva(Nt::variable(nt::rva::PFN_DATABASE)));
    assert_eq!(found.system_time.0, nt.system_time);
    assert_eq!(found.system_up_time, nt.system_up_time);
    assert_eq!((found.product_type, found.suite_mask), (1, 0x110));
    assert_eq!(found.debugger_data_block.as_deref(), Some(nt.debugger_data.as_slice()));
    let modules: Vec<_> =
        found.modules.iter().map(|m| (m.entry.0, m.base.0, m.size, &*m.name)).collect();
    let built: Vec<_> = nt.modules.iter().map(|m| (m.entry, m.base, m.size, &*m.name)).collect();
    assert_eq!(modules, built);
    let mut unloaded: Vec<_> =
        found.unloaded_modules.iter().map(|m| (m.name.clone(), m.start.0)).collect();
    unloaded.reverse();
    assert_eq!(unloaded, nt.unloaded);
    let processes: Vec<_> =
        found.processes.iter().map(|p| (p.eprocess.0, p.directory_table_base)).collect();
    let built: Vec<_> = nt.processes.iter().map(|p| (p.eprocess, p.space.root)).collect();
    assert_eq!(processes, built);
    let built = nt.bug_check;
    assert_eq!(found.bug_check.map(|b| (b.code, b.parameters)), built);
    assert_eq!(found.processors.len(), nt.processors.len());
    for (processor, built) in found.processors.iter().zip(&nt.processors) {
        assert_eq!(processor.prcb, Gva(built.prcb));
        assert_eq!(processor.pcr, Gva(built.pcr));
        assert_eq!(processor.current_thread, Gva(built.thread));
        let process = &nt.processes[built.process];
        assert_eq!(processor.current_process, Gva(process.eprocess));
        if with_registers {
            assert_eq!(processor.instruction_pointer, built.registers.rip);
            assert_eq!(processor.stack_pointer, built.registers.rsp());
        }
    }
    let pages: Vec<_> = nt.image.runs().iter().map(|r| (r.base, r.count)).collect();
    let runs: Vec<_> = target.memory().runs().iter().map(|r| (r.base.0, r.count)).collect();
    assert_eq!(joined(runs), joined(pages));
    for (pfn, page) in nt.image.written() {
        let mut bytes = vec![0; PAGE as usize];
        let mut holes = Vec::new();
        target.memory().read_pages(PageRun { base: Pfn(pfn), count: 1 }, &mut bytes, &mut holes);
        assert!(holes.is_empty() && bytes == page[..], "frame {pfn:#x}");
    }
}

/// Runs that touch as one.
fn joined(runs: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    let mut out: Vec<(u64, u64)> = Vec::new();
    for (base, count) in runs {
        match out.last_mut() {
            Some(last) if last.0 + last.1 == base => last.1 += count,
            _ => out.push((base, count)),
        }
    }
    out
}

#[test]
fn a_guest_is_understood_from_its_registers() {
    for options in [
        NtOptions::default(),
        NtOptions { bug_check: Some((0xd1, [1, 2, 3, 4])), ..NtOptions::default() },
        NtOptions { kva_shadow: true, processors: 3, ..NtOptions::default() },
        NtOptions { paging: PagingMode::Long5, ..NtOptions::default() },
        NtOptions { large_kernel: false, ..NtOptions::default() },
    ] {
        let nt = Nt::build(&options);
        let (_folder, path) = elf(&nt, true);
        let target = open(&path, &MachineOptions::default());
        assert_understood(&*target, &nt, true);
        assert!(target.snapshot().decoded_debugger_data.is_none());
        // The table of the current processor, or the kernel's where it has none.
        assert_eq!(target.snapshot().directory_table_base, nt.processes[1].space.root);
    }
}

#[test]
fn a_guest_is_understood_without_registers() {
    let nt = Nt::build(&NtOptions::default());
    let folder = tempfile::tempdir().unwrap();
    let lime = folder.path().join("guest.lime");
    output::lime(&nt.image, &lime).unwrap();
    let target = open(&lime, &MachineOptions::default());
    assert_understood(&*target, &nt, false);
    let told = target.snapshot().soft_errors.iter().any(|e| e.subject == "processors");
    assert!(told, "registers that are not the current ones are said to be so");
}

#[test]
fn a_raw_image_is_read_where_the_layout_says() {
    let runs = vec![dumpwright_testkit::Run::new(0, 0x3000)];
    let nt = Nt::build(&NtOptions { runs, ..NtOptions::default() });
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("guest.raw");
    output::raw(&nt.image, &raw).unwrap();
    for layout in [
        RawLayout::Guess,
        RawLayout::Flat,
        RawLayout::Ranges(vec![dumpwright::address::AddressRange::new(0, 0x300_0000)]),
    ] {
        let target = open(&raw, &MachineOptions { layout, ..MachineOptions::default() });
        assert_understood(&*target, &nt, false);
    }
}

#[test]
fn a_raw_images_layout_is_that_of_the_guests_own_list_of_memory() {
    // RAM below and above 4 GiB, with the file's bytes at their addresses, which
    // is not what a guess takes a file of that size for.
    let nt = Nt::build(&NtOptions::default());
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("guest.raw");
    output::raw(&nt.image, &raw).unwrap();
    let target = open(&raw, &MachineOptions::default());
    let found = target.snapshot();
    let runs: Vec<_> = found.runs.iter().map(|run| (run.base.0, run.count)).collect();
    assert_eq!(joined(runs), joined(nt.image.runs().iter().map(|r| (r.base, r.count)).collect()));
    let told: Vec<_> = found.soft_errors.iter().map(|e| &e.message).collect();
    assert!(told.iter().any(|m| m.contains("none of the guest's memory")), "{told:?}");
    assert!(!told.iter().any(|m| m.contains("QEMU's pc machine")), "it is no guess: {told:?}");
    // By hand all of the file is taken.
    let layout = RawLayout::Flat;
    let target = open(&raw, &MachineOptions { layout, ..MachineOptions::default() });
    let pages: u64 = target.snapshot().runs.iter().map(|run| run.count).sum();
    assert_eq!(pages, nt.image.end());
}

#[test]
fn a_raw_image_without_the_hole_is_read_where_the_guest_says() {
    // 2 GiB and some below the hole of q35, the rest above 4 GiB.
    let low = 2 << 18;
    let runs = vec![
        dumpwright_testkit::Run::new(0, low),
        dumpwright_testkit::Run::new(0x10_0000, 0x15_0000),
    ];
    let nt = Nt::build(&NtOptions { runs, ..NtOptions::default() });
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("guest.raw");
    output::compact(&nt.image, &raw).unwrap();
    let target = open(&raw, &MachineOptions::default());
    assert_understood(&*target, &nt, false);
}

#[test]
fn a_raw_image_whose_top_table_was_named_is_tried_in_every_layout() {
    let low = 2 << 18;
    let runs = vec![
        dumpwright_testkit::Run::new(0, low),
        dumpwright_testkit::Run::new(0x10_0000, 0x15_0000),
    ];
    let mut nt = Nt::build(&NtOptions { runs, ..NtOptions::default() });
    // Nothing in low memory looks like a top table of Windows any more.
    let roots: Vec<u64> = nt.processes.iter().map(|process| process.space.root).collect();
    for root in roots {
        nt.image.write(root + 8 * nt::SELF_MAP, &[0; 8]);
    }
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("guest.raw");
    output::compact(&nt.image, &raw).unwrap();
    let target = open(&raw, &MachineOptions::default());
    assert_eq!(target.snapshot().guest, GuestKind::Other, "nothing leads to the kernel");
    let by_hand = ByHand { directory_table_base: Some(nt.system.root), ..ByHand::default() };
    let target = open(&raw, &MachineOptions { by_hand, ..MachineOptions::default() });
    assert_understood(&*target, &nt, false);
    let told: Vec<_> = target.snapshot().soft_errors.iter().map(|e| &e.message).collect();
    assert!(!told.iter().any(|m| m.contains("QEMU's pc machine")), "it is no guess: {told:?}");
}

#[test]
fn damaged_symbols_are_not_believed_and_do_no_harm() {
    let nt = Nt::build(&NtOptions { kdbg: KdbgForm::Encoded, ..NtOptions::default() });
    let (folder, path) = elf(&nt, true);
    let pdb = nt.pdb();
    let file = folder.path().join("damaged.pdb");
    for seed in 0..40u64 {
        let mut bytes = pdb.clone();
        for step in 0..4 {
            let random = super::support::mix(seed * 4 + step);
            bytes[(random % pdb.len() as u64) as usize] ^= (random >> 56) as u8;
        }
        std::fs::write(&file, bytes).unwrap();
        let symbols = SymbolSources { paths: vec![file.clone()], servers: Vec::new() };
        let target = open(&path, &MachineOptions { symbols, ..MachineOptions::default() });
        assert_eq!(target.snapshot().guest, GuestKind::Windows);
    }
}

#[test]
fn encoded_debugger_data_is_taken_from_the_copy_that_a_driver_made() {
    let nt = Nt::build(&NtOptions { kdbg: KdbgForm::EncodedWithCopy, ..NtOptions::default() });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guest.elf");
    let header = nt.header().bytes(&nt.image);
    let notes = ElfNotes { processors: &nt.registers(), vmcoreinfo: Some(&header[..0x2000]) };
    output::elf(&nt.image, &notes, &path).unwrap();
    let target = open(&path, &MachineOptions::default());
    assert_understood(&*target, &nt, true);
    assert_eq!(target.snapshot().decoded_debugger_data.as_deref(), Some(&*nt.debugger_data));
}

#[test]
fn encoded_debugger_data_without_symbols_is_said_with_what_would_help() {
    let nt = Nt::build(&NtOptions { kdbg: KdbgForm::Encoded, ..NtOptions::default() });
    let (folder, path) = elf(&nt, true);
    let options = MachineOptions {
        symbols: SymbolSources { paths: vec![folder.path().into()], servers: Vec::new() },
        ..MachineOptions::default()
    };
    let target = open(&path, &options);
    let found = target.snapshot();
    assert_eq!(found.guest, GuestKind::Windows);
    assert_eq!(found.loaded_module_list, Gva(Nt::variable(nt::rva::MODULES)), "by the exports");
    assert_eq!(found.modules.len(), nt.modules.len());
    let told = found.soft_errors.iter().find(|e| e.subject == "KDBG").expect("it is said");
    assert!(
        told.message.contains("ntkrnlmp.pdb") && told.message.contains("--pdb"),
        "{}",
        told.message
    );
    let tried = found.soft_errors.iter().any(|e| e.subject.starts_with("symbols from"));
    assert!(tried, "what was tried is said too");
}

/// The PDB of a guest's kernel, as a symbol store and as a plain file.
fn store(nt: &Nt, folder: &Path) -> std::path::PathBuf {
    let file = folder.join("ntkrnlmp.pdb");
    std::fs::write(&file, nt.pdb()).unwrap();
    file
}

#[test]
fn encoded_debugger_data_is_decoded_with_the_symbols() {
    let options = NtOptions { kdbg: KdbgForm::Encoded, pfn_database: true, ..NtOptions::default() };
    let nt = Nt::build(&options);
    let (folder, path) = elf(&nt, true);
    let file = store(&nt, folder.path());
    for paths in [vec![file], vec![folder.path().to_owned()]] {
        let symbols = SymbolSources { paths, servers: Vec::new() };
        let target = open(&path, &MachineOptions { symbols, ..MachineOptions::default() });
        assert_understood(&*target, &nt, true);
        let found = target.snapshot();
        assert_eq!(found.decoded_debugger_data.as_deref(), Some(&*nt.debugger_data));
        let layout = found.pfn_database_layout.expect("the symbols tell");
        assert_eq!((layout.entry_size, layout.page_location_offset), (0x30, 0x22));
        assert_ne!(layout.base, Gva(0));
    }
}

#[test]
fn symbols_of_another_kernel_are_not_believed() {
    let nt = Nt::build(&NtOptions { kdbg: KdbgForm::Encoded, ..NtOptions::default() });
    let (folder, path) = elf(&nt, true);
    let mut pdb = nt.pdb();
    let guid = nt.kernel.guid;
    let at = super::support::find(&pdb, &guid).unwrap();
    pdb[at] ^= 1;
    let file = folder.path().join("other.pdb");
    std::fs::write(&file, pdb).unwrap();
    let noise = folder.path().join("noise.pdb");
    std::fs::write(&noise, vec![0x5a; 100_000]).unwrap();
    let symbols = SymbolSources { paths: vec![file, noise], servers: Vec::new() };
    let target = open(&path, &MachineOptions { symbols, ..MachineOptions::default() });
    let found = target.snapshot();
    // What no symbols tell is not in the one that was made.
    let made = found.debugger_data_block.as_ref().unwrap();
    assert_eq!(made[0x88..0x90], [0; 8], "KiBugcheckData");
    let told: Vec<_> = found.soft_errors.iter().map(|e| e.message.as_str()).collect();
    assert!(told.iter().any(|m| m.contains("belongs to another kernel")), "{told:?}");
}

#[test]
fn symbols_come_from_the_server_that_the_user_names() {
    let nt = Nt::build(&NtOptions { kdbg: KdbgForm::Encoded, ..NtOptions::default() });
    let (_folder, path) = elf(&nt, true);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/symbols/", listener.local_addr().unwrap());
    let pdb = nt.pdb();
    let server = std::thread::spawn(move || {
        use std::io::{BufRead, BufReader, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
        let request = lines.next().unwrap();
        while lines.next().is_some_and(|line| !line.is_empty()) {}
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", pdb.len());
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&pdb).unwrap();
        request
    });
    let servers = vec!["https://symbols.invalid".to_owned(), url];
    let symbols = SymbolSources { paths: Vec::new(), servers };
    let target = open(&path, &MachineOptions { symbols, ..MachineOptions::default() });
    assert_understood(&*target, &nt, true);
    let request = server.join().unwrap();
    assert!(request.starts_with("GET /symbols/ntkrnlmp.pdb/"), "{request}");
    let told: Vec<_> = target.snapshot().soft_errors.iter().map(|e| &e.message).collect();
    assert!(told.iter().any(|m| m.contains("only http://")), "{told:?}");
}

#[test]
fn a_kernel_dump_is_a_machine_whose_header_is_kept() {
    let nt =
        Nt::build(&NtOptions { bug_check: Some((0xd1, [1, 2, 3, 4])), ..NtOptions::default() });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.dmp");
    nt.header().write(&nt.image, &path).unwrap();
    let target = open(&path, &MachineOptions::default());
    assert_understood(&*target, &nt, false);
    let found = target.snapshot();
    assert_eq!(found.directory_table_base, nt.processors[0].registers.cr3);
    assert_eq!(found.processors[0].instruction_pointer, nt.processors[0].registers.rip);
}

#[test]
fn what_is_given_by_hand_overrides_what_is_found() {
    let nt = Nt::build(&NtOptions::default());
    let (_folder, path) = elf(&nt, true);
    let by_hand = ByHand {
        directory_table_base: Some(nt.system.root),
        build: Some(1234),
        loaded_module_list: Some(Gva(0x1234)),
        ..ByHand::default()
    };
    let target = open(&path, &MachineOptions { by_hand, ..MachineOptions::default() });
    let found = target.snapshot();
    assert_eq!(found.directory_table_base, nt.system.root);
    assert_eq!(found.build, 1234);
    assert_eq!(found.loaded_module_list, Gva(0x1234));
}

#[test]
fn a_broken_guest_is_opened_in_time_and_without_panic() {
    for fault in dumpwright_testkit::broken::Fault::ALL {
        let mut nt = Nt::build(&NtOptions::default());
        fault.apply(&mut nt);
        let (_folder, path) = elf(&nt, true);
        let start = std::time::Instant::now();
        let target = open(&path, &MachineOptions::default());
        assert!(start.elapsed().as_secs() < 20, "{fault:?} took {:?}", start.elapsed());
        assert!(!target.memory().runs().is_empty());
    }
}

#[test]
fn damaged_files_are_opened_or_refused_without_panic() {
    let nt = Nt::build(&NtOptions { litter: 0, ..NtOptions::default() });
    let (folder, path) = elf(&nt, true);
    let lime = folder.path().join("guest.lime");
    output::lime(&nt.image, &lime).unwrap();
    let mut refused = 0;
    for file in [std::fs::read(path).unwrap(), std::fs::read(lime).unwrap()] {
        for seed in 0..60u64 {
            let mut bytes = file.clone();
            // Among the headers, and in the pages of the guest's structures.
            for step in 0..8 {
                let random = super::support::mix(seed * 8 + step);
                let within = if step < 4 { 0x1000 } else { bytes.len() as u64 };
                bytes[(random % within) as usize] ^= (random >> 56) as u8;
            }
            if seed % 3 == 0 {
                bytes.truncate((super::support::mix(seed) % bytes.len() as u64) as usize);
            }
            let options = MachineOptions::default();
            match open_machine_source(Box::new(bytes), Path::new("damaged"), &options) {
                Ok(_) => {}
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 30, "cut files are refused: {refused}");
}
