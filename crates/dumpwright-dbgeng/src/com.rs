//! Callback objects of the client program: COM objects of others.

use crate::abi::{Guid, Raw};
use crate::platform;
use dumpwright::HResult;
use std::ffi::c_void;

/// The start of every COM object's vtable.
#[repr(C)]
struct Unknown {
    query_interface: unsafe extern "system" fn(*mut c_void, *const Guid, *mut Raw) -> HResult,
    add_ref: unsafe extern "system" fn(*mut c_void) -> u32,
    release: unsafe extern "system" fn(*mut c_void) -> u32,
}

/// `IDebugOutputCallbacks` and `IDebugOutputCallbacksWide` differ in the
/// characters of the text.
#[repr(C)]
struct OutputVtable {
    unknown: Unknown,
    output: unsafe extern "system" fn(*mut c_void, u32, *const c_void) -> HResult,
}

/// A reference to an object of the client program.
#[derive(Debug)]
pub struct Callback(Raw);

// SAFETY: the program promises (documentation of the crate) that callbacks can
// be called and released on every thread that it calls the client from.
unsafe impl Send for Callback {}
// SAFETY: as above; only `clone` and the calls below use it.
unsafe impl Sync for Callback {}

impl Callback {
    /// Takes a reference to what the pointer names; `None` for null.
    pub fn new(object: Raw) -> Option<Callback> {
        if object.is_null() {
            return None;
        }
        let callback = Callback(object);
        callback.add_ref();
        Some(callback)
    }

    /// Another reference, as a pointer for the program.
    pub fn hand_out(&self) -> Raw {
        self.add_ref();
        self.0
    }

    fn add_ref(&self) {
        // SAFETY: the program gave a COM object and it lives as long as the
        // reference that this one was made from.
        unsafe { ((*self.vtable::<Unknown>()).add_ref)(self.0.0) };
    }

    /// The object, as its methods take it.
    pub fn this(&self) -> *mut c_void {
        self.0.0
    }

    /// Its methods.
    pub fn vtable<V>(&self) -> *const V {
        // SAFETY: a COM object begins with the pointer to its vtable.
        unsafe { self.0.0.cast::<*const V>().read_unaligned() }
    }

    /// `IDebugOutputCallbacks::Output`.
    pub fn output(&self, mask: u32, text: &str) {
        let mut bytes = platform::to_narrow(text);
        bytes.retain(|b| *b != 0);
        bytes.push(0);
        self.call_output(mask, bytes.as_ptr().cast());
    }

    /// `IDebugOutputCallbacksWide::Output`.
    pub fn output_wide(&self, mask: u32, text: &str) {
        let units: Vec<u16> = text.encode_utf16().filter(|u| *u != 0).chain([0]).collect();
        self.call_output(mask, units.as_ptr().cast());
    }

    fn call_output(&self, mask: u32, text: *const c_void) {
        // What the callback answers changes nothing: output has no way to fail.
        // SAFETY: the program set an object with this method; the text lives
        // until the call returns.
        let _ = unsafe { ((*self.vtable::<OutputVtable>()).output)(self.0.0, mask, text) };
    }
}

impl Clone for Callback {
    fn clone(&self) -> Self {
        self.add_ref();
        Callback(self.0)
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        // SAFETY: the reference that this value stands for.
        unsafe { ((*self.vtable::<Unknown>()).release)(self.0.0) };
    }
}
