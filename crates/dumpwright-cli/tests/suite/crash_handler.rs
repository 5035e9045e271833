//! Real crashes through the installed crash handler.

use crate::support::cli::{command, run};
use crate::support::compile::{Kind, fixture};
use crate::support::crashes::{Crash, Handler, Installed, SYSCTL_FILE, core_pattern_stays, start};
use crate::support::dump::Loaded;
use crate::support::processor::process;
use crate::support::readers::{lldb_traces, pypi_minidump};
use crate::support::target::Target;
use crate::support::tools::{command as tool, skip};
use crate::support::{find, unhex, utf16};
use minidump::{MinidumpException, MinidumpSystemInfo};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Section of the fixture.
const CONFIG: &str = "[program.\"{}/crashes\"]\n";

/// What a kind of crash has to be called.
struct Sort {
    name: &'static str,
    reason: &'static str,
    /// Whether the fixture knows the address.
    address: bool,
}

const SORTS: [Sort; 10] = [
    Sort { name: "unmapped", reason: "SIGSEGV / SEGV_MAPERR", address: true },
    Sort { name: "protected", reason: "SIGSEGV / SEGV_ACCERR", address: true },
    Sort { name: "general", reason: "SIGSEGV / SI_KERNEL", address: false },
    Sort { name: "bus", reason: "SIGBUS / BUS_ADRERR", address: true },
    Sort { name: "divide", reason: "SIGFPE / FPE_INTDIV", address: false },
    Sort { name: "illegal", reason: "SIGILL / ILL_ILLOPN", address: false },
    Sort { name: "trap", reason: "SIGTRAP / SI_KERNEL", address: false },
    Sort { name: "abort", reason: "SIGABRT / SI_TKILL", address: false },
    Sort { name: "system-call", reason: "SIGSYS / SYS_SECCOMP", address: false },
    // In the guard page that the thread library put below the stack.
    Sort { name: "overflow", reason: "SIGSEGV / SEGV_ACCERR", address: false },
];

fn crashes(installed: &Installed) -> impl Fn(&str) -> Command + use<> {
    let program = installed.handler.copy(&fixture("crashes", Kind::Program), "crashes");
    move |kind| {
        let mut command = Command::new(&program);
        command.arg(kind);
        command
    }
}

#[test]
fn every_signal_has_its_reason_address_and_frames() {
    let Some(mut installed) = Installed::new(CONFIG) else { return };
    let program = crashes(&installed);
    let crashes: Vec<_> =
        SORTS.iter().map(|kind| (kind, installed.crash(&mut program(kind.name)))).collect();
    installed.take_away();
    for (kind, crash) in &crashes {
        eprintln!("{}", kind.name);
        if cfg!(target_arch = "aarch64") && matches!(kind.name, "general" | "divide" | "trap") {
            continue;
        }
        assert_the_crash(kind, crash);
        assert_the_functions(kind, crash);
    }
}

#[track_caller]
fn assert_the_crash(kind: &Sort, crash: &Crash) {
    let loaded = crash.load();
    let exception: MinidumpException<'_> = loaded.get();
    let system: MinidumpSystemInfo = loaded.get();
    assert_eq!(u64::from(exception.get_crashing_thread_id()), crash.number("tid"));
    assert_eq!(loaded.tids().len(), 3);
    let state = process(&loaded);
    let info = state.exception_info.as_ref().expect("an exception");
    assert_eq!(info.reason.to_string(), kind.reason);
    let context = exception.context(&system, None).expect("a context");
    let (sp, pc) = (context.get_stack_pointer(), context.get_instruction_pointer());
    let address = info.address.0;
    if kind.address {
        assert_eq!(address, crash.number("address"));
    } else if kind.name == "overflow" {
        assert!(
            sp.abs_diff(address) < 4096,
            "the fault {address:#x} is at the stack's end {sp:#x}"
        );
    } else if kind.name == "system-call" {
        assert_eq!(address, pc, "behind the system call");
    } else {
        assert!(address == pc || address + 1 == pc, "{address:#x} is the instruction at {pc:#x}");
    }

    let thread = &state.threads[state.requesting_thread.expect("a crashing thread")];
    assert_eq!(thread.frames[0].instruction, pc);
    let own = |f: &&minidump_unwind::StackFrame| {
        f.module.as_ref().is_some_and(|m| m.name.rsplit('/').next() == Some("crashes"))
    };
    assert!(thread.frames.iter().filter(own).count() >= 2, "{:?}", thread.frames);

    let seen = pypi_minidump(&crash.file(), &[]);
    if let Some(seen) = seen {
        let expected = serde_json::json!([[crash.number("tid"), crash.signal, address]]);
        assert_eq!(seen["exceptions"], expected);
    }
}

