//! The command: what it says, what it refuses and how, and its exit status.

use crate::support::cli::{command, dump, dumpwright, program, run};
use crate::support::dump::Loaded;
use crate::support::target::Target;
use crate::support::tools;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A folder to write to that must stay empty.
fn refuse(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("refused.dmp");
    let text = run(command().arg("dump").args(arguments).arg(&file)).refused();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{arguments:?}: debris");
    text
}

#[test]
fn a_process_that_does_not_exist_is_named() {
    // Above the largest pid_max that a kernel takes.
    let text = refuse(&["-p", "4194305", "-m"]);
    assert!(text.contains("4194305"), "{text}");
    let text = refuse(&["-n", "no-such-program-anywhere", "-m"]);
    assert!(text.contains("no-such-program-anywhere"), "{text}");
}

#[test]
fn a_zombie_is_told_from_a_process() {
    let mut child = Command::new("true").spawn().unwrap();
    let pid = child.id().to_string();
    let stat = format!("/proc/{pid}/stat");
    while !fs::read_to_string(&stat).unwrap().contains(") Z ") {
        std::thread::sleep(Duration::from_millis(2));
    }
    let text = refuse(&["-p", &pid, "-m"]);
    assert!(text.contains("zombie") && text.contains(&pid), "{text}");
    child.wait().unwrap();
}

#[test]
fn a_kernel_thread_is_told_from_a_process() {
    let name = fs::read_to_string("/proc/2/comm").unwrap_or_default();
    if name.trim() != "kthreadd" {
        eprintln!("SKIPPED: kernel threads: this machine shows none");
        return;
    }
    let text = refuse(&["-p", "2", "-m"]);
    assert!(text.contains("kernel thread"), "{text}");
}

#[test]
fn a_process_that_is_traced_names_its_tracer() {
    let Some(gdb) = tools::command("gdb") else { return };
    let target = Target::fixture("threads", &["1"]);
    let mut tracer = Command::new(gdb)
        .args(["-nx", "-batch", "-p", &target.pid().to_string()])
        .args(["-ex", r"echo ATTACHED\n", "-ex", "shell read line"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = BufReader::new(tracer.stdout.take().unwrap());
    assert!(said.lines().any(|line| line.unwrap() == "ATTACHED"), "gdb did not attach");
    let text = refuse(&["-p", &target.pid().to_string(), "-m"]);
    assert!(text.contains(&tracer.id().to_string()), "{text}");
    drop(tracer.stdin.take());
    tracer.wait().unwrap();
}

#[test]
fn a_process_of_another_user_says_the_way_out() {
    let target = Target::fixture("threads", &["1"]);
    let folder = tempfile::tempdir().unwrap();
    // The folder is not what stands in the way.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    let mut other = Command::new("setpriv");
    other
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(program())
        .args(["dump", "-p", &target.pid().to_string(), "-m"])
        .arg(folder.path().join("a.dmp"));
    let Ok(output) = other.output() else {
        eprintln!("SKIPPED: another user: no setpriv here");
        return;
    };
    let text = String::from_utf8_lossy(&output.stderr);
    // The build folder itself may be closed to other users.
    if text.contains("setpriv") {
        eprintln!("SKIPPED: another user: {}", text.trim());
        return;
    }
    assert!(!output.status.success());
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    assert!(text.contains("ptrace") || text.contains("CAP_SYS_PTRACE"), "{text}");
}

/// The number would be that of another process: a dump of two in one.
#[test]
fn a_proc_of_another_pid_namespace_is_refused() {
    let script = r#"sleep 1000 & "$0" dump -p $! "$1"; code=$?; kill $!; exit $code"#;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mixed.dmp");
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "bash", "-c", script]).arg(program()).arg(&file);
    let unshared = run(&mut unshare);
    if unshared.stderr.starts_with("unshare") {
        tools::skip("a foreign /proc", "no PID namespace may be made here");
        return;
    }
    let text = unshared.refused();
    assert!(text.contains("another PID namespace"), "{text}");
    assert!(text.contains("mount"), "no way out: {text}");
    assert!(!file.exists());
}

