//! Thread stacks, and the code around instruction pointers.
//!
//! A stack goes from the stack pointer, less the red zone, to the end of its
//! mapping. Where that is not right:
//!
//! - The stack pointer lies in a guard page or below the mapping (a stack
//!   overflow, a large frame not yet touched): the stack is the next readable
//!   region within [`GUARD_REACH`].
//! - The mapping goes on past the stack: with the thread pointer in the same
//!   mapping (glibc keeps the thread's control block at the top of its stack),
//!   the stack ends behind that block.
//! - The thread runs on a *foreign* stack (an alternate signal stack, a
//!   coroutine, a Go stack inside the heap): at most [`FOREIGN_STACK_MAX`] is
//!   taken and a cut is noted; its home stack is taken as well, from the lowest
//!   address that the foreign stack holds a pointer to.

use super::Context;
use super::selection::{Reason, Selection};
use crate::address::AddressRange;
use crate::soft_error::SoftError;
use crate::target::{Access, Protection, Region, ThreadSnapshot, Tid};
use dumpwright_format::FormatFlags;

/// How far above the stack pointer a stack may begin.
pub const GUARD_REACH: u64 = 1 << 20;
/// The most that is taken of a foreign stack.
pub const FOREIGN_STACK_MAX: u64 = 1 << 20;
/// The code taken on each side of an instruction pointer: 256 bytes in all.
pub const CODE_WINDOW_HALF: u64 = 128;
/// The most that is filtered of a mapping in which the ends of a stack are not
/// known, on each side: what systems give a stack unless told otherwise.
pub(crate) const HOME_REACH: u64 = 8 << 20;
/// What the thread's control block takes above the thread pointer, rounded up
/// (glibc's `struct pthread` is about 0x900 bytes).
const CONTROL_BLOCK: u64 = 0x1000;

/// A stack, or part of one, that goes into the dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// The thread whose it is.
    pub tid: Tid,
    /// From the lowest live address to the end.
    pub live: AddressRange,
    /// The mapping, or for a foreign stack the part of it that was taken.
    pub extent: AddressRange,
    /// Whether the thread's descriptor names this one.
    pub described: bool,
    /// Whether the exception happened in this thread.
    pub crashed: bool,
}

/// Finds the stacks of all threads.
pub(crate) fn find(context: &Context<'_>, soft_errors: &mut Vec<SoftError>) -> Vec<Stack> {
    let mut stacks = Vec::new();
    for (index, thread) in context.snapshot.threads.iter().enumerate() {
        let is_main = index == 0 && thread.tid.0 == context.snapshot.process.pid.0;
        let exception = context.snapshot.exception.as_ref().filter(|e| e.tid == thread.tid);
        let own = stack_at(context, thread, thread.registers.stack_pointer, is_main, soft_errors);
        let at_exception = exception
            .map(|e| e.registers.stack_pointer)
            .filter(|sp| *sp != thread.registers.stack_pointer)
            .map(|sp| stack_at(context, thread, sp, is_main, soft_errors));
        // Debuggers unwind the thread from the exception's context, so that is
        // the stack that the descriptor has to name.
        let mut found = Vec::new();
        found.extend(at_exception.into_iter().flatten());
        found.extend(own);
        merge_same_mapping(&mut found);
        for (position, stack) in found.iter_mut().enumerate() {
            stack.described = position == 0;
            stack.crashed = exception.is_some();
        }
        stacks.extend(found);
    }
    stacks.extend(unix_stacks(context));
    stacks
}

/// The stacks that threads under Wine use on the Unix side.
fn unix_stacks(context: &Context<'_>) -> Vec<Stack> {
    let unix_side = context.snapshot.unix_side.iter();
    let threads = unix_side.flat_map(|unix_side| &unix_side.threads);
    threads
        .filter_map(|thread| {
            let (live, extent) = thread.stack?;
            Some(Stack { tid: thread.tid, live, extent, described: false, crashed: false })
        })
        .collect()
}

