//! The command line.

use crate::flag_args::FlagArgs;
#[cfg(target_os = "linux")]
use crate::handler::HandlerCommand;
use crate::machine_args::MachineArgs;
use crate::numbers::{parse_number, parse_range, parse_size};
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use dumpwright::Qualifier;
use dumpwright::address::AddressRange;
use std::path::PathBuf;

/// Writes crash dumps (minidumps) of live processes, and reads them.
#[derive(Debug, Parser)]
#[command(name = "dumpwright", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed; one line on standard error says why
  2    the command line was wrong
  3    `verify` found faults
  130  interrupted (SIGINT, SIGTERM or SIGHUP; a second one ends at once)
A dump that was not finished leaves nothing behind, and an existing file as it was.

DUMPWRIGHT_LOG=debug in the environment shows what the engine does.";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a dump of a live process, or of one that another dump holds
    Dump(Box<DumpArgs>),
    /// Show what a minidump holds, its comment first
    Info(InfoArgs),
    /// Check a minidump's structure and meaning; exit 3 and a list of faults if it is bad
    Verify(VerifyArgs),
    /// Dump a small built-in program in three ways and show the result
    Demo(DemoArgs),
    /// The program that `demo` dumps
    #[command(hide = true)]
    DemoTarget,
    /// Resume what a dumpwright that was killed held
    #[cfg(windows)]
    #[command(hide = true)]
    Keep {
        /// Handle of its process
        process: u64,
        /// Handle of the section with what it holds
        section: u64,
    },
    /// Be the machine's crash handler: set it up, look at it, take it away
    #[cfg(target_os = "linux")]
    Handler {
        /// What to do
        #[command(subcommand)]
        command: HandlerCommand,
    },
    /// Print completions for a shell
    #[command(after_help = COMPLETIONS)]
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the manual page, or write one page per command into a folder
    #[command(after_help = MAN)]
    Man {
        /// The folder
        directory: Option<PathBuf>,
    },
}

const INFO: &str = "\
What was left out of the dump, and what could not be had, stands under Soft errors.

Examples:
  dumpwright info app.dmp
  dumpwright info --json app.dmp | jq '.modules[].name'";

const VERIFY: &str = "\
Streams and lists must lie inside the file and not overlap, and must agree with
each other: threads with their stacks, memory lists with each other.

Examples:
  dumpwright verify app.dmp && gzip app.dmp
  dumpwright verify --json app.dmp      # a list of faults, empty for a sound dump";

const COMPLETIONS: &str = "\
Examples:
  dumpwright completions bash > ~/.local/share/bash-completion/completions/dumpwright
  dumpwright completions zsh > ~/.zfunc/_dumpwright
  dumpwright completions fish > ~/.config/fish/completions/dumpwright.fish";

const MAN: &str = "\
Examples:
  dumpwright man | man -l -
  dumpwright man ~/.local/share/man/man1";

const DOT_DUMP: &str = "\
WinDbg's .dump letters, with - for /:
  -m[LETTERS]  minidump (the default). Letters, in any order:
                 a  the same as fFhut
                 A  the same, and go on past unreadable memory
                 f  full memory
                 F  information on the whole address space
                 h  handles
                 u  unloaded modules
                 t  thread information
                 i  memory that stacks and registers point to
                 p  process and thread data (what stands for PEB and TEBs)
                 w  private read-write pages
                 d  writable image segments
                 c  executable image segments
                 r  zero what the stack trace does not need
                 R  names instead of paths
                 y  AVX and later registers
  -f[y]        full user-mode dump (DEBUG_DUMP_DEFAULT), written as -ma is
  -f           of a machine: complete memory dump (DEBUG_DUMP_FULL)
  -k[a]        of a machine: kernel memory; a = with that of the current process
  -b[a]        pack the dump into a CAB; a = with images and debug files
  -xt TID      the thread that the exception happened in
  -xc ADDR     a ucontext_t in the target: the registers at the exception
  -xr ADDR     a siginfo_t in the target: the exception
  -xp ADDR     two pointers in the target: to a siginfo_t and a ucontext_t
               (of Windows processes CONTEXT, EXCEPTION_RECORD, EXCEPTION_POINTERS)

To standard output the target stands still for as long as the reader takes.

