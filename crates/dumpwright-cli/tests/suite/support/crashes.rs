//! The crash handler, installed for as long as a test needs it.
//!
//! `core_pattern` is the whole machine's: tests take turns by a lock file, ask
//! for dumps of their own programs only, and put back what was there however
//! they end.

use super::cli::{Run, program, run};
use super::dump::Loaded;
use super::tools::skip;
use rustix::fs::FlockOperation;
use serde_json::Value;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The settings that a handler changes, the pattern first.
const SETTINGS: [&str; 3] = [
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/core_pipe_limit",
    "/proc/sys/fs/suid_dumpable",
];
/// What sets them again at each boot.
pub const SYSCTL_FILE: &str = "/etc/sysctl.d/70-dumpwright.conf";
/// Where a handler of ours has its record.
const RECORD: &str = "state/handler.log";
/// How long a crash may take to be recorded.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether this machine lets a test install a crash handler.
pub fn may_install() -> bool {
    let may = rustix::process::geteuid().is_root()
        && SETTINGS.iter().all(|file| File::options().write(true).open(file).is_ok());
    if !may {
        skip("crash handler", "it takes root and a writable core_pattern");
    }
    may
}

/// Keeps `core_pattern` as it is, until the result is dropped: for tests of what
/// the kernel does by itself.
pub fn core_pattern_stays() -> File {
    turn(FlockOperation::LockShared)
}

/// The turn of one that changes `core_pattern` (exclusive), or of those that need
/// it to stay (shared); it ends when the file is closed.
fn turn(kind: FlockOperation) -> File {
    let lock = std::env::temp_dir().join("dumpwright-core-pattern.lock");
    let turn = File::options().create(true).append(true).open(lock).unwrap();
    rustix::fs::flock(&turn, kind).unwrap();
    turn
}

/// A handler with a folder, a configuration and a state of its own. The kernel
/// does not know of it.
pub struct Handler {
    /// Where all of it is.
    pub folder: TempDir,
    /// The program: the path that the kernel is given must be short.
    pub program: PathBuf,
}

impl Handler {
    /// One with this configuration, in which `{}` stands for the folder.
    pub fn new(config: &str) -> Handler {
        let folder = tempfile::Builder::new().prefix("dw").tempdir_in("/tmp").unwrap();
        // Programs of other users are in it too.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let program = folder.path().join("dw");
        if fs::hard_link(super::cli::program(), &program).is_err() {
            fs::copy(self::program(), &program).unwrap();
        }
        let handler = Handler { folder, program };
        handler.configure(config);
        handler
    }

    /// Gives it another configuration.
    pub fn configure(&self, config: &str) {
        let path = self.folder.path().to_str().unwrap();
        let own =
            "folder = \"{}/dumps\"\nstate = \"{}/state\"\nmin-free = 0\nunlisted = \"ignore\"\n";
        fs::write(self.config(), format!("{own}{config}").replace("{}", path)).unwrap();
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("h.toml")
    }

    /// Its folder of dumps.
    pub fn dumps(&self) -> PathBuf {
        self.folder.path().join("dumps")
    }

    /// `dumpwright handler COMMAND -C its configuration`.
    pub fn command(&self, command: &str) -> Command {
        let mut handler = Command::new(&self.program);
        handler.args(["handler", command, "-C"]).arg(self.config()).stdin(Stdio::null());
        handler
    }

    /// Runs one of its commands.
    pub fn run(&self, command: &str, arguments: &[&str]) -> Run {
        run(self.command(command).args(arguments))
    }

    /// A copy of a program under another name, in the handler's folder.
    pub fn copy(&self, program: &Path, name: &str) -> PathBuf {
        let copy = self.folder.path().join(name);
        fs::copy(program, &copy).unwrap();
        copy
    }

    /// What its record says.
    pub fn record(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join(RECORD));
        let text = text.unwrap_or_default();
        // The last line may be in the middle of being written.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for the record of a process.
    #[track_caller]
    pub fn recorded(&self, pid: u32) -> Value {
        self.recorded_where(|entry| entry["pid"] == pid)
    }

