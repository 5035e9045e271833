//! Real children, described and held against what other tools and the children
//! themselves say.

mod images;

use super::*;
use crate::address::AddressRange;
use crate::target::linux::module_file::ModuleFiles;
use crate::target::linux::testkit::{Child, compile};
use crate::target::{Absent, Access, Backing, DebugId, Protection, Region, StreamBytes};
use dumpwright_format::minidump::StreamType;
use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::process::Command;

const EVERYTHING: Wants = Wants {
    handles: true,
    full_memory: true,
    thread_info: true,
    extended_state: false,
    process_data: true,
    module_headers: true,
    token: true,
    vm_counters: true,
    system_memory: true,
    exception: crate::target::ExceptionSource {
        thread: None,
        context: None,
        record: None,
        pointers: None,
        jit_debug_info: None,
    },
};

fn snapshot_of(child: &Child) -> ProcessSnapshot {
    let memory = child.memory();
    described(&child.proc_dir(), child.threads(), &memory)
}

fn described(
    proc: &ProcDir,
    threads: Vec<ThreadSnapshot>,
    memory: &dyn MemorySource,
) -> ProcessSnapshot {
    let maps = Maps::read(proc, &mut Vec::new()).unwrap();
    describe(proc, &maps, threads, memory, &EVERYTHING, None, Vec::new())
}

fn module<'s>(snapshot: &'s ProcessSnapshot, end: &str) -> &'s ModuleSnapshot {
    let found = snapshot.modules.iter().find(|m| m.path.ends_with(end));
    found.unwrap_or_else(|| panic!("no module {end} in {:?}", paths(snapshot)))
}

fn paths(snapshot: &ProcessSnapshot) -> Vec<&str> {
    snapshot.modules.iter().map(|m| m.path.as_str()).collect()
}

fn region(snapshot: &ProcessSnapshot, address: u64) -> Region {
    snapshot.regions.at(address).unwrap()
}

fn stream(snapshot: &ProcessSnapshot, stream_type: StreamType) -> &[u8] {
    let found = snapshot.platform_streams.iter().find(|s| s.stream_type == stream_type);
    match &found.unwrap_or_else(|| panic!("no stream {stream_type}")).bytes {
        StreamBytes::Plain(bytes) => bytes,
        StreamBytes::Packed(_) => panic!("{stream_type} is packed"),
    }
}

fn tool(program: &str, arguments: &[&OsStr]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
    digits.concat()
}

#[test]
fn a_simple_program_is_described_as_readelf_and_proc_see_it() {
    let child = Child::sleeping();
    let snapshot = snapshot_of(&child);
    assert_eq!(snapshot.soft_errors, []);

    let main = &snapshot.modules[0];
    let exe = std::fs::read_link(child.proc_dir().path("exe")).unwrap();
    assert_eq!(Path::new(&main.path), exe);
    module(&snapshot, modules::VDSO_NAME);
    let libc = module(&snapshot, "/libc.so.6");
    assert_eq!(libc.version, Some([6, 0, 0, 0]));

    for module in [main, libc] {
        let notes = tool("readelf", &["-n".as_ref(), module.path.as_ref()]);
        let DebugId::ElfBuildId(id) = &module.debug_id else { panic!("{} has no id", module.path) };
        assert!(notes.contains(&hex(id)), "{} {}", module.path, hex(id));
        let sections = tool("readelf", &["-SW".as_ref(), module.path.as_ref()]);
        let line = sections.lines().find(|l| l.contains(".eh_frame ")).unwrap();
        let columns: Vec<&str> =
            line.split("PROGBITS").nth(1).unwrap().split_whitespace().collect();
        let number = |i: usize| u64::from_str_radix(columns[i], 16).unwrap();
        let eh_frame = AddressRange::with_len(module.base + number(0), number(2));
        let covered = |r: &AddressRange| r.start <= eh_frame.start && eh_frame.end <= r.end;
        assert!(module.headers.iter().any(covered), "{} {eh_frame}", module.path);
        let headers: u64 = module.headers.iter().map(|r| r.len()).sum();
        assert!(headers < eh_frame.len() + 0x10000, "far more than headers and unwind tables");
    }

    let maps = child.proc_dir().read("maps").unwrap();
    assert_eq!(stream(&snapshot, StreamType::LINUX_MAPS), maps);
    assert_eq!(snapshot.regions.len(), maps.split(|b| *b == b'\n').count() - 1);
    assert!(stream(&snapshot, StreamType::LINUX_CMD_LINE).starts_with(b"sleep\0"));
    assert_eq!(snapshot.process.name, "sleep");
    assert_eq!(snapshot.threads[0].name, "sleep");
    assert_eq!(snapshot.process.namespace_pids[0], child.pid());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let age = now.as_secs().abs_diff(snapshot.process.create_time.unix_seconds());
    assert!(age < 60, "created {age} s ago");
}

