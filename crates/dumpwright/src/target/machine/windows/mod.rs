//! Windows kernels in the memory of a machine.
//!
//! [`discover`] goes from what is certain to what hangs on it:
//!
//! 1. `space`: the kernel's page table, from the processors, a prepared header,
//!    the low stub or a search;
//! 2. `kernel`: the image of ntoskrnl, and what its headers tell (`pe`);
//! 3. `debugger_data`: `KDDEBUGGER_DATA64`, in clear, decoded with the keys that
//!    the kernel's symbols name, or else `made` of what is known;
//! 4. `processors`, `lists`, `shared_data`: what that and the kernel's exports
//!    lead to.
//!
//! Everything read is foreign: lists have an end whatever their links say, and
//! what does not make sense is left out with a soft error that says what would
//! help.

mod debugger_data;
mod kernel;
mod lists;
mod made;
mod memory_block;
mod pe;
mod processors;
mod shared_data;
mod space;

pub(in crate::target::machine) use made::{wants_symbol, wants_type};
pub(in crate::target::machine) use pe::PdbIdentity;
pub(in crate::target::machine) use space::has_top_table;

use super::open::MachineOptions;
use super::understand::{self, Effort};
use super::{
    AddressSpace, BugCheck, GuestKind, Gva, MachineArchitecture, MachineSnapshot, PhysicalMemory,
};
use crate::soft_error::SoftError;
use dumpwright_format::kernel::{DebuggerData, Header64};
use kernel::KernelImage;
use zerocopy::FromBytes;
use zerocopy::little_endian::U64;

/// Looks for a Windows kernel, and fills in what it finds of it. A guest without
/// one stays what it is.
pub(super) fn discover(
    memory: &dyn PhysicalMemory,
    snapshot: &mut MachineSnapshot,
    prepared_header: Option<&[u8]>,
    options: &MachineOptions,
    effort: Effort,
) {
    if !matches!(snapshot.architecture, MachineArchitecture::Amd64 | MachineArchitecture::Amd64La57)
    {
        return;
    }
    let header = prepared_header.and_then(|bytes| Header64::ref_from_prefix(bytes).ok());
    let header = header.map(|(header, _)| header);
    let Some(space) = space::find(memory, snapshot, header, &options.by_hand, effort) else {
        return;
    };
    snapshot.guest = GuestKind::Windows;
    snapshot.directory_table_base = space.root();
    shared_data::read(&space, snapshot);

    let kernel = kernel::find(&space, snapshot, &options.by_hand);
    if let Some(kernel) = &kernel {
        snapshot.kernel_base = kernel.base();
        from_exports(&space, kernel, snapshot);
    } else {
        snapshot.soft_errors.push(SoftError::new(
            "kernel image",
            "a Windows kernel runs and its image was not found; its base can be given (--raw-header kernel=)",
        ));
    }
    let stated = debugger_data::Stated::new(header, snapshot);
    let mut found = debugger_data::find(&space, kernel.as_ref(), stated, snapshot, options);
    found.make_up_for(&space, kernel.as_ref(), snapshot, options);
    snapshot.soft_errors.extend(found.soft_errors);
    snapshot.pfn_database_layout = found.symbols.and_then(|symbols| symbols.pfn_database_layout);
    snapshot.debugger_data = found.address;
    let data = found.data.unwrap_or_else(zerocopy::FromZeros::new_zeroed);
    snapshot.decoded_debugger_data = found.must_be_stored.then(|| found.bytes.clone());
    snapshot.debugger_data_block = (!found.bytes.is_empty()).then_some(found.bytes);
    from_debugger_data(&space, &data, snapshot);
    snapshot.memory_block = memory_block::read(&space, &data);
    processors::fill(&space, &data, snapshot);
    understand::choose_processor(&options.by_hand, snapshot);
    space::choose_directory_table_base(&space, &data, snapshot);
    lists::fill(&space, &data, kernel.as_ref(), snapshot);
    if let Some(header) = header {
        from_header(header, snapshot);
    }
}

/// What the kernel's exports name.
fn from_exports(space: &AddressSpace<'_>, kernel: &KernelImage, snapshot: &mut MachineSnapshot) {
    if let Some(list) = kernel.export(space, "PsLoadedModuleList") {
        snapshot.loaded_module_list = list;
    }
    // The high half says whether the build is a free (F) or a checked one (C).
    let number = kernel.export(space, "NtBuildNumber").and_then(|at| space.read_u32(at));
    if let Some(number) = number {
        snapshot.build = number & 0xffff;
        if number >> 28 != 0 {
            snapshot.major_version = number >> 28;
        }
    }
}

/// What KDBG names.
fn from_debugger_data(
    space: &AddressSpace<'_>,
    data: &DebuggerData,
    snapshot: &mut MachineSnapshot,
) {
    let set = |value: U64, field: &mut Gva| {
        if value.get() != 0 {
            *field = Gva(value.get());
        }
    };
    set(data.kern_base, &mut snapshot.kernel_base);
    set(data.ps_loaded_module_list, &mut snapshot.loaded_module_list);
    set(data.ps_active_process_head, &mut snapshot.active_process_head);
    set(data.mm_pfn_database, &mut snapshot.pfn_database);
    if let Some(layout) = &mut snapshot.pfn_database_layout {
        layout.base = space.read_u64(snapshot.pfn_database).map(Gva).unwrap_or_default();
    }
    let bug_check = data.ki_bugcheck_data.get();
    if bug_check != 0
        && let Some([code, parameters @ ..]) = space.read_as::<[U64; 5]>(Gva(bug_check))
        && code.get() != 0
    {
        let parameters = parameters.map(U64::get);
        snapshot.bug_check = Some(BugCheck { code: code.get() as u32, parameters });
    }
}

/// What only the prepared header tells.
fn from_header(header: &Header64, snapshot: &mut MachineSnapshot) {
    let set = |value: U64, field: &mut Gva| {
        if field.0 == 0 && !dumpwright_format::kernel::is_filler64(value.get()) {
            *field = Gva(value.get());
        }
    };
    set(header.ps_loaded_module_list, &mut snapshot.loaded_module_list);
    set(header.ps_active_process_head, &mut snapshot.active_process_head);
    set(header.pfn_data_base, &mut snapshot.pfn_database);
    if snapshot.build == 0 {
        snapshot.build = header.minor_version.get();
    }
}
