//! The user-mode minidump: header, directory, and the structures of its streams.
//!
//! Layouts are those of minidumpapiset.h (packed to 4 bytes there; every
//! structure here is written out without implicit padding). The streams that
//! Breakpad and Mozilla added for Linux are in [`linux`].

mod exception;
mod handle;
mod header;
pub mod linux;
mod memory;
mod misc_info;
mod module;
mod system;
mod thread;
mod token;

pub use exception::*;
pub use handle::*;
pub use header::*;
pub use memory::*;
pub use misc_info::*;
pub use module::*;
pub use system::*;
pub use thread::*;
pub use token::*;