Examples:
  dumpwright dump -p 1234 app.dmp
  dumpwright dump -p 1234 -ma -c 'hangs after login' app.dmp
  dumpwright dump -n nginx -a -u -mhut nginx.dmp
  dumpwright dump -p 1234 -ma - | zstd > app.dmp.zst
  dumpwright dump -p 1234 --on crash -ma -u crash.dmp
  dumpwright dump -z core.1234 -ma app.dmp";

/// `dumpwright dump`.
#[derive(Args, Debug)]
#[command(after_help = DOT_DUMP)]
#[command(group = ArgGroup::new("process").args(["pid", "name", "open", "qemu"]).required(true))]
pub struct DumpArgs {
    /// Process id
    #[arg(short, long, value_name = "PID", value_parser = parse_pid)]
    pub pid: Option<u32>,
    /// Name of the process, as `ps -o comm` or its executable has it; under Wine also that of the
    /// Windows program
    #[arg(short, long, value_name = "NAME")]
    pub name: Option<String>,
    /// The process that a dump holds (an ELF core, a minidump), or the machine in a memory image or
    /// kernel dump; any of them may be packed
    #[arg(short = 'z', long, value_name = "DUMP")]
    pub open: Option<PathBuf>,
    /// Where the programs and libraries of a dump are, if not on this machine: a folder that
    /// stands for / (or for the root of a Windows drive)
    #[arg(long, value_name = "DIR", requires = "open")]
    pub sysroot: Option<PathBuf>,
    /// Dump a process under Wine as the Windows process that it is
    #[cfg(target_os = "linux")]
    #[arg(long, conflicts_with_all = ["open", "qemu"])]
    pub wine: bool,
    /// Wait in the process as its debugger, and dump it when this happens
    #[arg(long, value_name = "EVENT", value_enum, conflicts_with_all = ["open", "qemu", "all"])]
    #[cfg_attr(target_os = "linux", arg(conflicts_with = "wine"))]
    pub on: Option<Event>,
    /// With --on: give up after so many seconds
    #[arg(long, value_name = "SECONDS", requires = "on")]
    pub wait_seconds: Option<u64>,
    /// Dump every process of that name (needs -u)
    #[arg(short, long, requires = "unique", conflicts_with_all = ["pid", "open"])]
    pub all: bool,
    /// Overwrite an existing file
    #[arg(short, long)]
    pub overwrite: bool,
    /// Append date, time and process id to the file's name
    #[arg(short, long)]
    pub unique: bool,
    /// Comment to store in the dump
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    pub comment: Option<String>,
    /// Letters of -m
    #[arg(long, hide = true, num_args = 1, value_name = "LETTERS")]
    pub mini: Vec<String>,
    /// Letters of -f
    #[arg(long, hide = true, num_args = 1, value_name = "LETTERS")]
    pub full: Vec<String>,
    /// Letters of -b
    #[arg(long, hide = true, num_args = 1, value_name = "LETTERS")]
    pub cab: Vec<String>,
    /// DEBUG_DUMP_* qualifier: small, default, or its value
    #[arg(long, value_name = "NAME", value_parser = parse_qualifier)]
    pub qualifier: Option<Qualifier>,
    /// DEBUG_FORMAT_* flags
    #[command(flatten)]
    pub flags: FlagArgs,
    /// Machines
    #[command(flatten)]
    pub machine: MachineArgs,
    /// The thread that the exception happened in
    #[arg(long, value_name = "TID", help_heading = "Exception", value_parser = parse_number)]
    pub exception_thread: Option<u64>,
    /// Address of a ucontext_t in the target
    #[arg(long, value_name = "ADDR", help_heading = "Exception", value_parser = parse_number)]
    pub exception_context: Option<u64>,
    /// Address of a siginfo_t in the target
    #[arg(long, value_name = "ADDR", help_heading = "Exception", value_parser = parse_number)]
    pub exception_record: Option<u64>,
    /// Address of two pointers in the target: to siginfo_t and ucontext_t
    #[arg(long, value_name = "ADDR", help_heading = "Exception", value_parser = parse_number)]
    pub exception_pointers: Option<u64>,
    /// Address of a JIT_DEBUG_INFO in a Windows process, as AeDebug names it (%p)
    #[arg(long, value_name = "ADDR", help_heading = "Exception", value_parser = parse_number)]
    pub jit_debug_info: Option<u64>,
    /// Event to set when the dump is done or given up, as AeDebug names it (%ld)
    #[cfg(windows)]
    #[arg(short, long, value_name = "HANDLE", help_heading = "Exception", value_parser = parse_number)]
    pub event: Option<u64>,
    /// Add the Token stream: user and group ids, capabilities, seccomp, LSM label
    #[arg(long, help_heading = "Beyond DEBUG_FORMAT flags")]
    pub token: bool,
    /// Add the ProcessVmCounters stream
    #[arg(long, help_heading = "Beyond DEBUG_FORMAT flags")]
    pub vm_counters: bool,
    /// Add the SystemMemoryInfo stream
    #[arg(long, help_heading = "Beyond DEBUG_FORMAT flags")]
    pub system_memory: bool,
    /// Add memory: START-END or START+LENGTH, hexadecimal with 0x; can be repeated
    #[arg(long, value_name = "RANGE", help_heading = "Beyond DEBUG_FORMAT flags", value_parser = parse_range)]
    pub memory: Vec<AddressRange>,
    /// The most bytes that the file may have (K, M, G): filled by priority, and says what was left
    /// out
    #[arg(long, value_name = "SIZE", help_heading = "Beyond DEBUG_FORMAT flags", value_parser = parse_size)]
    pub max_size: Option<u64>,
    /// Take memory too that the process marked MADV_DONTDUMP
    #[arg(long, help_heading = "Beyond DEBUG_FORMAT flags")]
    pub include_dontdump: bool,
    /// Leave personal data out: FILTER_MEMORY, FILTER_PATHS, FILTER_TRIAGE and NO_OPTIONAL_DATA
    #[arg(long, help_heading = "Privacy")]
    pub sanitize: bool,
    /// Overwrite what matches a regular expression, in memory and text, ASCII and UTF-16; can be
    /// repeated
    #[arg(long, value_name = "REGEX", help_heading = "Privacy", allow_hyphen_values = true)]
    pub redact: Vec<String>,
    /// The same for each line of a file; empty lines and those that begin with # do not count
    #[arg(long, value_name = "FILE", help_heading = "Privacy")]
    pub redact_file: Vec<PathBuf>,
    /// List what was removed where, as JSON
    #[arg(long, value_name = "FILE", help_heading = "Privacy", conflicts_with = "all")]
    pub audit: Option<PathBuf>,
    /// What kind of file to write; a core of Linux processes only
    #[arg(long = "as", value_name = "FORMAT", value_enum, default_value = "minidump")]
    pub format: Format,
    /// End with a summary as JSON; with -a, with a list of them
    #[arg(long)]
    pub json: bool,
    /// The file to write, extension included; - for standard output
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// What `dump --on` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Event {
    /// An exception or signal that nothing handles and that is about to end the process
    Crash,
    /// The first exception of any kind, handled or not
    Exception,
    /// The end of the process, by whatever way; its memory is still there
    Exit,
}

