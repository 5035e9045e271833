//! `info` and `verify`, of whichever kind of dump a file is.

use crate::args::{InfoArgs, VerifyArgs};
use crate::output::{FAULTS, Outcome, json, print};
use dumpwright::Error;
use dumpwright::info::{DumpInfo, KernelInfo, TextOptions};
use dumpwright::read::Minidump;
use dumpwright::read::kernel::KernelDump;
use dumpwright::target::machine::{MachineOptions, open_machine};
use dumpwright::verify::{Fault, Severity, verify as find_faults, verify_kernel};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

/// `dumpwright info`.
pub fn info(args: &InfoArgs) -> Outcome {
    let options = TextOptions { all: args.all };
    let text = if is_kernel_dump(&args.file) {
        let dump = KernelDump::open(&args.file)?;
        let info = KernelInfo::new(&dump, &args.file.to_string_lossy());
        // What is wrong with the memory is told by the dump's own damage.
        let machine = open_machine(&args.file, &MachineOptions::default()).ok().flatten();
        let info = match &machine {
            Some(machine) => info.with_machine(machine.snapshot()),
            None => info,
        };
        if args.json { json(&info)? } else { info.text(options) }
    } else {
        let dump = Minidump::open(&args.file)?;
        let info = DumpInfo::new(&dump)?;
        if args.json { json(&info)? } else { info.text(options) }
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// `dumpwright verify`.
pub fn verify(args: &VerifyArgs) -> Outcome {
    let faults = if is_kernel_dump(&args.file) {
        match KernelDump::open(&args.file) {
            Ok(dump) => verify_kernel(&dump),
            Err(Error::NotAKernelDump { reason, .. }) => vec![not_a_dump("kernel dump", &reason)],
            Err(error) => return Err(error.into()),
        }
    } else {
        match Minidump::open(&args.file) {
            Ok(dump) => find_faults(&dump),
            Err(Error::NotADump { reason, .. }) => vec![not_a_dump("minidump", &reason)],
            Err(error) => return Err(error.into()),
        }
    };
    let errors = faults.iter().filter(|f| f.severity == Severity::Error).count();
    let text = if args.json {
        json(&faults)?
    } else {
        let mut lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let verdict = if errors == 0 { "good" } else { "bad" };
        let warnings = faults.len() - errors;
        let file = args.file.display();
        lines.push(format!("{file}: {verdict}, {errors} errors, {warnings} warnings\n"));
        lines.join("\n")
    };
    print(&text)?;
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::from(FAULTS) })
}

/// Whether a file starts as a kernel dump does. What cannot be read is left to
/// the reader that will say why.
fn is_kernel_dump(file: &Path) -> bool {
    // Asked by name first, because opening a pipe would wait for a writer.
    if !std::fs::metadata(file).is_ok_and(|m| m.is_file()) {
        return false;
    }
    let mut start = [0; 8];
    File::open(file).and_then(|mut f| f.read_exact(&mut start)).is_ok()
        && KernelDump::recognises(&start)
}

/// The fault of a file in which nothing else can be looked for.
fn not_a_dump(what: &str, reason: &str) -> Fault {
    let message = format!("it is not a {what}: {reason}");
    Fault { severity: Severity::Error, stream: None, offset: None, message }
}