/// LLDB, which looks for the program where the dump says it is, names them.
#[track_caller]
fn assert_the_functions(kind: &Sort, crash: &Crash) {
    let Some(seen) = lldb_traces(&crash.file()) else { return };
    let names: Vec<_> =
        seen[&(crash.number("tid") as u32)].iter().map(|(_, name)| name.as_str()).collect();
    let expected: &[&str] = if kind.name == "overflow" {
        &["overflows"]
    } else {
        &["faults", "about_to_fault", "worker"]
    };
    for name in expected {
        assert!(names.iter().any(|n| n.starts_with(name)), "{name} in {names:?}");
    }
}

#[test]
fn a_signal_from_another_process_is_no_fault() {
    let Some(installed) = Installed::new("[program.\"{}/sleeps\"]\n") else { return };
    let sleep = tool("sleep").expect("a sleep");
    let child = start(Command::new(installed.handler.copy(&sleep, "sleeps")).arg("100"));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::SEGV).unwrap();
    let loaded = installed.end(child).load();
    let info = process(&loaded).exception_info.expect("an exception");
    // No kind: that is how the reader says SI_USER.
    assert_eq!(info.reason.to_string(), "SIGSEGV");
    let exception: MinidumpException<'_> = loaded.get();
    let context = exception.context(&loaded.get(), None).expect("a context");
    assert_eq!(info.address.0, context.get_instruction_pointer(), "nothing was accessed");
}

#[test]
fn a_giant_process_is_dumped_without_reading_its_core() {
    let Some(installed) = Installed::new(CONFIG) else { return };
    let crash = installed.crash(crashes(&installed)("unmapped").arg("1024"));
    let loaded = crash.load();
    assert!(loaded.bytes.len() < 1 << 20);
    let held = crash.record["held_ms"].as_u64().unwrap();
    assert!(held < 2000, "held for {held} ms");
}

#[test]
fn a_crash_after_the_main_thread_has_ended_is_dumped() {
    let Some(installed) = Installed::new(CONFIG) else { return };
    let crash = installed.crash(&mut crashes(&installed)("no-main"));
    let loaded = crash.load();
    let exception: MinidumpException<'_> = loaded.get();
    assert_eq!(u64::from(exception.get_crashing_thread_id()), crash.number("tid"));
    assert_eq!(exception.raw.exception_record.exception_address, 0x1240);
    assert_eq!(loaded.tids().len(), 2);
    assert!(loaded.modules().iter().any(|(name, _)| name.ends_with("/crashes")));
}

#[test]
fn a_full_dump_equals_the_core_that_was_forwarded() {
    // What was there before: a handler that stores the core and tells its arguments.
    let config = format!("forward = true\ntype = \"full\"\n{CONFIG}");
    let Some(mut installed) = Installed::over(Some("|/bin/sh {}/other %p %I %s %E"), &config)
    else {
        return;
    };
    let folder = installed.handler.folder.path().to_owned();
    let script = "cat >$(dirname $0)/core; echo $* >$(dirname $0)/arguments";
    fs::write(folder.join("other"), script).unwrap();
    let crash = installed.crash(&mut crashes(&installed)("protected"));
    installed.take_away();
    let loaded = crash.load();
    let arguments = fs::read_to_string(folder.join("arguments")).unwrap();
    let name = folder.join("crashes").to_str().unwrap().replace('/', "!");
    let expected = format!("{} {} 11 {name}", crash.pid, crash.number("tid"));
    assert_eq!(arguments.trim(), expected);

    let value = unhex(crash.ready["value"].as_str().unwrap());
    assert_eq!(loaded.bytes_at(crash.number("marker"), 32), Some(value));
    let of_core = folder.join("of-core.dmp");
    run(command().args(["dump", "-ma", "-z"]).arg(folder.join("core")).arg(&of_core)).ok();
    let of_core = Loaded::read(&of_core);
    assert_eq!(loaded.tids(), of_core.tids());
    for tid in loaded.tids() {
        assert_eq!(loaded.registers(tid), of_core.registers(tid), "thread {tid}");
    }
    // What both have of writable memory is the same.
    let mut compared = 0;
    for memory in of_core.memory() {
        if let Some(bytes) = loaded.bytes_at(memory.start, memory.bytes.len() as u64) {
            assert!(bytes == memory.bytes, "memory at {:#x}", memory.start);
            compared += bytes.len();
        }
    }
    assert!(compared > 100 << 10, "{compared} bytes compared");
}

