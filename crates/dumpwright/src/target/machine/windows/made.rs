//! `KDDEBUGGER_DATA64`, made of what is known where memory has none that can be
//! read: it was wiped, is encoded with keys that nobody knows, or its page is
//! not there.
//!
//! Nothing in it is a guess. Addresses of variables are what the kernel's
//! symbols and exports name, or what memory proves: the array of processors
//! holds exactly the processors that the registers lead to, and the list of
//! processes leads from the system process through the kernel and back. What
//! nothing tells is zero, as in the block of a kernel that does not have it.

use super::kernel::KernelImage;
use super::processors;
use crate::target::machine::symbols::KernelSymbols;
use crate::target::machine::{AddressSpace, Gva, MachineSnapshot, PAGE_SIZE};
use dumpwright_format::kernel::{DEBUGGER_DATA_TAG, DebuggerData};
use dumpwright_format::machine::windows::{
    GDT64_R0_CODE, GDT64_R0_DATA, GDT64_R3_CM_CODE, GDT64_R3_CM_TEB, GDT64_R3_CODE, GDT64_R3_DATA,
    GDT64_TSS, KPCR_CURRENT_PRCB, KPCR_PRCB, KPCR_SELF, KPRCB_CURRENT_THREAD,
    KPROCESS_DIRECTORY_TABLE_BASE, KTHREAD_APC_PROCESS, SYSTEM_PROCESS_ID,
};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromZeros, IntoBytes};

