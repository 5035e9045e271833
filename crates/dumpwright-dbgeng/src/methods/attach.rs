//! Processes as targets: attaching, detaching, ending.

use super::{OK, local};
use crate::abi::{Answer, Out, Text};
use crate::object::Client;
use crate::platform::{self, Running};
use crate::session::{State, mask};
use crate::target::{Origin, Target, wants_of_a_held_process};
use dumpwright::HResult;
use dumpwright::target::Pid;
use std::ffi::OsStr;
use std::path::Path;

/// `DEBUG_ATTACH_NONINVASIVE`.
const NONINVASIVE: u32 = 1;
/// `DEBUG_ATTACH_EXISTING`: to a process that has a debugger already.
const EXISTING: u32 = 2;
/// `DEBUG_ATTACH_NONINVASIVE_NO_SUSPEND`.
const NO_SUSPEND: u32 = 4;
/// `DEBUG_ATTACH_INVASIVE_RESUME_PROCESS`: for one that was started suspended.
const RESUME: u32 = 0x10;
/// `DEBUG_ATTACH_INVASIVE_NO_INITIAL_BREAK` and
/// `DEBUG_ATTACH_NONINVASIVE_ALLOW_PARTIAL`, which ask for what is done anyway.
const WITHOUT_EFFECT: u32 = 0x8 | 0x20;

/// `DEBUG_ATTACH_KERNEL_CONNECTION`.
const KERNEL_CONNECTION: u32 = 0;
/// `DEBUG_ATTACH_LOCAL_KERNEL`, `_EXDI_DRIVER` and `_INSTALL_DRIVER`, all of them.
const KERNEL_FLAGS: u32 = 7;

/// `DEBUG_PROCESS_DETACH_ON_EXIT` and `DEBUG_PROCESS_ONLY_THIS_PROCESS`.
const PROCESS_OPTIONS: u32 = 3;
/// `STILL_ACTIVE`.
const STILL_ACTIVE: u32 = 259;

/// `AttachProcess`. The process stands still from here on, until it is
/// detached or told to go on; with NO_SUSPEND only while a dump of it is written.
/// Attached to invasively it becomes a debuggee when it first goes on.
pub fn attach(client: &Client, server: u64, pid: u32, flags: u32) -> Answer {
    local(server)?;
    check_flags(flags)?;
    let running = Running::open(Pid(pid)).map_err(|error| {
        // As `OpenProcess` answers for an id that no process has.
        client.state.say(mask::ERROR, &format!("there is no process {pid}: {error}"));
        HResult::E_INVALIDARG
    })?;
    let (suspended, invasive) = (flags & NO_SUSPEND == 0, flags & NONINVASIVE == 0);
    attach_to(client, Pid(pid), running, suspended, invasive)
}

/// Checks attach flags.
pub fn check_flags(flags: u32) -> Answer<()> {
    let known = NONINVASIVE | EXISTING | NO_SUSPEND | RESUME | WITHOUT_EFFECT;
    let no_suspend_alone = flags & NO_SUSPEND != 0 && flags & NONINVASIVE == 0;
    if flags & !known != 0 || no_suspend_alone {
        return Err(HResult::E_INVALIDARG);
    }
    if flags & EXISTING != 0 { Err(HResult::E_NOTIMPL) } else { Ok(()) }
}

/// Makes a process a target.
pub fn attach_to(
    client: &Client,
    pid: Pid,
    running: Running,
    suspended: bool,
    invasive: bool,
) -> Answer {
    let session = &client.state.session;
    if session.state().targets.iter().any(|t| t.is_live() && t.pid() == pid) {
        client.state.say(mask::ERROR, &format!("process {pid} is a target already"));
        return Err(HResult::E_INVALIDARG);
    }
    let held = platform::hold(pid, &wants_of_a_held_process());
    let mut process = held.map_err(|error| client.state.fail(&error))?;
    if !suspended {
        process.release();
    }
    let origin = Origin::Live { running, suspended, invasive };
    session.state().add(Target::of_process(origin, process));
    OK
}

/// `AttachKernel`: to a live QEMU or KVM guest by the socket of its monitor,
/// with the options `qemu:socket=PATH`. It stands still from here on, until it
/// is detached. Other connections are not to be had.
pub fn attach_kernel(client: &Client, flags: u32, options: impl Text) -> Answer {
    let options = options.os()?.unwrap_or_default();
    if flags > KERNEL_FLAGS {
        return Err(HResult::E_INVALIDARG);
    }
    let possible = cfg!(target_os = "linux") && flags == KERNEL_CONNECTION;
    let Some(socket) = guest_socket(&options).filter(|_| possible) else {
        client.state.say(
            mask::ERROR,
            "of kernels only QEMU's guests are attached to, on Linux: connect with \
             'qemu:socket=PATH', the socket of the guest's QMP monitor",
        );
        return Err(HResult::E_NOTIMPL);
    };
    let guest = platform::hold_guest(Path::new(socket));
    let guest = guest.map_err(|error| client.state.fail(&error))?;
    client.state.session.state().add(Target::of_machine(Origin::Guest, guest));
    OK
}

