//! SystemInfo and SystemMemoryInfo.

use crate::plan::assembly::{Assembly, FixupKind, Section};
use crate::target::{Architecture, ProcessSnapshot};
use dumpwright_format::minidump::{
    PROCESSOR_ARCHITECTURE_AMD64, PROCESSOR_ARCHITECTURE_ARM64, PROCESSOR_ARCHITECTURE_INTEL,
    StreamType, SystemInfo,
};
use std::mem::offset_of;

/// The `PROCESSOR_ARCHITECTURE_*` of an architecture.
fn processor_architecture(architecture: Architecture) -> u16 {
    match architecture {
        Architecture::Amd64 => PROCESSOR_ARCHITECTURE_AMD64,
        Architecture::X86 => PROCESSOR_ARCHITECTURE_INTEL,
        Architecture::Arm64 => PROCESSOR_ARCHITECTURE_ARM64,
    }
}

pub(super) fn system_info(snapshot: &ProcessSnapshot, out: &mut Assembly) {
    let system = &snapshot.system;
    let description = out.string(&system.description);
    let mut section = Section::new();
    section.put(&SystemInfo {
        processor_architecture: snapshot
            .original
            .as_ref()
            .map_or_else(
                || processor_architecture(system.architecture),
                |original| original.processor_architecture,
            )
            .into(),
        processor_level: system.processor_level.into(),
        processor_revision: system.processor_revision.into(),
        number_of_processors: u8::try_from(system.number_of_processors).unwrap_or(u8::MAX),
        product_type: system.product_type,
        major_version: system.version[0].into(),
        minor_version: system.version[1].into(),
        build_number: system.version[2].into(),
        platform_id: system.platform_id.into(),
        csd_version_rva: 0.into(),
        suite_mask: system.suite_mask.into(),
        reserved2: 0.into(),
        cpu: system.cpu,
    });
    section.fix(offset_of!(SystemInfo, csd_version_rva), FixupKind::Rva(description));
    out.stream(StreamType::SYSTEM_INFO, section);
}

pub(super) fn system_memory_info(snapshot: &ProcessSnapshot, out: &mut Assembly) {
    if let Some(info) = &snapshot.system_memory {
        let mut section = Section::new();
        section.put(info);
        out.stream(StreamType::SYSTEM_MEMORY_INFO, section);
    }
}
