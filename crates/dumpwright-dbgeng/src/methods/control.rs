//! `IDebugControl`: interrupts, options, and what kind of target there is.

use super::OK;
use crate::abi::{Answer, Out};
use crate::object::Client;
use crate::target::{Origin, Subject, Target};
use dumpwright::HResult;
use dumpwright::format::kernel::DumpType;
use dumpwright::target::machine::{GuestKind, MachineArchitecture, MachineSnapshot, PAGE_SIZE};
use dumpwright::target::{Architecture, Platform};
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

/// `DEBUG_ENGOPT_ALL`.
const ENGINE_OPTIONS: u32 = 0x00FF_FFFF;
/// `DEBUG_INTERRUPT_EXIT`, the last of the ways to interrupt.
const INTERRUPT_EXIT: u32 = 2;
/// `DEBUG_CLASS_UNINITIALIZED`.
const CLASS_NONE: u32 = 0;
/// `DEBUG_CLASS_USER_WINDOWS`.
const CLASS_USER: u32 = 2;
/// `DEBUG_CLASS_KERNEL`.
const CLASS_KERNEL: u32 = 1;
/// `DEBUG_KERNEL_CONNECTION`.
const KERNEL_CONNECTION: u32 = 0;
/// `DEBUG_KERNEL_SMALL_DUMP`.
const KERNEL_SMALL_DUMP: u32 = 1024;
/// `DEBUG_KERNEL_DUMP`: kernel memory.
const KERNEL_DUMP: u32 = 1025;
/// `DEBUG_KERNEL_FULL_DUMP`: all memory.
const KERNEL_FULL_DUMP: u32 = 1026;
/// `DEBUG_USER_WINDOWS_PROCESS`.
const USER_PROCESS: u32 = 0;
/// `DEBUG_USER_WINDOWS_SMALL_DUMP`: a minidump, whatever it holds.
const USER_SMALL_DUMP: u32 = 1024;
/// `DEBUG_USER_WINDOWS_DUMP`: another full dump of a process; here ELF cores.
const USER_DUMP: u32 = 1025;
/// The kernel's word for a free build, which `GetSystemVersionValues` has for
/// the major number.
const FREE_BUILD: u32 = 0xF;
/// `VER_PLATFORM_WIN32_NT`.
const PLATFORM_WIN32_NT: u32 = 2;
/// 100 ns units of a second.
const UNITS_PER_SECOND: u64 = 10_000_000;

/// `GetInterrupt`: `S_OK` if one was asked for since the last time.
pub fn interrupt(client: &Client) -> Answer {
    let pending = client.state.session.take_interrupt();
    Ok(if pending.is_some() { HResult::S_OK } else { HResult::S_FALSE })
}

/// `SetInterrupt`: ends a dump that is being written, or breaks into what
/// `WaitForEvent` waits for; the next of either if there is none. Never waits.
pub fn set_interrupt(client: &Client, flags: u32) -> Answer {
    if flags > INTERRUPT_EXIT {
        return Err(HResult::E_INVALIDARG);
    }
    client.state.session.ask_interrupt(flags);
    OK
}

/// `GetInterruptTimeout`.
pub fn interrupt_timeout(client: &Client, seconds: Out<u32>) -> Answer {
    seconds.put(client.state.session.interrupt_timeout.load(Ordering::Relaxed))?;
    OK
}

/// `SetInterruptTimeout`. Kept for the program: no kernel is waited for here.
pub fn set_interrupt_timeout(client: &Client, seconds: u32) -> Answer {
    client.state.session.interrupt_timeout.store(seconds, Ordering::Relaxed);
    OK
}

/// `GetDebuggeeType`.
pub fn debuggee_type(client: &Client, class: Out<u32>, qualifier: Out<u32>) -> Answer {
    if class.is_null() || qualifier.is_null() {
        return Err(HResult::E_POINTER);
    }
    let state = client.state.session.state();
    let (is, which) = match state.current().map(|t| (&t.origin, &t.subject)) {
        Err(_) => (CLASS_NONE, 0),
        Ok((Origin::Dump(_), Subject::Machine { snapshot, .. })) => {
            (CLASS_KERNEL, kernel_qualifier(snapshot))
        }
        Ok((_, Subject::Machine { .. })) => (CLASS_KERNEL, KERNEL_CONNECTION),
        Ok((Origin::Dump(dump), _)) if dump.format.is_some() => (CLASS_USER, USER_SMALL_DUMP),
        Ok((Origin::Dump(_), _)) => (CLASS_USER, USER_DUMP),
        Ok(_) => (CLASS_USER, USER_PROCESS),
    };
    class.put(is)?;
    qualifier.put(which)?;
    OK
}

