//! Death, full disks, read-only disks and limits.

use super::*;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Says which part a re-executed test binary plays, and where.
const CHILD: &str = "DUMPWRIGHT_PENDING_CHILD";

/// The child half of the tests below, run in a process of its own because it is
/// killed, or because it changes its working directory or its limits.
#[test]
#[ignore = "the child half of other tests, which run it"]
fn child() {
    let part = std::env::var(CHILD).expect("only run by the tests that set it");
    match part.as_str() {
        "write until killed" => {
            let mut file = pending(Path::new("a.dmp"), Overwrite::Replace, b"");
            loop {
                file.file().write_all(&[0xEE; 4096]).unwrap();
            }
        }
        "change folders" => {
            let file = pending(Path::new("a.dmp"), Overwrite::Refuse, b"dump");
            let below = pending(Path::new("below/b.dmp"), Overwrite::Refuse, b"dump");
            std::env::set_current_dir("elsewhere").unwrap();
            file.publish().unwrap();
            below.publish().unwrap();
        }
        "past the file size limit" => {
            let mut file = pending(Path::new("a.dmp"), Overwrite::Refuse, b"");
            file.check_space(4096).unwrap();
            let refused = file.check_space(1 << 20).unwrap_err();
            assert!(refused.to_string().contains("ulimit -f"), "{refused}");
        }
        other => panic!("no part {other:?}"),
    }
}

fn child_command(part: &str, folder: &Path) -> Command {
    let name = "package::pending::tests::faults::child";
    let mut command = Command::new("sh");
    let setup = if part.starts_with("past") { "ulimit -f 128; " } else { "" };
    command
        .args(["-c", &format!("{setup}exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env(CHILD, part)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

fn succeeds(part: &str, folder: &Path) {
    let output = child_command(part, folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Ends its child also when the test fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn partial_bytes(folder: &Path) -> u64 {
    fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap())
        .filter(|e| e.file_name().to_string_lossy().ends_with(".part"))
        .map(|e| e.metadata().unwrap().len())
        .sum()
}

#[test]
fn kill_9_in_mid_write_leaves_the_old_file_as_it_was() {
    for old in [Some("old"), None] {
        let dir = folder();
        let path = dir.path().join("a.dmp");
        if let Some(old) = old {
            fs::write(&path, old).unwrap();
        }
        let mut child = Killed(child_command("write until killed", dir.path()).spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(30);
        while partial_bytes(dir.path()) < 1 << 20 {
            assert!(Instant::now() < deadline, "the child does not write");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.0.kill().unwrap();
        assert_eq!(child.0.wait().unwrap().signal(), Some(libc::SIGKILL));
        match old {
            Some(old) => assert_eq!(fs::read_to_string(&path).unwrap(), old),
            None => assert!(!path.exists()),
        }
    }
}

#[test]
fn a_relative_path_means_the_folder_in_which_it_was_created() {
    let dir = folder();
    fs::create_dir(dir.path().join("below")).unwrap();
    fs::create_dir_all(dir.path().join("elsewhere/below")).unwrap();
    succeeds("change folders", dir.path());
    assert_eq!(names(dir.path()), ["a.dmp", "below", "elsewhere"]);
    assert_eq!(names(&dir.path().join("below")), ["b.dmp"]);
    assert_eq!(names(&dir.path().join("elsewhere")), ["below"]);
}

#[test]
fn a_dump_past_the_file_size_limit_is_refused_up_front() {
    let dir = folder();
    succeeds("past the file size limit", dir.path());
    assert!(names(dir.path()).is_empty());
}

/// A small file system of its own, gone when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    const SIZE: u64 = 1 << 20;

    /// `None`, loudly, where this user may not mount.
    fn new(options: &str) -> Option<Self> {
        let dir = folder();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={}{options}", Self::SIZE), "tmpfs"])
            .arg(dir.path())
            .output()
            .unwrap();
        if mounted.status.success() {
            return Some(SmallDisk(dir));
        }
        let why = String::from_utf8_lossy(&mounted.stderr);
        assert!(!rustix::process::geteuid().is_root() || why.contains("denied"), "{why}");
        eprintln!("SKIPPED: needs to mount a small disk, and may not: {why}");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_disk_too_small_is_found_out_up_front() {
    let Some(disk) = SmallDisk::new("") else { return };
    let path = disk.0.path().join("a.dmp");
    let mut file = pending(&path, Overwrite::Refuse, b"");
    file.check_space(SmallDisk::SIZE / 2).unwrap();
    match file.check_space(2 * SmallDisk::SIZE) {
        Err(Error::DiskFull { file, needed, available }) => {
            assert_eq!((file, needed), (path, 2 * SmallDisk::SIZE));
            assert!(available <= SmallDisk::SIZE && available > 0);
        }
        other => panic!("{other:?}"),
    }
    assert!(file.check_space(8 << 30).is_err());
}

#[test]
fn a_disk_that_runs_full_keeps_the_old_file_and_no_debris() {
    let Some(disk) = SmallDisk::new("") else { return };
    let path = disk.0.path().join("a.dmp");
    fs::write(&path, "old").unwrap();
    let mut file = pending(&path, Overwrite::Replace, b"");
    let block = vec![0xEE; 65_536];
    let full = loop {
        if let Err(e) = file.file().write_all(&block) {
            break e;
        }
    };
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    drop(file);
    assert_eq!(names(disk.0.path()), ["a.dmp"]);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    // Nothing keeps the space either.
    fs::write(disk.0.path().join("other"), vec![1; 900_000]).unwrap();
}

#[test]
fn a_read_only_disk_is_named_as_such() {
    let Some(disk) = SmallDisk::new(",ro") else { return };
    match PendingFile::create(&disk.0.path().join("a.dmp"), Overwrite::Refuse) {
        Err(Error::Io { action, source, .. }) => {
            assert_eq!(action, "create a temporary file beside");
            assert_eq!(source.kind(), io::ErrorKind::ReadOnlyFilesystem);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_folder_without_write_permission_is_named_as_such() {
    use std::os::unix::fs::PermissionsExt;
    let dir = folder();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let created = PendingFile::create(&dir.path().join("a.dmp"), Overwrite::Refuse);
    if rustix::process::geteuid().is_root() {
        // Root may write everywhere; the read-only disk above covers it.
        created.unwrap();
        return;
    }
    match created {
        Err(Error::Io { source, .. }) => {
            assert_eq!(source.kind(), io::ErrorKind::PermissionDenied);
        }
        other => panic!("{other:?}"),
    }
}
