//! What MiscInfo and ThreadList have of a process of Windows and of nothing
//! else: priority class, integrity, execute flags, protection, clocks, zone.

use super::sys::system::{Machine, time_zone_information};
use super::sys::{information, power, process, token};
use crate::target::NtFacts;
use std::os::windows::io::BorrowedHandle;
use windows_sys::Wdk::System::Threading::{
    PROCESSINFOCLASS, ProcessBasicInformation, ProcessCookie,
};

/// `ProcessExecuteFlags`, winternl.h.
const PROCESS_EXECUTE_FLAGS: PROCESSINFOCLASS = 34;
/// Words of `PROCESS_EXTENDED_BASIC_INFORMATION`: its size, the six words of
/// the plain form, flags.
const EXTENDED_WORDS: usize = 8;
/// `IsProtectedProcess` of its flags.
const IS_PROTECTED: u64 = 0x1;

/// What Windows tells of all that. What it does not tell is not claimed.
pub(super) fn read(process: BorrowedHandle<'_>, machine: Machine) -> NtFacts {
    NtFacts {
        priority_class: process::priority_class(process).unwrap_or(0),
        integrity_level: token::integrity(process).ok().and_then(|sid| level(&sid)),
        execute_flags: information::half_word_of_process(process, PROCESS_EXECUTE_FLAGS).ok(),
        is_protected: is_protected(process),
        power: power::first_processor(machine.processors).ok(),
        time_zone: Some(time_zone_information()),
        cookie: information::half_word_of_process(process, ProcessCookie).ok(),
    }
}

/// The level of a mandatory label: `S-1-16-LEVEL`.
fn level(sid: &str) -> Option<u32> {
    sid.strip_prefix("S-1-16-")?.parse().ok()
}

fn is_protected(process: BorrowedHandle<'_>) -> Option<bool> {
    let mut words = [0; EXTENDED_WORDS];
    words[0] = size_of_val(&words) as u64;
    information::into_words_of_process(process, ProcessBasicInformation, &mut words).ok()?;
    Some(words[EXTENDED_WORDS - 1] & IS_PROTECTED != 0)
}
