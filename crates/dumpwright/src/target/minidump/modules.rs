//! Modules, loaded and unloaded, with their records as they stand.

use super::system::debug_id;
use crate::address::AddressRange;
use crate::packed::Packed;
use crate::read::{Location, Minidump, Module, ReadResult};
use crate::soft_error::SoftError;
use crate::target::{
    Backing, MemorySource, ModuleRecords, ModuleSnapshot, Platform, Region, Segment,
    UnloadedModuleSnapshot,
};
use dumpwright_format::minidump::{self as wire, StreamType, VsFixedFileInfo};
use zerocopy::FromZeros;

/// The longest record that is carried.
const MAX_RECORD: u64 = 0x1_0000;
/// Offset of `e_lfanew` in a PE file, and of `SizeOfHeaders` behind the
/// signature that it leads to (the same with 32 and 64 bits), winnt.h.
const E_LFANEW: u64 = 0x3C;
const SIZE_OF_HEADERS: u64 = 24 + 60;
/// Headers larger than this are not believed.
const MAX_HEADERS: u32 = 0x1_0000;
const PAGE: u64 = 4096;

/// The modules, and what further the dump says of them.
pub(super) fn modules(
    dump: &Minidump,
    notes: &mut Vec<SoftError>,
) -> ReadResult<(Vec<ModuleSnapshot>, Vec<ModuleRecords>)> {
    let stored = dump.modules()?.unwrap_or_default();
    let versions: Vec<VsFixedFileInfo> = match dump.load(StreamType::MODULE_LIST)? {
        Some(bytes) => bytes.counted_list()?.map(|m: wire::Module| m.version_info).collect(),
        None => Vec::new(),
    };
    let mut left = dump.work_allowance();
    let mut record = |module: &Module, location: Location| {
        let fits = location.size <= MAX_RECORD && dump.holds(location.rva, location.size);
        let paid = left.checked_sub(location.size).filter(|_| fits);
        let mut bytes = vec![0; paid.map_or(0, |_| location.size as usize)];
        left = paid.unwrap_or(left);
        if paid.is_none() || dump.read_file(location.rva, &mut bytes).is_err() {
            let subject = format!("module {}", module.name.as_deref().unwrap_or_default());
            let message = "a debug record of it cannot be read and was left out";
            notes.push(SoftError::new(subject, message));
            return Vec::new();
        }
        bytes
    };
    let versions = versions.into_iter().chain(std::iter::repeat(VsFixedFileInfo::new_zeroed()));
    let records = stored
        .iter()
        .zip(versions)
        .map(|(module, version_info)| ModuleRecords {
            version_info,
            code_view: record(module, module.code_view_location),
            misc: record(module, module.misc_location),
        })
        .collect();
    Ok((stored.into_iter().map(snapshot).collect(), records))
}

fn snapshot(module: Module) -> ModuleSnapshot {
    ModuleSnapshot {
        base: module.base,
        size: module.size.into(),
        debug_id: debug_id(module.code_view.as_ref()),
        path: module.name.unwrap_or_default(),
        version: module.file_version,
        time_date_stamp: module.time_date_stamp,
        check_sum: module.check_sum,
        segments: Vec::new(),
        headers: Vec::new(),
    }
}

/// Adds what the address space says of modules: their segments, and where their
/// headers are.
pub(in crate::target) fn add_places(
    modules: &mut [ModuleSnapshot],
    regions: &Packed<Region>,
    memory: &dyn MemorySource,
    platform: Platform,
) {
    for region in regions {
        if let Backing::Image(index) = region.backing
            && let Some(module) = modules.get_mut(index)
        {
            module.segments.push(Segment { range: region.range, protection: region.protection });
        }
    }
    for module in modules {
        let size = match platform {
            Platform::Windows => pe_headers(module.base, memory).unwrap_or(PAGE),
            Platform::Linux | Platform::Other => PAGE,
        };
        let headers = AddressRange::with_len(module.base, size).intersection(module.range());
        module.headers.push(headers);
    }
}

/// Bytes of the headers of the PE image at `base`.
fn pe_headers(base: u64, memory: &dyn MemorySource) -> Option<u64> {
    let word = |at: Option<u64>| {
        let mut word = [0; 4];
        memory.read_exact(at?, &mut word).then(|| u32::from_le_bytes(word))
    };
    let header = u64::from(word(base.checked_add(E_LFANEW))?);
    let size = word(base.checked_add(header + SIZE_OF_HEADERS))?;
    (1..=MAX_HEADERS).contains(&size).then_some(size.into())
}

/// The unloaded modules.
pub(super) fn unloaded(stored: Vec<crate::read::UnloadedModule>) -> Vec<UnloadedModuleSnapshot> {
    stored
        .into_iter()
        .map(|module| UnloadedModuleSnapshot {
            base: module.base,
            size: module.size.into(),
            name: module.name.unwrap_or_default(),
            time_date_stamp: module.time_date_stamp,
            check_sum: module.check_sum,
        })
        .collect()
}
