//! Threads and processes that end, exec and fork under trace.

use super::following::{follow, next, signal};
use crate::error::Error;
use crate::target::linux::LinuxProcess;
use crate::target::linux::fixture::{Fixture, wait_until};
use crate::target::{DebugEventKind, EventFilter, Handling, Pid, ProcessTarget, Tid, Wants};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

/// A program with some threads that does on a cue what `act` says, in its main
/// thread.
fn acts(act: &str) -> Fixture {
    let source = r#"
        #include <errno.h>
        #include <linux/filter.h>
        #include <linux/seccomp.h>
        #include <pthread.h>
        #include <sched.h>
        #include <signal.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <sys/prctl.h>
        #include <sys/syscall.h>
        #include <sys/wait.h>
        #include <unistd.h>
        static void *sleeper(void *n) { for (;;) pause(); }
        static void *brief(void *n) { return 0; }
        static void *exits(void *n) { exit(7); }
        static int nothing(void *n) { return 0; }
        static void *waits(void *n) { usleep(100000); _exit(9); }
        static char stack[65536];
        static void threads(void) {
            pthread_t t;
            for (int i = 0; i < 5; i++) pthread_create(&t, 0, sleeper, 0);
        }
        int main(int argc, char **argv) {
            pthread_t t;
            threads();
            puts("ready"); fflush(stdout);
            if (argc > 1) for (;;) pause();
            getchar();
            ACT;
            for (;;) pause();
        }"#;
    let fixture = Fixture::c(&source.replace("ACT", act));
    assert_eq!(fixture.line(), "ready");
    fixture
}

#[test]
fn the_end_of_a_process_is_seen_with_its_memory_and_all_threads() {
    let kinds: &[(&str, u32, Option<i32>)] = &[
        ("exit(0)", 0, None),
        ("exit(3)", 3, None),
        ("_exit(255)", 255, None),
        ("pthread_create(&t, 0, exits, 0)", 7, None),
        ("kill(getpid(), SIGTERM)", 143, Some(libc::SIGTERM)),
        ("kill(getpid(), SIGKILL)", 137, Some(libc::SIGKILL)),
        ("abort()", 134, Some(libc::SIGABRT)),
    ];
    for (act, code, ended_by) in kinds {
        let mut fixture = acts(act);
        let mut running = follow(&fixture);
        assert!(
            running.wait(EventFilter::EXIT, Some(Duration::ZERO), &|| false).unwrap().is_none()
        );
        fixture.voice().say("");
        let event = next(&mut running, EventFilter::EXIT);
        assert_eq!(event.kind, DebugEventKind::ProcessExit { code: *code }, "{act}");
        let is_main = event.tid == Tid(fixture.pid().0);
        assert_eq!(is_main, *code != 7, "{act}: {event:?}");
        let held = running.hold(&Wants { full_memory: true, ..Wants::default() }).unwrap();
        let snapshot = held.snapshot();
        assert!(
            snapshot.threads.len() >= 6,
            "{act}: {:?}, {} {event:?}",
            snapshot.soft_errors,
            snapshot.threads.len()
        );
        assert_eq!(snapshot.soft_errors, [], "{act}");
        assert!(snapshot.modules.len() > 2, "{act}");
        for thread in &snapshot.threads {
            let sp = thread.registers.stack_pointer;
            assert!(held.memory().read_exact(sp, &mut [0; 64]), "{act}");
        }
        let exception = snapshot.exception.as_ref().map(|e| e.code as i32);
        assert_eq!(exception, (*code == 134).then_some(libc::SIGABRT), "{act}");
        drop(held);
        let status = fixture.wait();
        assert_eq!(status.signal(), *ended_by, "{act}");
        if ended_by.is_none() {
            assert_eq!(status.code(), Some(*code as i32), "{act}");
        }
    }
}

#[test]
fn the_end_that_nobody_wants_to_see_is_told_as_the_end() {
    for act in ["exit(3)", "kill(getpid(), SIGKILL)", "kill(getpid(), SIGTERM)"] {
        let fixture = acts(act);
        let mut running = follow(&fixture);
        running.wait(EventFilter::CRASH, Some(Duration::ZERO), &|| false).unwrap();
        fixture.voice().say("");
        let end = running.wait(EventFilter::CRASH, None, &|| false).unwrap_err();
        assert!(matches!(end, Error::ProcessEnded(_)), "{end}");
    }
}

