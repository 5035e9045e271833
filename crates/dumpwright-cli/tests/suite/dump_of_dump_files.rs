//! Images that go into a CAB beside a dump of a dump: those of the modules, and
//! never others.

use crate::support::cli::dump;
use crate::support::redump::try_redump;
use crate::support::target::Target;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// Name and contents of what is in a cabinet.
fn contents(cab: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut cabinet = cab::Cabinet::new(File::open(cab).unwrap()).unwrap();
    let names: Vec<String> = cabinet
        .folder_entries()
        .flat_map(|folder| folder.file_entries())
        .map(|entry| entry.name().to_owned())
        .collect();
    let mut read = |name: &String| {
        let mut bytes = Vec::new();
        cabinet.read_file(name).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    names.iter().map(|name| (name.clone(), read(name))).collect()
}

#[test]
fn a_cab_of_a_dump_has_the_images_of_its_modules_and_no_others() {
    let target = Target::fixture("threads", &["1"]);
    let small = dump(&target, &["-m"]);
    let program = fs::canonicalize(format!("/proc/{}/exe", target.pid())).unwrap();
    let name = program.file_name().unwrap().to_str().unwrap().to_owned();
    let image = fs::read(&program).unwrap();

    let (here, run) = try_redump(&small.file, &["-ba"], "here.cab");
    run.ok();
    let here = contents(&here.file);
    assert_eq!(here.get(&name), Some(&image), "{:?}", here.keys());
    assert!(here.keys().any(|name| name.starts_with("libc.so")), "{:?}", here.keys());

    // In a folder with another file at its path, nothing is taken.
    let root = tempfile::tempdir().unwrap();
    let place = root.path().join(program.strip_prefix("/").unwrap());
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::copy("/bin/sh", &place).unwrap();
    let sysroot = root.path().to_str().unwrap();
    let (other, run) = try_redump(&small.file, &["-ba", "--sysroot", sysroot], "other.cab");
    let report = String::from_utf8(run.ok().stdout).unwrap();
    assert!(report.contains("is another build"), "{report}");
    let other = contents(&other.file);
    assert_eq!(other.keys().collect::<Vec<_>>(), ["other.dmp"]);

    // With the right one, that is.
    fs::copy(&program, &place).unwrap();
    let (right, run) = try_redump(&small.file, &["-ba", "--sysroot", sysroot], "right.cab");
    run.ok();
    assert_eq!(contents(&right.file).get(&name), Some(&image));
}
