//! Secondary data behind a dump: tagged blocks of drivers and of programs
//! (`IoAddSecondaryDumpData`-like callbacks). Names of the structures are those
//! of the Windows SDK, layout and values those of a real small dump.

use crate::wire;
use zerocopy::little_endian::U32;

/// The letters `Dump`.
pub const BLOB_SIGNATURE1: u32 = u32::from_le_bytes(*b"Dump");

/// The letters `Blob`.
pub const BLOB_SIGNATURE2: u32 = u32::from_le_bytes(*b"Blob");

/// Bytes to whose multiples the data of a block is padded.
pub const BLOB_ALIGNMENT: u64 = 8;

wire! {
    /// `DUMP_BLOB_FILE_HEADER`: before the first block.
    pub struct BlobFileHeader [16] {
        /// [`BLOB_SIGNATURE1`].
        pub signature1: U32,
        /// [`BLOB_SIGNATURE2`].
        pub signature2: U32,
        /// Bytes of this structure.
        pub header_size: U32,
        /// `NtBuildNumber`: the build, the high four bits telling a free build
        /// (0xF) from a checked one (0xC).
        pub build_number: U32,
    }

    /// `DUMP_BLOB_HEADER`: before the data of each block.
    pub struct BlobHeader [32] {
        /// Bytes of this structure.
        pub header_size: U32,
        /// `GUID` that says what the data is.
        pub tag: [u8; 16],
        /// Bytes of data.
        pub data_size: U32,
        /// Bytes between this structure and the data.
        pub pre_pad: U32,
        /// Bytes between the data and the next block.
        pub post_pad: U32,
    }
}

/// Tag of a file that dumpwright attached to a dump: the data is a UTF-8 name,
/// NUL, and the file's bytes. As on the wire, where it can be read in a hex dump.
pub const ATTACHED_FILE_TAG: [u8; 16] = *b"dumpwright:file1";

/// Tag of a comment that a header could not hold whole: UTF-8.
pub const FULL_TEXT_TAG: [u8; 16] = *b"dumpwright:text1";

/// Tag of the registers of all processors: JSON.
pub const PROCESSORS_TAG: [u8; 16] = *b"dumpwright:cpus1";

/// Tag of what went wrong while a dump was written: JSON, with spaces behind it.
pub const SOFT_ERRORS_TAG: [u8; 16] = *b"dumpwright:soft1";