#[test]
fn a_process_in_a_container_is_seen_from_inside_and_outside() {
    if tool("unshare").is_none() {
        return;
    }
    let Some(installed) = Installed::new("[program.\"/mnt/in-container\"]\n") else { return };
    let program = installed.handler.copy(&fixture("crashes", Kind::Program), "crashes");
    let script = format!(
        "mount -t tmpfs none /mnt && cp {} /mnt/in-container && exec unshare -Urnpf --mount-proc \
         /mnt/in-container unmapped",
        program.display()
    );
    let child = start(Command::new("unshare").args(["-m", "sh", "-c", &script]));
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !said.starts_with("READY") {
        return skip("container", "namespaces cannot be made here");
    }
    let ready: serde_json::Value = serde_json::from_str(said[5..].trim()).unwrap();
    assert_eq!(ready["pid"], 1);
    // `unshare` ends by the same signal afterwards, and is recorded too.
    let entry = installed.handler.recorded_where(|entry| entry["program"] == "in-container");
    assert_eq!(
        (&entry["outcome"], &entry["source"]),
        (&"dumped".into(), &"live".into()),
        "{entry}"
    );
    let loaded = Loaded::read(Path::new(entry["file"].as_str().unwrap()));
    let exception: MinidumpException<'_> = loaded.get();
    let tid = entry["tid"].as_u64().unwrap();
    assert_eq!(u64::from(exception.get_crashing_thread_id()), tid);
    assert_ne!(Some(tid), ready["tid"].as_u64(), "the ids of the two namespaces differ");
    let modules: minidump::MinidumpModuleList = loaded.get();
    let main = minidump::Module::debug_identifier(modules.main_module().unwrap());
    assert_eq!(minidump::Module::code_file(modules.main_module().unwrap()), "/mnt/in-container");
    assert!(main.is_some_and(|id| !id.is_nil()), "the build id is that of the container's file");
}

#[test]
fn the_dump_of_a_setuid_program_is_for_root_only() {
    const NOBODY: u32 = 65534;
    let Some(installed) = Installed::new(CONFIG) else { return };
    let program = installed.handler.copy(&fixture("crashes", Kind::Program), "crashes");
    chown(&program, Some(0), Some(0)).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o4755)).unwrap();
    let mut command = Command::new(&program);
    let crash =
        installed.crash(command.arg("unmapped").uid(NOBODY).gid(NOBODY).current_dir("/tmp"));
    assert_eq!(crash.record["uid"], NOBODY);
    let metadata = fs::metadata(crash.file()).unwrap();
    assert_eq!((metadata.uid(), metadata.mode() & 0o777), (0, 0o600));
    let folder = fs::metadata(installed.handler.dumps()).unwrap();
    assert_eq!((folder.uid(), folder.mode() & 0o777), (0, 0o700));
    assert!(crash.load().raw(6).is_some());
}

#[test]
fn a_program_that_forbids_dumps_is_not_dumped() {
    let Some(installed) = Installed::new(CONFIG) else { return };
    let child = start(&mut crashes(&installed)("undumpable"));
    child.wait_with_output().unwrap();
    // One that may be dumped comes after it: then the first had its time.
    installed.crash(&mut crashes(&installed)("unmapped"));
    assert_eq!(installed.handler.record().len(), 1);
}

#[test]
fn only_listed_programs_are_dumped_and_only_so_many_kept() {
    let config =
        "count = 2\ncompress = \"cab\"\n[program.\"{}/crashes\"]\n[program.quiet]\nignore = true\n";
    let Some(installed) = Installed::new(config) else { return };
    let program = crashes(&installed);
    let dumps: Vec<_> = (0..4).map(|_| installed.crash(&mut program("abort"))).collect();
    let quiet = installed.handler.copy(&fixture("crashes", Kind::Program), "quiet");
    let quiet = installed.crash(Command::new(quiet).arg("abort"));
    assert_eq!(quiet.record["outcome"], "ignored");
    let unlisted = installed.handler.copy(&fixture("crashes", Kind::Program), "unlisted");
    let unlisted = installed.crash(Command::new(unlisted).arg("abort"));
    assert_eq!(unlisted.record["outcome"], "ignored");
    let mut left: Vec<_> =
        fs::read_dir(installed.handler.dumps()).unwrap().map(|e| e.unwrap().path()).collect();
    left.sort();
    let mut last: Vec<_> = dumps[2..].iter().map(Crash::file).collect();
    last.sort();
    assert_eq!(left, last);
    assert!(last[0].to_str().unwrap().ends_with(".crash.cab"));
    let cab = cab::Cabinet::new(File::open(&last[0]).unwrap()).unwrap();
    let folder = cab.folder_entries().next().unwrap();
    assert!(folder.file_entries().next().unwrap().name().ends_with(".crash.dmp"));
}

