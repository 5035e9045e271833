//! The Windows that Wine shows to the process.

use super::code::follow;
use super::modules::is_named;
use crate::target::nt::exports;
use crate::target::nt::loader;
use crate::target::nt::pe::PeImage;
use crate::target::nt::{read, read_string};
use crate::target::{Architecture, MemorySource, SystemSnapshot};
use dumpwright_format::minidump::PLATFORM_WIN32_NT;
use dumpwright_format::nt::{
    NtOffsets, PEB_CSD_VERSION, PEB_OS_VERSION, SHARED_DATA_PRODUCT_TYPE, SHARED_DATA_SUITE_MASK,
};
use zerocopy::little_endian::{U16, U32};

/// The longest version of Wine.
const LONGEST: usize = 64;

/// The system as the process sees it, by its 64-bit side. The machine is that of
/// Linux.
pub(super) fn describe(
    memory: &dyn MemorySource,
    architecture: Architecture,
    peb: u64,
    linux: &SystemSnapshot,
) -> SystemSnapshot {
    let at = peb.saturating_add(PEB_OS_VERSION);
    let number = |at: u64| read::<U32>(memory, at).map_or(0, U32::get);
    let short = |at: u64| read::<U16>(memory, at).map_or(0, U16::get);
    let version = [number(at), number(at + 4), short(at + 8).into()];
    let [major, minor, build] = version;
    let mut text = format!("{major}.{minor}.{build}");
    let ntdll = wide_ntdll(memory, peb);
    if let Some(wine) = ntdll.and_then(|ntdll| wine_version(memory, &ntdll)) {
        text = format!("{text} (Wine {wine})");
    }
    let named = read_string(memory, &NtOffsets::WIDE, peb.saturating_add(PEB_CSD_VERSION));
    SystemSnapshot {
        platform_id: PLATFORM_WIN32_NT,
        product_type: number(SHARED_DATA_PRODUCT_TYPE) as u8,
        suite_mask: number(SHARED_DATA_SUITE_MASK) as u16,
        version,
        description: named
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| service_pack(build).to_owned()),
        build: text,
        architecture,
        xstate: linux.xstate.clone().filter(|_| architecture == Architecture::Amd64),
        ..linux.clone()
    }
}

/// The service pack that a build of Windows is, where the PEB does not say it:
/// Wine leaves the field empty.
fn service_pack(build: u32) -> &'static str {
    match build {
        2600 => "Service Pack 3",
        3790 | 6002 => "Service Pack 2",
        6001 | 7601 => "Service Pack 1",
        _ => "",
    }
}

/// The ntdll of the 64-bit side.
fn wide_ntdll(memory: &dyn MemorySource, peb: u64) -> Option<PeImage> {
    let modules = loader::modules(memory, &NtOffsets::WIDE, peb)?;
    let ntdll = modules.iter().find(|module| is_named(&module.path, "ntdll.dll"))?;
    PeImage::read(memory, ntdll.base)
}

/// What `wine_get_version` answers.
fn wine_version(memory: &dyn MemorySource, ntdll: &PeImage) -> Option<String> {
    let text = follow(memory, exports::address_of(memory, ntdll, "wine_get_version")?)?.returned?;
    let text = String::from_utf8(memory.read_c_string(text, LONGEST)?).ok()?;
    Some(text).filter(|text| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic()))
}
