//! Wine: Windows programs as targets, and dumpwright.exe under test.
//!
//! Everything runs in a prefix of its own (`target/wine`), without a display,
//! and under `timeout`. The exe is the one that `scripts/windows build` left.

use super::cli::Run;
use super::compile::{Width, windows_fixture_of};
use super::dump::Loaded;
use super::tools::{root, skip};
use serde_json::Value;
use std::cell::Cell;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use tempfile::TempDir;

/// Seconds that any Windows program may take.
const TIMEOUT: &str = "120";

/// A usable Wine.
pub struct Wine {
    loader: PathBuf,
    prefix: PathBuf,
    /// dumpwright.exe.
    pub program: PathBuf,
    /// The 32-bit half of Wine's libraries, if it is there.
    narrow: Option<PathBuf>,
}

/// Wine with a prefix that is set up; `None` after a note of what is missing.
pub fn wine() -> Option<&'static Wine> {
    static WINE: OnceLock<Option<Wine>> = OnceLock::new();
    let wine = WINE.get_or_init(Wine::set_up).as_ref();
    if wine.is_none() {
        skip(
            "a Windows test",
            "Wine, mingw-w64 or dumpwright.exe is missing; run scripts/windows build",
        );
    }
    wine
}

/// Wine 8's wineserver crashes now and then when several programs start, or ask for
/// handles, at a time, and takes every program with it.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

thread_local! {
    static IS_ALONE: Cell<bool> = const { Cell::new(false) };
}

