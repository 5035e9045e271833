//! The functions that the library exports.

use crate::abi::{Guid, Raw, Str, Text, Wide};
use crate::object::{Client, hand_out, is_client_interface};
use crate::session::ClientState;
use dumpwright::HResult;
use std::panic::catch_unwind;

/// Creates a client: the start of every program that uses dbgeng.
///
/// Answers `E_POINTER` for null and `E_NOINTERFACE` for an interface that the
/// client has not.
///
/// # Safety
/// `iid` is null or points to a GUID, `interface` is null or points to room for
/// a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn DebugCreate(iid: *const Guid, interface: *mut Raw) -> HResult {
    if interface.is_null() {
        return HResult::E_POINTER;
    }
    // SAFETY: not null, so it points to room for a pointer.
    unsafe { interface.write_unaligned(Raw::NULL) };
    if iid.is_null() {
        return HResult::E_POINTER;
    }
    // SAFETY: not null, so it points to a GUID.
    if !is_client_interface(&unsafe { iid.read_unaligned() }) {
        return HResult::E_NOINTERFACE;
    }
    match catch_unwind(|| Client::create(ClientState::new())) {
        // SAFETY: it was just created.
        Ok(object) => unsafe { hand_out(object, iid, interface) },
        Err(_) => HResult::E_FAIL,
    }
}

/// As [`DebugCreate`]. Newer engines take options here; of them only 0 is known.
///
/// # Safety
/// As [`DebugCreate`].
#[unsafe(no_mangle)]
pub unsafe extern "system" fn DebugCreateEx(
    iid: *const Guid,
    options: u32,
    interface: *mut Raw,
) -> HResult {
    if options != 0 {
        if !interface.is_null() {
            // SAFETY: not null, so it points to room for a pointer.
            unsafe { interface.write_unaligned(Raw::NULL) };
        }
        return HResult::E_INVALIDARG;
    }
    // SAFETY: as the caller promises.
    unsafe { DebugCreate(iid, interface) }
}

/// Answers `E_NOTIMPL`: there are no debugging servers to connect to.
///
/// # Safety
/// As [`DebugCreate`]; `remote_options` is null or a string.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn DebugConnect(
    remote_options: Str,
    iid: *const Guid,
    interface: *mut Raw,
) -> HResult {
    // SAFETY: as the caller promises.
    unsafe { connect(remote_options, iid, interface) }
}

/// Answers `E_NOTIMPL`: there are no debugging servers to connect to.
///
/// # Safety
/// As [`DebugConnect`].
#[unsafe(no_mangle)]
pub unsafe extern "system" fn DebugConnectWide(
    remote_options: Wide,
    iid: *const Guid,
    interface: *mut Raw,
) -> HResult {
    // SAFETY: as the caller promises.
    unsafe { connect(remote_options, iid, interface) }
}

unsafe fn connect(options: impl Text, iid: *const Guid, interface: *mut Raw) -> HResult {
    if interface.is_null() {
        return HResult::E_POINTER;
    }
    // SAFETY: not null, so it points to room for a pointer.
    unsafe { interface.write_unaligned(Raw::NULL) };
    match options.text() {
        Ok(Some(_)) if !iid.is_null() => HResult::E_NOTIMPL,
        Ok(_) => HResult::E_POINTER,
        Err(code) => code,
    }
}