#[test]
fn flags_that_contradict_or_do_not_exist_are_named() {
    let target = Target::fixture("threads", &["1"]);
    let pid = target.pid().to_string();
    let text = refuse(&["-p", &pid, "--no-auxiliary-state", "--full-auxiliary-state"]);
    assert!(text.contains("NO_AUXILIARY_STATE") && text.contains("FULL_AUXILIARY_STATE"), "{text}");
    let text = refuse(&["-p", &pid, "--ignore-inaccessible-mem", "--no-ignore-inaccessible-mem"]);
    assert!(text.contains("IGNORE_INACCESSIBLE_MEM"), "{text}");
    // The bit with two names, asked for by the name that does not hold.
    for names in ["SCAN_PARTIAL_PAGES,WRITE_CAB", "user_small_scan_partial_pages|0x20000000"] {
        let text = refuse(&["-p", &pid, "--format-flags", names]);
        assert!(text.contains("SCAN_PARTIAL_PAGES") && text.contains("CAB"), "{text}");
    }
    let text = refuse(&["-p", &pid, "--format-flags", "CAB_SECONDARY_ALL_IMAGES"]);
    assert!(text.contains("CAB_SECONDARY_ALL_IMAGES"), "{text}");
    for unknown in ["0x80000", "NO_SUCH_FLAG"] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.dmp");
        let run = run(command().args(["dump", "-p", &pid, "--format-flags", unknown]).arg(&file));
        assert!(!run.status.success());
        assert!(run.stderr.contains(unknown), "{}", run.stderr);
        assert!(!file.exists());
    }
}

#[test]
fn wrong_use_is_explained_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.dmp");
    let file = file.to_str().unwrap();
    for arguments in [
        &["dump", file][..],
        &["dump", "-p", "1", "-n", "init", file],
        &["dump", "-p", "one", file],
        &["dump", "-p", "1"],
        &["dump", "-p", "1", "--qualifier", "enormous", file],
        &["dump", "-p", "1", "--memory", "10-5", file],
        &["dump", "-p", "1", "--max-size", "lots", file],
        &["dump", "-p", "1", "-f", "-mh", file],
        &["dump", "-p", "1", "-f", "--qualifier", "small", file],
        &["dump", "-p", "1", "--qualifier", "full", file],
        &["dump", "-p", "1", "-bz", file],
        &["dump", "-p", "1", "-fz", file],
        &["dump", "-p", "1", "-k", file],
        &["dump", "-p", "1", "-o", "--no-overwrite", file],
        &["dump", "-p", "1", "-b", "--scan-partial-pages", file],
        &["dump", "-p", "1", "--cab-secondary-all-images", file],
        &["dump", "-p", "1", "-u", "-"],
        &["dump", "-p", "1", "-b", "-"],
        &["dump", "-p", "1", "-xp", "1", "-xc", "1", file],
        &["dump", "-p", "1", "no-extension"],
        &["dump", "-p", "1", ""],
        &["dump", "-n", "init", "-a", file],
        &["frobnicate"],
    ] {
        let run = dumpwright(arguments);
        assert_eq!(run.status.code(), Some(2), "{arguments:?}: {}", run.stderr);
        run.refused();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{arguments:?}");
    }
}

#[test]
fn no_arguments_at_all_show_the_help() {
    let run = dumpwright::<&str>([]);
    assert_eq!(run.status.code(), Some(2));
    assert!(run.stderr.contains("Exit codes"), "{}", run.stderr);
}

#[test]
fn letters_that_are_given_apart_count_together() {
    let target = Target::fixture("threads", &["1"]);
    let written = dump(&target, &["-mF", "-mh", "-mt"]);
    let flags = written.names("format_flags");
    for flag in ["FULL_MEMORY_INFO", "HANDLE_DATA", "THREAD_INFO"] {
        assert!(flags.contains(&format!("USER_SMALL_{flag}")), "{flag}: {flags:?}");
    }
}

