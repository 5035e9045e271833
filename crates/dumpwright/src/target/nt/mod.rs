//! What Windows leaves in a process's memory, read through a [`MemorySource`]:
//! the same whether the process is seen from Windows, or under Wine from Linux.
//!
//! Everything here is the target's own bytes and may be wrong: nothing is
//! believed that would make a reader loop or allocate without bound.

#![forbid(unsafe_code)]

#[cfg(any(windows, test))]
pub(crate) mod debugged;
#[cfg(any(windows, target_os = "linux", test))]
pub(crate) mod environment;
pub(crate) mod exception;
#[cfg(any(windows, target_os = "linux", test))]
pub(crate) mod exports;
#[cfg(any(windows, target_os = "linux", test))]
pub(crate) mod loader;
#[cfg(any(windows, target_os = "linux", test))]
pub(crate) mod module;
#[cfg(any(windows, target_os = "linux", test))]
pub(crate) mod pe;
pub(crate) mod registers;
#[cfg(any(windows, target_os = "linux", test))]
pub(crate) mod unhandled;
#[cfg(any(windows, target_os = "linux", test))]
pub(crate) mod unloaded;
#[cfg(any(windows, target_os = "linux", test))]
pub(crate) mod version;
#[cfg(any(windows, target_os = "linux", test))]
pub(crate) mod wow64;

#[cfg(test)]
pub(crate) mod fake;

use crate::target::MemorySource;
use dumpwright_format::nt::NtOffsets;
#[cfg(any(windows, target_os = "linux", test))]
use dumpwright_format::nt::UnicodeStringHead;
use zerocopy::FromBytes;

/// Reads a wire structure.
pub(crate) fn read<T: FromBytes>(memory: &dyn MemorySource, address: u64) -> Option<T> {
    let mut buf = vec![0; size_of::<T>()];
    if !memory.read_exact(address, &mut buf) {
        return None;
    }
    T::read_from_bytes(&buf).ok()
}

/// Reads an address of the process's own width.
pub(crate) fn read_pointer(
    memory: &dyn MemorySource,
    offsets: &NtOffsets,
    address: u64,
) -> Option<u64> {
    let mut buf = [0; 8];
    memory
        .read_exact(address, &mut buf[..offsets.pointer as usize])
        .then(|| u64::from_le_bytes(buf))
}

/// Reads the text of the `UNICODE_STRING` at `address`.
#[cfg(any(windows, target_os = "linux", test))]
pub(crate) fn read_string(
    memory: &dyn MemorySource,
    offsets: &NtOffsets,
    address: u64,
) -> Option<String> {
    let head: UnicodeStringHead = read(memory, address)?;
    let buffer = read_pointer(memory, offsets, address.checked_add(offsets.string_buffer)?)?;
    let mut bytes = vec![0; usize::from(head.length.get() & !1)];
    memory.read_exact(buffer, &mut bytes).then(|| utf16(&bytes))
}

/// Text from little-endian UTF-16 up to a NUL.
#[cfg(any(windows, target_os = "linux", test))]
pub(crate) fn utf16(bytes: &[u8]) -> String {
    let (units, _) = bytes.as_chunks::<2>();
    let units: Vec<u16> =
        units.iter().map(|unit| u16::from_le_bytes(*unit)).take_while(|unit| *unit != 0).collect();
    String::from_utf16_lossy(&units)
}
