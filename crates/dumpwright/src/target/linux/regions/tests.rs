//! Mappings that few processes have, from made-up `/proc` text.

use super::*;
use crate::target::Access::{DontDump, Forbidden, Normal};
use crate::target::linux::mapped_file::MappedFiles;
use crate::target::linux::proc_dir::ProcDir;
use crate::target::linux::testkit::Flat;
use crate::target::{DebugId, Pid, Protection, Segment, Tid};

/// Regions of made-up mappings; `memory` is the readable part.
fn regions(text: &str, modules: &[ModuleSnapshot], memory: &Flat) -> Vec<Region> {
    let (maps, bad) = Maps::parse(text.as_bytes()).unwrap();
    assert_eq!(bad, 0);
    // This process has none of these mappings, so no file can be asked.
    let pid = std::process::id();
    let proc = ProcDir::new(Pid(pid), Tid(pid));
    let files = MappedFiles::new(&proc);
    RegionBuilder { maps: &maps, modules, files: &files, memory, page_size: 4096 }
        .build()
        .iter()
        .collect()
}

fn nothing() -> Flat {
    Flat::new(0, Vec::new())
}

fn module(base: u64, size: u64) -> ModuleSnapshot {
    let range = AddressRange::with_len(base, size);
    ModuleSnapshot {
        base,
        size,
        path: "/lib/x.so".into(),
        debug_id: DebugId::None,
        version: None,
        time_date_stamp: 0,
        check_sum: 0,
        segments: vec![Segment { range, protection: Protection::READ }],
        headers: Vec::new(),
    }
}

#[test]
fn devices_and_kernel_pages_are_forbidden_with_and_without_flags() {
    let text = "\
1000-2000 rw-s 00000000 00:06 99 /dev/nosuch/gpu
VmFlags: rd wr sh
2000-3000 rw-s 00000000 00:0f 99 anon_inode:[odd]
3000-4000 rw-s 00000000 00:0f 98 anon_inode:[known]
VmFlags: rd wr sh
4000-5000 rw-p 00000000 00:00 0 
VmFlags: rd wr io pf dd
5000-6000 r--p 00000000 00:00 0 [vvar_vclock]
VmFlags: rd
6000-7000 r-xp 00000000 00:00 0 [vdso]
VmFlags: rd ex dd
7000-8000 rw-p 00000000 00:00 0 
VmFlags: rd wr dd
8000-9000 rw-s 00000000 00:06 97 /dev/shm/nosuch (deleted)
";
    let access: Vec<Access> = regions(text, &[], &nothing()).iter().map(|r| r.access).collect();
    assert_eq!(
        access,
        [Forbidden, Forbidden, Normal, Forbidden, Forbidden, Normal, DontDump, Normal]
    );
}

#[test]
fn unpopulated_pages_read_as_what_stands_behind_them() {
    let text = "\
1000-2000 rw-p 00000000 00:00 0 [heap]
2000-3000 rw-s 00000000 00:01 0 /SYSV00000000 (deleted)
3000-4000 rw-p 00000000 00:0f 7 /anon_hugepage (deleted)
4000-5000 rw-s 00000000 00:0f 8 /anon_hugepage (deleted)
5000-6000 rw-p 00000000 00:00 0 
VmFlags: rd wr um
6000-7000 rw-p 00000000 08:01 9 /nosuch/file
";
    let found: Vec<_> =
        regions(text, &[], &nothing()).iter().map(|r| (r.absent, r.backing)).collect();
    assert_eq!(
        found,
        [
            (Absent::Zero, Backing::Anonymous),
            (Absent::File, Backing::File),
            (Absent::Zero, Backing::Anonymous),
            (Absent::File, Backing::File),
            (Absent::Unknown, Backing::Anonymous),
            (Absent::File, Backing::File),
        ]
    );
}

#[test]
fn memory_that_the_kernel_merged_with_a_bss_is_not_the_modules() {
    let text = "\
10000-11000 r--p 00000000 08:01 9 /lib/x.so
11000-15000 rw-p 00000000 00:00 0 
";
    let found = regions(text, &[module(0x10000, 0x3000)], &nothing());
    let parts: Vec<_> = found.iter().map(|r| (r.range, r.backing, r.allocation_base)).collect();
    assert_eq!(
        parts,
        [
            (AddressRange::new(0x10000, 0x11000), Backing::Image(0), 0x10000),
            (AddressRange::new(0x11000, 0x13000), Backing::Image(0), 0x10000),
            (AddressRange::new(0x13000, 0x15000), Backing::Anonymous, 0x13000),
        ]
    );
    assert!(found.iter().all(|r| r.backed_end <= r.range.end && r.backed_end >= r.range.start));
}

#[test]
fn the_end_of_a_file_that_cannot_be_asked_is_found_by_reading() {
    let text = "100000-10a000 r--p 00000000 08:01 9 /nosuch/file\n";
    for pages in [0u64, 1, 4, 9, 10] {
        let memory = Flat::new(0x10_0000, vec![1; (pages * 4096) as usize]);
        let end = regions(text, &[], &memory)[0].backed_end;
        assert_eq!(end, 0x10_0000 + pages * 4096, "{pages} pages");
    }
}

#[test]
fn adjacent_pieces_of_one_file_are_one_allocation() {
    let text = "\
1000-2000 r--p 00000000 08:01 9 /nosuch/file
2000-3000 rw-p 00001000 08:01 9 /nosuch/file
3000-4000 r--p 00005000 08:01 9 /nosuch/file
4000-5000 r--p 00006000 08:01 8 /nosuch/other
";
    let bases: Vec<u64> =
        regions(text, &[], &nothing()).iter().map(|r| r.allocation_base).collect();
    assert_eq!(bases, [0x1000, 0x1000, 0x3000, 0x4000]);
}

#[test]
fn the_address_space_is_larger_only_for_who_uses_it() {
    let end = |text: &str| {
        address_space_end(Architecture::Amd64, &Maps::parse(text.as_bytes()).unwrap().0)
    };
    let vsyscall = "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n";
    let low = format!("1000-2000 rw-p 00000000 00:00 0 \n{vsyscall}");
    assert_eq!(end(&low), 0x7fff_ffff_f000);
    let high = format!("80000000000000-80000000001000 rw-p 00000000 00:00 0 \n{vsyscall}");
    assert_eq!(end(&high), 0x00ff_ffff_ffff_f000);
}
