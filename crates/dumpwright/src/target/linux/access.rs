//! Why a process may not be attached to, and the way out: the kernel says no
//! more than EPERM.

use super::task::TaskStatus;
use crate::target::Pid;
use std::fmt::Write as _;
use std::fs;
use std::io;

/// The rule that forbids attaching to `pid`, and what to do about it.
pub(super) fn explain(pid: Pid, error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => Circumstances::of(pid).reason(),
        // A seccomp filter or a sandboxed kernel.
        Some(libc::ENOSYS) => format!(
            "ptrace is not available here ({error}); in a container, allow it with --cap-add=SYS_PTRACE or another seccomp profile"
        ),
        _ => error.to_string(),
    }
}

/// What the answer depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Circumstances {
    /// Our effective user.
    our_uid: u32,
    /// Real, effective, saved user of the process.
    their_uids: Option<[u32; 3]>,
    /// Whether we have `CAP_SYS_PTRACE`.
    privileged: bool,
    /// `/proc/sys/kernel/yama/ptrace_scope`
    yama: Option<u32>,
}

impl Circumstances {
    fn of(pid: Pid) -> Self {
        const CAP_SYS_PTRACE: u64 = 1 << 19;
        // The calling thread's own: its credentials are what counts.
        let own = TaskStatus::read("/proc/thread-self/status").ok();
        let capabilities = own.and_then(|s| s.mask("CapEff")).unwrap_or_default();
        let their_uids = TaskStatus::read(format!("/proc/{pid}/status")).ok().and_then(|s| {
            let mut uids = s.field("Uid")?.split_ascii_whitespace().map(str::parse);
            Some([uids.next()?.ok()?, uids.next()?.ok()?, uids.next()?.ok()?])
        });
        Circumstances {
            our_uid: rustix::process::geteuid().as_raw(),
            their_uids,
            privileged: capabilities & CAP_SYS_PTRACE != 0,
            yama: fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope")
                .ok()
                .and_then(|text| text.trim().parse().ok()),
        }
    }

    fn reason(self) -> String {
        if self.yama == Some(3) {
            return "kernel.yama.ptrace_scope is 3, which forbids ptrace to everybody until the next boot; set it to 1 or 0 in /etc/sysctl.d and reboot".into();
        }
        if self.privileged {
            return "we have CAP_SYS_PTRACE and still may not: it belongs to an outer user namespace, or a security module (SELinux, AppArmor, a container's seccomp profile) forbids it; run dumpwright outside the container, as root".into();
        }
        let mut reason = String::new();
        match self.their_uids {
            // Writing to a String cannot fail.
            Some([real, ..]) if real != self.our_uid => {
                let _ = write!(
                    reason,
                    "it runs as user {real} and we are user {}; run dumpwright as that user, or with sudo",
                    self.our_uid
                );
            }
            Some([_, effective, saved]) if [effective, saved] != [self.our_uid; 2] => {
                let other = if effective == self.our_uid { saved } else { effective };
                let _ = write!(
                    reason,
                    "it was started by user {} and has the rights of user {other} (a set-user-ID program); run dumpwright with sudo",
                    self.our_uid
                );
            }
            _ => match self.yama {
                Some(1) => reason.push_str(
                    "kernel.yama.ptrace_scope is 1, which allows a process to attach only to its own children; run dumpwright with sudo, or set it to 0 (`sysctl kernel.yama.ptrace_scope=0`), or let the program call prctl(PR_SET_PTRACER)",
                ),
                Some(2) => reason.push_str(
                    "kernel.yama.ptrace_scope is 2, which allows only root to attach; run dumpwright with sudo",
                ),
                _ => reason.push_str(
                    "it is not dumpable (a set-user-ID or otherwise privileged program, or prctl(PR_SET_DUMPABLE, 0)) or a sandbox forbids ptrace; run dumpwright with sudo",
                ),
            },
        }
        reason.push_str(" (needs CAP_SYS_PTRACE; in a container, --cap-add=SYS_PTRACE)");
        reason
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAME_USER: Circumstances =
        Circumstances { our_uid: 1000, their_uids: Some([1000; 3]), privileged: false, yama: None };

    fn reason(circumstances: Circumstances) -> String {
        circumstances.reason()
    }

    #[test]
    fn each_rule_is_named_with_its_way_out() {
        let other = Circumstances { their_uids: Some([0; 3]), ..SAME_USER };
        assert!(reason(other).starts_with("it runs as user 0 and we are user 1000; run"));
        let set_uid = reason(Circumstances { their_uids: Some([1000, 0, 0]), ..SAME_USER });
        assert!(set_uid.starts_with("it was started by user 1000 and has the rights of user 0"));
        for (scope, way_out) in [(1, "PR_SET_PTRACER"), (2, "with sudo"), (3, "reboot")] {
            let text = reason(Circumstances { yama: Some(scope), ..SAME_USER });
            assert!(text.contains(&format!("ptrace_scope is {scope}")), "{text}");
            assert!(text.contains(way_out), "{text}");
        }
        assert!(reason(SAME_USER).contains("not dumpable"));
        let privileged = Circumstances { privileged: true, ..other };
        assert!(reason(privileged).contains("outside the container"));
    }

    #[test]
    fn an_error_that_is_no_prohibition_is_told_as_it_is() {
        let error = io::Error::from_raw_os_error(libc::EIO);
        assert_eq!(explain(Pid(1), &error), error.to_string());
        let missing = explain(Pid(1), &io::Error::from_raw_os_error(libc::ENOSYS));
        assert!(missing.contains("--cap-add=SYS_PTRACE"));
    }
}
