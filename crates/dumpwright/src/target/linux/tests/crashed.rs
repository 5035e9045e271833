//! Processes that the kernel holds, played by one that sleeps and the head of a
//! core made here.

use crate::error::Error;
use crate::target::linux::testkit::Child;
use crate::target::linux::{CoreHead, CrashedProcess};
use crate::target::{Pid, ProcessTarget, Wants};
use dumpwright_format::elf_core::{
    EM_AARCH64, EM_X86_64, FileHeader, NT_PRSTATUS, NT_SIGINFO, PrStatus, ProgramHeader,
};
use std::sync::Arc;
use zerocopy::{FromZeros, IntoBytes};

/// `user_regs_struct`, `user_pt_regs`; and where instruction and stack pointer
/// are in it.
const REGISTERS: (usize, usize, usize) =
    if cfg!(target_arch = "aarch64") { (34, 32, 31) } else { (27, 16, 19) };

fn note(out: &mut Vec<u8>, kind: u32, bytes: &[u8]) {
    out.extend([5_u32, bytes.len() as u32, kind].iter().flat_map(|n| n.to_le_bytes()));
    out.extend(b"CORE\0\0\0\0");
    out.extend(bytes);
}

/// A thread that executes at `ip`, with its stack pointer at `sp`.
fn status(tid: u32, ip: u64, sp: u64) -> Vec<u8> {
    let mut status = PrStatus::new_zeroed();
    status.pid = tid.into();
    status.cursig = 11.into();
    let mut words = vec![0_u64; REGISTERS.0 + 1];
    words[REGISTERS.1] = ip;
    words[REGISTERS.2] = sp;
    let words = words.iter().flat_map(|word| word.to_le_bytes());
    status.as_bytes().iter().copied().chain(words).collect()
}

fn head(notes: &[u8]) -> CoreHead {
    let mut header = FileHeader::new_zeroed();
    header.ident[..7].copy_from_slice(&[0x7F, b'E', b'L', b'F', 2, 1, 1]);
    header.kind = 4.into();
    header.machine = if cfg!(target_arch = "aarch64") { EM_AARCH64 } else { EM_X86_64 }.into();
    header.phoff = (size_of::<FileHeader>() as u64).into();
    let mut segment = ProgramHeader::new_zeroed();
    segment.kind = 4.into();
    segment.offset = ((size_of::<FileHeader>() + size_of::<ProgramHeader>()) as u64).into();
    segment.filesz = (notes.len() as u64).into();
    let core = [header.as_bytes(), segment.as_bytes(), notes].concat();
    CoreHead::read(&mut &core[..], &mut Vec::new()).unwrap()
}

#[test]
fn registers_come_from_the_core_and_all_else_from_proc() {
    let child = Child::sleeping();
    let tid = child.pid();
    let mut siginfo = [0; 128];
    siginfo[0] = 11;
    siginfo[8] = 1;
    siginfo[16..24].copy_from_slice(&0x4d0_u64.to_le_bytes());
    let mut notes = Vec::new();
    note(&mut notes, NT_PRSTATUS, &status(tid, 0x1234, 0x5678));
    note(&mut notes, NT_SIGINFO, &siginfo);
    // A thread that the process does not have is known from the core alone.
    note(&mut notes, NT_PRSTATUS, &status(tid + 1, 1, 2));
    let target = CrashedProcess::open(Pid(tid), &head(&notes), &Wants::default()).unwrap();
    let snapshot = target.snapshot();
    let tids: Vec<_> = snapshot.threads.iter().map(|thread| thread.tid.0).collect();
    assert_eq!(tids, [tid, tid + 1]);
    let registers = &snapshot.threads[0].registers;
    assert_eq!((registers.instruction_pointer, registers.stack_pointer), (0x1234, 0x5678));
    let exception = snapshot.exception.as_ref().unwrap();
    assert_eq!((exception.tid.0, exception.code, exception.flags), (tid, 11, 1));
    assert_eq!((exception.address, &exception.registers), (0x4d0, registers));
    assert_eq!(snapshot.process.name, "sleep");
    let main = &snapshot.modules[0];
    let mut magic = [0; 4];
    assert!(target.memory().read_exact(main.base, &mut magic));
    assert_eq!(magic, *b"\x7FELF");
    assert!(target.open_module(main).is_ok());
}

#[test]
fn what_holds_the_process_is_let_go_with_it() {
    let child = Child::sleeping();
    let mut notes = Vec::new();
    note(&mut notes, NT_PRSTATUS, &status(child.pid(), 1, 2));
    let hold = Arc::new(());
    let target = CrashedProcess::open(Pid(child.pid()), &head(&notes), &Wants::default()).unwrap();
    let mut target = target.held_by(hold.clone());
    assert_eq!(Arc::strong_count(&hold), 2);
    target.release();
    assert_eq!(Arc::strong_count(&hold), 1);
    assert_eq!(target.held(), target.held(), "the clock has stopped");
}

#[test]
fn the_core_of_another_process_is_refused() {
    let child = Child::sleeping();
    let mut notes = Vec::new();
    note(&mut notes, NT_PRSTATUS, &status(1, 1, 2));
    let open = |pid| CrashedProcess::open(Pid(pid), &head(&notes), &Wants::default()).err();
    let error = open(child.pid()).unwrap();
    assert!(error.to_string().contains("of another process"), "{error}");
    assert!(matches!(open(u32::MAX >> 1), Some(Error::Target { .. })));
}
