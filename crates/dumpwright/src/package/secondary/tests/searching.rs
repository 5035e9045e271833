//! Finding debug files by every way that leads to them.

use super::*;
use std::process::Command;

const ID: &[u8] = &[0xab, 0xcd, 0xef, 0x01];

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[test]
fn the_build_id_leads_to_the_debug_root_and_then_to_the_cache() {
    let machine = Machine::new();
    let image = machine.file("lib/libx.so", &Elf::new().build_id(ID).bytes());
    assert_eq!(machine.beside(&image).0, ["libx.so"]);

    let debug = Elf::new().build_id(ID).text("in the cache").bytes();
    machine.file("cache/abcdef01/debuginfo", &debug);
    assert_eq!(machine.beside(&image), (vec!["libx.so".into(), "libx.so.debug".into()], vec![]));

    let debug = Elf::new().build_id(ID).text("in the root").bytes();
    machine.file("debug/.build-id/ab/cdef01.debug", &debug);
    let target = FakeTarget::new().module(0x1000, image.to_str().unwrap(), Some(&image));
    let found = machine.collect(&target, SecondaryScope::Modules);
    assert_eq!(found.entries[1].size, debug.len() as u64);
}

#[test]
fn a_file_with_another_build_id_is_left_out_with_a_note() {
    let machine = Machine::new();
    let image = machine.file("lib/libx.so", &Elf::new().build_id(ID).bytes());
    machine.file("debug/.build-id/ab/cdef01.debug", &Elf::new().build_id(b"other").bytes());
    let (names, notes) = machine.beside(&image);
    assert_eq!(names, ["libx.so"]);
    assert!(notes[0].message.contains("another build id"), "{notes:?}");
    assert_eq!(notes[0].subject, image.to_str().unwrap());
}

#[test]
fn what_debuginfod_did_not_find_is_no_debug_file_and_no_trouble() {
    let machine = Machine::new();
    let image = machine.file("lib/libx.so", &Elf::new().build_id(ID).bytes());
    machine.file("cache/abcdef01/debuginfo", b"");
    assert_eq!(machine.beside(&image), (vec!["libx.so".into()], vec![]));
}

#[test]
fn the_targets_build_id_serves_where_the_image_shows_none() {
    let machine = Machine::new();
    let image = machine.file("lib/libx.so", &Elf::new().bytes());
    machine.file("debug/.build-id/ab/cdef01.debug", &Elf::new().build_id(ID).bytes());
    let target =
        FakeTarget::new().module(0x1000, image.to_str().unwrap(), Some(&image)).known_as(ID);
    let found = machine.collect(&target, SecondaryScope::Modules);
    assert_eq!(names(&found), ["libx.so", "libx.so.debug"]);
}

#[test]
fn the_debug_link_leads_to_the_three_places_where_its_checksum_is_right() {
    for place in ["lib/libx.dbg", "lib/.debug/libx.dbg", "debug/ROOT/lib/libx.dbg"] {
        let machine = Machine::new();
        let root = machine.folder.path().strip_prefix("/").unwrap().to_str().unwrap().to_owned();
        let debug = Elf::new().text("debug").bytes();
        let link = Elf::new().debug_link("libx.dbg", crc(&debug));
        let image = machine.file("lib/libx.so", &link.bytes());
        let place = place.replace("ROOT", &root);
        machine.file(&place, b"not what is meant");
        let (names, notes) = machine.beside(&image);
        assert_eq!(names, ["libx.so"], "{place}");
        assert!(notes[0].message.contains("CRC differs"), "{notes:?}");
        machine.file(&place, &debug);
        let (names, notes) = machine.beside(&image);
        assert_eq!((names.len(), notes.len()), (2, 0), "{place}");
    }
}

#[test]
fn a_debug_link_leads_nowhere_else() {
    let machine = Machine::new();
    let secret = machine.file("secret", b"secret");
    for link in ["../secret", secret.to_str().unwrap(), "..", "."] {
        let elf = Elf::new().debug_link(link, crc(b"secret"));
        let image = machine.file("lib/libx.so", &elf.bytes());
        assert_eq!(machine.beside(&image), (vec!["libx.so".into()], vec![]), "{link}");
    }
}

#[test]
fn an_image_is_not_its_own_debug_file() {
    let machine = Machine::new();
    let elf = Elf::new().debug_link("libx.so", 1);
    let image = machine.file("lib/libx.so", &elf.bytes());
    assert_eq!(machine.beside(&image), (vec!["libx.so".into()], vec![]));
}

#[test]
fn what_dwz_split_off_goes_along() {
    let machine = Machine::new();
    let image = machine.file("lib/libx.so", &Elf::new().build_id(ID).bytes());
    let debug = Elf::new().build_id(ID).alternate("../../.dwz/common.debug", b"common");
    machine.file("debug/.build-id/ab/cdef01.debug", &debug.bytes());
    let common = machine.file("debug/.dwz/common.debug", &Elf::new().build_id(b"wrong").bytes());
    assert_eq!(machine.beside(&image).0.len(), 2);
    fs::write(common, Elf::new().build_id(b"common").bytes()).unwrap();
    let expected = ["libx.so", "libx.so.debug", "libx.so.alt.debug"];
    assert_eq!(machine.beside(&image).0, expected);
}

