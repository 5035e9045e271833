//! Memory is read as it is, by either method, and what has no contents is known.

use crate::address::AddressRange;
use crate::soft_error::{Hole, HoleReason};
use crate::target::ProcessTarget;
use crate::target::linux::LinuxProcess;
use crate::target::linux::fixture::Fixture;
use std::time::{Duration, Instant};

/// 64 pages: a pattern, with page 10 unmapped, 20 without permissions, 30 and 31
/// a file mapping that reaches one page past its file's end.
const PATCHWORK: &str = r#"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
int main(void) {
    long page = sysconf(_SC_PAGESIZE);
    uint32_t *p = mmap(0, 64 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (long i = 0; i < 64 * page / 4; i++) p[i] = i * 2654435761u;
    munmap((char *)p + 10 * page, page);
    mprotect((char *)p + 20 * page, page, PROT_NONE);
    FILE *f = tmpfile();
    for (long i = 0; i < page / 4; i++) { uint32_t v = (30 * page / 4 + i) * 2654435761u; fwrite(&v, 4, 1, f); }
    fflush(f);
    mmap((char *)p + 30 * page, 2 * page, PROT_READ, MAP_SHARED | MAP_FIXED, fileno(f), 0);
    printf("%p %lx\n", p, page); fflush(stdout);
    for (;;) pause();
}"#;

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes as u32 / 4).flat_map(|i| i.wrapping_mul(2_654_435_761).to_ne_bytes()).collect()
}

fn read(held: &LinuxProcess, ranges: &[AddressRange]) -> (Vec<u8>, Vec<Hole>) {
    // Not zero, so that a byte that is left as it was shows.
    let mut buf = vec![0xEE; ranges.iter().map(|r| r.len()).sum::<u64>() as usize];
    let mut holes = Vec::new();
    held.memory().read(ranges, &mut buf, &mut holes);
    (buf, holes)
}

#[test]
fn exactly_the_pages_that_cannot_be_read_are_holes_by_either_method() {
    let fixture = Fixture::c(PATCHWORK);
    let [base, page] = fixture.numbers()[..] else { panic!() };
    let held = fixture.hold();
    let mut expected = pattern(64 * page as usize);
    for missing in [10, 31] {
        expected[missing * page as usize..][..page as usize].fill(0);
    }
    for method in ["process_vm_readv", "mem"] {
        let (bytes, holes) = read(&held, &[AddressRange::with_len(base, 64 * page)]);
        assert!(bytes == expected, "{method}");
        let found: Vec<_> = holes.iter().map(|h| h.range).collect();
        let pages = [10, 31].map(|n| AddressRange::with_len(base + n * page, page));
        // A page without permissions still has contents, which the file gives.
        assert_eq!(found, pages, "{method}");
        assert!(holes.iter().all(|h| matches!(h.reason, HoleReason::Errno(_))));
        held.process.memory.process_released();
    }
}

#[test]
fn odd_pieces_around_bad_pages_come_out_right_by_either_method() {
    let fixture = Fixture::c(PATCHWORK);
    let [base, page] = fixture.numbers()[..] else { panic!() };
    let held = fixture.hold();
    let mut expected_all = pattern(64 * page as usize);
    for missing in [10, 31] {
        expected_all[missing * page as usize..][..page as usize].fill(0);
    }
    // Pieces of 1 to 300 bytes with gaps, far more than one call takes, some
    // empty, all over the patchwork.
    let mut ranges = Vec::new();
    let mut at = 3;
    for step in 0.. {
        let len = step * 7919 % 301;
        if at + len > 64 * page {
            break;
        }
        ranges.push(AddressRange::with_len(base + at, len));
        at += len + step % 5;
    }
    assert!(ranges.len() > 1500);
    let expected: Vec<u8> = ranges
        .iter()
        .flat_map(|r| &expected_all[(r.start - base) as usize..(r.end - base) as usize])
        .copied()
        .collect();
    for method in ["process_vm_readv", "mem"] {
        let (bytes, holes) = read(&held, &ranges);
        assert!(bytes == expected, "{method}");
        for hole in &holes {
            let pages = hole.range.align_outward(page);
            assert!([10, 31].contains(&((pages.start - base) / page)), "{method}: {}", hole.range);
            assert_eq!(pages.len(), page, "{method}: {}", hole.range);
        }
        let in_bad = |r: &AddressRange| {
            [10, 31]
                .iter()
                .map(|n| r.intersection(AddressRange::with_len(base + n * page, page)).len())
                .sum::<u64>()
        };
        let lost: u64 = holes.iter().map(|h| h.range.len()).sum();
        assert_eq!(lost, ranges.iter().map(in_bad).sum::<u64>(), "{method}");
        held.process.memory.process_released();
    }
}

