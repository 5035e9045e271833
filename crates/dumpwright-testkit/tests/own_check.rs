//! The images are sound: a reader that knows nothing of the test kit finds in a
//! full dump of them what was put in.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use dumpwright_testkit::{
    Access, AddressSpace, Block, Image, KdbgForm, Nt, NtOptions, PAGE, PageSize, PagingMode,
    Rebuilt, Run, TriageDump, full_dump::Header, kdbg, nt, output,
};
use kdmp_parser::{Gpa, Gva, Gxa as _, KernelDumpParser};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

fn parse(header: &Header, image: &Image) -> (tempfile::TempDir, KernelDumpParser) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("full.dmp");
    header.write(image, &file).unwrap();
    let parser = KernelDumpParser::new(&file).unwrap();
    (folder, parser)
}

fn virtual_bytes(parser: &KernelDumpParser, dtb: u64, va: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    parser.virt_read_exact_with_dtb(Gva::new(va), &mut bytes, Gpa::new(dtb)).unwrap();
    bytes
}

#[test]
fn kdmp_parser_finds_modules_of_kernel_and_program_in_a_full_dump() {
    let nt = Nt::build(&NtOptions::default());
    let (_folder, parser) = parse(&nt.header(), &nt.image);
    let mut found: Vec<_> = parser.kernel_modules().map(|(r, n)| (r.start.u64(), n)).collect();
    found.sort_unstable();
    let mut built: Vec<_> = nt.modules.iter().map(|m| (m.base, m.name.as_str())).collect();
    built.sort_unstable();
    assert_eq!(found, built);
    let mut user: Vec<_> = parser.user_modules().map(|(_, n)| n.to_owned()).collect();
    user.sort_unstable();
    let process = &nt.processes[nt.processors[0].process];
    let mut built: Vec<_> = process.modules.iter().map(|m| m.0.clone()).collect();
    built.sort_unstable();
    assert_eq!(user, built);
}

#[test]
fn kdmp_parser_translates_as_the_tables_were_built() {
    let options = NtOptions { processors: 4, ..NtOptions::default() };
    let nt = Nt::build(&options);
    let (_folder, parser) = parse(&nt.header(), &nt.image);
    let system = nt.system.root;
    let kdbg = virtual_bytes(&parser, system, Nt::variable(nt::rva::KDBG), kdbg::SIZE);
    assert_eq!(kdbg, nt.debugger_data);
    for p in &nt.processors {
        let context = virtual_bytes(&parser, system, p.context_at, 0x4d0);
        assert_eq!(context, p.registers.context());
        let self_pcr = virtual_bytes(&parser, system, p.pcr + 0x18, 8);
        assert_eq!(self_pcr, p.pcr.to_le_bytes());
    }
    for process in &nt.processes[1..] {
        for canary in process.canaries.iter().filter(|c| c.va != 0x1001_0000) {
            let bytes = virtual_bytes(&parser, process.space.root, canary.va + 0xfe0, 32);
            assert_eq!(bytes, canary.bytes, "{:#x} of {}", canary.va, process.name);
        }
    }
}

#[test]
fn no_user_page_is_among_the_kernels_frames() {
    let options = NtOptions { kva_shadow: true, ..NtOptions::default() };
    for paging in [PagingMode::Long4, PagingMode::Long5] {
        let nt = Nt::build(&NtOptions { paging, ..options.clone() });
        let frames = nt.system.kernel_frames(&nt.image);
        assert!(frames.pages.len() > 600);
        for canary in nt.canaries() {
            assert!(!frames.pages.contains(&canary.pfn) && !frames.tables.contains(&canary.pfn));
            let at = canary.pfn * PAGE + 0xfe0;
            assert_eq!(nt.image.read(at, 32), canary.bytes);
        }
        for process in &nt.processes {
            assert_eq!(process.space.kernel_frames(&nt.image).pages, frames.pages);
        }
    }
}

#[test]
fn an_encoded_kdbg_is_unreadable_and_decodes_by_its_keys() {
    let options = NtOptions { kdbg: KdbgForm::EncodedWithCopy, ..NtOptions::default() };
    let nt = Nt::build(&options);
    let hidden = nt.read(Nt::variable(nt::rva::KDBG), kdbg::SIZE).unwrap();
    assert_ne!(&hidden[0x10..0x14], b"KDBG");
    assert_eq!(nt.keys.decode(&hidden), nt.debugger_data);
    assert_eq!(nt.read(nt.debugger_data_copy.unwrap(), kdbg::SIZE).unwrap(), nt.debugger_data);
}

