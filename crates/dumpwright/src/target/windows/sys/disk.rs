//! Free space, as Windows tells it.

use super::succeeded;
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::path::Path;
use windows_sys::Win32::Storage::FileSystem::GetDiskFreeSpaceExW;

/// Bytes that this user may still write into `folder`: quotas count.
pub(crate) fn free_space(folder: &Path) -> io::Result<u64> {
    // The call wants the root of a share with its backslash.
    let path: Vec<u16> = folder.join("").as_os_str().encode_wide().chain([0]).collect();
    let mut available = 0;
    // SAFETY: the path has a NUL, and what is not asked for may be null.
    succeeded(unsafe {
        GetDiskFreeSpaceExW(
            path.as_ptr(),
            &raw mut available,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        )
    })?;
    Ok(available)
}