#[test]
fn the_link_map_names_every_library_and_lies_in_the_process_data() {
    let child = Child::sleeping();
    let snapshot = snapshot_of(&child);
    let debug = snapshot.dso_debug.as_ref().unwrap();
    assert_eq!(debug.entries[0].name, "");
    let libc = module(&snapshot, "/libc.so.6");
    let entry = debug.entries.iter().find(|e| e.name.ends_with("libc.so.6")).unwrap();
    assert_eq!(entry.addr, libc.base);
    let bytes = child.memory();
    let memory: &dyn MemorySource = &bytes;
    let mut name = vec![0; entry.name_range.len() as usize];
    assert!(memory.read_exact(entry.name_range.start, &mut name));
    assert_eq!(name, entry.name.as_bytes());
    let covered = |r: &AddressRange| r.contains(entry.name_range.end);
    assert!(snapshot.process_data.iter().any(covered), "the NUL of the name too");
    assert!(snapshot.process_data.iter().any(|r| r.contains(debug.dynamic)));
    assert!(debug.brk != 0 && debug.ldbase != 0);
}

#[test]
fn the_initial_stack_holds_arguments_environment_and_executable_name() {
    let child = Child::ready(
        Command::new("python3")
            .args(["-c", "print('ready', flush=True); input()", "last argument"])
            .env("CANARY", "in the environment"),
    );
    let snapshot = snapshot_of(&child);
    let stack = snapshot.initial_stack.unwrap();
    let bytes = child.memory();
    let memory: &dyn MemorySource = &bytes;
    let text = |range: AddressRange| {
        let mut text = vec![0; range.len() as usize];
        assert!(memory.read_exact(range.start, &mut text));
        String::from_utf8_lossy(&text).into_owned()
    };
    assert!(text(stack.arguments).ends_with("last argument\0"));
    assert!(text(stack.environment).contains("CANARY=in the environment\0"));
    assert!(text(stack.exec_fn).contains("python") && text(stack.exec_fn).ends_with('\0'));
    assert_eq!(memory.read_u64(stack.range.start), Some(4), "argc");
    for inner in [stack.arguments, stack.environment, stack.exec_fn] {
        assert_eq!(stack.range.intersection(inner), inner);
    }
    assert_eq!(&*region(&snapshot, stack.range.start).name, "[stack]");
}

#[test]
fn a_process_whose_main_thread_has_exited_is_still_described() {
    let folder = tempfile::tempdir().unwrap();
    let source = r#"#define _GNU_SOURCE
        #include <pthread.h>
        #include <stdio.h>
        #include <unistd.h>
        static void *stay(void *x) {
            printf("ready %x\n", gettid()); fflush(stdout); pause(); return 0;
        }
        int main(void) {
            pthread_t t; pthread_create(&t, 0, stay, 0); pthread_setname_np(t, "stayer");
            pthread_exit(0);
        }"#;
    let program = compile(folder.path(), "leaver", source, &["-pthread"]);
    let child = Child::ready(&mut Command::new(&program));
    let tid = child.address(0) as u32;
    child.wait_until("its main thread has exited", |proc| {
        proc.read("stat").is_ok_and(|s| s.windows(4).any(|w| w == b") Z "))
    });
    let proc = ProcDir::new(crate::target::Pid(child.pid()), crate::target::Tid(tid));
    let memory = std::fs::File::open(proc.path("mem")).map(crate::target::linux::testkit::ProcMem);
    let threads = vec![crate::target::linux::testkit::thread(tid)];
    let snapshot = described(&proc, threads, &memory.unwrap());
    assert_eq!(snapshot.soft_errors, []);
    assert_eq!(Path::new(&snapshot.modules[0].path), program);
    assert_eq!(snapshot.threads[0].name, "stayer");
    assert_eq!(snapshot.process.name, "leaver");
    assert!(snapshot.initial_stack.is_some());
    assert!(!snapshot.handles.is_empty());
}

