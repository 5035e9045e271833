//! Processes that the session starts.

use super::{OK, attach, local};
use crate::abi::{Answer, Bytes, Text};
use crate::object::Client;
use crate::platform::{self, Start};
use crate::session::mask;
use dumpwright::HResult;
use dumpwright::hresult::of_io;

/// Bytes of `DEBUG_CREATE_PROCESS_OPTIONS`: CreateFlags, EngCreateFlags,
/// VerifierFlags, Reserved.
const OPTIONS_SIZE: usize = 16;

/// `CreateProcess`. The process is attached to as soon as it runs its own
/// program, which is in its loader.
pub fn create(client: &Client, server: u64, command_line: impl Text, flags: u32) -> Answer {
    local(server)?;
    start(client, &Start { command_line: command(command_line)?, flags, ..Start::default() })
}

/// `CreateProcessAndAttach`: starts a process if there is a command line, and
/// attaches to another if there is an id.
pub fn create_and_attach(
    client: &Client,
    server: u64,
    command_line: impl Text,
    flags: u32,
    process_id: u32,
    attach_flags: u32,
) -> Answer {
    local(server)?;
    both(client, command_line, process_id, attach_flags, |command_line| Start {
        command_line,
        flags,
        ..Start::default()
    })
}

/// `CreateProcess2`.
pub fn create2<T: Text>(
    client: &Client,
    server: u64,
    command_line: T,
    options: Bytes,
    options_size: u32,
    directory: T,
    environment: T,
) -> Answer {
    local(server)?;
    let mut process = details(options, options_size, directory, environment)?;
    process.command_line = command(command_line)?;
    start(client, &process)
}

/// `CreateProcessAndAttach2`.
#[expect(clippy::too_many_arguments, reason = "it is the method's")]
pub fn create_and_attach2<T: Text>(
    client: &Client,
    server: u64,
    command_line: T,
    options: Bytes,
    options_size: u32,
    directory: T,
    environment: T,
    process_id: u32,
    attach_flags: u32,
) -> Answer {
    local(server)?;
    let process = details(options, options_size, directory, environment)?;
    both(client, command_line, process_id, attach_flags, |command_line| Start {
        command_line,
        ..process
    })
}

fn command(command_line: impl Text) -> Answer<std::ffi::OsString> {
    let line = command_line.os()?.ok_or(HResult::E_POINTER)?;
    if line.is_empty() { Err(HResult::E_INVALIDARG) } else { Ok(line) }
}

fn details<T: Text>(options: Bytes, size: u32, directory: T, environment: T) -> Answer<Start> {
    if (size as usize) < OPTIONS_SIZE {
        return Err(HResult::E_INVALIDARG);
    }
    let options = options.get(OPTIONS_SIZE as u32)?;
    let flags = options.first_chunk().copied().map_or(0, u32::from_le_bytes);
    Ok(Start {
        flags,
        directory: directory.os()?.map(Into::into),
        environment: environment.block()?,
        ..Start::default()
    })
}

fn both(
    client: &Client,
    command_line: impl Text,
    process_id: u32,
    attach_flags: u32,
    process: impl FnOnce(std::ffi::OsString) -> Start,
) -> Answer {
    attach::check_flags(attach_flags)?;
    let line = command_line.os()?.filter(|line| !line.is_empty());
    match (line, process_id) {
        (None, 0) => return Err(HResult::E_INVALIDARG),
        (None, _) => {}
        (Some(line), _) => drop(start(client, &process(line))?),
    }
    if process_id == 0 { OK } else { attach::attach(client, 0, process_id, attach_flags) }
}

fn start(client: &Client, process: &Start) -> Answer {
    let (pid, running) = platform::start(process).map_err(|error| {
        let line = process.command_line.display();
        client.state.say(mask::ERROR, &format!("cannot start '{line}': {error}"));
        of_io(&error)
    })?;
    attach::attach_to(client, pid, running, true, true)
}
