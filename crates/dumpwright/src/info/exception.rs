//! The exception, by the names of its platform.

use super::hex::Hex;
use super::model::ExceptionInfo;
use super::{signal, status};
use crate::read::{Exception, Registers, SystemInfo};
use dumpwright_format::minidump::{LINUX_DUMP_REQUESTED, PLATFORM_MACOS};

pub(super) fn summary(
    exception: &Exception,
    system: Option<&SystemInfo>,
    registers: Option<&Registers>,
    locate: impl Fn(u64) -> Option<String>,
) -> ExceptionInfo {
    let pointer = registers.map(|r| r.instruction_pointer);
    ExceptionInfo {
        thread_id: exception.thread_id,
        code: Hex(exception.code.into()),
        name: name(exception, system),
        flags: Hex(exception.flags.into()),
        address: Hex(exception.address),
        parameters: exception.parameters.iter().copied().map(Hex).collect(),
        instruction_pointer: pointer.map(Hex),
        location: pointer.and_then(locate),
        registers: registers
            .map(|r| r.general.iter().map(|(name, value)| (*name, Hex(*value))).collect())
            .unwrap_or_default(),
    }
}

fn name(exception: &Exception, system: Option<&SystemInfo>) -> String {
    let code = exception.code;
    let known = match system {
        Some(system) if system.is_linux() => return linux_name(code, exception.flags as i32),
        Some(system) if system.platform_id == PLATFORM_MACOS || system.platform_id == 0x8102 => {
            status::mach_name(code).map(str::to_owned)
        }
        _ => status::windows_name(code, &exception.parameters),
    };
    known.unwrap_or_else(|| match code {
        // Writers store an exception for a context, without anything wrong.
        0 => "none".to_owned(),
        code => format!("exception {code:#x}"),
    })
}

fn linux_name(signal: u32, code: i32) -> String {
    if signal == LINUX_DUMP_REQUESTED {
        return "dump requested".to_owned();
    }
    let name = signal::signal_name(signal).unwrap_or_else(|| format!("signal {signal}"));
    match signal::code_name(signal, code) {
        Some(code) => format!("{name} ({code})"),
        None => format!("{name} (si_code {code})"),
    }
}

/// Whether the exception's address means something beyond the instruction.
pub(super) fn shows_address(info: &ExceptionInfo, linux: bool) -> bool {
    !linux || signal::has_fault_address(info.code.0 as u32, info.flags.0 as u32 as i32)
}
