//! The Python package: built, installed into the readers' environment, and
//! tested there by its own tests.

use crate::support::guest::Guest;
use crate::support::tools::{reader_python, root, run};
use dumpwright_testkit::nt;
use std::process::Command;

#[test]
fn the_python_package_builds_and_its_tests_pass() {
    if reader_python().is_none() {
        return;
    }
    let guest = Guest::new();
    let mut command = Command::new(root().join("scripts/python-bindings"));
    command.current_dir(root()).env("DUMPWRIGHT_TEST_MACHINE", &guest.elf);
    command.env("DUMPWRIGHT_TEST_KERNEL", format!("{:x}", nt::KERNEL));
    let output = run(&mut command);
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().filter(|line| line.starts_with("SKIPPED")).for_each(|line| eprintln!("{line}"));
}
