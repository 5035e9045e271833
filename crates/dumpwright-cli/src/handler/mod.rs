//! `handler`: dumpwright as the machine's crash handler.
//!
//! `install` puts a pipe to `dumpwright handler run` into the kernel's
//! `core_pattern`. For each crash the kernel then starts that as root, with the
//! core on standard input, and holds the process until it is done:
//!
//! | module | what |
//! |---|---|
//! | `crash` | what the kernel says of the crash |
//! | `config`, `rules` | what the administrator wants done |
//! | `run` | the walk of one crash |
//! | `slots`, `deadline` | how many at a time, and for how long |
//! | `spool` | the fallback: the core itself |
//! | `folder`, `room`, `safe` | where dumps go, what is kept, who may touch it |
//! | `forward` | handing the core on to the handler that was there before |
//! | `record` | what became of each crash |
//! | `install`, `status`, `kernel` | setting up and looking at it |

mod config;
mod crash;
mod deadline;
mod folder;
mod forward;
mod install;
mod kernel;
mod record;
mod room;
mod rules;
mod run;
mod safe;
mod slots;
mod spool;
mod status;

use crate::output::Outcome;
use clap::{Args, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// The commands of `dumpwright handler`.
#[derive(Debug, Subcommand)]
pub enum HandlerCommand {
    /// Let the kernel call dumpwright for each crash; needs root
    Install(InstallArgs),
    /// Show what is installed, what is configured, and the last crashes
    Status(StatusArgs),
    /// Put back what was there before; needs root
    Uninstall(UninstallArgs),
    /// What the kernel calls
    #[command(hide = true)]
    Run(RunArgs),
}

const INSTALL: &str = "\
Writes kernel.core_pattern, kernel.core_pipe_limit and fs.suid_dumpable, and a
file in /etc/sysctl.d that sets them again at each boot. What was there before
is remembered: `uninstall` restores it, and with `forward = true` in the
configuration cores go on to a handler that was there.

The configuration is TOML; without a file every program gets a minidump in
/var/lib/dumpwright/dumps. All keys with their defaults:

  folder = \"/var/lib/dumpwright/dumps\"
  count = 10             # dumps kept in the folder; the oldest goes first
  type = \"mini\"          # or \"full\", or \"custom\" with:
  # flags = \"Fhut\"       # letters of -m, or DEBUG_FORMAT_* names or values
  # comment = \"text\"
  # max-size = \"64M\"     # of one dump
  compress = \"none\"      # or \"cab\"
  sanitize = false       # or true, or [\"memory\", \"paths\", \"triage\"]
  redact = []            # regular expressions of what is overwritten everywhere
  budget = \"2G\"          # bytes that the folder may hold
  min-free = \"512M\"      # bytes that stay free on its disk
  ignore = false         # true: no dump
  parallel = 2           # dumps at a time
  wait = 30              # seconds that further crashes wait for their turn
  time-limit = 600       # seconds that one dump may take
  forward = false        # hand cores on to the handler that was there before
  unlisted = \"dump\"      # or \"ignore\": only programs with a section
  state = \"/var/lib/dumpwright\"

  [program.\"nginx\"]      # file name, or absolute path, of the executable
  type = \"full\"          # and any other of the keys up to `ignore`";

/// `dumpwright handler install`.
#[derive(Args, Debug)]
#[command(after_help = INSTALL)]
pub struct InstallArgs {
    /// The configuration file
    #[arg(short = 'C', long, value_name = "FILE", default_value = config::DEFAULT_FILE)]
    pub config: PathBuf,
    /// Show what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Until the next boot only: no file in /etc/sysctl.d
    #[arg(long)]
    pub no_persist: bool,
    /// The most crashes that the kernel holds at a time; further ones it drops
    #[arg(long, value_name = "NUMBER", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    pub pipe_limit: u32,
    /// Leave fs.suid_dumpable as it is: with 0 the kernel dumps no setuid programs
    #[arg(long)]
    pub keep_suid_dumpable: bool,
}

/// `dumpwright handler status`.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// The configuration file; by default the one that was installed
    #[arg(short = 'C', long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `dumpwright handler uninstall`.
#[derive(Args, Debug)]
pub struct UninstallArgs {
    /// The configuration file; by default the one that was installed
    #[arg(short = 'C', long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Show what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `dumpwright handler run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// The configuration file
    #[arg(short = 'C', long, value_name = "FILE", default_value = config::DEFAULT_FILE)]
    pub config: PathBuf,
    /// %P %i %I %s %d %u %g %t %e of core(5)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub crash: Vec<OsString>,
}

/// `dumpwright handler`.
pub fn run(command: &HandlerCommand) -> Outcome {
    match command {
        HandlerCommand::Install(args) => install::install(args),
        HandlerCommand::Status(args) => status::run(args),
        HandlerCommand::Uninstall(args) => install::uninstall(args),
        HandlerCommand::Run(args) => Ok(run::run(args)),
    }
}
