//! The small dump: the structures of the current processor, its stack, the
//! lists of drivers, and the memory around what registers, bug check and stack
//! point to.

mod blocks;
mod memory;

use super::edits::Edits;
use super::select::{Machine, padded};
use crate::soft_error::SoftError;
pub use crate::target::machine::{Driver, SmallDump as TriagePlan};
use crate::target::machine::{Gva, KernelModule, PAGE_SIZE, ProcessorSnapshot};
use dumpwright_format::kernel::{DebuggerData, KldrDataTableEntry64};
use memory::KernelMemory;

/// The most that a stack is: kernels have 24 KiB, and 72 KiB for large ones.
const MAX_STACK: u64 = 0x20_000;
/// Build of the first Windows 10.
const FIRST_WINDOWS_10: u32 = 10240;

/// Plans a small dump.
pub fn plan(machine: &Machine<'_>, edits: &Edits, soft_errors: &mut Vec<SoftError>) -> TriagePlan {
    let memory = KernelMemory {
        space: machine.kernel_space(),
        user: machine.user_memory(soft_errors).pages,
        edits,
    };
    let snapshot = machine.snapshot;
    let data = machine.debugger_data();
    let none = ProcessorSnapshot::default();
    let current = snapshot.processors.get(snapshot.current_processor).unwrap_or(&none);
    let mut whole = |what: &str, address: Gva, size: u16| {
        let bytes =
            (address.0 != 0 && size != 0).then(|| memory.read(address, size.into())).flatten();
        if bytes.is_none() {
            soft_errors.push(SoftError::new(
                what,
                format!("it could not be read at {address} ({size} bytes, by KDBG)"),
            ));
        }
        bytes.unwrap_or_default()
    };
    let size = |of: fn(&DebuggerData) -> u16| data.as_ref().map_or(0, of);
    let mut plan = TriagePlan {
        prcb: whole("KPRCB", current.prcb, size(|d| d.size_prcb.get())),
        process: whole("EPROCESS", current.current_process, size(|d| d.size_eprocess.get())),
        thread: whole("ETHREAD", current.current_thread, size(|d| d.size_ethread.get())),
        debugger_data: snapshot
            .debugger_data_block
            .clone()
            .or_else(|| snapshot.decoded_debugger_data.clone())
            .unwrap_or_default(),
        drivers: snapshot.modules.iter().map(|m| driver(&memory, m, snapshot.build)).collect(),
        unloaded: snapshot.unloaded_modules.clone(),
        ..TriagePlan::default()
    };
    if plan.debugger_data.is_empty() {
        soft_errors.push(SoftError::new("KDBG", "it is not known and not in the dump"));
    }
    let stack = current_stack(&memory, snapshot.bug_check.is_some(), current, &plan, data.as_ref());
    match stack {
        Some((start, bytes)) => (plan.stack_start, plan.stack) = (start, bytes),
        None => soft_errors.push(SoftError::new("stack", "no kernel stack was found")),
    }
    plan.blocks = blocks::blocks(machine, &memory, current, &plan, soft_errors);
    plan
}

/// The stack of the current processor. After a bug check the registers can be
/// those of the exception, and the stack goes on below, to where `KeBugCheckEx`
/// was called.
fn current_stack(
    memory: &KernelMemory<'_>,
    crashed: bool,
    current: &ProcessorSnapshot,
    plan: &TriagePlan,
    data: Option<&DebuggerData>,
) -> Option<(Gva, Vec<u8>)> {
    let stack = stack_of(memory, current, &plan.thread, data)?;
    let saved = data
        .filter(|_| crashed)
        .and_then(|data| blocks::saved_context(memory, current, data))
        .and_then(|(_, saved)| stack_from(memory, saved.rsp.get(), &plan.thread, data));
    let end = |(start, bytes): &(Gva, Vec<u8>)| start.0 + bytes.len() as u64;
    Some(match saved {
        Some(saved) if end(&saved) == end(&stack) && saved.0 < stack.0 => saved,
        _ => stack,
    })
}

