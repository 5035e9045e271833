//! The lists of interfaces and methods. Data only: see [`vtable`](crate::vtable).

pub mod client;
pub mod control;
pub mod data_spaces;
pub mod symbols;
pub mod system_objects;

use crate::vtable::Interface;

/// Each family, by the number of its face on an object.
pub const FAMILIES: [&[Interface]; 5] = [
    client::INTERFACES,
    control::INTERFACES,
    data_spaces::INTERFACES,
    symbols::INTERFACES,
    system_objects::INTERFACES,
];
