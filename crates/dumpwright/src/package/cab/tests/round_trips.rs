//! Packed by this crate, taken out by others.

use super::*;
use std::process::Command;

/// Runs an extractor; `false`, loudly, where it is not installed.
fn run(program: &str, arguments: &[&str], folder: &Path) -> bool {
    match Command::new(program).args(arguments).current_dir(folder).output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{program}: {text}");
            assert!(!text.contains("ERROR") && !text.contains("WARNING"), "{program}: {text}");
            true
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let required = std::env::var_os("DUMPWRIGHT_REQUIRE_READERS").is_some();
            assert!(!required, "{program} is not installed");
            eprintln!("SKIPPED: {program} is not installed, so it did not read the cabinet");
            false
        }
        Err(e) => panic!("{program}: {e}"),
    }
}

fn same_files(folder: &Path, files: &[(&str, Vec<u8>)], reader: &str) {
    for (name, contents) in files {
        let found = fs::read(folder.join(name)).unwrap_or_else(|e| panic!("{reader}: {name}: {e}"));
        assert!(found == *contents, "{reader}: {name} differs");
    }
    assert_eq!(fs::read_dir(folder).unwrap().count(), files.len(), "{reader}");
}

/// Takes everything out of a cabinet with every reader, and compares.
fn holds(made: &Made, files: &[(&str, Vec<u8>)]) {
    let cab = made.path.to_str().unwrap();
    let mut cabinet = ::cab::Cabinet::new(File::open(&made.path).unwrap()).unwrap();
    for (name, contents) in files {
        let mut found = Vec::new();
        std::io::copy(&mut cabinet.read_file(name).unwrap(), &mut found).unwrap();
        assert!(found == *contents, "cab crate: {name} differs");
    }
    for (program, arguments) in
        [("cabextract", ["-q", cab].as_slice()), ("gcab", &["-n", "-x", cab])]
    {
        let folder = made.folder.path().join(program);
        fs::create_dir(&folder).unwrap();
        if run(program, arguments, &folder) {
            same_files(&folder, files, program);
        }
    }
    run("cabextract", &["-q", "-t", cab], made.folder.path());
}

/// Packs `files` and takes them out with every reader.
fn round_trip(files: &[(&str, Vec<u8>)]) -> Made {
    let entries: Vec<_> = files.iter().map(|(name, c)| entry(name, c, Need::Required)).collect();
    let made = make(&entries);
    assert_eq!(made.notes, []);
    holds(&made, files);
    made
}

#[test]
fn files_of_every_awkward_size_come_out_as_they_were() {
    let sizes =
        [0, 1, 2, 32_767, 32_768, 32_769, 65_536, 1 << 20, (1 << 20) + 1, (1 << 20) + 32_768];
    let files: Vec<_> = sizes
        .iter()
        .flat_map(|size| {
            [(format!("text{size}"), text(*size)), (format!("noise{size}"), noise(*size))]
        })
        .collect();
    let files: Vec<_> = files.iter().map(|(n, c)| (n.as_str(), c.clone())).collect();
    round_trip(&files);
}

#[test]
fn an_empty_file_may_stand_first_last_and_alone() {
    round_trip(&[("alone", vec![])]);
    round_trip(&[("first", vec![]), ("middle", b"x".to_vec()), ("last", vec![])]);
}

#[test]
fn contents_that_change_character_come_out_as_they_were() {
    // Stored blocks between compressed ones, repeated over the distances at
    // which one block refers to another and at which workers meet.
    let mut mixed = Vec::new();
    for i in 0..90 {
        match i % 5 {
            0 => mixed.extend(noise(32_768 + i)),
            1 => mixed.extend(text(10_000 * i)),
            2 => mixed.extend(vec![0; 50_000]),
            3 => mixed.extend_from_within(mixed.len() - 32_768..),
            _ => mixed.extend_from_within(mixed.len() - 33_000..),
        }
    }
    round_trip(&[("mixed.dmp", mixed)]);
}

