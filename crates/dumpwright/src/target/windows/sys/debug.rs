//! Debug objects: how the kernel tells a debugger of a process.
//!
//! `DebugActiveProcess`, `WaitForDebugEvent` and their company are made of these calls,
//! which ntdll exports since Windows XP. Those tie a process to the thread that called
//! them, start a thread in the process to break in, and end the process with its debugger
//! until that is switched off. None of this is wanted of one who only watches.

use super::{owned, status_error};
use dumpwright_format::debug_event::StateChange;
use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle};
use std::time::Duration;
use windows_sys::Wdk::Foundation::OBJECT_ATTRIBUTES;
use windows_sys::Win32::Foundation::{
    DBG_CONTINUE, DBG_EXCEPTION_NOT_HANDLED, HANDLE, NTSTATUS, STATUS_SUCCESS,
};
use zerocopy::{FromBytes, IntoBytes};

/// `DEBUG_ALL_ACCESS`
const ALL_ACCESS: u32 = 0x1F_000F;
/// Without `DEBUG_KILL_ON_CLOSE`: what is attached to when it is closed goes on.
const NO_FLAGS: u32 = 0;

#[link(name = "ntdll")]
unsafe extern "system" {
    fn NtCreateDebugObject(
        object: *mut HANDLE,
        access: u32,
        attributes: *const OBJECT_ATTRIBUTES,
        flags: u32,
    ) -> NTSTATUS;
    fn NtDebugActiveProcess(process: HANDLE, object: HANDLE) -> NTSTATUS;
    fn NtRemoveProcessDebug(process: HANDLE, object: HANDLE) -> NTSTATUS;
    fn NtWaitForDebugEvent(
        object: HANDLE,
        alertable: u8,
        timeout: *const i64,
        change: *mut c_void,
    ) -> NTSTATUS;
    fn NtDebugContinue(object: HANDLE, client: *const [u64; 2], status: NTSTATUS) -> NTSTATUS;
}

/// A debugger. Whatever it debugs goes on when it is dropped, or when this program
/// ends.
#[derive(Debug)]
pub(in super::super) struct DebugObject(OwnedHandle);

impl DebugObject {
    /// One that debugs nothing yet.
    pub(in super::super) fn new() -> io::Result<DebugObject> {
        let attributes = OBJECT_ATTRIBUTES {
            Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
            ..OBJECT_ATTRIBUTES::default()
        };
        let mut object: HANDLE = std::ptr::null_mut();
        // SAFETY: the attributes name nothing, and the result is writable.
        let status = unsafe {
            NtCreateDebugObject(&raw mut object, ALL_ACCESS, &raw const attributes, NO_FLAGS)
        };
        done(status)?;
        owned(object).map(DebugObject)
    }

    /// Becomes the debugger of a process.
    pub(in super::super) fn attach(&self, process: BorrowedHandle<'_>) -> io::Result<()> {
        // SAFETY: both handles live, and are of the kinds that are meant.
        done(unsafe { NtDebugActiveProcess(process.as_raw_handle(), self.raw()) })
    }

    /// Is no longer its debugger; what it stands still for is let go.
    pub(in super::super) fn detach(&self, process: BorrowedHandle<'_>) -> io::Result<()> {
        // SAFETY: as above.
        done(unsafe { NtRemoveProcessDebug(process.as_raw_handle(), self.raw()) })
    }

    /// What happened, or `None` if nothing did for so long. The handles in it are the
    /// caller's to close.
    pub(in super::super) fn wait(&self, patience: Duration) -> io::Result<Option<StateChange>> {
        /// Words of a `StateChange`, which is written to an address of its alignment.
        const WORDS: usize = size_of::<StateChange>() / 8;
        let mut change = [0_u64; WORDS];
        // Units of 100 ns; negative for a span of time.
        let timeout = -(i64::try_from(patience.as_nanos() / 100).unwrap_or(i64::MAX));
        // SAFETY: the buffer is as large as the structure, and lives until the call is over.
        let status = unsafe {
            NtWaitForDebugEvent(self.raw(), 0, &raw const timeout, change.as_mut_ptr().cast())
        };
        done(status)?;
        // It has also run out with one of the other successes.
        let came = status == STATUS_SUCCESS;
        Ok(came.then(|| StateChange::read_from_bytes(change.as_bytes()).ok()).flatten())
    }

    /// Lets the thread that an event was of go on; an exception is handled or not.
    pub(in super::super) fn go_on(&self, client: [u64; 2], handled: bool) -> io::Result<()> {
        let status = if handled { DBG_CONTINUE } else { DBG_EXCEPTION_NOT_HANDLED };
        // SAFETY: the ids are readable.
        done(unsafe { NtDebugContinue(self.raw(), &raw const client, status) })
    }

    fn raw(&self) -> HANDLE {
        self.0.as_handle().as_raw_handle()
    }
}

/// Closes handles that came with an event.
pub(in super::super) fn close(handles: &[u64]) {
    for handle in handles {
        // The kernel has put it among those of this process, and told nobody else.
        drop(owned(*handle as HANDLE));
    }
}

fn done(status: NTSTATUS) -> io::Result<()> {
    if status < 0 { Err(status_error(status)) } else { Ok(()) }
}
