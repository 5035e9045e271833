//! The COM object: one client with a face for each family of interfaces.
//!
//! An interface pointer is the address of one of the object's vtable pointers;
//! the number of the face tells how far the object's start is from it. The
//! object lives until its last reference is released, and one more is held
//! while a method runs, so that a callback that releases its client does not
//! pull it away.

use crate::abi::{Answer, Guid, Raw};
use crate::fault::{self, Place};
use crate::interfaces::{self, FAMILIES};
use crate::session::{ClientState, mask};
use dumpwright::HResult;
use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering, fence};

/// `IUnknown`.
pub const IID_UNKNOWN: Guid = Guid::from_u128(0x00000000_0000_0000_c000_000000000046);

/// Methods of `IUnknown`.
#[repr(C)]
pub struct UnknownVtable {
    query_interface: unsafe extern "system" fn(Raw, *const Guid, *mut Raw) -> HResult,
    add_ref: unsafe extern "system" fn(Raw) -> u32,
    release: unsafe extern "system" fn(Raw) -> u32,
}

/// The methods of `IUnknown` of a face.
pub const fn unknown_vtable<const FACE: usize>() -> UnknownVtable {
    UnknownVtable {
        query_interface: query_interface::<FACE>,
        add_ref: add_ref::<FACE>,
        release: release::<FACE>,
    }
}

/// A pointer to a vtable.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Face(*const c_void);

// SAFETY: vtables are immutable statics.
unsafe impl Send for Face {}
// SAFETY: as above.
unsafe impl Sync for Face {}

/// A client.
#[repr(C)]
pub struct Client {
    faces: [Face; FAMILIES.len()],
    references: AtomicU32,
    /// What it has and shares; without the object itself, so that the session
    /// can know of it.
    pub state: Arc<ClientState>,
}

impl Client {
    /// Makes an object with one reference, and answers its client face.
    pub fn create(state: Arc<ClientState>) -> Raw {
        let client = Box::new(Client {
            faces: [
                Face((&raw const interfaces::client::VTABLE).cast()),
                Face((&raw const interfaces::control::VTABLE).cast()),
                Face((&raw const interfaces::data_spaces::VTABLE).cast()),
                Face((&raw const interfaces::symbols::VTABLE).cast()),
                Face((&raw const interfaces::system_objects::VTABLE).cast()),
            ],
            references: AtomicU32::new(1),
            state,
        });
        Raw(Box::into_raw(client).cast())
    }

    /// The object of an interface pointer.
    ///
    /// # Safety
    /// `this` is null or the given face of an object that lives.
    unsafe fn of(this: Raw, face: usize) -> *mut Client {
        if this.is_null() {
            return std::ptr::null_mut();
        }
        // SAFETY: the face stands `face` pointers behind the object's start.
        unsafe { this.0.cast::<Face>().sub(face).cast() }
    }

    fn face(this: *mut Client, face: usize) -> Raw {
        // The first field is the array of faces.
        Raw(this.cast::<Face>().wrapping_add(face).cast())
    }
}

/// The face that has an interface.
fn face_of(iid: &Guid) -> Option<usize> {
    if *iid == IID_UNKNOWN {
        return Some(0);
    }
    FAMILIES.iter().position(|family| family.iter().any(|i| i.iid == *iid))
}

/// Whether an id is that of an interface of the client's own face, with which
/// `DebugCreate` can be asked.
pub fn is_client_interface(iid: &Guid) -> bool {
    face_of(iid).is_some()
}

unsafe extern "system" fn query_interface<const FACE: usize>(
    this: Raw,
    iid: *const Guid,
    interface: *mut Raw,
) -> HResult {
    if interface.is_null() {
        return HResult::E_POINTER;
    }
    // SAFETY: the caller passes this face of a living object.
    let client = unsafe { Client::of(this, FACE) };
    let answer = if client.is_null() || iid.is_null() {
        Err(HResult::E_POINTER)
    } else {
        // SAFETY: not null, so it points to a GUID.
        let iid = unsafe { iid.read_unaligned() };
        face_of(&iid).ok_or(HResult::E_NOINTERFACE)
    };
    let (result, face) = match answer {
        Ok(face) => {
            // SAFETY: the object lives.
            unsafe { (*client).references.fetch_add(1, Ordering::Relaxed) };
            (HResult::S_OK, Client::face(client, face))
        }
        Err(error) => (error, Raw::NULL),
    };
    // SAFETY: not null, so it points to room for a pointer.
    unsafe { interface.write_unaligned(face) };
    result
}

