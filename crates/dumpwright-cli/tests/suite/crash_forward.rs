//! Cores that go on to the handler that was there before: it must not notice
//! that another one was called first.

use crate::support::cli::{command, run};
use crate::support::compile::{Kind, fixture};
use crate::support::crashes::{Installed, start};
use crate::support::dump::Loaded;
use crate::support::tools::{command as tool, root, skip};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What systemd installs as `core_pattern`, with its program in our folder.
const SYSTEMD: &str = "|{}/systemd-coredump %P %u %g %s %t 9223372036854775808 %h %d";
/// Where its program hands the core over to a service.
const SOCKET: &str = "/run/systemd/coredump";
/// Where the service stores cores.
const STORE: &str = "/var/lib/systemd/coredump";

/// Waits until something is there.
#[track_caller]
fn wait_for<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(Instant::now() < end, "no {what}");
        sleep(Duration::from_millis(10));
    }
}

/// systemd-coredump's service, where no systemd runs it; and the cores that it
/// stores meanwhile, which go with this.
struct Service {
    child: Option<Child>,
    before: BTreeSet<PathBuf>,
}

impl Service {
    fn start(program: &Path) -> Option<Service> {
        let before = stored();
        if Path::new(SOCKET).exists() {
            return Some(Service { child: None, before });
        }
        let activate = tool("systemd-socket-activate")?;
        fs::create_dir_all("/run/systemd").unwrap();
        fs::create_dir_all(STORE).unwrap();
        let mut command = Command::new(activate);
        command.args(["--accept", "--seqpacket", "-l", SOCKET]).arg(program);
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for("socket of systemd-coredump", || Path::new(SOCKET).exists().then_some(()));
        Some(Service { child: Some(child), before })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
            let _ = fs::remove_file(SOCKET);
        }
        for core in stored().difference(&self.before) {
            let _ = fs::remove_file(core);
        }
    }
}

fn stored() -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(STORE).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Debian's own, installed or unpacked by `scripts/install-test-tools`.
fn systemd_coredump() -> Option<PathBuf> {
    let unpacked = root().join("target/systemd-coredump");
    let roots = [Path::new("/"), &unpacked];
    let places = ["usr/lib/systemd/systemd-coredump", "lib/systemd/systemd-coredump"];
    let all = roots.iter().flat_map(|root| places.iter().map(|place| root.join(place)));
    let found = all.into_iter().find(|path| path.exists());
    if found.is_none() {
        skip("systemd-coredump", "it is not there; see scripts/install-test-tools");
    }
    found
}

#[test]
fn systemd_coredump_stores_the_core_of_a_crash_that_was_dumped() {
    let Some(program) = systemd_coredump() else { return };
    let config = "forward = true\n[program.\"{}/crashes\"]\n";
    // The service first: handler and socket are there in the turn of this test.
    let Some(mut installed) = Installed::over(Some(SYSTEMD), config) else { return };
    let Some(_service) = Service::start(&program) else { return };
    installed.handler.copy(&program, "systemd-coredump");
    let crashes = installed.handler.copy(&fixture("crashes", Kind::Program), "crashes");
    let crash = installed.crash(Command::new(crashes).arg("unmapped"));
    let core = wait_for("core in the store", || {
        // It is stored under a name with a # until it is whole.
        let is_it = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with("core.crashes.") && name.contains(&format!(".{}.", crash.pid))
        };
        stored().into_iter().find(is_it)
    });
    installed.take_away();
    let live = crash.load();
    let of_core = installed.handler.folder.path().join("of-core.dmp");
    run(command().args(["dump", "-z"]).arg(&core).arg(&of_core)).ok();
    let of_core = Loaded::read(&of_core);
    assert_eq!(live.tids(), of_core.tids());
    for tid in live.tids() {
        assert_eq!(live.registers(tid), of_core.registers(tid), "thread {tid}");
    }
}

