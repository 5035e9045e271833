use super::*;

const REGISTERS: usize = if cfg!(target_arch = "aarch64") { 272 } else { 216 };
const HEADER: usize = size_of::<FileHeader>();
const PROGRAM_HEADER: usize = size_of::<ProgramHeader>();
const MEMORY: usize = 4096;

fn note(out: &mut Vec<u8>, kind: u32, bytes: &[u8]) {
    out.extend([5_u32, bytes.len() as u32, kind].iter().flat_map(|n| n.to_le_bytes()));
    out.extend(b"CORE\0\0\0\0");
    out.extend(bytes);
    out.resize(out.len().next_multiple_of(4), 0);
}

fn status(tid: u8, signal: u8) -> Vec<u8> {
    let mut status = vec![0; 112 + REGISTERS + 8];
    status[12] = signal;
    status[32] = tid;
    status[112] = tid;
    status
}

fn two_threads() -> Vec<u8> {
    let mut notes = Vec::new();
    note(&mut notes, 1, &status(7, 11));
    note(&mut notes, 2, &[1; 512]);
    note(&mut notes, 1, &status(6, 0));
    notes
}

/// A core with these notes, two program headers, and memory behind.
fn core(notes: &[u8]) -> Vec<u8> {
    let mut out = vec![0; HEADER + 2 * PROGRAM_HEADER];
    out[..7].copy_from_slice(&[0x7F, b'E', b'L', b'F', 2, 1, 1]);
    out[16] = 4;
    out[18..20].copy_from_slice(&NATIVE_MACHINE.to_le_bytes());
    out[32] = HEADER as u8;
    let offset = out.len() as u64;
    out[HEADER] = 4;
    out[HEADER + 8..HEADER + 16].copy_from_slice(&offset.to_le_bytes());
    out[HEADER + 32..HEADER + 40].copy_from_slice(&(notes.len() as u64).to_le_bytes());
    out.extend(notes);
    out.extend([0xAA; MEMORY]);
    out
}

#[test]
fn the_head_is_read_to_the_end_of_the_notes_and_no_further() {
    let core = core(&two_threads());
    let mut stream = &core[..];
    let mut taken = Vec::new();
    let head = CoreHead::read(&mut stream, &mut taken).unwrap();
    assert_eq!(stream, [0xAA; MEMORY]);
    assert_eq!(taken, core[..core.len() - MEMORY]);
    let threads = head.notes().threads;
    let tids: Vec<_> = threads.iter().map(|thread| thread.status.pid.get()).collect();
    assert_eq!(tids, [7, 6]);
    assert_eq!((threads[0].general[0], threads[0].float), (7, Some(&[1; 512][..])));
}

#[test]
fn a_core_that_ends_early_is_refused_and_what_was_taken_is_kept() {
    let core = core(&two_threads());
    for end in (0..core.len() - MEMORY).step_by(13) {
        let mut taken = Vec::new();
        CoreHead::read(&mut &core[..end], &mut taken).unwrap_err();
        assert_eq!(taken, core[..end]);
    }
}

#[test]
fn foreign_bytes_are_refused_by_what_is_wrong_with_them() {
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut core = core(&two_threads());
        change(&mut core);
        CoreHead::read(&mut &core[..], &mut Vec::new()).unwrap_err().to_string()
    };
    assert!(refused(&|core| core[0] = 0).contains("no ELF file"));
    assert!(refused(&|core| core[4] = 1).contains("32-bit"));
    assert!(refused(&|core| core[16] = 3).contains("another type"));
    assert!(refused(&|core| core[18] ^= 1).contains("another processor"));
    assert!(refused(&|core| core[39] = 0x7F).contains("nowhere"));
    assert!(refused(&|core| core[HEADER] = 1).contains("do not come first"));
    assert!(refused(&|core| core[HEADER + 39] = 0x7F).contains("larger"));
    assert!(refused(&|core| core[HEADER + 32..HEADER + 40].fill(0)).contains("no thread"));
}
