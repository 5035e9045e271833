//! The Microsoft cabinet format (`[MS-CAB]`): its structures and its limits.
//!
//! A cabinet is a [`Header`], one [`Folder`] for each folder, one [`FileEntry`]
//! with its NUL-terminated name for each file, and the [`DataBlock`]s, each
//! followed by its compressed bytes. A folder is one compressed stream.

use crate::wire;
use zerocopy::little_endian::{U16, U32};

/// `CFHEADER.signature`: the bytes `MSCF`.
pub const SIGNATURE: u32 = 0x4643_534D;

/// `CFHEADER.versionMajor` and `versionMinor`, the only version there is: 1.3.
pub const VERSION: (u8, u8) = (1, 3);

/// `CFHEADER.flags`: `cfhdrPREV_CABINET`, the names of the cabinet before and its
/// disk follow.
pub const FLAG_PREVIOUS_CABINET: u16 = 1;

/// `CFHEADER.flags`: `cfhdrNEXT_CABINET`, the names of the next cabinet and its
/// disk follow.
pub const FLAG_NEXT_CABINET: u16 = 2;

/// `CFHEADER.flags`: `cfhdrRESERVE_PRESENT`, [`ReserveSizes`] follow.
pub const FLAG_RESERVE_PRESENT: u16 = 4;

/// The bits of `CFFOLDER.typeCompress` that say how: `tcompMASK_TYPE`.
pub const COMPRESSION_MASK: u16 = 0xF;

/// `CFFOLDER.typeCompress`: `tcompTYPE_NONE`.
pub const COMPRESSION_NONE: u16 = 0;

/// `CFFOLDER.typeCompress`: `tcompTYPE_LZX`. Bits 8 to 12 are the power of two
/// that the window has.
pub const COMPRESSION_LZX: u16 = 3;

/// `CFFOLDER.typeCompress`: `tcompTYPE_MSZIP`.
pub const COMPRESSION_MSZIP: u16 = 1;

/// The bytes `CK`, with which each MSZIP block starts.
pub const MSZIP_SIGNATURE: u16 = 0x4B43;

/// `CFFILE.attribs`: `_A_ARCH`, changed since the last backup.
pub const ATTRIBUTE_ARCHIVE: u16 = 0x20;

/// `CFFILE.attribs`: `_A_NAME_IS_UTF`, the name is UTF-8.
pub const ATTRIBUTE_NAME_IS_UTF8: u16 = 0x80;

wire! {
    /// `CFHEADER` of a cabinet that stands alone and has no reserved areas.
    pub struct Header [36] {
        /// [`SIGNATURE`].
        pub signature: U32,
        /// 0.
        pub reserved1: U32,
        /// Bytes of the whole cabinet.
        pub cabinet_size: U32,
        /// 0.
        pub reserved2: U32,
        /// Where the first [`FileEntry`] starts.
        pub files_offset: U32,
        /// 0.
        pub reserved3: U32,
        /// 3.
        pub version_minor: u8,
        /// 1.
        pub version_major: u8,
        /// Folders.
        pub folders: U16,
        /// Files.
        pub files: U16,
        /// 0: no previous or next cabinet, no reserved areas.
        pub flags: U16,
        /// The same for all cabinets of a set.
        pub set_id: U16,
        /// Place of the cabinet in its set.
        pub cabinet_index: U16,
    }

    /// What follows a [`Header`] with [`FLAG_RESERVE_PRESENT`], and is itself
    /// followed by the header's area.
    pub struct ReserveSizes [4] {
        /// Bytes of the header's area.
        pub header: U16,
        /// Bytes behind each [`Folder`].
        pub folder: u8,
        /// Bytes behind each [`DataBlock`].
        pub data: u8,
    }

    /// `CFFOLDER`: a run of data blocks.
    pub struct Folder [8] {
        /// Where the first [`DataBlock`] starts.
        pub data_offset: U32,
        /// Data blocks.
        pub blocks: U16,
        /// `COMPRESSION_*`
        pub compression: U16,
    }

    /// `CFFILE`, followed by the NUL-terminated name.
    pub struct FileEntry [16] {
        /// Bytes of the file.
        pub size: U32,
        /// Where it starts in the uncompressed folder.
        pub folder_offset: U32,
        /// Index of the folder.
        pub folder: U16,
        /// Date of the last change: 7 bits of years since 1980, 4 bits of the
        /// month, 5 bits of the day.
        pub date: U16,
        /// Time of the last change: 5 bits of hours, 6 bits of minutes, 5 bits
        /// of seconds halved.
        pub time: U16,
        /// `ATTRIBUTE_*`.
        pub attributes: U16,
    }

    /// `CFDATA`, followed by the compressed bytes.
    pub struct DataBlock [8] {
        /// Over the rest of this structure and the bytes; 0 for none.
        pub checksum: U32,
        /// Compressed bytes that follow.
        pub compressed: U16,
        /// Bytes that come out: [`BLOCK_SIZE`] except for the last block of a
        /// folder.
        pub uncompressed: U16,
    }
}

/// The checksum of `[MS-CAB]`: words exclusive-ored, and what is left at the end
/// as one number with its first byte on top. A block's is that of its head behind
/// the checksum, its reserved area and its bytes, each by itself, exclusive-ored.
pub fn checksum(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks();
    let rest = rest.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
    words.iter().fold(rest, |sum, word| sum ^ u32::from_le_bytes(*word))
}

/// Uncompressed bytes in one MSZIP data block (`CFDATA`).
pub const BLOCK_SIZE: u64 = 0x8000;

/// Data blocks that one folder can hold (`CFFOLDER.cCFData` is 16 bits wide).
pub const MAX_BLOCKS_PER_FOLDER: u64 = 0xFFFF;

/// The size at which a file no longer fits: 65,535 blocks of 32 KiB. A file in
/// a cabinet must be *smaller* than this.
pub const FILE_SIZE_LIMIT: u64 = MAX_BLOCKS_PER_FOLDER * BLOCK_SIZE;

/// Bytes in a whole cabinet (`CFHEADER.cbCabinet` is 32 bits wide).
pub const MAX_CABINET_SIZE: u64 = 0xFFFF_FFFF;

/// Bytes in a cabinet that Windows' own code takes: its offsets are signed
/// (`CB_MAX_DISK`, fdi.h).
pub const MAX_CABINET_SIZE_WINDOWS: u64 = 0x7FFF_FFFF;

/// Files in a cabinet (`CFHEADER.cFiles` is 16 bits wide).
pub const MAX_FILES: usize = 0xFFFF;

/// The longest name of a file in a cabinet, in bytes, without the final NUL.
pub const MAX_NAME: usize = 255;
