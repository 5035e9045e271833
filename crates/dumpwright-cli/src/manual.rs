//! Manual pages and shell completions, made from the command line's definition.

use crate::args::Cli;
use crate::output::{Outcome, print};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use std::io;
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
    let Some(directory) = directory else {
        print(&page(&Man::new(Cli::command()))?)?;
        return Ok(ExitCode::SUCCESS);
    };
    let failed = |error: io::Error| {
        format!("cannot write manual pages into '{}': {error}", directory.display())
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    for command in shown(&command) {
        let man = Man::new(command.clone());
        std::fs::write(directory.join(man.get_filename()), page(&man)?).map_err(failed)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A command and all below it, without the hidden ones.
fn shown(command: &Command) -> Vec<&Command> {
    let below = command.get_subcommands().filter(|below| !below.is_hide_set());
    std::iter::once(command).chain(below.flat_map(shown)).collect()
}

/// A page, with the tables and examples at its end as they are in the help.
fn page(man: &Man) -> Outcome<String> {
    let mut text = Vec::new();
    man.render(&mut text).map_err(|error| format!("cannot make the manual page: {error}"))?;
    let text = String::from_utf8_lossy(&text);
    Ok(text.replacen(".SH EXTRA\n", ".SH NOTES\n.nf\n", 1))
}
