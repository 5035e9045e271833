//! Writes minidumps: crash dumps in the format of Windows, which WinDbg, LLDB,
//! Visual Studio, rust-minidump and Breakpad's tools open. Today of live Linux
//! processes; it does for them what `IDebugClient4::WriteDumpFile2` and WinDbg's
//! `.dump` do on Windows, with the same qualifiers and flags.
//!
//! # A dump
//!
//! ```no_run
//! use dumpwright::{DumpRequest, FormatFlags, Qualifier, dump_process, target::Pid};
//!
//! # fn main() -> dumpwright::Result<()> {
//! let request = DumpRequest::new("app.dmp", Qualifier::Small)
//!     .flags(FormatFlags::DUMP_MA | FormatFlags::NO_OVERWRITE)
//!     .comment("hangs after login");
//! let summary = dump_process(Pid(1234), &request, &())?;
//! println!("{} threads in {} bytes", summary.threads, summary.size);
//! for hole in &summary.holes {
//!     println!("{}-{} could not be read: {}", hole.start, hole.end, hole.reason);
//! }
//!
//! let dump = dumpwright::read::Minidump::open("app.dmp")?;
//! assert!(dumpwright::verify::verify(&dump).is_empty());
//! print!("{}", dumpwright::info::DumpInfo::new(&dump)?.text(Default::default()));
//! # Ok(())
//! # }
//! ```
//!
//! A [`DumpRequest`] has the four inputs of `WriteDumpFile2` (file, qualifier,
//! format flags, comment) and the [`Extensions`] that no flag exists for;
//! [`DumpRequest::from_raw`] takes them as the numbers of dbgeng.h.
//! [`dump_process`] answers with a [`Summary`], or an [`Error`] that names the
//! thing, the cause and the way out. Between the two, an [`Observer`] sees how
//! far the dump is and can give it up.
//!
//! # What the caller supplies
//!
//! - A process of another program that it may trace: one of the same user, as
//!   far as `/proc/sys/kernel/yama/ptrace_scope` allows, or any with
//!   `CAP_SYS_PTRACE`. A process cannot dump itself; start a helper.
//! - A file name with an extension, in a folder that can be written to, or
//!   standard output ([`Destination::Stdout`]).
//! - Nothing else: no debugger, no symbols, no help from the target.
//!
//! # What it will not do
//!
//! - Harm the target: it goes on as before, with the signals that came meanwhile.
//! - Show half a dump: the file has its name only once it is whole, and whatever
//!   ends the writer leaves what was there before.
//! - Make memory up: what could not be read is zero *and* listed, in the
//!   summary and in the dump's soft-errors stream.
//! - Touch devices or memory that the target never populated.
//! - Ignore a flag that it does not know.
//!
//! # How it is fast
//!
//! Every offset is known before the first byte, so that each byte is moved once:
//! by several threads to where it belongs in a file, front to back into a stream,
//! at a flat few MiB of the writer's own; pages that were never populated are
//! neither read nor written. What a request does not ask for is
//! not collected while the target stands still, and it is let go as soon as its
//! memory has been read.
//!
//! # The flags on Linux
//!
#![doc = include_str!("../docs/flags.md")]
//!
//! # Where things are
//!
//! [`target`] → [`plan`] → [`layout`] → [`write`](mod@write) → [`package`]: what
//! can be dumped, what goes in, where it stands, how it is written, how it
//! becomes a file. Beside them [`read`], [`info`] and [`verify`] are for dumps
//! that anybody wrote, and [`format`](mod@format) is what the bytes are.

pub mod address;
pub mod dot_dump;
pub mod engine;
pub mod error;
#[cfg(all(windows, feature = "fault-points"))]
pub mod fault;
#[cfg(all(windows, not(feature = "fault-points")))]
mod fault;
pub mod hresult;
pub mod info;
pub mod kernel_type;
pub mod layout;
pub mod observer;
pub mod package;
pub mod packed;
pub mod plan;
pub mod read;
pub mod redact;
pub mod request;
pub mod soft_error;
pub mod summary;
#[cfg(test)]
mod synthetic;
#[cfg(test)]
mod synthetic_machine;
pub mod target;
pub mod time;
pub mod verify;
pub mod write;

pub use dumpwright_format as format;
pub use dumpwright_format::{FormatFlags, MinidumpType, Qualifier};
#[cfg(all(target_os = "linux", feature = "crash-context"))]
pub use engine::dump_crash;
#[cfg(target_os = "linux")]
pub use engine::dump_guest;
pub use engine::{Output, dump_file, dump_target, write_dump, write_machine_dump};
#[cfg(any(target_os = "linux", windows))]
pub use engine::{WaitFor, dump_on_event, dump_process, wait_for_event};
pub use error::{Error, Result};
pub use hresult::HResult;
pub use kernel_type::KernelDumpType;
pub use observer::{Observer, Phase, observe_here};
pub use request::{Destination, DumpRequest, Extensions, OutputFormat};
pub use summary::Summary;
pub use target::dump_file::OpenOptions;
