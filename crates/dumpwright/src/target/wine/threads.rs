//! The threads: as Windows knows them, and as Linux does.

use super::frame::{FrameFinder, complete, signal_stack};
use super::modules::entry_point;
use super::narrow;
use super::teb::Teb;
use crate::address::AddressRange;
use crate::packed::Packed;
use crate::soft_error::SoftError;
use crate::target::nt::environment;
use crate::target::nt::pe::{PeImage, TlsTemplate};
use crate::target::nt::wow64;
use crate::target::{
    MemorySource, Protection, Region, Registers, ThreadSnapshot, ThreadTimes, UnixState,
    UnixThread, Wants,
};
use dumpwright_format::nt::NtOffsets;
use dumpwright_format::wine::FRAME_SIZE;
use std::collections::BTreeMap;

/// Names of [`Registers::general`] on x86-64.
const GENERAL: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15",
];
/// What glibc has above the thread pointer, at the end of a thread's stack.
const THREAD_DESCRIPTOR: u64 = 0xA00;
/// Nested signals that are followed.
const MOST_SIGNALS: usize = 8;
/// Bytes below the stack pointer that belong to the running function.
const RED_ZONE: u64 = 128;

/// Describes threads.
pub(super) struct ThreadDescriber<'a> {
    pub memory: &'a dyn MemorySource,
    pub regions: &'a Packed<Region>,
    pub finder: FrameFinder<'a>,
    pub templates: &'a [TlsTemplate],
    pub executable: Option<&'a PeImage>,
    /// Name of the process, which threads without a name of their own have.
    pub process_name: &'a str,
    pub wants: &'a Wants,
    /// Whether the program is one of 32 bits.
    pub is_narrow: bool,
}

/// A thread, seen from both sides.
pub(super) struct Described {
    /// `None` for one that Windows does not know.
    pub windows: Option<ThreadSnapshot>,
    pub unix: UnixThread,
    /// Where its Unix stacks are.
    pub stacks: Vec<AddressRange>,
}