/// What a kernel dump has; a memory image has all of it.
fn kernel_qualifier(machine: &MachineSnapshot) -> u32 {
    match machine.source_type {
        Some(DumpType::TRIAGE) => KERNEL_SMALL_DUMP,
        None | Some(DumpType::FULL | DumpType::BITMAP_FULL | DumpType::COMPLETE_MEMORY) => {
            KERNEL_FULL_DUMP
        }
        Some(_) => KERNEL_DUMP,
    }
}

/// `GetDebuggeeType2`.
pub fn debuggee_type2(client: &Client, flags: u32, class: Out<u32>, qualifier: Out<u32>) -> Answer {
    if flags != 0 {
        return Err(HResult::E_INVALIDARG);
    }
    debuggee_type(client, class, qualifier)
}

/// `GetDumpFormatFlags`: of a minidump that is the target.
pub fn dump_format_flags(client: &Client, flags: Out<u32>) -> Answer {
    let state = client.state.session.state();
    match &state.current()?.origin {
        Origin::Dump(dump) => flags.put(dump.format.unwrap_or(0))?,
        Origin::Live { .. } | Origin::Guest => return Err(HResult::E_UNEXPECTED),
    }
    OK
}

/// Asks the current target something.
fn ask(client: &Client, out: Out<u32>, question: impl FnOnce(&Target) -> u32) -> Answer {
    let state = client.state.session.state();
    out.put(question(state.current()?))?;
    OK
}

/// `GetActualProcessorType`, `GetExecutingProcessorType` and
/// `GetEffectiveProcessorType`: `IMAGE_FILE_MACHINE_*` of the target.
pub fn processor_type(client: &Client, kind: Out<u32>) -> Answer {
    ask(client, kind, |target| match architecture(target) {
        Architecture::Amd64 => 0x8664,
        Architecture::X86 => 0x14C,
        Architecture::Arm64 => 0xAA64,
    })
}

fn architecture(target: &Target) -> Architecture {
    match &target.subject {
        Subject::Process { snapshot, .. } => snapshot.system.architecture,
        Subject::Machine { snapshot, .. } => match snapshot.architecture {
            MachineArchitecture::Amd64 | MachineArchitecture::Amd64La57 => Architecture::Amd64,
            MachineArchitecture::X86 | MachineArchitecture::X86Pae => Architecture::X86,
            MachineArchitecture::Arm64 => Architecture::Arm64,
        },
    }
}

/// `GetNumberProcessors`.
pub fn processors(client: &Client, number: Out<u32>) -> Answer {
    ask(client, number, |target| match &target.subject {
        Subject::Process { snapshot, .. } => snapshot.system.number_of_processors,
        Subject::Machine { snapshot, .. } => snapshot.processors.len() as u32,
    })
}

/// `GetPageSize`.
pub fn page_size(client: &Client, size: Out<u32>) -> Answer {
    ask(client, size, |target| match &target.subject {
        Subject::Process { snapshot, .. } => snapshot.page_size as u32,
        Subject::Machine { .. } => PAGE_SIZE as u32,
    })
}

/// `IsPointer64Bit`.
pub fn pointer_64_bit(client: &Client) -> Answer {
    let state = client.state.session.state();
    let wide = architecture(state.current()?).pointer_size() == 8;
    Ok(if wide { HResult::S_OK } else { HResult::S_FALSE })
}

/// `GetSystemVersionValues`: of a Linux target the platform id that minidumps
/// have for it, and the kernel's version.
pub fn system_version_values(
    client: &Client,
    platform: Out<u32>,
    major: Out<u32>,
    minor: Out<u32>,
    build_kind: Out<u32>,
    build: Out<u32>,
) -> Answer {
    let state = client.state.session.state();
    let (id, [major_version, minor_version, build_number], kind) = match &state.current()?.subject {
        Subject::Process { snapshot, .. } => {
            let system = &snapshot.system;
            let is_windows = system.platform() == Platform::Windows;
            (system.platform_id, system.version, if is_windows { FREE_BUILD } else { 0 })
        }
        Subject::Machine { snapshot, .. } if snapshot.guest == GuestKind::Windows => {
            let [major, minor] = windows_version(snapshot.build);
            (PLATFORM_WIN32_NT, [major, minor, snapshot.build], snapshot.major_version)
        }
        // A guest that is not understood.
        Subject::Machine { .. } => return Err(HResult::E_UNEXPECTED),
    };
    platform.put(id)?;
    major.put(major_version)?;
    minor.put(minor_version)?;
    build_kind.put_if_wanted(kind);
    build.put_if_wanted(build_number);
    OK
}

