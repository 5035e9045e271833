//! Tests against real processes.

mod exceptions;
mod holding;
mod memory;
mod refusals;
mod registers;
