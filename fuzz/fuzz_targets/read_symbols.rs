//! Arbitrary bytes as the PDB of a guest's kernel, and as what QEMU's monitor
//! answers. Nothing may panic outside of the PDB crate, loop, or allocate out of
//! proportion.

#![no_main]

mod scratch;

use dumpwright::target::machine::fuzzing;
use libfuzzer_sys::fuzz_target;

/// The GUID of the PDBs that are believed.
const GUID: &[u8; 16] = b"dumpwright fuzz!";
/// How every PDB begins.
const MSF: &[u8] = b"Microsoft C/C++ MSF 7.00";

fuzz_target!(
    init: {
        // Panics of the PDB crate are caught, and mean a damaged file; others
        // still end the program.
        std::panic::set_hook(Box::new(|_| {}));
    },
    |bytes: &[u8]| {
        if !bytes.starts_with(MSF) {
            return fuzzing::qemu(bytes);
        }
        let file = scratch::file(bytes);
        fuzzing::pdb(scratch::path(&file), *GUID);
    }
);
