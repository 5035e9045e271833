//! Running processes: listing them, and finding one by name.

use super::{OK, local};
use crate::abi::{Answer, Out, Text, TextBuf};
use crate::object::Client;
use crate::platform;
use dumpwright::HResult;
use dumpwright::hresult::of_io;
use dumpwright::target::Pid;

/// `DEBUG_GET_PROC_FULL_MATCH`: the name is a whole path.
const FULL_MATCH: u32 = 1;
/// `DEBUG_GET_PROC_ONLY_MATCH`: several processes are an error.
const ONLY_MATCH: u32 = 2;
/// `DEBUG_PROC_DESC_NO_PATHS`.
const NO_PATHS: u32 = 1;
/// `DEBUG_PROC_DESC_NO_COMMAND_LINE`.
const NO_COMMAND_LINE: u32 = 8;

/// `GetRunningProcessSystemIds`.
pub fn system_ids(_: &Client, server: u64, ids: Out<u32>, count: u32, actual: Out<u32>) -> Answer {
    local(server)?;
    let processes = platform::processes().map_err(|e| of_io(&e))?;
    ids.put_array(count, processes.iter().map(|pid| pid.0));
    actual.put_if_wanted(processes.len() as u32);
    let cut = !ids.is_null() && processes.len() > count as usize;
    Ok(if cut { HResult::S_FALSE } else { HResult::S_OK })
}

/// `GetRunningProcessSystemIdByExecutableName`. Answers `E_NOINTERFACE` if no
/// process has the name, or several have and only one may.
pub fn system_id_by_name(
    _: &Client,
    server: u64,
    name: impl Text,
    flags: u32,
    id: Out<u32>,
) -> Answer {
    local(server)?;
    let name = name.required()?;
    if flags & !(FULL_MATCH | ONLY_MATCH) != 0 {
        return Err(HResult::E_INVALIDARG);
    }
    let found = platform::processes_named(&name, flags & FULL_MATCH != 0);
    let mut found = found.map_err(|e| of_io(&e))?;
    found.retain(|pid| pid.0 != std::process::id());
    match found.as_slice() {
        [] => Err(HResult::E_NOINTERFACE),
        [_, _, ..] if flags & ONLY_MATCH != 0 => Err(HResult::E_NOINTERFACE),
        [first, ..] => {
            id.put(first.0)?;
            OK
        }
    }
}

/// `GetRunningProcessDescription`.
#[expect(clippy::too_many_arguments, reason = "it is the method's")]
pub fn description<B: TextBuf>(
    _: &Client,
    server: u64,
    system_id: u32,
    flags: u32,
    name: B,
    name_size: u32,
    name_needed: Out<u32>,
    description: B,
    description_size: u32,
    description_needed: Out<u32>,
) -> Answer {
    local(server)?;
    let process = platform::description(Pid(system_id)).ok_or(HResult::E_INVALIDARG)?;
    let path = process.executable;
    let executable = if flags & NO_PATHS == 0 { path.as_str() } else { file_name(&path) };
    let command_line = if flags & NO_COMMAND_LINE == 0 { &process.command_line } else { "" };
    let first = name.fill(name_size, name_needed, executable)?;
    let second = description.fill(description_size, description_needed, command_line)?;
    Ok(if first == HResult::S_OK { second } else { first })
}

/// The last part of a path of either system.
pub fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}
