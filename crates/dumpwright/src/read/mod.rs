//! The reader of minidumps that anybody wrote: bytes are foreign until checked.
//!
//! [`Minidump`] holds a [`Source`] open and decodes one stream at a time, when
//! asked. It promises, for *any* bytes, not to panic, not to loop, and not to
//! allocate more than a small multiple of what the file holds or of the 64 MiB
//! that a stream may have: every count is held against the bytes that are there
//! before anything is allocated, and strings and records that many entries share
//! are paid for from an allowance that the file's length sets. The contents of memory are never
//! loaded; [`Minidump::read_memory`] reads the bytes that are asked for.
//!
//! The accessors answer `Ok(None)` for a stream that is not there and
//! [`ReadError::Malformed`] for one that cannot be decoded. A reference that
//! leads nowhere (a name past the end of the file) makes its field `None` and
//! nothing worse; [`verify`](crate::verify) is where such faults are named.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dump = dumpwright::read::Minidump::open("app.dmp")?;
//! for module in dump.modules()?.unwrap_or_default() {
//!     println!("{:#x} {}", module.base, module.name.unwrap_or_default());
//! }
//! let mut stack_top = [0; 16];
//! dump.read_memory(0x7fff_0000, &mut stack_top)?;
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod code_view;
mod context;
mod counters;
mod dso_debug;
mod error;
mod exception;
mod handle;
pub mod kernel;
mod memory;
mod minidump;
mod misc_info;
mod module;
pub(crate) mod recognise;
#[cfg(test)]
pub(crate) mod samples;
mod source;
pub(crate) mod string;
#[cfg(test)]
pub(crate) mod synth;
mod system;
#[cfg(test)]
mod tests;
mod text;
mod thread;
mod token;
pub mod userdump;
mod wire;

pub use code_view::CodeView;
pub use context::{ExtendedState, Registers};
pub(crate) use context::{MAX_CONTEXT, context_shape, decode as decode_context};
pub use counters::{SystemMemory, VmCounters};
pub use dso_debug::{DsoDebug, LinkMap};
pub use error::{Malformed, ReadError, ReadResult};
pub use exception::Exception;
pub use handle::{Handle, HandleData, HandleObjectInfo};
pub use memory::{MemoryMap, MemoryRange, MemoryRegion};
pub use minidump::{DirectoryEntry, Location, Minidump};
pub use misc_info::{MiscInfo, ProcessorPower, TimeZone, XstateData};
pub use module::{Module, UnloadedModule};
pub use source::Source;
pub use string::StoredString;
pub use system::SystemInfo;
pub use text::BreakpadInfo;
pub use thread::{Thread, ThreadInfo, ThreadName};
pub use token::Token;
