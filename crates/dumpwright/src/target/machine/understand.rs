//! What is known of a machine: of its source, by hand, and from the guest's own
//! structures.

use super::image::Image;
use super::open::MachineOptions;
use super::page_table::Shape;
use super::{
    Gva, MachineArchitecture, MachineSnapshot, PhysicalMemory, ProcessorSnapshot, windows,
};
use crate::soft_error::SoftError;

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
    /// Number of the processor that the dump is seen from.
    pub current_processor: Option<usize>,
}

/// How far to look for a kernel that the registers do not lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// Through all of memory.
    Search,
    /// No further: a guest stands still meanwhile.
    #[cfg(target_os = "linux")]
    Quick,
}

/// Makes a snapshot of a machine.
pub(super) fn understand(
    memory: &dyn PhysicalMemory,
    image: Image,
    options: &MachineOptions,
    effort: Effort,
) -> MachineSnapshot {
    let by_hand = &options.by_hand;
    let mut snapshot = MachineSnapshot {
        architecture: by_hand.architecture.or(image.architecture).unwrap_or_default(),
        runs: memory.runs().to_vec(),
        processors: image.processors,
        major_version: 0xf,
        soft_errors: image.soft_errors,
        ..MachineSnapshot::default()
    };
    choose_processor(by_hand, &mut snapshot);
    let current = snapshot.processors.get(snapshot.current_processor);
    let control = current.and_then(|processor| processor.control);
    let root = |cr3| Shape::of(snapshot.architecture).root(cr3);
    snapshot.directory_table_base = control.map_or(0, |control| root(control.cr3));
    apply(by_hand, &mut snapshot);
    windows::discover(memory, &mut snapshot, image.prepared_header.as_deref(), options, effort);
    apply(by_hand, &mut snapshot);
    note_processor(by_hand, &mut snapshot);
    snapshot
}

/// Turns to the processor that is asked for, if there is one of that number.
pub(super) fn choose_processor(by_hand: &ByHand, snapshot: &mut MachineSnapshot) {
    if let Some(number) = by_hand.current_processor.filter(|n| *n < snapshot.processors.len()) {
        snapshot.current_processor = number;
    }
}

fn note_processor(by_hand: &ByHand, snapshot: &mut MachineSnapshot) {
    let count = snapshot.processors.len();
    if let Some(number) = by_hand.current_processor.filter(|n| *n >= count) {
        snapshot.soft_errors.push(SoftError::new(
            "processors",
            format!(
                "there is no processor {number} of {count}, so the dump is seen from {}",
                snapshot.current_processor
            ),
        ));
    }
}

/// Finds out what a kernel dump's header does not tell.
pub(super) fn complete(
    memory: &dyn PhysicalMemory,
    snapshot: &mut MachineSnapshot,
    options: &MachineOptions,
) {
    let stated = snapshot.clone();
    apply(&options.by_hand, snapshot);
    choose_processor(&options.by_hand, snapshot);
    note_processor(&options.by_hand, snapshot);
    if memory.runs().is_empty() {
        return;
    }
    // Without a block of all registers there are those of the header, and nothing
    // says of which processor.
    let is_header = snapshot.processors.iter().all(|processor| processor.control.is_none())
        && snapshot.processors.iter().skip(1).all(|processor| processor.context.is_empty());
    let registers = snapshot.processors.get_mut(0).filter(|_| is_header).map(std::mem::take);
    windows::discover(memory, snapshot, None, options, Effort::Search);
    if let Some(registers) = registers {
        give_back(registers, &options.by_hand, snapshot);
    }
    // The header is of the moment of the dump, and of the machine that it was.
    snapshot.runs = stated.runs;
    snapshot.bug_check = stated.bug_check;
    snapshot.exception = stated.exception;
    snapshot.major_version = stated.major_version;
    if stated.directory_table_base != 0 {
        snapshot.directory_table_base = stated.directory_table_base;
    }
    // A block that was made or decoded stands where that says.
    if stated.debugger_data.0 != 0 && snapshot.decoded_debugger_data.is_none() {
        snapshot.debugger_data = stated.debugger_data;
    }
    for (stated, found) in [
        (stated.loaded_module_list, &mut snapshot.loaded_module_list),
        (stated.active_process_head, &mut snapshot.active_process_head),
        (stated.pfn_database, &mut snapshot.pfn_database),
    ] {
        if stated.0 != 0 {
            *found = stated;
        }
    }
    for (stated, found) in [
        (stated.build, &mut snapshot.build),
        (stated.product_type, &mut snapshot.product_type),
        (stated.suite_mask, &mut snapshot.suite_mask),
    ] {
        if stated != 0 {
            *found = stated;
        }
    }
    if stated.system_time.0 != 0 {
        snapshot.system_time = stated.system_time;
        snapshot.system_up_time = stated.system_up_time;
    }
    apply(&options.by_hand, snapshot);
}

/// Gives the header's registers to the processor that they are of: the one whose
/// registers the kernel kept are the same, else the current one.
fn give_back(header: ProcessorSnapshot, by_hand: &ByHand, snapshot: &mut MachineSnapshot) {
    let pointers = |p: &ProcessorSnapshot| (p.instruction_pointer, p.stack_pointer);
    let same = snapshot.processors.iter().position(|p| pointers(p) == pointers(&header));
    let owner = same.filter(|_| header.stack_pointer != 0).unwrap_or(snapshot.current_processor);
    if let Some(processor) = snapshot.processors.get_mut(owner) {
        processor.context = header.context;
        processor.instruction_pointer = header.instruction_pointer;
        processor.stack_pointer = header.stack_pointer;
        processor.control = header.control.or(processor.control);
    }
    if by_hand.current_processor.is_none() {
        snapshot.current_processor = owner;
    }
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

#[cfg(test)]
mod tests {
    use super::super::testkit::{CoreBuilder, cpu_state};
    use super::super::{MachineOptions, open_machine_source};
    use std::path::Path;

    #[test]
    fn the_page_table_is_aligned_as_the_architecture_has_it() {
        const PAGING: u64 = 1 << 31;
        const CR4: usize = 0x188 + 4 * 8;
        // CR3, CR4, bytes of a processor's status, and the table.
        for (cr3, cr4, status, expected) in [
            (0x18_5020, 0x20, 144, 0x18_5020),
            (0x18_5020, 0, 144, 0x18_5000),
            (0x1a_d002, 0x20, 336, 0x1a_d000),
        ] {
            let mut state = cpu_state(0x1234, PAGING, cr3);
            state[CR4] = cr4;
            let mut builder = CoreBuilder::default();
            builder.load(0, 0, &[0; 0x2000]);
            builder.note(b"CORE", 1, &vec![0; status]).note(b"QEMU", 0, &state);
            let core = Box::new(builder.build());
            let options = MachineOptions::default();
            let target = open_machine_source(core, Path::new("core"), &options).unwrap().unwrap();
            assert_eq!(target.snapshot().directory_table_base, expected, "{cr3:#x} {cr4:#x}");
        }
    }
}
