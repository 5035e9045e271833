//! Objects behind another process's handles.

use super::system::ntdll_function;
use super::{owned, status_error, succeeded};
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};
use windows_sys::Win32::Foundation::{DUPLICATE_SAME_ACCESS, DuplicateHandle, HANDLE, NTSTATUS};
use windows_sys::Win32::System::Threading::GetCurrentProcess;

/// A handle of our own for the object behind a handle of `process`: with no
/// access where that is allowed, which suffices for type and name.
pub(in super::super) fn duplicate(
    process: BorrowedHandle<'_>,
    handle: u64,
) -> io::Result<OwnedHandle> {
    copy(process, handle, 0, 0).or_else(|_| copy(process, handle, 0, DUPLICATE_SAME_ACCESS))
}

/// The same with the access that asking for its state takes: `EVENT_QUERY_STATE`,
/// `MUTANT_QUERY_STATE` and `SEMAPHORE_QUERY_STATE` are one bit.
pub(in super::super) fn duplicate_to_query(
    process: BorrowedHandle<'_>,
    handle: u64,
) -> io::Result<OwnedHandle> {
    const QUERY_STATE: u32 = 0x1;
    copy(process, handle, QUERY_STATE, 0)
}

fn copy(
    process: BorrowedHandle<'_>,
    handle: u64,
    access: u32,
    options: u32,
) -> io::Result<OwnedHandle> {
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
}

/// The calls of ntdll that tell the state of an object.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum StateQuery {
    /// `NtQueryEvent`
    Event,
    /// `NtQueryMutant`
    Mutant,
    /// `NtQuerySemaphore`
    Semaphore,
}

/// An object's state, as the structure of `class` has it.
pub(in super::super) fn state<const WORDS: usize>(
    object: BorrowedHandle<'_>,
    query: StateQuery,
    class: u32,
) -> io::Result<[u32; WORDS]> {
    type Query = unsafe extern "system" fn(HANDLE, u32, *mut u32, u32, *mut u32) -> NTSTATUS;
    let name = match query {
        StateQuery::Event => c"NtQueryEvent",
        StateQuery::Mutant => c"NtQueryMutant",
        StateQuery::Semaphore => c"NtQuerySemaphore",
    };
    let function = ntdll_function(name).ok_or(io::ErrorKind::Unsupported)?;
    // SAFETY: the signature of all three, as winternl.h has it.
    let function: Query = unsafe { std::mem::transmute(function) };
    let mut words = [0; WORDS];
    // SAFETY: the buffer is writable for as many bytes as are named.
    let status = unsafe {
        function(
            object.as_raw_handle(),
            class,
            words.as_mut_ptr(),
            size_of_val(&words) as u32,
            std::ptr::null_mut(),
        )
    };
    if status < 0 { Err(status_error(status)) } else { Ok(words) }
}
