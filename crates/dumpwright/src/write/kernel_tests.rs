use super::*;
use crate::target::machine::Gpa;
use crate::target::machine::image::ExtentMemory;
use std::fs;
use std::io::Read;
use std::sync::Arc;

/// 1 MiB with contents in pages 16 to 18 and 200, and 64 KiB that the file lacks.
fn sparse() -> (tempfile::NamedTempFile, ExtentMemory) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(1 << 20).unwrap();
    for (page, byte) in [(16_u64, 1_u8), (17, 2), (200, 3)] {
        file.seek(SeekFrom::Start(page * PAGE_SIZE)).unwrap();
        file.write_all(&[byte; PAGE_SIZE as usize]).unwrap();
    }
    let memory = ExtentMemory::of_file(Arc::new(file.reopen().unwrap()), &[(0, 1 << 20, 0)]);
    (file, memory)
}

fn run(base: u64, count: u64) -> PageRun {
    PageRun { base: Pfn(base), count }
}

#[test]
fn holes_of_a_file_are_zeros_that_nobody_reads() {
    let (_file, memory) = sparse();
    let parts = parts(&[run(0, 256)], &Edits::default(), &memory);
    let zeros: u64 = parts.iter().filter(|part| part.zero).map(|part| part.run.count).sum();
    assert!(zeros > 100, "{parts:?}");
    let mut at = 0;
    for part in &parts {
        assert_eq!(part.run.base, Pfn(at));
        at += part.run.count;
        assert!(!part.zero || ![16, 17, 200].iter().any(|page| part.run.contains(Pfn(*page))));
    }
    assert_eq!(at, 256);
}

#[test]
fn every_way_of_writing_gives_the_same_bytes() {
    let (file, memory) = sparse();
    let mut expected = fs::read(file.path()).unwrap();
    // One change among what is there, and none anywhere else.
    let edits = Edits::of_frame(Gpa(16 * PAGE_SIZE + 5), b"edited");
    expected[16 * PAGE_SIZE as usize + 5..][..6].copy_from_slice(b"edited");
    let parts = parts(&[run(0, 256)], &edits, &memory);

    let mut streamed = Vec::new();
    let mut target = Target::Stream(&mut streamed);
    write_pages(&parts, &edits, &memory, &mut target, &()).unwrap();
    assert!(streamed == expected);

    for by_system in [false, true] {
        let mut out = tempfile::tempfile().unwrap();
        let mut target = Target::File(&mut out);
        let outcome = if by_system {
            copy_by_system(&parts, &edits, &memory, &mut target, &())
        } else {
            write_pages(&parts, &edits, &memory, &mut target, &())
        };
        assert!(outcome.unwrap().holes.is_empty());
        let mut written = Vec::new();
        out.rewind().unwrap();
        out.read_to_end(&mut written).unwrap();
        assert!(written == expected, "by the system: {by_system}");
    }
}

#[test]
fn what_a_file_lost_is_missing_and_not_zero() {
    let (file, memory) = sparse();
    file.as_file().set_len(100 * PAGE_SIZE).unwrap();
    let parts = parts(&[run(0, 256)], &Edits::default(), &memory);
    let mut out = Vec::new();
    let mut target = Target::Stream(&mut out);
    let outcome = write_pages(&parts, &Edits::default(), &memory, &mut target, &()).unwrap();
    let missing: u64 = outcome.holes.iter().map(|hole| hole.run.count).sum();
    assert_eq!(missing, 156);
}
