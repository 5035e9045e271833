//! Guests whose KDBG is encoded, wiped or not there: the dump has one that a
//! debugger can use, where its header says, and no other byte changes.

use super::support::frames::assert_no_canary_in;
use super::support::guest::{Guest, KernelDump, PAGE_TYPES};
use dumpwright_testkit::{DumpFile, KdbgForm, Nt, NtOptions, PAGE, nt};
use kdmp_parser::{Gva, KernelDumpParser};
use std::io::{BufRead, BufReader, Write};

fn guest(kdbg: KdbgForm) -> Guest {
    Guest::of(Nt::build(&NtOptions { kdbg, processors: 3, ..NtOptions::default() }))
}

/// KDBG of a dump, where its header says, through the guest's tables.
fn block(dump: &DumpFile, nt: &Nt) -> (u64, Vec<u8>) {
    let at = dump.header_u64(0x80);
    let read = |va: u64| {
        let gpa = nt.system.translate(&nt.image, va).expect("KDBG is mapped");
        dump.page(gpa / PAGE).expect("its page is in the dump")[(gpa % PAGE) as usize]
    };
    (at, (at..at + 0x380).map(read).collect())
}

fn word(block: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(block[at..at + 8].try_into().unwrap())
}

/// What is known without symbols.
#[track_caller]
fn assert_known(block: &[u8], nt: &Nt) {
    assert_eq!(&block[0x10..0x18], b"KDBG\x80\x03\0\0");
    for at in [0x18, 0x48, 0x50, 0x208, 0x218] {
        assert_eq!(word(block, at), word(&nt.debugger_data, at), "the field at {at:#x}");
    }
    // KTHREAD's process, EPROCESS' page table, what KPCR and the GDT have.
    for at in [0x2a0, 0x2ae, 0x2b4, 0x2e2, 0x2e4, 0x2e6, 0x2f4, 0x2f6, 0x2fa, 0x2fc, 0x302] {
        assert_eq!(block[at..at + 2], nt.debugger_data[at..at + 2], "the field at {at:#x}");
    }
}

/// Asserts that nothing differs from the image but KDBG's bytes.
#[track_caller]
fn assert_nothing_else_changed(dump: &DumpFile, nt: &Nt) {
    let at = dump.header_u64(0x80);
    let place = nt.system.translate(&nt.image, at).unwrap();
    for &pfn in dump.pages.keys() {
        let (mut ours, mut real) = (dump.page(pfn).unwrap(), nt.image.page(pfn));
        if pfn == place / PAGE {
            let from = (place % PAGE) as usize;
            let past = (from + 0x380).min(PAGE as usize);
            ours[from..past].fill(0);
            real[from..past].fill(0);
        }
        let next = nt.system.translate(&nt.image, at + 0x37f).unwrap();
        if pfn == next / PAGE && next / PAGE != place / PAGE {
            ours[..=(next % PAGE) as usize].fill(0);
            real[..=(next % PAGE) as usize].fill(0);
        }
        assert!(ours == real, "frame {pfn:#x} differs");
    }
}

fn told(dump: &KernelDump) -> String {
    dump.summary["soft_error_list"].to_string()
}

#[test]
fn a_wiped_block_is_made_again_in_its_place() {
    let guest = guest(KdbgForm::Missing);
    for (name, _) in PAGE_TYPES {
        let dump = guest.dump_type(name);
        let file = dump.open();
        let (at, made) = block(&file, &guest.nt);
        assert_eq!(at, Nt::variable(nt::rva::KDBG), "{name}: by the kernel's own list");
        assert_known(&made, &guest.nt);
        assert_nothing_else_changed(&file, &guest.nt);
        assert!(told(&dump).contains("--pdb"), "{name}: what would help is said");
        assert!(told(&dump).contains("made of"), "{name}");
        if name != "kernel-and-user-memory" && !super::support::guest::WHOLE.contains(&name) {
            assert_no_canary_in(&dump.file, &guest.nt);
        }
    }
}

#[test]
fn an_encoded_block_without_keys_is_replaced_by_one_that_can_be_read() {
    let guest = guest(KdbgForm::Encoded);
    let dump = guest.dump_type("kernel-memory");
    let (at, made) = block(&dump.open(), &guest.nt);
    assert_eq!(at, Nt::variable(nt::rva::KDBG));
    assert_known(&made, &guest.nt);
    assert_nothing_else_changed(&dump.open(), &guest.nt);
}

