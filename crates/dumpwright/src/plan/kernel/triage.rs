//! The small dump: the structures of the current processor, its stack, the
//! lists of drivers, and the memory around what registers, bug check and stack
//! point to.

use super::edits::Edits;
use super::page_set::PageSet;
use super::paging::{AddressSpace, Half};
use super::select::{Machine, padded};
use crate::address::{AddressRange, RangeSet};
use crate::soft_error::SoftError;
pub use crate::target::machine::{Driver, SmallDump as TriagePlan};
use crate::target::machine::{Gva, KernelModule, PAGE_SIZE, ProcessorSnapshot};
use dumpwright_format::context::amd64::ContextAmd64;
use dumpwright_format::kernel::{DebuggerData, KldrDataTableEntry64};
use std::collections::HashSet;

/// The most that a stack is: kernels have 24 KiB, and 72 KiB for large ones.
const MAX_STACK: u64 = 0x20_000;
/// Memory from where a register, parameter or word of the stack points to: real
/// dumps have this much, beginning at the address itself.
const BLOCK: u64 = 256;
/// How often pointers are followed: what a register points to, what that points
/// to, and so on.
const MAX_DEPTH: usize = 10;
/// Blocks that are taken for pointers.
const MAX_POINTERS: usize = 4096;
/// Build of the first Windows 10.
const FIRST_WINDOWS_10: u32 = 10240;
/// Processors whose structures are taken.
const MAX_PROCESSORS: usize = 64;

/// Kernel memory, without the pages of programs, and edited as a debugger needs
/// it.
struct KernelMemory<'a> {
    space: AddressSpace<'a>,
    user: PageSet,
    edits: &'a Edits,
}

impl KernelMemory<'_> {
    fn holds(&self, page: Gva) -> bool {
        self.space.half(page) == Some(Half::Kernel)
            && self.space.translate(page).is_some_and(|at| !self.user.contains(at.pfn()))
    }

    fn read(&self, address: Gva, len: usize) -> Option<Vec<u8>> {
        let end = address.0.checked_add(len as u64)?;
        let first = address.0 / PAGE_SIZE * PAGE_SIZE;
        let held = (first..end).step_by(PAGE_SIZE as usize).all(|page| self.holds(Gva(page)));
        let mut bytes = held.then(|| self.space.read_vec(address, len)).flatten()?;
        let mut done = 0;
        while done < len {
            let at = self.space.translate(Gva(address.0 + done as u64))?;
            let here = (len - done).min((PAGE_SIZE - at.offset()) as usize);
            self.edits.apply_within(at, &mut bytes[done..done + here]);
            done += here;
        }
        Some(bytes)
    }

    fn read_u64(&self, address: Gva) -> Option<u64> {
        let bytes = self.read(address, 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }
}

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
    match stack_of(&memory, current, &plan.thread, data.as_ref()) {
        Some((start, bytes)) => (plan.stack_start, plan.stack) = (start, bytes),
        None => soft_errors.push(SoftError::new("stack", "no kernel stack was found")),
    }
    plan.blocks = blocks(machine, &memory, current, data.as_ref(), &plan);
    plan
}