#[test]
fn every_paging_mode_reads_back_what_was_written() {
    let runs = [Run::new(1, 0x9f), Run::new(0x100, 0x2000)];
    for (mode, va) in [
        (PagingMode::Long4, 0xffff_f800_1234_5000),
        (PagingMode::Long5, 0xffff_f800_1234_5000),
        (PagingMode::Pae, 0x8123_4000),
        (PagingMode::Legacy, 0x8123_4000),
    ] {
        let mut image = Image::new(&runs);
        let space = AddressSpace::new(&mut image, mode);
        let bytes: Vec<u8> = (0..0x3800_u32).flat_map(u32::to_le_bytes).collect();
        space.back(&mut image, va, bytes.len() as u64, Access::Kernel);
        space.write(&mut image, va, &bytes);
        assert!(space.read(&image, va, bytes.len()).unwrap() == bytes, "{mode:?}");
        let pages = bytes.len().div_ceil(PAGE as usize);
        assert_eq!(space.kernel_frames(&image).pages.len(), pages, "{mode:?}");

        let (large, count) = if mode == PagingMode::Legacy {
            (0xc000_0000, 1024)
        } else {
            (va & !0x1f_ffff | 1 << 30, 512)
        };
        let pfn = image.allocate_aligned(count, count);
        space.map(&mut image, large, pfn, PageSize::Large, Access::Kernel);
        let at = large + count * PAGE - 8;
        assert_eq!(space.translate(&image, at), Some((pfn + count) * PAGE - 8), "{mode:?}");
    }
}

#[test]
fn the_files_of_one_image_hold_the_same_memory() {
    let nt = Nt::build(&NtOptions::default());
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    output::raw(&nt.image, &path("raw")).unwrap();
    output::lime(&nt.image, &path("lime")).unwrap();
    let registers = nt.registers();
    let notes = output::ElfNotes { processors: &registers, vmcoreinfo: None };
    output::elf(&nt.image, &notes, &path("elf")).unwrap();
    let raw = std::fs::File::open(path("raw")).unwrap();
    let pages = || nt.image.runs().iter().flat_map(|r| r.base..r.end());
    for pfn in pages() {
        let mut page = [0; PAGE as usize];
        raw.read_exact_at(&mut page, pfn * PAGE).unwrap();
        assert!(page == nt.image.page(pfn), "frame {pfn:#x} of the raw image");
    }
    let memory: Vec<u8> = pages().flat_map(|pfn| nt.image.page(pfn)).collect();
    let elf = std::fs::read(path("elf")).unwrap();
    assert!(elf.ends_with(&memory));
    let lime = std::fs::read(path("lime")).unwrap();
    assert_eq!(lime.len(), memory.len() + 32 * nt.image.runs().len());
}

fn rebuilt() -> Option<Rebuilt> {
    let sample =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/samples/kernel/triage_x64.dmp");
    if !sample.exists() {
        eprintln!("SKIPPED: the rebuilt image: no shared/samples beside the repository");
        return None;
    }
    Some(Rebuilt::new(TriageDump::read(&sample).unwrap()))
}

#[test]
fn the_rebuilt_guest_has_the_real_blocks_at_their_addresses() {
    let Some(r) = rebuilt() else { return };
    let t = &r.triage;
    let header = Header {
        build: t.u32(0xc),
        directory_table_base: t.directory_table_base(),
        loaded_module_list: t.u64(0x20),
        active_process_head: t.u64(0x28),
        debugger_data: t.u64(0x80),
        processors: t.u32(0x34),
        context: t.context().to_vec(),
        ..Header::default()
    };
    let (_folder, parser) = parse(&header, &r.image);
    for Block { va, bytes } in &r.real {
        let found = virtual_bytes(&parser, r.space.root, *va, bytes.len());
        assert!(found == *bytes, "{:#x} bytes at {va:#x}", bytes.len());
    }
    let drivers = t.drivers();
    let found = parser.kernel_modules().len();
    assert_eq!(found, drivers.len());
    for (range, name) in parser.kernel_modules() {
        let driver = drivers.iter().find(|d| d.base() == range.start.u64()).unwrap();
        assert_eq!(driver.name, name);
        assert_eq!(range.end.u64() - range.start.u64(), u64::from(driver.size()));
    }
}
