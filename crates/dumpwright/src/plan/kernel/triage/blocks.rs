//! Which pieces of memory a small dump has besides its structures.
//!
//! Windows' own rules are not documented. These were found in `triage_x64.dmp`,
//! each of whose 1,831 blocks one of them explains:
//!
//! 1. of each processor: its `KPRCB`, the context that this points to, and the
//!    stack from there to its base;
//! 2. variables of the kernel that KDBG names;
//! 3. what the kernel and its drivers registered for small dumps
//!    (`IopTriageDumpDataBlocks`: an array of start and end);
//! 4. the whole pages that the bug check's parameters, the instruction pointer
//!    and each register of the context that `KeBugCheckEx` saved are in, and the
//!    entries that map them;
//! 5. 256 bytes from where each register and each word of stack, `ETHREAD` and
//!    `EPROCESS` points to, from where the words of those point to, and once more.

use super::memory::KernelMemory;
use super::{TriagePlan, stack_from, stack_of};
use crate::address::{AddressRange, RangeSet};
use crate::plan::kernel::select::{Machine, padded};
use crate::soft_error::SoftError;
use crate::target::machine::{Gva, MachineArchitecture, PAGE_SIZE, ProcessorSnapshot};
use dumpwright_format::context::amd64::{CONTEXT_AMD64, CONTEXT_XSTATE, ContextAmd64};
use dumpwright_format::context::xstate::ContextEx;
use dumpwright_format::kernel::DebuggerData;
use std::collections::HashSet;
use zerocopy::FromBytes;

/// Memory from where a pointer points to, beginning at the address itself.
const POINTED_TO: u64 = 256;
/// How often pointers are followed.
const MAX_DEPTH: usize = 3;
/// Pointers that are followed at most, the nearest first: 2 MiB of memory.
const MAX_POINTERS: usize = 8192;
/// Processors whose structures are taken.
const MAX_PROCESSORS: usize = 64;
/// Registered blocks, and bytes of all of them, that are taken.
const MAX_REGISTERED: u64 = 1024;
const MAX_REGISTERED_BYTES: u64 = 8 << 20;
/// What an extended context can be at most.
const MAX_CONTEXT: u32 = 16 << 10;
/// `MM_DRIVER_VERIFIER_DATA` at `MmVerifierData`.
const VERIFIER_DATA: u64 = 0x9C;
/// What is taken of the string at `NtBuildLab`.
const BUILD_LAB: u64 = 256;

/// What is looked for.
#[derive(Default)]
struct Wanted(Vec<AddressRange>);

impl Wanted {
    fn add(&mut self, address: u64, len: u64) {
        if let (Some(end), true) = (address.checked_add(len), address != 0 && len != 0) {
            self.0.push(AddressRange::new(address, end));
        }
    }
}

/// Pieces of memory that a debugger will ask for.
pub(super) fn blocks(
    machine: &Machine<'_>,
    memory: &KernelMemory<'_>,
    current: &ProcessorSnapshot,
    plan: &TriagePlan,
    soft_errors: &mut Vec<SoftError>,
) -> Vec<(Gva, Vec<u8>)> {
    let snapshot = machine.snapshot;
    let parameters = snapshot.bug_check.map(|b| b.parameters).unwrap_or_default();
    let context: ContextAmd64 = padded(&current.context);
    let mut pages = vec![context.rip.get()];
    pages.extend(parameters);
    let mut wanted = Wanted::default();
    if let Some(data) = machine.debugger_data() {
        variables(machine, memory, &data, &mut wanted);
        registered(memory, &data, &mut wanted, soft_errors);
        let others = snapshot.processors.iter().filter(|p| p.prcb != current.prcb);
        for processor in std::iter::once(current).chain(others).take(MAX_PROCESSORS) {
            of_processor(memory, processor, &data, &mut wanted);
        }
        let left_out = snapshot.processors.len().saturating_sub(MAX_PROCESSORS);
        if left_out != 0 {
            soft_errors.push(SoftError::new(
                "processors",
                format!("a small dump has the structures of {MAX_PROCESSORS} processors; those of {left_out} more are left out, use -k to have all"),
            ));
        }
        if let Some((_, saved)) = saved_context(memory, current, &data) {
            pages.extend(registers(&saved));
        }
        entries(memory, &pages, &data, snapshot.architecture, &mut wanted);
    }
    for page in pages.iter().filter(|page| memory.holds(Gva(**page))) {
        wanted.add(page / PAGE_SIZE * PAGE_SIZE, PAGE_SIZE);
    }
    wanted.add(snapshot.loaded_module_list.0, 16);
    wanted.add(snapshot.active_process_head.0, 16);

    let mut roots: Vec<u64> = registers(&context).into_iter().chain(parameters).collect();
    for bytes in [&plan.stack, &plan.thread, &plan.process] {
        roots.extend(words_of(bytes));
    }
    for address in pointed_to(memory, roots) {
        wanted.add(address, POINTED_TO);
    }
    readable_parts(memory, wanted.0)
}

/// General registers and the instruction pointer.
fn registers(c: &ContextAmd64) -> [u64; 17] {
    [
        c.rax, c.rbx, c.rcx, c.rdx, c.rsi, c.rdi, c.rbp, c.r8, c.r9, c.r10, c.r11, c.r12, c.r13,
        c.r14, c.r15, c.rip, c.rsp,
    ]
    .map(zerocopy::little_endian::U64::get)
}

