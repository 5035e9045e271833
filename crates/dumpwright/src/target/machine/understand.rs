//! What is known of a machine: of its source, by hand, and from the guest's own
//! structures.

use super::image::Image;
use super::open::MachineOptions;
use super::{Gva, MachineArchitecture, MachineSnapshot, PhysicalMemory};

/// What is said of a guest by hand, and overrides what would be found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByHand {
    /// Architecture.
    pub architecture: Option<MachineArchitecture>,
    /// Page table of the kernel.
    pub directory_table_base: Option<u64>,
    /// Address of `KDDEBUGGER_DATA64`.
    pub debugger_data: Option<Gva>,
    /// Base of the kernel image.
    pub kernel_base: Option<Gva>,
    /// `PsLoadedModuleList`.
    pub loaded_module_list: Option<Gva>,
    /// `PsActiveProcessHead`.
    pub active_process_head: Option<Gva>,
    /// `PfnDataBase` of the header.
    pub pfn_database: Option<Gva>,
    /// Operating system build.
    pub build: Option<u32>,
}

/// Makes a snapshot of a machine.
pub(super) fn understand(
    memory: &dyn PhysicalMemory,
    image: Image,
    options: &MachineOptions,
) -> Result<MachineSnapshot, String> {
    let by_hand = &options.by_hand;
    let mut snapshot = MachineSnapshot {
        architecture: by_hand.architecture.or(image.architecture).unwrap_or_default(),
        runs: memory.runs().to_vec(),
        processors: image.processors,
        major_version: 0xf,
        soft_errors: image.soft_errors,
        ..MachineSnapshot::default()
    };
    let first = snapshot.processors.first().and_then(|processor| processor.control);
    snapshot.directory_table_base = first.map_or(0, |control| control.cr3 & !0xfff);
    apply(by_hand, &mut snapshot);
    Ok(snapshot)
}

fn apply(by_hand: &ByHand, snapshot: &mut MachineSnapshot) {
    fn set<T: Copy>(value: Option<T>, field: &mut T) {
        if let Some(value) = value {
            *field = value;
        }
    }
    set(by_hand.directory_table_base, &mut snapshot.directory_table_base);
    set(by_hand.debugger_data, &mut snapshot.debugger_data);
    set(by_hand.kernel_base, &mut snapshot.kernel_base);
    set(by_hand.loaded_module_list, &mut snapshot.loaded_module_list);
    set(by_hand.active_process_head, &mut snapshot.active_process_head);
    set(by_hand.pfn_database, &mut snapshot.pfn_database);
    set(by_hand.build, &mut snapshot.build);
}
