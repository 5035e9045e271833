//! The one error type of the engine.

use crate::address::AddressRange;
use crate::soft_error::HoleReason;
use crate::target::Pid;
use dumpwright_format::{FormatFlags, Qualifier};
use std::io;
use std::path::PathBuf;

/// The command that lists processes here.
pub const LIST_PROCESSES: &str = if cfg!(windows) { "tasklist" } else { "ps -e" };

/// Why a dump was not written or not read. Each message names the thing, the
/// cause and, where there is one, the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Format-flag bits without a documented meaning.
    #[error("format flags {0:#x} are not DEBUG_FORMAT_* values; leave them out")]
    UnknownFormatFlags(u32),
    /// A qualifier without a documented meaning.
    #[error("{0} is not a DEBUG_DUMP_* value; use 1024 (SMALL) or 1025 (DEFAULT)")]
    UnknownQualifier(u32),
    /// Two flags that contradict each other.
    #[error("format flags {} and {} contradict each other; choose one", names(*.0), names(*.1))]
    ConflictingFlags(FormatFlags, FormatFlags),
    /// A qualifier that the target cannot be dumped with.
    #[error("{} cannot be written of a process; use DEBUG_DUMP_SMALL (minidump) or DEBUG_DUMP_DEFAULT (full user-mode dump)", .0.name())]
    QualifierNotForProcess(Qualifier),
    /// A qualifier that a machine cannot be dumped with.
    #[error("{} cannot be written of a machine; use DEBUG_DUMP_SMALL (triage), DEBUG_DUMP_DEFAULT (kernel), DEBUG_DUMP_FULL (complete) or DEBUG_DUMP_ACTIVE", .0.name())]
    QualifierNotForMachine(Qualifier),
    /// Format flags that say something about processes only.
    #[error("{} choose the contents of a process's dump and mean nothing for a kernel dump; leave them out and choose a type (-m, -k, -ka, -f, --active, --type)", names(*.0))]
    FlagsNotForMachine(FormatFlags),
    /// Options that contradict each other or cannot be carried out here.
    #[error("{0}")]
    InvalidRequest(String),
    /// A destination without a file name.
    #[error("the dump file has no name; give one, with its extension")]
    EmptyFileName,
    /// A destination without an extension.
    #[error("'{}' has no extension; give the file one, for example 'app.dmp'", .0.display())]
    NoExtension(PathBuf),
    /// The destination exists and must not be replaced.
    #[error("'{}' exists and was left as it is; choose another name, or have it overwritten (-o; in the API, without NO_OVERWRITE)", .0.display())]
    FileExists(PathBuf),
    /// The destination's disk cannot hold the dump.
    #[error("'{}' needs {needed} bytes and its disk has {available} free; free some, or write a smaller dump", .file.display())]
    DiskFull {
        /// Destination.
        file: PathBuf,
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        available: u64,
    },
    /// A file is too large for a cabinet.
    #[error(
        "'{name}' has {size} bytes and a CAB holds files smaller than {limit}; write it without a CAB, or leave memory out (smaller type, --max-size)"
    )]
    TooLargeForCab {
        /// Name inside the CAB.
        name: String,
        /// Its size.
        size: u64,
        /// The size it must stay below.
        limit: u64,
    },
    /// More than a 32-bit RVA can address, before any memory.
    #[error(
        "{what} would stand at file offset {offset:#x}, past what a minidump's 32-bit RVA can say; leave out some streams or memory"
    )]
    RvaOverflow {
        /// The structure.
        what: String,
        /// The offset.
        offset: u64,
    },
    /// An operation on a file failed.
    #[error("cannot {action} '{}': {source}", .file.display())]
    Io {
        /// What was tried: `create`, `write`, …
        action: &'static str,
        /// On which file.
        file: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Writing to a stream failed.
    #[error("cannot write the dump: {0}")]
    Write(#[source] io::Error),
    /// There is no such process.
    #[error("there is no process {0}; see `{LIST_PROCESSES}`")]
    NoSuchProcess(Pid),
    /// The process ended before it was held, or was killed before its memory
    /// was read: what is gone by then cannot be dumped.
    #[error("process {0} ended before it could be dumped; nothing was written")]
    ProcessEnded(Pid),
    /// Nothing may attach to the process.
    #[error("process {pid} may not be attached to: {reason}")]
    AccessDenied {
        /// The process.
        pid: Pid,
        /// Which rule forbids it, and the way out.
        reason: String,
    },
    /// Another debugger has the process.
    #[error("process {pid} is being traced by process {tracer}; detach that debugger first")]
    AlreadyTraced {
        /// The process.
        pid: Pid,
        /// The debugger.
        tracer: Pid,
    },
    /// A zombie has no memory left.
    #[error(
        "process {0} is a zombie: it has ended and has no memory left to dump; its parent has yet to reap it"
    )]
    Zombie(Pid),
    /// Kernel threads have no user memory.
    #[error("process {0} is a kernel thread: it has no user memory to dump")]
    KernelThread(Pid),
    /// A process cannot stop itself and go on writing.
    #[error(
        "process {0} is this process (or shares its threads); run dumpwright from another process"
    )]
    OwnProcess(Pid),
    /// Only a live process that this program attached to goes on under it.
    #[error(
        "this target does not run under a debugger; events happen only in a live process that was attached to by its id (processes under Wine: run dumpwright.exe inside)"
    )]
    CannotRun,
    /// Nothing happened in time.
    #[error(
        "process {pid}: nothing that was waited for happened within {seconds} s, and no dump was written; the process runs on"
    )]
    NoEvent {
        /// The process.
        pid: Pid,
        /// How long was waited.
        seconds: u64,
    },
    /// No thread could be stopped in time.
    #[error(
        "process {pid}: no thread stopped within {seconds} s (state {state}); it may wait for a device, for its child after vfork, or be frozen by a cgroup; try again when that is over"
    )]
    CannotStop {
        /// The process.
        pid: Pid,
        /// The deadline.
        seconds: u64,
        /// State of its main thread.
        state: char,
    },
    /// Something about the target could not be read at all.
    #[error("process {pid}: cannot read {what}: {source}")]
    Target {
        /// The process.
        pid: Pid,
        /// What.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// Memory that should be readable is not, and the request did not say to go on.
    #[error(
        "memory {range} ('{name}') should be readable and is not ({reason}); to go on past such memory use -mA (IGNORE_INACCESSIBLE_MEM)"
    )]
    InaccessibleMemory {
        /// The addresses.
        range: AddressRange,
        /// Name of the region.
        name: String,
        /// Why.
        reason: HoleReason,
    },
    /// A file cannot be used as a machine.
    #[error("'{}' cannot be read as the memory of a machine: {reason}", .file.display())]
    NotAMachine {
        /// The file.
        file: PathBuf,
        /// What is wrong with it, and the way out.
        reason: String,
    },
    /// A live guest could not be dumped.
    #[error("the guest behind '{}' cannot be dumped: {reason}", .socket.display())]
    Guest {
        /// The socket of its monitor.
        socket: PathBuf,
        /// Why, and the way out.
        reason: String,
    },
    /// The observer asked to stop.
    #[error("cancelled; nothing was left behind")]
    Cancelled,
    /// A file holds no process that could be dumped.
    #[error("'{}' cannot be dumped: {reason}", .file.display())]
    NotATarget {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file is not a kernel dump that can be read.
    #[error("'{}' is not a kernel dump: {reason}", .file.display())]
    NotAKernelDump {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file is not a dump that can be read.
    #[error("'{}' is not a minidump: {reason}", .file.display())]
    NotADump {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn names(flags: FormatFlags) -> String {
    flags.names().collect::<Vec<_>>().join(" | ")
}
