//! An exception that a handler has caught and published is found by `-x…`.

#![cfg(target_arch = "x86_64")]

use crate::error::Error;
use crate::target::linux::fixture::Fixture;
use crate::target::{ExceptionSnapshot, ExceptionSource, ProcessTarget, Tid, Wants};
use dumpwright_format::context::amd64::{CONTEXT_XSTATE, ContextAmd64};
use dumpwright_format::context::xstate::{ContextEx, XSTATE_MASK_AVX};
use dumpwright_format::minidump::LINUX_DUMP_REQUESTED;
use zerocopy::FromBytes;

/// A thread that faults with known values in registers. Its handler publishes
/// where record and context are, and parks.
const PARKED: &str = r#"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <ucontext.h>
#include <unistd.h>
static long pattern[4] = { 0x1111111111111111, 0x2222222222222222, 0x3333333333333333, 0x4444444444444444 };
static void *pointers[2];
static void *nothing[2];
static void handler(int n, siginfo_t *info, void *context) {
    pointers[0] = info; pointers[1] = context;
    printf("%x %p %p %p %p %llx\n", gettid(), info, context, pointers, nothing,
        ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP]);
    fflush(stdout);
    for (;;) pause();
}
static void *crash(void *with_avx) {
    if (with_avx) asm volatile("vmovdqu (%0), %%ymm7" :: "r"(pattern) : "xmm7");
    asm volatile("movdqu 16(%0), %%xmm5\n mov $0x1212121212121212, %%r12\n movl $1, 0x1234"
        :: "r"(pattern) : "xmm5", "r12", "memory");
    return 0;
}
static void *idle(void *n) { for (;;) pause(); }
int main(void) {
    struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
    sigaction(SIGSEGV, &action, 0);
    pthread_t t;
    pthread_create(&t, 0, idle, 0);
    pthread_create(&t, 0, crash, (void *)(long)__builtin_cpu_supports("avx"));
    pthread_create(&t, 0, idle, 0);
    pthread_join(t, 0);
}"#;

struct Parked {
    fixture: Fixture,
    tid: Tid,
    record: u64,
    context: u64,
    pointers: u64,
    null_pointers: u64,
    ip: u64,
}

fn parked() -> Parked {
    let fixture = Fixture::c(PARKED);
    let [tid, record, context, pointers, null_pointers, ip] = fixture.numbers()[..] else {
        panic!()
    };
    Parked { fixture, tid: Tid(tid as u32), record, context, pointers, null_pointers, ip }
}

impl Parked {
    fn exception(&self, source: ExceptionSource, extended_state: bool) -> ExceptionSnapshot {
        let wants = Wants { exception: source, extended_state, ..Wants::default() };
        let held = self.fixture.hold_with(&wants).unwrap();
        held.snapshot().exception.clone().unwrap()
    }

    fn refusal(&self, source: ExceptionSource) -> String {
        let wants = Wants { exception: source, ..Wants::default() };
        match self.fixture.hold_with(&wants) {
            Err(Error::InvalidRequest(message)) => message,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("{source:?} was answered"),
        }
    }

    fn assert_is_the_fault(&self, exception: &ExceptionSnapshot) {
        assert_eq!(exception.tid, self.tid, "the thread whose stack holds the context");
        assert_eq!((exception.code, exception.flags), (libc::SIGSEGV as u32, 1));
        assert_eq!(exception.address, 0x1234);
        self.assert_is_the_context(exception);
    }

    fn assert_is_the_context(&self, exception: &ExceptionSnapshot) {
        assert_eq!(exception.registers.instruction_pointer, self.ip);
        let (c, _) = ContextAmd64::read_from_prefix(&exception.registers.context).unwrap();
        assert_eq!(c.r12.get(), 0x1212_1212_1212_1212);
        assert_eq!(c.rip.get(), self.ip);
        assert_eq!((c.seg_cs.get(), c.seg_ss.get()), (0x33, 0x2B));
        assert_eq!(c.flt_save[160 + 5 * 16..][..16], [[0x33; 8], [0x44; 8]].concat());
        assert_eq!(c.mx_csr.get(), 0x1F80);
    }
}

