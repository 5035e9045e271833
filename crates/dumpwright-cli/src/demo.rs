//! `demo`: dumps a small built-in program in three ways, and shows what came
//! of it.

use crate::args::DemoArgs;
use crate::output::{Failure, Outcome, print};
use crate::progress::Progress;
use crate::{cancel, report};
use dumpwright::info::{DumpInfo, TextOptions};
use dumpwright::read::Minidump;
use dumpwright::target::Pid;
use dumpwright::verify::{Severity, verify};
use dumpwright::{DumpRequest, Error, FormatFlags, Qualifier, dump_process};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;

const COMMENT: &str = "written by dumpwright demo";
const READY: &str = "ready";

/// `dumpwright demo`.
pub fn run(args: &DemoArgs) -> Outcome {
    cancel::watch_signals();
    let directory = &args.directory;
    let folder = || format!("'{}'", directory.display());
    fs::create_dir_all(directory)
        .map_err(|e| format!("cannot make the folder {}: {e}", folder()))?;
    let target = Target::start()?;
    print(&format!("Started a program with several threads: process {}.\n", target.pid()))?;

    let small = directory.join("demo-small.dmp");
    let full = directory.join("demo-full.dmp");
    let cab = directory.join("demo.cab");
    let requests = [
        ("A small dump: threads, stacks, modules", &small, Qualifier::Small, FormatFlags::empty()),
        (
            "A full dump: also all memory, handles, thread times (-ma)",
            &full,
            Qualifier::Small,
            FormatFlags::DUMP_MA,
        ),
        (
            "A small dump in a CAB, with its images (-ba)",
            &cab,
            Qualifier::Small,
            FormatFlags::WRITE_CAB | FormatFlags::CAB_SECONDARY_FILES,
        ),
    ];
    for (what, file, qualifier, flags) in requests {
        let request = DumpRequest::new(file, qualifier).flags(flags).comment(COMMENT);
        let progress = Progress::new();
        let written = dump_process(target.pid(), &request, &progress);
        progress.clear();
        // A signal to the whole group ends the target, too, and looks like a failure.
        let summary = match written {
            Err(_) if cancel::is_cancelled() => return Err(Error::Cancelled.into()),
            written => written?,
        };
        print(&format!("\n{what}\n{}", indent(&report::text(&summary))))?;
    }
    drop(target);

    let unpacked = unpack(&cab, directory)?;
    print("\nChecked:\n")?;
    for file in [&small, &full, &unpacked] {
        check(file)?;
    }
    fs::remove_file(&unpacked)
        .map_err(|e| format!("cannot remove '{}': {e}", unpacked.display()))?;
    let dump = Minidump::open(&small)?;
    let info = DumpInfo::new(&dump)?;
    print(&format!(
        "\ndumpwright info {}\n{}",
        small.display(),
        indent(&info.text(TextOptions { all: false }))
    ))?;
    print(&format!(
        "\nThe dumps are in {}: open them with lldb -c, WinDbg, or minidump-stackwalk.\n",
        folder()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// The program that is dumped. It ends with its standard input, so that it
/// never outlives the demo.
pub fn target() -> Outcome {
    for name in ["demo-worker", "demo-reader", "demo-timer"] {
        thread::Builder::new()
            .name(name.into())
            .spawn(|| {
                loop {
                    thread::park();
                }
            })
            .map_err(|e| format!("cannot start a thread: {e}"))?;
    }
    print(&format!("{READY}\n"))?;
    let _ = io::stdin().lock().read(&mut [0]);
    Ok(ExitCode::SUCCESS)
}

/// The running demo target; ended when dropped.
struct Target(Child);

impl Target {
    fn start() -> Outcome<Target> {
        let failed = |e: io::Error| Failure::from(format!("cannot start the demo's target: {e}"));
        let program = std::env::current_exe().map_err(failed)?;
        let child = Command::new(program)
            .arg("demo-target")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let mut target = Target(child);
        let mut line = String::new();
        if let Some(stdout) = target.0.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).map_err(failed)?;
        }
        if line.trim() == READY {
            Ok(target)
        } else {
            Err("the demo's target did not start".to_string().into())
        }
    }

    fn pid(&self) -> Pid {
        Pid(self.0.id())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Takes the dump out of the CAB and puts it beside it.
fn unpack(cab: &Path, directory: &Path) -> Outcome<PathBuf> {
    let failed = |e: io::Error| Failure::from(format!("cannot unpack '{}': {e}", cab.display()));
    let mut cabinet = cab::Cabinet::new(File::open(cab).map_err(failed)?).map_err(failed)?;
    let mut dump = cabinet.read_file("demo.dmp").map_err(failed)?;
    let path = directory.join("demo-from-cab.dmp");
    let mut out = File::create(&path).map_err(failed)?;
    io::copy(&mut dump, &mut out).and_then(|_| out.flush()).map_err(failed)?;
    Ok(path)
}

fn check(file: &Path) -> Outcome<()> {
    let dump = Minidump::open(file)?;
    match verify(&dump).iter().find(|f| f.severity == Severity::Error) {
        None => print(&format!("  {}: good\n", file.display())),
        Some(fault) => Err(format!("'{}' is bad: {fault}", file.display()).into()),
    }
}

fn indent(text: &str) -> String {
    text.lines().flat_map(|line| ["  ", line, "\n"]).collect()
}
