//! Processors as the kernel knows them.

use crate::soft_error::SoftError;
use crate::target::machine::{
    AddressSpace, ControlRegisters, Gva, MachineSnapshot, ProcessorSnapshot,
};
use dumpwright_format::context::amd64::ContextAmd64;
use dumpwright_format::kernel::{self, DebuggerData, ExceptionRecord64};
use dumpwright_format::machine::windows::{
    KPCR_CURRENT_PRCB, KPCR_PRCB, KPCR_SELF, KPRCB_CURRENT_THREAD,
};
use zerocopy::little_endian::{U16, U64};
use zerocopy::{FromZeros, IntoBytes};

/// Of ntstatus.h and winnt.h.
const STATUS_BREAKPOINT: u32 = 0x8000_0003;
const EXCEPTION_NONCONTINUABLE: u32 = 1;
/// Bug check code of what did not crash.
const LIVE_SYSTEM_DUMP: u32 = 0x161;
/// Bits of a bug check code that say what happened.
const BUG_CHECK_CODE: u32 = 0x0fff_ffff;
/// Processors that a Windows can have.
const MAX_PROCESSORS: usize = 2048;

/// Fills in what the kernel has of each processor.
pub(super) fn fill(space: &AddressSpace<'_>, data: &DebuggerData, snapshot: &mut MachineSnapshot) {
    let blocks = processor_block(space, data);
    if snapshot.processors.is_empty() && !blocks.is_empty() {
        snapshot.processors = blocks.iter().map(|prcb| saved(space, data, *prcb)).collect();
        snapshot.soft_errors.push(SoftError::new(
            "processors",
            "the image has no registers; those in the dump are what the kernel stored when each processor was last stopped",
        ));
    }
    let contained = match u64::from(data.offset_pcr_contained_prcb.get()) {
        0 => KPCR_PRCB,
        offset => offset,
    };
    for (index, processor) in snapshot.processors.iter_mut().enumerate() {
        let by_registers = processor.control.and_then(|control| region(space, &control));
        let prcb = by_registers.map(|pcr| pcr.saturating_add(contained));
        // Sources list processors in the order of their numbers.
        let Some(prcb) = prcb.or_else(|| blocks.get(index).copied()) else { continue };
        if processor.context.iter().all(|byte| *byte == 0) {
            let kept = saved(space, data, prcb);
            processor.context = kept.context;
            processor.instruction_pointer = kept.instruction_pointer;
            processor.stack_pointer = kept.stack_pointer;
            processor.control = processor.control.or(kept.control);
        }
        processor.prcb = Gva(prcb);
        processor.pcr = Gva(prcb.saturating_sub(contained));
        let read = |at: u64, offset: u64| {
            at.checked_add(offset).and_then(|at| space.read_u64(Gva(at))).map(Gva)
        };
        let thread = read(prcb, KPRCB_CURRENT_THREAD).unwrap_or_default();
        processor.current_thread = thread;
        let offset = u64::from(data.offset_kthread_apc_process.get());
        if offset != 0 && thread.0 != 0 {
            processor.current_process = read(thread.0, offset).unwrap_or_default();
        }
    }
    order_by_block(&blocks, snapshot);
    if let Some((crashed, kept)) = crashed(space, data, snapshot) {
        snapshot.current_processor = crashed;
        snapshot.exception = Some(raised_at(kept.rip.get()).as_bytes().to_vec());
    }
    let missing = blocks.len().saturating_sub(snapshot.processors.len());
    if missing != 0 {
        snapshot.soft_errors.push(SoftError::new(
            "processors",
            format!("the kernel has {missing} processors more than the source has registers of"),
        ));
    }
}

/// The `KPRCB` that a processor's registers lead to.
pub(super) fn prcb_of(space: &AddressSpace<'_>, processor: &ProcessorSnapshot) -> Option<u64> {
    region(space, &processor.control?)?.checked_add(KPCR_PRCB)
}

/// Addresses of all `KPRCB`s.
fn processor_block(space: &AddressSpace<'_>, data: &DebuggerData) -> Vec<u64> {
    let base = data.ki_processor_block.get();
    if base == 0 {
        return Vec::new();
    }
    let prcbs = (0..MAX_PROCESSORS as u64).map_while(|index| {
        let at = base.checked_add(8 * index)?;
        space.read_u64(Gva(at)).filter(|prcb| prcb >> 47 == 0x1_ffff)
    });
    let mut seen: Vec<u64> = Vec::new();
    for prcb in prcbs {
        if seen.contains(&prcb) {
            break;
        }
        seen.push(prcb);
    }
    seen
}

