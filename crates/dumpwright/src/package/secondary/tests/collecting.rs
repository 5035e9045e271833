//! What is collected of a whole target.

use super::*;

#[test]
fn every_module_goes_along_once() {
    let machine = Machine::new();
    let a = machine.file("a/libx.so", &Elf::new().text("a").bytes());
    let b = machine.file("b/libx.so", &Elf::new().text("b").bytes());
    let target = FakeTarget::new()
        .module(0x1000, "/a/libx.so", Some(&a))
        .module(0x2000, "/b/libx.so", Some(&b))
        .module(0x3000, "/link/to/a.so", Some(&a));
    let found = machine.collect(&target, SecondaryScope::Modules);
    assert_eq!((names(&found), found.notes.len()), (vec!["libx.so".into(); 2], 0));
    assert!(found.entries[0].modified.is_some());
    assert_eq!(found.entries[0].size, fs::metadata(&a).unwrap().len());
}

#[test]
fn windows_modules_go_along_without_their_folders() {
    let machine = Machine::new();
    let image = machine.file("image.dll", b"MZ and more");
    let odd = machine.file("odd", &Elf::new().bytes());
    let target = FakeTarget::of_windows()
        .module(0x1000, r"C:\Windows\System32\ntdll.dll", Some(&image))
        .module(0x3000, r"C:\gone.dll", None);
    let found = machine.collect(&target, SecondaryScope::Modules);
    assert_eq!(names(&found), ["ntdll.dll"]);
    assert_eq!(found.notes[0].subject, r"C:\gone.dll");

    // A backslash is a character like any other in the names of Linux.
    let target = FakeTarget::new().module(0x2000, r"/opt/a\b.so", Some(&odd));
    assert_eq!(names(&machine.collect(&target, SecondaryScope::Modules)), [r"a\b.so"]);
}

#[test]
fn what_cannot_be_opened_is_a_note_and_the_rest_goes_along() {
    let machine = Machine::new();
    let good = machine.file("good.so", &Elf::new().bytes());
    let target = FakeTarget::new().module(0x1000, "/lib/gone.so", None).module(
        0x2000,
        "/good.so",
        Some(&good),
    );
    let found = machine.collect(&target, SecondaryScope::Modules);
    assert_eq!(names(&found), ["good.so"]);
    assert_eq!(found.notes[0].subject, "/lib/gone.so");
    assert!(found.notes[0].message.contains("replaced"), "{:?}", found.notes);
}

#[test]
fn the_vdso_is_taken_from_memory() {
    let machine = Machine::new();
    let mut bytes = Elf::new().text("vdso").bytes();
    bytes.resize(0x1000, 0);
    let target = FakeTarget::new().module(0x1000, "linux-gate.so", None).memory_at(0x1000, &bytes);
    let found = machine.collect(&target, SecondaryScope::Modules);
    assert_eq!((names(&found), found.notes.len()), (vec!["linux-gate.so".into()], 0));
    let mut contents = Vec::new();
    let mut file = &found.entries[0].file;
    io::Seek::rewind(&mut file).unwrap();
    io::Read::read_to_end(&mut file, &mut contents).unwrap();
    assert_eq!(contents, bytes);

    let unreadable = FakeTarget::new().module(0x1000, "linux-gate.so", None);
    let found = machine.collect(&unreadable, SecondaryScope::Modules);
    assert!(found.entries.is_empty());
    assert!(found.notes[0].message.contains("memory"), "{:?}", found.notes);
}

#[test]
fn a_file_past_the_limit_of_a_cab_is_a_note() {
    let machine = Machine::new();
    let huge = machine.file("huge.so", &Elf::new().bytes());
    fs::OpenOptions::new().write(true).open(&huge).unwrap().set_len(0x7FFF_8000).unwrap();
    let small = machine.file("small.so", &Elf::new().text("small").bytes());
    let target = FakeTarget::new().module(0x1000, "/huge.so", Some(&huge)).module(
        0x2000,
        "/small.so",
        Some(&small),
    );
    let found = machine.collect(&target, SecondaryScope::Modules);
    assert_eq!(names(&found), ["small.so"]);
    assert!(found.notes[0].message.contains("2147450880"), "{:?}", found.notes);
}

