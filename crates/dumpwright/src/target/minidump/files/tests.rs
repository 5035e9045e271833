use super::*;
use std::fs;

const GUID: [u8; 16] = *b"0123456789abcdef";
const STAMP: u32 = 0x5CB7_F2D2;
const SIZE: u32 = 0x1F_0000;

/// A PE32+ file with one section, which has a debug directory and its record.
fn pe_file(stamp: u32, size: u32, guid: [u8; 16]) -> Vec<u8> {
    let mut bytes = vec![0u8; 0x600];
    let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
    put(0, b"MZ");
    put(0x3C, &0x80u32.to_le_bytes());
    put(0x80, b"PE\0\0");
    put(0x84, &0x8664u16.to_le_bytes());
    put(0x86, &1u16.to_le_bytes());
    put(0x88, &stamp.to_le_bytes());
    put(0x94, &240u16.to_le_bytes());
    // The optional header, with 16 directories; the debug directory is number 6.
    put(0x98, &0x20Bu16.to_le_bytes());
    put(0x98 + 32, &0x1000u32.to_le_bytes());
    put(0x98 + 36, &0x200u32.to_le_bytes());
    put(0x98 + 56, &size.to_le_bytes());
    put(0x98 + 60, &0x400u32.to_le_bytes());
    put(0x98 + 108, &16u32.to_le_bytes());
    put(0x98 + 112 + 48, &0x1000u32.to_le_bytes());
    put(0x98 + 112 + 52, &28u32.to_le_bytes());
    // The section: 0x200 bytes at 0x1000, in the file at 0x400.
    put(0x188, b".rdata");
    for (at, value) in [(8, 0x200u32), (12, 0x1000), (16, 0x200), (20, 0x400)] {
        put(0x188 + at, &value.to_le_bytes());
    }
    // The entry: CodeView, its record behind it.
    for (at, value) in [(12, 2u32), (16, 30), (20, 0x1020), (24, 0x420)] {
        put(0x400 + at, &value.to_le_bytes());
    }
    put(0x420, b"RSDS");
    put(0x424, &guid);
    put(0x434, &1u32.to_le_bytes());
    put(0x438, b"a.pdb\0");
    bytes
}

fn module(path: &str, debug_id: DebugId) -> ModuleSnapshot {
    ModuleSnapshot {
        base: 0x1_8000_0000,
        size: SIZE.into(),
        path: path.into(),
        debug_id,
        version: None,
        time_date_stamp: STAMP,
        check_sum: 0,
        segments: Vec::new(),
        headers: Vec::new(),
    }
}

fn pdb(guid: [u8; 16], age: u32) -> DebugId {
    DebugId::Pdb70 { guid, age, name: "a.pdb".into() }
}

fn files(platform: Platform, root: &Path) -> ModuleFiles {
    ModuleFiles { platform, sysroot: Some(root.to_owned()) }
}

#[test]
fn a_pe_file_is_taken_only_if_it_is_the_same_build() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("windows/System32");
    fs::create_dir_all(&folder).unwrap();
    let files = files(Platform::Windows, root.path());
    let path = r"C:\Windows\system32\A.DLL";
    let opens = |id: &DebugId, stamp, size, guid| {
        fs::write(folder.join("a.dll"), pe_file(stamp, size, guid)).unwrap();
        files.open(&module(path, id.clone())).is_ok()
    };
    assert!(opens(&pdb(GUID, 1), STAMP, SIZE, GUID));
    assert!(!opens(&pdb(GUID, 2), STAMP, SIZE, GUID), "another age");
    assert!(!opens(&pdb(GUID, 1), STAMP, SIZE, [7; 16]), "another PDB");
    assert!(!opens(&pdb(GUID, 1), STAMP, SIZE + 0x1000, GUID), "another size");
    assert!(opens(&DebugId::None, STAMP, SIZE, GUID));
    assert!(!opens(&DebugId::None, STAMP + 1, SIZE, GUID), "another time");
    // Neither time nor PDB: nothing tells that it is the one.
    fs::write(folder.join("a.dll"), pe_file(0, SIZE, GUID)).unwrap();
    let unknown = ModuleSnapshot { time_date_stamp: 0, ..module(path, DebugId::None) };
    assert!(files.open(&unknown).unwrap_err().to_string().contains("neither time stamp"));
    fs::write(folder.join("a.dll"), b"MZ no image at all").unwrap();
    assert!(files.open(&module(path, pdb(GUID, 1))).is_err());
}