#[test]
fn a_large_file_comes_out_as_it_was_and_smaller_inside() {
    // A release build does this with 100 MiB; unoptimised code takes as long
    // for a fifth of it.
    let size = if cfg!(debug_assertions) { 20 << 20 } else { 100 << 20 };
    let mut contents = text(size / 2);
    contents.extend(noise(size / 4));
    contents.resize(size, 0);
    let made = round_trip(&[("large.dmp", contents)]);
    assert!(fs::metadata(&made.path).unwrap().len() < size as u64 / 2);
}

#[test]
fn many_files_come_out_as_they_were() {
    let files: Vec<_> = (0..700).map(|i| (format!("lib{i}.so"), text(i * 37))).collect();
    let files: Vec<_> = files.iter().map(|(n, c)| (n.as_str(), c.clone())).collect();
    round_trip(&files);
}

#[test]
fn names_in_any_script_come_out_as_they_were() {
    round_trip(&[("Größe 試験.dmp", b"1".to_vec()), ("plain.dmp", b"2".to_vec())]);
}

#[test]
fn unsafe_names_are_not_what_is_packed() {
    let names = ["../../evil", "/etc/evil", "evil"];
    let made = make(&names.map(|n| entry(n, n.as_bytes(), Need::Required)));
    let folder = made.folder.path().join("out");
    fs::create_dir(&folder).unwrap();
    if run("cabextract", &["-q", made.path.to_str().unwrap()], &folder) {
        let expected: Vec<_> = ["evil", "evil~2", "evil~3"]
            .iter()
            .zip(names)
            .map(|(safe, given)| (*safe, given.as_bytes().to_vec()))
            .collect();
        same_files(&folder, &expected, "cabextract");
    }
}

#[test]
fn the_time_of_the_last_change_is_kept() {
    let mut file = entry("a.dmp", b"x", Need::Required);
    let changed = std::time::UNIX_EPOCH + std::time::Duration::from_secs(2_147_483_648);
    file.modified = Some(changed);
    let made = make(&[file]);
    let cabinet = ::cab::Cabinet::new(File::open(&made.path).unwrap()).unwrap();
    let found = cabinet.get_file_entry("a.dmp").unwrap().datetime().unwrap();
    assert_eq!(found.to_string(), "2038-01-19 3:14:08.0");
}

#[test]
fn an_optional_file_that_cannot_be_read_is_left_out_with_a_note() {
    // The middle one promises three chunks and ends in the second: what was
    // written of it is taken back.
    let mut short = entry("short.so", &noise((1 << 20) + 5000), Need::Optional);
    short.size = 3 << 20;
    let mut last = entry("last.so", &noise(10), Need::Optional);
    last.size = 11;
    let good = [("a.dmp", text(3 << 20)), ("b.so", noise(70_000))];
    let made = make(&[
        entry(good[0].0, &good[0].1, Need::Required),
        short,
        entry(good[1].0, &good[1].1, Need::Optional),
        last,
    ]);
    let subjects: Vec<_> = made.notes.iter().map(|n| n.subject.as_str()).collect();
    assert_eq!(subjects, ["short.so", "last.so"]);
    assert!(made.notes[0].message.contains("shorter"), "{}", made.notes[0].message);
    holds(&made, &good);
    assert!(
        fs::metadata(&made.path).unwrap().len() < (1 << 20),
        "what was left out still takes space"
    );
}

#[test]
fn optional_files_that_windows_could_not_reach_are_left_out() {
    let files = [("a.dmp", noise(300_000)), ("fits.so", noise(50_000)), ("small.so", noise(10))];
    let entries = [
        entry(files[0].0, &files[0].1, Need::Required),
        entry("b.so", &noise(2 << 20), Need::Optional),
        entry(files[1].0, &files[1].1, Need::Optional),
        entry("c.so", &noise(100_000), Need::Optional),
        entry(files[2].0, &files[2].1, Need::Optional),
    ];
    let made = make_within(&entries, 400_000);
    holds(&made, &files);
    let subjects: Vec<_> = made.notes.iter().map(|n| n.subject.as_str()).collect();
    assert_eq!(subjects, ["b.so", "c.so"]);
    assert!(fs::metadata(&made.path).unwrap().len() <= 400_000);
    // The dump itself stays, whatever its size.
    let made = make_within(&entries[..2], 1);
    holds(&made, &files[..1]);
}
