//! Registers of a processor, put over what memory has of them.

use dumpwright_format::context::amd64::{
    CONTEXT_AMD64, CONTEXT_CONTROL, CONTEXT_INTEGER, CONTEXT_SEGMENTS, ContextAmd64,
};

/// `there` with those parts of `known` that its flags say it has.
pub fn merged(mut there: ContextAmd64, known: &ContextAmd64) -> ContextAmd64 {
    let has = |part: u32| known.context_flags.get() & part & !CONTEXT_AMD64 != 0;
    macro_rules! take {
        ($($field:ident)*) => {{ $(there.$field = known.$field;)* }};
    }
    if has(CONTEXT_CONTROL) {
        take!(seg_cs seg_ss e_flags rip rsp);
    }
    if has(CONTEXT_INTEGER) {
        take!(rax rcx rdx rbx rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15);
    }
    if has(CONTEXT_SEGMENTS) {
        take!(seg_ds seg_es seg_fs seg_gs);
    }
    let parts = CONTEXT_CONTROL | CONTEXT_INTEGER | CONTEXT_SEGMENTS;
    let parts = known.context_flags.get() & parts;
    there.context_flags = (there.context_flags.get() | parts | CONTEXT_AMD64).into();
    there
}
