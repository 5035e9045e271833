//! Open file descriptors, as the handles of the process.
//!
//! Nothing is opened, so nothing can block or react: `/proc` tells what a
//! descriptor leads to, and `statx` without synchronisation what kind it is.

use super::proc_dir::ProcDir;
use super::root::RootPrefix;
use super::sockets;
use crate::soft_error::SoftError;
use crate::target::HandleSnapshot;
use dumpwright_format::minidump::{FILE_GENERIC_READ, FILE_GENERIC_WRITE};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, StatxFlags};
use rustix::io::Errno;
use std::collections::HashSet;
use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

/// Lines of details that a handle keeps; an epoll can watch a million files.
const MAX_DETAILS: usize = 1024;
/// Bytes of an fdinfo file that are read, for the same reason.
const MAX_INFO: u64 = 1 << 20;
/// `FILE_WRITE_DATA`, winnt.h: the part of writing that appending lacks.
const FILE_WRITE_DATA: u32 = 0x2;

// Open flags as fdinfo prints them (include/uapi/asm-generic/fcntl.h; these
// are the same on x86 and arm64).
const O_ACCMODE: u32 = 0o3;
const O_WRONLY: u32 = 0o1;
const O_RDWR: u32 = 0o2;
const O_APPEND: u32 = 0o2000;
const O_CLOEXEC: u32 = 0o2_000_000;
const O_PATH: u32 = 0o10_000_000;

/// The open handles of a process, by number.
pub(super) fn read(proc: &ProcDir, notes: &mut Vec<SoftError>) -> Vec<HandleSnapshot> {
    let (dirs, mut numbers) = match FdDirs::open(proc) {
        Ok(opened) => opened,
        Err(error) => {
            notes.push(SoftError::new("handles", format!("cannot be listed: {error}")));
            return Vec::new();
        }
    };
    numbers.sort_unstable();
    let prefix = proc.root_prefix();
    let mut handles: Vec<HandleSnapshot> =
        numbers.into_iter().filter_map(|fd| dirs.handle(&prefix, fd, notes)).collect();
    add_endpoints(proc, &mut handles);
    handles
}

/// The two directories about descriptors, held open: looking up each of ten
/// thousand names from `/proc` on would be most of the work.
struct FdDirs {
    links: OwnedFd,
    infos: OwnedFd,
}

impl FdDirs {
    /// Opens the directories and lists the descriptors.
    fn open(proc: &ProcDir) -> io::Result<(Self, Vec<u64>)> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = |name| rustix::fs::open(proc.path(name), flags, Mode::empty());
        let dirs = FdDirs { links: open("fd")?, infos: open("fdinfo")? };
        let mut numbers = Vec::new();
        for entry in Dir::read_from(&dirs.links)? {
            numbers.extend(entry?.file_name().to_str().ok().and_then(|n| n.parse::<u64>().ok()));
        }
        Ok((dirs, numbers))
    }

    /// One handle; `None` if it was closed meanwhile.
    fn handle(
        &self,
        prefix: &RootPrefix,
        fd: u64,
        notes: &mut Vec<SoftError>,
    ) -> Option<HandleSnapshot> {
        let name = fd.to_string();
        let target = match rustix::fs::readlinkat(&self.links, name.as_str(), Vec::new()) {
            Ok(target) => target,
            Err(Errno::NOENT) => return None,
            Err(error) => {
                let subject = format!("handle {fd}");
                notes.push(SoftError::new(subject, format!("cannot be read: {error}")));
                return None;
            }
        };
        let target = prefix.strip(target.as_bytes());
        let info = self.info(&name).unwrap_or_default();
        let info = String::from_utf8_lossy(&info);
        let flags = flags(&info);
        Some(HandleSnapshot {
            handle: fd,
            type_name: type_name(target, || self.kind(&name)).to_owned(),
            object_name: String::from_utf8_lossy(target).into_owned(),
            inherit: flags.is_some_and(|flags| flags & O_CLOEXEC == 0),
            granted_access: flags.map_or(0, granted_access),
            details: details(&info),
            records: None,
        })
    }

    fn info(&self, name: &str) -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.infos, name, flags, Mode::empty())?;
        let mut info = Vec::with_capacity(256);
        // Through `take`, which spares asking a /proc file for its size.
        File::from(file).take(MAX_INFO).read_to_end(&mut info)?;
        Ok(info)
    }

    /// The kind of something that has a place in a file system.
    fn kind(&self, name: &str) -> &'static str {
        let flags = AtFlags::STATX_DONT_SYNC;
        let stat = rustix::fs::statx(&self.links, name, flags, StatxFlags::TYPE);
        match stat.map(|stat| FileType::from_raw_mode(stat.stx_mode.into())) {
            Ok(FileType::Directory) => "Directory",
            Ok(FileType::CharacterDevice | FileType::BlockDevice) => "Device",
            Ok(FileType::Fifo) => "Pipe",
            Ok(FileType::Socket) => "Socket",
            Ok(FileType::Symlink) => "SymbolicLink",
            _ => "File",
        }
    }
}

/// The `flags` line of an fdinfo file.
fn flags(info: &str) -> Option<u32> {
    u32::from_str_radix(super::file_text::value(info, "flags")?, 8).ok()
}

