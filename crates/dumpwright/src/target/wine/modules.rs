//! The modules of Windows: loaded ones by the loader's list, unloaded ones by
//! ntdll's trace.

use super::code::{Handed, follow};
use crate::soft_error::SoftError;
use crate::target::nt::exports;
use crate::target::nt::pe::PeImage;
use crate::target::nt::read;
use crate::target::nt::unloaded::{self, TraceVariables};
use crate::target::nt::wow64;
use crate::target::{MemorySource, UnloadedModuleSnapshot};
use dumpwright_format::nt::NtOffsets;
use zerocopy::little_endian::U32;

/// The registers of the first three arguments.
const RCX: u8 = 1;
const RDX: u8 = 2;
const R8: u8 = 8;

/// Whether the file of a path has that name.
pub(super) fn is_named(path: &str, name: &str) -> bool {
    path.rsplit('\\').next().is_some_and(|file| file.eq_ignore_ascii_case(name))
}

/// Where an image's code begins: `AddressOfEntryPoint`.
pub(super) fn entry_point(memory: &dyn MemorySource, image: &PeImage) -> Option<u64> {
    /// `e_lfanew`, and the field behind the start of the NT headers.
    const NT_HEADERS: u64 = 0x3C;
    const ENTRY_POINT: u64 = 24 + 16;
    let headers: U32 = read(memory, image.base.checked_add(NT_HEADERS)?)?;
    let at = image.base.checked_add(u64::from(headers.get()) + ENTRY_POINT)?;
    let rva = read::<U32>(memory, at)?.get();
    image.at(rva, 1).filter(|_| rva != 0).map(|range| range.start)
}

/// The modules that were unloaded, as ntdll remembers them.
pub(super) fn unloaded(
    memory: &dyn MemorySource,
    ntdll: Option<&PeImage>,
    notes: &mut Vec<SoftError>,
) -> Vec<UnloadedModuleSnapshot> {
    let find = || {
        let ntdll = ntdll?;
        if !ntdll.is_wide {
            let variables = wow64::unload_trace(memory, ntdll)?;
            return unloaded::modules(memory, &NtOffsets::NARROW, variables);
        }
        let function = exports::address_of(memory, ntdll, "RtlGetUnloadEventTraceEx")?;
        let variables = variables(&follow(memory, function)?)?;
        unloaded::modules(memory, &NtOffsets::WIDE, variables)
    };
    find().unwrap_or_else(|| {
        notes.push(SoftError::new("unloaded modules", "ntdll's trace of them cannot be read"));
        Vec::new()
    })
}

/// What `RtlGetUnloadEventTraceEx` stores through its arguments: pointers to
/// element size, element count and trace.
fn variables(handed: &Handed) -> Option<TraceVariables> {
    let of = |register| handed.stored.iter().find(|(to, _)| *to == register).map(|(_, at)| *at);
    Some(TraceVariables { element_size: of(RCX)?, element_count: of(RDX)?, trace: of(R8)? })
}
