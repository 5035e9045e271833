//! The folder of dumps: how they are called, which of its files are ours, and
//! which go when there are too many.

use super::rules::{Counted, Rules};
use super::safe;
use dumpwright::time::CivilTime;
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the names of our dumps end with, before `dmp` or `cab`.
const MARK: &str = ".crash";
/// The longest part of a program's name that goes into a file's.
const MAX_NAME: usize = 64;
/// What the engine calls a file that is not finished.
const UNFINISHED: (&str, &str) = (".dumpwright-", ".part");
/// An unfinished file that was not written to for so long and that nobody has
/// locked is that of a handler that was killed.
const ABANDONED: Duration = Duration::from_secs(5);

/// A folder of dumps.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// A dump of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Where it is.
    pub path: PathBuf,
    /// The program's name as the file's has it.
    pub program: String,
    /// When it was made, as the file's name has it; sorts by time.
    pub made: String,
    /// Its bytes.
    pub size: u64,
}

impl Folder {
    /// Opens the folder, which is made if it is not there.
    ///
    /// # Errors
    /// See [`safe::folder`].
    pub fn open(path: &Path) -> Result<Folder, String> {
        Ok(Folder { path: safe::folder(path)? })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name of a new dump: `nginx_2026-11-24_03-13-53-042_1234.crash.dmp`.
    pub fn new_name(&self, program: &OsStr, pid: u32, at: SystemTime, extension: &str) -> PathBuf {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let CivilTime { year, month, day, hour, minute, second } =
            CivilTime::from_unix(since.as_secs());
        let milli = since.subsec_millis();
        let program = plain_name(program);
        self.path.join(format!(
            "{program}_{year:04}-{month:02}-{day:02}_{hour:02}-{minute:02}-{second:02}-{milli:03}_{pid}{MARK}.{extension}"
        ))
    }

    /// Our dumps in it, the oldest first.
    ///
    /// # Errors
    /// It cannot be listed.
    pub fn dumps(&self) -> io::Result<Vec<Kept>> {
        let own = rustix::process::geteuid().as_raw();
        let mut dumps = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            let Some((program, made)) = parse_name(&path) else { continue };
            if metadata.is_file() && metadata.uid() == own {
                dumps.push(Kept { path, program, made, size: metadata.len() });
            }
        }
        dumps.sort_by(|a, b| (&a.made, &a.path).cmp(&(&b.made, &b.path)));
        Ok(dumps)
    }

    /// Removes the dumps that are too many, or too large together, now that
    /// `new` is there; answers which. `apart` are the programs that are counted
    /// on their own.
    ///
    /// # Errors
    /// The folder cannot be listed, or a dump not be removed.
    pub fn keep_to(
        &self,
        rules: &Rules,
        apart: &BTreeSet<&str>,
        new: &Path,
    ) -> io::Result<Vec<PathBuf>> {
        let mut dumps = self.dumps()?;
        let mut removed = Vec::new();
        let program = parse_name(new).map(|(program, _)| program).unwrap_or_default();
        let apart: BTreeSet<_> = apart.iter().map(|name| plain_name(OsStr::new(name))).collect();
        let counts = |kept: &Kept| match rules.counted {
            Counted::Program => kept.program == program,
            Counted::Folder => !apart.contains(&kept.program),
        };
        let mut surplus = dumps.iter().filter(|d| counts(d)).count().saturating_sub(rules.count);
        let mut bytes: u64 = dumps.iter().map(|dump| dump.size).sum();
        dumps.retain(|dump| dump.path != new);
        for dump in dumps {
            let one_too_many = surplus > 0 && counts(&dump);
            if one_too_many || bytes > rules.budget {
                surplus = surplus.saturating_sub(usize::from(counts(&dump)));
                bytes = bytes.saturating_sub(dump.size);
                remove(&dump.path)?;
                removed.push(dump.path);
            }
        }
        Ok(removed)
    }

    /// Removes the oldest dump; answers which, or `None` if there is none.
    ///
    /// # Errors
    /// As [`keep_to`](Self::keep_to).
    pub fn remove_oldest(&self) -> io::Result<Option<PathBuf>> {
        let Some(oldest) = self.dumps()?.into_iter().next() else { return Ok(None) };
        remove(&oldest.path)?;
        Ok(Some(oldest.path))
    }

    /// Removes what handlers that were killed in the middle have left.
    pub fn sweep(&self) {
        let own = rustix::process::geteuid().as_raw();
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            let unfinished = name.starts_with(UNFINISHED.0) && name.ends_with(UNFINISHED.1);
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            let age = metadata.modified().ok().and_then(|at| at.elapsed().ok()).unwrap_or_default();
            let ours = unfinished && metadata.is_file() && metadata.uid() == own;
            if ours && age > ABANDONED && !is_written(&path, age) {
                // The next crash tries again.
                let _ = remove(&path);
            }
        }
    }
}

/// Whether whoever writes an unfinished file is still there: the engine locks
/// it, and the kernel takes the lock back however the writer ends. Where the
/// file system knows no locks, its age has to tell.
fn is_written(path: &Path, age: Duration) -> bool {
    const LONG: Duration = Duration::from_secs(3600);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::open(path, flags, Mode::empty()) else { return false };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => false,
        Err(Errno::WOULDBLOCK) => true,
        Err(_) => age < LONG,
    }
}

/// Removes a file; that another handler was first is no error.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A program's name with letters that mean nothing to shells and file systems.
fn plain_name(program: &OsStr) -> String {
    let plain = |byte: &u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'+' | b'-' | b'_' => *byte as char,
        _ => '-',
    };
    let name: String = program.as_bytes().iter().take(MAX_NAME).map(plain).collect();
    // No hidden files, and none that look like options.
    let name = name.trim_start_matches(['.', '-']);
    if name.is_empty() { "unnamed".into() } else { name.into() }
}

/// Program and time of a name that [`Folder::new_name`] made.
fn parse_name(path: &Path) -> Option<(String, String)> {
    let name = path.file_name()?.to_str()?;
    let stem = name.strip_suffix(".dmp").or_else(|| name.strip_suffix(".cab"))?;
    let mut parts = stem.strip_suffix(MARK)?.rsplitn(4, '_');
    let (pid, time, date, program) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let shaped = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text
                .bytes()
                .zip(shape.bytes())
                .all(|(byte, like)| if like == b'0' { byte.is_ascii_digit() } else { byte == like })
    };
    let ours = shaped(date, "0000-00-00")
        && shaped(time, "00-00-00-000")
        && !pid.is_empty()
        && pid.bytes().all(|byte| byte.is_ascii_digit())
        && !program.is_empty();
    ours.then(|| (program.to_owned(), format!("{date}_{time}")))
}

#[cfg(test)]
mod tests;