#[test]
fn what_goes_along_always_fits_with_the_dump() {
    let machine = Machine::new();
    let mut target = FakeTarget::new();
    for i in 0..4_u64 {
        let path = machine.file(&format!("{i}.so"), &Elf::new().text(&i.to_string()).bytes());
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(0x4000_0000 + i).unwrap();
        target = target.module(0x1000 * (i + 1), &format!("/{i}.so"), Some(&path));
    }
    let dump = 0x7000_0000;
    let found = collect(&target, SecondaryScope::Modules, dump, None, &machine.paths);
    assert_eq!((names(&found), found.notes.len()), (vec!["0.so".into(), "1.so".into()], 2));
    let mut sizes = vec![("a.dmp".to_owned(), dump)];
    sizes.extend(found.entries.iter().map(|e| (e.name.clone(), e.size)));
    crate::package::cab_check(&sizes).unwrap();
}

#[test]
fn what_the_disk_has_no_room_for_is_left_out_and_said() {
    let machine = Machine::new();
    let mut target = FakeTarget::new();
    for (i, size) in [(0_u64, 1 << 20), (1, 8 << 20), (2, 1 << 20)] {
        let path = machine.file(&format!("{i}.so"), &Elf::new().text(&i.to_string()).bytes());
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(size).unwrap();
        target = target.module(0x1000 * (i + 1), &format!("/{i}.so"), Some(&path));
    }
    let found = collect(&target, SecondaryScope::Modules, 1 << 20, Some(4 << 20), &machine.paths);
    assert_eq!(names(&found), ["0.so", "2.so"], "what follows may fit");
    assert_eq!(found.notes[0].subject, "1.so");
    assert!(found.notes[0].message.contains("the disk has no room"), "{:?}", found.notes);
}

#[test]
fn all_images_are_also_those_that_are_only_mapped() {
    let machine = Machine::new();
    let image = machine.file("module.so", &Elf::new().text("module").bytes());
    let other = machine.file("other.so", &Elf::new().text("other").bytes());
    let data = machine.file("data.bin", b"no image");
    let target = FakeTarget::new()
        .module(0x1000, "/module.so", Some(&image))
        .mapping(0x2000, "/other.so", Some(&other))
        .mapping(0x3000, "/other.so", Some(&other))
        .mapping(0x4000, "/data.bin", Some(&data))
        .mapping(0x5000, "/data that is gone", None)
        .mapping(0x6000, "/image that is gone", None)
        .memory_at(0x6000, b"\x7fELF");
    assert_eq!(names(&machine.collect(&target, SecondaryScope::Modules)), ["module.so"]);
    let found = machine.collect(&target, SecondaryScope::AllImages);
    assert_eq!(names(&found), ["module.so", "other.so"]);
    let subjects: Vec<_> = found.notes.iter().map(|n| n.subject.as_str()).collect();
    assert_eq!(subjects, ["/image that is gone"]);
}

#[test]
fn files_become_optional_entries_of_a_cab() {
    let machine = Machine::new();
    let image = machine.file("module.so", &Elf::new().bytes());
    let target = FakeTarget::new().module(0x1000, "/module.so", Some(&image));
    let found = machine.collect(&target, SecondaryScope::Modules);
    let entry: CabEntry = found.entries.into_iter().next().unwrap().into();
    assert_eq!((entry.name.as_str(), entry.need), ("module.so", Need::Optional));
    assert_eq!(entry.size, fs::metadata(&image).unwrap().len());
}

#[test]
fn this_machines_folders_are_those_of_gdb_and_debuginfod() {
    let paths = SearchPaths::of_this_machine();
    assert_eq!(paths.roots, [Path::new("/usr/lib/debug")]);
    assert!(paths.caches.iter().all(|p| p.to_string_lossy().contains("debuginfod")
        || std::env::var_os("DEBUGINFOD_CACHE_PATH").is_some()));
}
