//! Handing the core on to the handler that was there before, as the kernel
//! would have: the same arguments, the whole core on standard input, and the
//! process held meanwhile.

use super::crash::Crash;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::{Command, Stdio};

/// Starts the handler of `pattern` and gives it the core: `taken`, and then the
/// rest of `pipe`.
///
/// # Errors
/// `pattern` is no pipe, or its handler cannot be started, or fails.
pub fn forward(
    pattern: &str,
    crash: &Crash,
    taken: &[u8],
    pipe: &mut dyn Read,
) -> Result<(), String> {
    let command = pattern.strip_prefix('|').ok_or_else(|| {
        format!("what was there before, '{pattern}', is no program to hand the core on to")
    })?;
    let mut words = command.split_ascii_whitespace();
    let program = words.next().ok_or("the handler that was there before has no name")?;
    let mut expansion = Expansion { crash, pidfd: None };
    let arguments: Vec<_> = words.map(|word| expansion.word(word)).collect();
    let failed = |what: &str, error: io::Error| format!("{what} '{program}': {error}");
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed("cannot start", error))?;
    let mut input = child.stdin.take().ok_or("the handler has no standard input")?;
    let copied = input.write_all(taken).and_then(|()| io::copy(pipe, &mut input));
    drop(input);
    let status = child.wait().map_err(|error| failed("cannot wait for", error))?;
    match copied {
        // It need not read all of it.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(failed("cannot hand the core to", error))
        }
        _ if !status.success() => Err(format!("'{program}' failed: {status}")),
        _ => Ok(()),
    }
}

/// Replaces the specifiers of core(5).
struct Expansion<'a> {
    crash: &'a Crash,
    /// For `%F`; open as long as the handler runs.
    pidfd: Option<OwnedFd>,
}

impl Expansion<'_> {
    fn word(&mut self, word: &str) -> OsString {
        let mut out = Vec::new();
        let mut rest = word.bytes();
        while let Some(byte) = rest.next() {
            match byte {
                b'%' => match rest.next() {
                    Some(specifier) => out.extend(self.value(specifier)),
                    None => break,
                },
                byte => out.push(byte),
            }
        }
        OsString::from_vec(out)
    }

    /// The value of a specifier; nothing for an unknown one, as the kernel does.
    fn value(&mut self, specifier: u8) -> Vec<u8> {
        let crash = self.crash;
        let number = |number: u64| number.to_string().into_bytes();
        match specifier {
            b'%' => b"%".to_vec(),
            b'P' => number(crash.pid.into()),
            b'p' => number(inner_pid(crash.pid).unwrap_or(crash.pid).into()),
            b'I' => number(crash.tid.into()),
            b'i' => number(crash.inner_tid.into()),
            b's' => number(crash.signal.into()),
            b'd' => number(crash.dump_mode.into()),
            b'u' => number(crash.uid.into()),
            b'g' => number(crash.gid.into()),
            b't' => number(crash.time),
            b'c' => core_limit(crash.pid).unwrap_or_else(|| number(u64::MAX)),
            b'h' => rustix::system::uname().nodename().to_bytes().to_vec(),
            b'e' => without_slashes(&crash.name),
            b'f' => without_slashes(crash.program()),
            b'E' => crash.executable.as_ref().map_or_else(
                || without_slashes(&crash.name),
                |path| without_slashes(path.as_os_str()),
            ),
            b'F' => self.pidfd().unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// A descriptor of the process that the handler inherits.
    fn pidfd(&mut self) -> Option<Vec<u8>> {
        let pid = Pid::from_raw(i32::try_from(self.crash.pid).ok()?)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        rustix::io::fcntl_setfd(&pidfd, rustix::io::FdFlags::empty()).ok()?;
        let number = pidfd.as_raw_fd().to_string().into_bytes();
        self.pidfd = Some(pidfd);
        Some(number)
    }
}

/// Slashes become `!`, as the kernel has them.
fn without_slashes(name: &OsStr) -> Vec<u8> {
    name.as_bytes().iter().map(|byte| if *byte == b'/' { b'!' } else { *byte }).collect()
}

/// The process id as the process itself counts.
fn inner_pid(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let ids = status.lines().find_map(|line| line.strip_prefix("NStgid:"))?;
    ids.split_ascii_whitespace().next_back()?.parse().ok()
}

/// The soft limit of the size of cores, in bytes.
fn core_limit(pid: u32) -> Option<Vec<u8>> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max core file size"))?;
    let soft = limit.split_ascii_whitespace().next()?;
    Some(if soft == "unlimited" { u64::MAX.to_string() } else { soft.to_owned() }.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crash() -> Crash {
        Crash {
            pid: std::process::id(),
            inner_tid: 2,
            tid: 3,
            signal: 11,
            dump_mode: 1,
            uid: 1000,
            gid: 100,
            time: 77,
            name: "a b/c".into(),
            executable: Some("/usr/bin/x".into()),
        }
    }

    #[test]
    fn specifiers_become_what_the_kernel_would_have_given() {
        let crash = crash();
        let mut expansion = Expansion { crash: &crash, pidfd: None };
        let pid = crash.pid.to_string();
        for (word, expected) in [
            ("%P/%p", format!("{pid}/{pid}")),
            ("%i-%I-%s-%d-%u-%g-%t", "2-3-11-1-1000-100-77".into()),
            ("%e", "a b!c".into()),
            ("%E,%f", "!usr!bin!x,x".into()),
            ("100%%%z%", "100%".into()),
        ] {
            assert_eq!(expansion.word(word), OsString::from(expected), "{word}");
        }
        assert!(expansion.word("%c").to_str().unwrap().parse::<u64>().is_ok());
        assert!(expansion.word("%F").to_str().unwrap().parse::<u32>().is_ok());
    }

    #[test]
    fn the_handler_gets_the_whole_core_and_its_failure_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("core");
        let script = folder.path().join("script");
        fs::write(&script, format!("cat >{}; echo $* >>{0}; exit $2", out.display())).unwrap();
        let pattern = |exit| format!("|/bin/sh {} %s {exit}", script.display());
        forward(&pattern(0), &crash(), b"head ", &mut &b"tail "[..]).unwrap();
        assert_eq!(fs::read_to_string(out).unwrap(), "head tail 11 0\n");
        let failed = forward(&pattern(3), &crash(), b"", &mut &b""[..]).unwrap_err();
        assert!(failed.contains("/bin/sh"), "{failed}");
        assert!(forward("core", &crash(), b"", &mut &b""[..]).unwrap_err().contains("'core'"));
        assert!(forward("|/nowhere", &crash(), b"", &mut &b""[..]).unwrap_err().contains("start"));
    }
}