/// Crashes of programs whose names, hosts and roots are not those of the handler.
fn odd_crashes(folder: &Path, tag: &str) {
    let program = fixture("crashes", Kind::Static);
    let copy = |name: &str| {
        let copy = folder.join(format!("{tag} {name}"));
        fs::copy(&program, &copy).unwrap();
        copy
    };
    let end = |child: Child| assert!(child.wait_with_output().unwrap().status.code().is_none());
    end(start(Command::new(copy("..a b")).arg("abort")));
    // It goes on for a while before it crashes.
    let deleted = copy("deleted");
    let child = start(Command::new(&deleted).arg("no-main"));
    fs::remove_file(deleted).unwrap();
    end(child);
    copy("contained");
    let script = format!(
        "echo inside >/proc/sys/kernel/hostname; exec chroot '{}' '/{tag} contained' unmapped",
        folder.display()
    );
    let mut unshare = Command::new("unshare");
    start(unshare.args(["-upf", "sh", "-c", &script])).wait_with_output().unwrap();
}

#[test]
fn another_handler_has_the_arguments_of_the_kernel() {
    if tool("unshare").is_none() {
        return;
    }
    let other = "|/bin/sh {}/other %P %s %d %u %g %c %h %e %f %E %z 100%% -%F";
    let Some(installed) = Installed::over(Some(other), "forward = true\n") else { return };
    let folder = installed.handler.folder.path().to_owned();
    let script = "cd $(dirname $0); cat >/dev/null; umask >mask; pid=$1; shift\n\
                  readlink /proc/self/fd/${12#-} >fd-$pid; \
                  for a; do echo \"$a\"; done >args-$pid; mv args-$pid told-$pid";
    fs::write(folder.join("other"), script).unwrap();
    let told = |tag: &str| {
        odd_crashes(&folder, tag);
        // `unshare` ends by the signal of its child, and crashes too.
        let mut all = wait_for("four crashes", || {
            let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
            let told =
                names.filter(|p| p.file_name().unwrap().to_str().unwrap().starts_with("told-"));
            Some(told.collect::<Vec<_>>()).filter(|told| told.len() >= 4)
        });
        all.sort();
        let texts: BTreeSet<_> = all
            .into_iter()
            .map(|path| {
                let text = fs::read_to_string(&path).unwrap();
                fs::remove_file(path).unwrap();
                // The last is a number of a descriptor.
                let lines: Vec<_> = text.lines().map(|line| line.replace(tag, "TAG")).collect();
                lines[..lines.len() - 1].join("|")
            })
            .collect();
        assert_eq!(fs::read_to_string(folder.join("mask")).unwrap().trim(), "0022");
        texts
    };
    let ours = told("one");
    installed.handler.run("uninstall", &[]).ok();
    let kernels = told("two");
    assert_eq!(ours, kernels);
    let text = ours.iter().map(String::as_str).collect::<String>();
    for part in ["|inside|", "TAG deleted (deleted)|", "|!TAG contained|", "TAG ..a b"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_core_of_a_32_bit_program_is_not_dumped_and_forwarded_whole() {
    let config = "forward = true\n[program.small]\n";
    let Some(installed) = Installed::over(Some("|/bin/sh {}/other %P"), config) else { return };
    let folder = installed.handler.folder.path().to_owned();
    fs::write(folder.join("other"), "cd $(dirname $0); cat >part; mv part core-$1").unwrap();
    let source = folder.join("crashes.s");
    fs::write(&source, ".globl _start\n_start: movl $1, 8\n").unwrap();
    let program = folder.join("small");
    let mut cc = Command::new("cc");
    run(cc.args(["-m32", "-nostdlib", "-static", "-o"]).arg(&program).arg(source)).ok();
    let crash = installed.crash(&mut Command::new(program));
    assert_eq!(crash.record["outcome"], "failed", "{}", crash.record);
    assert!(crash.record["messages"].to_string().contains("32-bit"), "{}", crash.record);
    assert_eq!(fs::read_dir(installed.handler.dumps()).unwrap().count(), 0);
    let core = folder.join(format!("core-{}", crash.pid));
    let core = wait_for("core", || fs::read(&core).ok());
    assert_eq!(core[..5], [0x7F, b'E', b'L', b'F', 1]);
    assert!(core.len() > 4096, "{} bytes", core.len());
}
