//! A held process stands still, and goes on as if nothing had happened.

use crate::error::Error;
use crate::target::linux::fixture::{Fixture, wait_until};
use crate::target::linux::stat::Stat;
use crate::target::linux::{AttachOptions, LinuxProcess};
use crate::target::{ProcessTarget, Wants};
use std::time::{Duration, Instant};

/// Threads that count as fast as they can, and threads that sleep.
const MANY_THREADS: &str = r#"
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static volatile unsigned long counters[4];
static void *count(void *n) { for (;;) counters[(long)n]++; }
static void *sleeper(void *n) { for (;;) pause(); }
int main(void) {
    pthread_t t;
    for (long i = 0; i < 4; i++) pthread_create(&t, 0, count, (void *)i);
    for (long i = 0; i < 60; i++) pthread_create(&t, 0, sleeper, 0);
    printf("%p\n", counters); fflush(stdout);
    for (;;) pause();
}"#;

#[test]
fn all_threads_stop_and_all_go_on() {
    let fixture = Fixture::c(MANY_THREADS);
    let counters = fixture.numbers()[0];
    let mut held = fixture.hold();
    assert_eq!(fixture.states(), "t".repeat(65));
    assert_eq!(held.snapshot().threads.len(), 65);
    assert_eq!(held.snapshot().threads[0].tid.0, fixture.pid().0, "the main thread comes first");
    assert_eq!(held.snapshot().soft_errors, []);
    let read = |held: &LinuxProcess| {
        [0, 8, 16, 24].map(|at| held.memory().read_u64(counters + at).unwrap())
    };
    let before = read(&held);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(read(&held), before, "nothing moves while the process is held");
    assert!(held.held().unwrap() >= Duration::from_millis(50));

    held.release();
    let stood = held.held().unwrap();
    assert!(!fixture.states().contains('t'), "{}", fixture.states());
    assert_eq!(fixture.tracer(), 0);
    wait_until("progress", || read(&held).iter().zip(before).all(|(now, then)| *now > then));
    held.release();
    assert_eq!(held.held().unwrap(), stood, "a second release does nothing");
}

#[test]
fn dropping_releases() {
    let fixture = Fixture::c(MANY_THREADS);
    fixture.line();
    drop(fixture.hold());
    assert_eq!(fixture.tracer(), 0);
    assert!(!fixture.states().contains('t'));
}

#[test]
fn a_process_that_was_stopped_stays_stopped() {
    let fixture = Fixture::c(MANY_THREADS);
    fixture.line();
    fixture.kill(libc::SIGSTOP);
    wait_until("the group-stop", || fixture.states() == "T".repeat(65));
    for _ in 0..3 {
        let mut held = fixture.hold();
        assert_eq!(fixture.states(), "t".repeat(65));
        held.release();
        wait_until("the group-stop's return", || fixture.states() == "T".repeat(65));
        assert_eq!(fixture.tracer(), 0);
    }
    fixture.kill(libc::SIGCONT);
    wait_until("going on", || !fixture.states().contains('T'));
}

#[test]
fn sigcont_that_arrives_meanwhile_is_heeded_afterwards() {
    let fixture = Fixture::c(MANY_THREADS);
    fixture.line();
    fixture.kill(libc::SIGSTOP);
    wait_until("the group-stop", || fixture.states() == "T".repeat(65));
    let mut held = fixture.hold();
    fixture.kill(libc::SIGCONT);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(fixture.states(), "t".repeat(65), "it is still held");
    held.release();
    wait_until("going on", || !fixture.states().contains(['T', 't']));
}

#[test]
fn sigstop_that_arrives_meanwhile_is_heeded_afterwards() {
    let fixture = Fixture::c(MANY_THREADS);
    fixture.line();
    let mut held = fixture.hold();
    fixture.kill(libc::SIGSTOP);
    held.release();
    wait_until("the group-stop", || fixture.states() == "T".repeat(65));
}

#[test]
fn a_signal_that_arrives_meanwhile_is_delivered_once() {
    let fixture = Fixture::c(
        r#"
        #include <signal.h>
        #include <stdio.h>
        #include <unistd.h>
        static volatile int count;
        static void handler(int n) { count++; }
        int main(void) {
            signal(SIGUSR1, handler);
            puts("ready"); fflush(stdout);
            getchar();
            printf("%x\n", count); fflush(stdout);
            for (;;) pause();
        }"#,
    );
    fixture.line();
    let mut held = fixture.hold();
    fixture.kill(libc::SIGUSR1);
    std::thread::sleep(Duration::from_millis(20));
    held.release();
    drop(held);
    drop(fixture.hold());
    fixture.voice().say("");
    assert_eq!(fixture.numbers(), [1]);
}