#[test]
fn split_dwarf_goes_along_only_beside_the_image_that_is_mapped() {
    let machine = Machine::new();
    let image = machine.file("bin/prog", &Elf::new().bytes());
    let package = machine.file("bin/prog.dwp", b"private, and not ELF");
    assert_eq!(machine.beside(&image).0, ["prog"]);
    fs::write(package, Elf::new().text("dwp").bytes()).unwrap();
    assert_eq!(machine.beside(&image).0, ["prog", "prog.dwp"]);

    let mapped = machine.file("elsewhere/prog", &Elf::new().bytes());
    let target = FakeTarget::new().module(0x1000, image.to_str().unwrap(), Some(&mapped));
    assert_eq!(names(&machine.collect(&target, SecondaryScope::Modules)), ["prog"]);
}

#[test]
fn a_pipe_in_the_place_of_a_debug_file_is_not_waited_for() {
    let machine = Machine::new();
    let image = machine.file("lib/libx.so", &Elf::new().build_id(ID).bytes());
    let debug = machine.file("debug/.build-id/ab/cdef01.debug", b"");
    fs::remove_file(&debug).unwrap();
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &debug, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert_eq!(machine.beside(&image).0, ["libx.so"]);
}

#[test]
fn links_of_files_that_lie_are_not_believed_and_cost_nothing() {
    let whole = Elf::new().build_id(ID).debug_link("libx.dbg", 7).bytes();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&whole).unwrap();
    let links = Links::read(&file).unwrap();
    assert_eq!(links.build_id.as_deref(), Some(ID));
    assert_eq!(links.debug_link, Some((b"libx.dbg".to_vec(), 7)));
    // Every byte wrong in turn, and every length.
    for at in 0..whole.len() {
        for wrong in [0, 0xFF, whole[at] ^ 0x80] {
            let mut bytes = whole.clone();
            bytes[at] = wrong;
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            // A hole of 1 TiB behind it, so that no length is out of bounds.
            file.set_len(1 << 40).unwrap();
            let _ = Links::read(&file);
        }
        file.set_len((whole.len() - at) as u64).unwrap();
        let _ = Links::read(&file);
    }
}

/// Compiled, stripped and linked by the tools that everybody uses.
#[test]
fn real_files_find_each_other() {
    let machine = Machine::new();
    let source = machine.file("x.c", b"int main(void) { return 0; }\n");
    let script = "set -e; gcc -g -Wl,--build-id=0xabcdef01 -o prog x.c; \
                  objcopy --only-keep-debug prog prog.dbg; \
                  objcopy --strip-debug --add-gnu-debuglink=prog.dbg prog";
    let folder = source.parent().unwrap();
    let made = Command::new("sh").args(["-c", script]).current_dir(folder).output().unwrap();
    if !made.status.success() {
        let why = String::from_utf8_lossy(&made.stderr);
        assert!(why.contains("not found"), "{why}");
        eprintln!("SKIPPED: gcc or objcopy is not installed: {why}");
        return;
    }
    let image = folder.join("prog");
    assert_eq!(machine.beside(&image), (vec!["prog".into(), "prog.debug".into()], vec![]));
    let debug = fs::read(folder.join("prog.dbg")).unwrap();
    fs::remove_file(folder.join("prog.dbg")).unwrap();
    assert_eq!(machine.beside(&image).0, ["prog"]);
    machine.file("debug/.build-id/ab/cdef01.debug", &debug);
    assert_eq!(machine.beside(&image), (vec!["prog".into(), "prog.debug".into()], vec![]));
}

#[test]
fn what_a_file_says_of_itself_is_read_within_bounds() {
    // Ever longer notes over the same bytes, each of which would stay in memory.
    const NOTES: usize = 400;
    let mut bytes = Elf::new().bytes();
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let table = bytes.len();
    for index in 0..NOTES {
        let mut header = [0; 64];
        header[4] = 7;
        header[24..32].copy_from_slice(&(index as u64 * 4).to_le_bytes());
        header[32..40].copy_from_slice(&(1_u64 << 20).to_le_bytes());
        header[48] = 4;
        bytes.extend(header);
    }
    bytes[40..48].copy_from_slice(&(table as u64).to_le_bytes());
    bytes[60..62].copy_from_slice(&(NOTES as u16).to_le_bytes());
    bytes[62..64].fill(0);
    bytes.resize(2 << 20, 0);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    let (links, read) = Links::read_counted(&file);
    assert_eq!(links, Some(Links::default()));
    assert!((32 << 20..=64 << 20).contains(&read), "{read}");
}
