//! Why something in a dump could not be read.

use dumpwright_format::minidump::StreamType;
use std::io;

/// Why something in a dump could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The bytes contradict the format.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The bytes could not be had.
    #[error("cannot read {length} bytes at file offset {offset:#x}: {source}")]
    Io {
        /// File offset.
        offset: u64,
        /// Bytes.
        length: u64,
        /// Why.
        source: io::Error,
    },
    /// The dump does not hold this memory.
    #[error("the dump does not hold memory at {address:#x}")]
    NotInDump {
        /// First address that is missing.
        address: u64,
    },
}

/// A place in a dump whose bytes contradict the format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}file offset {offset:#x}: {reason}", stream.map(|s| format!("{s}, ")).unwrap_or_default())]
pub struct Malformed {
    /// The stream it was met in, if it was in one.
    pub stream: Option<StreamType>,
    /// File offset.
    pub offset: u64,
    /// What is wrong.
    pub reason: String,
}

/// Result with [`ReadError`].
pub type ReadResult<T> = Result<T, ReadError>;
