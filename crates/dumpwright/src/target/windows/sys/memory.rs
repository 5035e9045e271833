//! The memory of another process.

use super::text;
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use windows_sys::Win32::System::Diagnostics::Debug::ReadProcessMemory;
use windows_sys::Win32::System::Memory::{MEMORY_BASIC_INFORMATION, VirtualQueryEx};
use windows_sys::Win32::System::ProcessStatus::K32GetMappedFileNameW;

/// Copies memory from `address` on; the count may be short of `out`.
///
/// # Errors
/// Nothing at all could be copied.
pub(in super::super) fn read(
    process: BorrowedHandle<'_>,
    address: u64,
    out: &mut [u8],
) -> io::Result<usize> {
    let mut read = 0;
    // SAFETY: the buffer is writable for as many bytes as are named; what the
    // other address leads to is the kernel's to check.
    let result = unsafe {
        ReadProcessMemory(
            process.as_raw_handle(),
            address as *const _,
            out.as_mut_ptr().cast(),
            out.len(),
            &raw mut read,
        )
    };
    if result == 0 && read == 0 { Err(io::Error::last_os_error()) } else { Ok(read.min(out.len())) }
}

/// What `VirtualQueryEx` says of a range of pages.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct PageRange {
    pub base: u64,
    pub size: u64,
    pub allocation_base: u64,
    pub allocation_protect: u32,
    pub state: u32,
    pub protect: u32,
    pub memory_type: u32,
}

/// The range that `address` is in; `None` past the end of user space.
pub(in super::super) fn query(process: BorrowedHandle<'_>, address: u64) -> Option<PageRange> {
    let mut info = MEMORY_BASIC_INFORMATION::default();
    let size = size_of::<MEMORY_BASIC_INFORMATION>();
    // SAFETY: the structure is writable and has the size that is named.
    let written = unsafe {
        VirtualQueryEx(process.as_raw_handle(), address as *const _, &raw mut info, size)
    };
    (written == size).then_some(PageRange {
        base: info.BaseAddress as u64,
        size: info.RegionSize as u64,
        allocation_base: info.AllocationBase as u64,
        allocation_protect: info.AllocationProtect,
        state: info.State,
        protect: info.Protect,
        memory_type: info.Type,
    })
}

/// The device path of the file that is mapped at `address`.
pub(in super::super) fn mapped_file(process: BorrowedHandle<'_>, address: u64) -> Option<String> {
    let mut name = [0; 1024];
    // SAFETY: the buffer is writable for as many units as are named.
    let len = unsafe {
        K32GetMappedFileNameW(
            process.as_raw_handle(),
            address as *const _,
            name.as_mut_ptr(),
            name.len() as u32,
        )
    };
    (len != 0).then(|| text(&name))
}
