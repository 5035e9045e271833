//! What a small dump holds: structures and pieces of virtual memory instead of
//! page frames. Made by planning one, or read from one.

use super::{Gva, UnloadedKernelModule};

/// A small dump's contents.
#[derive(Clone, Debug, Default)]
pub struct SmallDump {
    /// `KPRCB` of the current processor.
    pub prcb: Vec<u8>,
    /// `EPROCESS` that it runs.
    pub process: Vec<u8>,
    /// `ETHREAD` that it runs.
    pub thread: Vec<u8>,
    /// Address of the stack's first byte.
    pub stack_start: Gva,
    /// The stack from there to its base.
    pub stack: Vec<u8>,
    /// `KDDEBUGGER_DATA64`.
    pub debugger_data: Vec<u8>,
    /// Drivers.
    pub drivers: Vec<Driver>,
    /// Drivers that were unloaded.
    pub unloaded: Vec<UnloadedKernelModule>,
    /// Pieces of virtual memory, in order and apart.
    pub blocks: Vec<(Gva, Vec<u8>)>,
}

/// A driver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Driver {
    /// Load address.
    pub base: Gva,
    /// Bytes of the image.
    pub size: u32,
    /// Checksum of the image.
    pub check_sum: u32,
    /// Time stamp of the image.
    pub time_date_stamp: u32,
    /// Its full name.
    pub name: String,
}