/// The stack from the stack pointer to its base.
fn stack_of(
    memory: &KernelMemory<'_>,
    current: &ProcessorSnapshot,
    thread: &[u8],
    data: Option<&DebuggerData>,
) -> Option<(Gva, Vec<u8>)> {
    let field = |offset: u64| -> Option<u64> {
        let at = usize::try_from(offset).ok().filter(|at| *at != 0)?;
        let bytes = thread.get(at..at.checked_add(8)?)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    let base = data.and_then(|d| {
        field(d.offset_kthread_stack_base.get().into())
            .filter(|base| *base != 0)
            // The initial stack lies below the base by what is saved there.
            .or_else(|| field(d.offset_kthread_initial_stack.get().into()))
            .map(|base| base.next_multiple_of(PAGE_SIZE))
    });
    let kernel = |address: u64| memory.space.half(Gva(address)) == Some(Half::Kernel);
    // A processor in user mode has its kernel stack where the thread says.
    let pointer = if kernel(current.stack_pointer) {
        current.stack_pointer
    } else {
        data.and_then(|d| field(d.offset_kthread_kernel_stack.get().into()))
            .filter(|pointer| kernel(*pointer))?
    };
    let start = pointer & !7;
    let end = match base {
        Some(base) if start < base && base - start <= MAX_STACK => base,
        // A stack of interrupts or deferred calls: as far as pages go on.
        _ => start.checked_add(MAX_STACK)?,
    };
    let mut readable = start;
    while readable < end && memory.holds(Gva(readable)) {
        readable = (readable / PAGE_SIZE + 1) * PAGE_SIZE;
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

/// Pieces of memory that a debugger will ask for.
fn blocks(
    machine: &Machine<'_>,
    memory: &KernelMemory<'_>,
    current: &ProcessorSnapshot,
    data: Option<&DebuggerData>,
    plan: &TriagePlan,
) -> Vec<(Gva, Vec<u8>)> {
    let stack = &plan.stack[..];
    let snapshot = machine.snapshot;
    let mut wanted: Vec<AddressRange> = Vec::new();
    let mut want = |address: u64, len: u64| {
        if let (Some(end), true) = (address.checked_add(len), address != 0) {
            wanted.push(AddressRange::new(address, end));
        }
    };
    if let Some(data) = data {
        let processors = snapshot.processors.len().clamp(1, MAX_PROCESSORS);
        want(data.ki_processor_block.get(), 8 * processors as u64);
        want(data.nt_build_lab.get(), 128);
        want(data.ki_bugcheck_data.get(), 40);
        want(snapshot.debugger_data.0, data.header.size.get().into());
        for processor in snapshot.processors.iter().take(MAX_PROCESSORS) {
            want(processor.prcb.0, data.size_prcb.get().into());
            want(processor.current_thread.0, data.size_ethread.get().into());
            want(processor.current_process.0, data.size_eprocess.get().into());
            let at = Gva(processor.prcb.0.saturating_add(data.offset_prcb_context.get().into()));
            if let Some(context) = memory.read_u64(at).filter(|_| processor.prcb.0 != 0) {
                want(context, size_of::<ContextAmd64>() as u64);
            }
        }
    }
    want(snapshot.loaded_module_list.0, 16);
    want(snapshot.active_process_head.0, 16);
    let context: ContextAmd64 = padded(&current.context);
    let registers = [
        context.rax,
        context.rbx,
        context.rcx,
        context.rdx,
        context.rsi,
        context.rdi,
        context.rbp,
        context.r8,
        context.r9,
        context.r10,
        context.r11,
        context.r12,
        context.r13,
        context.r14,
        context.r15,
        context.rip,
        context.rsp,
    ];
    let parameters = snapshot.bug_check.map(|b| b.parameters).unwrap_or_default();
    // The code that was running, and all around what the bug check names.
    for address in parameters.into_iter().chain([context.rip.get()]) {
        want(address / PAGE_SIZE * PAGE_SIZE, PAGE_SIZE);
    }
    if let Some(data) = data {
        for other in snapshot.processors.iter().take(MAX_PROCESSORS) {
            let thread = memory.read(other.current_thread, data.size_ethread.get().into());
            if let Some((start, bytes)) =
                thread.and_then(|thread| stack_of(memory, other, &thread, Some(data)))
            {
                want(start.0, bytes.len() as u64);
            }
        }
    }
    let mut roots: Vec<u64> = registers.iter().map(|r| r.get()).chain(parameters).collect();
    for bytes in [stack, &plan.thread, &plan.process, &plan.prcb] {
        roots.extend(words_of(bytes));
    }
    for address in pointed_to(memory, roots) {
        want(address, BLOCK);
    }
    readable_parts(memory, wanted)
}

fn words_of(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.as_chunks::<8>().0.iter().map(|w| u64::from_le_bytes(*w))
}

/// What `roots` point to in the kernel, what that points to, and so on: the
/// nearest first, up to [`MAX_POINTERS`].
fn pointed_to(memory: &KernelMemory<'_>, roots: Vec<u64>) -> Vec<u64> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut level = roots;
    for _ in 0..MAX_DEPTH {
        let mut next = Vec::new();
        for address in level {
            if found.len() == MAX_POINTERS {
                return found;
            }
            if !seen.insert(address) || !memory.holds(Gva(address)) {
                continue;
            }
            found.push(address);
            let in_page = BLOCK.min(PAGE_SIZE - address % PAGE_SIZE);
            if let Some(bytes) = memory.read(Gva(address), in_page as usize) {
                next.extend(words_of(&bytes));
            }
        }
        level = next;
    }
    found
}

/// The parts of ranges that the kernel has, in order and without overlaps.
fn readable_parts(memory: &KernelMemory<'_>, wanted: Vec<AddressRange>) -> Vec<(Gva, Vec<u8>)> {
    let mut parts = RangeSet::default();
    for range in wanted {
        let mut at = range.start;
        while at < range.end {
            let end = (at / PAGE_SIZE).saturating_add(1).saturating_mul(PAGE_SIZE).min(range.end);
            if memory.holds(Gva(at)) {
                parts.insert(AddressRange::new(at, end));
            }
            if end <= at {
                break;
            }
            at = end;
        }
    }
    parts
        .ranges()
        .iter()
        .filter_map(|range| {
            let bytes = memory.read(Gva(range.start), range.len() as usize)?;
            Some((Gva(range.start), bytes))
        })
        .collect()
}
