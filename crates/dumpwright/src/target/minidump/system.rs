//! The machine and the process as a whole.

use crate::read::{CodeView, MiscInfo, ReadResult, SystemInfo};
use crate::soft_error::SoftError;
use crate::target::{
    Architecture, DebugId, FileTime, ModuleSnapshot, Pid, ProcessInfo, SystemSnapshot, XstateLayout,
};
use dumpwright_format::minidump::{
    PROCESSOR_ARCHITECTURE_AMD64, PROCESSOR_ARCHITECTURE_ARM64, PROCESSOR_ARCHITECTURE_ARM64_OLD,
    PROCESSOR_ARCHITECTURE_INTEL,
};

/// `PROCESSOR_ARCHITECTURE_IA32_ON_WIN64`, winnt.h.
const IA32_ON_WIN64: u16 = 10;
/// 100 ns units in a second.
const UNITS_PER_SECOND: u64 = 10_000_000;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The architecture of a `PROCESSOR_ARCHITECTURE_*`, if its dumps can be made
/// into others.
pub(super) fn architecture(processor_architecture: u16) -> Option<Architecture> {
    match processor_architecture {
        PROCESSOR_ARCHITECTURE_AMD64 => Some(Architecture::Amd64),
        PROCESSOR_ARCHITECTURE_INTEL | IA32_ON_WIN64 => Some(Architecture::X86),
        PROCESSOR_ARCHITECTURE_ARM64 | PROCESSOR_ARCHITECTURE_ARM64_OLD => {
            Some(Architecture::Arm64)
        }
        _ => None,
    }
}

/// The system; `xstate` says whether contexts in the dump have extended state.
pub(super) fn system(
    info: &SystemInfo,
    architecture: Architecture,
    misc: Option<&MiscInfo>,
    xstate: bool,
) -> SystemSnapshot {
    let layout = misc.and_then(|m| m.xstate.as_ref()).filter(|_| xstate);
    SystemSnapshot {
        architecture,
        platform_id: info.platform_id,
        product_type: info.product_type,
        suite_mask: info.suite_mask,
        processor_level: info.processor_level,
        processor_revision: info.processor_revision,
        cpu: info.cpu,
        number_of_processors: info.number_of_processors.into(),
        version: [info.major_version, info.minor_version, info.build_number],
        description: info.csd_version.clone().unwrap_or_default(),
        build: misc.and_then(|m| m.build_string.clone()).unwrap_or_default(),
        processor_mhz: misc.and_then(|m| m.processor_power).map(|p| [p.max_mhz, p.current_mhz]),
        time_zone: misc
            .and_then(|m| m.time_zone.as_ref())
            .map(|z| (z.bias, z.standard_name.clone().unwrap_or_default())),
        xstate: layout.map(|l| XstateLayout {
            features: l.enabled_features,
            context_size: l.context_size,
            components: l.features.clone(),
        }),
    }
}

/// The process. Its name and, where MiscInfo does not have it, its id come from
/// `/proc/PID/status` of a Linux process.
pub(super) fn process(
    misc: Option<&MiscInfo>,
    status: Option<&[u8]>,
    modules: &[ModuleSnapshot],
    peb: u64,
) -> ProcessInfo {
    let line = |name: &str| status.and_then(|s| status_value(s, name));
    let stated = misc.and_then(|m| m.process_id);
    let pid = stated.or_else(|| line("Tgid:")?.parse().ok()).unwrap_or_default();
    let seconds = |value: Option<u32>| u64::from(value.unwrap_or_default());
    let created = seconds(misc.and_then(|m| m.process_create_time));
    let first = modules.first().map(|m| m.path.rsplit(['/', '\\']).next().unwrap_or_default());
    ProcessInfo {
        pid: Pid(pid),
        namespace_pids: vec![pid],
        name: line("Name:").or_else(|| first.map(str::to_owned)).unwrap_or_default(),
        peb,
        create_time: if created == 0 {
            FileTime::default()
        } else {
            FileTime::from_unix_nanos(created * NANOS_PER_SECOND)
        },
        user_time: seconds(misc.and_then(|m| m.process_user_time)) * UNITS_PER_SECOND,
        kernel_time: seconds(misc.and_then(|m| m.process_kernel_time)) * UNITS_PER_SECOND,
        nt: None,
    }
}

fn status_value(status: &[u8], name: &str) -> Option<String> {
    let line = status.split(|b| *b == b'\n').find(|line| line.starts_with(name.as_bytes()))?;
    Some(String::from_utf8_lossy(&line[name.len()..]).trim().to_owned())
}

/// A module's debug id out of its CodeView record.
pub(super) fn debug_id(record: Option<&CodeView>) -> DebugId {
    match record {
        Some(CodeView::ElfBuildId(id)) => DebugId::ElfBuildId(id.clone()),
        Some(CodeView::Pdb70 { guid, age, name }) => {
            DebugId::Pdb70 { guid: *guid, age: *age, name: name.clone() }
        }
        _ => DebugId::None,
    }
}

/// `Ok(None)` in place of a stream that cannot be decoded, and what is wrong
/// with it.
pub(super) fn or_note<T>(
    what: &str,
    result: ReadResult<Option<T>>,
    notes: &mut Vec<SoftError>,
) -> Option<T> {
    result.unwrap_or_else(|error| {
        let message = format!("it cannot be read and was left out: {error}");
        notes.push(SoftError::new(what, message));
        None
    })
}