/// The stack at `stack_pointer`, and the home stack behind it if it is foreign.
fn stack_at(
    context: &Context<'_>,
    thread: &ThreadSnapshot,
    stack_pointer: u64,
    is_main: bool,
    soft_errors: &mut Vec<SoftError>,
) -> Vec<Stack> {
    let stack =
        |live, extent| Stack { tid: thread.tid, live, extent, described: false, crashed: false };
    let Some(region) = stack_region(context, stack_pointer) else {
        soft_errors.push(SoftError::new(
            format!("thread {}", thread.tid),
            format!("no readable stack at its stack pointer {stack_pointer:#x}"),
        ));
        return Vec::new();
    };
    let red_zone = context.snapshot.system.architecture.red_zone();
    let start = (stack_pointer.saturating_sub(red_zone) & !0xF).max(region.range.start);
    if let Some(end) = home_end(context, thread, &region, stack_pointer, is_main) {
        return vec![stack(
            AddressRange::new(start, end),
            AddressRange::new(region.range.start, end),
        )];
    }
    let whole = AddressRange::new(start, region.range.end);
    let taken = AddressRange::new(start, whole.end.min(start.saturating_add(FOREIGN_STACK_MAX)));
    let has_all = context.has(FormatFlags::USER_SMALL_FULL_MEMORY)
        || context.has(FormatFlags::USER_SMALL_PRIVATE_READ_WRITE_MEMORY);
    if taken != whole && !has_all {
        soft_errors.push(SoftError::new(
            format!("thread {}", thread.tid),
            format!(
                "it runs on a foreign stack (in the mapping {}); {} of the {} bytes to the mapping's end were taken",
                region.range,
                taken.len(),
                whole.len()
            ),
        ));
    }
    let mut stacks = vec![stack(taken, taken)];
    if let Some((live, extent)) = home_stack(context, thread, taken, is_main) {
        stacks.push(stack(live, extent));
    }
    stacks
}

/// The readable, writable region at the stack pointer, or the next one above it.
fn stack_region(context: &Context<'_>, stack_pointer: u64) -> Option<Region> {
    let reach = AddressRange::with_len(stack_pointer, GUARD_REACH);
    context
        .regions_in(reach)
        .find(|r| context.may_read(r) && r.protection.contains(Protection::WRITE))
}

/// Where the stack ends if `region` holds the thread's own stack.
fn home_end(
    context: &Context<'_>,
    thread: &ThreadSnapshot,
    region: &Region,
    stack_pointer: u64,
    is_main: bool,
) -> Option<u64> {
    if let Some(stack) = thread.stack.filter(|stack| stack.overlaps(region.range)) {
        return (stack_pointer < stack.end).then_some(stack.end.min(region.range.end));
    }
    if is_main && is_initial_stack(context, region) {
        return Some(region.range.end);
    }
    let pointer = thread.thread_pointer;
    if pointer >= stack_pointer && region.range.contains(pointer) {
        let end = AddressRange::with_len(pointer, CONTROL_BLOCK)
            .align_outward(context.snapshot.page_size)
            .end;
        return Some(end.min(region.range.end));
    }
    None
}

fn is_initial_stack(context: &Context<'_>, region: &Region) -> bool {
    match &context.snapshot.initial_stack {
        Some(initial) => region.range.overlaps(initial.range),
        None => &*region.name == "[stack]",
    }
}

/// The home stack of a thread that runs on a foreign one: live range and extent.
fn home_stack(
    context: &Context<'_>,
    thread: &ThreadSnapshot,
    foreign: AddressRange,
    is_main: bool,
) -> Option<(AddressRange, AddressRange)> {
    let region = if is_main {
        context.snapshot.regions.iter().find(|r| is_initial_stack(context, r))
    } else {
        context.region_at(thread.thread_pointer)
    }?;
    if region.access != Access::Normal || region.range.overlaps(foreign) {
        return None;
    }
    let end = home_end(context, thread, &region, region.range.start, is_main)?;
    let extent = AddressRange::new(region.range.start, end);
    let lowest = pointers(context, foreign).into_iter().filter(|p| extent.contains(*p)).min()?;
    Some((AddressRange::new(lowest & !0xF, end), extent))
}

