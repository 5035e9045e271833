//! Memory that this process shares with one that it starts.

use super::{inherited, owned, succeeded};
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, OwnedHandle};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;
use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::Security::SECURITY_ATTRIBUTES;
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, FILE_MAP_WRITE, MEMORY_MAPPED_VIEW_ADDRESS, MapViewOfFile, PAGE_READWRITE,
    UnmapViewOfFile,
};

/// Words that two processes see, zero at first.
#[derive(Debug)]
pub(in super::super) struct SharedWords {
    section: OwnedHandle,
    view: NonNull<AtomicU64>,
    count: usize,
}

// SAFETY: the view is this process's until it is dropped, and atomics alone.
unsafe impl Send for SharedWords {}
// SAFETY: as above.
unsafe impl Sync for SharedWords {}

impl SharedWords {
    /// New ones, whose handle the processes that are started from here on inherit.
    pub fn create(count: usize) -> io::Result<SharedWords> {
        let inherit = SECURITY_ATTRIBUTES {
            nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
            lpSecurityDescriptor: std::ptr::null_mut(),
            bInheritHandle: 1,
        };
        let bytes = size_of::<AtomicU64>() as u64 * count as u64;
        // SAFETY: the attributes are readable, and no file is named.
        let section = owned(unsafe {
            CreateFileMappingW(
                INVALID_HANDLE_VALUE,
                &raw const inherit,
                PAGE_READWRITE,
                (bytes >> 32) as u32,
                bytes as u32,
                std::ptr::null(),
            )
        })?;
        SharedWords::open(section, count)
    }

    /// Those of a section that another process made for as many words.
    ///
    /// # Errors
    /// It is none, or has fewer.
    pub fn open(section: OwnedHandle, count: usize) -> io::Result<SharedWords> {
        // SAFETY: takes a handle and numbers; the size is checked by the kernel.
        let view = unsafe {
            MapViewOfFile(
                section.as_raw_handle(),
                FILE_MAP_WRITE,
                0,
                0,
                size_of::<AtomicU64>() * count,
            )
        };
        let view = NonNull::new(view.Value.cast()).ok_or_else(io::Error::last_os_error)?;
        Ok(SharedWords { section, view, count })
    }

    /// The words.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the view has as many words, is aligned to pages, and stays until
        // `self` is dropped; any bytes are a word.
        unsafe { std::slice::from_raw_parts(self.view.as_ptr(), self.count) }
    }

    /// What the section's handle is called.
    pub fn handle(&self) -> u64 {
        inherited::number(self.section.as_handle())
    }
}

impl Drop for SharedWords {
    fn drop(&mut self) {
        let view = MEMORY_MAPPED_VIEW_ADDRESS { Value: self.view.as_ptr().cast() };
        // SAFETY: it was mapped by `open`, and nothing borrows it any more.
        if let Err(error) = succeeded(unsafe { UnmapViewOfFile(view) }) {
            tracing::debug!(%error, "a view was not unmapped");
        }
    }
}