impl ThreadDescriber<'_> {
    /// Describes the thread that Linux describes as `linux`.
    pub fn describe(
        &self,
        linux: &ThreadSnapshot,
        teb: Option<&Teb>,
        is_first: bool,
        notes: &mut Vec<SoftError>,
    ) -> Described {
        let own = &linux.registers;
        let Some(teb) = teb else {
            let stack = self.stack_of_unix_thread(linux);
            let unix = unix_thread(linux, None, UnixState::UnixThread, stack);
            let stacks = stack.into_iter().map(|(_, extent)| extent).collect();
            return Described { windows: None, unix, stacks };
        };
        let (state, wide, frame) = self.windows_registers(teb, own);
        let registers =
            if self.is_narrow { self.narrow_registers(teb, &wide, notes) } else { wide };
        if state == UnixState::UnixCode && !self.is_narrow {
            let message = "is in Unix code, and where it comes from in Windows code is not known; its registers are those of the Unix code";
            notes.push(SoftError::new(format!("thread {}", teb.tid), message));
        }
        let (offsets, thread_pointer) = if self.is_narrow {
            let narrow = wow64::narrow_teb(self.memory, teb.address).unwrap_or(0);
            (&NtOffsets::NARROW, narrow)
        } else {
            (&NtOffsets::WIDE, teb.address)
        };
        let windows = ThreadSnapshot {
            tid: teb.tid,
            name: self.name(linux),
            registers,
            thread_pointer,
            stack: environment::stack(self.memory, offsets, thread_pointer)
                .filter(|_| thread_pointer != 0),
            suspend_count: 0,
            priority: 0,
            info: linux.info.map(|info| ThreadTimes {
                start_address: self
                    .executable
                    .filter(|_| is_first)
                    .and_then(|image| entry_point(self.memory, image)),
                ..info
            }),
            local_storage: self.local_storage(offsets, thread_pointer),
        };
        let signals = signal_stack(teb);
        let calls = frame.and_then(|at| self.call_stack(teb, linux, at));
        let used = |extent: AddressRange| {
            let start = (own.stack_pointer.saturating_sub(RED_ZONE) & !0xF).max(extent.start);
            (AddressRange::new(start, extent.end), extent)
        };
        let is_used = |extent: &AddressRange| extent.contains(own.stack_pointer);
        let stack = calls.into_iter().chain([signals]).find(is_used).map(used);
        let unix = unix_thread(linux, Some(teb), state, stack);
        Described {
            windows: Some(windows),
            unix,
            stacks: calls.into_iter().chain([signals]).collect(),
        }
    }

    fn local_storage(&self, offsets: &NtOffsets, teb: u64) -> Vec<AddressRange> {
        if !self.wants.process_data || teb == 0 {
            return Vec::new();
        }
        let mut ranges = environment::thread_data(self.memory, offsets, teb, self.templates);
        ranges.extend(if self.is_narrow { wow64::cpu_area(self.memory, teb) } else { None });
        ranges
    }

    /// The 32-bit registers of a thread whose 64-bit side has these.
    fn narrow_registers(
        &self,
        teb: &Teb,
        wide: &Registers,
        notes: &mut Vec<SoftError>,
    ) -> Registers {
        narrow::of_the_processor(wide).or_else(|| narrow::kept(self.memory, teb)).unwrap_or_else(
            || {
                let message = "its 32-bit registers are not known";
                notes.push(SoftError::new(format!("thread {}", teb.tid), message));
                narrow::unknown()
            },
        )
    }

    /// The Windows registers of a thread, where they come from, and the frame
    /// of its system call if it is in one.
    fn windows_registers(&self, teb: &Teb, own: &Registers) -> (UnixState, Registers, Option<u64>) {
        let mut seen = own.clone();
        for signals in 0..MOST_SIGNALS {
            let in_windows = (self.finder.is_windows_code)(seen.instruction_pointer)
                && teb.has_on_stack(seen.stack_pointer)
                || self.is_narrow && narrow::of_the_processor(&seen).is_some();
            if in_windows {
                let state = if signals == 0 { UnixState::WindowsCode } else { UnixState::Signal };
                return (state, seen, None);
            }
            if let Some(found) = self.finder.system_call(teb, seen.stack_pointer) {
                let mut registers = found.registers;
                complete(&mut registers, own);
                return (UnixState::SystemCall, registers, Some(found.at));
            }
            let Some(mut interrupted) = self.finder.interrupted(teb, seen.stack_pointer) else {
                break;
            };
            complete(&mut interrupted, own);
            seen = interrupted;
        }
        (UnixState::UnixCode, own.clone(), None)
    }

    /// The stack that system calls run on, by the frame that the outermost one
    /// begins with: it is behind the thread's own, or a mapping by itself.
    fn call_stack(&self, teb: &Teb, linux: &ThreadSnapshot, frame: u64) -> Option<AddressRange> {
        let region = self.region_at(frame)?;
        let start = region.range.start.max(if teb.stack_base < frame { teb.stack_base } else { 0 });
        let descriptor = linux.thread_pointer.saturating_add(THREAD_DESCRIPTOR);
        let is_behind = region.range.contains(linux.thread_pointer) && linux.thread_pointer > frame;
        let end = if is_behind { descriptor } else { frame.saturating_add(FRAME_SIZE) };
        Some(AddressRange::new(start, end.min(region.range.end)))
    }

    /// Live part and extent of the stack of a thread that is none of Windows:
    /// glibc has its descriptor at the end.
    fn stack_of_unix_thread(&self, linux: &ThreadSnapshot) -> Option<(AddressRange, AddressRange)> {
        let (pointer, at) = (linux.thread_pointer, linux.registers.stack_pointer);
        let region = self.region_at(at)?;
        let end = pointer.saturating_add(THREAD_DESCRIPTOR).min(region.range.end);
        let is_own = region.range.contains(pointer) && at < pointer;
        is_own.then(|| {
            let live = AddressRange::new(at.saturating_sub(RED_ZONE).max(region.range.start), end);
            (live, AddressRange::new(region.range.start, end))
        })
    }

    fn region_at(&self, address: u64) -> Option<Region> {
        let region = self.regions.at(address)?;
        region.protection.contains(Protection::WRITE).then_some(region)
    }

    /// Wine gives Linux the names of threads; one without a name has that of the
    /// process.
    fn name(&self, linux: &ThreadSnapshot) -> String {
        if linux.name == self.process_name { String::new() } else { linux.name.clone() }
    }
}

fn unix_thread(
    linux: &ThreadSnapshot,
    teb: Option<&Teb>,
    state: UnixState,
    stack: Option<(AddressRange, AddressRange)>,
) -> UnixThread {
    let own = &linux.registers;
    let mut registers = BTreeMap::new();
    if own.general.len() == GENERAL.len() {
        registers.extend(GENERAL.into_iter().zip(own.general.iter().copied()));
    }
    registers.insert("rsp", own.stack_pointer);
    registers.insert("rip", own.instruction_pointer);
    let windows_tid = teb.map(|teb| teb.tid);
    UnixThread { tid: linux.tid, windows_tid, state, registers, stack }
}
