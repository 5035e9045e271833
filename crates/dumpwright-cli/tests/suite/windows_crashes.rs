//! Windows programs that crash, with dumpwright.exe as the debugger that the
//! registry's `AeDebug` key names, as docs/windows.md has it.

use crate::support::cli::assert_verifies;
use crate::support::compile::{Width, windows_fixture, windows_fixture_of};
use crate::support::dump::Loaded;
use crate::support::wine::{Alone, WindowsTarget, Wine, windows_path, wine};
use crate::support::{processor, readers};
use minidump::MinidumpException;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where Windows looks for the debugger of 64-bit and of 32-bit programs.
const KEYS: [&str; 2] = [
    r"HKLM\Software\Microsoft\Windows NT\CurrentVersion\AeDebug",
    r"HKLM\Software\Wow6432Node\Microsoft\Windows NT\CurrentVersion\AeDebug",
];

/// The debugger of crashes, until this is dropped: what Wine has otherwise.
struct Debugger<'a> {
    wine: &'a Wine,
    _alone: Alone,
}

impl Debugger<'_> {
    #[track_caller]
    fn set<'a>(wine: &'a Wine, command: &str) -> Debugger<'a> {
        let debugger = Debugger { wine, _alone: wine.alone() };
        assert!(debugger.write(command), "the registry cannot be written");
        debugger
    }

    fn write(&self, command: &str) -> bool {
        KEYS.iter().all(|key| {
            let mut reg = self.wine.command("reg");
            reg.args(["add", key, "/v", "Debugger", "/d", command, "/f"]);
            reg.status().unwrap().success()
        })
    }
}

impl Drop for Debugger<'_> {
    fn drop(&mut self) {
        self.write("winedbg --auto %ld %ld");
    }
}

/// Lets a program crash and end; its exit code as Linux has it, and the dumps in
/// `folder`.
#[track_caller]
fn crash(
    wine: &Wine,
    width: Width,
    mode: &str,
    folder: &Path,
) -> (WindowsTarget, Option<i32>, Vec<PathBuf>) {
    let program = windows_fixture_of(width, "crashes");
    let mut target = WindowsTarget::program(wine, &program, &[mode]);
    let since = Instant::now();
    // What comes is what its debugger says, which has its output.
    target.ask();
    let code = target.exit_code();
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
    let dumps = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    (target, code, dumps)
}

#[test]
fn a_windows_program_that_crashes_is_dumped_by_aedebug_and_ends_with_its_exception() {
    let Some(wine) = wine() else { return };
    let folder = tempfile::tempdir().unwrap();
    let crashes = format!(r"{}\crash.dmp", windows_path(folder.path()));
    let program = windows_path(&wine.program);
    let line = format!("{program} dump -p %ld -e %ld -mAp -u {crashes}");
    let _debugger = Debugger::set(wine, &line);
    let mut cases = vec![(Width::Wide, "fault", 0xC000_0005), (Width::Wide, "throw", 0xE000_0007)];
    if wine.runs_narrow_programs() {
        cases.push((Width::Narrow, "fault", 0xC000_0005));
    }
    for (width, mode, code) in cases {
        let (target, exit_code, dumps) = crash(wine, width, mode, folder.path());
        let [file] = dumps.as_slice() else { panic!("{mode}: {dumps:?}") };
        assert!(file.to_string_lossy().ends_with(&format!("_{}.dmp", target.pid())), "{file:?}");
        assert_verifies(file);
        let dump = Loaded::read(file);
        let exception: MinidumpException<'_> = dump.get();
        let tid = target.number("/tid") as u32;
        let record = &exception.raw.exception_record;
        assert_eq!((exception.thread_id, record.exception_code), (tid, code), "{width:?} {mode}");
        let parameters = match mode {
            "fault" => [1, 0x40],
            _ => [tid.into(), 0x5eed],
        };
        assert_eq!(record.exception_information[..2], parameters, "{width:?} {mode}");
        let state = processor::process(&dump);
        let thread = &state.threads[state.requesting_thread.unwrap()];
        assert_eq!(thread.thread_id, tid);
        if mode == "fault" {
            let crash = target.number("/crash");
            let at = thread.frames[0].instruction;
            assert!((crash..crash + 0x80).contains(&at), "{at:#x}, function at {crash:#x}");
            if let Some(traces) = readers::lldb_traces(file) {
                assert_eq!(traces[&tid][0].0, at, "LLDB's first frame");
            }
        }
        // It ends as if nobody had looked; Linux has the lowest byte of the code.
        assert_eq!(exit_code, Some((code & 0xFF) as i32), "{width:?} {mode}");
        fs::remove_file(file).unwrap();
    }
}

#[test]
fn a_crash_that_cannot_be_dumped_ends_all_the_same() {
    let Some(wine) = wine() else { return };
    let folder = tempfile::tempdir().unwrap();
    let nowhere = format!(r"{}\none\crash.dmp", windows_path(folder.path()));
    let line = format!("{} dump -p %ld -e %ld {nowhere}", windows_path(&wine.program));
    let _debugger = Debugger::set(wine, &line);
    let (_, exit_code, dumps) = crash(wine, Width::Wide, "fault", folder.path());
    assert_eq!(dumps, Vec::<PathBuf>::new());
    assert_eq!(exit_code, Some(5));
}

#[test]
fn the_event_of_a_crash_is_set_when_its_dump_is_there_or_given_up() {
    let Some(wine) = wine() else { return };
    let target = WindowsTarget::fixture(wine, "odd");
    let folder = tempfile::tempdir().unwrap();
    let program = windows_path(&wine.program);
    let _alone = wine.alone();
    for (name, code) in [("x.dmp", 0), (r"none\x.dmp", 1)] {
        let file = format!(r"{}\{name}", windows_path(folder.path()));
        let command = format!("{program} dump -p {} -e %ld {file}", target.pid());
        let run = WindowsTarget::program(wine, &windows_fixture("crashes"), &["event", &command]);
        assert_eq!((run.number("/code"), run.number("/set")), (code, 1), "{name}");
    }
    assert_verifies(&folder.path().join("x.dmp"));
}