#[test]
fn a_sanitized_dump_has_the_crash_and_not_the_paths_and_the_environment() {
    // The comment is the one text here that sanitizing leaves.
    let config = format!(
        "sanitize = true\nredact = ['pin=\\d+']\ncomment = \"from the handler, pin=1234\"\n{CONFIG}"
    );
    let Some(mut installed) = Installed::new(&config) else { return };
    let secret = "SECRET_OF_THE_ENVIRONMENT=5cf9e1";
    let crash =
        installed.crash(crashes(&installed)("unmapped").env("SECRET_OF_THE_ENVIRONMENT", "5cf9e1"));
    installed.take_away();
    let loaded = crash.load();
    assert_the_crash(&SORTS[0], &crash);
    for text in [secret, installed.handler.folder.path().to_str().unwrap()] {
        assert_eq!(find(&loaded.bytes, text.as_bytes()), None, "{text}");
        assert_eq!(find(&loaded.bytes, &utf16(text)), None, "{text} as UTF-16");
    }
    assert!(find(&loaded.bytes, &utf16("from the handler")).is_some());
    assert_eq!(find(&loaded.bytes, &utf16("pin=1234")), None);
}

#[test]
fn what_was_there_before_is_put_back() {
    let Some(installed) = Installed::over(Some("|/bin/false %P"), CONFIG) else { return };
    if installed.persisted {
        return skip("uninstall", "this machine has a handler of its owner's");
    }
    let handler = &installed.handler;
    let [pattern, limit, setuid] = Installed::now();
    assert!(pattern.contains("/dw handler run -C"), "{pattern}");
    assert_eq!((limit.trim(), setuid.trim()), ("128", "2"));
    // Installing over itself forgets nothing.
    handler.run("install", &["--no-persist", "--pipe-limit", "16"]).ok();
    assert_eq!(Installed::now()[1].trim(), "16");
    let status = handler.run("status", &["--json"]).ok().json();
    assert_eq!((&status["installed"], &status["persistent"]), (&true.into(), &false.into()));
    assert_eq!(status["previous"]["core_pattern"], "|/bin/false %P");
    let text = handler.run("status", &[]).ok().text();
    assert!(text.contains("before     |/bin/false %P"), "{text}");
    assert!(text.contains("until the next boot"), "{text}");

    handler.run("install", &["--pipe-limit", "16"]).ok();
    let text = fs::read_to_string(SYSCTL_FILE).unwrap();
    assert!(text.contains(&format!("kernel.core_pattern={}", Installed::now()[0])), "{text}");

    let dry = handler.run("uninstall", &["--dry-run"]).ok().text();
    assert!(dry.contains("kernel.core_pattern=|/bin/false %P"), "{dry}");
    assert_eq!(Installed::now()[1].trim(), "16", "a dry run changes nothing");
    handler.run("uninstall", &[]).ok();
    let [pattern, limit, setuid] = Installed::now();
    assert_eq!(pattern.trim(), "|/bin/false %P");
    assert_eq!([&limit, &setuid], [&installed.before()[1], &installed.before()[2]]);
    assert!(!Path::new(SYSCTL_FILE).exists());
    let again = handler.run("uninstall", &[]).ok().text();
    assert!(again.contains("not installed"), "{again}");
}

#[test]
fn a_mistake_in_the_configuration_is_told_and_keeps_nobody_from_uninstalling() {
    let Some(installed) = Installed::over(Some("|/bin/false %P"), CONFIG) else { return };
    let handler = &installed.handler;
    assert_eq!(handler.run("status", &["--json"]).ok().json().get("trouble"), None);
    let gone = handler.folder.path().join("gone");
    fs::rename(&handler.program, &gone).unwrap();
    let status = run(Command::new(&gone).args(["handler", "status"]));
    assert!(!status.status.success());
    assert!(status.text().contains("trouble"), "{}", status.text());
    fs::rename(&gone, &handler.program).unwrap();

    handler.configure("cuont = 3\n");
    let status = handler.run("status", &[]);
    assert!(!status.status.success(), "that nothing is dumped is no good state");
    let text = status.text();
    assert!(text.contains("line 5, 'cuont'"), "{text}");
    assert!(text.contains("before     |/bin/false %P"), "{text}");
    let text = handler.run("uninstall", &[]).ok().text();
    assert_eq!(text, "restored: |/bin/false %P\n");
    assert_eq!(Installed::now()[0].trim(), "|/bin/false %P");
}

