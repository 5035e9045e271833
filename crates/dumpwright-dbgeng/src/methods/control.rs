//! `IDebugControl`: interrupts, events, and what kind of target there is.

use super::OK;
use crate::abi::{Answer, Out};
use crate::object::Client;
use crate::target::{Origin, Target};
use dumpwright::HResult;
use dumpwright::target::{Architecture, Platform};
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

/// `DEBUG_INTERRUPT_EXIT`, the last of the ways to interrupt.
const INTERRUPT_EXIT: u32 = 2;
/// `DEBUG_CLASS_UNINITIALIZED`.
const CLASS_NONE: u32 = 0;
/// `DEBUG_CLASS_USER_WINDOWS`.
const CLASS_USER: u32 = 2;
/// `DEBUG_USER_WINDOWS_PROCESS`.
const USER_PROCESS: u32 = 0;
/// `DEBUG_USER_WINDOWS_SMALL_DUMP`: a minidump, whatever it holds.
const USER_SMALL_DUMP: u32 = 1024;
/// `DEBUG_USER_WINDOWS_DUMP`: another full dump of a process; here ELF cores.
const USER_DUMP: u32 = 1025;
/// `DEBUG_STATUS_BREAK`.
const STATUS_BREAK: u32 = 6;
/// `DEBUG_STATUS_NO_DEBUGGEE`.
const STATUS_NO_DEBUGGEE: u32 = 7;
/// The kernel's word for a free build, which `GetSystemVersionValues` has for
/// the major number.
const FREE_BUILD: u32 = 0xF;

/// `GetInterrupt`: `S_OK` if one was asked for since the last time.
pub fn interrupt(client: &Client) -> Answer {
    let pending = client.state.session.take_interrupt();
    Ok(if pending { HResult::S_OK } else { HResult::S_FALSE })
}

/// `SetInterrupt`: ends a dump that is being written, or the next one if there
/// is none. Never waits.
pub fn set_interrupt(client: &Client, flags: u32) -> Answer {
    if flags > INTERRUPT_EXIT {
        return Err(HResult::E_INVALIDARG);
    }
    client.state.session.interrupt.store(true, Ordering::Relaxed);
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

/// `WaitForEvent`: tells of targets that came since the last time. Nothing else
/// happens to a target, so it never waits: without news it is `E_UNEXPECTED`,
/// as for dbgeng when no target can have events.
pub fn wait_for_event(client: &Client, flags: u32, _timeout: u32) -> Answer {
    if flags != 0 {
        return Err(HResult::E_INVALIDARG);
    }
    let mut state = client.state.session.state();
    if std::mem::take(&mut state.event) { OK } else { Err(HResult::E_UNEXPECTED) }
}

/// `GetDebuggeeType`.
pub fn debuggee_type(client: &Client, class: Out<u32>, qualifier: Out<u32>) -> Answer {
    if class.is_null() || qualifier.is_null() {
        return Err(HResult::E_POINTER);
    }
    let state = client.state.session.state();
    let (is, which) = match state.current().map(|t| &t.origin) {
        Err(_) => (CLASS_NONE, 0),
        Ok(Origin::Live { .. }) => (CLASS_USER, USER_PROCESS),
        Ok(Origin::Dump(dump)) if dump.format.is_some() => (CLASS_USER, USER_SMALL_DUMP),
        Ok(Origin::Dump(_)) => (CLASS_USER, USER_DUMP),
    };
    class.put(is)?;
    qualifier.put(which)?;
    OK
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
        Origin::Live { .. } => return Err(HResult::E_UNEXPECTED),
    }
    OK
}

/// `GetExecutionStatus`.
pub fn execution_status(client: &Client, status: Out<u32>) -> Answer {
    let none = client.state.session.state().current().is_err();
    status.put(if none { STATUS_NO_DEBUGGEE } else { STATUS_BREAK })?;
    OK
}

/// Asks the current target something.
fn ask(client: &Client, out: Out<u32>, question: impl FnOnce(&Target) -> u32) -> Answer {
    let state = client.state.session.state();
    out.put(question(state.current()?))?;
    OK
}

/// `GetActualProcessorType`, `GetExecutingProcessorType` and
/// `GetEffectiveProcessorType`: `IMAGE_FILE_MACHINE_*` of the process.
pub fn processor_type(client: &Client, kind: Out<u32>) -> Answer {
    ask(client, kind, |target| match target.snapshot.system.architecture {
        Architecture::Amd64 => 0x8664,
        Architecture::X86 => 0x14C,
        Architecture::Arm64 => 0xAA64,
    })
}

/// `GetNumberProcessors`.
pub fn processors(client: &Client, number: Out<u32>) -> Answer {
    ask(client, number, |target| target.snapshot.system.number_of_processors)
}

/// `GetPageSize`.
pub fn page_size(client: &Client, size: Out<u32>) -> Answer {
    ask(client, size, |target| target.snapshot.page_size as u32)
}

/// `IsPointer64Bit`.
pub fn pointer_64_bit(client: &Client) -> Answer {
    let state = client.state.session.state();
    let wide = state.current()?.snapshot.system.architecture.pointer_size() == 8;
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
    let system = &state.current()?.snapshot.system;
    let [major_version, minor_version, build_number] = system.version;
    platform.put(system.platform_id)?;
    major.put(major_version)?;
    minor.put(minor_version)?;
    build_kind.put_if_wanted(if system.platform() == Platform::Windows { FREE_BUILD } else { 0 });
    build.put_if_wanted(build_number);
    OK
}

/// `GetCurrentTimeDate`: seconds since 1970, for a live target.
pub fn time_date(client: &Client, seconds: Out<u32>) -> Answer {
    let state = client.state.session.state();
    if !state.current()?.is_live() {
        return Err(HResult::E_NOTIMPL);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    seconds.put(u32::try_from(now.as_secs()).unwrap_or(u32::MAX))?;
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
