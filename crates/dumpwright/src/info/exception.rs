//! The exception, by the names of its platform.

use super::hex::Hex;
use super::model::ExceptionInfo;
use super::{signal, status};
use crate::read::{Exception, Registers, SystemInfo};
use dumpwright_format::minidump::{
    LINUX_DUMP_REQUESTED, PLATFORM_ANDROID, PLATFORM_LINUX, PLATFORM_MACOS,
};

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
        name: exception_name(
            system.map_or(0, |system| system.platform_id),
            exception.code,
            exception.flags,
            &exception.parameters,
        ),
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

/// The name of an exception, as the platform of this `PlatformId` has it.
pub fn exception_name(platform_id: u32, code: u32, flags: u32, parameters: &[u64]) -> String {
    let known = match platform_id {
        PLATFORM_LINUX | PLATFORM_ANDROID => return linux_name(code, flags as i32),
        PLATFORM_MACOS | 0x8102 => status::mach_name(code).map(str::to_owned),
        _ => status::windows_name(code, parameters),
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
