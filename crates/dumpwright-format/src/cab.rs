//! Limits of the Microsoft cabinet format (`[MS-CAB]`).

/// Uncompressed bytes in one MSZIP data block (`CFDATA`).
pub const BLOCK_SIZE: u64 = 0x8000;

/// Data blocks that one folder can hold (`CFFOLDER.cCFData` is 16 bits wide).
pub const MAX_BLOCKS_PER_FOLDER: u64 = 0xFFFF;

/// The size at which a file no longer fits: 65,535 blocks of 32 KiB. A file in
/// a cabinet must be *smaller* than this.
pub const FILE_SIZE_LIMIT: u64 = MAX_BLOCKS_PER_FOLDER * BLOCK_SIZE;

/// Bytes in a whole cabinet (`CFHEADER.cbCabinet` is 32 bits wide).
pub const MAX_CABINET_SIZE: u64 = 0xFFFF_FFFF;

/// Files in a cabinet (`CFHEADER.cFiles` is 16 bits wide).
pub const MAX_FILES: usize = 0xFFFF;

/// The longest name of a file in a cabinet, in bytes, without the final NUL.
pub const MAX_NAME: usize = 255;