#[test]
fn open_descriptors_are_told_by_kind_with_their_ends() {
    let folder = tempfile::tempdir().unwrap();
    let script = r"
import os, select, socket, sys
tcp = socket.socket(); tcp.bind(('127.0.0.1', 0)); tcp.listen()
peer = socket.create_connection(tcp.getsockname())
accepted, _ = tcp.accept()
unix = socket.socket(socket.AF_UNIX); unix.bind('a socket'); unix.listen()
loose = socket.socket()
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); udp.bind(('::1', 0))
epoll = select.epoll(); epoll.register(tcp)
r, w = os.pipe()
event = os.eventfd(7)
log = os.open('log', os.O_WRONLY | os.O_APPEND | os.O_CREAT)
path = os.open('log', os.O_PATH)
os.set_inheritable(log, True)
folder = os.open('.', os.O_RDONLY)
null = os.open('/dev/null', os.O_RDWR)
mem = os.memfd_create('mem')
pid = os.pidfd_open(os.getpid())
os.mkfifo('fifo'); fifo = os.open('fifo', os.O_RDWR)
fds = [tcp, peer, unix, loose, udp, epoll]
fds = [f.fileno() for f in fds] + [r, event, log, path, folder, null, mem, pid, fifo]
print('ready', *map(hex, fds), tcp.getsockname()[1], flush=True)
input()
";
    let child =
        Child::ready(Command::new("python3").args(["-c", script]).current_dir(folder.path()));
    let snapshot = snapshot_of(&child);
    assert_eq!(snapshot.soft_errors, []);
    let handle = |word: usize| {
        let fd = child.address(word);
        snapshot.handles.iter().find(|h| h.handle == fd).unwrap()
    };
    let kinds: Vec<&str> = (0..15).map(|word| handle(word).type_name.as_str()).collect();
    let expected = [
        "Socket",
        "Socket",
        "Socket",
        "Socket",
        "Socket",
        "Epoll",
        "Pipe",
        "EventFd",
        "File",
        "File",
        "Directory",
        "Device",
        "Memfd",
        "PidFd",
        "Pipe",
    ];
    assert_eq!(kinds, expected);
    let port = &child.words[15];
    let has = |word: usize, line: &str| {
        let details = &handle(word).details;
        assert!(details.lines().any(|l| l == line), "{line:?} in {details:?}");
    };
    has(0, "protocol: tcp");
    has(0, "state: LISTEN");
    has(0, &format!("local: 127.0.0.1:{port}"));
    has(1, "state: ESTABLISHED");
    has(1, &format!("peer: 127.0.0.1:{port}"));
    has(2, "local: a socket");
    has(3, "protocol: tcp");
    has(4, "protocol: udp6");
    assert!(handle(5).details.contains("tfd: "));
    has(7, "eventfd-count: 7");
    let log = handle(8);
    assert!(log.inherit && !handle(7).inherit);
    assert!(log.object_name.ends_with("/log"));
    assert_eq!(handle(9).granted_access, 0);
    assert!(snapshot.handles.windows(2).all(|p| p[0].handle < p[1].handle));
}

#[test]
fn threads_have_names_times_and_the_main_ones_start() {
    let script = r"
import threading, time
def stay(): time.sleep(1000)
for _ in range(5): threading.Thread(target=stay, daemon=True).start()
while time.thread_time() < 0.2: pass
print('ready', flush=True); input()
";
    let child = Child::ready(Command::new("python3").args(["-c", script]));
    let snapshot = snapshot_of(&child);
    assert_eq!(snapshot.threads.len(), 6);
    let main = snapshot.threads[0].info.unwrap();
    assert!(main.user_time + main.kernel_time >= 1_000_000, "0.1 s at least: {main:?}");
    assert!(snapshot.process.user_time >= main.user_time);
    let entry = main.start_address.unwrap();
    assert!(snapshot.modules[0].range().contains(entry));
    for thread in &snapshot.threads {
        let info = thread.info.unwrap();
        assert_ne!(info.affinity, 0);
        assert!(info.create_time >= snapshot.process.create_time);
        assert_eq!(thread.priority, 20);
    }
    // Found by the thread pointer, which these threads were not asked for.
    assert_eq!(snapshot.threads[1].info.unwrap().start_address, None);
}