#[test]
fn pe_files_are_found_below_a_drive_and_in_a_symbol_store() {
    for place in [
        "app/a.dll",
        "c/app/A.dll",
        "C:/App/a.dll",
        "a.dll/5CB7F2D21f0000/a.dll",
        "A.DLL/5cb7f2d21F0000/a.dll",
    ] {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join(place);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, pe_file(STAMP, SIZE, GUID)).unwrap();
        let files = files(Platform::Windows, root.path());
        assert!(files.open(&module(r"\\?\C:\app\a.dll", pdb(GUID, 1))).is_ok(), "{place}");
    }
}

#[test]
fn names_that_lead_elsewhere_are_not_followed() {
    for path in [
        r"\\server\share\a.dll",
        r"\\?\UNC\server\share\a.dll",
        r"\\.\C:\a.dll",
        r"C:\..\a.dll",
        r"\Device\HarddiskVolume1\a.dll",
        "C:",
        "a.dll",
        "",
    ] {
        assert_eq!(dos_names(path), None, "{path}");
    }
    assert_eq!(dos_names(r"c:\x/a.dll"), Some(vec!["c:", "x", "a.dll"]));
}

#[cfg(target_os = "linux")]
#[test]
fn an_elf_file_is_taken_only_with_its_build_id() {
    let shell = fs::canonicalize("/bin/sh").unwrap();
    let bytes = fs::read(&shell).unwrap();
    let elf = object::File::parse(&*bytes).unwrap();
    let id = elf.build_id().unwrap().expect("the shell of a distribution has a build id").to_vec();
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("bin")).unwrap();
    fs::write(root.path().join("bin/sh"), &bytes).unwrap();
    let files = files(Platform::Linux, root.path());
    let open = |path: &str, id| files.open(&module(path, id));
    assert!(open("/bin/sh", DebugId::ElfBuildId(id.clone())).is_ok());
    assert!(open("/bin/sh (deleted)", DebugId::ElfBuildId(id.clone())).is_ok());
    assert!(open("/../bin/sh", DebugId::ElfBuildId(id.clone())).is_ok(), "stays in the root");
    // As Breakpad and as Crashpad write it.
    let guid = *id.first_chunk::<16>().unwrap();
    assert!(open("/bin/sh", pdb(guid, 0)).is_ok());
    assert!(open("/bin/sh", pdb(swapped_guid(&guid), 0)).is_ok());
    for (path, id) in [
        ("/bin/sh", DebugId::ElfBuildId(id[..16].to_vec())),
        ("/bin/sh", pdb([1; 16], 0)),
        ("/bin/sh", DebugId::None),
        ("/bin/bash", DebugId::ElfBuildId(id.clone())),
        ("/bin", DebugId::ElfBuildId(id.clone())),
        ("linux-gate.so", DebugId::ElfBuildId(id.clone())),
    ] {
        assert!(open(path, id).is_err(), "{path}");
    }
    let here = ModuleFiles { platform: Platform::Linux, sysroot: None };
    assert!(here.open(&module(shell.to_str().unwrap(), DebugId::ElfBuildId(id))).is_ok());
}

#[test]
fn files_of_other_systems_are_not_looked_for() {
    let files = ModuleFiles { platform: Platform::Other, sysroot: None };
    assert!(files.open(&module("/usr/lib/dyld", pdb(GUID, 0))).is_err());
}