/// Where the main stack and each thread's own stack are, whether or not a stack
/// pointer leads there. The thread pointer is all that tells, so below it a
/// part of at most [`HOME_REACH`] counts.
pub(crate) fn homes(context: &Context<'_>) -> Vec<AddressRange> {
    let initial = context.snapshot.regions.iter().filter(|r| is_initial_stack(context, r));
    let main = context.snapshot.process.pid.0;
    // Where the platform says where the stack is, the thread pointer says nothing.
    let unknown = |t: &&ThreadSnapshot| t.tid.0 != main && t.stack.is_none();
    let own = context.snapshot.threads.iter().filter(unknown).filter_map(|thread| {
        let pointer = thread.thread_pointer;
        let region = context.region_at(pointer)?;
        let end = home_end(context, thread, &region, pointer, false)?;
        let start = pointer.saturating_sub(HOME_REACH).max(region.range.start);
        Some(AddressRange::new(start, end))
    });
    let stated = context.snapshot.threads.iter().filter_map(|thread| thread.stack);
    let of_system_calls = super::windows::system_call_stacks(context);
    let unix_side = context.snapshot.unix_side.iter().flat_map(|unix_side| &unix_side.stacks);
    let stated = stated.chain(of_system_calls).chain(unix_side.copied());
    initial.map(|r| r.range).chain(own).chain(stated).collect()
}

/// Stacks in one mapping become one: an exception's frames and the thread's own.
fn merge_same_mapping(stacks: &mut Vec<Stack>) {
    let mut merged: Vec<Stack> = Vec::new();
    for stack in stacks.drain(..) {
        match merged.iter_mut().find(|m| m.extent.overlaps(stack.extent)) {
            Some(same) => {
                same.live.start = same.live.start.min(stack.live.start);
                same.live.end = same.live.end.max(stack.live.end);
                same.extent.start = same.extent.start.min(stack.extent.start);
                same.extent.end = same.extent.end.max(stack.extent.end);
            }
            None => merged.push(stack),
        }
    }
    *stacks = merged;
}

/// Every aligned word of memory in `range` that is there: a core can state a
/// stack of any size.
pub(crate) fn pointers(context: &Context<'_>, range: AddressRange) -> Vec<u64> {
    const CHUNK: u64 = 64 << 10;
    let word = context.snapshot.system.architecture.pointer_size();
    let mut words = Vec::new();
    let mut buf = vec![0; CHUNK as usize];
    let mut holes = Vec::new();
    for there in context.memory.populated(range) {
        // A range may end where the address space does.
        let mut at = there.start.checked_next_multiple_of(word).unwrap_or(there.end);
        while at < there.end {
            let part = AddressRange::new(at, at.saturating_add(CHUNK).min(there.end));
            let chunk = &mut buf[..part.len() as usize];
            context.memory.read(&[part], chunk, &mut holes);
            let whole = chunk.chunks_exact(word as usize).map(little_endian);
            words.extend(whole.filter(|w| *w != 0));
            at = part.end;
        }
    }
    words
}

/// The number that up to 8 bytes make.
pub(crate) fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Selects stacks and code windows.
pub(crate) fn select(context: &Context<'_>, stacks: &[Stack], selection: &mut Selection) {
    for stack in stacks {
        let reason = if stack.crashed { Reason::CrashStack } else { Reason::Stack };
        selection.add(reason, stack.live);
    }
    let threads = context.snapshot.threads.iter().map(|t| &t.registers);
    let exception = context.snapshot.exception.iter().map(|e| &e.registers);
    for registers in threads.chain(exception) {
        let at = registers.instruction_pointer;
        let window = AddressRange::new(
            at.saturating_sub(CODE_WINDOW_HALF),
            at.saturating_add(CODE_WINDOW_HALF),
        )
        .align_outward(16);
        for region in context.regions_in(window).filter(|r| context.may_dump(r)) {
            // Execute-only memory counts: a debugger can read it.
            if region.protection.intersects(Protection::READ | Protection::EXECUTE) {
                let backed = AddressRange::new(region.range.start, region.backed_end);
                selection.add(Reason::CodeWindow, window.intersection(backed));
            }
        }
    }
}
