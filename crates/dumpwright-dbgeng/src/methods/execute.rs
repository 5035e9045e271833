//! Commands and text of the program.

use super::events::set_execution_status;
use super::{OK, dumps};
use crate::abi::{Answer, Text};
use crate::events::status;
use crate::object::Client;
use crate::session::mask;
use dumpwright::HResult;
use dumpwright::dot_dump::{DotDump, unique_name};
use dumpwright::target::Pid;
use std::path::PathBuf;
use std::time::SystemTime;

/// Commands that let processes go on, and what they say of an exception.
const GO: [(&str, u32); 3] =
    [("g", status::GO), ("gh", status::GO_HANDLED), ("gn", status::GO_NOT_HANDLED)];

/// `Execute`: runs `.dump`, `g`, `gh` and `gn`, several of them with `;` between.
pub fn execute(client: &Client, _output_control: u32, command: impl Text, _flags: u32) -> Answer {
    let line = command.required()?;
    for command in split(&line) {
        run(client, command)?;
    }
    OK
}

/// `OutputWide`, whose text is no format.
pub fn output_wide(client: &Client, output_mask: u32, text: impl Text) -> Answer {
    let text = text.required()?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    client.state.say(output_mask, text);
    OK
}

/// The commands of a line.
fn split(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |c| {
        quoted ^= c == '"';
        c == ';' && !quoted
    })
    .map(str::trim)
    .filter(|command| !command.is_empty())
}

/// Where the name of a command ends: options may follow without a space.
fn end_of_word(command: &str) -> usize {
    command.find(|c: char| c.is_whitespace() || c == '/').unwrap_or(command.len())
}

fn run(client: &Client, command: &str) -> Answer {
    let state = &client.state;
    let (word, arguments) = command.split_at(end_of_word(command));
    let go = GO.iter().find(|(name, _)| word.eq_ignore_ascii_case(name));
    if let (Some((_, go)), true) = (go, arguments.trim().is_empty()) {
        return set_execution_status(client, *go);
    }
    if !word.eq_ignore_ascii_case(".dump") {
        let message = format!("'{command}' is not carried out here; .dump, g, gh and gn are");
        state.say(mask::ERROR, &message);
        return Err(HResult::E_NOTIMPL);
    }
    let dump = DotDump::parse(arguments).map_err(|message| {
        state.say(mask::ERROR, &message);
        HResult::E_INVALIDARG
    })?;
    let mut answer = OK;
    for target in chosen(client, dump.all)? {
        let written = write(client, &dump, target);
        // The other processes are dumped, whatever one of them answers.
        answer = answer.and(written);
    }
    answer
}

/// A target of a command.
#[derive(Clone, Copy)]
struct Chosen {
    id: u32,
    pid: Pid,
    is_machine: bool,
}

/// The current target, or every process that is one.
fn chosen(client: &Client, all: bool) -> Answer<Vec<Chosen>> {
    let state = client.state.session.state();
    let current = state.current()?.id;
    let targets =
        state.targets.iter().filter(|t| if all { t.process().is_ok() } else { t.id == current });
    let chosen: Vec<_> = targets
        .map(|t| Chosen { id: t.id, pid: t.pid(), is_machine: t.machine().is_ok() })
        .collect();
    if chosen.is_empty() { Err(HResult::E_UNEXPECTED) } else { Ok(chosen) }
}

fn write(client: &Client, dump: &DotDump, target: Chosen) -> Answer {
    let mut file = PathBuf::from(&dump.file);
    if dump.unique {
        file = unique_name(&file, target.pid, SystemTime::now());
    }
    let request = if target.is_machine {
        dump.of_machine(file)
    } else {
        dump.of_process(file).map_err(|message| {
            client.state.say(mask::ERROR, &message);
            HResult::E_INVALIDARG
        })?
    };
    dumps::write_file_of(client, target.id, &request)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_semicolon_in_quotes_ends_no_command() {
        let line = r#".dump /c "a; b" x.dmp; ; .dump y.dmp "#;
        let commands: Vec<_> = super::split(line).collect();
        assert_eq!(commands, [r#".dump /c "a; b" x.dmp"#, ".dump y.dmp"]);
    }

    #[test]
    fn options_may_follow_the_name_of_a_command_without_a_space() {
        for command in [".dump/ma x.dmp", ".dump /ma x.dmp"] {
            assert_eq!(&command[..super::end_of_word(command)], ".dump");
        }
        assert_eq!(super::end_of_word(".dump"), 5);
    }
}
