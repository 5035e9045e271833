//! `--sanitize`, `--redact` and `--audit`.

use crate::args::DumpArgs;
use crate::output::{Failure, Outcome, json};
use dumpwright::redact::{Audit, RedactPattern};
use dumpwright::{FormatFlags, Summary};
use serde::Serialize;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

/// What `--sanitize` stands for.
pub const SANITIZE: FormatFlags = FormatFlags::USER_SMALL_FILTER_MEMORY
    .union(FormatFlags::USER_SMALL_FILTER_PATHS)
    .union(FormatFlags::USER_SMALL_FILTER_TRIAGE)
    .union(FormatFlags::USER_SMALL_NO_OPTIONAL_DATA);

/// The patterns of the command line and its files, named by where they stand:
/// a pattern can be as secret as what it matches.
pub fn patterns(args: &DumpArgs) -> Outcome<Vec<RedactPattern>> {
    let mut patterns: Vec<_> = (1..)
        .zip(&args.redact)
        .map(|(number, regex)| RedactPattern {
            name: format!("--redact {number}"),
            regex: regex.clone(),
        })
        .collect();
    for file in &args.redact_file {
        let text = fs::read_to_string(file)
            .map_err(|e| Failure::from(format!("cannot read '{}': {e}", file.display())))?;
        let lines = (1..).zip(text.lines());
        let counted = lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
        patterns.extend(counted.map(|(number, line)| RedactPattern {
            name: format!("{}:{number}", file.display()),
            regex: line.to_owned(),
        }));
    }
    Ok(patterns)
}

/// Refuses an audit list that would take the place of a file, before anything is
/// written.
pub fn check_audit(args: &DumpArgs) -> Outcome<()> {
    match &args.audit {
        Some(file) if !args.overwrite && file.exists() => Err(exists(file)),
        _ => Ok(()),
    }
}

fn exists(file: &Path) -> Failure {
    format!("'{}' exists and was left as it is; choose another name, or give -o", file.display())
        .into()
}

/// The audit list as a file has it.
#[derive(Serialize)]
struct AuditFile<'a> {
    dump: Option<String>,
    pid: u32,
    #[serde(flatten)]
    audit: &'a Audit,
}

/// Writes the list of what was removed.
pub fn write_audit(args: &DumpArgs, summary: &Summary) -> Outcome<()> {
    let Some(file) = &args.audit else { return Ok(()) };
    let text = json(&AuditFile {
        dump: summary.file.as_ref().map(|f| f.to_string_lossy().into_owned()),
        pid: summary.pid.0,
        audit: &summary.audit,
    })?;
    let mut options = OpenOptions::new();
    options.write(true);
    if args.overwrite {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let written = options.open(file).and_then(|mut out| out.write_all(text.as_bytes()));
    written.map_err(|e| {
        format!("the dump was written, and its audit list '{}' not: {e}", file.display()).into()
    })
}