/// The version of Windows that a build is of.
fn windows_version(build: u32) -> [u32; 2] {
    match build {
        10240.. => [10, 0],
        9600.. => [6, 3],
        9200.. => [6, 2],
        7600.. => [6, 1],
        6000.. => [6, 0],
        3790.. => [5, 2],
        2600.. => [5, 1],
        _ => [5, 0],
    }
}

/// `ReadBugCheckData`: `E_UNEXPECTED` if the machine runs, or is none.
pub fn bug_check(
    client: &Client,
    code: Out<u32>,
    first: Out<u64>,
    second: Out<u64>,
    third: Out<u64>,
    fourth: Out<u64>,
) -> Answer {
    let arguments = [first, second, third, fourth];
    if code.is_null() || arguments.iter().any(|a| a.is_null()) {
        return Err(HResult::E_POINTER);
    }
    let state = client.state.session.state();
    let found = state.current()?.machine()?.bug_check.ok_or(HResult::E_UNEXPECTED)?;
    code.put(found.code)?;
    for (out, value) in arguments.into_iter().zip(found.parameters) {
        out.put(value)?;
    }
    OK
}

/// `GetCurrentTimeDate`: seconds since 1970; of a dump those of its making.
/// `E_NOTIMPL` of a target that does not tell.
pub fn time_date(client: &Client, seconds: Out<u32>) -> Answer {
    let state = client.state.session.state();
    let target = state.current()?;
    let value = match (&target.subject, &target.origin) {
        (Subject::Machine { snapshot, .. }, _) => snapshot.system_time.unix_seconds(),
        (Subject::Process { snapshot, .. }, Origin::Dump(_)) => {
            snapshot.original.as_ref().map_or(0, |original| original.time_date_stamp.into())
        }
        _ => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
    };
    if value == 0 {
        return Err(HResult::E_NOTIMPL);
    }
    seconds.put(u32::try_from(value).unwrap_or(u32::MAX))?;
    OK
}

/// `GetCurrentSystemUpTime`: seconds, of a machine that tells.
pub fn up_time(client: &Client, seconds: Out<u32>) -> Answer {
    let state = client.state.session.state();
    let units = match state.current()?.machine() {
        Ok(machine) if machine.system_up_time != 0 => machine.system_up_time,
        _ => return Err(HResult::E_NOTIMPL),
    };
    seconds.put(u32::try_from(units / UNITS_PER_SECOND).unwrap_or(u32::MAX))?;
    OK
}

/// `GetNumberEvents`: one, that the target is there.
pub fn number_of_events(client: &Client, events: Out<u32>) -> Answer {
    ask(client, events, |_| 1)
}

/// `GetCurrentEventIndex`.
pub fn event_index(client: &Client, index: Out<u32>) -> Answer {
    ask(client, index, |_| 0)
}

/// `GetEngineOptions`.
pub fn engine_options(client: &Client, options: Out<u32>) -> Answer {
    options.put(client.state.session.state().engine_options)?;
    OK
}

/// `SetEngineOptions`. `FINAL_BREAK` stops at the end of a process; targets stand still
/// when they come whether `INITIAL_BREAK` is set or not; the rest is kept for the program.
pub fn set_engine_options(client: &Client, options: u32) -> Answer {
    if options & !ENGINE_OPTIONS != 0 {
        return Err(HResult::E_INVALIDARG);
    }
    client.state.session.state().engine_options = options;
    OK
}

/// `AddEngineOptions`.
pub fn add_engine_options(client: &Client, options: u32) -> Answer {
    let now = client.state.session.state().engine_options;
    set_engine_options(client, now | options)
}

/// `RemoveEngineOptions`.
pub fn remove_engine_options(client: &Client, options: u32) -> Answer {
    let now = client.state.session.state().engine_options;
    if options & !ENGINE_OPTIONS != 0 {
        return Err(HResult::E_INVALIDARG);
    }
    set_engine_options(client, now & !options)
}
