//! Tests against real processes.

mod exceptions;
mod holding;
mod memory;
mod module_files;
mod refusals;
mod registers;
