//! Tests against real processes.

mod crashed;
mod exceptions;
mod following;
mod following_ends;
mod hard_memory;
mod holding;
mod memory;
mod module_files;
mod refusals;
mod registers;