#[test]
fn a_name_that_is_not_unicode_has_a_summary_as_json() {
    let target = Target::fixture("threads", &["1"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(OsStr::from_bytes(b"a\xff.dmp"));
    let pid = target.pid().to_string();
    let run = run(command().args(["dump", "-p", &pid, "--json"]).arg(&file)).ok();
    assert!(run.json()["file"].as_str().unwrap().ends_with("a\u{fffd}.dmp"));
    assert!(file.exists());
}

#[test]
fn a_stream_that_nobody_reads_can_be_ended_and_lets_the_target_go() {
    let target = Target::fixture("threads", &["2"]);
    let pid = target.pid().to_string();
    // More than a pipe holds, so that the write waits.
    let mut writer =
        command().args(["dump", "-p", &pid, "-ma", "-"]).stdout(Stdio::piped()).spawn().unwrap();
    let traced = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        !status.contains("TracerPid:\t0\n")
    };
    while !traced() {
        std::thread::sleep(Duration::from_millis(5));
    }
    // By now it waits, or will soon; either way it has to end.
    std::thread::sleep(Duration::from_millis(300));
    let kill = Command::new("kill").args(["-TERM", &writer.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let started = Instant::now();
    let status = loop {
        if let Some(status) = writer.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > Duration::from_secs(20) {
            writer.kill().unwrap();
            writer.wait().unwrap();
            panic!("it went on waiting for its reader");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(130));
    assert!(!traced(), "the target is still held");
}

/// The dump went out; that nobody reads the summary changes nothing.
#[test]
fn a_stream_whose_summary_cannot_be_written_is_whole() {
    let target = Target::fixture("threads", &["1"]);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut writer = command();
    writer.args(["dump", "-p", &target.pid().to_string(), "-m", "-"]);
    let output = writer.stdout(Stdio::piped()).stderr(full).spawn().unwrap();
    let output = output.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    Loaded::parse(output.stdout);
}

#[test]
fn a_size_budget_holds_for_a_cab_and_the_files_in_it() {
    let target = Target::fixture("threads", &["3"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.cab");
    let pid = target.pid().to_string();
    let arguments = ["dump", "-p", &pid, "-ba", "--max-size", "200K", "--json"];
    let run = run(command().args(arguments).arg(&file)).ok();
    assert!(fs::metadata(&file).unwrap().len() <= 200 << 10);
    let summary = run.json();
    let files = summary["cab_files"].to_string();
    assert!(!files.contains("libc.so.6"), "2 MB of it in 200 KiB: {files}");
    assert!(summary["soft_error_list"].to_string().contains("libc.so.6"), "{summary}");
    let cabinet = cab::Cabinet::new(fs::File::open(&file).unwrap()).unwrap();
    let names: Vec<_> = cabinet.folder_entries().flat_map(|f| f.file_entries()).collect();
    assert_eq!(names.len(), summary["cab_files"].as_array().unwrap().len());
}

#[test]
fn verify_says_of_any_other_file_that_it_is_bad() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    fs::write(&file, "hello").unwrap();
    let run = dumpwright([OsStr::new("verify"), file.as_os_str()]);
    assert_eq!(run.status.code(), Some(3));
    assert!(run.text().contains("bad") && run.text().contains("signature"), "{}", run.text());
    let json = dumpwright([OsStr::new("verify"), file.as_os_str(), OsStr::new("--json")]);
    assert_eq!(json.json()[0]["severity"], "error");
    let gone = dumpwright([OsStr::new("verify"), folder.path().join("gone").as_os_str()]);
    assert_eq!(gone.status.code(), Some(1));
}

#[test]
fn manual_pages_keep_the_tables_of_the_help() {
    let folder = tempfile::tempdir().unwrap();
    dumpwright([OsStr::new("man"), folder.path().as_os_str()]).ok();
    let page = fs::read_to_string(folder.path().join("dumpwright-dump.1")).unwrap();
    assert!(page.contains(".nf\nWinDbg"), "{page}");
    assert!(folder.path().join("dumpwright.1").exists());
}

#[test]
fn help_names_every_option() {
    let help = dumpwright(["dump", "--help"]).ok().text();
    for flag in &super::every_flag::FLAGS {
        assert!(help.contains(flag.option), "{} is not in the help", flag.option);
    }
    for option in
        ["--write-cab", "--cab-secondary-files", "--cab-secondary-all-images", "--no-overwrite"]
    {
        assert!(help.contains(option), "{option} is not in the help");
    }
    let top = dumpwright(["--help"]).ok().text();
    for word in ["dump", "info", "verify", "demo"] {
        assert!(top.contains(word), "{word} is not in the help");
    }
    dumpwright(["--version"]).ok();
}

#[test]
fn the_summary_counts_what_the_dump_holds() {
    let target = Target::fixture("threads", &["9"]);
    let written = dump(&target, &["-ma"]);
    let loaded = written.load();
    let summary = &written.summary;
    assert_eq!(summary["threads"], loaded.tids().len());
    assert_eq!(summary["modules"], loaded.modules().len());
    assert_eq!(summary["memory_ranges"], loaded.memory().len());
    assert_eq!(summary["memory_bytes"], loaded.memory_size());
    assert_eq!(summary["file"].as_str().map(OsStr::new), Some(written.file.as_os_str()));
    let (held, total) = (summary["held_ms"].as_f64(), summary["total_ms"].as_f64());
    assert!(held.unwrap() <= total.unwrap(), "{held:?} of {total:?}");
}

#[test]
fn without_json_the_summary_is_for_people_and_there_is_no_progress_bar() {
    let target = Target::fixture("threads", &["9"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.dmp");
    let pid = target.pid().to_string();
    let run = run(command().args(["dump", "-p", &pid, "-ma"]).arg(&file)).ok();
    let said = run.text() + &run.stderr;
    for word in ["app.dmp", "10", "threads"] {
        assert!(said.contains(word), "'{word}' is not in the summary:\n{said}");
    }
    assert!(!said.contains('\x1b') && !said.contains('\r'), "control characters:\n{said}");
}

#[test]
fn a_name_of_the_targets_can_forge_no_line_of_the_summary() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("a\nholes none\x1b[2J");
    fs::copy("/bin/sleep", &program).unwrap();
    let mut sleep = Command::new(&program);
    sleep.arg("1000");
    let target = Target::silent(sleep);
    let pid = target.pid().to_string();
    let file = folder.path().join("b\nc.dmp");
    let run = run(command().args(["dump", "-p", &pid, "-m"]).arg(&file)).ok();
    let said = run.text();
    assert!(said.contains(r"a\nholes none") && said.contains(r"b\nc.dmp"), "{said}");
    assert!(!said.contains('\x1b') && !said.contains("\nholes none\\"), "{said}");
}

#[test]
fn info_shows_system_process_streams_threads_and_modules() {
    let target = Target::fixture("threads", &["5"]);
    let written = dump(&target, &["-ma"]);
    let text = dumpwright([OsStr::new("info"), written.file.as_os_str()]).ok().text();
    let mut expected = vec!["libc.so.6".to_owned(), "ThreadList".into(), "Memory64List".into()];
    expected.push(target.pid().to_string());
    expected.extend(target.tids().iter().map(u32::to_string));
    expected.extend((0..5).map(|i| format!("worker-{i}")));
    for word in expected {
        assert!(text.contains(&word), "'{word}' is not in:\n{text}");
    }
    let json = dumpwright([OsStr::new("info"), written.file.as_os_str(), OsStr::new("--json")]);
    assert!(json.ok().json().is_object());
}

#[test]
fn verify_finds_planted_faults() {
    let target = Target::fixture("threads", &["2"]);
    let written = dump(&target, &["-m"]);
    let good = fs::read(&written.file).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.dmp");
    let directory = u32::from_le_bytes(good[12..16].try_into().unwrap()) as usize;
    let mut faults: Vec<(&str, Vec<u8>)> = Vec::new();
    let mut change = |what, at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        faults.push((what, bad));
    };
    change("signature", 0, b"PMDM");
    change("count of streams", 8, &u32::MAX.to_le_bytes());
    change("directory out of bounds", 12, &0xffff_fff0_u32.to_le_bytes());
    change("a stream out of bounds", directory + 8, &0xffff_fff0_u32.to_le_bytes());
    faults.push(("cut in half", good[..good.len() / 2].to_vec()));
    for (what, bad) in faults {
        fs::write(&file, bad).unwrap();
        let run = dumpwright([OsStr::new("verify"), file.as_os_str()]);
        assert!(!run.status.success(), "{what} was not found");
        assert!(!(run.text() + &run.stderr).trim().is_empty(), "{what} is not told");
        let json = dumpwright([OsStr::new("verify"), file.as_os_str(), OsStr::new("--json")]);
        assert!(!json.status.success(), "{what} was not found with --json");
    }
}

#[test]
fn demo_writes_verified_dumps_into_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let run = dumpwright([OsStr::new("demo"), folder.path().as_os_str()]).ok();
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
    let with = |extension: &str| {
        files.iter().filter(|f| f.extension() == Some(OsStr::new(extension))).collect::<Vec<_>>()
    };
    assert!(with("dmp").len() >= 2 && with("cab").len() == 1, "{files:?}");
    for file in with("dmp") {
        assert!(Loaded::read(file).tids().len() > 1, "{}", file.display());
    }
    assert!(run.text().contains("ThreadList"), "info is not shown:\n{}", run.text());
}
