//! A panic inside of the library never crosses the boundary: a C program that
//! asks for panics in the middle of its calls gets `E_FAIL`, and goes on.
//!
//!     cargo test -p dumpwright-dbgeng --features fault-points --test panics
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![cfg(target_os = "linux")]

mod support;

use dumpwright::read::Minidump;
use std::fs;
use std::process::{Command, Stdio};
use support::{Child, compile_c};

#[test]
fn a_panic_inside_answers_e_fail_and_leaves_program_client_and_target_usable() {
    let folder = tempfile::tempdir().unwrap();
    let program = compile_c("panics.c", folder.path(), &["-std=gnu11"]);
    let target = Child::start(Command::new(&program).arg("target"));
    let dumps = folder.path().join("dumps");
    fs::create_dir(&dumps).unwrap();
    let output = Command::new(&program)
        .arg("run")
        .arg(&dumps)
        .arg(target.id().to_string())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let failed: Vec<_> = text.lines().filter(|l| l.starts_with("FAILED")).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(output.status.success(), "{} {text}", output.status);
    assert!(target.is_alive(), "the target did not survive");

    let mut left: Vec<_> = fs::read_dir(&dumps).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["callbacks.dmp", "method.dmp", "progress.dmp", "release.dmp", "state.dmp"]);
    for name in left {
        let dump = Minidump::open(dumps.join(name)).unwrap();
        assert_eq!(dumpwright::verify::verify(&dump), []);
    }
}
