//! `info` and `verify`.

use crate::args::{InfoArgs, VerifyArgs};
use crate::output::{FAULTS, Outcome, json, print};
use dumpwright::Error;
use dumpwright::info::{DumpInfo, TextOptions};
use dumpwright::read::Minidump;
use dumpwright::verify::{Fault, Severity, verify as find_faults};
use std::process::ExitCode;

/// `dumpwright info`.
pub fn info(args: &InfoArgs) -> Outcome {
    let dump = Minidump::open(&args.file)?;
    let info = DumpInfo::new(&dump)?;
    let text = if args.json { json(&info)? } else { info.text(TextOptions { all: args.all }) };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// `dumpwright verify`.
pub fn verify(args: &VerifyArgs) -> Outcome {
    let faults = match Minidump::open(&args.file) {
        Ok(dump) => find_faults(&dump),
        Err(Error::NotADump { reason, .. }) => vec![not_a_minidump(&reason)],
        Err(error) => return Err(error.into()),
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

/// The fault of a file in which nothing else can be looked for.
fn not_a_minidump(reason: &str) -> Fault {
    let message = format!("it is not a minidump: {reason}");
    Fault { severity: Severity::Error, stream: None, offset: None, message }
}