/// Queued signals, numbered in order, some thousand a second, while the process
/// is held and released 60 times: each arrives, once, in order.
#[test]
fn no_signal_of_a_storm_is_lost_or_doubled() {
    let fixture = Fixture::c(
        r#"
        #include <errno.h>
        #include <signal.h>
        #include <stdio.h>
        #include <sys/prctl.h>
        #include <sys/wait.h>
        #include <unistd.h>
        static volatile int next, wrong;
        static void handler(int n, siginfo_t *info, void *c) {
            if (info->si_value.sival_int != next) wrong++;
            next = info->si_value.sival_int + 1;
        }
        int main(void) {
            struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART };
            sigaction(SIGRTMIN, &action, 0);
            pid_t target = getpid(), sender = fork();
            if (sender == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                int i = 0;
                for (char c; read(0, &c, 1) == 0 || c != '\n';) ;
                for (; i < 4000; i++) {
                    while (sigqueue(target, SIGRTMIN, (union sigval){ .sival_int = i })) usleep(100);
                    usleep(150);
                }
                _exit(0);
            }
            puts("ready"); fflush(stdout);
            while (waitpid(sender, 0, 0) < 0) ;
            while (next < 4000) usleep(1000);
            printf("%x %x\n", next, wrong); fflush(stdout);
            for (;;) pause();
        }"#,
    );
    fixture.line();
    fixture.voice().say("go");
    for _ in 0..60 {
        let mut held = fixture.hold();
        std::thread::sleep(Duration::from_millis(3));
        held.release();
        std::thread::sleep(Duration::from_millis(3));
    }
    assert_eq!(fixture.numbers(), [4000, 0]);
}

/// Calls that block are restarted by the kernel as if nothing had happened.
#[test]
fn calls_that_block_do_not_see_that_they_were_held() {
    let fixture = Fixture::c(
        r#"
        #include <poll.h>
        #include <pthread.h>
        #include <stdio.h>
        #include <sys/select.h>
        #include <time.h>
        #include <unistd.h>
        static volatile int returned;
        static int ends[2];
        static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
        static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
        static void *reading(void *n) { char b; read(ends[0], &b, 1); returned |= 1; return 0; }
        static void *sleeping(void *n) { struct timespec t = { 1000 }; nanosleep(&t, 0); returned |= 2; return 0; }
        static void *polling(void *n) { struct pollfd p = { ends[0], POLLIN }; poll(&p, 1, 1000000); returned |= 4; return 0; }
        static void *selecting(void *n) { struct timeval t = { 1000 }; select(0, 0, 0, 0, &t); returned |= 8; return 0; }
        static void *waiting(void *n) { pthread_mutex_lock(&m); pthread_cond_wait(&c, &m); returned |= 16; return 0; }
        int main(void) {
            pthread_t t;
            pipe(ends);
            pthread_create(&t, 0, reading, 0); pthread_create(&t, 0, sleeping, 0);
            pthread_create(&t, 0, polling, 0); pthread_create(&t, 0, selecting, 0);
            pthread_create(&t, 0, waiting, 0);
            usleep(20000);
            puts("ready"); fflush(stdout);
            getchar();
            printf("%x\n", returned); fflush(stdout);
            for (;;) pause();
        }"#,
    );
    fixture.line();
    for _ in 0..50 {
        fixture.hold().release();
    }
    fixture.voice().say("");
    assert_eq!(fixture.numbers(), [0]);
}

#[test]
fn a_process_whose_main_thread_has_exited_is_held_by_the_others() {
    let fixture = Fixture::c(
        r#"
        #include <pthread.h>
        #include <stdio.h>
        #include <unistd.h>
        static long value = 0x5ca1ab1e;
        static void *work(void *n) {
            usleep(50000);
            printf("%p\n", &value); fflush(stdout);
            for (;;) pause();
        }
        int main(void) {
            pthread_t t;
            pthread_create(&t, 0, work, 0);
            pthread_exit(0);
        }"#,
    );
    let address = fixture.numbers()[0];
    wait_until("the main thread's end", || fixture.states().starts_with('Z'));
    let held = fixture.hold();
    let snapshot = held.snapshot();
    assert_eq!(snapshot.threads.len(), 1);
    assert_ne!(snapshot.threads[0].tid.0, fixture.pid().0);
    assert_eq!(held.memory().read_u64(address), Some(0x5ca1_ab1e));
    let note = snapshot.soft_errors.iter().find(|e| e.message.contains("has exited")).unwrap();
    assert_eq!(note.subject, format!("thread {}", fixture.pid()));
}