#[test]
fn the_end_of_a_thread_is_not_that_of_the_process_unless_it_is_the_last() {
    let mut fixture = Fixture::c(
        r#"
        #include <pthread.h>
        #include <stdio.h>
        #include <unistd.h>
        static void *work(void *n) { usleep(100000); return 0; }
        int main(void) {
            pthread_t t;
            puts("ready"); fflush(stdout);
            getchar();
            pthread_create(&t, 0, work, 0);
            pthread_exit(0);
        }"#,
    );
    assert_eq!(fixture.line(), "ready");
    let pid = fixture.pid();
    let mut running = follow(&fixture);
    running.wait(EventFilter::CRASH, Some(Duration::ZERO), &|| false).unwrap();
    fixture.voice().say("");
    let event = next(&mut running, EventFilter::EXIT);
    assert_ne!(event.tid.0, pid.0);
    assert_eq!(event.kind, DebugEventKind::ProcessExit { code: 0 });
    let began = Instant::now();
    let held = running.hold(&Wants::default()).unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "nobody waits for the main thread");
    assert_eq!(held.snapshot().threads.len(), 1);
    let notes = &held.snapshot().soft_errors;
    assert!(notes.len() == 1 && notes[0].message.contains("has exited"), "{notes:?}");
    drop(held);
    assert_eq!(fixture.wait().code(), Some(0));
}

#[test]
fn threads_are_seen_to_start_and_end() {
    let fixture = acts(
        "pthread_create(&t, 0, brief, 0); pthread_join(t, 0); puts(\"joined\"); fflush(stdout)",
    );
    let mut running = follow(&fixture);
    running.wait(EventFilter::THREADS, Some(Duration::ZERO), &|| false).unwrap();
    fixture.voice().say("");
    let start = next(&mut running, EventFilter::THREADS);
    assert_eq!(start.kind, DebugEventKind::ThreadStart);
    let held = running.hold(&Wants::default()).unwrap();
    assert!(held.snapshot().threads.iter().any(|t| t.tid == start.tid));
    assert_eq!(held.snapshot().threads.len(), 7, "{:?}", held.snapshot().soft_errors);
    let mut running = held.resume(Handling::NotHandled).unwrap();
    let end = next(&mut running, EventFilter::THREADS);
    assert_eq!((end.tid, &end.kind), (start.tid, &DebugEventKind::ThreadExit { code: 0 }));
    running.wait(EventFilter::THREADS, Some(Duration::ZERO), &|| false).unwrap();
    assert_eq!(fixture.line(), "joined");
}

#[test]
fn new_threads_are_followed_and_new_processes_are_not() {
    let fixture = acts(
        r#"if (fork() == 0) abort();
           wait(0);
           if (vfork() == 0) _exit(0);
           wait(0);
           int child = clone(nothing, stack + sizeof stack, CLONE_VM, 0);
           int done = waitpid(child, 0, __WALL) == child;
           printf("%d\n", done); fflush(stdout);
           pthread_create(&t, 0, (void *(*)(void *))abort, 0)"#,
    );
    let mut running = follow(&fixture);
    running.wait(EventFilter::CRASH, Some(Duration::ZERO), &|| false).unwrap();
    fixture.voice().say("");
    let event = next(&mut running, EventFilter::CRASH);
    assert_eq!(fixture.line(), "1");
    assert_eq!(signal(&event).0, libc::SIGABRT);
    let held = running.hold(&Wants::default()).unwrap();
    assert_eq!(held.snapshot().threads.len(), 7);
    assert_eq!(held.snapshot().exception.as_ref().unwrap().tid, event.tid);
}

#[test]
fn an_exec_is_followed() {
    for executor in
        ["", "t = 0; pthread_create(&t, 0, (void *(*)(void *))again, 0); for (;;) pause();"]
    {
        let fixture = acts(&format!(
            "void *again(void *n) {{ execl(\"/proc/self/exe\", \"fixture\", \"2\", (char *)0); abort(); }}
             {executor} again(0)"
        ));
        let mut running = follow(&fixture);
        running.wait(EventFilter::CRASH, Some(Duration::ZERO), &|| false).unwrap();
        fixture.voice().say("");
        let wanted = EventFilter::CRASH | EventFilter::EXIT;
        let none = running.wait(wanted, Some(Duration::from_millis(200)), &|| false);
        assert_eq!(none.unwrap(), None);
        assert_eq!(fixture.line(), "ready");
        fixture.kill(libc::SIGABRT);
        let event = next(&mut running, wanted);
        assert_eq!(signal(&event).0, libc::SIGABRT);
        let held = running.hold(&Wants::default()).unwrap();
        assert_eq!(held.snapshot().threads.len(), 6, "{:?}", held.snapshot().soft_errors);
        assert_eq!(held.snapshot().threads[0].tid.0, fixture.pid().0);
    }
}