unsafe extern "system" fn add_ref<const FACE: usize>(this: Raw) -> u32 {
    // SAFETY: the caller passes this face of a living object.
    let client = unsafe { Client::of(this, FACE) };
    if client.is_null() {
        return 0;
    }
    // SAFETY: the object lives.
    unsafe { (*client).references.fetch_add(1, Ordering::Relaxed) + 1 }
}

unsafe extern "system" fn release<const FACE: usize>(this: Raw) -> u32 {
    // SAFETY: the caller passes this face of a living object.
    let client = unsafe { Client::of(this, FACE) };
    if client.is_null() {
        return 0;
    }
    // SAFETY: the caller's reference keeps it alive until here.
    unsafe { give_back(client) }
}

/// Gives a reference back.
///
/// # Safety
/// The caller has a reference, and does not use the object afterwards.
unsafe fn give_back(client: *mut Client) -> u32 {
    // SAFETY: the caller's reference keeps it alive.
    let left = unsafe { (*client).references.fetch_sub(1, Ordering::Release) } - 1;
    if left == 0 {
        fence(Ordering::Acquire);
        // SAFETY: it came from a box and nobody has it any more.
        let client = unsafe { Box::from_raw(client) };
        // What the client holds (callbacks, targets) is ended by foreign code
        // too; a panic stays here.
        let _ = catch_unwind(AssertUnwindSafe(move || {
            fault::point(Place::LastRelease);
            drop(client);
        }));
    }
    left
}

/// Carries a method out.
///
/// # Safety
/// `this` is null or the given face of an object that lives.
pub unsafe fn enter(this: Raw, face: usize, method: impl FnOnce(&Client) -> Answer) -> HResult {
    // SAFETY: as the caller promises.
    let client = unsafe { Client::of(this, face) };
    if client.is_null() {
        return HResult::E_POINTER;
    }
    // SAFETY: the object lives, and lives on until the reference is given back.
    let shared = unsafe { &*client };
    shared.references.fetch_add(1, Ordering::Relaxed);
    let answer = catch_unwind(AssertUnwindSafe(|| {
        fault::point(Place::Method);
        method(shared)
    }));
    let answer = answer.unwrap_or_else(|panic| Err(tell(shared, &*panic)));
    // SAFETY: the reference was taken above.
    unsafe { give_back(client) };
    match answer {
        Ok(code) | Err(code) => code,
    }
}

/// Tells the program of a panic, as of any other failure.
fn tell(client: &Client, panic: &(dyn Any + Send)) -> HResult {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let message = format!(
        "a mistake inside of dumpwright ended the call, please report it: {}",
        text.unwrap_or("a panic")
    );
    // What is said can be what panicked.
    let _ = catch_unwind(AssertUnwindSafe(|| client.state.say(mask::ERROR, &message)));
    HResult::E_FAIL
}

/// Hands an object that was just created to a caller, as the interface that it
/// asked for.
///
/// # Safety
/// `object` came from [`Client::create`]; its only reference is given away.
pub unsafe fn hand_out(object: Raw, iid: *const Guid, interface: *mut Raw) -> HResult {
    // SAFETY: the object lives; the other pointers are checked there.
    let result = unsafe { query_interface::<0>(object, iid, interface) };
    // SAFETY: the reference of its creation.
    unsafe { release::<0>(object) };
    result
}

/// Carries something out on a client that is an argument of a method, whose
/// contract is that it is null or a client of this library.
pub fn with_client(client: Raw, method: impl FnOnce(&Client) -> Answer) -> Answer {
    // SAFETY: the contract of arguments (`abi`).
    let code = unsafe { enter(client, 0, method) };
    if code.is_failure() { Err(code) } else { Ok(code) }
}
