//! The primary token of a process, as text.

use super::sys::token::of_process;
use crate::soft_error::SoftError;
use std::fmt::Write;
use std::os::windows::io::BorrowedHandle;

/// User, groups, privileges and integrity, one `key: value` a line. Attributes
/// are those of `SE_GROUP_*` and `SE_PRIVILEGE_*`, winnt.h.
pub(super) fn describe(process: BorrowedHandle<'_>, notes: &mut Vec<SoftError>) -> Option<String> {
    let token = match of_process(process) {
        Ok(token) => token,
        Err(error) => {
            notes.push(SoftError::new("token", format!("cannot be read: {error}")));
            return None;
        }
    };
    let mut text = String::new();
    let mut line = |key: &str, value: &str| {
        writeln!(text, "{key}: {value}").expect("a String takes whatever is written to it");
    };
    line("user", &token.user);
    if let Some(integrity) = &token.integrity {
        line("integrity", integrity);
    }
    if let Some(session) = token.session {
        line("session", &session.to_string());
    }
    if let Some(elevated) = token.elevated {
        line("elevated", if elevated { "yes" } else { "no" });
    }
    for (sid, attributes) in &token.groups {
        line("group", &format!("{sid} ({attributes:#x})"));
    }
    for (name, attributes) in &token.privileges {
        line("privilege", &format!("{name} ({attributes:#x})"));
    }
    Some(text)
}
