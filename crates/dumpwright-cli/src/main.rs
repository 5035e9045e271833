//! The `dumpwright` command: arguments → request → engine → report.

mod args;
mod cancel;
mod demo;
mod dump;
mod flag_args;
#[cfg(target_os = "linux")]
mod handler;
mod inspect;
mod letters;
mod machine;
mod machine_args;
mod manual;
mod numbers;
mod output;
mod privacy;
mod progress;
mod report;
mod usage;
#[cfg(windows)]
mod windows;

use args::{Cli, Command};
use clap::Parser;
use dumpwright::info::clean;
use std::process::ExitCode;

fn main() -> ExitCode {
    init_logging();
    let cli = match letters::expand(std::env::args_os()) {
        Ok(arguments) => match Cli::try_parse_from(arguments) {
            Ok(cli) => cli,
            Err(answer) => return usage::answer(&answer),
        },
        Err(message) => return fail(&message, ExitCode::from(output::USAGE)),
    };
    let result = match cli.command {
        Command::Dump(args) => dump::run(&args),
        Command::Info(args) => inspect::info(&args),
        Command::Verify(args) => inspect::verify(&args),
        Command::Demo(args) => demo::run(&args),
        Command::DemoTarget => demo::target(),
        #[cfg(windows)]
        Command::Keep { process, section } => windows::keep(process, section),
        #[cfg(target_os = "linux")]
        Command::Handler { command } => handler::run(&command),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { directory } => manual::man(directory.as_deref()),
    };
    match result {
        Ok(code) => code,
        Err(error) => fail(&error.to_string(), error.exit_code()),
    }
}

/// One line on standard error, whatever went wrong.
fn fail(message: &str, code: ExitCode) -> ExitCode {
    output::print_aside(&format!("dumpwright: {}\n", clean(&message.replace('\n', " "))));
    code
}

/// `DUMPWRIGHT_LOG=debug` shows what the engine does.
fn init_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("DUMPWRIGHT_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
