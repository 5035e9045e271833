//! The engine of dumpwright.

pub mod address;
pub mod engine;
pub mod error;
pub mod info;
pub mod layout;
pub mod observer;
pub mod package;
pub mod plan;
pub mod read;
pub mod request;
pub mod soft_error;
pub mod summary;
#[cfg(test)]
mod synthetic;
pub mod target;
pub mod time;
pub mod verify;
pub mod write;

pub use dumpwright_format as format;
pub use dumpwright_format::{FormatFlags, MinidumpType, Qualifier};
#[cfg(target_os = "linux")]
pub use engine::dump_process;
pub use engine::{Output, write_dump};
pub use error::{Error, Result};
pub use observer::{Observer, Phase};
pub use request::{Destination, DumpRequest, Extensions};
pub use summary::Summary;
