//! The Python package: built, installed into the readers' environment, and
//! tested there by its own tests.

use crate::support::tools::{reader_python, root, run};
use std::process::Command;

#[test]
fn the_python_package_builds_and_its_tests_pass() {
    if reader_python().is_none() {
        return;
    }
    let output = run(Command::new(root().join("scripts/python-bindings")).current_dir(root()));
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().filter(|line| line.starts_with("SKIPPED")).for_each(|line| eprintln!("{line}"));
}
