//! What differs between processors: how the registers of a stopped thread, of
//! a `ucontext_t` and of a core become the wire `CONTEXT`. One folder or file
//! per architecture. Conversions are there for both, since a core comes from
//! any machine; of the processor that this is compiled for also:
//!
//! - `xstate_layout(wants)`: how the extended state behind a context is laid
//!   out, `None` where there is none or it is not wanted;
//! - `thread_registers(tid, layout)`: the [`ThreadState`] of a stopped thread;
//! - `sparse_registers(ip, sp)`: a context of which only these two are known;
//! - `crash_registers(context)`: registers of a `crash_context::CrashContext`.

pub(in crate::target) mod aarch64;
pub(in crate::target) mod x86_64;

#[cfg(all(feature = "crash-context", target_arch = "aarch64"))]
pub(super) use aarch64::crash_registers;
#[cfg(target_arch = "aarch64")]
pub(in crate::target) use aarch64::{sparse_registers, thread_registers, xstate_layout};
#[cfg(all(feature = "crash-context", target_arch = "x86_64"))]
pub(super) use x86_64::crash_registers;
#[cfg(target_arch = "x86_64")]
pub(in crate::target) use x86_64::{sparse_registers, thread_registers, xstate_layout};

use crate::target::{Architecture, MemorySource, Registers, XstateLayout};

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("live Linux processes are dumped on x86-64 and aarch64 only");

/// The processor that this is compiled for.
pub(in crate::target) const NATIVE: Architecture =
    if cfg!(target_arch = "aarch64") { Architecture::Arm64 } else { Architecture::Amd64 };

/// What is read of a stopped thread.
pub(in crate::target) struct ThreadState {
    /// Its registers.
    pub registers: Registers,
    /// FS base (GS base of 32-bit code) or `TPIDR_EL0`.
    pub thread_pointer: u64,
    /// GS base of 64-bit x86 code: 0 but in a few programs, and the TEB under
    /// Wine. 0 on other processors.
    pub second_pointer: u64,
}

/// Registers that a `ucontext_t` in the target's memory holds; `None` if it
/// cannot be read.
pub(in crate::target) fn context_registers(
    architecture: Architecture,
    memory: &dyn MemorySource,
    address: u64,
    layout: Option<&XstateLayout>,
) -> Option<Registers> {
    match architecture {
        Architecture::Amd64 => x86_64::context_registers(memory, address, layout),
        Architecture::Arm64 => aarch64::context_registers(memory, address),
        Architecture::X86 => None,
    }
}
