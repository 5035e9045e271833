//! The machine and its Windows.

use super::sys::system::{Machine, time_zone, version, wine_version};
use crate::target::nt::read;
use crate::target::processor::Cpu;
use crate::target::{Architecture, MemorySource, SystemSnapshot, XstateLayout};
use dumpwright_format::minidump::PLATFORM_WIN32_NT;
use dumpwright_format::nt::{SHARED_DATA_XSTATE, XstateConfiguration};

/// Describes the machine.
pub(super) fn describe(
    architecture: Architecture,
    machine: Machine,
    xstate: Option<XstateLayout>,
) -> SystemSnapshot {
    let cpu = Cpu::of_this_machine();
    let version = version();
    let [major, minor, number] = version.numbers;
    let build = match wine_version() {
        Some(wine) => format!("{major}.{minor}.{number} (Wine {wine})"),
        None => format!("{major}.{minor}.{number}"),
    };
    SystemSnapshot {
        architecture,
        platform_id: PLATFORM_WIN32_NT,
        product_type: version.product_type,
        suite_mask: version.suite_mask,
        processor_level: cpu.level,
        processor_revision: cpu.revision,
        cpu: cpu.information,
        number_of_processors: machine.processors,
        version: version.numbers,
        description: version.service_pack,
        build,
        processor_mhz: None,
        time_zone: Some(time_zone()),
        xstate,
    }
}

/// How extended contexts are laid out, as the data that the kernel shares with
/// every process says. `None` where nothing beyond SSE is switched on.
pub(super) fn xstate_layout(memory: &dyn MemorySource) -> Option<XstateLayout> {
    /// x87 and SSE, which the fixed part of a context has.
    const LEGACY: u64 = 0x3;
    let configuration: XstateConfiguration = read(memory, SHARED_DATA_XSTATE)?;
    let features = configuration.enabled_features.get();
    if features & !LEGACY == 0 {
        return None;
    }
    let components = configuration.features.iter().zip(0..).filter_map(|([offset, size], bit)| {
        let there = features & 1 << bit != 0 && size.get() != 0;
        there.then_some((bit, offset.get(), size.get()))
    });
    Some(XstateLayout { features, context_size: 0, components: components.collect() })
}
