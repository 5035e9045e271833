//! Windows processes of unusual kinds, names that Windows takes for something
//! else, and ends of a dumper or its target in the middle of a dump.

use crate::support::cli::{Run, assert_verifies};
use crate::support::compile::windows_fixture;
use crate::support::dump::Loaded;
use crate::support::wine::{Alone, WindowsTarget, Wine, windows_path, wine};
use minidump::MinidumpThreadList;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PAGE: u64 = 4096;
const GUARDED_PAGES: u64 = 256;
/// What each thread of a crowd has on its stack before its number.
const MARKER: u64 = 0x646d_7077_646d_7077;

fn odd(wine: &Wine, arguments: &[&str]) -> WindowsTarget {
    WindowsTarget::program(wine, &windows_fixture("odd"), arguments)
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn five_hundred_windows_threads_are_all_in_the_dump_with_their_stacks() {
    let Some(wine) = wine() else { return };
    let mut target = odd(wine, &["crowd", "500"]);
    let dump = wine.dump(target.pid(), &["-mt"]).loaded;
    target.assert_alive();
    let threads: MinidumpThreadList<'_> = dump.get();
    assert_eq!(threads.threads.len(), 501);
    let mut numbers: Vec<_> = threads.threads.iter().filter_map(|t| number(&dump, t)).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..500).collect::<Vec<u64>>());
}

/// The number that a thread of the crowd has on its stack behind its marker.
fn number(dump: &Loaded, thread: &minidump::MinidumpThread<'_>) -> Option<u64> {
    let (sp, _) = dump.registers(thread.raw.thread_id);
    let stack = &thread.raw.stack;
    let end = stack.start_of_memory_range + u64::from(stack.memory.data_size);
    let bytes = dump.bytes_at(sp, end - sp)?;
    let at = bytes.chunks_exact(8).position(|word| word == MARKER.to_le_bytes())?;
    Some(u64::from_le_bytes(bytes[8 * (at + 1)..][..8].try_into().unwrap()))
}

#[test]
fn guard_pages_of_a_windows_process_are_not_sprung_by_its_dump() {
    let Some(wine) = wine() else { return };
    let mut target = odd(wine, &["guards"]);
    let dump = wine.dump(target.pid(), &["-ma"]).loaded;
    assert_eq!(target.ask(), "GUARDS 64");
    for page in 0..GUARDED_PAGES {
        let bytes = dump.bytes_at(target.number("/at") + page * PAGE, PAGE);
        let readable = matches!(page % 4, 0 | 3);
        assert_eq!(bytes.is_some(), readable, "page {page}");
        assert!(bytes.is_none_or(|b| b.iter().all(|byte| u64::from(*byte) == page)));
    }
}

#[test]
fn a_windows_process_that_waits_for_its_debugger_is_dumped() {
    let Some(wine) = wine() else { return };
    let mut debugger = odd(wine, &["debugged"]);
    let dump = wine.dump(debugger.pid(), &["-mA"]).loaded;
    assert_eq!(dump.tids().len(), 1);
    assert!(dump.modules().iter().any(|(name, _)| name.to_lowercase().ends_with("ntdll.dll")));
    debugger.assert_alive();
}

#[test]
fn windows_processes_of_one_name_are_all_dumped_whatever_letters_it_has() {
    let Some(wine) = wine() else { return };
    let programs = tempfile::tempdir().unwrap();
    let program = programs.path().join("ünï 日本 😀.exe");
    fs::copy(windows_fixture("odd"), &program).unwrap();
    let mut targets = [(); 2].map(|()| WindowsTarget::program(wine, &program, &[]));
    let dumps = tempfile::tempdir().unwrap();
    let file = windows_path(&dumps.path().join("ж-😀.dmp"));
    let comment = "комментарий 日本 😀";
    let arguments = ["dump", "-n", "ÜNÏ 日本 😀", "-a", "-u", "-m", "-c", comment, &file];
    let run = wine.dumpwright(arguments).ok();
    let names = names_in(dumps.path());
    assert_eq!(names.len(), 2);
    for (name, target) in names.iter().map(|name| {
        let of = |t: &&WindowsTarget| name.ends_with(&format!("_{}.dmp", t.pid()));
        (name, targets.iter().find(of).expect("the name ends with a pid"))
    }) {
        assert!(name.starts_with("ж-😀_"), "{name}");
        assert!(run.text().contains(name), "{}", run.text());
        let path = dumps.path().join(name);
        assert_verifies(&path);
        let info = wine.dumpwright(["info", &windows_path(&path)]).ok().text();
        assert!(info.contains(comment), "{info}");
        assert!(info.contains(&format!("{} (ünï 日本 😀.exe)", target.pid())), "{info}");
    }
    targets.iter_mut().for_each(WindowsTarget::assert_alive);
}

