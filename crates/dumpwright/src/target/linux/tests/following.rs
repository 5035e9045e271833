//! A process that runs under trace: its crashes are seen, and it goes on as if
//! nobody were there.

use crate::error::Error;
use crate::target::linux::LinuxProcess;
use crate::target::linux::fixture::{Fixture, wait_until};
use crate::target::{
    DebugEvent, DebugEventKind, EventFilter, Handling, ProcessTarget, RunningProcess, Tid, Wants,
};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

/// Lets a program run under trace.
pub(super) fn follow(fixture: &Fixture) -> Box<dyn RunningProcess> {
    let held: Box<LinuxProcess> = Box::new(fixture.hold());
    held.resume(Handling::NotHandled).unwrap()
}

/// The next event that is wanted.
#[track_caller]
pub(super) fn next(running: &mut Box<dyn RunningProcess>, wanted: EventFilter) -> DebugEvent {
    running.wait(wanted, PATIENCE, &|| false).unwrap().expect("an event")
}

/// The signal, the code and the address of an exception.
#[track_caller]
pub(super) fn signal(event: &DebugEvent) -> (i32, i32, u64, bool) {
    match &event.kind {
        DebugEventKind::Exception { record, first_chance } => {
            (record.code as i32, record.flags as i32, record.address, *first_chance)
        }
        other => panic!("{other:?}"),
    }
}

/// A program that does on a cue what `crash` says, in its second thread.
fn crashes(crash: &str) -> Fixture {
    let source = r#"
        #include <pthread.h>
        #include <signal.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <sys/mman.h>
        #include <unistd.h>
        static void *sleeper(void *n) { for (;;) pause(); }
        static int zero;
        static void *crash(void *n) { getchar(); CRASH; return 0; }
        int main(void) {
            pthread_t t;
            for (int i = 0; i < 5; i++) pthread_create(&t, 0, sleeper, 0);
            pthread_create(&t, 0, crash, 0);
            puts("ready"); fflush(stdout);
            for (;;) pause();
        }"#;
    let fixture = Fixture::c(&source.replace("CRASH", crash));
    assert_eq!(fixture.line(), "ready");
    fixture
}

#[test]
fn each_kind_of_crash_is_seen_and_then_ends_the_process_as_it_would_have() {
    let segv_handler_then_default = "signal(SIGSEGV, SIG_DFL); *(volatile int *)0x1234 = 1";
    let blocked = "sigset_t s; sigfillset(&s); pthread_sigmask(SIG_BLOCK, &s, 0); \
                   *(volatile int *)0x1234 = 1";
    let ignored = "signal(SIGSEGV, SIG_IGN); *(volatile int *)0x1234 = 1";
    let kinds: &[(&str, i32, Option<i32>, Option<u64>)] = &[
        ("*(volatile int *)0x1234 = 1", libc::SIGSEGV, Some(1), Some(0x1234)),
        (segv_handler_then_default, libc::SIGSEGV, Some(1), Some(0x1234)),
        (blocked, libc::SIGSEGV, Some(1), Some(0x1234)),
        (ignored, libc::SIGSEGV, Some(1), Some(0x1234)),
        ("abort()", libc::SIGABRT, Some(libc::SI_TKILL), None),
        ("raise(SIGQUIT)", libc::SIGQUIT, Some(libc::SI_TKILL), None),
        ("kill(getpid(), SIGXCPU); for (;;) pause()", libc::SIGXCPU, Some(libc::SI_USER), None),
        #[cfg(target_arch = "x86_64")]
        ("*(volatile int *)0x8000000000001234 = 1", libc::SIGSEGV, Some(libc::SI_KERNEL), None),
        #[cfg(target_arch = "x86_64")]
        ("__asm__ volatile(\"int3\")", libc::SIGTRAP, Some(libc::SI_KERNEL), None),
        #[cfg(target_arch = "x86_64")]
        ("zero = 7 / *(volatile int *)&zero", libc::SIGFPE, Some(1), None),
        ("__builtin_trap()", libc::SIGILL, Some(2), None),
    ];
    for (crash, number, code, address) in kinds {
        let mut fixture = crashes(crash);
        let mut running = follow(&fixture);
        let none = running.wait(EventFilter::CRASH, Some(Duration::from_millis(20)), &|| false);
        assert_eq!(none.unwrap(), None, "{crash}");
        fixture.voice().say("");
        let event = running.wait(EventFilter::CRASH, PATIENCE, &|| false).unwrap().expect(crash);
        let seen = signal(&event);
        assert_eq!((seen.0, Some(seen.1), seen.3), (*number, *code, false), "{crash}");
        assert!(address.is_none_or(|address| address == seen.2), "{crash}: {:#x}", seen.2);
        let held = running.hold(&Wants::default()).unwrap();
        let snapshot = held.snapshot();
        assert_eq!(snapshot.threads.len(), 7, "{crash}");
        let exception = snapshot.exception.as_ref().unwrap();
        assert_eq!((exception.tid, exception.code), (event.tid, *number as u32), "{crash}");
        assert_eq!(exception.address, seen.2, "{crash}");
        if *number != libc::SIGXCPU {
            assert_ne!(event.tid, Tid(fixture.pid().0), "{crash}");
        }
        assert_eq!(fixture.states(), "t".repeat(7), "{crash}");
        drop(held);
        assert_eq!(fixture.wait().signal(), Some(*number), "{crash}");
    }
}