/// The context that a `KPRCB` points to, and its address.
pub(super) fn saved_context(
    memory: &KernelMemory<'_>,
    processor: &ProcessorSnapshot,
    data: &DebuggerData,
) -> Option<(Gva, ContextAmd64)> {
    let offset = u64::from(data.offset_prcb_context.get());
    let at = processor.prcb.0.checked_add(offset).filter(|_| offset != 0 && processor.prcb.0 != 0);
    let place = Gva(memory.read_u64(Gva(at?))?);
    let bytes = memory.read(place, size_of::<ContextAmd64>())?;
    Some((place, ContextAmd64::read_from_bytes(&bytes).ok()?))
}

/// Variables that KDBG names.
fn variables(
    machine: &Machine<'_>,
    memory: &KernelMemory<'_>,
    data: &DebuggerData,
    wanted: &mut Wanted,
) {
    let processors = machine.snapshot.processors.len().max(1);
    wanted.add(data.ki_processor_block.get(), 8 * processors as u64);
    wanted.add(data.nt_build_lab.get(), BUILD_LAB);
    wanted.add(data.mm_verifier_data.get(), VERIFIER_DATA);
    wanted.add(data.ki_bugcheck_data.get(), 40);
    wanted.add(machine.snapshot.debugger_data.0, data.header.size.get().into());
    // The kernel's headers, by which a debugger finds its symbols.
    if memory.holds(Gva(data.kern_base.get())) {
        wanted.add(data.kern_base.get(), PAGE_SIZE);
    }
}

/// What the kernel and its drivers registered.
fn registered(
    memory: &KernelMemory<'_>,
    data: &DebuggerData,
    wanted: &mut Wanted,
    soft_errors: &mut Vec<SoftError>,
) {
    let (count_at, array) =
        (Gva(data.iop_num_triage_dump_data_blocks.get()), data.iop_triage_dump_data_blocks.get());
    if count_at.0 == 0 || array == 0 {
        return;
    }
    let Some(count) = memory.read_u32(count_at).map(u64::from) else { return };
    let taken = count.min(MAX_REGISTERED);
    wanted.add(count_at.0, 4);
    wanted.add(array, 16 * taken);
    let (mut room, mut left_out) = (MAX_REGISTERED_BYTES, count - taken);
    for at in (0..taken).map_while(|index| array.checked_add(16 * index)) {
        let Some(bytes) = memory.read(Gva(at), 16) else { continue };
        let mut words = words_of(&bytes);
        let (Some(start), Some(end)) = (words.next(), words.next()) else { continue };
        match end.checked_sub(start) {
            Some(len) if len <= room && memory.is_kernel(start) => {
                room -= len;
                wanted.add(start, len);
            }
            _ => left_out += 1,
        }
    }
    if left_out != 0 {
        soft_errors.push(SoftError::new(
            "registered data",
            format!("{left_out} of the {count} blocks that drivers registered for small dumps are no kernel memory or too large, and are left out"),
        ));
    }
}

/// What the kernel has of a processor.
fn of_processor(
    memory: &KernelMemory<'_>,
    processor: &ProcessorSnapshot,
    data: &DebuggerData,
    wanted: &mut Wanted,
) {
    wanted.add(processor.prcb.0, data.size_prcb.get().into());
    wanted.add(processor.current_thread.0, data.size_ethread.get().into());
    wanted.add(processor.current_process.0, data.size_eprocess.get().into());
    let thread = memory.read(processor.current_thread, data.size_ethread.get().into());
    let thread = thread.unwrap_or_default();
    if let Some((start, bytes)) = stack_of(memory, processor, &thread, Some(data)) {
        wanted.add(start.0, bytes.len() as u64);
    }
    let Some((place, saved)) = saved_context(memory, processor, data) else { return };
    wanted.add(place.0, context_size(memory, place, &saved));
    if let Some((start, bytes)) = stack_from(memory, saved.rsp.get(), &thread, Some(data)) {
        wanted.add(start.0, bytes.len() as u64);
    }
}

/// Bytes of a context with the extended state behind it.
fn context_size(memory: &KernelMemory<'_>, place: Gva, context: &ContextAmd64) -> u64 {
    let plain = size_of::<ContextAmd64>() as u64;
    let extended = context.context_flags.get() & CONTEXT_XSTATE & !CONTEXT_AMD64 != 0;
    let behind = place.0.checked_add(plain).filter(|_| extended);
    let bytes = behind.and_then(|at| memory.read(Gva(at), size_of::<ContextEx>()));
    let chunks = bytes.and_then(|bytes| ContextEx::read_from_bytes(&bytes).ok());
    chunks
        .filter(|c| i64::from(c.all.offset.get()) == -(plain as i64))
        .map(|c| c.all.length.get())
        .filter(|len| *len <= MAX_CONTEXT)
        .map_or(plain, |len| plain.max(len.into()))
}

/// The entries that map addresses of the kernel, from their table to the top one,
/// by the kernel's window on its tables.
fn entries(
    memory: &KernelMemory<'_>,
    addresses: &[u64],
    data: &DebuggerData,
    architecture: MachineArchitecture,
    wanted: &mut Wanted,
) {
    let base = data.pte_base.get();
    let (levels, width) = match architecture {
        _ if base == 0 => return,
        MachineArchitecture::Amd64La57 => (5, 57),
        _ => (4, 48),
    };
    for address in addresses.iter().filter(|address| memory.holds(Gva(**address))) {
        let mut at = *address;
        for _ in 0..levels {
            // Eight bytes for each page, without the sign.
            at = base.wrapping_add((at & ((1 << width) - 1)) / PAGE_SIZE * 8);
            wanted.add(at, 8);
        }
    }
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
            let in_page = POINTED_TO.min(PAGE_SIZE - address % PAGE_SIZE);
            // Across the end of the page, where there is another.
            let bytes = memory
                .read(Gva(address), POINTED_TO as usize)
                .or_else(|| memory.read(Gva(address), in_page as usize));
            next.extend(bytes.iter().flat_map(|bytes| words_of(bytes)));
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
