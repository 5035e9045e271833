//! The debugger engine's COM interfaces over dumpwright: `DebugCreate` and the
//! dumping path of `IDebugClient` to `IDebugClient8`, `IDebugControl`,
//! `IDebugDataSpaces`, `IDebugSymbols` and `IDebugSystemObjects`.
//!
//! On Windows the library takes the place of `dbgeng.dll`. On Linux it has the
//! same vtables in the System V calling convention, with `WCHAR` of 16 bits;
//! `include/dumpwright-dbgeng.h` declares them for C and C++. What each method
//! does is listed in `docs/dbgeng-methods.md`; what is outside the dumping path
//! answers `E_NOTIMPL`.
//!
//! # Sessions
//!
//! As with dbgeng, there is one session in a process: its clients share the
//! targets, the current process and the interrupt. It ends with its last client,
//! and then lets every target go.
//!
//! # Threads
//!
//! Every method can be called from any thread. While one writes a dump of a
//! target that is held still, other methods that need that target answer
//! `ERROR_BUSY`; `SetInterrupt` ends the writing. Callbacks are called on the
//! thread that called the method, never with a lock held, so that they may call
//! any method; those of other clients are called if they were created on that
//! thread. The program sees to it that its callback objects can be released on
//! each thread that it calls a client from.
//!
//! # Lifetimes
//!
//! Reference counts follow COM: each pointer that a method hands out carries a
//! reference, callbacks are held until they are replaced, and all interfaces of
//! an object share one count and one identity. A panic never crosses the
//! boundary: it answers `E_FAIL`.

pub mod abi;
#[macro_use]
pub mod vtable;
mod com;
mod event_callbacks;
mod events;
pub mod exports;
mod fault;
pub mod interfaces;
mod methods;
pub mod object;
mod platform;
mod reading;
mod session;
mod target;

pub use dumpwright::HResult;
