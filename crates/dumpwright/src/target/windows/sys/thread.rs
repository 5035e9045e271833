//! Threads: suspending them, their registers and what they are.

use super::process::ticks;
use super::{owned, succeeded};
use crate::target::FileTime;
use dumpwright_format::context::amd64::{CONTEXT_ALL, CONTEXT_XSTATE, ContextAmd64};
use dumpwright_format::context::x86::ContextX86;
use dumpwright_format::context::xstate::ContextEx;
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};
use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::Diagnostics::Debug::{
    CONTEXT, GetEnabledXStateFeatures, GetThreadContext, InitializeContext, SetXStateFeaturesMask,
    WOW64_CONTEXT_ALL, Wow64GetThreadContext,
};
use windows_sys::Win32::System::Threading::{
    GetThreadPriority, GetThreadTimes, OpenThread, ResumeThread, SuspendThread,
    THREAD_ACCESS_RIGHTS,
};
use zerocopy::{FromBytes, IntoBytes};

/// `THREAD_PRIORITY_ERROR_RETURN`, winbase.h.
const PRIORITY_UNKNOWN: i32 = i32::MAX;
/// Where `ContextFlags` is in the x86-64 `CONTEXT`.
const FLAGS_AT: usize = std::mem::offset_of!(ContextAmd64, context_flags);

/// Opens a thread.
pub(in super::super) fn open(tid: u32, access: THREAD_ACCESS_RIGHTS) -> io::Result<OwnedHandle> {
    // SAFETY: takes numbers and returns a handle that is ours.
    owned(unsafe { OpenThread(access, 0, tid) })
}

/// Suspends a thread once more; how often it was suspended before.
pub(in super::super) fn suspend(thread: BorrowedHandle<'_>) -> io::Result<u32> {
    // SAFETY: the handle is a thread's, and not one of this process, whose
    // locks it could hold.
    match unsafe { SuspendThread(thread.as_raw_handle()) } {
        u32::MAX => Err(io::Error::last_os_error()),
        count => Ok(count),
    }
}

/// Takes one suspension back.
pub(in super::super) fn resume(thread: BorrowedHandle<'_>) -> io::Result<()> {
    // SAFETY: the handle is a thread's.
    match unsafe { ResumeThread(thread.as_raw_handle()) } {
        u32::MAX => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// The `CONTEXT` of a suspended thread, debug registers included.
pub(in super::super) fn context(thread: BorrowedHandle<'_>) -> io::Result<Vec<u8>> {
    // Words of 16 bytes, which is the alignment that the call wants.
    let mut buffer = [0_u128; size_of::<ContextAmd64>() / 16];
    buffer.as_mut_bytes()[FLAGS_AT..FLAGS_AT + 4].copy_from_slice(&CONTEXT_ALL.to_le_bytes());
    // SAFETY: the buffer is as large as a CONTEXT and aligned as one.
    succeeded(unsafe { GetThreadContext(thread.as_raw_handle(), buffer.as_mut_ptr().cast()) })?;
    Ok(buffer.as_bytes().to_vec())
}

/// The same with all extended state that the system has switched on behind it,
/// as `CONTEXT_EX` describes it.
pub(in super::super) fn extended_context(thread: BorrowedHandle<'_>) -> io::Result<Vec<u8>> {
    let flags = CONTEXT_ALL | CONTEXT_XSTATE;
    let mut len = 0;
    let mut context: *mut CONTEXT = std::ptr::null_mut();
    // SAFETY: without a buffer the call only tells the length.
    unsafe { InitializeContext(std::ptr::null_mut(), flags, &raw mut context, &raw mut len) };
    let mut buffer = vec![0_u128; (len as usize).div_ceil(16)];
    let start = buffer.as_mut_ptr();
    // SAFETY: the buffer is writable for `len` bytes.
    succeeded(unsafe { InitializeContext(start.cast(), flags, &raw mut context, &raw mut len) })?;
    // SAFETY: `context` was made inside of the buffer, with room for extended
    // state, and the buffer lives.
    succeeded(unsafe { SetXStateFeaturesMask(context, GetEnabledXStateFeatures()) })?;
    // SAFETY: as above.
    succeeded(unsafe { GetThreadContext(thread.as_raw_handle(), context) })?;
    let bytes = buffer.as_bytes();
    let at = context as usize - start as usize;
    whole(bytes.get(at..).unwrap_or_default())
        .ok_or_else(|| io::Error::other("the extended context does not say how long it is"))
}

/// A context up to the end that its `CONTEXT_EX` says.
fn whole(bytes: &[u8]) -> Option<Vec<u8>> {
    let (ex, _) = ContextEx::read_from_prefix(bytes.get(size_of::<ContextAmd64>()..)?).ok()?;
    let start = size_of::<ContextAmd64>() as i64 + i64::from(ex.all.offset.get());
    let len = ex.all.length.get() as usize;
    (start == 0).then(|| bytes.get(..len)).flatten().map(<[u8]>::to_vec)
}

/// The 32-bit `CONTEXT` of a suspended thread of a WOW64 process.
pub(in super::super) fn wow64_context(thread: BorrowedHandle<'_>) -> io::Result<Vec<u8>> {
    let mut buffer = [0_u32; size_of::<ContextX86>() / 4];
    buffer[0] = WOW64_CONTEXT_ALL;
    // SAFETY: the buffer is as large as a WOW64_CONTEXT and aligned as one.
    succeeded(unsafe {
        Wow64GetThreadContext(thread.as_raw_handle(), buffer.as_mut_ptr().cast())
    })?;
    Ok(buffer.as_bytes().to_vec())
}

/// Creation, kernel time and user time in 100 ns units.
pub(in super::super) fn times(thread: BorrowedHandle<'_>) -> io::Result<(FileTime, u64, u64)> {
    let mut times = [FILETIME::default(); 4];
    let [created, exited, kernel, user] = &mut times;
    // SAFETY: the handle is a thread's, and all four are writable.
    succeeded(unsafe { GetThreadTimes(thread.as_raw_handle(), created, exited, kernel, user) })?;
    Ok((FileTime(ticks(*created)), ticks(*kernel), ticks(*user)))
}

/// Its priority, relative to its process's class.
pub(in super::super) fn priority(thread: BorrowedHandle<'_>) -> Option<i32> {
    // SAFETY: the handle is a thread's.
    let priority = unsafe { GetThreadPriority(thread.as_raw_handle()) };
    (priority != PRIORITY_UNKNOWN).then_some(priority)
}
