//! The registers that the notes of a core hold.

use super::{
    CONTEXT_FLOATING_POINT, USER32_CS, add_flags, general_context, registers, set_float_save,
};
use crate::target::linux::core_head::NoteThread;
use crate::target::{Registers, XstateLayout};

/// `struct user_regs_struct` (asm/user_64.h): 27 words.
const WORDS: usize = 27;

/// Registers and thread pointer (FS base) of a thread, with extended state
/// behind them where a layout is given and the core has it. `None` if the
/// general registers are not those of a 64-bit thread. A core has no debug
/// registers.
pub(in crate::target::linux) fn note_registers(
    thread: &NoteThread,
    layout: Option<&XstateLayout>,
) -> Option<(Registers, u64)> {
    let user = general(&thread.general)?;
    let mut context = general_context(&user);
    if let Some(fxsave) = thread.float.first_chunk() {
        set_float_save(&mut context, fxsave);
        add_flags(&mut context, CONTEXT_FLOATING_POINT);
    }
    let area = thread.xstate.as_slice();
    let extended = layout.filter(|_| !area.is_empty()).map(|layout| (layout, area));
    let thread_pointer = if user.cs == USER32_CS { user.gs_base } else { user.fs_base };
    Some((registers(&context, extended), thread_pointer))
}

fn general(bytes: &[u8]) -> Option<libc::user_regs_struct> {
    let mut words = [0_u64; WORDS];
    if bytes.len() != size_of_val(&words) {
        return None;
    }
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    let [
        r15,
        r14,
        r13,
        r12,
        rbp,
        rbx,
        r11,
        r10,
        r9,
        r8,
        rax,
        rcx,
        rdx,
        rsi,
        rdi,
        orig_rax,
        rip,
        cs,
        eflags,
        rsp,
        ss,
        fs_base,
        gs_base,
        ds,
        es,
        fs,
        gs,
    ] = words;
    Some(libc::user_regs_struct {
        r15,
        r14,
        r13,
        r12,
        rbp,
        rbx,
        r11,
        r10,
        r9,
        r8,
        rax,
        rcx,
        rdx,
        rsi,
        rdi,
        orig_rax,
        rip,
        cs,
        eflags,
        rsp,
        ss,
        fs_base,
        gs_base,
        ds,
        es,
        fs,
        gs,
    })
}
