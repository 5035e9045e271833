//! `dump` of machines: memory images, kernel dumps, live guests.

use crate::args::DumpArgs;
use crate::output::{Failure, Outcome};
use crate::progress::Progress;
#[cfg(target_os = "linux")]
use dumpwright::target::machine::qemu::QemuMachine;
use dumpwright::target::machine::{MachineTarget, open_machine};
use dumpwright::{DumpRequest, Output, Qualifier, Result, Summary, write_machine_dump};
use std::path::{Path, PathBuf};

/// A machine that is to be dumped.
pub enum Machine {
    /// In a file, and opened.
    Open(Box<dyn MachineTarget>),
    /// A live guest, by the socket of its monitor; it is stopped last.
    Live(PathBuf),
}

/// The machine that the arguments name, if they name one.
pub fn find(args: &DumpArgs) -> Result<Option<Machine>> {
    if let Some(socket) = &args.machine.qemu {
        return Ok(Some(Machine::Live(socket.clone())));
    }
    let Some(file) = &args.open else { return Ok(None) };
    Ok(open_machine(file, &args.machine.options())?.map(Machine::Open))
}

/// Why there is no kernel dump of what the arguments name.
pub fn missing(args: &DumpArgs) -> Failure {
    match &args.open {
        Some(file) => format!(
            "'{}' holds no machine, and only machines have kernel dumps; give a memory image (of a raw one, --ranges says so) or a kernel dump",
            file.display()
        )
        .into(),
        None => Failure::Usage(
            "only machines have kernel dumps: a memory image or a kernel dump (-z), or a live guest (--qemu)".into(),
        ),
    }
}

/// The request for a machine: letters and names of types mean kernel dumps.
pub fn request(mut request: DumpRequest, args: &DumpArgs) -> Outcome<DumpRequest> {
    let by_name = args.machine.kernel_type();
    if by_name.is_some() && (!args.full.is_empty() || !args.mini.is_empty()) {
        return Err(Failure::Usage(
            "-f and -m choose a type, and so do -k, --active and --type; give one".into(),
        ));
    }
    if !args.full.is_empty() {
        request.qualifier = Qualifier::Full;
    }
    if let Some(kind) = by_name {
        request.qualifier = kind.qualifier();
    }
    if args.audit.is_some() {
        return Err(Failure::Usage(
            "an audit list (--audit) says what was removed from a process's dump, and nothing is removed from a kernel dump; leave it out".into(),
        ));
    }
    request.extensions.kernel_type = by_name;
    request.extensions.attach.clone_from(&args.machine.attach);
    request.validate_for_machine().map_err(|error| Failure::Usage(error.to_string()))?;
    Ok(request)
}

#[cfg(target_os = "linux")]
fn attach(socket: &Path, args: &DumpArgs) -> Result<Box<dyn MachineTarget>> {
    Ok(Box::new(QemuMachine::attach(socket, &args.machine.options())?))
}

#[cfg(not(target_os = "linux"))]
fn attach(socket: &Path, _: &DumpArgs) -> Result<Box<dyn MachineTarget>> {
    let reason = "live guests are dumped on Linux only; dump a memory image of it (-z)".to_owned();
    Err(dumpwright::Error::Guest { socket: socket.to_owned(), reason })
}

/// Writes the dump.
pub fn dump(
    machine: Machine,
    args: &DumpArgs,
    request: &DumpRequest,
    progress: &Progress,
) -> Result<Summary> {
    // Before the guest stands still: a name that cannot be written costs it nothing.
    let output = Output::open_for_machine(request)?;
    let target = match machine {
        Machine::Live(socket) => attach(&socket, args)?,
        Machine::Open(target) => target,
    };
    write_machine_dump(target, request, output, progress)
}
