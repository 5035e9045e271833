//! What the tests of this crate share.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

/// The folder of the C headers.
pub fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../include").canonicalize().unwrap()
}

/// The folder that the shared library was built into: the test's own, or the
/// one above, whichever is newer.
pub fn library() -> PathBuf {
    let own = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let candidates = [own.clone(), own.parent().unwrap().to_owned()];
    let built = |folder: &PathBuf| -> Option<SystemTime> {
        folder.join("libdumpwright_dbgeng.so").metadata().ok()?.modified().ok()
    };
    let newest = candidates.into_iter().filter(|f| built(f).is_some()).max_by_key(built);
    newest.expect("the test was built with the library")
}

/// Compiles a program of `tests/c` against our header and library.
pub fn compile_c(source: &str, folder: &Path, flags: &[&str]) -> PathBuf {
    let program = folder.join("client");
    let library = library();
    let mut compiler = Command::new("cc");
    compiler.args(["-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"]).args(flags);
    compiler.arg("-I").arg(include());
    compiler.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c").join(source));
    compiler.arg("-o").arg(&program).arg("-L").arg(&library).arg("-ldumpwright_dbgeng");
    // As an RPATH, which counts before the LD_LIBRARY_PATH that cargo sets, and in
    // which an older build of the library can be.
    compiler.arg(format!("-Wl,--disable-new-dtags,-rpath,{}", library.display()));
    run(&mut compiler);
    program
}

/// Runs a command to its end.
pub fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?} failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A process that a test dumps; ended with its handle.
pub struct Child {
    process: std::process::Child,
    /// What it said behind READY.
    pub said: String,
}

impl Child {
    /// Starts it and waits until it says that it is ready.
    pub fn start(command: &mut Command) -> Child {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("READY"), "{command:?} said {line}");
        let said = line.trim_start_matches("READY").trim().to_owned();
        Child { process: child, said }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        self.process.wait().unwrap()
    }

    /// Whether it runs, and is neither stopped nor traced.
    pub fn is_alive(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.unwrap_or_default();
        let state = status.lines().find(|l| l.starts_with("State:")).unwrap_or_default();
        state.contains("(sleeping)") || state.contains("(running)")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