/// While this lives, no other test starts a Windows program.
pub struct Alone(Option<MutexGuard<'static, ()>>);

impl Alone {
    /// At once on a thread that is alone already.
    fn wait() -> Alone {
        if IS_ALONE.replace(true) {
            return Alone(None);
        }
        Alone(Some(ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        if self.0.is_some() {
            IS_ALONE.set(false);
        }
    }
}

impl Wine {
    fn set_up() -> Option<Wine> {
        // The wrapper script in PATH complains of missing 32-bit parts on
        // standard error, where messages are expected.
        let loaders = ["/usr/lib/wine/wine64", "/usr/bin/wine64", "/usr/bin/wine"];
        let loader = loaders.iter().map(PathBuf::from).find(|path| path.is_file())?;
        let program = root().join("target/windows/dumpwright.exe");
        let compiler = Path::new("/usr/bin/x86_64-w64-mingw32-gcc");
        if !program.is_file() || !compiler.is_file() {
            return None;
        }
        let narrow = root().join("target/wine32");
        let narrow = narrow.join("i386-windows/ntdll.dll").is_file().then_some(narrow);
        let wine = Wine { loader, prefix: root().join("target/wine"), program, narrow };
        // A prefix has 32-bit libraries only if they were there when it was made.
        let ready = wine.prefix.join(if wine.narrow.is_some() {
            "dumpwright-is-ready-for-both"
        } else {
            "dumpwright-is-ready"
        });
        if !ready.exists() {
            for arguments in [
                &["wineboot", "-u"][..],
                // Windows without a display to show them on.
                &[
                    "reg",
                    "add",
                    r"HKCU\Software\Wine\Drivers",
                    "/v",
                    "Graphics",
                    "/d",
                    "null",
                    "/f",
                ],
            ] {
                let status = wine.command(arguments[0]).args(&arguments[1..]).status().ok()?;
                if !status.success() {
                    eprintln!("{arguments:?} under Wine: {status}");
                    return None;
                }
            }
            fs::write(ready, "").ok()?;
        }
        Some(wine)
    }

    /// A Windows program, which `timeout` ends if it hangs.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("timeout");
        command.args(["-s", "KILL", TIMEOUT]).arg(&self.loader).arg(program);
        command
            .env("WINEPREFIX", &self.prefix)
            // Wine's own MiniDumpWriteDump crashes in some folders.
            .current_dir(root())
            .env("WINEARCH", "win64")
            .env("WINEDEBUG", "-all")
            .env("WINEDLLOVERRIDES", "mscoree,mshtml,winemenubuilder.exe=")
            .envs(self.narrow.iter().map(|narrow| ("WINEDLLPATH", narrow)))
            .env_remove("DISPLAY")
            // Wine's services inherit what the first program has, and would
            // keep a pipe open long after it.
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Makes a folder known to Wine as a network share, until it is dropped.
    pub fn share(&self, folder: &Path) -> Share {
        let server = format!("dumpwright-{}", std::process::id());
        let link = self.prefix.join("dosdevices/unc").join(&server);
        fs::create_dir_all(&link).unwrap();
        std::os::unix::fs::symlink(folder, link.join("dumps")).unwrap();
        Share { path: format!("\\\\{server}\\dumps"), link }
    }

    /// Whether 32-bit programs run; `false` after a note of what is missing.
    pub fn runs_narrow_programs(&self) -> bool {
        let compiler = Path::new("/usr/bin").join(Width::Narrow.compiler());
        let can = self.narrow.is_some() && compiler.is_file();
        if !can {
            skip(
                "a 32-bit Windows program",
                "gcc-mingw-w64-i686 or target/wine32 is missing; run scripts/windows tools",
            );
        }
        can
    }

    /// Waits for the other tests, for one that starts programs itself.
    #[expect(clippy::unused_self, reason = "who has no Wine needs not wait")]
    pub fn alone(&self) -> Alone {
        Alone::wait()
    }

    /// Runs dumpwright.exe.
    pub fn dumpwright<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Run {
        let mut command = self.command(&self.program);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let alone = self.alone();
        let output = command.output().unwrap();
        drop(alone);
        // A console that Wine's own is draws with escapes and CR LF.
        let stderr = String::from_utf8_lossy(&output.stderr).replace('\r', "");
        Run { status: output.status, stdout: output.stdout, stderr }
    }

    /// Dumps a process, and reads the dump; `verify` must find no fault in it.
    #[track_caller]
    pub fn dump(&self, pid: u32, options: &[&str]) -> WindowsDump {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("target.dmp");
        let pid = pid.to_string();
        let mut arguments = vec!["dump", "-p", &pid, "--json"];
        arguments.extend(options);
        let name = windows_path(&file);
        arguments.push(&name);
        let run = self.dumpwright(arguments).ok();
        super::cli::assert_verifies(&file);
        let left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(left, std::slice::from_ref(&file), "nothing but the dump is left behind");
        let loaded = Loaded::read(&file);
        assert_eq!(run.json()["size"].as_u64(), Some(loaded.bytes.len() as u64), "its size");
        WindowsDump { loaded, file, _folder: folder }
    }
}

/// A folder that Windows programs see as a share of a server.
pub struct Share {
    /// What they call it.
    pub path: String,
    link: PathBuf,
}

impl Drop for Share {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.link);
    }
}

/// A dump that dumpwright.exe wrote.
pub struct WindowsDump {
    /// What it holds.
    pub loaded: Loaded,
    /// The file.
    pub file: PathBuf,
    _folder: TempDir,
}

/// A path as Windows programs under Wine have it.
pub fn windows_path(path: &Path) -> String {
    format!("Z:{}", path.to_str().unwrap().replace('/', "\\"))
}

/// The running target of `tests/fixtures/windows`; ended when dropped.
pub struct WindowsTarget {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    ready: Value,
    /// Where its files are.
    pub folder: TempDir,
}

impl WindowsTarget {
    /// Starts it and waits until it is ready.
    #[track_caller]
    pub fn start(wine: &Wine) -> WindowsTarget {
        Self::start_in(wine, tempfile::tempdir().unwrap(), &[])
    }

    /// The same with its files in `folder`, and more in its environment.
    #[track_caller]
    pub fn start_in(wine: &Wine, folder: TempDir, environment: &[(&str, &str)]) -> WindowsTarget {
        Self::start_of(wine, Width::Wide, folder, environment)
    }

    /// The same with a program of a width.
    #[track_caller]
    pub fn start_of(
        wine: &Wine,
        width: Width,
        folder: TempDir,
        environment: &[(&str, &str)],
    ) -> WindowsTarget {
        let plugin = windows_fixture_of(width, "plugin");
        let (kept, gone) = (folder.path().join("kept.dll"), folder.path().join("gone.dll"));
        fs::copy(&plugin, &kept).unwrap();
        fs::copy(&plugin, &gone).unwrap();
        let mut command = wine.command(windows_fixture_of(width, "target"));
        command.args([windows_path(&kept), windows_path(&gone)]).envs(environment.iter().copied());
        Self::spawn(command, folder)
    }

    /// Starts a fixture that needs no files.
    #[track_caller]
    pub fn fixture(wine: &Wine, name: &str) -> WindowsTarget {
        Self::program(wine, &windows_fixture_of(Width::Wide, name), &[])
    }

    /// Starts any program that says READY as fixtures do.
    #[track_caller]
    pub fn program(wine: &Wine, program: &Path, arguments: &[&str]) -> WindowsTarget {
        let mut command = wine.command(program);
        command.args(arguments);
        Self::spawn(command, tempfile::tempdir().unwrap())
    }

    #[track_caller]
    fn spawn(mut command: Command, folder: TempDir) -> WindowsTarget {
        let _alone = Alone::wait();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let json =
            line.trim().strip_prefix("READY ").unwrap_or_else(|| panic!("not ready: {line}"));
        let ready = serde_json::from_str(json).unwrap();
        WindowsTarget { input: child.stdin.take(), child, output, ready, folder }
    }

    /// A number that it said, by JSON pointer.
    #[track_caller]
    pub fn number(&self, pointer: &str) -> u64 {
        self.ready
            .pointer(pointer)
            .and_then(Value::as_u64)
            .unwrap_or_else(|| panic!("no {pointer}"))
    }

    /// Its Windows process id.
    pub fn pid(&self) -> u32 {
        self.number("/pid") as u32
    }

    /// What Linux calls it: the child of `timeout`.
    #[track_caller]
    pub fn linux_pid(&self) -> u32 {
        let timeout = self.child.id();
        let children = fs::read_to_string(format!("/proc/{timeout}/task/{timeout}/children"));
        children.unwrap().split_whitespace().next().expect("timeout has a child").parse().unwrap()
    }

    /// What it answers a line.
    pub fn ask(&mut self) -> String {
        self.tell("");
        self.answer()
    }

    /// Sends it a line.
    pub fn tell(&mut self, line: &str) {
        self.input.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// How it ends.
    pub fn end(&mut self) -> Option<i32> {
        drop(self.input.take());
        self.child.wait().unwrap().code()
    }

    /// The next line that it says.
    pub fn answer(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Waits for its end; its exit code as Linux has it.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Asserts that it runs: it answers a line.
    #[track_caller]
    pub fn assert_alive(&mut self) {
        assert_eq!(self.ask(), "ALIVE");
    }
}

impl Drop for WindowsTarget {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