/// The Windows access mask that open flags correspond to.
fn granted_access(flags: u32) -> u32 {
    if flags & O_PATH != 0 {
        return 0;
    }
    let write = if flags & O_APPEND != 0 {
        FILE_GENERIC_WRITE & !FILE_WRITE_DATA
    } else {
        FILE_GENERIC_WRITE
    };
    match flags & O_ACCMODE {
        O_WRONLY => write,
        O_RDWR => FILE_GENERIC_READ | write,
        _ => FILE_GENERIC_READ,
    }
}

/// What kind of object a descriptor leads to; `by_mode` looks at the object
/// where its name does not tell.
fn type_name(target: &[u8], by_mode: impl FnOnce() -> &'static str) -> &'static str {
    if target.starts_with(b"/memfd:") {
        return "Memfd";
    }
    if target.starts_with(b"/dmabuf:") {
        return "DmaBuf";
    }
    if target.starts_with(b"/") {
        return by_mode();
    }
    if let Some(inode) = target.strip_prefix(b"anon_inode:") {
        return anonymous(inode);
    }
    match target.split(|b| *b == b':').next().unwrap_or_default() {
        b"socket" => "Socket",
        b"pipe" => "Pipe",
        // Linux 6.9 gave pidfds a file system of their own.
        b"pidfd" => "PidFd",
        b"mnt" | b"net" | b"pid" | b"uts" | b"ipc" | b"user" | b"cgroup" | b"time" => "Namespace",
        _ => by_mode(),
    }
}

/// The kind of an anonymous inode by the kernel's name for it.
fn anonymous(name: &[u8]) -> &'static str {
    let name = name.strip_prefix(b"[").unwrap_or(name);
    let name = name.strip_suffix(b"]").unwrap_or(name);
    match name {
        b"eventfd" => "EventFd",
        b"eventpoll" => "Epoll",
        b"timerfd" => "Timer",
        b"signalfd" => "SignalFd",
        b"inotify" => "Inotify",
        b"fanotify" => "Fanotify",
        b"pidfd" => "PidFd",
        b"userfaultfd" => "UserFault",
        b"io_uring" => "IoUring",
        b"perf_event" => "PerfEvent",
        b"seccomp notify" => "Seccomp",
        b"landlock-ruleset" => "Landlock",
        b"fscontext" => "FsContext",
        b"sync_file" => "SyncFile",
        _ if name.starts_with(b"bpf") || name == b"btf" => "Bpf",
        _ if name.starts_with(b"kvm") => "Kvm",
        _ => "AnonInode",
    }
}

/// The lines of an fdinfo file as `key: value`.
fn details(info: &str) -> String {
    let mut details = String::with_capacity(info.len() + 16);
    for line in info.lines().take(MAX_DETAILS) {
        match line.split_once(':') {
            Some((key, value)) => {
                let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
                push(&mut details, format_args!("{}: {value}\n", key.trim_end()));
            }
            None => push(&mut details, format_args!("{line}\n")),
        }
    }
    let left_out = info.lines().skip(MAX_DETAILS).count();
    if left_out > 0 {
        push(&mut details, format_args!("left out: {left_out} lines\n"));
    }
    details
}

fn push(text: &mut String, line: std::fmt::Arguments) {
    text.write_fmt(line).expect("a String takes whatever is written to it");
}

/// Adds protocol, state and ends to the sockets.
fn add_endpoints(proc: &ProcDir, handles: &mut [HandleSnapshot]) {
    let inodes: HashSet<u64> = handles.iter().filter_map(socket_inode).collect();
    if inodes.is_empty() {
        return;
    }
    let sockets = sockets::describe(proc, &inodes);
    for handle in handles {
        let Some(inode) = socket_inode(handle) else { continue };
        match sockets.get(&inode) {
            Some(details) => handle.details.push_str(details),
            None => {
                if let Some(protocol) = protocol(proc, handle.handle) {
                    push(&mut handle.details, format_args!("protocol: {protocol}\n"));
                }
            }
        }
    }
}

fn socket_inode(handle: &HandleSnapshot) -> Option<u64> {
    handle.object_name.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// The protocol of a socket that is in no table: an attribute of the socket's
/// inode, which needs no descriptor of it.
fn protocol(proc: &ProcDir, fd: u64) -> Option<String> {
    let path = proc.path(&format!("fd/{fd}"));
    let mut name = [0u8; 64];
    let len = rustix::fs::getxattr(path, "system.sockprotoname", &mut name[..]).ok()?;
    let name = name[..len].split(|b| *b == 0).next()?;
    Some(String::from_utf8_lossy(name).to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_follows_the_open_flags() {
        let read = FILE_GENERIC_READ;
        assert_eq!(granted_access(0), read);
        assert_eq!(granted_access(O_WRONLY), FILE_GENERIC_WRITE);
        assert_eq!(granted_access(O_RDWR), read | FILE_GENERIC_WRITE);
        assert_eq!(granted_access(O_PATH), 0);
        let append = granted_access(O_WRONLY | O_APPEND);
        assert_eq!(append & FILE_WRITE_DATA, 0);
        assert_ne!(append & dumpwright_format::minidump::FILE_APPEND_DATA, 0);
    }

    #[test]
    fn details_say_how_much_they_leave_out() {
        let info = "pos:\t0\nflags:\t02\n".to_owned() + &"tfd: 5  events: 19\n".repeat(2000);
        let details = details(&info);
        assert!(details.starts_with("pos: 0\nflags: 02\ntfd: 5 events: 19\n"));
        assert!(details.ends_with("left out: 978 lines\n"));
    }
}