/// The `KPCR` that a processor's registers lead to: GS base in the kernel, the
/// other one in a program.
pub(super) fn region(space: &AddressSpace<'_>, control: &ControlRegisters) -> Option<u64> {
    [control.gs_base, control.kernel_gs_base].into_iter().find(|base| {
        let read = |offset: u64| base.checked_add(offset).and_then(|at| space.read_u64(Gva(at)));
        base >> 47 == 0x1_ffff
            && read(KPCR_SELF) == Some(*base)
            && read(KPCR_CURRENT_PRCB).is_some_and(|prcb| prcb >> 47 == 0x1_ffff)
    })
}

/// Puts processors into the kernel's order, where all of them are in it.
fn order_by_block(blocks: &[u64], snapshot: &mut MachineSnapshot) {
    let place = |processor: &ProcessorSnapshot| blocks.iter().position(|p| *p == processor.prcb.0);
    if snapshot.processors.iter().all(|processor| place(processor).is_some()) {
        snapshot.processors.sort_by_key(place);
    }
}

/// The exception that headers of crashed kernels have: a breakpoint where
/// `KeBugCheckEx` begins, as in `triage_x64.dmp`.
fn raised_at(address: u64) -> ExceptionRecord64 {
    let mut record = ExceptionRecord64::new_zeroed();
    kernel::fill(record.as_mut_bytes());
    record.exception_code = STATUS_BREAKPOINT.into();
    record.exception_flags = EXCEPTION_NONCONTINUABLE.into();
    record.exception_record = 0.into();
    record.exception_address = address.into();
    record.number_parameters = 0.into();
    record
}

/// The processor that raised the bug check, and what it kept: `KeBugCheckEx` keeps the registers
/// that it was called with, and of those RCX, RDX, R8 and R9 are the code and the
/// first parameters, as in `triage_x64.dmp`.
fn crashed(
    space: &AddressSpace<'_>,
    data: &DebuggerData,
    snapshot: &MachineSnapshot,
) -> Option<(usize, ContextAmd64)> {
    let bug_check = snapshot.bug_check.filter(|bug_check| bug_check.code != LIVE_SYSTEM_DUMP)?;
    let [first, second, third, _] = bug_check.parameters;
    // Headers mark codes of small dumps in the upper bits.
    let code = |code: u32| code & BUG_CHECK_CODE;
    let raised = |context: &ContextAmd64| {
        code(context.rcx.get() as u32) == code(bug_check.code)
            && [context.rdx, context.r8, context.r9].map(U64::get) == [first, second, third]
    };
    snapshot.processors.iter().enumerate().find_map(|(index, processor)| {
        let prcb = Some(processor.prcb.0).filter(|prcb| *prcb != 0)?;
        Some((index, contexts(space, data, prcb).find(raised)?))
    })
}

/// The contexts that the kernel keeps of a processor: that which `KPRCB.Context`
/// points to, since Windows 8, and that in `KPRCB.ProcessorState`.
fn contexts<'s>(
    space: &'s AddressSpace<'_>,
    data: &DebuggerData,
    prcb: u64,
) -> impl Iterator<Item = ContextAmd64> + use<'s> {
    let at = |offset: U16| {
        let offset = u64::from(offset.get());
        prcb.checked_add(offset).filter(|_| offset != 0).map(Gva)
    };
    let pointed = at(data.offset_prcb_context).and_then(|at| space.read_u64(at)).map(Gva);
    let places = [pointed, at(data.offset_prcb_proc_state_context)];
    places.into_iter().flatten().filter_map(|at| space.read_as::<ContextAmd64>(at))
}

/// A processor as the kernel saved it.
fn saved(space: &AddressSpace<'_>, data: &DebuggerData, prcb: u64) -> ProcessorSnapshot {
    let context = contexts(space, data, prcb).find(|context| context.rip.get() != 0);
    // `KSPECIAL_REGISTERS` begins with CR0, CR2, CR3, CR4.
    let special = data.offset_prcb_proc_state_special_reg.get();
    let special = prcb.checked_add(special.into()).filter(|_| special != 0);
    let special = special.and_then(|at| space.read_as::<[U64; 4]>(Gva(at)));
    let control = special.map(|registers| {
        let [cr0, cr2, cr3, cr4] = registers.map(U64::get);
        ControlRegisters { cr0, cr2, cr3, cr4, ..ControlRegisters::default() }
    });
    ProcessorSnapshot {
        context: context.map(|context| context.as_bytes().to_vec()).unwrap_or_default(),
        instruction_pointer: context.map_or(0, |context| context.rip.get()),
        stack_pointer: context.map_or(0, |context| context.rsp.get()),
        control,
        ..ProcessorSnapshot::default()
    }
}