#[test]
fn nothing_is_read_where_nothing_is() {
    let fixture = Fixture::c(PATCHWORK);
    fixture.line();
    let held = fixture.hold();
    for start in [0, 0x10, 1 << 60, u64::MAX - 0x2000] {
        let range = AddressRange::with_len(start, 0x1801);
        let (bytes, holes) = read(&held, &[range]);
        assert!(bytes.iter().all(|b| *b == 0));
        assert_eq!(holes.len(), 1, "{start:#x}: {holes:?}");
        assert_eq!(holes[0].range, range);
    }
    assert!(held.memory().read_u64(u64::MAX - 3).is_none());
}

#[test]
fn memory_stays_that_of_the_process_after_its_end() {
    let mut fixture = Fixture::c(PATCHWORK);
    let [base, _] = fixture.numbers()[..] else { panic!() };
    let mut held = fixture.hold();
    held.release();
    assert_eq!(held.memory().read_u64(base), Some(2_654_435_761 << 32));
    fixture.kill(libc::SIGKILL);
    fixture.wait();
    let (bytes, holes) = read(&held, &[AddressRange::with_len(base, 100)]);
    assert!(bytes.iter().all(|b| *b == 0));
    assert_eq!(holes.len(), 1);
    assert_eq!(holes[0].reason, HoleReason::TargetEnded);
    assert_eq!(held.memory().populated(AddressRange::with_len(base, 1 << 30)), []);
}

/// A terabyte of reserve with 3 pages touched by writing, one by reading; then a
/// guard page and a touched page beside it.
const RESERVE: &str = r#"
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
int main(void) {
    long page = sysconf(_SC_PAGESIZE);
    char *p = mmap(0, 1L << 40, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    madvise(p, 1L << 40, MADV_NOHUGEPAGE);
    p[5 * page] = 1; p[6 * page + 9] = 1; p[(1L << 39) + 1] = 1;
    volatile char c = p[(1L << 40) - 1];
    char *q = mmap(0, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(q, 3 * page, MADV_NOHUGEPAGE);
    q[0] = q[page] = 1;
    int guarded = madvise(q + page, page, 102) == 0;
    printf("%p %lx %p %x\n", p, page, q, guarded); fflush(stdout);
    for (;;) pause();
}"#;

fn resident(fixture: &Fixture) -> u32 {
    let path = format!("/proc/{}/status", fixture.pid());
    crate::target::linux::task::TaskStatus::read(path).unwrap().number("VmRSS").unwrap()
}

#[test]
fn untouched_reserve_costs_nothing_and_touched_pages_are_found() {
    let fixture = Fixture::c(RESERVE);
    let [base, page, guard, guarded] = fixture.numbers()[..] else { panic!() };
    let held = fixture.hold();
    let before = resident(&fixture);
    let began = Instant::now();
    let found = held.memory().populated(AddressRange::with_len(base, 1 << 40));
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    // The last page was only read: it is the kernel's one page of zeros.
    let written = [
        AddressRange::with_len(base + 5 * page, 2 * page),
        AddressRange::with_len(base + (1 << 39), page),
    ];
    assert_eq!(found, written);
    assert_eq!(resident(&fixture), before);
    // Cut to the range, also inside a page.
    let cut = AddressRange::new(base + 5 * page + 16, base + 6 * page - 16);
    assert_eq!(held.memory().populated(cut), [cut]);
    assert_eq!(held.memory().populated(AddressRange::new(base + 1, base + 1)), []);
    let around_guard = held.memory().populated(AddressRange::with_len(guard, 3 * page));
    let mut expected = vec![AddressRange::with_len(guard, page)];
    if guarded == 0 {
        expected[0].end += page;
    }
    assert_eq!(around_guard, expected, "a guard page has no contents");
}

#[test]
fn both_ways_to_ask_the_page_tables_agree() {
    let fixture = Fixture::c(PATCHWORK);
    fixture.line();
    let held = fixture.hold();
    let mut populated = 0;
    for region in &held.snapshot().regions {
        let [by_scan, by_entries] = held.process.memory.populated_both_ways(region.range);
        if let Some(by_scan) = by_scan {
            assert_eq!(Some(&by_scan), by_entries.as_ref(), "{} {}", region.range, region.name);
            populated += by_scan.len();
        }
    }
    // The fixture's pattern, at the least; none only where there is no scan.
    assert!(populated == 0 || populated > 50 * held.process.memory.page_size());
}
