//! What differs between processors: how the registers of a stopped thread and
//! of a `ucontext_t` become the wire `CONTEXT`. One folder or file per
//! architecture, all with the same functions:
//!
//! - `xstate_layout(wants)`: how the extended state behind a context is laid
//!   out, `None` where there is none or it is not wanted;
//! - `thread_registers(tid, layout)`: registers and thread pointer of a stopped
//!   thread;
//! - `sparse_registers(ip, sp)`: a context of which only these two are known;
//! - `context_registers(memory, address, layout)`: registers that a
//!   `ucontext_t` in the target's memory holds;
//! - `note_registers(thread, layout)`: registers and thread pointer that the
//!   notes of a core hold;
//! - `crash_registers(context)`: registers of a `crash_context::CrashContext`.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(all(feature = "crash-context", target_arch = "aarch64"))]
pub(super) use aarch64::crash_registers;
#[cfg(target_arch = "aarch64")]
pub(super) use aarch64::{
    context_registers, note_registers, sparse_registers, thread_registers, xstate_layout,
};
#[cfg(all(feature = "crash-context", target_arch = "x86_64"))]
pub(super) use x86_64::crash_registers;
#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::{
    context_registers, note_registers, sparse_registers, thread_registers, xstate_layout,
};

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("live Linux processes are dumped on x86-64 and aarch64 only");
