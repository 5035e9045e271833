//! Fixtures, compiled when first needed and kept by a hash of what went in.

use super::tools::{command, run};
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// How a fixture is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A C program.
    Program,
    /// A C program that is linked statically.
    Static,
    /// A C shared library.
    Library,
    /// A Rust program.
    Rust,
    /// A C++ program.
    Cpp,
    /// A Go program.
    Go,
}

const C_FLAGS: [&str; 8] = [
    "-O1",
    "-g",
    "-Wall",
    "-Wextra",
    "-Werror",
    // So that a walker without symbols finds the same frames.
    "-fno-omit-frame-pointer",
    "-pthread",
    // Binding a function at its first call saves the vector registers on the
    // stack, and with them whatever string was last compared or copied: a
    // secret that no fixture planted there.
    "-Wl,-z,now",
];

/// The built fixture `name` (its file without the extension).
pub fn fixture(name: &str, kind: Kind) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let extension = match kind {
        Kind::Program | Kind::Static | Kind::Library => "c",
        Kind::Rust => "rs",
        Kind::Cpp => "cpp",
        Kind::Go => "go",
    };
    let source = folder.join(name).with_extension(extension);
    let mut hasher = DefaultHasher::new();
    kind.hash(&mut hasher);
    C_FLAGS.hash(&mut hasher);
    fs::read(&source).unwrap().hash(&mut hasher);
    fs::read(folder.join("fixture.h")).unwrap().hash(&mut hasher);
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fixtures");
    fs::create_dir_all(&cache).unwrap();
    let built = cache.join(format!("{name}-{:016x}", hasher.finish()));
    if !built.exists() {
        // Tests build at the same time: each into its own file, and a rename
        // that replaces the same bytes by the same bytes.
        let scratch = tempfile::Builder::new().prefix("build").tempdir_in(&cache).unwrap();
        let output = scratch.path().join(name);
        run(&mut compiler(kind, &source, &output));
        fs::rename(output, &built).unwrap();
    }
    built
}

fn compiler(kind: Kind, source: &Path, output: &Path) -> Command {
    if kind == Kind::Rust {
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition", "2021", "-O", "-g", "-C", "force-frame-pointers=yes"]);
        rustc.arg(source).arg("-o").arg(output);
        return rustc;
    }
    if kind == Kind::Go {
        let mut go = Command::new("go");
        go.args(["build", "-o"]).arg(output).arg(source);
        go.env("GO111MODULE", "off").env("GOCACHE", output.with_extension("cache"));
        return go;
    }
    let mut cc = Command::new(if kind == Kind::Cpp { "c++" } else { "cc" });
    cc.args(C_FLAGS);
    match kind {
        Kind::Program | Kind::Rust | Kind::Cpp | Kind::Go => {}
        Kind::Static => drop(cc.arg("-static")),
        Kind::Library => drop(cc.args(["-shared", "-fPIC"])),
    }
    cc.arg(source).arg("-o").arg(output);
    if kind != Kind::Static {
        cc.arg("-ldl");
    }
    cc
}

/// The fixture `name` as a static program of 64-bit ARM Linux, or `None` after a
/// note that the compiler is missing.
pub fn arm64_fixture(name: &str) -> Option<PathBuf> {
    arm64_build(name, &["-static"])
}

/// The same, linked dynamically: it runs where [`ARM64_LIBRARIES`] are in `/lib`.
pub fn arm64_dynamic_fixture(name: &str) -> Option<PathBuf> {
    arm64_build(name, &["-fno-omit-frame-pointer"])
}

/// What a dynamic program of 64-bit ARM needs to run, below [`ARM64_ROOT`].
pub const ARM64_LIBRARIES: [&str; 2] = ["lib/ld-linux-aarch64.so.1", "lib/libc.so.6"];
/// Where the compiler for 64-bit ARM has its libraries.
pub const ARM64_ROOT: &str = "/usr/aarch64-linux-gnu";

fn arm64_build(name: &str, more: &[&str]) -> Option<PathBuf> {
    let compiler = command("aarch64-linux-gnu-gcc")?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let source = folder.join(name).with_extension("c");
    let mut hasher = DefaultHasher::new();
    fs::read(&source).unwrap().hash(&mut hasher);
    fs::read(folder.join("fixture.h")).unwrap().hash(&mut hasher);
    more.hash(&mut hasher);
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fixtures");
    fs::create_dir_all(&cache).unwrap();
    let built = cache.join(format!("{name}-arm64-{:016x}", hasher.finish()));
    if !built.exists() {
        let scratch = tempfile::Builder::new().prefix("build").tempdir_in(&cache).unwrap();
        let output = scratch.path().join(name);
        let options = ["-O1", "-g", "-pthread"];
        run(Command::new(compiler).args(options).args(more).arg(&source).arg("-o").arg(&output));
        fs::rename(output, &built).unwrap();
    }
    Some(built)
}

/// The width of a Windows program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 64 bits.
    Wide,
    /// 32 bits: it runs under WOW64.
    Narrow,
}

impl Width {
    /// The compiler's command.
    pub fn compiler(self) -> &'static str {
        match self {
            Width::Wide => "x86_64-w64-mingw32-gcc",
            Width::Narrow => "i686-w64-mingw32-gcc",
        }
    }
}

/// The built 64-bit Windows fixture `name`.
pub fn windows_fixture(name: &str) -> PathBuf {
    windows_fixture_of(Width::Wide, name)
}

/// The built Windows fixture `name`: a DLL for the plugin, a program otherwise.
pub fn windows_fixture_of(width: Width, name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/windows");
    let source = folder.join(name).with_extension("c");
    let is_library = name == "plugin";
    let mut hasher = DefaultHasher::new();
    fs::read(&source).unwrap().hash(&mut hasher);
    width.compiler().hash(&mut hasher);
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fixtures");
    fs::create_dir_all(&cache).unwrap();
    let extension = if is_library { "dll" } else { "exe" };
    let built = cache.join(format!("{name}-{:016x}.{extension}", hasher.finish()));
    if !built.exists() {
        let scratch = tempfile::Builder::new().prefix("build").tempdir_in(&cache).unwrap();
        let output = scratch.path().join(name).with_extension(extension);
        let mut cc = Command::new(width.compiler());
        // A build id makes a CodeView record, as a PDB would.
        cc.args(["-O1", "-g", "-Wall", "-Wextra", "-Werror", "-Wl,--build-id"]);
        if is_library {
            cc.arg("-shared");
        }
        run(cc.arg(source).arg("-o").arg(&output).arg("-ldbghelp"));
        fs::rename(output, &built).unwrap();
    }
    built
}