/// Kinds of files that `dump` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A minidump
    Minidump,
    /// An ELF core, for gdb and lldb
    Core,
}

/// `dumpwright info`.
#[derive(Args, Debug)]
#[command(after_help = INFO)]
pub struct InfoArgs {
    /// The minidump
    pub file: PathBuf,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Whole lists, however long
    #[arg(long)]
    pub all: bool,
}

/// `dumpwright verify`.
#[derive(Args, Debug)]
#[command(after_help = VERIFY)]
pub struct VerifyArgs {
    /// The minidump
    pub file: PathBuf,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `dumpwright demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Folder for the dumps; made if it is not there
    #[arg(default_value = "dumpwright-demo")]
    pub directory: PathBuf,
}

fn parse_pid(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "not a process id; to choose by name use -n".into())
}

fn parse_qualifier(text: &str) -> Result<Qualifier, String> {
    let named = Qualifier::ALL.into_iter().find(|q| {
        let name = q.name();
        let short = name.strip_prefix("DEBUG_DUMP_").unwrap_or(name);
        name.eq_ignore_ascii_case(text) || short.eq_ignore_ascii_case(text)
    });
    let valued =
        || parse_number(text).ok().and_then(|v| Qualifier::from_value(u32::try_from(v).ok()?));
    named.or_else(valued).ok_or_else(|| "not a DEBUG_DUMP_* name or value (small, default)".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn qualifiers_are_found_by_name_and_value() {
        assert_eq!(parse_qualifier("small"), Ok(Qualifier::Small));
        assert_eq!(parse_qualifier("DEBUG_DUMP_DEFAULT"), Ok(Qualifier::Default));
        assert_eq!(parse_qualifier("1026"), Ok(Qualifier::Full));
        assert!(parse_qualifier("big").is_err());
    }
}
