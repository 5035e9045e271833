//! `handler install` and `handler uninstall`.

use super::config::Config;
use super::kernel::{Settings, pattern};
use super::{InstallArgs, UninstallArgs, safe};
use crate::output::{Outcome, print};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The kernel's settings.
pub const SYS: &str = "/proc/sys";
/// What sets them again at each boot. Read after systemd's own 50-coredump.conf.
pub const SYSCTL_FILE: &str = "/etc/sysctl.d/70-dumpwright.conf";
/// In the state folder: what was there before.
const PREVIOUS_FILE: &str = "previous.json";

/// `dumpwright handler install`.
pub fn install(args: &InstallArgs) -> Outcome {
    let config_file = std::path::absolute(&args.config)
        .map_err(|error| format!("'{}': {error}", args.config.display()))?;
    let config = Config::of_root(&config_file)?;
    let program =
        std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let program = safe::file(&program)?;
    let before = Settings::read(Path::new(SYS))?;
    let settings = Settings {
        core_pattern: pattern(&program, &config_file)?,
        core_pipe_limit: args.pipe_limit.to_string(),
        suid_dumpable: if args.keep_suid_dumpable {
            before.suid_dumpable.clone()
        } else {
            "2".into()
        },
    };
    // Installed over itself, what was there before stays what it was.
    let previous = match before.ours() {
        Some(_) => previous(&config.state).unwrap_or_else(|_| Settings::of_a_new_kernel()),
        None => before.clone(),
    };
    let folders: Vec<_> = std::iter::once(config.state.as_path()).chain(config.folders()).collect();
    // Others than root do not see into them.
    if rustix::process::geteuid().is_root() {
        for folder in &folders {
            safe::look(folder)?;
        }
    }
    if args.dry_run {
        let mut lines = would_write(&settings);
        if !args.no_persist {
            lines.push(format!("would write the same to {SYSCTL_FILE}"));
        }
        let missing = folders.into_iter().filter(|folder| !folder.exists());
        lines.extend(missing.map(|folder| format!("would make the folder {}", folder.display())));
        lines.push("would remember:".into());
        lines.extend(indented(&previous));
        lines.extend(in_a_container().map(|note| format!("note: {note}")));
        return print_lines(&lines);
    }
    require_root()?;
    for folder in folders {
        safe::folder(folder)?;
    }
    remember(&config.state, &previous)?;
    if let Err(error) = settings.write(Path::new(SYS)) {
        // Some may have been written; best as before, as far as that goes.
        let _ = before.write(Path::new(SYS));
        return Err(error.into());
    }
    if !args.no_persist {
        let lines = settings.sysctl_lines().join("\n");
        let text = format!("# Written by `dumpwright handler install`.\n{lines}\n");
        write_file(Path::new(SYSCTL_FILE), text.as_bytes())
            .map_err(|error| format!("installed until the next boot only: {error}"))?;
    }
    let mut lines = vec![
        format!("installed: {}", settings.core_pattern),
        format!("before:    {}", previous.core_pattern),
    ];
    let notes = no_forward(&config, &previous).into_iter().chain(in_a_container());
    lines.extend(notes.map(|note| format!("note: {note}")));
    print_lines(&lines)
}

/// `dumpwright handler uninstall`.
pub fn uninstall(args: &UninstallArgs) -> Outcome {
    let now = Settings::read(Path::new(SYS))?;
    let Some((_, installed_config)) = now.ours() else {
        return not_installed(&now, args.dry_run);
    };
    // A mistake in it must not keep anybody from getting rid of the handler.
    let state = Config::state_of(args.config.as_ref().unwrap_or(&installed_config));
    let (restored, note) = match previous(&state) {
        Ok(previous) => (previous, None),
        // Better the kernel's own way than a handler that cannot be got rid of.
        Err(why) => (Settings::of_a_new_kernel(), Some(format!("note: {why}"))),
    };
    if args.dry_run {
        let mut lines = would_write(&restored);
        lines.push(format!("would remove {SYSCTL_FILE}"));
        lines.extend(note);
        return print_lines(&lines);
    }
    require_root()?;
    restored.write(Path::new(SYS))?;
    remove(Path::new(SYSCTL_FILE))?;
    remove(&state.join(PREVIOUS_FILE))?;
    let mut lines = vec![format!("restored: {}", restored.core_pattern)];
    lines.extend(note);
    print_lines(&lines)
}

