//! Arbitrary bytes as the file of a module, and as its image in memory: ELF and
//! PE. Nothing may panic, loop, or allocate out of proportion.

#![no_main]

mod scratch;

use dumpwright::package;
use dumpwright::target::{fuzzing, linux};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if bytes.starts_with(b"TZif") {
        return linux::fuzzing::time_zone(bytes);
    }
    if !bytes.starts_with(b"\x7fELF") {
        return fuzzing::pe_image(bytes);
    }
    let file = scratch::file(bytes);
    package::links(&file);
    linux::fuzzing::elf_image(bytes, file);
});
