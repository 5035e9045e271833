//! A program that was compiled against mingw-w64's own dbgeng.h, with our
//! dbgeng.dll beside it in Wine's stead: it dumps another Windows process with
//! every flag, opens what it wrote, and checks every answer. The same source
//! is run on Linux by the tests of crates/dumpwright-dbgeng.

use crate::support::cli::assert_verifies;
use crate::support::tools::{root, run, skip};
use crate::support::wine::{windows_path, wine};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Wine's own libraries, but our dbgeng.
const OVERRIDES: &str = "mscoree,mshtml,winemenubuilder.exe=;dbgeng=n";

#[test]
fn a_windows_program_dumps_through_our_dbgeng_dll() {
    let Some(wine) = wine() else { return };
    let library = root().join("target/windows/dbgeng.dll");
    if !library.is_file() {
        skip("dbgeng.dll under Wine", "it is missing; run scripts/windows build");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("client.exe");
    fs::copy(library, folder.path().join("dbgeng.dll")).unwrap();
    let source = root().join("crates/dumpwright-dbgeng/tests/c/client.c");
    let mut compiler = Command::new("x86_64-w64-mingw32-gcc");
    compiler.args(["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"]);
    run(compiler.arg(source).arg("-o").arg(&program).arg("-ldbgeng"));

    let start = |arguments: &[&str]| {
        let mut command = wine.command(&program);
        command.args(arguments).env("WINEDLLOVERRIDES", OVERRIDES).stdout(Stdio::piped());
        command
    };
    let mut target = start(&["target"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(target.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(line.trim().strip_prefix("READY ").unwrap()).unwrap();
    let pid = ready["pid"].to_string();

    let dumps = folder.path().join("dumps");
    fs::create_dir(&dumps).unwrap();
    let places = ["record", "context", "pointers"];
    let places = places.map(|place| format!("{:x}", ready[place].as_u64().unwrap()));
    let [record, context, pointers] = &places;
    let arguments = ["run", &windows_path(&dumps), &pid, record, context, pointers];
    let output = start(&arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let failed: Vec<_> = text.lines().filter(|l| l.starts_with("FAILED")).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(output.status.success(), "{} {text}", output.status);
    assert!(target.try_wait().unwrap().is_none(), "the target did not survive its dumps");
    drop(target.stdin.take());
    target.wait().unwrap();

    let mut verified = 0;
    for entry in fs::read_dir(&dumps).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "dmp") && !path.ends_with("broken.dmp") {
            assert_verifies(&path);
            let dump = minidump::Minidump::read_path(&path).unwrap();
            if path.to_string_lossy().contains("exception-") {
                assert_exception(&dump, &path.to_string_lossy());
            }
            verified += 1;
        }
    }
    assert!(verified >= 60, "only {verified} dumps were written");
}

/// The exception that was asked for is the dump's: all of it, or a thread.
fn assert_exception<T: std::ops::Deref<Target = [u8]>>(
    dump: &minidump::Minidump<'_, T>,
    name: &str,
) {
    let exception = dump.get_stream::<minidump::MinidumpException>().unwrap();
    let record = &exception.raw.exception_record;
    if !name.ends_with("2.dmp") {
        assert_eq!(
            (record.exception_code, record.exception_address),
            (0xC000_0005, 0x1234),
            "{name}"
        );
    }
}