#[test]
fn local_storage_reaches_thread_locals_and_thread_descriptor() {
    let folder = tempfile::tempdir().unwrap();
    let source = r#"#include <stdio.h>
        #include <unistd.h>
        __thread char big[20000] = "x"; 
        int main(void) {
            printf("ready %p %p\n", __builtin_thread_pointer(), (void *)big);
            fflush(stdout); pause(); return 0;
        }"#;
    let program = compile(folder.path(), "tls", source, &[]);
    let child = Child::ready(&mut Command::new(&program));
    let mut threads = child.threads();
    threads[0].thread_pointer = child.address(0);
    let memory = child.memory();
    let snapshot = described(&child.proc_dir(), threads, &memory);
    let storage = snapshot.threads[0].local_storage[0];
    assert!(storage.contains(child.address(0)) && storage.contains(child.address(1)));
    assert_eq!(region(&snapshot, storage.start).range, region(&snapshot, storage.end - 1).range);
}

#[test]
fn credentials_and_counters_are_those_of_the_process() {
    let child = Child::sleeping();
    let snapshot = snapshot_of(&child);
    let token = snapshot.token.unwrap();
    let uid = rustix::process::getuid().as_raw();
    assert!(token.lines().any(|l| l == format!("uid: {uid}")), "{token}");
    assert!(token.contains("CapEff: ") && token.contains("UserNamespace: user:["));
    let counters = snapshot.vm_counters.unwrap();
    assert!(counters.working_set_size.get() > 0);
    assert!(counters.virtual_size.get() <= counters.peak_virtual_size.get());
    let system = snapshot.system_memory.unwrap();
    assert_eq!(u64::from(system.basic.page_size.get()), snapshot.page_size);
    assert!(system.basic_performance.available_pages.get() > 0);
}

#[test]
fn the_system_is_named_without_its_host() {
    let child = Child::sleeping();
    let system = snapshot_of(&child).system;
    let release = tool("uname", &["-r".as_ref()]);
    assert!(system.description.starts_with(&format!("Linux {} ", release.trim())));
    assert!(!system.description.contains(&format!(" {} ", tool("uname", &["-n".as_ref()]).trim())));
    let major: u32 = release.split('.').next().unwrap().parse().unwrap();
    assert_eq!(system.version[0], major);
    assert!(system.number_of_processors >= 1);
    assert!(system.time_zone.is_some());
}

#[test]
fn a_process_that_is_gone_is_one_clear_error() {
    let proc = {
        let child = Child::sleeping();
        child.proc_dir()
    };
    let error = Maps::read(&proc, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("maps"), "{error}");
}

#[test]
fn a_process_in_a_root_of_its_own_is_described_as_it_sees_itself() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("etc")).unwrap();
    std::fs::write(root.path().join("etc/os-release"), "PRETTY_NAME=\"Inner Linux 7\"\n").unwrap();
    let source = r#"#include <stdio.h>
        #include <unistd.h>
        int main(void) { puts("ready"); fflush(stdout); pause(); return 0; }"#;
    compile(root.path(), "inner", source, &["-static"]);
    let mut command = if rustix::process::geteuid().is_root() {
        Command::new("chroot")
    } else {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "chroot"]);
        command
    };
    let child =
        Child::ready(command.arg(root.path()).arg("/inner").env("TZ", "Etc/Nowhere").env("A", "b"));
    let snapshot = snapshot_of(&child);
    assert_eq!(snapshot.soft_errors, []);
    assert_eq!(snapshot.modules[0].path, "/inner");
    assert!(snapshot.system.description.ends_with("; Inner Linux 7"));
    assert!(stream(&snapshot, StreamType::LINUX_LSB_RELEASE).starts_with(b"PRETTY_NAME"));
    let maps = Maps::read(&child.proc_dir(), &mut Vec::new()).unwrap();
    assert!(ModuleFiles::of(child.proc_dir(), maps.into()).open(&snapshot.modules[0]).is_ok());
    let environ = stream(&snapshot, StreamType::LINUX_ENVIRON);
    assert!(environ.split(|b| *b == 0).any(|entry| entry == b"A=b"));
}
