//! Registers arrive in the context where they belong.

#![cfg(target_arch = "x86_64")]

use crate::target::linux::fixture::{Fixture, wait_until};
use crate::target::{ProcessTarget, ThreadSnapshot, Wants};
use dumpwright_format::context::amd64::{CONTEXT_ALL, CONTEXT_XSTATE, ContextAmd64};
use dumpwright_format::context::xstate::{ContextEx, XSTATE_MASK_AVX, XsaveAreaHeader};
use std::process::Command;
use zerocopy::FromBytes;

/// Known values in R12 to R15, XMM5 and YMM7, kept by a loop that touches none.
pub(super) const KNOWN_VALUES: &str = r#"
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static long pattern[4] = { 0x1111111111111111, 0x2222222222222222, 0x3333333333333333, 0x4444444444444444 };
static volatile int spinning;
static void *spin(void *with_avx) {
    printf("%x %lx\n", gettid(), pthread_self()); fflush(stdout);
    if (with_avx) asm volatile("vmovdqu (%0), %%ymm7" :: "r"(pattern) : "xmm7");
    asm volatile(
        "mov $0x1212121212121212, %%r12\n mov $0x1313131313131313, %%r13\n"
        "mov $0x1414141414141414, %%r14\n mov $0x1515151515151515, %%r15\n"
        "movdqu 16(%0), %%xmm5\n"
        "movl $1, %1\n"
        "1: pause\n jmp 1b\n"
        :: "r"(pattern), "m"(spinning) : "r12", "r13", "r14", "r15", "xmm5", "memory");
    return 0;
}
int main(void) {
    pthread_t t;
    pthread_create(&t, 0, spin, (void *)(long)__builtin_cpu_supports("avx"));
    while (!spinning) ;
    puts("spinning"); fflush(stdout);
    for (;;) pause();
}"#;

fn context(thread: &ThreadSnapshot) -> (ContextAmd64, &[u8]) {
    ContextAmd64::read_from_prefix(&thread.registers.context).unwrap()
}

#[test]
fn known_values_are_found_in_their_registers() {
    let fixture = Fixture::c(KNOWN_VALUES);
    let [tid, thread_pointer] = fixture.numbers()[..] else { panic!() };
    assert_eq!(fixture.line(), "spinning");
    let held = fixture.hold();
    let thread = held.snapshot().threads.iter().find(|t| u64::from(t.tid.0) == tid).unwrap();
    assert_eq!(thread.thread_pointer, thread_pointer);
    assert_eq!(thread.registers.context.len(), 1232);
    let (c, _) = context(thread);
    assert_eq!(c.context_flags.get(), CONTEXT_ALL);
    let twelve_on = [c.r12, c.r13, c.r14, c.r15].map(zerocopy::U64::get);
    assert_eq!(twelve_on, [0x12, 0x13, 0x14, 0x15].map(|b| u64::from_ne_bytes([b; 8])));
    assert_eq!(c.flt_save[160 + 5 * 16..][..16], [[0x33; 8], [0x44; 8]].concat());
    assert_eq!(c.mx_csr.get(), 0x1F80);
    assert_eq!(c.flt_save[24..28], 0x1F80_u32.to_le_bytes());
    assert_eq!((c.seg_cs.get(), c.seg_ss.get()), (0x33, 0x2B));
    assert_eq!(c.e_flags.get() & 2, 2, "bit 1 of EFLAGS is always set");
    let r = &thread.registers;
    assert_eq!((r.instruction_pointer, r.stack_pointer), (c.rip.get(), c.rsp.get()));
    assert_eq!(r.general.len(), 16);
    assert!(r.general.contains(&c.r15.get()) && r.general.contains(&c.rsp.get()));
    // PAUSE; JMP back to it.
    let mut code = [0; 2];
    assert!(held.memory().read_exact(c.rip.get(), &mut code));
    assert!(code == [0xF3, 0x90] || code[0] == 0xEB, "{code:x?}");
}

#[test]
fn the_high_half_of_ymm_stands_behind_the_context() {
    let fixture = Fixture::c(KNOWN_VALUES);
    let tid = fixture.numbers()[0];
    assert_eq!(fixture.line(), "spinning");
    let wants = Wants { extended_state: true, ..Wants::default() };
    let held = fixture.hold_with(&wants).unwrap();
    let Some(layout) = held.snapshot().system.xstate.clone() else {
        assert!(!std::is_x86_feature_detected!("xsave"));
        return;
    };
    for thread in &held.snapshot().threads {
        assert_eq!(thread.registers.context.len(), layout.context_size as usize);
        assert_eq!(context(thread).0.context_flags.get(), CONTEXT_ALL | CONTEXT_XSTATE);
    }
    let thread = held.snapshot().threads.iter().find(|t| u64::from(t.tid.0) == tid).unwrap();
    let (c, rest) = context(thread);
    assert_eq!(c.flt_save[160 + 5 * 16..][..16], [[0x33; 8], [0x44; 8]].concat());
    if layout.features & XSTATE_MASK_AVX == 0 {
        return;
    }
    assert_eq!(c.flt_save[160 + 7 * 16..][..16], [[0x11; 8], [0x22; 8]].concat());
    let (ex, _) = ContextEx::read_from_prefix(rest).unwrap();
    let xsave = &rest[ex.xstate.offset.get() as usize..][..ex.xstate.length.get() as usize];
    let (header, _) = XsaveAreaHeader::read_from_prefix(xsave).unwrap();
    assert_eq!(header.mask.get() & XSTATE_MASK_AVX, XSTATE_MASK_AVX);
    assert_eq!(header.mask.get() & !layout.features, 0);
    assert_eq!(header.compaction_mask.get(), 0);
    let avx = layout.components.iter().find(|c| c.0 == 2).unwrap();
    let high = &xsave[avx.1 as usize - 512..][..avx.2 as usize];
    assert_eq!(high[7 * 16..][..16], [[0x33; 8], [0x44; 8]].concat());
}

/// A 32-bit thread has the registers of its 64-bit processor, seen in its own
/// code segment.
#[test]
fn a_32_bit_program_is_held_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let (source, program) = (dir.path().join("program.c"), dir.path().join("program"));
    let code = r#"void _start(void) { asm volatile("mov $0x12345678, %esi; 1: pause; jmp 1b"); }"#;
    std::fs::write(&source, code).unwrap();
    let compiled = Command::new("cc")
        .args(["-m32", "-nostdlib", "-static", "-fno-pic", "-o"])
        .args([&program, &source])
        .output()
        .unwrap();
    // ENOEXEC: a kernel without 32-bit emulation.
    let started =
        compiled.status.success().then(|| Fixture::try_start(&mut Command::new(&program)));
    let Some(Ok(fixture)) = started else {
        eprintln!("this machine does not build or run 32-bit programs");
        return;
    };
    let maps = format!("/proc/{}/maps", fixture.pid());
    wait_until("the program", || {
        std::fs::read_to_string(&maps).is_ok_and(|maps| maps.starts_with("08048000"))
    });
    std::thread::sleep(std::time::Duration::from_millis(50));
    let held = fixture.hold();
    let (c, _) = context(&held.snapshot().threads[0]);
    assert_eq!((c.seg_cs.get(), c.rsi.get()), (0x23, 0x1234_5678));
    assert!(held.snapshot().regions.iter().any(|r| r.range.contains(c.rip.get())));
}
