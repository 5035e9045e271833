//! Objects behind another process's handles.

use super::{owned, succeeded};
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};
use windows_sys::Win32::Foundation::{DUPLICATE_SAME_ACCESS, DuplicateHandle, HANDLE};
use windows_sys::Win32::System::Threading::GetCurrentProcess;

/// A handle of our own for the object behind a handle of `process`: with no
/// access where that is allowed, which suffices for type and name.
pub(in super::super) fn duplicate(
    process: BorrowedHandle<'_>,
    handle: u64,
) -> io::Result<OwnedHandle> {
    let copy = |access, options| {
        let mut copy: HANDLE = std::ptr::null_mut();
        // SAFETY: `copy` is writable; the handle that is named is the other
        // process's, and the kernel checks it.
        let result = unsafe {
            DuplicateHandle(
                process.as_raw_handle(),
                handle as HANDLE,
                GetCurrentProcess(),
                &raw mut copy,
                access,
                0,
                options,
            )
        };
        succeeded(result).and_then(|()| owned(copy))
    };
    copy(0, 0).or_else(|_| copy(0, DUPLICATE_SAME_ACCESS))
}
