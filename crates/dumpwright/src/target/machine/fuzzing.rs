//! Doors for the fuzz targets to what comes from a symbol store or a monitor.

use super::image::{HeadError, parse_head};
use super::qemu::fuzzing::monitor;
use super::symbols::{SymbolSources, kernel_symbols};
use super::windows::PdbIdentity;
use std::path::PathBuf;

/// A file as the PDB of a kernel. That with this GUID is the only one believed.
pub fn pdb(file: PathBuf, guid: [u8; 16]) {
    let identity = PdbIdentity { name: "ntkrnlmp.pdb".into(), guid, age: 1 };
    let sources = SymbolSources { paths: vec![file], servers: Vec::new() };
    let _ = kernel_symbols(&identity, &sources, &mut Vec::new());
}

/// What QEMU's monitor answers, and the head of a dump from its pipe.
pub fn qemu(bytes: &[u8]) {
    monitor(&String::from_utf8_lossy(bytes));
    if let Err(HeadError::Wants(wanted)) = parse_head(bytes) {
        assert!(wanted > bytes.len() as u64, "more is wanted than there is");
    }
}
