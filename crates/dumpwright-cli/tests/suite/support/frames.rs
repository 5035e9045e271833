//! Which frames of a guest a dump should have, and whether it has them.

use super::guest::KernelDump;
use dumpwright_testkit::{DumpFile, Image, Nt};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Asserts that each page of a dump is as in the image.
#[track_caller]
pub fn assert_pages(dump: &DumpFile, image: &Image) {
    for &pfn in dump.pages.keys() {
        assert!(image.is_ram(pfn), "frame {pfn:#x} is not RAM");
        assert!(dump.page(pfn).unwrap() == image.page(pfn), "frame {pfn:#x} differs");
    }
}

/// The frames that a dump has.
pub fn frames(dump: &DumpFile) -> BTreeSet<u64> {
    dump.pages.keys().copied().collect()
}

/// The frames of RAM.
pub fn ram(image: &Image) -> BTreeSet<u64> {
    image.runs().iter().flat_map(|r| r.base..r.end()).collect()
}

/// What the kernel maps, and its tables.
pub fn kernel(nt: &Nt) -> BTreeSet<u64> {
    let frames = nt.system.kernel_frames(&nt.image);
    &frames.pages | &frames.tables
}

/// Tables of the user halves: no user's data, and so allowed in a kernel dump.
fn user_tables(nt: &Nt) -> BTreeSet<u64> {
    let spaces = nt.processes.iter().flat_map(|p| [Some(p.space), p.shadow]).flatten();
    spaces.flat_map(|s| s.user_frames(&nt.image).tables).collect()
}

/// Asserts that a dump has the kernel's pages and no other.
#[track_caller]
pub fn assert_kernel_only(dump: &KernelDump, nt: &Nt) {
    let file = dump.open();
    assert_pages(&file, &nt.image);
    let (has, kernel) = (frames(&file), kernel(nt));
    let lost: Vec<_> = kernel.difference(&has).collect();
    assert!(lost.is_empty(), "lost of the kernel: {lost:x?}");
    let added: Vec<_> = has.difference(&(&kernel | &user_tables(nt))).copied().collect();
    assert!(added.is_empty(), "not the kernel's: {added:x?}");
    assert_no_canary_in(&dump.file, nt);
}

/// Asserts that no byte of a user page is anywhere in a file.
#[track_caller]
pub fn assert_no_canary_in(file: &Path, nt: &Nt) {
    let bytes = fs::read(file).unwrap();
    let needle = b"USER PAGE CANARY";
    assert!(nt.canaries().all(|c| c.bytes.starts_with(needle)));
    // Canaries stand at multiples of 16 of their page, and pages at multiples of
    // 16 of the file; blocks of small dumps may stand anywhere.
    let small = bytes[0xf98] == 4;
    let found = if small {
        super::find(&bytes, needle).is_some()
    } else {
        bytes.chunks(16).any(|chunk| chunk == needle)
    };
    assert!(!found, "a user page is in the dump");
}

/// Asserts that a dump has all of RAM and nothing else.
#[track_caller]
pub fn assert_whole(dump: &DumpFile, image: &Image) {
    assert_pages(dump, image);
    let (has, ram) = (frames(dump), ram(image));
    let lost: Vec<_> = ram.difference(&has).take(10).collect();
    assert!(lost.is_empty(), "{} frames are lost: {lost:x?}…", ram.len() - has.len());
}