#[test]
fn a_block_without_a_page_stands_in_the_padding_of_the_kernels_headers() {
    let guest = guest(KdbgForm::NoPage);
    for name in ["full", "bitmap-kernel", "active"] {
        let dump = guest.dump_type(name);
        let (at, made) = block(&dump.open(), &guest.nt);
        assert!((nt::KERNEL..nt::KERNEL + PAGE).contains(&at), "{name}: {at:#x}");
        assert_eq!(guest.nt.read(at, 0x380).unwrap(), [0; 0x380], "{name}: it was padding");
        assert_known(&made, &guest.nt);
        assert_nothing_else_changed(&dump.open(), &guest.nt);
    }
}

#[test]
fn symbols_make_the_block_whole() {
    for kdbg in [KdbgForm::Missing, KdbgForm::Encoded] {
        let guest = guest(kdbg);
        let pdb = guest.path("ntkrnlmp.pdb");
        std::fs::write(&pdb, guest.nt.pdb()).unwrap();
        let dump = guest.dump(&["-k", "--pdb", pdb.to_str().unwrap()]);
        let (at, made) = block(&dump.open(), &guest.nt);
        assert_eq!(at, Nt::variable(nt::rva::KDBG));
        let real = &guest.nt.debugger_data;
        // Its list, and what the guest has that no symbol and no type tells.
        let differing: Vec<usize> = (0x10..0x350).filter(|i| made[*i] != real[*i]).collect();
        assert!(kdbg == KdbgForm::Missing || differing.is_empty(), "{differing:x?}");
        assert!(differing.iter().all(|at| (0x2f2..0x308).contains(at)), "{differing:x?}");
        let parser = KernelDumpParser::new(&dump.file).unwrap();
        assert_eq!(parser.kernel_modules().len(), guest.nt.modules.len());
        let start: [u8; 8] = parser.virt_read_struct(Gva::new(at + 0x10)).unwrap();
        assert_eq!(&start[..4], b"KDBG");
    }
}

#[test]
fn the_command_asks_the_symbol_server_that_it_was_given_and_a_folder_first() {
    let guest = guest(KdbgForm::Encoded);
    let pdb = guest.nt.pdb();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/store", listener.local_addr().unwrap());
    let answer = pdb.clone();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
        let request = lines.next().unwrap();
        while lines.next().is_some_and(|line| !line.is_empty()) {}
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&answer).unwrap();
        request
    });
    let by_server = guest.dump(&["-k", "--symbol-server", &url]);
    let request = server.join().unwrap();
    assert!(request.starts_with("GET /store/ntkrnlmp.pdb/"), "{request}");
    // Nobody listens any more, and nobody is asked where the folder has it.
    let folder = guest.path("symbols");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("ntkrnlmp.pdb"), &pdb).unwrap();
    let folder = folder.to_str().unwrap();
    let by_folder = guest.dump(&["-k", "--pdb", folder, "--symbol-server", &url]);
    for dump in [&by_server, &by_folder] {
        let (at, made) = block(&dump.open(), &guest.nt);
        assert_eq!(at, Nt::variable(nt::rva::KDBG));
        assert!(made == guest.nt.debugger_data);
    }
    // A server that is gone costs the symbols, and not the dump.
    let without = guest.dump(&["-k", "--symbol-server", &url]);
    assert!(without.mentions(&url), "{}", without.summary);
}

#[test]
fn a_small_dump_has_the_block_that_memory_lacks() {
    for kdbg in [KdbgForm::Missing, KdbgForm::Encoded, KdbgForm::NoPage] {
        let guest = guest(kdbg);
        let pdb = guest.path("ntkrnlmp.pdb");
        std::fs::write(&pdb, guest.nt.pdb()).unwrap();
        for options in [&["-m"][..], &["-m", "--pdb", pdb.to_str().unwrap()]] {
            let small = guest.dump(options).small();
            assert_eq!(&small.debugger_data()[0x10..0x14], b"KDBG", "{kdbg:?}");
            let at = small.u64(0x80);
            let blocks = small.data_blocks();
            let holds =
                |b: &&dumpwright_testkit::Block| b.va <= at && at < b.va + b.bytes.len() as u64;
            let there = blocks.iter().find(holds).expect("a block has its address");
            assert_eq!(&there.bytes[(at - there.va) as usize + 0x10..][..4], b"KDBG", "{kdbg:?}");
            assert_eq!(small.drivers().len(), guest.nt.modules.len());
            if options.len() > 1 {
                assert_eq!(
                    small.prcb(),
                    guest.nt.read(guest.nt.processors[0].prcb, 0xaf00).unwrap()
                );
            }
        }
    }
}
