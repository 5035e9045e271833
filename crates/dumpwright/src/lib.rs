//! The engine of dumpwright.

pub mod address;
pub mod error;
pub mod info;
pub mod observer;
pub mod package;
pub mod read;
pub mod request;
pub mod soft_error;
pub mod target;
pub mod verify;

pub use dumpwright_format as format;
pub use dumpwright_format::{FormatFlags, MinidumpType, Qualifier};
pub use error::{Error, Result};
pub use observer::{Observer, Phase};
pub use request::{Destination, DumpRequest, Extensions};