#[test]
fn threads_that_come_and_go_never_hang_or_fail_a_capture() {
    let fixture = Fixture::c(
        r#"
        #include <pthread.h>
        #include <stdio.h>
        #include <unistd.h>
        static void *brief(void *n) { return 0; }
        static void *spawn(void *n) {
            for (;;) {
                pthread_t t[8];
                for (int i = 0; i < 8; i++) pthread_create(&t[i], 0, brief, 0);
                for (int i = 0; i < 8; i++) pthread_join(t[i], 0);
            }
        }
        int main(void) {
            pthread_t t;
            for (int i = 0; i < 4; i++) pthread_create(&t, 0, spawn, 0);
            puts("ready"); fflush(stdout);
            for (;;) pause();
        }"#,
    );
    fixture.line();
    for _ in 0..30 {
        let mut held = fixture.hold();
        // A thread that ended while being traced stays as a zombie meanwhile.
        let states = fixture.states();
        assert!(states.chars().all(|s| "tZX".contains(s)), "{states}");
        assert!(held.snapshot().threads.len() >= 5);
        held.release();
        assert_eq!(fixture.tracer(), 0);
    }
}

/// An exec ends all threads, those that are held too, waits until they have been
/// waited for, and gives the main thread's id to the one that called it.
#[test]
fn an_exec_in_the_middle_is_waited_for() {
    let fixture = Fixture::c(
        r#"
        #include <pthread.h>
        #include <stdlib.h>
        #include <time.h>
        #include <unistd.h>
        static void *sleeper(void *n) { for (;;) pause(); }
        static void *executor(void *n) {
            struct timespec now;
            clock_gettime(CLOCK_MONOTONIC, &now);
            usleep(now.tv_nsec / 1000 % 3000);
            execl("/proc/self/exe", "fixture", (char *)0);
            abort();
        }
        int main(void) {
            pthread_t t;
            for (int i = 0; i < 6; i++) pthread_create(&t, 0, sleeper, 0);
            pthread_create(&t, 0, executor, 0);
            for (;;) pause();
        }"#,
    );
    let mut successes = 0;
    for _ in 0..100 {
        let began = Instant::now();
        match fixture.hold_with(&Wants::default()) {
            Ok(held) => {
                successes += 1;
                let threads = &held.snapshot().threads;
                assert_eq!(threads[0].tid.0, fixture.pid().0, "{:?}", held.snapshot().soft_errors);
                for thread in threads {
                    let stat = Stat::of_thread(fixture.pid(), thread.tid).unwrap();
                    assert_eq!(stat.state(), 't', "{:?}", held.snapshot().soft_errors);
                }
            }
            // It may come in between each time that it is tried.
            Err(error) => assert!(matches!(error, Error::ProcessEnded(_)), "{error}"),
        }
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
    assert!(successes > 50, "{successes}");
}

/// A parent in `vfork` cannot be stopped until the child execs or exits.
#[test]
fn a_thread_that_will_not_stop_keeps_its_stack_and_delays_no_longer_than_the_deadline() {
    let fixture = Fixture::c(
        r#"
        #include <pthread.h>
        #include <signal.h>
        #include <stdio.h>
        #include <sys/prctl.h>
        #include <unistd.h>
        static void *stuck(void *n) {
            if (vfork() == 0) { prctl(PR_SET_PDEATHSIG, SIGKILL); for (;;) pause(); }
            return 0;
        }
        int main(void) {
            pthread_t t;
            pthread_create(&t, 0, stuck, 0);
            puts("ready"); fflush(stdout);
            for (;;) pause();
        }"#,
    );
    fixture.line();
    wait_until("the vfork", || fixture.states().contains('D'));
    let began = Instant::now();
    let options = AttachOptions { stop_timeout: Duration::from_millis(300) };
    let mut held = LinuxProcess::attach_with(fixture.pid(), &Wants::default(), options).unwrap();
    assert!(began.elapsed() < Duration::from_secs(3));
    let snapshot = held.snapshot();
    assert_eq!(snapshot.threads.len(), 2);
    let note = &snapshot.soft_errors[0];
    assert_eq!(note.subject, format!("thread {}", snapshot.threads[1].tid));
    assert!(note.message.contains("did not stop within 300ms (state D)"), "{}", note.message);
    let sp = snapshot.threads[1].registers.stack_pointer;
    assert!(snapshot.regions.iter().any(|r| r.range.contains(sp)), "{sp:#x}");
    held.release();
    drop(held);
    // The kernel detached the thread that never stopped.
    wait_until("the detaching", || {
        crate::target::linux::task::list(fixture.pid()).unwrap().iter().all(|tid| {
            let path = format!("/proc/{}/task/{tid}/status", fixture.pid());
            crate::target::linux::task::TaskStatus::read(path).unwrap().number("TracerPid")
                == Some(0)
        })
    });
    assert!(fixture.states().contains('D'));
}

#[test]
fn a_process_that_waits_in_vfork_with_its_only_thread_is_dumped() {
    let fixture = Fixture::c(
        r#"
        #include <signal.h>
        #include <stdio.h>
        #include <sys/prctl.h>
        #include <unistd.h>
        int main(void) {
            puts("ready"); fflush(stdout);
            if (vfork() == 0) { prctl(PR_SET_PDEATHSIG, SIGKILL); for (;;) pause(); }
            return 0;
        }"#,
    );
    fixture.line();
    wait_until("the vfork", || fixture.states().contains('D'));
    let options = AttachOptions { stop_timeout: Duration::from_millis(300) };
    let held = LinuxProcess::attach_with(fixture.pid(), &Wants::default(), options).unwrap();
    let snapshot = held.snapshot();
    let note = &snapshot.soft_errors[0];
    assert!(note.message.contains("did not stop within 300ms (state D)"), "{}", note.message);
    let sp = snapshot.threads[0].registers.stack_pointer;
    let region = snapshot.regions.iter().find(|r| r.range.contains(sp)).unwrap();
    assert_eq!(&*region.name, "[stack]");
    assert!(held.memory().read_exact(sp, &mut [0; 8]));
    drop(held);
    assert!(fixture.states().contains('D'));
}

/// The worker of an io_uring lives inside the process and may go on filling its
/// memory, so it is stopped where the kernel allows it; but it has no registers.
#[test]
fn a_kernel_worker_inside_the_process_is_left_out_and_forbids_nothing() {
    let fixture = Fixture::c(
        r#"
        #include <stdio.h>
        #include <sys/syscall.h>
        #include <unistd.h>
        int main(void) {
            // struct io_uring_params; flags (third word): IORING_SETUP_SQPOLL.
            unsigned params[30] = { 0, 0, 2 };
            printf("%x\n", syscall(__NR_io_uring_setup, 4, params) >= 0); fflush(stdout);
            for (;;) pause();
        }"#,
    );
    if fixture.numbers() == [0] {
        eprintln!("this kernel has no io_uring to test with");
        return;
    }
    wait_until("the worker", || fixture.states().len() == 2);
    let held = fixture.hold();
    assert_eq!(held.snapshot().threads.len(), 1);
    let note = &held.snapshot().soft_errors[0];
    assert!(note.message.contains("worker of the kernel"), "{}", note.message);
}

/// A host program that waits for its children takes the stops away.
#[test]
fn a_host_that_reaps_children_does_not_disturb() {
    let fixture = Fixture::c(MANY_THREADS);
    fixture.line();
    let pid = fixture.pid();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let options = libc::WNOHANG | libc::WUNTRACED | libc::__WALL;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                for tid in crate::target::linux::task::list(pid).unwrap() {
                    // SAFETY: no status is asked for, so no memory is written.
                    unsafe { libc::waitpid(tid.0 as i32, std::ptr::null_mut(), options) };
                }
            }
        });
        for _ in 0..20 {
            let mut held = fixture.hold();
            assert_eq!(held.snapshot().threads.len(), 65);
            held.release();
            assert_eq!(fixture.tracer(), 0);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn the_status_of_a_child_stays_for_its_parent() {
    let mut fixture = Fixture::c(MANY_THREADS);
    fixture.line();
    let held = fixture.hold();
    fixture.kill(libc::SIGKILL);
    wait_until("its end", || fixture.states().starts_with('Z'));
    drop(held);
    let status = fixture.wait();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGKILL));
}