/// Never installed, or somebody else has changed the pattern since, which stays
/// as it is; the file that would set ours again at the next boot goes.
fn not_installed(now: &Settings, dry_run: bool) -> Outcome {
    let persistent = Path::new(SYSCTL_FILE).exists();
    if persistent && !dry_run {
        require_root()?;
        remove(Path::new(SYSCTL_FILE))?;
    }
    let removed = match (persistent, dry_run) {
        (true, false) => format!("; {SYSCTL_FILE} was removed"),
        (true, true) => format!("; {SYSCTL_FILE} would be removed"),
        (false, _) => String::new(),
    };
    let pattern = &now.core_pattern;
    print_lines(&[format!(
        "not installed: core_pattern is '{pattern}' and was left as it is{removed}"
    )])
}

/// A container that may change the settings changes those of the host.
fn in_a_container() -> Option<String> {
    /// `PROC_PID_INIT_INO` of the kernel: the first namespace of process ids.
    const FIRST: &str = "pid:[4026531836]";
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    (namespace != Path::new(FIRST)).then(|| {
        "this is a container, and the kernel looks for the program among the host's files: install it there".into()
    })
}

/// Why cores are not forwarded although they should be.
pub fn no_forward(config: &Config, previous: &Settings) -> Option<String> {
    (config.forward && !previous.is_pipe()).then(|| {
        format!(
            "forward = true has no effect: '{}', which was there before, is no program",
            previous.core_pattern
        )
    })
}

/// What was there before the handler was installed.
///
/// # Errors
/// It was not remembered, or cannot be read.
pub fn previous(state: &Path) -> Result<Settings, String> {
    let file = state.join(PREVIOUS_FILE);
    let failed = |why: String| {
        format!("what was there before cannot be read from '{}': {why}", file.display())
    };
    let text = fs::read(&file).map_err(|error| failed(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))
}

fn remember(state: &Path, settings: &Settings) -> Result<(), String> {
    let json = serde_json::to_vec_pretty(settings).map_err(|error| error.to_string())?;
    write_file(&state.join(PREVIOUS_FILE), &json)
}

/// Writes a whole file or none.
fn write_file(file: &Path, bytes: &[u8]) -> Result<(), String> {
    let failed = |error: io::Error| format!("cannot write '{}': {error}", file.display());
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(&part, bytes).map_err(failed)?;
    fs::rename(&part, file).map_err(failed)
}

fn remove(file: &Path) -> Result<(), String> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(format!("cannot remove '{}': {error}", file.display()))
        }
        _ => Ok(()),
    }
}

fn require_root() -> Result<(), String> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err("the kernel's core_pattern is root's to change; run it with sudo (--dry-run shows what it would do)".into())
}

fn would_write(settings: &Settings) -> Vec<String> {
    let mut lines = vec![format!("would write to {SYS}:")];
    lines.extend(indented(settings));
    lines
}

fn indented(settings: &Settings) -> impl Iterator<Item = String> + use<> {
    settings.sysctl_lines().into_iter().map(|line| format!("  {line}"))
}

fn print_lines(lines: &[String]) -> Outcome {
    print(&(lines.join("\n") + "\n")).map(|()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_before_is_remembered() {
        let state = tempfile::tempdir().unwrap();
        assert!(previous(state.path()).unwrap_err().contains("previous.json"));
        let settings = Settings {
            core_pattern: "|/usr/lib/systemd/systemd-coredump %P %u".into(),
            core_pipe_limit: "16".into(),
            suid_dumpable: "0".into(),
        };
        remember(state.path(), &settings).unwrap();
        assert_eq!(previous(state.path()).unwrap(), settings);
        remove(&state.path().join(PREVIOUS_FILE)).unwrap();
        remove(&state.path().join(PREVIOUS_FILE)).unwrap();
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 0);
    }
}
