//! What clap answers instead of arguments: help, the version, or what is wrong
//! with the command line, which becomes one line like every other failure.

use crate::output::USAGE;
use clap::Error;
use clap::error::ErrorKind;
use std::process::ExitCode;

/// Prints it, and says how to end.
pub fn answer(answer: &Error) -> ExitCode {
    match answer.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that has gone away (`| head`) is no failure.
            let _ = answer.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = answer.print();
            ExitCode::from(USAGE)
        }
        _ => crate::fail(&one_line(&answer.to_string()), ExitCode::from(USAGE)),
    }
}

/// The message and its suggestion, without the usage that `--help` shows, too.
fn one_line(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let message = text
        .split("\n\n")
        .filter(|part| {
            let part = part.trim_start();
            // Passing `-x` as a value is never what was meant here.
            !["Usage:", "For more information", "tip: to pass"].iter().any(|s| part.starts_with(s))
        })
        .map(|part| part.split_whitespace().filter(|w| *w != "tip:").collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("; ");
    format!("{message}; see --help")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::Parser;

    fn line(words: &[&str]) -> String {
        let arguments = ["dumpwright"].iter().chain(words);
        one_line(&Cli::try_parse_from(arguments).unwrap_err().to_string())
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line_with_its_suggestion() {
        assert_eq!(
            line(&["dump", "x.dmp"]),
            "the following required arguments were not provided: <--pid <PID>|--name <NAME>|--open <DUMP>|--qemu <SOCKET>>; see --help"
        );
        assert_eq!(
            line(&["dump", "-p", "1", "--ful-memory", "x.dmp"]),
            "unexpected argument '--ful-memory' found; a similar argument exists: '--full-memory'; see --help"
        );
        assert_eq!(
            line(&["dump", "-p", "1", "-q", "x.dmp"]),
            "unexpected argument '-q' found; see --help"
        );
    }
}
