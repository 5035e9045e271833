//! Which page frames a kernel dump of a guest holds, and that each is as the
//! guest has it: read by a second reading of the layouts, page by page.

use super::support::frames::{assert_kernel_only, assert_pages, assert_whole, frames, kernel, ram};
use super::support::guest::{Guest, KERNEL_ONLY, PAGE_TYPES, WHOLE, dump_image, try_dump};
use dumpwright_testkit::{DumpFile, Nt, NtOptions, PAGE, PagingMode, Run, output};
use std::time::{Duration, Instant};

#[test]
fn every_type_of_complete_dump_has_every_page_of_the_guest() {
    let guest = Guest::new();
    for name in WHOLE {
        let dump = guest.dump_type(name).open();
        assert_whole(&dump, &guest.nt.image);
    }
}

#[test]
fn the_letters_choose_the_types_of_the_debugger() {
    let guest = Guest::new();
    for (letters, types) in [("-f", [1, 10]), ("-k", [8, 8]), ("-ka", [9, 9])] {
        let dump = guest.dump(&[letters]).open();
        assert!(types.contains(&dump.dump_type()), "{letters}: {}", dump.dump_type());
        assert_pages(&dump, &guest.nt.image);
    }
    assert_eq!(guest.dump(&["-m"]).small().u32(0xf98), 4);
    for (name, value) in PAGE_TYPES {
        assert_eq!(guest.dump_type(name).open().dump_type(), value, "{name}");
    }
}

#[test]
fn a_kernel_dump_has_what_the_kernel_maps_and_no_user_page() {
    let guest = Guest::new();
    for name in KERNEL_ONLY {
        assert_kernel_only(&guest.dump_type(name), &guest.nt);
    }
}

#[test]
fn no_user_page_leaks_through_small_pages_shadow_tables_or_five_levels() {
    for (paging, large_kernel, kva_shadow) in
        [(PagingMode::Long4, false, true), (PagingMode::Long5, true, false)]
    {
        let options = NtOptions { paging, large_kernel, kva_shadow, ..NtOptions::default() };
        let guest = Guest::of(Nt::build(&options));
        assert_kernel_only(&guest.dump(&["-k"]), &guest.nt);
    }
}

#[test]
fn no_user_page_leaks_where_the_self_map_shows_a_page_of_1_gib() {
    let mut options = NtOptions::default();
    // RAM from 8 GiB on, in which the huge page lies; nearly all of it is zero.
    options.runs.push(Run::new(0x20_0000, 0x24_0000));
    options.huge_user_page = Some(0x20_0000);
    options.litter = 64;
    let guest = Guest::of(Nt::build(&options));
    assert_kernel_only(&guest.dump(&["-k"]), &guest.nt);
}

#[test]
fn a_dump_of_kernel_and_user_memory_has_the_current_program_and_no_other() {
    let guest = Guest::new();
    let nt = &guest.nt;
    let dump = guest.dump(&["-ka"]);
    let file = dump.open();
    assert_pages(&file, &nt.image);
    let has = frames(&file);
    let current = &nt.processes[nt.processors[0].process];
    let wanted = &kernel(nt) | &current.space.user_frames(&nt.image).pages;
    let lost: Vec<_> = wanted.difference(&has).collect();
    assert!(lost.is_empty(), "lost: {lost:x?}");
    for process in nt.processes.iter().filter(|p| p.pid != current.pid) {
        for canary in &process.canaries {
            assert!(!has.contains(&canary.pfn), "{:#x} of {}", canary.va, process.name);
        }
    }
    let freed: Vec<_> = nt.litter.iter().filter(|pfn| has.contains(pfn)).collect();
    assert!(freed.is_empty(), "freed pages: {freed:x?}");
}

#[test]
fn every_kind_of_image_gives_the_same_kernel_dump() {
    let guest = Guest::new();
    let lime = guest.path("guest.lime");
    output::lime(&guest.nt.image, &lime).unwrap();
    let full = guest.path("full.dmp");
    guest.nt.header().write(&guest.nt.image, &full).unwrap();
    for image in [&guest.elf, &lime, &full] {
        let dump = dump_image(image, &["-k"]);
        assert_kernel_only(&dump, &guest.nt);
    }
    let ranges: Vec<String> = guest
        .nt
        .image
        .runs()
        .iter()
        .map(|r| format!("{:#x}-{:#x}", r.base * PAGE, r.end() * PAGE))
        .collect();
    let compact = guest.path("compact.raw");
    output::compact(&guest.nt.image, &compact).unwrap();
    let dump = dump_image(&compact, &["-k", "--ranges", &ranges.join(",")]);
    assert_kernel_only(&dump, &guest.nt);
    let dump = dump_image(&guest.raw, &["-k", "--ranges", "flat"]);
    assert_kernel_only(&dump, &guest.nt);
}

