//! Live guests in QEMU: what is dumped by QMP is what QEMU's own dump of the
//! same stop holds, and the guest goes on.

use super::support::cli::{command, run};
use super::support::readers::script_on;
use super::support::tools;
use dumpwright::target::machine::{MachineOptions, PageRun, Pfn, PhysicalMemory, open_machine};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PAGE: usize = 4096;

/// A guest, and a second monitor for the test.
pub(super) struct Guest {
    process: Child,
    folder: TempDir,
    backend: Option<PathBuf>,
    pub(super) monitor: Monitor,
}

pub(super) struct Monitor(BufReader<UnixStream>);

impl Monitor {
    fn connect(path: &Path) -> Monitor {
        let deadline = Instant::now() + Duration::from_secs(20);
        let stream = loop {
            match UnixStream::connect(path) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < deadline, "no monitor: {error}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut monitor = Monitor(BufReader::new(stream));
        let mut hello = String::new();
        monitor.0.read_line(&mut hello).unwrap();
        monitor.say("qmp_capabilities", &json!({}));
        monitor
    }

    pub(super) fn say(&mut self, command: &str, arguments: &Value) -> Value {
        let line = json!({ "execute": command, "arguments": arguments });
        writeln!(self.0.get_mut(), "{line}").unwrap();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            let answer: Value = serde_json::from_str(&line).unwrap();
            if answer.get("event").is_none() {
                assert!(answer.get("error").is_none(), "{command}: {answer}");
                return answer["return"].clone();
            }
        }
    }

    pub(super) fn is_running(&mut self) -> bool {
        self.say("query-status", &json!({}))["running"] == true
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Some(backend) = &self.backend {
            let _ = std::fs::remove_file(backend);
        }
    }
}

impl Guest {
    /// Starts a guest with 256 MiB; `shared`: in a file, as memory of guests
    /// that other programs look at is.
    fn start(shared: bool, more: &[&str]) -> Option<Guest> {
        let qemu = tools::command("qemu-system-x86_64")?;
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(qemu);
        command.args(["-m", "256", "-vga", "std"]);
        let backend = shared.then(|| {
            let id = folder.path().file_name().unwrap().to_string_lossy().into_owned();
            Path::new("/dev/shm").join(format!("dumpwright-{id}"))
        });
        if let Some(backend) = &backend {
            let object = format!(
                "memory-backend-file,id=ram0,size=256M,share=on,mem-path={}",
                backend.display()
            );
            command.args(["-object", &object, "-machine", "pc,memory-backend=ram0"]);
        }
        command.args(more);
        Some(Guest::launch(command, folder, backend))
    }