/// The stack of a processor, from the stack pointer to its base.
fn stack_of(
    memory: &KernelMemory<'_>,
    current: &ProcessorSnapshot,
    thread: &[u8],
    data: Option<&DebuggerData>,
) -> Option<(Gva, Vec<u8>)> {
    // A processor in user mode has its kernel stack where the thread says.
    let pointer = if memory.is_kernel(current.stack_pointer) {
        current.stack_pointer
    } else {
        data.and_then(|d| field(thread, d.offset_kthread_kernel_stack.get().into()))?
    };
    stack_from(memory, pointer, thread, data)
}

/// A word of a structure.
fn field(bytes: &[u8], offset: u64) -> Option<u64> {
    let at = usize::try_from(offset).ok().filter(|at| *at != 0)?;
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// The stack from a pointer to its base.
fn stack_from(
    memory: &KernelMemory<'_>,
    pointer: u64,
    thread: &[u8],
    data: Option<&DebuggerData>,
) -> Option<(Gva, Vec<u8>)> {
    let base = data.and_then(|d| {
        field(thread, d.offset_kthread_stack_base.get().into())
            .filter(|base| *base != 0)
            // The initial stack lies below the base by what is saved there.
            .or_else(|| field(thread, d.offset_kthread_initial_stack.get().into()))
            .and_then(|base| base.checked_next_multiple_of(PAGE_SIZE))
    });
    let start = Some(pointer & !7).filter(|start| memory.is_kernel(*start))?;
    let end = match base {
        Some(base) if start < base && base - start <= MAX_STACK => base,
        // A stack of interrupts or deferred calls: as far as pages go on.
        _ => start.checked_add(MAX_STACK)?,
    };
    let mut readable = start;
    while readable < end && memory.holds(Gva(readable)) {
        readable = (readable / PAGE_SIZE).checked_add(1)?.checked_mul(PAGE_SIZE)?;
    }
    let len = readable.min(end).checked_sub(start).filter(|len| *len > 0)?;
    memory.read(Gva(start), len as usize).map(|bytes| (Gva(start), bytes))
}

fn driver(memory: &KernelMemory<'_>, module: &KernelModule, build: u32) -> Driver {
    let entry: KldrDataTableEntry64 = padded(&module.entry_bytes);
    let stamp_in_entry = module
        .entry_bytes
        .get(0x9C..0xA0)
        .and_then(|b| b.try_into().ok())
        .map(u32::from_le_bytes)
        .filter(|stamp| *stamp != 0);
    let image = image_stamps(memory, module.base);
    Driver {
        base: module.base,
        size: module.size,
        check_sum: match entry.check_sum.get() {
            0 => image.map_or(0, |(_, sum)| sum),
            stated => stated,
        },
        // Entries have it since Windows 10 for certain; before that the image's
        // headers are asked first.
        time_date_stamp: stamp_in_entry
            .filter(|_| build >= FIRST_WINDOWS_10)
            .or(image.map(|(stamp, _)| stamp))
            .or(stamp_in_entry)
            .unwrap_or(entry.time_date_stamp.get()),
        name: module.name.clone(),
    }
}

/// Time stamp and checksum that the headers of an image have.
fn image_stamps(memory: &KernelMemory<'_>, base: Gva) -> Option<(u32, u32)> {
    let page = memory.read(base, PAGE_SIZE as usize)?;
    let word = |at: usize| {
        page.get(at..at.checked_add(4)?).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes)
    };
    if !page.starts_with(b"MZ") {
        return None;
    }
    let header = word(0x3C)? as usize;
    let signature = u32::from_le_bytes(*b"PE\0\0");
    (word(header)? == signature).then_some(())?;
    Some((word(header + 8)?, word(header + 0x58)?))
}