/// A variable of the kernel and the field that holds its address.
type Variable = (&'static str, fn(&mut DebuggerData) -> &mut U64);

macro_rules! variables {
    ($($name:literal => $field:ident,)*) => {
        /// Variables of the kernel whose addresses the block holds, under the
        /// names that its public symbols have.
        const VARIABLES: &[Variable] = &[$(($name, |data| &mut data.$field),)*];
    };
}
variables! {
    "PsLoadedModuleList" => ps_loaded_module_list,
    "PsActiveProcessHead" => ps_active_process_head,
    "PspCidTable" => psp_cid_table,
    "ExpSystemResourcesList" => exp_system_resources_list,
    "ExpPagedPoolDescriptor" => exp_paged_pool_descriptor,
    "ExpNumberOfPagedPools" => exp_number_of_paged_pools,
    "KeTimeIncrement" => ke_time_increment,
    "KeBugCheckCallbackListHead" => ke_bug_check_callback_list_head,
    "KiBugCheckData" => ki_bugcheck_data,
    "KiBugcheckData" => ki_bugcheck_data,
    "IopErrorLogListHead" => iop_error_log_list_head,
    "ObpRootDirectoryObject" => obp_root_directory_object,
    "ObpTypeObjectType" => obp_type_object_type,
    "MmPfnDatabase" => mm_pfn_database,
    "MmSubsectionBase" => mm_subsection_base,
    "MmLowestPhysicalPage" => mm_lowest_physical_page,
    "MmHighestPhysicalPage" => mm_highest_physical_page,
    "MmNumberOfPhysicalPages" => mm_number_of_physical_pages,
    "PoolTrackTable" => pool_track_table,
    "NonPagedPoolDescriptor" => non_paged_pool_descriptor,
    "MmHighestUserAddress" => mm_highest_user_address,
    "MmSystemRangeStart" => mm_system_range_start,
    "MmUserProbeAddress" => mm_user_probe_address,
    "KdPrintWritePointer" => kd_print_write_pointer,
    "KdPrintRolloverCount" => kd_print_rollover_count,
    "MmLoadedUserImageList" => mm_loaded_user_image_list,
    "NtBuildLab" => nt_build_lab,
    "KiProcessorBlock" => ki_processor_block,
    "MmUnloadedDrivers" => mm_unloaded_drivers,
    "MmLastUnloadedDriver" => mm_last_unloaded_driver,
    "MmTriageActionTaken" => mm_triage_action_taken,
    "MmSpecialPoolTag" => mm_special_pool_tag,
    "KernelVerifier" => kernel_verifier,
    "MmVerifierData" => mm_verifier_data,
    "CmNtCSDVersion" => cm_nt_csd_version,
    "MmPhysicalMemoryBlock" => mm_physical_memory_block,
    "KdPrintCircularBuffer" => kd_print_circular_buffer_ptr,
    "KdPrintBufferSize" => kd_print_buffer_size,
    "KeLoaderBlock" => ke_loader_block,
    "IopNumTriageDumpDataBlocks" => iop_num_triage_dump_data_blocks,
    "IopTriageDumpDataBlocks" => iop_triage_dump_data_blocks,
    "VfCrashDataBlock" => vf_crash_data_block,
    "MmBadPagesDetected" => mm_bad_pages_detected,
    "EtwpDebuggerData" => etwp_debugger_data,
}

/// Those that the kernel exports.
const EXPORTED: [&str; 6] = [
    "PsLoadedModuleList",
    "MmHighestUserAddress",
    "MmSystemRangeStart",
    "MmUserProbeAddress",
    "NtBuildLab",
    "KeLoaderBlock",
];

/// A member of a structure, through structures in it, and the field that holds
/// its offset.
type Member = (&'static [(&'static str, &'static str)], fn(&mut DebuggerData) -> &mut U16);

/// Offsets that the block holds in 16 bits.
const MEMBERS: &[Member] = &[
    (&[("_KTHREAD", "NextProcessor")], |d| &mut d.offset_kthread_next_processor),
    (&[("_KTHREAD", "Teb")], |d| &mut d.offset_kthread_teb),
    (&[("_KTHREAD", "KernelStack")], |d| &mut d.offset_kthread_kernel_stack),
    (&[("_KTHREAD", "InitialStack")], |d| &mut d.offset_kthread_initial_stack),
    (&[("_KTHREAD", "ApcState"), ("_KAPC_STATE", "Process")], |d| {
        &mut d.offset_kthread_apc_process
    }),
    (&[("_KTHREAD", "State")], |d| &mut d.offset_kthread_state),
    (&[("_KTHREAD", "WaitReason")], |d| &mut d.offset_kthread_wait_reason),
    (&[("_EPROCESS", "Peb")], |d| &mut d.offset_eprocess_peb),
    (&[("_EPROCESS", "InheritedFromUniqueProcessId")], |d| &mut d.offset_eprocess_parent_cid),
    (&[("_KPROCESS", "DirectoryTableBase")], |d| &mut d.offset_eprocess_directory_table_base),
    (&[("_KPRCB", "DpcRoutineActive")], |d| &mut d.offset_prcb_dpc_routine),
    (&[("_KPRCB", "CurrentThread")], |d| &mut d.offset_prcb_current_thread),
    (&[("_KPRCB", "MHz")], |d| &mut d.offset_prcb_mhz),
    (&[("_KPRCB", "CpuType")], |d| &mut d.offset_prcb_cpu_type),
    (&[("_KPRCB", "VendorString")], |d| &mut d.offset_prcb_vendor_string),
    (&[("_KPRCB", "ProcessorState"), ("_KPROCESSOR_STATE", "ContextFrame")], |d| {
        &mut d.offset_prcb_proc_state_context
    }),
    (&[("_KPRCB", "ProcessorState"), ("_KPROCESSOR_STATE", "SpecialRegisters")], |d| {
        &mut d.offset_prcb_proc_state_special_reg
    }),
    (&[("_KPRCB", "Number")], |d| &mut d.offset_prcb_number),
    (&[("_KPRCB", "Context")], |d| &mut d.offset_prcb_context),
    (&[("_KPRCB", "IdleThread")], |d| &mut d.offset_prcb_idle_thread),
    (&[("_KPCR", "Self")], |d| &mut d.offset_pcr_self_pcr),
    (&[("_KPCR", "CurrentPrcb")], |d| &mut d.offset_pcr_current_prcb),
    (&[("_KPCR", "Prcb")], |d| &mut d.offset_pcr_contained_prcb),
];

/// A structure and the field that holds its size.
type Size = (&'static str, fn(&mut DebuggerData) -> &mut U16);

/// Sizes that the block holds.
const SIZES: &[Size] = &[
    ("_EPROCESS", |d| &mut d.size_eprocess),
    ("_ETHREAD", |d| &mut d.size_ethread),
    ("_KPRCB", |d| &mut d.size_prcb),
    ("_KPCR", |d| &mut d.size_pcr),
];

/// A member and the field that holds its offset in 32 bits.
type WideMember = ((&'static str, &'static str), fn(&mut DebuggerData) -> &mut U32);

/// Offsets that the block holds in 32 bits.
const WIDE_MEMBERS: &[WideMember] = &[
    (("_KTHREAD", "StackLimit"), |d| &mut d.offset_kthread_stack_limit),
    (("_KTHREAD", "StackBase"), |d| &mut d.offset_kthread_stack_base),
    (("_KTHREAD", "QueueListEntry"), |d| &mut d.offset_kthread_queue_list_entry),
    (("_ETHREAD", "IrpList"), |d| &mut d.offset_ethread_irp_list),
];

/// Bytes of an `EPROCESS` that are searched for its links.
const MAX_EPROCESS: usize = 0x1000;
/// Processes that a list of them can have.
const MAX_PROCESSES: usize = 65_536;

/// Whether a symbol's address goes into the block.
pub(in crate::target::machine) fn wants_symbol(name: &str) -> bool {
    VARIABLES.iter().any(|(wanted, _)| *wanted == name)
}

/// Whether members of a structure go into the block.
pub(in crate::target::machine) fn wants_type(name: &str) -> bool {
    let members = MEMBERS.iter().flat_map(|(path, _)| *path).map(|(structure, _)| structure);
    let wide = WIDE_MEMBERS.iter().map(|((structure, _), _)| structure);
    let sized = SIZES.iter().map(|(structure, _)| structure);
    members.chain(wide).chain(sized).any(|wanted| *wanted == name)
}

/// Bytes of the block of a build: what the oldest kernels of each have, since a
/// block that is longer than the kernel's would cover what stands behind it.
pub(super) fn size(build: u32) -> u32 {
    match build {
        ..9200 => 0x340,
        9200..10240 => 0x360,
        10240..18362 => 0x368,
        _ => 0x380,
    }
}

/// Makes the block.
pub(super) fn make(
    space: &AddressSpace<'_>,
    kernel: &KernelImage,
    symbols: Option<&KernelSymbols>,
    snapshot: &MachineSnapshot,
) -> DebuggerData {
    let mut data = DebuggerData::new_zeroed();
    data.header.owner_tag = DEBUGGER_DATA_TAG.into();
    data.header.size = size(snapshot.build).into();
    data.kern_base = kernel.base().0.into();
    data.mm_page_size = PAGE_SIZE.into();
    fixed(&mut data);
    for name in EXPORTED {
        set(&mut data, name, kernel.export(space, name));
    }
    if let Some(symbols) = symbols {
        for (name, field) in VARIABLES {
            if let Some(at) = symbols.address(kernel.base(), name) {
                *field(&mut data) = at.0.into();
            }
        }
        from_types(symbols, &mut data);
    }
    if data.ki_processor_block.get() == 0 {
        data.ki_processor_block = processor_block(space, kernel, snapshot).unwrap_or(0).into();
    }
    from_processes(space, kernel, snapshot, &mut data);
    data
}

fn set(data: &mut DebuggerData, name: &str, at: Option<Gva>) {
    let field = VARIABLES.iter().find(|(variable, _)| *variable == name);
    if let (Some((_, field)), Some(at)) = (field, at) {
        *field(data) = at.0.into();
    }
}

/// What is the same in every kernel of x86-64.
fn fixed(data: &mut DebuggerData) {
    let low = |offset: u64| U16::new(offset as u16);
    data.offset_pcr_self_pcr = low(KPCR_SELF);
    data.offset_pcr_current_prcb = low(KPCR_CURRENT_PRCB);
    data.offset_pcr_contained_prcb = low(KPCR_PRCB);
    data.offset_prcb_current_thread = low(KPRCB_CURRENT_THREAD);
    data.gdt_r0_code = GDT64_R0_CODE.into();
    data.gdt_r0_data = GDT64_R0_DATA.into();
    data.gdt_r3_code = GDT64_R3_CODE.into();
    data.gdt_r3_data = GDT64_R3_DATA.into();
    data.gdt_tss = GDT64_TSS.into();
    data.gdt64_r3_cm_code = GDT64_R3_CM_CODE.into();
    data.gdt64_r3_cm_teb = GDT64_R3_CM_TEB.into();
}

/// What the types of the symbols tell.
fn from_types(symbols: &KernelSymbols, data: &mut DebuggerData) {
    for (path, field) in MEMBERS {
        let offsets = path.iter().map(|(structure, member)| symbols.member(structure, member));
        let offset = offsets.sum::<Option<u32>>().and_then(|offset| u16::try_from(offset).ok());
        if let Some(offset) = offset {
            *field(data) = offset.into();
        }
    }
    for ((structure, member), field) in WIDE_MEMBERS {
        if let Some(offset) = symbols.member(structure, member) {
            *field(data) = offset.into();
        }
    }
    for (structure, field) in SIZES {
        let size = symbols.size(structure).and_then(|size| u16::try_from(size).ok());
        if let Some(size) = size {
            *field(data) = size.into();
        }
    }
}

/// `KiProcessorBlock`: where the kernel has the `KPRCB`s of all processors that
/// the registers lead to, one after the other and nothing behind them. There
/// must be one such place.
fn processor_block(
    space: &AddressSpace<'_>,
    kernel: &KernelImage,
    snapshot: &MachineSnapshot,
) -> Option<u64> {
    let prcbs: Option<Vec<u64>> =
        snapshot.processors.iter().map(|processor| processors::prcb_of(space, processor)).collect();
    let prcbs = prcbs.filter(|prcbs| !prcbs.is_empty())?;
    let mut found = None;
    let mut page = vec![0; PAGE_SIZE as usize];
    for at in kernel.pages() {
        if !space.read(Gva(at), &mut page) {
            continue;
        }
        let (words, _) = page.as_chunks::<8>();
        for (index, word) in words.iter().enumerate() {
            let place = at + 8 * index as u64;
            if u64::from_le_bytes(*word) != prcbs[0] || is_in_region(place, &prcbs) {
                continue;
            }
            let follow = (1..=prcbs.len()).all(|next| {
                let there =
                    place.checked_add(8 * next as u64).and_then(|at| space.read_u64(Gva(at)));
                there == Some(prcbs.get(next).copied().unwrap_or(0))
            });
            match (follow, found) {
                (true, None) => found = Some(place),
                (true, Some(_)) => return None,
                (false, _) => {}
            }
        }
    }
    found
}

/// Whether an address is in a processor's own region, which names itself.
fn is_in_region(place: u64, prcbs: &[u64]) -> bool {
    prcbs.iter().any(|prcb| place.abs_diff(*prcb) < 0x1_0000)
}

/// The list of processes: `PsActiveProcessHead`, and what of the offsets in a
/// process the list itself proves.
fn from_processes(
    space: &AddressSpace<'_>,
    kernel: &KernelImage,
    snapshot: &MachineSnapshot,
    data: &mut DebuggerData,
) {
    let system = kernel.export(space, "PsInitialSystemProcess").and_then(|at| space.read_u64(at));
    let Some(system) = system.filter(|system| *system != 0) else { return };
    let table = system.checked_add(KPROCESS_DIRECTORY_TABLE_BASE).map(Gva);
    let table = table.and_then(|at| space.read_u64(at));
    if data.offset_eprocess_directory_table_base.get() == 0
        && table.is_some_and(|table| super::shared_data::is_there(&space.other(table)))
    {
        data.offset_eprocess_directory_table_base = (KPROCESS_DIRECTORY_TABLE_BASE as u16).into();
    }
    let Some((head, links, processes)) = process_list(space, kernel, system) else { return };
    if data.ps_active_process_head.get() == 0 {
        data.ps_active_process_head = head.into();
    }
    // Of the places where kernels have it, the one where every thread that runs
    // has a process of the list.
    let threads: Vec<u64> = snapshot
        .processors
        .iter()
        .filter_map(|processor| processors::prcb_of(space, processor))
        .filter_map(|prcb| space.read_u64(Gva(prcb.checked_add(KPRCB_CURRENT_THREAD)?)))
        .collect();
    let is_of_list = |offset: u64| {
        threads.iter().all(|thread| {
            let process = thread.checked_add(offset).and_then(|at| space.read_u64(Gva(at)));
            process
                .and_then(|process| process.checked_add(links))
                .is_some_and(|l| processes.contains(&l))
        })
    };
    if data.offset_kthread_apc_process.get() == 0 && !threads.is_empty() {
        let offset = KTHREAD_APC_PROCESS.into_iter().find(|offset| is_of_list(*offset));
        data.offset_kthread_apc_process = (offset.unwrap_or(0) as u16).into();
    }
}

/// Finds the list that the system process is in behind its id: its head in the
/// kernel's image, where in a process the links are, and all links.
fn process_list(
    space: &AddressSpace<'_>,
    kernel: &KernelImage,
    system: u64,
) -> Option<(u64, u64, Vec<u64>)> {
    let mut bytes = vec![0; MAX_EPROCESS];
    // As much of it as is there: it may end where pages do.
    let readable = (0..MAX_EPROCESS).step_by(8).take_while(|offset| {
        let word = system.checked_add(*offset as u64).and_then(|at| space.read_u64(Gva(at)));
        word.is_some_and(|word| {
            bytes[*offset..*offset + 8].copy_from_slice(&word.to_le_bytes());
            true
        })
    });
    let count = readable.count();
    let word =
        |index: usize| bytes[8 * index..].first_chunk().map_or(0, |w| u64::from_le_bytes(*w));
    (1..count.saturating_sub(1)).filter(|index| word(index - 1) == SYSTEM_PROCESS_ID).find_map(
        |index| {
            let links = 8 * index as u64;
            // The system process is the first, so that the head is before it.
            let head = word(index + 1);
            let first = system + links;
            (kernel.holds(head) && space.read_u64(Gva(head)) == Some(first)).then_some(())?;
            let mut all = vec![first];
            let mut at = first;
            loop {
                let next = space.read_u64(Gva(at))?;
                let back = next.checked_add(8).and_then(|back| space.read_u64(Gva(back)))?;
                if back != at || all.len() > MAX_PROCESSES {
                    return None;
                }
                if next == head {
                    return Some((head, links, all));
                }
                all.push(next);
                at = next;
            }
        },
    )
}

/// Where a dump has the block: at its home if memory has a page there; else in
/// the padding behind the section headers, or behind a section, of the kernel's
/// image, in the first that has room and is zero. No variable's bytes change.
pub(super) fn place(
    space: &AddressSpace<'_>,
    kernel: &KernelImage,
    home: Option<Gva>,
    len: usize,
) -> Option<Gva> {
    if let Some(home) = home.filter(|home| space.read_bytes(*home, len).is_some()) {
        return Some(home);
    }
    kernel.paddings(space).into_iter().find_map(|(start, end)| {
        let start = start.checked_next_multiple_of(16)?;
        (end.checked_sub(start)? >= len as u64).then_some(())?;
        let bytes = space.read_bytes(Gva(start), len)?;
        bytes.iter().all(|byte| *byte == 0).then_some(Gva(start))
    })
}

/// The block's bytes, as many as it says.
pub(super) fn bytes(data: &DebuggerData) -> Vec<u8> {
    let len = (data.header.size.get() as usize).min(size_of::<DebuggerData>());
    data.as_bytes()[..len].to_vec()
}