    /// Starts QEMU with two processors, and with monitors in the folder.
    pub(super) fn launch(mut command: Command, folder: TempDir, backend: Option<PathBuf>) -> Guest {
        let socket =
            |name: &str| format!("unix:{},server=on,wait=off", folder.path().join(name).display());
        command.args(["-display", "none", "-nodefaults", "-net", "none", "-smp", "2"]);
        command.args(["-accel", "tcg", "-qmp", &socket("qmp"), "-qmp", &socket("test")]);
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let monitor = Monitor::connect(&folder.path().join("test"));
        Guest { process, folder, backend, monitor }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Dumps it; the summary.
    pub(super) fn dump(&self, name: &str) -> Value {
        let mut command = command();
        command.args(["dump", "-f", "--json", "--qemu"]).arg(self.path("qmp"));
        run(command.arg(self.path(name))).ok().json()
    }

    /// Compares a full dump with QEMU's own dump of the same stop.
    pub(super) fn compare(&mut self, name: &str) {
        let elf = self.path("qemu.elf");
        let protocol = format!("file:{}", elf.display());
        let start = Instant::now();
        self.monitor.say("dump-guest-memory", &json!({ "paging": false, "protocol": protocol }));
        eprintln!("dump-guest-memory of QEMU took {:?}", start.elapsed());
        let theirs = elf_segments(&elf);
        let core = open_machine(&elf, &MachineOptions::default()).unwrap().unwrap();
        let told = &core.snapshot().soft_errors;
        assert!(!told.iter().any(|e| e.message.contains("with paging")), "{told:?}");
        let target = open_machine(&self.path(name), &MachineOptions::default()).unwrap().unwrap();
        let ours: &dyn PhysicalMemory = target.memory();
        let (mut compared, mut nonzero) = (0u64, 0u64);
        let file = File::open(&elf).unwrap();
        for (start, len, offset) in &theirs {
            for at in (0..*len).step_by(PAGE) {
                let (mut a, mut b) = ([0; PAGE], [0; PAGE]);
                file.read_exact_at(&mut a, offset + at).unwrap();
                let mut holes = Vec::new();
                let run = PageRun { base: Pfn((start + at) / PAGE as u64), count: 1 };
                ours.read_pages(run, &mut b, &mut holes);
                assert!(holes.is_empty() && a == b, "page at {:#x} differs", start + at);
                compared += 1;
                nonzero += u64::from(a.iter().any(|byte| *byte != 0));
            }
        }
        let pages: u64 = ours.runs().iter().map(|run| run.count).sum();
        assert_eq!(pages, compared, "no page more and none less");
        assert!(nonzero > 50, "a guest that ran");
        std::fs::remove_file(elf).unwrap();
    }
}

/// Physical address, length and offset of each segment, read here once more.
pub(super) fn elf_segments(path: &Path) -> Vec<(u64, u64, u64)> {
    let file = File::open(path).unwrap();
    let mut head = vec![0; 4096];
    let len = file.read_at(&mut head, 0).unwrap();
    let word = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap());
    let count = u16::from_le_bytes([head[56], head[57]]) as usize;
    let entries = (0..count).map(|index| word(32) as usize + 56 * index);
    entries
        .filter(|at| at + 56 <= len && head[*at] == 1)
        .map(|at| (word(at + 24), word(at + 32), word(at + 8)))
        .collect()
}

/// A kernel of Debian, if the test tools are installed.
pub(super) fn linux(name: &str) -> Option<PathBuf> {
    let kernel = tools::root().join("target/test-guest").join(name);
    if !kernel.is_file() {
        let why = format!("no target/test-guest/{name}; run scripts/install-test-tools");
        tools::skip("a Linux guest", &why);
        return None;
    }
    Some(kernel)
}

/// A guest that runs a kernel of x86, with so many MiB.
pub(super) fn linux_guest(kernel: &str, memory: &str, shared: bool) -> Option<Guest> {
    let kernel = linux(kernel)?.display().to_string();
    let more = ["-kernel", &kernel, "-append", "console=ttyS0 panic=0 nokaslr", "-serial"];
    let folder = tempfile::tempdir().unwrap();
    let serial = folder.path().join("serial");
    let log = format!("file:{}", serial.display());
    let guest = Guest::start(shared, &[&more[..], &[&log, "-m", memory]].concat())?;
    let deadline = Instant::now() + Duration::from_secs(60);
    // Far enough that the kernel has its own page tables and runs on both
    // processors.
    while !std::fs::read_to_string(&serial).is_ok_and(|text| text.contains("smpboot: Total")) {
        assert!(Instant::now() < deadline, "the guest does not start");
        std::thread::sleep(Duration::from_millis(100));
    }
    Some(guest)
}

#[test]
fn a_running_guest_is_dumped_and_goes_on() {
    for shared in [true, false] {
        let Some(mut guest) = linux_guest("vmlinuz", "256", shared) else { return };
        let summary = guest.dump("guest.dmp");
        assert!(guest.monitor.is_running(), "it goes on");
        assert!(summary["held_ms"].as_f64().is_none_or(|held| held > 0.0));
        // Held by the test, so that both dumps are of the same stop.
        guest.monitor.say("stop", &json!({}));
        let start = Instant::now();
        let summary = guest.dump("same.dmp");
        eprintln!("dumped in {:?}, shared: {shared}", start.elapsed());
        assert!(!guest.monitor.is_running(), "one that was paused stays paused");
        guest.compare("same.dmp");
        let errors = summary["soft_error_list"].to_string();
        assert!(!errors.contains("stood still while QEMU wrote"), "{errors}");
        guest.monitor.say("cont", &json!({}));
        assert!(guest.monitor.is_running());
    }
}