#[test]
fn a_crash_that_is_waited_past_ends_the_process() {
    let mut fixture = crashes("abort()");
    let mut running = follow(&fixture);
    fixture.voice().say("");
    next(&mut running, EventFilter::CRASH);
    let end = running.wait(EventFilter::CRASH, PATIENCE, &|| false).unwrap_err();
    assert!(matches!(end, Error::ProcessEnded(_)), "{end}");
    assert!(matches!(running.hold(&Wants::default()), Err(Error::ProcessEnded(_))));
    assert_eq!(fixture.wait().signal(), Some(libc::SIGABRT));
}

#[test]
fn a_crash_between_two_waits_is_not_missed() {
    let mut fixture = crashes("abort()");
    let mut running = follow(&fixture);
    fixture.voice().say("");
    wait_until("the crash", || fixture.states() == "t".repeat(7));
    assert_eq!(signal(&next(&mut running, EventFilter::CRASH)).0, libc::SIGABRT);
    drop(running);
    assert_eq!(fixture.wait().signal(), Some(libc::SIGABRT));

    let mut fixture = crashes("abort()");
    let mut running = follow(&fixture);
    let soon = Some(Duration::from_millis(5));
    assert_eq!(running.wait(EventFilter::CRASH, soon, &|| false).unwrap(), None);
    fixture.voice().say("");
    wait_until("the crash", || fixture.states() == "t".repeat(7));
    assert_eq!(running.wait(EventFilter::EXIT, soon, &|| false).err().map(|e| e.to_string()), None);
    drop(running);
    assert_eq!(fixture.wait().signal(), Some(libc::SIGABRT));
}

#[test]
fn a_handled_signal_is_a_first_chance_and_never_a_crash() {
    let fixture = crashes(
        "signal(SIGTRAP, SIG_IGN); raise(SIGTRAP); puts(\"one\"); fflush(stdout); \
         signal(SIGSEGV, (void (*)(int))getpid); raise(SIGSEGV); \
         puts(\"two\"); fflush(stdout); for (;;) pause()",
    );
    let mut running = follow(&fixture);
    running.wait(EventFilter::CRASH, Some(Duration::ZERO), &|| false).unwrap();
    fixture.voice().say("");
    let event = next(&mut running, EventFilter::CRASH | EventFilter::FIRST_CHANCE);
    assert_eq!(fixture.line(), "one");
    assert_eq!(signal(&event), (libc::SIGSEGV, libc::SI_TKILL, signal(&event).2, true));
    let held = running.hold(&Wants::default()).unwrap();
    let exception = held.snapshot().exception.as_ref().unwrap();
    assert_eq!((exception.tid, exception.code), (event.tid, libc::SIGSEGV as u32));
    drop(held);
    assert_eq!(fixture.line(), "two");
}

#[test]
fn a_signal_that_is_handled_by_the_debugger_never_arrives() {
    let fixture = crashes("raise(SIGABRT); puts(\"alive\"); fflush(stdout); for (;;) pause()");
    let mut running = follow(&fixture);
    fixture.voice().say("");
    next(&mut running, EventFilter::CRASH);
    let held = running.hold(&Wants::default()).unwrap();
    let mut running = held.resume(Handling::Handled).unwrap();
    assert_eq!(fixture.line(), "alive");
    let soon = Some(Duration::from_millis(20));
    assert_eq!(running.wait(EventFilter::all(), soon, &|| false).unwrap(), None);
}

#[test]
fn a_process_is_held_where_it_runs_and_goes_on_again_and_again() {
    let fixture = crashes("abort()");
    let mut running = follow(&fixture);
    for _ in 0..20 {
        let soon = Some(Duration::from_millis(2));
        assert_eq!(running.wait(EventFilter::all(), soon, &|| false).unwrap(), None);
        let held = running.hold(&Wants::default()).unwrap();
        assert_eq!(held.snapshot().threads.len(), 7);
        assert_eq!(held.snapshot().soft_errors, []);
        assert_eq!(held.snapshot().exception, None);
        assert_eq!(fixture.states(), "t".repeat(7));
        running = held.resume(Handling::NotHandled).unwrap();
    }
    drop(running);
    assert_eq!(fixture.tracer(), 0);
    wait_until("their sleep", || fixture.states() == "S".repeat(7));
}

#[test]
fn waiting_ends_when_it_is_cancelled() {
    let fixture = crashes("abort()");
    let mut running = follow(&fixture);
    let began = Instant::now();
    let late = || began.elapsed() > Duration::from_millis(30);
    assert_eq!(running.wait(EventFilter::CRASH, None, &late).unwrap(), None);
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[test]
fn job_control_works_as_without_us() {
    let fixture = crashes("abort()");
    let mut running = follow(&fixture);
    let soon = Some(Duration::from_millis(30));
    for _ in 0..3 {
        fixture.kill(libc::SIGSTOP);
        assert_eq!(running.wait(EventFilter::all(), soon, &|| false).unwrap(), None);
        // A group-stop under trace is shown as a trace stop.
        wait_until("the group-stop", || fixture.states() == "t".repeat(7));
        fixture.kill(libc::SIGCONT);
        assert_eq!(running.wait(EventFilter::all(), soon, &|| false).unwrap(), None);
        wait_until("going on", || fixture.states() == "S".repeat(7));
    }
    fixture.kill(libc::SIGSTOP);
    assert_eq!(running.wait(EventFilter::all(), soon, &|| false).unwrap(), None);
    let held = running.hold(&Wants::default()).unwrap();
    assert_eq!(held.snapshot().threads.len(), 7);
    let running = held.resume(Handling::NotHandled).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(fixture.states(), "t".repeat(7));
    drop(running);
    wait_until("the group-stop's return", || fixture.states() == "T".repeat(7));
    fixture.kill(libc::SIGCONT);
    wait_until("going on", || fixture.states() == "S".repeat(7));
}
