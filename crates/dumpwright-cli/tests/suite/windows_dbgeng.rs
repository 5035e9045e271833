//! A program that was compiled against mingw-w64's own dbgeng.h, with our
//! dbgeng.dll beside it in Wine's stead: it dumps another Windows process with
//! every flag, opens what it wrote, and checks every answer. The same source
//! is run on Linux by the tests of crates/dumpwright-dbgeng.

use super::windows::{assert_has_all, hex};
use crate::support::cli::assert_verifies;
use crate::support::compile::windows_fixture;
use crate::support::dump::Loaded;
use crate::support::guest::Guest;
use crate::support::tools::{root, run, skip};
use crate::support::wine::{Wine, windows_path, wine};
use crate::support::{processor, readers};
use minidump::MinidumpHandleDataStream;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Wine's own libraries, but our dbgeng.
const OVERRIDES: &str = "mscoree,mshtml,winemenubuilder.exe=;dbgeng=n";

/// What the target keeps at its marker.
const MARKER: &[u8] = b"the target's own marker";

/// Compiles a program against mingw-w64's dbgeng.h, and puts our library beside
/// it.
fn compile(source: &str, folder: &Path) -> Option<PathBuf> {
    compile_with(source, folder, "dbgeng.dll")
}

/// The same with a library of that name in `target/windows`.
fn compile_with(source: &str, folder: &Path, library: &str) -> Option<PathBuf> {
    let library = root().join("target/windows").join(library);
    if !library.is_file() {
        skip("dbgeng.dll under Wine", "it is missing; run scripts/windows build");
        return None;
    }
    let program = folder.join("client.exe");
    fs::copy(library, folder.join("dbgeng.dll")).unwrap();
    let source = root().join("crates/dumpwright-dbgeng/tests/c").join(source);
    let mut compiler = Command::new("x86_64-w64-mingw32-gcc");
    compiler.args(["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"]);
    run(compiler.arg(source).arg("-o").arg(&program).arg("-ldbgeng"));
    Some(program)
}

fn assert_passed(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    let failed: Vec<_> = text.lines().filter(|l| l.starts_with("FAILED")).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(output.status.success(), "{} {text}", output.status);
}

