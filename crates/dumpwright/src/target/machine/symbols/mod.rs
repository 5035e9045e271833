//! Symbols of the guest's kernel: a PDB from a file, a folder or a server.
//!
//! Nothing is fetched from anywhere that the user did not name. A PDB whose
//! GUID is not the kernel's is not believed.

mod bounded;
mod pdb;
mod server;

use super::windows::PdbIdentity;
use super::{Gva, PfnDatabaseLayout};
use crate::soft_error::SoftError;
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Where PDBs may come from, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SymbolSources {
    /// PDB files, and folders: symbol stores (`NAME/ID/NAME`) or plain ones.
    pub paths: Vec<PathBuf>,
    /// Symbol servers, as `http://host[:port]/path`.
    pub servers: Vec<String>,
}

/// What the symbols of a kernel tell.
#[derive(Clone, Debug, Default)]
pub(super) struct KernelSymbols {
    addresses: HashMap<String, u32>,
    structures: HashMap<String, Structure>,
    /// How to read its PFN database.
    pub pfn_database_layout: Option<PfnDatabaseLayout>,
}

impl KernelSymbols {
    /// The address of a symbol in the kernel at `base`.
    pub fn address(&self, base: Gva, name: &str) -> Option<Gva> {
        let rva = self.addresses.get(name)?;
        base.0.checked_add(u64::from(*rva)).map(Gva)
    }

    /// Offset of a member of a structure.
    pub fn member(&self, structure: &str, member: &str) -> Option<u32> {
        self.structures.get(structure)?.members.get(member).copied()
    }

    /// Bytes of a structure.
    pub fn size(&self, structure: &str) -> Option<u32> {
        self.structures.get(structure).map(|structure| structure.size)
    }
}

/// A structure of the kernel.
#[derive(Clone, Debug, Default)]
struct Structure {
    size: u32,
    members: HashMap<String, u32>,
}

/// The symbols that KDBG is decoded with.
const FOR_DECODING: [&str; 4] =
    ["KdDebuggerDataBlock", "KiWaitNever", "KiWaitAlways", "KdpDataBlockEncoded"];

/// Whether a symbol is looked for.
fn wants_symbol(name: &str) -> bool {
    FOR_DECODING.contains(&name) || super::windows::wants_symbol(name)
}

/// Finds the kernel's symbols. What was tried and failed is a soft error.
pub(super) fn kernel_symbols(
    identity: &PdbIdentity,
    sources: &SymbolSources,
    soft_errors: &mut Vec<SoftError>,
) -> Option<KernelSymbols> {
    let mut fault = |from: &str, reason: String| {
        soft_errors.push(SoftError::new(format!("symbols from {from}"), reason));
    };
    for path in &sources.paths {
        match from_path(path, identity) {
            Ok(symbols) => return Some(symbols),
            Err(reason) => fault(&path.display().to_string(), reason),
        }
    }
    for url in &sources.servers {
        match server::fetch(url, identity).and_then(|file| pdb::read(file, identity)) {
            Ok(symbols) => return Some(symbols),
            Err(reason) => fault(url, reason),
        }
    }
    None
}

fn from_path(path: &Path, identity: &PdbIdentity) -> Result<KernelSymbols, String> {
    // A name from the guest's memory must not lead out of the folder.
    if identity.name.contains(['/', '\\', ':']) || identity.name.starts_with('.') {
        return Err(format!("the kernel names its PDB '{}', which is no file name", identity.name));
    }
    let file = if path.is_dir() {
        let stored = path.join(&identity.name).join(identity.key()).join(&identity.name);
        if stored.is_file() { stored } else { path.join(&identity.name) }
    } else {
        path.to_owned()
    };
    let opened = File::open(&file)
        .map_err(|error| format!("{} with the id {}: {error}", identity.name, identity.key()))?;
    pdb::read(opened, identity)
}