#[test]
fn the_names_of_programs_say_nothing_to_terminals_and_options() {
    let Some(installed) = Installed::new("[program.\"x\\ny\\u001b[2J\"]\n[program.\"-C\"]\n")
    else {
        return;
    };
    let program = fixture("crashes", Kind::Program);
    for name in ["x\ny\u{1b}[2J", "-C"] {
        let copy = installed.handler.copy(&program, name);
        let crash = installed.crash(Command::new(copy).arg("abort"));
        assert_eq!(crash.record["program"], name);
        let file = crash.file();
        let file = file.file_name().unwrap().to_str().unwrap();
        assert!(file.starts_with("x-y--2J_") || file.starts_with("C_"), "{file}");
    }
    let text = installed.handler.run("status", &[]).ok().text();
    assert!(text.contains("x?y?[2J ("), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn a_user_is_refused_and_a_dry_run_changes_nothing() {
    let _turn = core_pattern_stays();
    let handler = Handler::new(CONFIG);
    let before = Installed::now();
    let dry = handler.run("install", &["--dry-run"]).ok().text();
    assert!(dry.contains("kernel.core_pattern=|"), "{dry}");
    assert!(!handler.dumps().exists());
    if rustix::process::geteuid().is_root() {
        let refused = run(handler.command("install").uid(65534).gid(65534)).refused();
        assert!(refused.contains("root"), "{refused}");
        fs::set_permissions(&handler.program, Permissions::from_mode(0o755)).unwrap();
    }
    handler.configure("count = \"many\"\n");
    let refused = handler.run("install", &[]).refused();
    assert!(refused.contains("h.toml' line 5, 'count'"), "{refused}");
    assert_eq!(Installed::now(), before);
}

/// A core of a process that goes on, by gdb.
fn core_of(target: &Target, handler: &Handler) -> Option<std::path::PathBuf> {
    let gdb = tool("gdb")?;
    let core = handler.folder.path().join("core");
    let pid = target.pid().to_string();
    let save = format!("generate-core-file {}", core.display());
    run(Command::new(gdb).args(["-nx", "-batch", "-p", &pid, "-ex", &save])).ok();
    Some(core)
}

#[test]
fn a_core_alone_is_dumped_when_the_process_cannot_be_seen() {
    let handler = Handler::new("[program.threads]\n");
    let target = Target::fixture("threads", &["3"]);
    let Some(core) = core_of(&target, &handler) else { return };
    // No process has such an id.
    let arguments = ["4194305", "1", "4194305", "6", "1", "0", "0", "0", "threads"];
    let run = run(handler.command("run").args(arguments).stdin(File::open(core).unwrap()));
    assert!(!run.status.success(), "that it was the fallback is told");
    let entry = handler.recorded(4_194_305);
    assert_eq!(
        (&entry["outcome"], &entry["source"]),
        (&"dumped".into(), &"core".into()),
        "{entry}"
    );
    assert!(entry["messages"][0].as_str().unwrap().contains("its core was taken"), "{entry}");
    let loaded = Loaded::read(Path::new(entry["file"].as_str().unwrap()));
    assert_eq!(loaded.tids(), target.tids());
    let left = fs::read_dir(handler.dumps()).unwrap().count();
    assert_eq!(left, 1, "the core itself is gone");
}

#[test]
fn what_cannot_be_dumped_is_recorded_and_leaves_nothing() {
    let handler = Handler::new("[program.threads]\n");
    let run_with = |arguments: &[&str]| run(handler.command("run").args(arguments));
    let arguments = ["4194305", "1", "4194305", "6", "1", "0", "0", "0", "threads"];
    assert!(!run_with(&arguments).status.success());
    assert_eq!(handler.recorded(4_194_305)["outcome"], "failed");
    assert_eq!(fs::read_dir(handler.dumps()).unwrap().count(), 0);
    // The name of a thread is its own, and no option.
    run_with(&["4194304", "1", "4194304", "6", "1", "0", "0", "0", "-C", "/nowhere"]);
    assert_eq!(handler.recorded(4_194_304)["outcome"], "ignored");
    let refused = run_with(&["12", "x"]).refused();
    assert!(refused.contains("core_pattern should ask for"), "{refused}");
    // Not even a dump with the defaults: they might write what was to be filtered.
    handler.configure("sanitise = true\n");
    let refused = run_with(&arguments).refused();
    assert!(refused.contains("'sanitise': no such key"), "{refused}");
    assert_eq!(fs::read_dir(handler.dumps()).unwrap().count(), 0);
}
