//! Manual pages and shell completions, made from the command line's definition.

use crate::args::Cli;
use crate::output::{Outcome, print};
use clap::CommandFactory;
use clap_complete::Shell;
use std::path::Path;
use std::process::ExitCode;

/// `dumpwright completions`.
pub fn completions(shell: Shell) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "dumpwright", &mut text);
    print(&String::from_utf8_lossy(&text))?;
    Ok(ExitCode::SUCCESS)
}

/// `dumpwright man`.
pub fn man(directory: Option<&Path>) -> Outcome {
    match directory {
        None => {
            let mut text = Vec::new();
            clap_mangen::Man::new(Cli::command())
                .render(&mut text)
                .map_err(|error| format!("cannot make the manual page: {error}"))?;
            print(&String::from_utf8_lossy(&text))?;
        }
        Some(directory) => std::fs::create_dir_all(directory)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), directory))
            .map_err(|error| {
                format!("cannot write manual pages into '{}': {error}", directory.display())
            })?,
    }
    Ok(ExitCode::SUCCESS)
}
