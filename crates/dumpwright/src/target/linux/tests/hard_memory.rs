//! Memory that others have a hand in: a pager, another process, a killer.

use crate::address::AddressRange;
use crate::error::Error;
use crate::observer::{Observer, Phase};
use crate::soft_error::{HoleReason, SoftError};
use crate::target::linux::fixture::Fixture;
use crate::target::{ProcessTarget, Wants};
use crate::{DumpRequest, FormatFlags, Qualifier, dump_process};
use std::path::Path;

fn request(file: &Path, flags: FormatFlags) -> DumpRequest {
    DumpRequest::new(file, Qualifier::Small).flags(flags)
}

/// 16 pages that a userfaultfd watches, of which one is there; a pointer to one
/// that is not lies on the stack. Nobody answers the pager's questions.
const WATCHED: &str = r#"
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    char *p = mmap(0, 16 << 12, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    p[5 << 12] = 42;
    int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
    struct uffdio_api api = { .api = UFFD_API };
    struct uffdio_register watch = {
        .range = { (unsigned long)p, 16 << 12 }, .mode = UFFDIO_REGISTER_MODE_MISSING
    };
    int watched = !ioctl(fd, UFFDIO_API, &api) && !ioctl(fd, UFFDIO_REGISTER, &watch);
    char *volatile absent = p + (9 << 12);
    printf("%p %x\n", p, watched); fflush(stdout);
    for (;;) pause();
    return *absent;
}"#;

#[test]
fn a_page_that_waits_for_a_pager_is_a_hole_and_never_waited_for() {
    let fixture = Fixture::c(WATCHED);
    let [base, watched] = fixture.numbers()[..] else { panic!() };
    if watched == 0 {
        eprintln!("no userfaultfd may be used here");
        return;
    }
    let held = fixture.hold();
    let mut buf = vec![0xEE; 16 << 12];
    let mut holes = Vec::new();
    let all = AddressRange::with_len(base, 16 << 12);
    held.memory().read(&[all], &mut buf, &mut holes);
    let found: Vec<_> = holes.iter().map(|h| (h.range, h.reason)).collect();
    let there = AddressRange::with_len(base + (5 << 12), 1 << 12);
    assert_eq!(
        found,
        [
            (AddressRange::new(base, there.start), HoleReason::UserFault),
            (AddressRange::new(there.end, all.end), HoleReason::UserFault)
        ]
    );
    assert_eq!(buf.iter().position(|b| *b != 0), Some(5 << 12));
    assert_eq!(buf[5 << 12], 42);
    drop(held);

    let dir = tempfile::tempdir().unwrap();
    let flags = FormatFlags::USER_SMALL_INDIRECT_MEMORY;
    let summary =
        dump_process(fixture.pid(), &request(&dir.path().join("i.dmp"), flags), &()).unwrap();
    let pager = HoleReason::UserFault.to_string();
    assert!(summary.holes.iter().any(|h| h.reason == pager), "{:?}", summary.holes);
    let full = request(&dir.path().join("a.dmp"), FormatFlags::DUMP_MA);
    let summary = dump_process(fixture.pid(), &full, &()).unwrap();
    let is_noted = |e: &SoftError| e.message.contains("61440 bytes wait for a user-space");
    assert!(summary.soft_error_list.iter().any(is_noted), "{:?}", summary.soft_error_list);
}

/// Shared memory of four kinds, a terabyte of it; only a child ever stored to it.
const STORED_BY_ANOTHER: &str = r#"
#include <stdio.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
    long big = 1L << 40, small = 1 << 20;
    char *anon = mmap(0, big, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    int fd = memfd_create("memory", 0);
    ftruncate(fd, small);
    char *memfd = mmap(0, small, PROT_READ, MAP_SHARED, fd, 0);
    char *part = mmap(0, small / 2, PROT_READ | PROT_WRITE, MAP_SHARED, fd, small / 2);
    int id = shmget(IPC_PRIVATE, small, 0600);
    char *sysv = shmat(id, 0, 0);
    shmctl(id, IPC_RMID, 0);
    char *last = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *alone = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fork() == 0) {
        anon[big / 2 + 1] = part[4096] = sysv[2 * 4096] = last[9] = alone[0] = 77;
        _exit(0);
    }
    wait(0);
    printf("%p %p %p %p %p %p\n", anon, memfd, part, sysv, last, alone); fflush(stdout);
    for (;;) pause();
}"#;

