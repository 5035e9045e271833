//! Handing the core on to the handler that was there before, as the kernel
//! would have: the same arguments, the whole core on standard input, and the
//! process held meanwhile.

use super::crash::Crash;
use rustix::fs::Mode;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::{Command, Stdio};
use std::thread;

/// What the kernel starts handlers with.
const KERNEL_UMASK: u32 = 0o022;

/// Starts the handler of `pattern` and gives it the core.
///
/// # Errors
/// `pattern` is no pipe, or its handler cannot be started, or fails.
pub fn forward(pattern: &str, crash: &Crash, core: &mut dyn Read) -> Result<(), String> {
    let command = pattern.strip_prefix('|').ok_or_else(|| {
        format!("what was there before, '{pattern}', is no program to hand the core on to")
    })?;
    let mut words = command.split_ascii_whitespace();
    let program = words.next().ok_or("the handler that was there before has no name")?;
    let mut expansion = Expansion { crash, pidfd: None };
    let arguments: Vec<_> = words.map(|word| expansion.word(word)).collect();
    let failed = |what: &str, error: io::Error| format!("{what} '{program}': {error}");
    // Files that it makes have the modes that they would have without us.
    rustix::process::umask(Mode::from_raw_mode(KERNEL_UMASK));
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
    let copied = io::copy(core, &mut input);
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
            b'h' => escaped(&host_name(crash.pid)),
            b'e' => escaped(crash.name.as_bytes()),
            b'f' => {
                let path = executable(crash);
                escaped(path.rsplit(|byte| *byte == b'/').next().unwrap_or_default())
            }
            b'E' => escaped(&executable(crash)),
            b'C' => processor(crash).unwrap_or_else(|| number(0)),
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

/// A name as the kernel has it in arguments: one that is no path, and not empty.
fn escaped(name: &[u8]) -> Vec<u8> {
    match name {
        b"" | b"." => b"!".to_vec(),
        b".." => b"!.".to_vec(),
        name => name.iter().map(|byte| if *byte == b'/' { b'!' } else { *byte }).collect(),
    }
}

/// The executable's path as the process itself would see it, with the kernel's
/// ` (deleted)`; the thread's name where it is not known.
fn executable(crash: &Crash) -> Vec<u8> {
    let link = |name: &str| {
        let link = fs::read_link(format!("/proc/{}/{name}", crash.tid)).ok()?;
        Some(link.into_os_string().into_vec())
    };
    let Some(path) = link("exe") else {
        let known = crash.executable.as_ref().map_or(crash.name.as_os_str(), |p| p.as_os_str());
        return known.as_bytes().to_vec();
    };
    // Of a process after chroot, links show where its root is for us.
    let root = link("root").filter(|root| root != b"/");
    let inside = root.as_ref().and_then(|root| path.strip_prefix(root.as_slice()));
    inside.filter(|rest| rest.starts_with(b"/")).unwrap_or(&path).to_vec()
}

/// The name of the machine, or of the container that the process is in.
fn host_name(pid: u32) -> Vec<u8> {
    // Only this thread goes there.
    let inner = thread::spawn(move || {
        let namespace = fs::File::open(format!("/proc/{pid}/ns/uts")).ok()?;
        let kind = Some(LinkNameSpaceType::HostNameAndNISDomainName);
        move_into_link_name_space(namespace.as_fd(), kind).ok()?;
        Some(own_host_name())
    });
    inner.join().ok().flatten().unwrap_or_else(own_host_name)
}

fn own_host_name() -> Vec<u8> {
    rustix::system::uname().nodename().to_bytes().to_vec()
}

/// The processor that the thread was on (proc_pid_stat(5), field 39).
fn processor(crash: &Crash) -> Option<Vec<u8>> {
    let stat = fs::read(format!("/proc/{}/task/{}/stat", crash.pid, crash.tid)).ok()?;
    // The name before the last parenthesis can hold anything.
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 2;
    let processor = stat[after_name..].split(|byte| *byte == b' ').nth(39 - 3)?;
    Some(processor.to_vec())
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
            tid: std::process::id(),
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
        let own = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
        let file = own.rsplit('/').next().unwrap();
        for (word, expected) in [
            ("%P/%p", format!("{pid}/{pid}")),
            ("%i-%I-%s-%d-%u-%g-%t", format!("2-{pid}-11-1-1000-100-77")),
            ("%e", "a b!c".into()),
            ("%E,%f", format!("{},{file}", own.replace('/', "!"))),
            ("%h", String::from_utf8(own_host_name()).unwrap()),
            ("100%%%z%", "100%".into()),
        ] {
            assert_eq!(expansion.word(word), OsString::from(expected), "{word}");
        }
        assert!(expansion.word("%c").to_str().unwrap().parse::<u64>().is_ok());
        assert!(expansion.word("%C").to_str().unwrap().parse::<u32>().is_ok());
        assert!(expansion.word("%F").to_str().unwrap().parse::<u32>().is_ok());
    }

    #[test]
    fn names_that_would_be_paths_or_nothing_are_none() {
        for (name, expected) in [("", "!"), (".", "!"), ("..", "!."), ("a/../b", "a!..!b")] {
            assert_eq!(escaped(name.as_bytes()), expected.as_bytes(), "{name}");
        }
        // What cannot be seen of a process is taken from what is known of it.
        let gone = Crash { pid: 4_194_305, tid: 4_194_305, ..crash() };
        assert_eq!(executable(&gone), b"/usr/bin/x");
        assert_eq!(host_name(gone.pid), own_host_name());
    }

    #[test]
    fn the_handler_gets_the_whole_core_and_its_failure_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("core");
        let script = folder.path().join("script");
        fs::write(&script, format!("cat >{}; echo $* >>{0}; exit $2", out.display())).unwrap();
        let pattern = |exit| format!("|/bin/sh {} %s {exit}", script.display());
        forward(&pattern(0), &crash(), &mut b"head ".chain(&b"tail "[..])).unwrap();
        assert_eq!(fs::read_to_string(out).unwrap(), "head tail 11 0\n");
        let failed = forward(&pattern(3), &crash(), &mut &b""[..]).unwrap_err();
        assert!(failed.contains("/bin/sh"), "{failed}");
        assert!(forward("core", &crash(), &mut &b""[..]).unwrap_err().contains("'core'"));
        assert!(forward("|/nowhere", &crash(), &mut &b""[..]).unwrap_err().contains("start"));
    }
}
