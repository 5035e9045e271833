//! Kernel-mode crash dumps: headers, the bodies that follow them, and the
//! structures of the kernel that they carry.
//!
//! Layouts are those of the public Windows headers (`DUMP_HEADER32`,
//! `DUMP_HEADER64` and the names of the dump types from the Win32 metadata,
//! `KDDEBUGGER_DATA64` from wdbgexts.h), of kdmp-parser's and Ghidra's
//! descriptions, and of a real small dump of Windows 10; what a field is known
//! from is said with it.
//!
//! Nothing in a header is zero by default: bytes that were never set hold
//! [`FILLER`].

mod bitmap;
mod blob;
mod bug_check;
mod debugger_data;
mod dump_type;
mod header32;
mod header64;
mod rdmp;
mod triage;

pub use bitmap::*;
pub use blob::*;
pub use bug_check::bug_check_name;
pub use debugger_data::*;
pub use dump_type::*;
pub use header32::*;
pub use header64::*;
pub use rdmp::*;
pub use triage::*;

/// What bytes that nothing was stored in hold: the letters `PAGE`.
pub const FILLER: [u8; 4] = *b"PAGE";

/// `DUMP_HEADER*.Signature`: the letters `PAGE`.
pub const SIGNATURE: u32 = u32::from_le_bytes(FILLER);

/// Bytes of a page frame.
pub const PAGE_SIZE: u64 = 4096;

/// Bytes of `Comment` in both headers, the final NUL included
/// (`DMP_HEADER_COMMENT_SIZE`).
pub const COMMENT_SIZE: usize = 128;

/// `DUMP_HEADER*.MachineImageType` of 64-bit x86 (`IMAGE_FILE_MACHINE_AMD64`).
pub const MACHINE_AMD64: u32 = 0x8664;

/// `DUMP_HEADER*.MachineImageType` of 64-bit ARM (`IMAGE_FILE_MACHINE_ARM64`).
pub const MACHINE_ARM64: u32 = 0xAA64;

/// `DUMP_HEADER*.MachineImageType` of 32-bit x86 (`IMAGE_FILE_MACHINE_I386`).
pub const MACHINE_X86: u32 = 0x14C;

/// Fills `bytes` with [`FILLER`], as a header is before anything is stored.
///
/// `bytes` must start at a multiple of four bytes of the file.
pub fn fill(bytes: &mut [u8]) {
    for (byte, filler) in bytes.iter_mut().zip(FILLER.iter().cycle()) {
        *byte = *filler;
    }
}

/// Whether a 32-bit field was never stored.
pub fn is_filler(value: u32) -> bool {
    value == SIGNATURE
}

/// Whether a 64-bit field was never stored.
pub fn is_filler64(value: u64) -> bool {
    value == FILLER64
}

/// [`FILLER`] as a 64-bit field has it.
pub const FILLER64: u64 = (SIGNATURE as u64) << 32 | SIGNATURE as u64;
