//! Dump files as targets: what a file holds, and opening it as a process.
//!
//! The file is opened once and read in place. Whoever replaces it meanwhile
//! (a dump may be written over the one that it is made of) makes a new file:
//! this one stays readable until it is closed.

mod cabinet;
mod content;
mod unpack;

pub use content::{Content, PEEK, Packing};

use crate::error::{Error, Result};
use crate::observer::Observer;
use crate::read::Minidump;
use crate::target::machine::{MachineOptions, MachineTarget, open_machine_source};
use crate::target::minidump::MinidumpProcess;
use crate::target::userdump::UserDumpProcess;
use crate::target::{ProcessTarget, Wants};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How to open a dump file.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Where the programs and libraries are that the process had mapped, if not
    /// in this machine's root: a folder that stands for `/`, or for the root of
    /// a Windows machine's drive (or has the layout of a symbol store). They fill
    /// pages in that a core left out, and go into a CAB with secondary files.
    pub sysroot: Option<PathBuf>,
}

/// Opens the process that a dump file holds. `wants` is the request's
/// ([`DumpRequest::wants`](crate::DumpRequest::wants)).
///
/// # Errors
/// [`Error::Io`]; [`Error::NotATarget`] for a file that holds no process, or
/// none that can be made out.
pub fn open_process(
    path: &Path,
    wants: &Wants,
    options: &OpenOptions,
    observer: &dyn Observer,
) -> Result<Box<dyn ProcessTarget>> {
    let (file, content) = open_unpacked(path, observer)?;
    process_of(path, file, &content, wants, options)
}

/// What a file holds, opened.
pub enum Opened {
    /// A process, and what kind of dump it is in.
    Process(Box<dyn ProcessTarget>, Content),
    /// A machine.
    Machine(Box<dyn MachineTarget>),
}

/// Opens whatever a file holds: the machine of a memory image or kernel dump,
/// packed or not, else the process of a dump, as [`open_process`].
///
/// # Errors
/// As [`open_process`], and those of
/// [`open_machine`](crate::target::machine::open_machine).
pub fn open_target(
    path: &Path,
    wants: &Wants,
    options: &OpenOptions,
    machine: &MachineOptions,
    observer: &dyn Observer,
) -> Result<Opened> {
    let (file, content) = open_unpacked(path, observer)?;
    let copy = file.try_clone().map_err(|source| io_error("open", path, source))?;
    if let Some(machine) = open_machine_source(Box::new(copy), path, machine)? {
        return Ok(Opened::Machine(machine));
    }
    let process = process_of(path, file, &content, wants, options)?;
    Ok(Opened::Process(process, content))
}

/// The process that an unpacked file holds.
fn process_of(
    path: &Path,
    file: File,
    content: &Content,
    wants: &Wants,
    options: &OpenOptions,
) -> Result<Box<dyn ProcessTarget>> {
    match content {
        Content::Minidump => {
            let dump = Minidump::from_named_source(file, path)?;
            let target = MinidumpProcess::open(dump, wants)?;
            Ok(Box::new(target.with_sysroot(options.sysroot.clone())))
        }
        Content::UserDump => {
            let target = UserDumpProcess::open(path, file, wants)?;
            Ok(Box::new(target.with_sysroot(options.sysroot.clone())))
        }
        Content::KernelDump => {
            Err(not_a_target(path, "it is a dump of a machine and holds no single process"))
        }
        #[cfg(target_os = "linux")]
        Content::ElfCore => {
            let sysroot = options.sysroot.as_deref();
            Ok(Box::new(crate::target::core::CoreProcess::open(path, file, wants, sysroot)?))
        }
        #[cfg(not(target_os = "linux"))]
        Content::ElfCore => {
            // Which cores alone need.
            let _ = options;
            Err(not_a_target(path, "ELF cores are read on Linux only"))
        }
        Content::Packed(packing) => Err(not_a_target(
            path,
            &format!("it is packed more than {MAX_LAYERS} times, at last with {}", packing.name()),
        )),
        Content::Other(reason) => Err(not_a_target(path, reason)),
    }
}

/// How often a dump may be packed: a compressed dump in an archive.
const MAX_LAYERS: usize = 2;

/// Opens a file, takes what it holds out of what it is packed in, and tells
/// what that is. What was packed is in a temporary file without a name.
///
/// # Errors
/// [`Error::Io`]; [`Error::NotATarget`] for a file that cannot be unpacked, or
/// is no regular one; [`Error::DiskFull`].
pub fn open_unpacked(path: &Path, observer: &dyn Observer) -> Result<(File, Content)> {
    let mut file = open(path)?;
    for _ in 0..MAX_LAYERS {
        let Content::Packed(packing) = content_of(path, &file)? else { break };
        file = unpack::unpack(path, file, packing, observer)?;
    }
    let content = content_of(path, &file)?;
    Ok((file, content))
}

fn content_of(path: &Path, file: &File) -> Result<Content> {
    let start = peek(file).map_err(|source| io_error("read", path, source))?;
    Ok(Content::of(&start))
}

/// Opens a file for reading; anything but a regular file is refused, since a
/// target is read at any offset and more than once.
fn open(path: &Path) -> Result<File> {
    // Before it is opened: opening a pipe waits for its writer.
    let metadata = std::fs::metadata(path).map_err(|source| io_error("open", path, source))?;
    if !metadata.is_file() {
        return Err(not_a_target(path, "it is no regular file; write it to one first"));
    }
    File::open(path).map_err(|source| io_error("open", path, source))
}

/// The first bytes of a file.
fn peek(file: &File) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(PEEK);
    let mut file = file;
    file.take(PEEK as u64).read_to_end(&mut start)?;
    io::Seek::rewind(&mut file)?;
    Ok(start)
}

fn not_a_target(file: &Path, reason: &str) -> Error {
    Error::NotATarget { file: file.to_owned(), reason: reason.to_owned() }
}

fn io_error(action: &'static str, file: &Path, source: io::Error) -> Error {
    Error::Io { action, file: file.to_owned(), source }
}