/// seccomp's own kill is a signal that no debugger may see.
#[test]
fn a_process_that_seccomp_kills_crashes_at_the_call() {
    let mut fixture = acts(
        r"struct sock_filter f[] = {
             { BPF_LD | BPF_W | BPF_ABS, 0, 0, 0 },
             { BPF_JMP | BPF_JEQ | BPF_K, 0, 1, __NR_getppid },
             { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS },
             { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW } };
           struct sock_fprog p = { 4, f };
           prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p);
           syscall(__NR_getppid)",
    );
    let mut running = follow(&fixture);
    running.wait(EventFilter::CRASH, Some(Duration::ZERO), &|| false).unwrap();
    fixture.voice().say("");
    let event = next(&mut running, EventFilter::CRASH);
    assert_eq!(signal(&event).0, libc::SIGSYS);
    let held = running.hold(&Wants::default()).unwrap();
    assert_eq!(held.snapshot().exception.as_ref().unwrap().code, libc::SIGSYS as u32);
    drop(held);
    assert_eq!(fixture.wait().signal(), Some(libc::SIGSYS));
}

#[test]
fn a_process_that_is_killed_while_it_runs_or_is_held_ends() {
    let mut fixture = acts("");
    let mut running = follow(&fixture);
    running.wait(EventFilter::CRASH, Some(Duration::ZERO), &|| false).unwrap();
    let held = running.hold(&Wants::default()).unwrap();
    fixture.kill(libc::SIGKILL);
    std::thread::sleep(Duration::from_millis(10));
    drop(held);
    assert_eq!(fixture.wait().signal(), Some(libc::SIGKILL));

    let mut fixture = acts("");
    let mut running = follow(&fixture);
    running.wait(EventFilter::CRASH, Some(Duration::ZERO), &|| false).unwrap();
    fixture.kill(libc::SIGKILL);
    wait_until("the end", || fixture.states().starts_with('Z'));
    let end = running.hold(&Wants::default()).err().expect("it has ended");
    assert!(matches!(end, Error::ProcessEnded(_)), "{end}");
    assert_eq!(fixture.wait().signal(), Some(libc::SIGKILL));
}

/// The first process of a namespace, as in a container, takes no fatal signal while
/// it is traced: its fault would happen for ever.
#[test]
fn the_first_process_of_a_container_crashes_once_and_dies() {
    for wanted in [EventFilter::CRASH, EventFilter::FIRST_CHANCE] {
        let fixture = Fixture::c(
            r#"
            #include <sched.h>
            #include <stdio.h>
            #include <stdlib.h>
            #include <sys/wait.h>
            #include <unistd.h>
            int main(void) {
                int status;
                if (unshare(CLONE_NEWPID)) { puts("0"); fflush(stdout); for (;;) pause(); }
                pid_t child = fork();
                if (child == 0) { getchar(); *(volatile int *)0x1234 = 1; }
                printf("%x\n", child); fflush(stdout);
                waitpid(child, &status, 0);
                printf("%x\n", status & 0x7f); fflush(stdout);
                for (;;) pause();
            }"#,
        );
        let pid = fixture.numbers()[0];
        if pid == 0 {
            eprintln!("SKIPPED: a namespace of processes takes privileges");
            return;
        }
        let held = LinuxProcess::attach(Pid(pid as u32), &Wants::default()).unwrap();
        let mut running = Box::new(held).resume(Handling::NotHandled).unwrap();
        running.wait(wanted, Some(Duration::ZERO), &|| false).unwrap();
        fixture.voice().say("");
        if wanted == EventFilter::CRASH {
            let event = next(&mut running, wanted);
            assert_eq!(signal(&event), (libc::SIGSEGV, 1, 0x1234, false));
        }
        let end = running.wait(wanted, None, &|| false).unwrap_err();
        assert!(matches!(end, Error::ProcessEnded(_)), "{end}");
        assert_eq!(fixture.numbers(), [libc::SIGSEGV as u64]);
    }
}
