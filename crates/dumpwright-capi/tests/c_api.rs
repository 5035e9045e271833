//! The header is the one that cbindgen makes, and a C program that uses it
//! gets what the documentation promises.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use dumpwright_testkit::output::{self, ElfNotes};
use dumpwright_testkit::{Nt, NtOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// `DUMPWRIGHT_UPDATE=1 cargo test -p dumpwright-capi` makes it anew.
#[test]
fn the_header_is_the_one_that_the_code_makes() {
    let mut made = Vec::new();
    cbindgen::generate(env!("CARGO_MANIFEST_DIR")).unwrap().write(&mut made);
    let path = root().join("include/dumpwright.h");
    if std::env::var_os("DUMPWRIGHT_UPDATE").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read(&path).unwrap_or_default();
    assert!(kept == made, "include/dumpwright.h is old; run this test with DUMPWRIGHT_UPDATE=1");
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {text}{errors}");
    text
}

/// Where the libraries were built: the newer of the test's folder and the one
/// above.
fn libraries() -> PathBuf {
    let own = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let built = |folder: &PathBuf| {
        folder.join("libdumpwright_c.a").metadata().ok().and_then(|m| m.modified().ok())
    };
    let candidates = [own.clone(), own.parent().unwrap().to_owned()];
    candidates.into_iter().filter(|f| built(f).is_some()).max_by_key(built).unwrap()
}

/// Compiles a program of `tests/c` against our header and one of the libraries.
fn compile(source: &str, linking: &str, folder: &Path) -> PathBuf {
    let libraries = libraries();
    let program = folder.join("program");
    let mut compiler = Command::new("cc");
    compiler.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-I"]);
    compiler.arg(root().join("include")).arg("-o").arg(&program);
    compiler.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c").join(source));
    if linking == "static" {
        compiler.arg(libraries.join("libdumpwright_c.a")).args(["-lpthread", "-ldl", "-lm"]);
    } else {
        compiler.arg("-L").arg(&libraries).arg("-ldumpwright_c");
        // As an RPATH, which counts before the LD_LIBRARY_PATH that cargo sets, and in
        // which an older build of the library can be.
        compiler.arg(format!("-Wl,--disable-new-dtags,-rpath,{}", libraries.display()));
    }
    run(&mut compiler);
    program
}

#[test]
#[cfg(target_os = "linux")]
fn a_c_program_dumps_a_machine() {
    let folder = tempfile::tempdir().unwrap();
    let nt = Nt::build(&NtOptions::default());
    let image = folder.path().join("guest.elf");
    let notes = ElfNotes { processors: &nt.registers(), vmcoreinfo: None };
    output::elf(&nt.image, &notes, &image).unwrap();
    let program = compile("machine.c", "shared", folder.path());
    let said = run(Command::new(&program).arg(&image).arg(folder.path()));
    let sizes: Vec<u64> = said.split_whitespace().map(|size| size.parse().unwrap()).collect();
    for (name, size) in ["full.dmp", "kernel.dmp", "small.dmp"].into_iter().zip(sizes) {
        let file = folder.path().join(name);
        assert_eq!(std::fs::metadata(&file).unwrap().len(), size, "{name}");
        let dump = dumpwright::read::kernel::KernelDump::open(&file).unwrap();
        assert!(dumpwright::verify::verify_kernel(&dump).is_empty(), "{name}");
        assert_eq!(dump.comment().as_deref(), Some("from C"), "{name}");
    }
    assert!(!folder.path().join("never.dmp").exists());
}

#[test]
#[cfg(target_os = "linux")]
fn a_c_program_dumps_a_process_and_a_dump() {
    let mut target = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
    // Until it runs its own program.
    std::thread::sleep(std::time::Duration::from_millis(200));
    for linking in ["shared", "static"] {
        let folder = tempfile::tempdir().unwrap();
        let program = compile("example.c", linking, folder.path());
        let said = run(Command::new(&program).arg(target.id().to_string()).arg(folder.path()));
        assert!(said.contains("1 threads"), "{said}");
        for name in ["example.dmp", "again.dmp"] {
            let file = folder.path().join(name);
            let dump = dumpwright::read::Minidump::open(&file).unwrap();
            assert!(dumpwright::verify::verify(&dump).is_empty(), "{name}");
            minidump::Minidump::read_path(&file).unwrap();
        }
        assert!(!folder.path().join("never.dmp").exists());
    }
    target.kill().unwrap();
    target.wait().unwrap();
}

#[test]
fn the_header_serves_cxx() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("both.cc");
    std::fs::write(
        &source,
        "#include <dumpwright.h>\nint main() { return dumpwright_version() ? 0 : 1; }\n",
    )
    .unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-fsyntax-only", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-I"]);
    run(compiler.arg(root().join("include")).arg(&source));
}

#[test]
#[cfg(target_os = "linux")]
fn a_c_program_waits_for_a_crash() {
    use std::os::unix::process::ExitStatusExt;
    let mut target = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(200));
    let folder = tempfile::tempdir().unwrap();
    let program = compile("on_event.c", "shared", folder.path());
    let said = run(Command::new(&program).arg(target.id().to_string()).arg(folder.path()));
    assert!(said.contains("1 threads"), "{said}");
    assert_eq!(target.wait().unwrap().signal(), Some(11));
    let dump = dumpwright::read::Minidump::open(folder.path().join("crash.dmp")).unwrap();
    assert_eq!(dumpwright::verify::verify(&dump), []);
    assert_eq!(dump.exception().unwrap().unwrap().code, 11);
}