/// The socket that connection options name.
fn guest_socket(options: &OsStr) -> Option<&str> {
    options.to_str()?.strip_prefix("qemu:socket=").filter(|path| !path.is_empty())
}

impl Target {
    /// Whether it is a live process.
    pub fn is_live(&self) -> bool {
        matches!(self.origin, Origin::Live { .. })
    }

    /// Ends a live process; of anything else it is only let go.
    fn terminate(self) -> Answer<Option<u32>> {
        let Target { origin, subject, execution, .. } = self;
        let Origin::Live { running, .. } = origin else { return Ok(None) };
        // First ended and then released, so that it never runs again; and then waited
        // for, since a debuggee ends only once its debugger lets it.
        let ended = running.terminate();
        drop((subject, execution));
        ended?;
        running.wait_until_ended();
        Ok(running.exit_code().ok().flatten())
    }
}

/// `DetachProcesses`: every process goes on; dump files are closed.
pub fn detach_all(client: &Client) -> Answer {
    let targets = client.state.session.state().remove_all();
    if targets.is_empty() { Err(HResult::E_UNEXPECTED) } else { OK }
}

/// `DetachCurrentProcess` and `AbandonCurrentProcess`.
pub fn detach_current(client: &Client) -> Answer {
    let target = client.state.session.state().remove_current()?;
    drop(target);
    OK
}

/// `TerminateProcesses`.
pub fn terminate_all(client: &Client) -> Answer {
    let targets = client.state.session.state().remove_all();
    if targets.is_empty() {
        return Err(HResult::E_UNEXPECTED);
    }
    terminate(client, targets)
}

/// `TerminateCurrentProcess`.
pub fn terminate_current(client: &Client) -> Answer {
    let target = client.state.session.state().remove_current()?;
    terminate(client, vec![target])
}

/// Ends all, and answers the first failure.
fn terminate(client: &Client, targets: Vec<Target>) -> Answer {
    let mut answer = OK;
    for target in targets {
        match target.terminate() {
            Ok(code) => client.state.session.state().exit_code = code,
            Err(error) => answer = answer.and(Err(error)),
        }
    }
    answer
}

/// `EndSession`. No target is ended unless it is asked for.
pub fn end_session(client: &Client, flags: u32) -> Answer {
    let targets = match flags {
        // PASSIVE, ACTIVE_TERMINATE, ACTIVE_DETACH, REENTRANT.
        0..=3 => client.state.session.state().remove_all(),
        // DISCONNECT: this client leaves, the session stays.
        4 => return OK,
        _ => return Err(HResult::E_INVALIDARG),
    };
    *client.state.session.state() = State::default();
    if flags == 1 { terminate(client, targets) } else { OK }
}

/// `GetExitCode`: of the current process, or of the last one that was ended.
pub fn exit_code(client: &Client, code: Out<u32>) -> Answer {
    let state = client.state.session.state();
    let value = match state.current() {
        Ok(Target { origin: Origin::Live { running, .. }, .. }) => {
            running.exit_code()?.unwrap_or(STILL_ACTIVE)
        }
        Ok(_) => return Err(HResult::E_UNEXPECTED),
        Err(none) => state.exit_code.ok_or(none)?,
    };
    code.put(value)?;
    OK
}

/// `GetProcessOptions`.
pub fn options(client: &Client, options: Out<u32>) -> Answer {
    options.put(client.state.session.state().process_options)?;
    OK
}

/// `SetProcessOptions`. Targets always outlive the session, so the options are
/// kept for the program and nothing else.
pub fn set_options(client: &Client, options: u32) -> Answer {
    if options & !PROCESS_OPTIONS != 0 {
        return Err(HResult::E_INVALIDARG);
    }
    client.state.session.state().process_options = options;
    OK
}

/// `AddProcessOptions`.
pub fn add_options(client: &Client, options: u32) -> Answer {
    let now = client.state.session.state().process_options;
    set_options(client, now | options)
}

/// `RemoveProcessOptions`.
pub fn remove_options(client: &Client, options: u32) -> Answer {
    let now = client.state.session.state().process_options;
    if options & !PROCESS_OPTIONS != 0 {
        return Err(HResult::E_INVALIDARG);
    }
    set_options(client, now & !options)
}
