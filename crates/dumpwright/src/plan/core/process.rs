//! The notes of the process and its threads.

use super::Text;
use super::notes::Notes;
use super::registers;
use crate::plan::Context;
use crate::target::{ExceptionSnapshot, ProcessSnapshot, Registers, ThreadSnapshot, Tid};
use dumpwright_format::elf_core::{
    NT_PRPSINFO, NT_PRSTATUS, NT_SIGINFO, OWNER_CORE, PrPsInfo, PrStatus, SIGINFO_SIZE, TimeVal,
};
use dumpwright_format::minidump::{LINUX_DUMP_REQUESTED, StreamType};
use zerocopy::{FromZeros, IntoBytes};

/// Writes the notes of the threads, the one that crashed first, with those of
/// the process behind the first one's status, as the kernel does.
pub(super) fn notes<'a>(
    context: &Context<'_>,
    text: Text<'_>,
    stream: impl Fn(StreamType) -> Option<&'a [u8]>,
    notes: &mut Notes,
    of_process: impl FnOnce(&mut Notes),
) {
    let snapshot = context.snapshot;
    let exception = snapshot.exception.as_ref();
    let signal = exception.filter(|e| e.code != LINUX_DUMP_REQUESTED);
    let crashed = exception.map(|e| e.tid);
    let mut threads: Vec<&ThreadSnapshot> = snapshot.threads.iter().collect();
    threads.sort_by_key(|t| Some(t.tid) != crashed);
    let status = stream(StreamType::LINUX_PROC_STATUS);
    let arguments = stream(StreamType::LINUX_CMD_LINE);
    let mut of_process = Some(of_process);
    let process_info = |notes: &mut Notes| {
        notes.put(OWNER_CORE, NT_PRPSINFO, info(snapshot, text, status, arguments).as_bytes());
        if let Some(signal) = signal {
            notes.put(OWNER_CORE, NT_SIGINFO, &siginfo(signal));
        }
    };
    if threads.is_empty() {
        process_info(notes);
    }
    for thread in threads {
        // Debuggers unwind from the registers of the status.
        let registers = match exception.filter(|e| e.tid == thread.tid) {
            Some(exception) => &exception.registers,
            None => &thread.registers,
        };
        put_status(snapshot, thread, registers, signal, notes);
        if let Some(of_process) = of_process.take() {
            process_info(notes);
            of_process(notes);
        }
        let system = &snapshot.system;
        registers::others(
            system.architecture,
            &context.registers(registers),
            thread.thread_pointer,
            system.xstate.as_ref(),
            notes,
        );
    }
}

fn put_status(
    snapshot: &ProcessSnapshot,
    thread: &ThreadSnapshot,
    registers: &Registers,
    signal: Option<&ExceptionSnapshot>,
    notes: &mut Notes,
) {
    let process = &snapshot.process;
    let mut status = PrStatus::new_zeroed();
    status.pid = thread.tid.0.into();
    if let Some(signal) = signal {
        status.si_signo = (signal.code as i32).into();
        status.cursig = (signal.code as i16).into();
    }
    if thread.tid == Tid(process.pid.0) {
        (status.utime, status.stime) = (time(process.user_time), time(process.kernel_time));
    } else if let Some(times) = &thread.info {
        (status.utime, status.stime) = (time(times.user_time), time(times.kernel_time));
    }
    let architecture = snapshot.system.architecture;
    let general = registers::general(architecture, registers, thread.thread_pointer);
    // `pr_fpvalid`, padded.
    let valid = 1u64.to_le_bytes();
    notes.put(OWNER_CORE, NT_PRSTATUS, &[status.as_bytes(), &general, &valid].concat());
}

/// From units of 100 ns.
fn time(units: u64) -> TimeVal {
    TimeVal { seconds: (units / 10_000_000).into(), micros: (units % 10_000_000 / 10).into() }
}

/// `status` and `arguments` are what the filters left of the streams.
fn info(
    snapshot: &ProcessSnapshot,
    text: Text<'_>,
    status: Option<&[u8]>,
    arguments: Option<&[u8]>,
) -> PrPsInfo {
    let mut info = PrPsInfo::new_zeroed();
    let number = |key: &str| {
        let status = String::from_utf8_lossy(status?);
        let line = status.lines().find_map(|line| line.strip_prefix(key))?.to_owned();
        line.split_ascii_whitespace().next()?.parse::<u32>().ok()
    };
    info.sname = b'.';
    info.pid = snapshot.process.pid.0.into();
    info.ppid = number("PPid:").unwrap_or_default().into();
    info.uid = number("Uid:").unwrap_or_default().into();
    info.gid = number("Gid:").unwrap_or_default().into();
    let program = snapshot.program_name();
    let mut name = text.name(&snapshot.process.name, program);
    if name.is_empty() {
        name = text.name(program, program);
    }
    fill(&mut info.fname, &name);
    let arguments = arguments.unwrap_or_default();
    let arguments = arguments.strip_suffix(b"\0").unwrap_or(arguments);
    let blanks: Vec<u8> = arguments.iter().map(|b| if *b == 0 { b' ' } else { *b }).collect();
    fill(&mut info.psargs, &blanks);
    info
}

/// Copies as much as fits with a NUL behind it.
fn fill(field: &mut [u8], text: &[u8]) {
    let len = text.len().min(field.len() - 1);
    field[..len].copy_from_slice(&text[..len]);
}

/// `siginfo_t`, with the address of a fault.
fn siginfo(exception: &ExceptionSnapshot) -> [u8; SIGINFO_SIZE] {
    /// `SI_KERNEL`: the processor told no address.
    const SI_KERNEL: i32 = 0x80;
    /// SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS.
    const FAULTS: [u32; 6] = [4, 5, 7, 8, 11, 31];
    let mut raw = [0; SIGINFO_SIZE];
    raw[..4].copy_from_slice(&exception.code.to_le_bytes());
    raw[8..12].copy_from_slice(&exception.flags.to_le_bytes());
    let code = exception.flags as i32;
    if code > 0 && code != SI_KERNEL && FAULTS.contains(&exception.code) {
        raw[16..24].copy_from_slice(&exception.address.to_le_bytes());
    }
    raw
}