#[test]
fn a_windows_program_dumps_through_our_dbgeng_dll() {
    let Some(wine) = wine() else { return };
    let _alone = wine.alone();
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = compile("client.c", folder.path()) else { return };

    let start = |arguments: &[&str]| {
        let mut command = wine.command(&program);
        command.args(arguments).env("WINEDLLOVERRIDES", OVERRIDES).stdout(Stdio::piped());
        command
    };
    let mut target = start(&["target"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(target.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(line.trim().strip_prefix("READY ").unwrap()).unwrap();
    let pid = ready["pid"].to_string();

    let dumps = folder.path().join("dumps");
    fs::create_dir(&dumps).unwrap();
    let places = ["record", "context", "pointers"];
    let places = places.map(|place| format!("{:x}", ready[place].as_u64().unwrap()));
    let [record, context, pointers] = &places;
    let arguments = ["run", &windows_path(&dumps), &pid, record, context, pointers];
    let output = start(&arguments).output().unwrap();
    assert_passed(&output);
    judge_full_dump(wine, &dumps.join("live-ma.dmp"), &ready);
    assert!(target.try_wait().unwrap().is_none(), "the target did not survive its dumps");
    drop(target.stdin.take());
    target.wait().unwrap();

    let mut verified = 0;
    for entry in fs::read_dir(&dumps).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "dmp") && !path.ends_with("broken.dmp") {
            assert_verifies(&path);
            let dump = minidump::Minidump::read_path(&path).unwrap();
            if path.to_string_lossy().contains("exception-") {
                assert_exception(&dump, &path.to_string_lossy());
            }
            verified += 1;
        }
    }
    assert!(verified >= 60, "only {verified} dumps were written");
}

/// The exception that was asked for is the dump's: all of it, or a thread.
fn assert_exception<T: Deref<Target = [u8]>>(dump: &minidump::Minidump<'_, T>, name: &str) {
    let exception = dump.get_stream::<minidump::MinidumpException<'_>>().unwrap();
    let record = &exception.raw.exception_record;
    if !name.ends_with("2.dmp") {
        let seen = (record.exception_code, record.exception_address);
        assert_eq!(seen, (0xC000_0005, 0x1234), "{name}");
    }
}

/// What others read in the full dump, and what Wine's own `MiniDumpWriteDump`
/// writes of the same process, which still waits.
fn judge_full_dump(wine: &Wine, file: &Path, ready: &Value) {
    let sample = (ready["marker"].as_u64().unwrap(), MARKER.len() as u64);
    if let Some(seen) = readers::pypi_minidump(file, &[sample]) {
        assert_eq!(seen["pid"], ready["pid"]);
        assert_eq!(seen["comment"], "all of it");
        assert_eq!(seen["samples"][0], hex(MARKER));
    }
    if let Some(seen) = readers::pypi_udmp(file, &[sample]) {
        assert_eq!(seen["samples"][0], hex(MARKER));
    }
    if let Some(traces) = readers::lldb_traces(file) {
        assert!(traces.len() >= 4, "{traces:?}");
    }
    let ours = Loaded::read(file);
    let walked: Vec<_> = processor::traces(&ours).into_keys().collect();
    assert_eq!(walked.len(), ours.tids().len(), "threads that minidump-processor walks");

    let peer = file.with_file_name("peer.bin");
    let pid = ready["pid"].to_string();
    let arguments = [&pid, &windows_path(&peer), "0x1824"];
    let output = wine.command(windows_fixture("peer")).args(arguments).output().unwrap();
    assert!(output.status.success(), "peer: {}", String::from_utf8_lossy(&output.stdout));
    assert_has_all(&ours, &Loaded::read(&peer));
}

#[test]
fn a_windows_program_dumps_machines_through_our_dbgeng_dll() {
    let Some(wine) = wine() else { return };
    let _alone = wine.alone();
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = compile("kernel.c", folder.path()) else { return };
    let guest = Guest::new();
    let dumps = folder.path().join("dumps");
    fs::create_dir(&dumps).unwrap();
    let mut command = wine.command(&program);
    command.env("WINEDLLOVERRIDES", OVERRIDES).args(["run", &windows_path(&guest.elf)]);
    command.stdout(Stdio::piped());
    let output = command.arg(windows_path(&dumps)).output().unwrap();
    assert_passed(&output);
    let text = String::from_utf8_lossy(&output.stdout);
    for module in &guest.nt.modules {
        // A name that its console's code page lacks is not what it was.
        let name = if module.name.is_ascii() { module.name.as_str() } else { "" };
        let told = format!("module {:x} {name}", module.base);
        let tells =
            |line: &&str| if name.is_empty() { line.starts_with(&told) } else { *line == told };
        // Of the image and of each of the seven dumps that are opened again.
        assert_eq!(text.lines().filter(tells).count(), 8, "{told}");
    }
    for name in ["small.dmp", "kernel.dmp", "full.dmp", "dot-k.dmp", "dot-ka.dmp", "dot-f.dmp"] {
        assert_verifies(&dumps.join(name));
    }
}

/// Has a program dump another run of itself to a folder, with what that said of
/// itself behind READY as arguments; all of what it said.
fn run_on_itself(wine: &Wine, program: &Path, dumps: &Path, keys: &[&str]) -> Value {
    let mut target = wine.command(program);
    target.arg("target").env("WINEDLLOVERRIDES", OVERRIDES);
    let mut target = target.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(target.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(line.trim().strip_prefix("READY ").unwrap()).unwrap();
    let mut command = wine.command(program);
    command.env("WINEDLLOVERRIDES", OVERRIDES).stdout(Stdio::piped());
    command.args(["run", &windows_path(dumps)]);
    let output = command.args(keys.iter().map(|key| ready[key].to_string())).output().unwrap();
    assert_passed(&output);
    assert!(target.try_wait().unwrap().is_none(), "the target did not survive");
    drop(target.stdin.take());
    target.wait().unwrap();
    ready
}

#[test]
fn a_handle_whose_name_does_not_come_is_in_the_dump_without_it() {
    let Some(wine) = wine() else { return };
    let _alone = wine.alone();
    let folder = tempfile::tempdir().unwrap();
    let library = "dbgeng-that-panics.dll";
    let Some(program) = compile_with("names.c", folder.path(), library) else { return };
    let ready = run_on_itself(wine, &program, folder.path(), &["pid", "pipe"]);
    let pipe = ready["pipe"].as_u64().unwrap();
    let handles = |dump: &Loaded| -> BTreeMap<u64, (String, String)> {
        let handles: MinidumpHandleDataStream = dump.get();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let of = |handle: &minidump::MinidumpHandleDescriptor| {
            (*handle.raw.handle().unwrap(), (text(&handle.type_name), text(&handle.object_name)))
        };
        handles.iter().map(of).collect()
    };
    let load = |name: &str| {
        let file = folder.path().join(name);
        assert_verifies(&file);
        Loaded::read(&file)
    };
    let (none, one, all) = (load("none.dmp"), load("one.dmp"), load("all.dmp"));
    let whole = handles(&none);
    assert!(whole[&pipe].1.ends_with("dumpwright-names"), "{:?}", whole[&pipe]);
    assert!(!none.soft_errors().contains("name"), "{}", none.soft_errors());

    let mut without = whole.clone();
    without.get_mut(&pipe).unwrap().1.clear();
    assert_eq!(handles(&one), without, "all but one name");
    let notes = one.soft_errors();
    let named = format!("handle {pipe:#x}");
    assert!(notes.contains(&named) && notes.contains("its name did not come"), "{notes}");
    assert_eq!(notes.matches("handle 0x").count(), 1, "{notes}");

    let types = |handles: &BTreeMap<u64, (String, String)>| {
        handles.iter().map(|(handle, (of_type, _))| (*handle, of_type.clone())).collect::<Vec<_>>()
    };
    let nameless = handles(&all);
    assert_eq!(types(&nameless), types(&whole), "types come without names");
    assert!(nameless.values().all(|(_, name)| name.is_empty()), "{nameless:?}");
    // Not each is waited for.
    assert!(all.soft_errors().contains("was not asked for"), "{}", all.soft_errors());
}

#[test]
fn a_panic_inside_our_dbgeng_dll_answers_e_fail_and_leaves_the_program_usable() {
    let Some(wine) = wine() else { return };
    let _alone = wine.alone();
    let folder = tempfile::tempdir().unwrap();
    let library = "dbgeng-that-panics.dll";
    let Some(program) = compile_with("panics.c", folder.path(), library) else { return };
    let dumps = folder.path().join("dumps");
    fs::create_dir(&dumps).unwrap();
    run_on_itself(wine, &program, &dumps, &["pid"]);
    let left: Vec<_> = fs::read_dir(&dumps).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(left.len(), 5, "only dumps that were finished: {left:?}");
    for dump in &left {
        assert_verifies(dump);
    }
}

/// Runs a target of a kind, and the program that debugs it; answers the folder of dumps and
/// the target's exit code, if it has ended.
fn debug(wine: &Wine, folder: &Path, program: &Path, kind: &str, of: &str) -> Option<i32> {
    let cue = folder.join(format!("{kind}.cue"));
    let start = |arguments: &[&str]| {
        let mut command = wine.command(program);
        command.args(arguments).env("WINEDLLOVERRIDES", OVERRIDES).stdout(Stdio::piped());
        command
    };
    let mut target = start(&["target", of, &windows_path(&cue)]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(target.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(line.trim().strip_prefix("READY ").unwrap()).unwrap();
    let pid = ready["pid"].to_string();
    let arguments = ["run", kind, &pid, &windows_path(&cue), &windows_path(folder)];
    let output = start(&arguments).output().unwrap();
    assert_passed(&output);
    // What has ended inside of Wine ends as a process of Linux a little later.
    let patience = Instant::now() + Duration::from_secs(if kind == "hang" { 0 } else { 5 });
    let mut ended = target.try_wait().unwrap();
    while ended.is_none() && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(20));
        ended = target.try_wait().unwrap();
    }
    if ended.is_none() {
        // What hangs waits for it, and ends.
        fs::write(&cue, "go").unwrap();
        target.wait().unwrap();
    }
    ended.and_then(|status| status.code())
}

#[test]
fn a_windows_program_debugs_others_through_our_dbgeng_dll_and_dumps_what_happens() {
    let Some(wine) = wine() else { return };
    let _alone = wine.alone();
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = compile("events.c", folder.path()) else { return };
    let debug = |kind, of| debug(wine, folder.path(), &program, kind, of);
    // Of an exit code of Windows, Linux keeps the lowest byte.
    assert_eq!(debug("crash", "crash"), Some(5));
    assert_eq!(debug("handled", "handled"), Some(5));
    assert_eq!(debug("trap", "trap"), Some(3));
    assert_eq!(debug("threads", "threads"), Some(4));
    assert_eq!(debug("exit", "exit"), Some(7));
    assert_eq!(debug("hang", "hang"), None, "it was only looked at");
    assert!(debug("terminate", "hang").is_some());
    for (name, code) in [
        ("first.dmp", Some(0xC000_0005)),
        ("crash.dmp", Some(0xC000_0005)),
        ("callback.dmp", Some(0xC000_0005)),
        ("trap.dmp", Some(0x8000_0003)),
        ("hang.dmp", None),
    ] {
        let path = folder.path().join(name);
        assert_verifies(&path);
        let dump = minidump::Minidump::read_path(&path).unwrap();
        let exception = dump.get_stream::<minidump::MinidumpException<'_>>().ok();
        let seen = exception.map(|e| e.raw.exception_record.exception_code);
        assert_eq!(seen, code, "{name}");
    }
}