#[test]
fn a_cancelled_dump_lets_the_guest_go_on() {
    let Some(mut guest) = Guest::start(true, &[]) else { return };
    let mut dump = stuck_dump(&mut guest);
    tools::run(Command::new("kill").args(["-INT", &dump.id().to_string()]));
    let status = dump.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    let deadline = Instant::now() + Duration::from_secs(5);
    while !guest.monitor.is_running() {
        assert!(Instant::now() < deadline, "the guest was left paused");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Starts a dump to standard output, which nobody reads, and waits until the
/// guest stands still in the middle of it.
fn stuck_dump(guest: &mut Guest) -> Child {
    let dump = command()
        .args(["dump", "-f", "--json", "--qemu"])
        .arg(guest.path("qmp"))
        .arg("-")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while guest.monitor.is_running() {
        assert!(Instant::now() < deadline, "the guest was not stopped");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Into its memory, past the questions to the monitor.
    let pid = dump.id();
    let waits = || std::fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
    while !waits().contains("pipe") && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    dump
}

#[test]
fn a_guest_that_ends_in_the_middle_is_no_dump_with_holes() {
    let Some(mut guest) = Guest::start(false, &[]) else { return };
    let dump = stuck_dump(&mut guest);
    guest.process.kill().unwrap();
    guest.process.wait().unwrap();
    let output = dump.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("the machine ended"), "{said}");
}

#[test]
fn a_guest_that_another_client_lets_go_on_in_the_middle_is_told_of() {
    let Some(mut guest) = Guest::start(false, &[]) else { return };
    let dump = stuck_dump(&mut guest);
    guest.monitor.say("cont", &json!({}));
    let output = dump.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("something else let the guest go on"), "{said}");
    assert!(guest.monitor.is_running());
    // It is in the dump, too.
    let file = guest.path("disturbed.dmp");
    std::fs::write(&file, output.stdout).unwrap();
    let info = run(command().arg("info").arg(&file)).ok().text();
    assert!(info.contains("something else let the guest go on"), "{info}");
}

#[test]
fn a_firmware_alone_is_dumped_with_its_registers() {
    let Some(mut guest) = Guest::start(true, &[]) else { return };
    std::thread::sleep(Duration::from_secs(1));
    guest.monitor.say("stop", &json!({}));
    guest.dump("firmware.dmp");
    guest.compare("firmware.dmp");
    let registers =
        guest.monitor.say("human-monitor-command", &json!({ "command-line": "info registers" }));
    let target = open_machine(&guest.path("firmware.dmp"), &MachineOptions::default());
    let target = target.unwrap().unwrap();
    let ip = target.snapshot().processors[0].instruction_pointer;
    let text = registers.as_str().unwrap().to_lowercase();
    assert!(text.contains(&format!("ip={ip:08x}")), "{ip:#x} is not in:\n{text}");
}

/// Frames that cannot be read.
fn holes(memory: &dyn PhysicalMemory) -> u64 {
    let mut holes = Vec::new();
    for run in memory.runs() {
        let mut bytes = vec![0; run.count as usize * PAGE];
        memory.read_pages(*run, &mut bytes, &mut holes);
    }
    holes.iter().map(|hole| hole.run.count).sum()
}

#[test]
fn compressed_dumps_of_qemu_hold_the_same_machine() {
    let Some(mut guest) = Guest::start(true, &[]) else { return };
    std::thread::sleep(Duration::from_secs(1));
    guest.monitor.say("stop", &json!({}));
    let mut take = |name: &str, more: Value| {
        let protocol = format!("file:{}", guest.path(name).display());
        let mut arguments = json!({ "paging": false, "protocol": protocol });
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let line = json!({ "execute": "dump-guest-memory", "arguments": arguments });
        writeln!(guest.monitor.0.get_mut(), "{line}").unwrap();
        let answer: Value = loop {
            let mut line = String::new();
            guest.monitor.0.read_line(&mut line).unwrap();
            let answer: Value = serde_json::from_str(&line).unwrap();
            if answer.get("event").is_none() {
                break answer;
            }
        };
        answer.get("error").is_none()
    };
    assert!(take("plain.elf", json!({})));
    let mut kinds: Vec<_> = ["zlib", "snappy", "lzo"]
        .into_iter()
        .filter(|kind| take(kind, json!({ "format": format!("kdump-{kind}") })))
        .collect();
    assert!(kinds.contains(&"zlib"));
    // What QEMU was not built with, the compressor's own library packs.
    for kind in ["lzo", "zstd"] {
        if !kinds.contains(&kind) {
            let files = [&*guest.path("zlib"), &*guest.path(kind)];
            let Some(_) = script_on("repack_kdump.py", &files, &[kind.to_owned()]) else { return };
            kinds.push(kind);
        }
    }
    let open = |path: &Path| open_machine(path, &MachineOptions::default());
    let plain = open(&guest.path("plain.elf")).unwrap().unwrap();
    for kind in kinds {
        let file = guest.path(kind);
        let packed = open(&file).unwrap().unwrap();
        let (ours, theirs) = (packed.snapshot(), plain.snapshot());
        assert_eq!(ours.processors.len(), theirs.processors.len());
        for (a, b) in ours.processors.iter().zip(&theirs.processors) {
            assert!(a.context == b.context && a.control == b.control);
        }
        assert_eq!(ours.architecture, theirs.architecture);
        guest.compare(kind);
        let dump = guest.path("of-packed.dmp");
        run(command().args(["dump", "-f", "-z"]).arg(&file).arg(&dump)).ok();
        guest.compare("of-packed.dmp");
        std::fs::remove_file(dump).unwrap();
        // One that ends early is refused, or has holes that are told.
        let whole = std::fs::metadata(&file).unwrap().len();
        for len in [whole - 1, whole / 2, 5000, 4096, 100] {
            File::options().write(true).open(&file).unwrap().set_len(len).unwrap();
            let holes = open(&file).map(|cut| holes(cut.unwrap().memory()));
            assert!(holes.is_err() || holes.is_ok_and(|holes| holes > 0), "{kind} of {len} bytes");
        }
    }
}

#[test]
fn a_monitor_that_stops_answering_leaves_no_file_and_does_not_hang() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("qmp");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut out = stream.try_clone().unwrap();
        out.write_all(b"{\"QMP\": {}}\n").unwrap();
        let mut said = Vec::new();
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let command: Value = serde_json::from_str(&line).unwrap();
            let name = command["execute"].as_str().unwrap().to_owned();
            let answer = match name.as_str() {
                "query-status" => json!({ "running": true }),
                "qmp_capabilities" | "qom-list" | "stop" => json!({}),
                _ => Value::Null,
            };
            said.push(name);
            if !answer.is_null() {
                writeln!(out, "{}", json!({ "return": answer, "id": command["id"] })).unwrap();
            }
        }
        said
    });
    let dump = folder.path().join("guest.dmp");
    let start = Instant::now();
    let refused = run(command().args(["dump", "-f", "--qemu"]).arg(&socket).arg(&dump)).refused();
    assert!(start.elapsed() < Duration::from_secs(45), "{:?}", start.elapsed());
    assert!(
        refused.contains("did not answer") && refused.contains("may still be paused"),
        "{refused}"
    );
    assert_eq!(server.join().unwrap().last().unwrap(), "cont", "the guest is told to go on");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no file is left");
}
