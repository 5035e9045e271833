//! Whether a minidump, by whoever wrote it, is sound.
//!
//! [`verify`] holds a dump against the format (everything it refers to is there
//! and has the size that it states) and against itself (stacks hold their stack
//! pointers, ids are known, ranges do not overlap, flags are true). It changes
//! nothing, and answers for any bytes in time and memory that the file's length
//! bounds.
//!
//! A [`Severity::Error`] is a place where a reader goes wrong or is told
//! something untrue; a [`Severity::Warning`] is one where careful readers
//! manage, and known writers are known to do it.

#![forbid(unsafe_code)]

mod contents;
mod context;
mod directory;
mod flags;
mod handles;
mod kernel;
mod lists;
mod memory;
mod modules;
mod report;
mod text;
mod threads;

#[cfg(test)]
mod robustness;
#[cfg(test)]
mod tests;

pub use kernel::verify_kernel;
pub use report::{Fault, Severity};

use crate::read::Minidump;
use report::Report;

/// The faults of a dump, in the order of the checks; none if it is sound.
///
/// A dump with many faults of one stream has the first of them listed and the
/// others counted in a last one.
pub fn verify(dump: &Minidump) -> Vec<Fault> {
    let mut report = Report::new(dump);
    directory::check(&mut report);
    lists::check(&mut report);
    let contents = contents::Contents::decode(&mut report);
    contents.check_system(&mut report);
    threads::check(&mut report, &contents);
    modules::check(&mut report, &contents);
    memory::check(&mut report, &contents);
    handles::check(&mut report, &contents);
    text::check(&mut report);
    flags::check(&mut report, &contents);
    report.finish()
}
