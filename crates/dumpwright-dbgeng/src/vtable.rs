//! Makes vtables of lists: one list per family of interfaces, in the order of
//! win32 metadata.
//!
//! Of the interfaces of a family each is the one before it with methods added
//! (a test compares them with dbgeng.h where there is one), so that the vtable
//! of the last serves them all. A method with an arrow is carried out by the
//! function behind it; the others answer `E_NOTIMPL`.

use crate::abi::Guid;

/// An interface of a list.
#[derive(Debug)]
pub struct Interface {
    /// Its name.
    pub name: &'static str,
    /// Its id.
    pub iid: Guid,
    /// What it adds to the one before it.
    pub methods: &'static [Method],
}

/// A method of a list.
#[derive(Debug)]
pub struct Method {
    /// Its name in dbgeng.h.
    pub name: &'static str,
    /// Names and types of its arguments.
    pub arguments: &'static [(&'static str, &'static str)],
    /// Whether it does anything.
    pub implemented: bool,
}

macro_rules! vtable {
    (
        $(#[$doc:meta])*
        $name:ident, $face:literal,
        $( interface $interface:ident = $iid:literal {
            $( fn $method:ident($($arg:ident: $ty:ty),*) $(=> $path:path)?; )*
        } )*
    ) => {
        $(#[$doc])*
        #[repr(C)]
        #[expect(non_snake_case, reason = "the names of dbgeng.h")]
        pub struct $name {
            unknown: $crate::object::UnknownVtable,
            $($(
                #[doc = concat!("`", stringify!($interface), "::", stringify!($method), "`.")]
                pub $method: unsafe extern "system" fn(
                    $crate::abi::Raw, $($ty),*
                ) -> dumpwright::HResult,
            )*)*
        }

        /// The vtable.
        pub static VTABLE: $name = $name {
            unknown: $crate::object::unknown_vtable::<$face>(),
            $($( $method: {
                unsafe extern "system" fn method(
                    this: $crate::abi::Raw, $($arg: $ty),*
                ) -> dumpwright::HResult {
                    vtable!(@body $face, this, ($($arg),*) $(, $path)?)
                }
                method
            }, )*)*
        };

        /// What the vtable holds.
        pub const INTERFACES: &[$crate::vtable::Interface] = &[ $(
            $crate::vtable::Interface {
                name: stringify!($interface),
                iid: $crate::abi::Guid::from_u128($iid),
                methods: &[ $( $crate::vtable::Method {
                    name: stringify!($method),
                    arguments: &[ $( (stringify!($arg), stringify!($ty)) ),* ],
                    implemented: vtable!(@is $($path)?),
                } ),* ],
            }
        ),* ];
    };
    (@is $path:path) => { true };
    (@is) => { false };
    (@body $face:literal, $this:ident, ($($arg:ident),*), $path:path) => {
        // SAFETY: the caller of a method passes the interface it belongs to.
        unsafe { $crate::object::enter($this, $face, |client| $path(client, $($arg),*)) }
    };
    (@body $face:literal, $this:ident, ($($arg:ident),*)) => {{
        let _ = ($this, $($arg),*);
        dumpwright::HResult::E_NOTIMPL
    }};
}
