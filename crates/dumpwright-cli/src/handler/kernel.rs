//! The kernel's settings about cores, in `/proc/sys`.

use super::config::DEFAULT_FILE;
use super::crash::SPECIFIERS;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The longest `core_pattern` (`CORENAME_MAX_SIZE`, less its NUL).
const MAX_PATTERN: usize = 127;
/// What tells our pattern from others, between program and arguments.
const CALL: &str = " handler run ";

/// The settings that a handler needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// `kernel.core_pattern`
    pub core_pattern: String,
    /// `kernel.core_pipe_limit`: how many crashes the kernel holds at a time;
    /// with 0 it does not wait for the handler once the core is written.
    pub core_pipe_limit: String,
    /// `fs.suid_dumpable`: with 0 programs with the rights of others than
    /// their user are not dumped; with 2 they are, to a pipe.
    pub suid_dumpable: String,
}

/// Name under `/proc/sys` and value of each, in the order of setting: once the
/// pattern stands, the rest does.
fn entries(settings: &Settings) -> [(&'static str, &str); 3] {
    [
        ("kernel/core_pipe_limit", &settings.core_pipe_limit),
        ("fs/suid_dumpable", &settings.suid_dumpable),
        ("kernel/core_pattern", &settings.core_pattern),
    ]
}

impl Settings {
    /// Reads them from `sys`, which is `/proc/sys`.
    pub fn read(sys: &Path) -> Result<Settings, String> {
        let value = |name: &str| {
            let file = sys.join(name);
            let text = fs::read_to_string(&file);
            let text =
                text.map_err(|error| format!("cannot read '{}': {error}", file.display()))?;
            Ok::<_, String>(text.trim_end_matches('\n').to_owned())
        };
        Ok(Settings {
            core_pattern: value("kernel/core_pattern")?,
            core_pipe_limit: value("kernel/core_pipe_limit")?,
            suid_dumpable: value("fs/suid_dumpable")?,
        })
    }

    /// Writes those that differ from what is there.
    pub fn write(&self, sys: &Path) -> Result<(), String> {
        let now = Settings::read(sys)?;
        for ((name, value), (_, old)) in entries(self).into_iter().zip(entries(&now)) {
            if value != old {
                fs::write(sys.join(name), value).map_err(|e| refusal(&sys.join(name), &e))?;
            }
        }
        Ok(())
    }

    /// What a kernel has unless it is told otherwise.
    pub fn of_a_new_kernel() -> Settings {
        Settings {
            core_pattern: "core".into(),
            core_pipe_limit: "0".into(),
            suid_dumpable: "0".into(),
        }
    }

    /// As lines of a file for `/etc/sysctl.d`.
    pub fn sysctl_lines(&self) -> [String; 3] {
        entries(self).map(|(name, value)| format!("{}={value}", name.replace('/', ".")))
    }

    /// The program and the configuration file of our pattern; `None` if it is
    /// another's.
    pub fn ours(&self) -> Option<(PathBuf, PathBuf)> {
        let command = self.core_pattern.strip_prefix('|')?;
        let (program, arguments) = command.split_once(CALL)?;
        let config = arguments.strip_prefix("-C ").and_then(|rest| rest.split(' ').next());
        Some((program.into(), config.unwrap_or(DEFAULT_FILE).into()))
    }

    /// Whether cores go to another program.
    pub fn is_pipe(&self) -> bool {
        self.core_pattern.starts_with('|')
    }
}

/// The pattern that makes the kernel start `program` with `config`.
///
/// # Errors
/// It would be too long, or fall apart at a blank.
pub fn pattern(program: &Path, config: &Path) -> Result<String, String> {
    for path in [program, config] {
        let bytes = path.as_os_str().as_bytes();
        if std::str::from_utf8(bytes).is_err()
            || bytes.iter().any(|b| b.is_ascii_whitespace() || *b == b'%')
        {
            return Err(format!(
                "core_pattern cannot hold '{}': it is split at blanks, and % means something; choose another path",
                path.display()
            ));
        }
    }
    let config = if config == Path::new(DEFAULT_FILE) {
        String::new()
    } else {
        format!("-C {} ", config.display())
    };
    let pattern = format!("|{}{CALL}{config}{SPECIFIERS}", program.display());
    if pattern.len() > MAX_PATTERN {
        return Err(format!(
            "core_pattern would have {} bytes and the kernel takes {MAX_PATTERN}; give the program or its configuration a shorter path",
            pattern.len()
        ));
    }
    Ok(pattern)
}

fn refusal(file: &Path, error: &io::Error) -> String {
    let file = file.display();
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("cannot write '{file}': {error}; run as root")
        }
        io::ErrorKind::ReadOnlyFilesystem => format!(
            "cannot write '{file}': {error}; in a container the settings are the host's: install it there"
        ),
        _ => format!("cannot write '{file}': {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pattern: &str) -> Settings {
        Settings {
            core_pattern: pattern.into(),
            core_pipe_limit: "128".into(),
            suid_dumpable: "2".into(),
        }
    }

    #[test]
    fn our_pattern_is_known_again() {
        for config in [DEFAULT_FILE, "/a/b.toml"] {
            let pattern = pattern(Path::new("/usr/bin/dumpwright"), Path::new(config)).unwrap();
            let (program, found) = settings(&pattern).ours().unwrap();
            assert_eq!(
                (program.to_str(), found.to_str()),
                (Some("/usr/bin/dumpwright"), Some(config))
            );
        }
        for other in ["core", "|/usr/lib/systemd/systemd-coredump %P %u", "/x handler run %P"] {
            assert_eq!(settings(other).ours(), None);
        }
    }

    #[test]
    fn a_pattern_that_the_kernel_would_not_understand_is_refused() {
        let of = |program: &str| pattern(Path::new(program), Path::new(DEFAULT_FILE));
        assert!(of("/a b/dumpwright").unwrap_err().contains("blanks"));
        assert!(of("/100%/dumpwright").unwrap_err().contains('%'));
        assert!(of(&format!("/{}", "x".repeat(100))).unwrap_err().contains("127"));
    }

    #[test]
    fn settings_are_written_and_read_back() {
        let sys = tempfile::tempdir().unwrap();
        for folder in ["kernel", "fs"] {
            fs::create_dir(sys.path().join(folder)).unwrap();
        }
        assert!(Settings::read(sys.path()).unwrap_err().contains("core_pattern"));
        for (name, _) in entries(&settings("")) {
            fs::write(sys.path().join(name), "0\n").unwrap();
        }
        settings("|x").write(sys.path()).unwrap();
        assert_eq!(Settings::read(sys.path()).unwrap(), settings("|x"));
        assert_eq!(settings("|x y").sysctl_lines()[2], "kernel.core_pattern=|x y");
    }
}