#[test]
fn the_page_at_address_zero_is_not_lost() {
    let mut options = NtOptions::default();
    options.runs[0] = Run::new(0, 0x9f);
    let mut nt = Nt::build(&options);
    nt.image.write(0x10, b"firmware's interrupt table");
    let guest = Guest::of(nt);
    for name in ["full", "bitmap-full"] {
        let dump = guest.dump_type(name).open();
        assert_whole(&dump, &guest.nt.image);
    }
    // A reader takes a range that begins at frame 0 for the end of the list, so
    // that type 10 cannot name it at the front, and must not end there.
    let dump = guest.dump_type("complete-memory");
    let file = dump.open();
    assert_pages(&file, &guest.nt.image);
    let mut lost = &ram(&guest.nt.image) - &frames(&file);
    lost.remove(&0);
    assert!(lost.is_empty(), "lost: {lost:x?}");
    let whole = file.pages.contains_key(&0);
    assert!(whole || dump.mentions("0x0") || dump.mentions("frame 0"), "said: {}", dump.summary);
}

#[test]
fn more_runs_than_the_header_holds_lose_no_page() {
    let mut options = NtOptions::default();
    options.runs.truncate(3);
    options.runs.extend((0..60).map(|i| Run::new(0x10_0000 + 0x20 * i, 0x10_0010 + 0x20 * i)));
    let guest = Guest::of(Nt::build(&options));
    for name in ["bitmap-full", "complete-memory"] {
        let dump = guest.dump_type(name).open();
        assert_whole(&dump, &guest.nt.image);
    }
    // Type 1 has no other place for its runs: it says so, and does not lose any.
    let file = guest.path("full.dmp");
    let run = try_dump(&guest.elf, &["--type", "full"], &file);
    if run.status.success() {
        let dump = DumpFile::open(&file).unwrap();
        let has = frames(&dump);
        assert!(ram(&guest.nt.image).is_subset(&has));
        for pfn in ram(&guest.nt.image) {
            assert!(dump.page(pfn).unwrap() == guest.nt.image.page(pfn), "frame {pfn:#x}");
        }
        let said = format!("{}{}", run.text(), run.stderr);
        assert!(said.contains("runs"), "more pages than the guest has, and not a word: {said}");
    } else {
        assert!(run.refused().contains("runs"));
        assert!(!file.exists());
    }
}

#[test]
fn a_kernel_dump_of_70_gib_takes_seconds_and_names_pages_above_64_gib() {
    let runs = vec![
        Run::new(0x1, 0x9f),
        Run::new(0x100, 0xc_0000),
        Run::new(0x10_0000, 0x118_0000),
        // Where the allocator takes every fourth page from.
        Run::new(0x119_0000, 0x11a_0000),
    ];
    let options = NtOptions { runs, ..NtOptions::default() };
    let guest = Guest::of(Nt::build(&options));
    for options in [["--type", "kernel-memory"], ["--type", "bitmap-kernel"]] {
        let start = Instant::now();
        let dump = guest.dump(&options);
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        assert!(dump.open().pages.keys().any(|pfn| *pfn > 1 << 24));
        assert_kernel_only(&dump, &guest.nt);
    }
}

#[test]
fn an_active_dump_without_symbols_says_so_and_loses_nothing() {
    let guest = Guest::new();
    let file = guest.path("active.dmp");
    let run = try_dump(&guest.elf, &["--active"], &file);
    if run.status.success() {
        let dump = DumpFile::open(&file).unwrap();
        assert_eq!(dump.dump_type(), 5);
        assert_whole(&dump, &guest.nt.image);
        let said = format!("{}{}", run.text(), run.stderr).to_lowercase();
        assert!(said.contains("symbol") || said.contains("pdb"), "{said}");
    } else {
        let said = run.refused().to_lowercase();
        assert!(said.contains("symbol") || said.contains("pdb"), "{said}");
        assert!(!file.exists());
    }
}

#[test]
fn an_active_dump_leaves_out_free_and_standby_pages_and_no_other() {
    let options = NtOptions { pfn_database: true, ..NtOptions::default() };
    let guest = Guest::of(Nt::build(&options));
    let pdb = guest.path("ntkrnlmp.pdb");
    std::fs::write(&pdb, guest.nt.pdb()).unwrap();
    let dump = guest.dump(&["--active", "--pdb", pdb.to_str().unwrap()]).open();
    assert_eq!(dump.dump_type(), 5);
    assert_pages(&dump, &guest.nt.image);
    let (has, in_use) = (frames(&dump), guest.nt.in_use());
    let lost: Vec<_> = in_use.difference(&has).collect();
    assert!(lost.is_empty(), "in use and lost: {lost:x?}");
    let freed: Vec<_> = guest.nt.litter.iter().filter(|pfn| has.contains(pfn)).collect();
    assert!(freed.is_empty(), "free, and in the dump: {freed:x?}");
    assert!(has.len() < in_use.len() + 1200, "{} pages, {} in use", has.len(), in_use.len());
}