#[test]
fn every_way_to_write_a_windows_path_leads_to_its_file() {
    let Some(wine) = wine() else { return };
    let target = odd(wine, &[]);
    let pid = target.pid().to_string();
    let folder = tempfile::tempdir().unwrap();
    let share = wine.share(folder.path());
    let absolute = windows_path(folder.path());
    let here = folder.path().strip_prefix("/").unwrap().to_str().unwrap().replace('/', "\\");
    let up = "..\\".repeat(crate::support::tools::root().components().count());
    for (name, path) in [
        ("forward.dmp", format!("{}/forward.dmp", absolute.replace('\\', "/"))),
        ("long.dmp", format!("\\\\?\\{absolute}\\long.dmp")),
        ("device.dmp", format!("\\\\.\\{absolute}\\device.dmp")),
        ("rooted.dmp", format!("\\{here}\\rooted.dmp")),
        ("relative.dmp", format!("{up}{here}\\relative.dmp")),
        ("drive.dmp", format!("Z:{up}{here}\\drive.dmp")),
        ("share.dmp", format!("{}\\share.dmp", share.path)),
        ("nul.dmp", format!("\\\\?\\{absolute}\\nul.dmp")),
    ] {
        wine.dumpwright(["dump", "-p", &pid, "-m", &path]).ok();
        assert_verifies(&folder.path().join(name));
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    for (name, says) in [
        ("nul.dmp", "device"),
        ("CON.dmp", "device"),
        ("com1.dmp", "device"),
        ("x:y.dmp", "stream"),
        ("x.dmp ", "spaces and dots"),
    ] {
        let refused = wine.dumpwright(["dump", "-p", &pid, "-m", &format!("{absolute}\\{name}")]);
        let message = refused.refused();
        assert!(message.contains(says), "{name}: {message}");
    }
    assert_eq!(names_in(folder.path()), Vec::<String>::new(), "refused names leave nothing");
    // A name with a drive and no folder is one in the drive's current folder.
    let name = format!("drive-{pid}.dmp");
    let run = wine.dumpwright(["dump", "-p", &pid, "-m", &format!("Z:{name}")]);
    let made = crate::support::tools::root().join(name);
    run.ok();
    fs::remove_file(made).unwrap();
}

/// A dump of much memory, under way.
struct UnderWay {
    _alone: Alone,
    target: WindowsTarget,
    dumper: Child,
    folder: TempDir,
}

impl UnderWay {
    /// Starts it, and waits until part of the memory is written.
    #[track_caller]
    fn start(wine: &Wine, program: &Path) -> UnderWay {
        let target = odd(wine, &["large", "700"]);
        let alone = wine.alone();
        let folder = tempfile::tempdir().unwrap();
        let file = windows_path(&folder.path().join("large.dmp"));
        let mut command = wine.command(program);
        command.args(["dump", "-p", &target.pid().to_string(), "-mA", &file]);
        let dumper = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let begun = Instant::now();
        let has_begun = || {
            let mut entries = fs::read_dir(folder.path()).unwrap();
            entries.any(|e| e.unwrap().metadata().is_ok_and(|m| m.len() > 1 << 20))
        };
        while !has_begun() {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing is written");
            sleep(Duration::from_millis(5));
        }
        UnderWay { _alone: alone, target, dumper, folder }
    }

    /// How it ended; nothing is left of the dump.
    #[track_caller]
    fn end(self) -> (Run, WindowsTarget) {
        let output = self.dumper.wait_with_output().unwrap();
        assert_eq!(names_in(self.folder.path()), Vec::<String>::new());
        let stderr = String::from_utf8_lossy(&output.stderr).replace('\r', "");
        (Run { status: output.status, stdout: output.stdout, stderr }, self.target)
    }

    /// What Linux calls the dumper: the child of `timeout`.
    fn linux_pid(&self) -> i32 {
        let timeout = self.dumper.id();
        let children = fs::read_to_string(format!("/proc/{timeout}/task/{timeout}/children"));
        children.unwrap().split_whitespace().next().unwrap().parse().unwrap()
    }
}

#[test]
fn ctrl_c_leaves_nothing_behind_and_lets_the_windows_process_go() {
    let Some(wine) = wine() else { return };
    let dump = UnderWay::start(wine, &wine.program);
    // Wine makes Ctrl-C of it.
    let pid = rustix::process::Pid::from_raw(dump.linux_pid()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let (run, mut target) = dump.end();
    assert!(run.refused().contains("cancelled"));
    target.assert_alive();
}

#[test]
fn a_dumper_that_is_killed_lets_the_windows_process_go() {
    let Some(wine) = wine() else { return };
    let mut dump = UnderWay::start(wine, &wine.program);
    let pid = rustix::process::Pid::from_raw(dump.linux_pid()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    dump.dumper.wait().unwrap();
    let since = Instant::now();
    dump.target.assert_alive();
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    // What was suspended before still is.
    let UnderWay { _alone: alone, target, .. } = dump;
    drop(alone);
    let again = wine.dump(target.pid(), &["-m"]).loaded;
    let threads: MinidumpThreadList<'_> = again.get();
    let mut counts: Vec<_> = threads.threads.iter().map(|t| t.raw.suspend_count).collect();
    counts.sort_unstable();
    assert_eq!(counts, [0, 1]);
}

#[test]
fn closing_the_console_leaves_nothing_behind_and_lets_the_windows_process_go() {
    let Some(wine) = wine() else { return };
    // Under a name of its own, so that it is found among those of other tests.
    let programs = tempfile::tempdir().unwrap();
    let program: PathBuf = programs.path().join("dumpwright-in-a-console.exe");
    fs::copy(&wine.program, &program).unwrap();
    // It runs before the dump does, which is over soon.
    let go = programs.path().join("go");
    let mut close = wine.command(windows_fixture("close"));
    close.args(["dumpwright-in-a-console.exe", &windows_path(&go)]);
    let mut close = close.spawn().unwrap();
    let dump = UnderWay::start(wine, &program);
    fs::write(&go, "").unwrap();
    assert!(close.wait().unwrap().success());
    let (run, mut target) = dump.end();
    assert!(!run.status.success());
    target.assert_alive();
}

#[test]
fn a_windows_process_that_ends_while_it_is_dumped_is_named_at_once() {
    let Some(wine) = wine() else { return };
    let dump = UnderWay::start(wine, &wine.program);
    let pid = dump.target.pid().to_string();
    let ended = wine.command("taskkill").args(["/f", "/pid", &pid]).status().unwrap();
    assert!(ended.success());
    let since = Instant::now();
    let (run, _target) = dump.end();
    let message = run.refused();
    assert!(message.contains(&pid) && message.contains("ended"), "{message}");
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
}
