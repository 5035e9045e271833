//! What cannot be dumped is refused by name, and nothing is held afterwards.

use crate::error::Error;
use crate::target::linux::LinuxProcess;
use crate::target::linux::fixture::{Fixture, wait_until};
use crate::target::{Pid, ProcessTarget, Wants};
use std::process::Command;

fn refusal(pid: u32) -> Error {
    match LinuxProcess::attach(Pid(pid), &Wants::default()) {
        Ok(_) => panic!("process {pid} was attached to"),
        Err(error) => error,
    }
}

fn sleeper() -> Fixture {
    let fixture = Fixture::start(Command::new("sleep").arg("1000"));
    wait_until("the program", || fixture.states() == "S");
    fixture
}

#[test]
fn numbers_that_are_no_process() {
    for number in [0, 1 << 31, u32::MAX, (1 << 22) + 1] {
        assert!(matches!(refusal(number), Error::NoSuchProcess(Pid(n)) if n == number));
    }
}

#[test]
fn this_process_and_its_threads() {
    let own = std::process::id();
    assert!(matches!(refusal(own), Error::OwnProcess(_)));
    // A test runs on a thread of its own, which is not the main thread.
    let thread = rustix::thread::gettid().as_raw_nonzero().get() as u32;
    assert!(matches!(refusal(thread), Error::OwnProcess(Pid(n)) if n == thread));
}

#[test]
fn a_kernel_thread() {
    let kthreadd = std::fs::read_to_string("/proc/2/comm");
    if kthreadd.is_ok_and(|name| name.trim() == "kthreadd") {
        assert!(matches!(refusal(2), Error::KernelThread(Pid(2))));
    } else {
        // In a pid namespace of one's own there is none; the flag is what counts.
        eprintln!("no kernel thread is visible here");
    }
}

#[test]
fn a_zombie() {
    let fixture = sleeper();
    fixture.kill(libc::SIGKILL);
    wait_until("the zombie", || fixture.states() == "Z");
    assert!(matches!(refusal(fixture.pid().0), Error::Zombie(_)));
}

#[test]
fn a_process_that_is_traced_already() {
    let fixture = sleeper();
    let mut held = fixture.hold();
    let error = refusal(fixture.pid().0);
    assert!(matches!(error, Error::AlreadyTraced { .. }), "{error}");
    held.release();
    drop(fixture.hold());
}

#[test]
fn a_process_of_another_user_with_the_way_out() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("only root can become another user to test with");
        return;
    }
    let fixture = sleeper();
    let pid = fixture.pid();
    // Credentials are per thread to the kernel, and threads inherit them.
    let error = std::thread::spawn(move || {
        let nobody = rustix::process::Uid::from_raw(65534);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        refusal(pid.0)
    })
    .join()
    .unwrap();
    let Error::AccessDenied { reason, .. } = error else { panic!("{error}") };
    assert!(reason.contains("runs as user 0 and we are user 65534"), "{reason}");
    assert!(reason.contains("sudo"), "{reason}");
    assert_eq!(fixture.tracer(), 0);
}

#[test]
fn the_id_of_a_thread_means_its_process() {
    let fixture = Fixture::c(
        r#"
        #include <pthread.h>
        #include <stdio.h>
        #include <unistd.h>
        static void *work(void *n) {
            printf("%x\n", gettid()); fflush(stdout);
            for (;;) pause();
        }
        int main(void) {
            pthread_t t;
            pthread_create(&t, 0, work, 0);
            pthread_join(t, 0);
        }"#,
    );
    let tid = fixture.numbers()[0] as u32;
    let held = LinuxProcess::attach(Pid(tid), &Wants::default()).unwrap();
    assert_eq!(held.snapshot().process.pid, fixture.pid());
    assert_eq!(held.snapshot().threads.len(), 2);
    let note = &held.snapshot().soft_errors[0];
    assert!(note.message.contains(&format!("thread of process {}", fixture.pid())));
}
