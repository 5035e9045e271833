//! Looking up paths inside the root directory of another process.
//!
//! Following `/proc/<pid>/root/etc/localtime` naively leaves a container: the
//! kernel resolves an absolute symbolic link on the way against the *dumper's*
//! root. `openat2(RESOLVE_IN_ROOT)` does it right; where it is missing (before
//! Linux 5.6, or filtered by seccomp) the path is walked here, component by
//! component.

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// The target's root directory as the dumper sees it, when that is another.
///
/// Paths in `/proc` are those of the *reader*: of a process after `chroot` they
/// begin with its root. (Those of another mount namespace do not.)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RootPrefix(Vec<u8>);

impl RootPrefix {
    /// From what the magic link `root` of the target says.
    pub fn of(root: &Path) -> Self {
        let prefix = std::fs::read_link(root).map(|p| p.into_os_string().into_encoded_bytes());
        // `/` is no prefix to take off.
        RootPrefix(prefix.ok().filter(|p| p != b"/").unwrap_or_default())
    }

    /// A path as the target sees it, if it lies in the target's root.
    pub fn strip<'p>(&self, path: &'p [u8]) -> &'p [u8] {
        match path.strip_prefix(self.0.as_slice()) {
            Some(b"") if !self.0.is_empty() => b"/",
            Some(rest) if rest.starts_with(b"/") => rest,
            _ => path,
        }
    }
}

/// Symbolic links that one lookup may follow, as in the kernel.
const MAX_LINKS: u32 = 40;

/// Finds `path` in the root that the magic link `root` leads to; the result is
/// an `O_PATH` descriptor.
pub(in crate::target) fn find(root: &Path, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(root, flags, Mode::empty())?;
    let found = rustix::fs::openat2(
        &root,
        path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    );
    match found {
        // EPERM: an older seccomp filter that does not know the call.
        Err(Errno::NOSYS | Errno::PERM) => walk(root, path),
        other => Ok(other?),
    }
}

/// Opens what an `O_PATH` descriptor stands for, if it is a regular file: a
/// device or FIFO must not notice that it is being looked at.
pub(in crate::target) fn open_regular(found: &OwnedFd) -> io::Result<File> {
    if file_type(found)? != FileType::RegularFile {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let link = format!("/proc/self/fd/{}", found.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    Ok(File::from(rustix::fs::open(link, flags, Mode::empty())?))
}

fn file_type(fd: impl AsFd) -> io::Result<FileType> {
    let stat = rustix::fs::statx(
        fd,
        "",
        AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC,
        StatxFlags::TYPE,
    )?;
    Ok(FileType::from_raw_mode(stat.stx_mode.into()))
}

/// `RESOLVE_IN_ROOT` by hand.
fn walk(root: OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // The directories from the root to where the walk stands; `..` pops one,
    // and at the root stays there.
    let mut stack = vec![root];
    let mut todo = components_reversed(path);
    let mut links = 0;
    while let Some(step) = todo.pop() {
        match step {
            Step::Root => stack.truncate(1),
            Step::Up => stack.truncate((stack.len() - 1).max(1)),
            Step::Into(name) => {
                let here = stack.last().expect("the root is never popped");
                let next =
                    rustix::fs::openat(here, OsStr::from_bytes(&name), flags, Mode::empty())?;
                if file_type(&next)? != FileType::Symlink {
                    stack.push(next);
                    continue;
                }
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP.into());
                }
                let target = rustix::fs::readlinkat(&next, "", Vec::new())?;
                todo.extend(components_reversed(Path::new(OsStr::from_bytes(target.as_bytes()))));
            }
        }
    }
    Ok(stack.pop().expect("the root is never popped"))
}

/// One step of a walk.
enum Step {
    Root,
    Up,
    Into(Vec<u8>),
}

fn components_reversed(path: &Path) -> Vec<Step> {
    path.components()
        .rev()
        .filter_map(|component| match component {
            Component::RootDir => Some(Step::Root),
            Component::ParentDir => Some(Step::Up),
            Component::Normal(name) => Some(Step::Into(name.as_bytes().to_vec())),
            Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    fn open_dir(path: &Path) -> OwnedFd {
        rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap()
    }

    fn text(found: &OwnedFd) -> String {
        let mut text = String::new();
        open_regular(found).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn links_of_a_container_stay_inside_its_root() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("usr/lib")).unwrap();
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::write(root.path().join("usr/lib/os-release"), "inside").unwrap();
        symlink("/usr/lib/os-release", root.path().join("etc/absolute")).unwrap();
        symlink("../../../../usr/lib/os-release", root.path().join("etc/escaping")).unwrap();
        for name in ["/etc/absolute", "etc/escaping", "/../etc/./absolute"] {
            let by_kernel = find(root.path(), Path::new(name)).unwrap();
            let by_hand = walk(open_dir(root.path()), Path::new(name)).unwrap();
            assert_eq!(text(&by_kernel), "inside", "{name} by openat2");
            assert_eq!(text(&by_hand), "inside", "{name} by hand");
        }
    }

    #[test]
    fn only_a_whole_root_is_taken_off_a_path() {
        let prefix = RootPrefix(b"/jail".to_vec());
        assert_eq!(prefix.strip(b"/jail/bin/x"), b"/bin/x");
        assert_eq!(prefix.strip(b"/jail"), b"/");
        assert_eq!(prefix.strip(b"/jailed/x"), b"/jailed/x");
        assert_eq!(prefix.strip(b"[heap]"), b"[heap]");
        assert_eq!(RootPrefix::default().strip(b""), b"");
        assert_eq!(RootPrefix::of(Path::new("/proc/self/root")), RootPrefix::default());
    }

    #[test]
    fn a_loop_of_links_ends_with_an_error() {
        let root = tempfile::tempdir().unwrap();
        symlink("/b", root.path().join("a")).unwrap();
        symlink("/a", root.path().join("b")).unwrap();
        assert!(find(root.path(), Path::new("/a")).is_err());
        assert!(walk(open_dir(root.path()), Path::new("/a")).is_err());
    }

    #[test]
    fn a_fifo_is_refused_and_never_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let fifo = root.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
        let found = find(root.path(), Path::new("/fifo")).unwrap();
        assert!(open_regular(&found).is_err());
    }
}
