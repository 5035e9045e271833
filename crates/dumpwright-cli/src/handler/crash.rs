//! What the kernel says of a crash: the arguments that `core_pattern` asks for,
//! and the names of the program.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// What `core_pattern` asks for, in this order (core(5)).
pub const SPECIFIERS: &str = "%P %i %I %s %d %u %g %t %e";

/// A crash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Crash {
    /// `%P`: process id in the first namespace.
    pub pid: u32,
    /// `%i`: thread id as the process counts.
    pub inner_tid: u32,
    /// `%I`: thread id in the first namespace.
    pub tid: u32,
    /// `%s`: signal.
    pub signal: u32,
    /// `%d`: dump mode, 2 for a program that only root may read.
    pub dump_mode: u32,
    /// `%u`: real user.
    pub uid: u32,
    /// `%g`: real group.
    pub gid: u32,
    /// `%t`: seconds since 1970.
    pub time: u64,
    /// `%e`: name of the thread that crashed.
    pub name: OsString,
    /// The executable, as the process sees it.
    pub executable: Option<PathBuf>,
}

impl Crash {
    /// From the arguments of the kernel.
    pub fn parse(arguments: &[OsString]) -> Result<Crash, String> {
        let mut arguments = arguments.iter();
        let mut number = |what: &str| {
            let argument = arguments.next().and_then(|a| a.to_str());
            argument.and_then(|a| a.parse::<u64>().ok()).ok_or_else(|| {
                format!("the kernel gives no {what}; core_pattern should ask for {SPECIFIERS}")
            })
        };
        let mut half = |what| Ok::<_, String>(number(what)? as u32);
        let mut crash = Crash {
            pid: half("process id")?,
            inner_tid: half("thread id (%i)")?,
            tid: half("thread id (%I)")?,
            signal: half("signal")?,
            dump_mode: half("dump mode")?,
            uid: half("user")?,
            gid: half("group")?,
            time: number("time")?,
            ..Crash::default()
        };
        let rest: Vec<_> = arguments.map(|a| a.as_bytes()).collect();
        crash.name = OsString::from_vec(rest.join(&b' '));
        // Once the main thread has ended its files are empty; those of the thread
        // that crashed are there.
        crash.executable = executable(crash.tid).or_else(|| executable(crash.pid));
        Ok(crash)
    }

    /// The file name of the executable; the thread's name where that is not known.
    pub fn program(&self) -> &OsStr {
        let file_name = self.executable.as_ref().and_then(|path| path.file_name());
        file_name.unwrap_or(&self.name)
    }
}

fn executable(id: u32) -> Option<PathBuf> {
    let path = std::fs::read_link(format!("/proc/{id}/exe")).ok()?.into_os_string().into_vec();
    let path = path.strip_suffix(b" (deleted)").unwrap_or(&path).to_vec();
    Some(OsString::from_vec(path).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Crash, String> {
        Crash::parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_name_with_blanks_or_none_is_what_is_left() {
        let numbers = ["4194305", "2", "4194306", "11", "1", "0", "5", "1795489199"];
        let crash = parse(&[&numbers[..], &["a", "b"]].concat()).unwrap();
        assert_eq!((crash.pid, crash.inner_tid, crash.tid), (4_194_305, 2, 4_194_306));
        assert_eq!((crash.signal, crash.gid, crash.time), (11, 5, 1_795_489_199));
        assert_eq!((crash.name.to_str(), crash.executable.as_ref()), (Some("a b"), None));
        assert_eq!(crash.program(), "a b");
        assert_eq!(parse(&numbers).unwrap().program(), "");
        assert!(parse(&["1", "2", "x"]).unwrap_err().contains("(%I)"));
    }

    #[test]
    fn the_program_is_known_by_its_executable() {
        let pid = std::process::id().to_string();
        let crash = parse(&[&pid, "1", &pid, "6", "1", "0", "0", "0", "a-thread"]).unwrap();
        assert_eq!(crash.program(), std::env::current_exe().unwrap().file_name().unwrap());
    }
}
