//! A C program uses the library as programs use dbgeng.dll, on a process of
//! its own; what it writes is judged by readers that are not ours as well.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![cfg(target_os = "linux")]

mod support;

use dumpwright::read::Minidump;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use support::{Child, compile_c, run};

/// Where the target keeps record, context, and pointers to both.
fn places(target: &Child) -> [String; 3] {
    ["record", "context", "pointers"].map(|name| {
        let (_, rest) = target.said.split_once(&format!("\"{name}\":")).unwrap();
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        format!("{:x}", digits.parse::<u64>().unwrap())
    })
}

/// The exception that was asked for is the dump's: all of it, or a thread.
fn assert_exception(dump: &Minidump, name: &str) {
    let exception = dump.exception().unwrap().unwrap_or_else(|| panic!("{name} has none"));
    if name.ends_with("2.dmp") {
        assert_eq!(exception.code, u32::MAX, "{name}: no signal, but a mark on a thread");
    } else {
        assert_eq!((exception.code, exception.address), (11, 0x1234), "{name}");
    }
}

#[test]
fn a_c_program_dumps_processes_and_dumps_and_gets_every_answer() {
    let folder = tempfile::tempdir().unwrap();
    let program = compile_c("client.c", folder.path(), &["-std=gnu11"]);
    let target = Child::start(Command::new(&program).arg("target"));
    let output = Command::new(&program)
        .arg("run")
        .arg(folder.path())
        .arg(target.id().to_string())
        .args(places(&target))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let failed: Vec<_> = text.lines().filter(|l| l.starts_with("FAILED")).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {text}{errors}", output.status);

    let mut dumps = 0;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let broken = path.ends_with("broken.dmp");
        if path.extension().is_none_or(|e| e != "dmp") || broken {
            continue;
        }
        let ours = Minidump::open(&path).unwrap_or_else(|e| panic!("{e}"));
        let faults = dumpwright::verify::verify(&ours);
        assert!(faults.is_empty(), "{}: {faults:?}", path.display());
        let name = path.file_name().unwrap().to_string_lossy();
        if name.contains("exception") {
            assert_exception(&ours, &name);
        }
        let theirs = minidump::Minidump::read_path(&path).unwrap();
        let threads = theirs.get_stream::<minidump::MinidumpThreadList>().unwrap();
        let created = path.ends_with("created.dmp");
        assert!(created || threads.threads.len() == 4, "{}", path.display());
        dumps += 1;
    }
    assert!(dumps >= 60, "only {dumps} dumps were written");
    assert!(target.is_alive(), "the target did not survive its dumps");
}

#[test]
fn the_header_serves_c_and_cxx() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("both.c");
    fs::write(&source, "#include \"dumpwright-dbgeng.h\"\nint main(void) { return sizeof(IDebugClient8Vtbl) == 98 * sizeof(void *) ? 0 : 1; }\n").unwrap();
    for language in [["-std=c11", "-xc"], ["-std=c++17", "-xc++"]] {
        let program = folder.path().join("both");
        let mut compiler = Command::new("cc");
        compiler.args(language).args(["-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
        compiler.arg("-I").arg(support::include()).arg(&source).arg("-o").arg(&program);
        run(&mut compiler);
        run(&mut Command::new(&program));
    }
}

/// The header that mingw-w64 has of Microsoft's interfaces.
const MINGW_HEADER: &str = "/usr/share/mingw-w64/include/dbgeng.h";

#[test]
fn a_client_by_ctypes_and_mingws_header_dumps_processes_and_opens_the_dumps() {
    let python = Command::new("python3").arg("--version").output();
    if !Path::new(MINGW_HEADER).exists() || python.is_err() {
        eprintln!("SKIPPED for want of mingw-w64 or python3: a client by ctypes");
        assert!(
            std::env::var_os("DUMPWRIGHT_REQUIRE_READERS").is_none_or(|v| v == "0"),
            "DUMPWRIGHT_REQUIRE_READERS"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/client.py");
    let library = support::library().join("libdumpwright_dbgeng.so");
    let mut python = Command::new("python3");
    run(python.arg(client).arg(library).arg(MINGW_HEADER).arg(folder.path()));
    let dumps = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path());
    for path in dumps.filter(|p| p.extension().is_some_and(|e| e == "dmp")) {
        let dump = Minidump::open(&path).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(dumpwright::verify::verify(&dump), [], "{}", path.display());
        minidump::Minidump::read_path(&path).unwrap();
    }
}
