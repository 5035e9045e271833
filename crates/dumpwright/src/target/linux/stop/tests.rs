//! Stops by hand, at moments that a capture meets by chance.

use super::*;
use crate::target::ProcessTarget;
use crate::target::linux::exception::{Dispositions, ThreadSignals, find_crash};
use crate::target::linux::fixture::{Fixture, wait_until};
use crate::target::linux::tracee::Stop;
use std::os::unix::process::ExitStatusExt;

/// Runs `body` on an OS thread of its own, as a tracer does.
fn on_a_thread(body: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(body);
    });
}

fn state(pid: Pid) -> Option<char> {
    Stat::of_thread(pid, Tid(pid.0)).map(|stat| stat.state())
}

#[test]
fn a_thread_about_to_crash_shows_its_signal_and_still_dies_of_it() {
    let mut fixture = Fixture::c(
        r#"#include <stdio.h>
        int main(void) {
            puts("ready"); fflush(stdout);
            getchar();
            *(volatile int *)0x1234 = 1;
            return 0;
        }"#,
    );
    assert_eq!(fixture.line(), "ready");
    let pid = fixture.pid();
    let status = TaskStatus::read(format!("/proc/{pid}/status")).unwrap();
    let say = fixture.voice();
    on_a_thread(|| {
        let mut stopper = Stopper::new(pid, Duration::from_secs(5));
        let tids = stopper.new_threads().unwrap();
        stopper.seize(&tids);
        say.say("crash");
        wait_until("the fault", || state(pid) == Some('t'));
        stopper.interrupt();
        stopper.wait(Instant::now() + Duration::from_secs(5));
        let held = stopper.inspect(None);
        let signals = [ThreadSignals {
            tid: held[0].tid,
            current: held[0].signal,
            pending: held[0].pending.clone(),
        }];
        let (tid, signal) = find_crash(&signals, Dispositions::of(&status)).unwrap();
        assert_eq!((tid, signal.signal, signal.code), (Tid(pid.0), libc::SIGSEGV, 1));
        assert_eq!(signal.place(0), 0x1234);
        stopper.detach();
    });
    assert_eq!(fixture.wait().signal(), Some(libc::SIGSEGV));
}

#[test]
fn a_thread_that_another_debugger_has_is_left_out_and_named() {
    let fixture = Fixture::c(
        r#"#include <pthread.h>
        #include <stdio.h>
        #include <unistd.h>
        static void *work(void *n) { for (;;) pause(); }
        int main(void) {
            pthread_t t;
            pthread_create(&t, 0, work, 0);
            puts("ready"); fflush(stdout);
            for (;;) pause();
        }"#,
    );
    assert_eq!(fixture.line(), "ready");
    let pid = fixture.pid();
    on_a_thread(|| {
        let mut other_debugger = Stopper::new(pid, Duration::from_secs(5));
        let tids = other_debugger.new_threads().unwrap();
        other_debugger.seize(&tids[1..]);
        let held = fixture.hold();
        let found: Vec<_> = held.snapshot().threads.iter().map(|t| t.tid).collect();
        assert_eq!(found, tids[..1]);
        let note = &held.snapshot().soft_errors[0];
        assert_eq!(note.subject, format!("thread {}", tids[1]));
        assert!(note.message.contains("is traced by process"), "{}", note.message);
    });
}

/// Says each signal that its handler is called for.
const SAYS_SIGNALS: &str = r#"#include <signal.h>
    #include <stdio.h>
    #include <string.h>
    #include <unistd.h>
    static void say(const char *text) { write(1, text, strlen(text)); }
    static void handler(int n) { say(n == SIGUSR1 ? "usr1\n" : "usr2\n"); }
    int main(void) {
        signal(SIGUSR1, handler); signal(SIGUSR2, handler);
        say("ready\n");
        for (;;) pause();
    }"#;

/// Lets a thread stop because SIGUSR1 is being delivered to it.
fn stopped_by_a_signal(fixture: &Fixture) -> Stopper {
    let pid = fixture.pid();
    let mut stopper = Stopper::new(pid, Duration::from_secs(5));
    let tids = stopper.new_threads().unwrap();
    stopper.seize(&tids);
    fixture.kill(libc::SIGUSR1);
    wait_until("the signal stop", || state(pid) == Some('t'));
    stopper.interrupt();
    assert!(!stopper.look_at_running());
    assert_eq!(stopper.tracees[0].stop, Some(Stop::Signal(libc::SIGUSR1)));
    stopper
}

#[test]
fn a_signal_that_was_being_delivered_is_handed_back_once() {
    let fixture = Fixture::c(SAYS_SIGNALS);
    assert_eq!(fixture.line(), "ready");
    on_a_thread(|| stopped_by_a_signal(&fixture).detach());
    assert_eq!(fixture.line(), "usr1");
    fixture.kill(libc::SIGUSR2);
    assert_eq!(fixture.line(), "usr2");
}

#[test]
fn a_dumper_that_is_killed_loses_no_signal_of_its_target() {
    let fixture = Fixture::c(SAYS_SIGNALS);
    assert_eq!(fixture.line(), "ready");
    // What happens when the process dies: nobody detaches.
    on_a_thread(|| stopped_by_a_signal(&fixture).tracees.clear());
    assert_eq!(fixture.line(), "usr1");
}
