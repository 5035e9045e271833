//! Threads of a core: registers, thread pointer, times, signal.

use super::notes::{Notes, ThreadNotes};
use crate::soft_error::SoftError;
use crate::target::linux::arch::{aarch64, x86_64};
use crate::target::linux::exception::SignalInfo;
use crate::target::{
    Architecture, FileTime, Registers, ThreadSnapshot, ThreadTimes, Tid, Wants, XstateLayout,
};
use dumpwright_format::elf_core::{
    FpsimdState, SIGINFO_SIZE, TimeVal, UserRegsAmd64, UserRegsArm64, XSAVE_XCR0_OFFSET,
};
use zerocopy::FromBytes;

/// The layout of extended contexts, where it is wanted and the core has the
/// state and tells how it lies.
pub(super) fn xstate_layout(
    architecture: Architecture,
    notes: &Notes<'_>,
    wants: &Wants,
    troubles: &mut Vec<SoftError>,
) -> Option<XstateLayout> {
    if architecture != Architecture::Amd64 || !wants.extended_state {
        return None;
    }
    let area = notes.threads.iter().find_map(|t| t.xstate)?;
    let layout = if notes.xsave_layout.is_empty() {
        x86_64::area_layout(area)
    } else {
        let mask = area.get(XSAVE_XCR0_OFFSET..XSAVE_XCR0_OFFSET + 8);
        mask.and_then(|mask| Some(u64::from_le_bytes(mask.try_into().ok()?)))
            .map(|mask| x86_64::layout_of(mask, &notes.xsave_layout))
    };
    if layout.is_none() {
        let message = format!(
            "the core does not say how the {} bytes of each thread's XSAVE area are laid out",
            area.len()
        );
        troubles.push(SoftError::new("extended state", message));
    }
    layout
}

/// The threads, the main thread first. Names and local storage are the
/// caller's to add.
pub(super) fn threads(
    architecture: Architecture,
    notes: &Notes<'_>,
    pid: u32,
    layout: Option<&XstateLayout>,
    wants: &Wants,
    troubles: &mut Vec<SoftError>,
) -> Vec<ThreadSnapshot> {
    let alone = notes.threads.len() == 1;
    let mut threads: Vec<ThreadSnapshot> = Vec::with_capacity(notes.threads.len());
    for note in &notes.threads {
        let tid = note.status.pid.get();
        let Some((registers, thread_pointer)) = registers(architecture, note, layout) else {
            let message = "the core holds too few bytes for its registers; it was left out";
            troubles.push(SoftError::new(format!("thread {tid}"), message));
            continue;
        };
        let mut info = ThreadTimes::default();
        // The main thread's are those of the whole process.
        if tid != pid || alone {
            info.user_time = duration(&note.status.utime);
            info.kernel_time = duration(&note.status.stime);
        }
        threads.push(ThreadSnapshot {
            tid: Tid(tid),
            name: String::new(),
            registers,
            thread_pointer,
            stack: None,
            suspend_count: 0,
            priority: 0,
            info: wants.thread_info.then_some(info),
            local_storage: Vec::new(),
        });
    }
    // Stable: the others stay in the order of the core.
    threads.sort_by_key(|t| t.tid.0 != pid);
    threads
}

/// Registers and thread pointer of a thread; `None` if the core has too few
/// bytes for them.
pub(in crate::target) fn registers(
    architecture: Architecture,
    note: &ThreadNotes<'_>,
    layout: Option<&XstateLayout>,
) -> Option<(Registers, u64)> {
    match architecture {
        Architecture::Amd64 => {
            let (general, _) = UserRegsAmd64::read_from_prefix(note.general).ok()?;
            let float = note.float.or(note.xstate).and_then(|float| float.first_chunk());
            let extended = layout.and_then(|layout| Some((layout, note.xstate?)));
            let registers = x86_64::registers_of(&general, float, extended);
            Some((registers, x86_64::thread_pointer(&general)))
        }
        Architecture::Arm64 => {
            let (general, _) = UserRegsArm64::read_from_prefix(note.general).ok()?;
            let float = note.float.and_then(|f| FpsimdState::ref_from_prefix(f).ok());
            let registers = aarch64::registers_of(&general, float.map(|(float, _)| float));
            let pointer = note.tls.and_then(|tls| tls.first_chunk()).copied();
            Some((registers, pointer.map_or(0, u64::from_le_bytes)))
        }
        Architecture::X86 => None,
    }
}

/// The signal that ended the process, and the thread that it came to: the first
/// thread that has one, which is how both the kernel and gdb write it.
pub(in crate::target) fn crash(notes: &Notes<'_>) -> Option<(Tid, SignalInfo)> {
    let mut signals = notes.threads.iter().map(|note| {
        let info = match note.siginfo.and_then(|bytes| bytes.first_chunk::<SIGINFO_SIZE>()) {
            Some(raw) => SignalInfo::parse(raw),
            None => SignalInfo::of_number(i32::from(note.status.cursig.get())),
        };
        (Tid(note.status.pid.get()), info)
    });
    signals.find(|(_, info)| info.is_crash())
}

/// When the process was made is not in a core; how long it ran is.
pub(super) fn process_times(notes: &Notes<'_>, pid: u32) -> (FileTime, u64, u64) {
    let main = notes.threads.iter().find(|t| t.status.pid.get() == pid);
    let (user, kernel) =
        main.map_or((0, 0), |main| (duration(&main.status.utime), duration(&main.status.stime)));
    (FileTime::default(), user, kernel)
}

/// In units of 100 ns.
fn duration(time: &TimeVal) -> u64 {
    time.seconds.get().wrapping_mul(10_000_000).wrapping_add(time.micros.get().wrapping_mul(10))
}
