//! How a dump becomes a file: a temporary file that is published in one step,
//! and the cabinet that a dump and the files around it are packed into.
//!
//! Nothing here knows what a dump holds. [`PendingFile`] promises that the
//! final name only ever shows a whole file; [`write_cab`] that what is in the
//! cabinet can be taken out again byte by byte; [`collect_secondary_files`]
//! finds what `DEBUG_FORMAT_CAB_SECONDARY_FILES` puts beside the dump.

mod cab;
mod pending;
mod secondary;

pub use cab::{CabEntry, Need, Packed, cab_check, largest_cab, safe_cab_names, write_cab};
pub use pending::{Overwrite, PendingFile, remove_pending_files};
#[cfg(feature = "fuzzing")]
pub use secondary::links;
pub use secondary::{SecondaryFile, SecondaryFiles, SecondaryScope, collect_secondary_files};
