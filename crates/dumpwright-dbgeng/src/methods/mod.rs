//! What the methods do. One file per concern; a function serves the narrow and
//! the wide method of a name.

#![forbid(unsafe_code)]
// Every method answers the same type.
#![allow(clippy::unnecessary_wraps)]

pub mod attach;
pub mod callbacks;
pub mod control;
pub mod create;
pub mod dumps;
pub mod events;
pub mod execute;
pub mod identity;
pub mod last_event;
pub mod memory;
pub mod modules;
pub mod objects;
pub mod physical;
pub mod processes;
mod progress;

use crate::abi::Answer;
use dumpwright::HResult;

/// `S_OK`.
const OK: Answer = Ok(HResult::S_OK);

/// What a place that has no address says.
const INVALID_OFFSET: u64 = u64::MAX;
/// What an id that is none says: `DEBUG_ANY_ID`.
const ANY_ID: u32 = u32::MAX;

/// There are no process servers: only 0 means a server, this machine.
fn local(server: u64) -> Answer<()> {
    if server == 0 { Ok(()) } else { Err(HResult::E_INVALIDARG) }
}
