//! What a core that dumpwright wrote says beyond what cores say.

use super::notes::{OwnModule, OwnNotes};
use crate::address::AddressRange;
use crate::target::linux::maps::Mapping;
use crate::target::{DebugId, ModuleSnapshot, PlatformStream, ProcessSnapshot, Segment};
use dumpwright_format::minidump::{StreamType, SystemInfo};
use zerocopy::FromBytes;

/// Adds streams and the system.
pub(super) fn complete(ours: &OwnNotes<'_>, snapshot: &mut ProcessSnapshot) {
    for (kind, bytes) in &ours.streams {
        let stream_type = StreamType(*kind);
        snapshot.platform_streams.retain(|s| s.stream_type != stream_type);
        snapshot
            .platform_streams
            .push(PlatformStream { stream_type, bytes: bytes.to_vec().into() });
    }
    let Some((info, text)) = ours.system.and_then(|b| SystemInfo::read_from_prefix(b).ok()) else {
        return;
    };
    let system = &mut snapshot.system;
    system.processor_level = info.processor_level.get();
    system.processor_revision = info.processor_revision.get();
    system.cpu = info.cpu;
    system.number_of_processors = info.number_of_processors.into();
    system.version = [info.major_version.get(), info.minor_version.get(), info.build_number.get()];
    let mut texts = text.split(|b| *b == 0).map(|t| String::from_utf8_lossy(t).into_owned());
    system.description = texts.next().unwrap_or_default();
    system.build = texts.next().unwrap_or_default();
}

/// Adds what the core's memory does not tell of modules: those that it has no
/// headers of, and build ids.
pub(super) fn complete_modules(
    ours: &OwnNotes<'_>,
    mappings: &[Mapping],
    modules: &mut Vec<ModuleSnapshot>,
) {
    for own in &ours.modules {
        let id = match own.build_id {
            [] => DebugId::None,
            id => DebugId::ElfBuildId(id.to_vec()),
        };
        match modules.iter_mut().find(|m| m.range().overlaps(range(own))) {
            Some(module) => {
                module.path = String::from_utf8_lossy(own.path).into_owned();
                if module.debug_id == DebugId::None {
                    (module.base, module.size) = (own.base, own.size);
                    module.debug_id = id;
                }
            }
            None => modules.push(ModuleSnapshot {
                base: own.base,
                size: own.size,
                path: String::from_utf8_lossy(own.path).into_owned(),
                debug_id: id,
                version: None,
                time_date_stamp: 0,
                check_sum: 0,
                segments: mappings
                    .iter()
                    .map(|m| (m.range.intersection(range(own)), m.protection))
                    .filter(|(range, _)| !range.is_empty())
                    .map(|(range, protection)| Segment { range, protection })
                    .collect(),
                headers: Vec::new(),
            }),
        }
    }
    // The executable first, as the core lists them.
    modules.sort_by_key(|m| ours.modules.iter().position(|own| own.base == m.base));
}

fn range(module: &OwnModule<'_>) -> AddressRange {
    AddressRange::with_len(module.base, module.size)
}
