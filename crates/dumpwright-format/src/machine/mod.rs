//! What the memory of a machine is kept in besides kernel dumps, and what
//! stands in the memory of a Windows guest.

pub mod kdump;
pub mod lime;
pub mod qemu;
pub mod windows;