    /// Waits for a record of which something is so.
    ///
    /// # Panics
    /// If none is made.
    #[track_caller]
    pub fn recorded_where(&self, is_so: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(entry) = self.record().into_iter().find(&is_so) {
                return entry;
            }
            assert!(Instant::now() < end, "not recorded: {:?}", self.record());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A handler that the kernel calls.
pub struct Installed {
    /// The handler.
    pub handler: Handler,
    before: [String; 3],
    /// Whether a handler of this machine's owner is set up at each boot.
    pub persisted: bool,
    /// The lock; `None` once all is as it was.
    turn: Option<File>,
}

impl Installed {
    /// Installs a handler with this configuration; `None` after a note where the
    /// machine does not allow it.
    pub fn new(config: &str) -> Option<Installed> {
        Self::over(None, config)
    }

    /// The same over another handler's pattern.
    pub fn over(other: Option<&str>, config: &str) -> Option<Installed> {
        may_install()
            .then(|| {
                let turn = turn(FlockOperation::LockExclusive);
                let before = SETTINGS.map(|file| fs::read_to_string(file).unwrap());
                let installed = Installed {
                    handler: Handler::new(config),
                    before,
                    persisted: Path::new(SYSCTL_FILE).exists(),
                    turn: Some(turn),
                };
                if let Some(other) = other {
                    let path = installed.handler.folder.path().to_str().unwrap();
                    fs::write(SETTINGS[0], other.replace("{}", path)).unwrap();
                }
                installed.handler.run("install", &["--no-persist"]).ok();
                installed
            })
            .filter(Installed::is_called)
    }

    /// Whether the kernel starts the handler: in a container that may change
    /// `core_pattern` it looks for the program among the host's files.
    fn is_called(&self) -> bool {
        static IS_CALLED: OnceLock<bool> = OnceLock::new();
        *IS_CALLED.get_or_init(|| {
            let child = start(Command::new("sh").args(["-c", "kill -SEGV $$"]));
            child.wait_with_output().unwrap();
            let end = Instant::now() + Duration::from_secs(10);
            while self.handler.record().is_empty() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(5));
            }
            let called = fs::remove_file(self.handler.folder.path().join(RECORD)).is_ok();
            if !called {
                skip("crash handler", "the kernel does not start programs of this file system");
            }
            called
        })
    }

    /// What the settings were before.
    pub fn before(&self) -> &[String; 3] {
        &self.before
    }

    /// What they are.
    pub fn now() -> [String; 3] {
        SETTINGS.map(|file| fs::read_to_string(file).unwrap())
    }

    /// Lets a program crash.
    #[track_caller]
    pub fn crash(&self, command: &mut Command) -> Crash {
        let child = start(command);
        self.end(child)
    }

    /// Waits for the end of a program, and for what is recorded of it.
    #[track_caller]
    pub fn end(&self, child: Child) -> Crash {
        let pid = child.id();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let signal = output.status.signal();
        assert!(signal.is_some(), "it did not crash: {}, {said}", output.status);
        let ready = said.lines().find_map(|line| line.strip_prefix("READY"));
        let ready = ready.map_or(Value::Null, |json| serde_json::from_str(json.trim()).unwrap());
        Crash { ready, pid, signal: signal.unwrap(), record: self.handler.recorded(pid) }
    }
}

impl Installed {
    /// Puts back what was there before, so that the machine waits no longer than
    /// it must; dumps and record stay.
    pub fn take_away(&mut self) {
        let Some(turn) = self.turn.take() else { return };
        for (file, value) in SETTINGS.iter().zip(&self.before) {
            if let Err(error) = fs::write(file, value.trim_end()) {
                eprintln!("{file} could not be set back to {value}: {error}");
            }
        }
        if !self.persisted {
            let _ = fs::remove_file(SYSCTL_FILE);
        }
        drop(turn);
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        self.take_away();
    }
}

/// Starts a program that will crash.
pub fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"))
}

/// A crash, and what the handler made of it.
pub struct Crash {
    /// What the program said of itself.
    pub ready: Value,
    /// Its process id.
    pub pid: u32,
    /// What ended it.
    pub signal: i32,
    /// What is recorded.
    pub record: Value,
}

impl Crash {
    /// The dump.
    #[track_caller]
    pub fn file(&self) -> PathBuf {
        assert_eq!(self.record["outcome"], "dumped", "{}", self.record);
        self.record["file"].as_str().unwrap().into()
    }

    /// The dump, as a reader has it; it must be one of the live process, and
    /// verify.
    #[track_caller]
    pub fn load(&self) -> Loaded {
        assert_eq!(self.record["source"], "live", "{}", self.record);
        assert!(self.record.get("messages").is_none(), "{}", self.record);
        super::cli::assert_verifies(&self.file());
        Loaded::read(&self.file())
    }

    /// A number that the program said.
    pub fn number(&self, key: &str) -> u64 {
        self.ready[key].as_u64().unwrap_or_else(|| panic!("no number {key}: {}", self.ready))
    }
}
