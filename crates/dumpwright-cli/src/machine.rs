//! `dump` of machines: memory images, kernel dumps, live guests.

use crate::args::DumpArgs;
use crate::output::{Failure, Outcome};
use crate::progress::Progress;
use dumpwright::target::ProcessTarget;
use dumpwright::target::dump_file::{Content, Opened, PEEK, open_target};
#[cfg(target_os = "linux")]
use dumpwright::target::machine::qemu::QemuMachine;
use dumpwright::target::machine::{MachineTarget, open_machine};
use dumpwright::{
    DumpRequest, OpenOptions, Output, Qualifier, Result, Summary, write_machine_dump,
};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A machine that is to be dumped.
pub enum Machine {
    /// In a file, and opened.
    Open(Box<dyn MachineTarget>),
    /// A live guest, by the socket of its monitor; it is stopped last.
    Live(PathBuf),
}

/// What the arguments name.
pub enum Found {
    /// A machine.
    Machine(Machine),
    /// The process of a dump that had to be unpacked to see what it is.
    Process(Box<dyn ProcessTarget>),
    /// Nothing that was opened yet, and no machine.
    Other,
}

/// The machine that the arguments name, if they name one.
pub fn find(args: &DumpArgs, request: &DumpRequest) -> Result<Found> {
    if let Some(socket) = &args.machine.qemu {
        return Ok(Found::Machine(Machine::Live(socket.clone())));
    }
    let Some(file) = &args.open else { return Ok(Found::Other) };
    let machine = args.machine.options();
    if !is_packed(file) {
        let found = open_machine(file, &machine)?.map(Machine::Open);
        return Ok(found.map_or(Found::Other, Found::Machine));
    }
    // Unpacked once, whatever it holds.
    let options = OpenOptions { sysroot: args.sysroot.clone() };
    Ok(match open_target(file, &request.wants(), &options, &machine, &Progress::new())? {
        Opened::Machine(target) => Found::Machine(Machine::Open(target)),
        Opened::Process(target, _) => Found::Process(target),
    })
}

/// Whether a file is something that has to be unpacked; one that cannot be read
/// is left to those who can say why.
fn is_packed(file: &Path) -> bool {
    let mut start = Vec::new();
    // Opening a pipe would wait for its writer.
    let opened = file.is_file().then(|| File::open(file).ok()).flatten();
    let read = opened.and_then(|file| file.take(PEEK as u64).read_to_end(&mut start).ok());
    read.is_some() && matches!(Content::of(&start), Content::Packed(_))
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