#[test]
fn shared_memory_that_only_another_process_stored_to_is_populated() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("only root may open what has no path");
        return;
    }
    let fixture = Fixture::c(STORED_BY_ANOTHER);
    let [anon, memfd, part, sysv, last, alone] = fixture.numbers()[..] else { panic!() };
    let held = fixture.hold();
    let page = held.process.memory.page_size();
    let (big, small) = (1 << 40, 1 << 20);
    for (base, len, stored) in [
        (anon, big, big / 2),
        (memfd, small, small / 2 + 4096),
        (part, small / 2, 4096),
        (sysv, small, 2 * 4096),
        (last, page, 0),
    ] {
        let found = held.memory().populated(AddressRange::with_len(base, len));
        let stored = AddressRange::with_len(base + stored, page);
        // Where shared memory has huge pages, all of one has data.
        assert!(found.iter().any(|r| r.intersection(stored) == stored), "{stored}: {found:?}");
        assert!(found.iter().map(|r| r.len()).sum::<u64>() <= 4 << 20, "{found:?}");
        let bytes = found.iter().map(|r| r.len()).sum::<u64>();
        let mut buf = vec![0; bytes as usize];
        held.memory().read(&found, &mut buf, &mut Vec::new());
        assert!(buf.contains(&77), "{stored}");
    }
    // What is private is not shared with the child that stored to its copy.
    assert_eq!(held.memory().populated(AddressRange::with_len(alone, page)), []);
}

/// Only who asks for all memory hears of shared memory that cannot be asked.
#[test]
fn shared_memory_that_cannot_be_asked_is_noted() {
    let fixture = Fixture::c(STORED_BY_ANOTHER);
    fixture.line();
    for full_memory in [true, false] {
        let wants = Wants { full_memory, ..Wants::default() };
        let held = fixture.hold_with(&wants).unwrap();
        let is_noted = |e: &SoftError| e.subject == "shared memory";
        let noted = held.snapshot().soft_errors.iter().any(is_noted);
        assert_eq!(noted, full_memory && !rustix::process::geteuid().is_root());
    }
}

/// Kills a process in the middle of the writing of its memory.
struct Killer<'a>(&'a Fixture);

impl Observer for Killer<'_> {
    fn progress(&self, phase: Phase, done: u64, _: u64) {
        if phase == Phase::Write && done > 0 {
            self.0.kill(libc::SIGKILL);
        }
    }
}

#[test]
fn a_process_that_is_killed_while_it_is_written_leaves_an_error_and_no_dump() {
    for more in [FormatFlags::empty(), FormatFlags::USER_SMALL_IGNORE_INACCESSIBLE_MEM] {
        let fixture = Fixture::c(
            r#"
            #include <stdio.h>
            #include <string.h>
            #include <sys/mman.h>
            #include <unistd.h>
            int main(void) {
                char *p = mmap(0, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                memset(p, 1, 64 << 20);
                puts("ready"); fflush(stdout);
                for (;;) pause();
            }"#,
        );
        fixture.line();
        let dir = tempfile::tempdir().unwrap();
        let request = request(&dir.path().join("a.dmp"), FormatFlags::DUMP_MA | more);
        let error = dump_process(fixture.pid(), &request, &Killer(&fixture)).unwrap_err();
        assert!(matches!(error, Error::ProcessEnded(pid) if pid == fixture.pid()), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left");
    }
}
