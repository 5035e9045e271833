//! The credentials of a process, as text.

use super::file_text;
use super::proc_dir::ProcDir;
use crate::soft_error::SoftError;
use std::fmt::Write;

/// Credentials, one `key: value` a line: user and group ids, capabilities,
/// seccomp, the label of the security module, the user namespace.
pub(super) fn describe(proc: &ProcDir, notes: &mut Vec<SoftError>) -> Option<String> {
    let status = match proc.read("status") {
        Ok(status) => String::from_utf8_lossy(&status).into_owned(),
        Err(error) => {
            notes.push(SoftError::new("token", format!("status cannot be read: {error}")));
            return None;
        }
    };
    let mut text = String::new();
    ids(&mut text, &status, "Uid", ["uid", "euid", "suid", "fsuid"]);
    ids(&mut text, &status, "Gid", ["gid", "egid", "sgid", "fsgid"]);
    for key in [
        "Groups",
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "NoNewPrivs",
        "Seccomp",
        "Seccomp_filters",
    ] {
        if let Some(value) = file_text::value(&status, key) {
            line(&mut text, key, value);
        }
    }
    // Without a security module the file exists and cannot be read.
    if let Ok(label) = proc.read("attr/current") {
        let label = String::from_utf8_lossy(&label);
        line(&mut text, "SecurityLabel", label.trim_matches(['\0', '\n']));
    }
    if let Ok(namespace) = std::fs::read_link(proc.path("ns/user")) {
        line(&mut text, "UserNamespace", &namespace.to_string_lossy());
    }
    Some(text)
}

fn ids(text: &mut String, status: &str, key: &str, names: [&str; 4]) {
    let values = file_text::value(status, key).unwrap_or_default();
    for (name, value) in names.into_iter().zip(values.split_ascii_whitespace()) {
        line(text, name, value);
    }
}

fn line(text: &mut String, key: &str, value: &str) {
    writeln!(text, "{key}: {value}").expect("a String takes whatever is written to it");
}