#[test]
fn record_and_context_give_the_fault_and_its_registers() {
    let parked = parked();
    let source = ExceptionSource {
        record: Some(parked.record),
        context: Some(parked.context),
        ..ExceptionSource::default()
    };
    parked.assert_is_the_fault(&parked.exception(source, false));
    let by_pointers =
        ExceptionSource { pointers: Some(parked.pointers), ..ExceptionSource::default() };
    parked.assert_is_the_fault(&parked.exception(by_pointers, false));
}

#[test]
fn a_context_alone_is_a_requested_dump_at_its_instruction() {
    let parked = parked();
    let source = ExceptionSource { context: Some(parked.context), ..ExceptionSource::default() };
    let exception = parked.exception(source, false);
    assert_eq!((exception.tid, exception.code), (parked.tid, LINUX_DUMP_REQUESTED));
    assert_eq!(exception.address, parked.ip);
    parked.assert_is_the_context(&exception);
}

#[test]
fn a_signal_frames_extended_state_stands_behind_its_context() {
    let parked = parked();
    let source = ExceptionSource { context: Some(parked.context), ..ExceptionSource::default() };
    let exception = parked.exception(source, true);
    parked.assert_is_the_context(&exception);
    let wants = Wants { extended_state: true, ..Wants::default() };
    let Some(layout) = crate::target::linux::arch::xstate_layout(&wants) else { return };
    if layout.features & XSTATE_MASK_AVX == 0 {
        return;
    }
    let context = &exception.registers.context;
    assert_eq!(context.len(), layout.context_size as usize);
    let (c, rest) = ContextAmd64::read_from_prefix(context).unwrap();
    assert_eq!(c.context_flags.get() & CONTEXT_XSTATE, CONTEXT_XSTATE);
    let (ex, _) = ContextEx::read_from_prefix(rest).unwrap();
    let avx = layout.components.iter().find(|c| c.0 == 2).unwrap();
    let high = &rest[ex.xstate.offset.get() as usize + avx.1 as usize - 512..];
    assert_eq!(high[7 * 16..][..16], [[0x33; 8], [0x44; 8]].concat());
}

#[test]
fn a_record_alone_goes_with_the_threads_own_registers() {
    let parked = parked();
    let source = ExceptionSource {
        record: Some(parked.record),
        thread: Some(parked.tid),
        ..ExceptionSource::default()
    };
    let exception = parked.exception(source, false);
    assert_eq!((exception.code, exception.address), (libc::SIGSEGV as u32, 0x1234));
    assert_ne!(exception.registers.instruction_pointer, parked.ip, "it is in its handler");
}

#[test]
fn a_thread_alone_is_a_requested_dump() {
    let parked = parked();
    let source = ExceptionSource { thread: Some(parked.tid), ..ExceptionSource::default() };
    let exception = parked.exception(source, false);
    assert_eq!((exception.tid, exception.code), (parked.tid, LINUX_DUMP_REQUESTED));
    assert_eq!(exception.address, exception.registers.instruction_pointer);
}

#[test]
fn what_cannot_be_read_is_refused_by_its_address_and_nothing_stays_held() {
    let parked = parked();
    let none = ExceptionSource::default();
    for source in [
        ExceptionSource { context: Some(0xDEAD_0000), ..none },
        ExceptionSource { record: Some(0xDEAD_0000), ..none },
        ExceptionSource { pointers: Some(0xDEAD_0000), ..none },
    ] {
        let message = parked.refusal(source);
        assert!(message.contains("0xdead0000"), "{message}");
    }
    let nulls = parked.refusal(ExceptionSource { pointers: Some(parked.null_pointers), ..none });
    assert!(nulls.contains("both null"), "{nulls}");
    let thread = parked.refusal(ExceptionSource { thread: Some(Tid(1)), ..none });
    assert!(thread.contains("no thread 1 (-xt)"), "{thread}");
    assert_eq!(parked.fixture.tracer(), 0);
}

#[test]
fn no_exception_is_made_up() {
    let parked = parked();
    let held = parked.fixture.hold();
    assert_eq!(held.snapshot().exception, None);
}
