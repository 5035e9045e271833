//! `IDebugSystemObjects`: processes and threads. A process's engine id is given
//! when it becomes a target; a thread's is its place in its process.
//!
//! A machine is one process with a thread for each processor, as dbgeng has it;
//! neither has a system id.

use super::OK;
use crate::abi::{Answer, Out, TextBuf};
use crate::object::Client;
use crate::target::{Subject, Target};
use dumpwright::HResult;
use dumpwright::target::ThreadSnapshot;
use dumpwright::target::machine::{MachineSnapshot, ProcessorSnapshot};

/// Asks the current target something.
fn ask<T: Copy>(
    client: &Client,
    out: Out<T>,
    question: impl FnOnce(&Target) -> Answer<T>,
) -> Answer {
    let state = client.state.session.state();
    out.put(question(state.current()?)?)?;
    OK
}

/// Asks the current thread something.
fn ask_thread<T: Copy>(
    client: &Client,
    out: Out<T>,
    question: impl FnOnce(&ThreadSnapshot) -> T,
) -> Answer {
    ask(client, out, |target| {
        let thread = target.process()?.threads.get(target.current_thread);
        thread.map(question).ok_or(HResult::E_UNEXPECTED)
    })
}

/// Asks the current processor of a machine something; 0 is not known.
fn ask_processor(
    client: &Client,
    out: Out<u64>,
    question: impl FnOnce(&MachineSnapshot, &ProcessorSnapshot) -> u64,
) -> Answer {
    ask(client, out, |target| {
        let machine = target.machine()?;
        let processor = machine.processors.get(target.current_thread);
        match processor.map_or(0, |p| question(machine, p)) {
            0 => Err(HResult::E_UNEXPECTED),
            value => Ok(value),
        }
    })
}

/// How many threads a target has.
fn threads_of(target: &Target) -> u32 {
    let count = match &target.subject {
        Subject::Process { snapshot, .. } => snapshot.threads.len(),
        Subject::Machine { snapshot, .. } => snapshot.processors.len(),
    };
    count as u32
}

fn is_machine(client: &Client) -> Answer<bool> {
    Ok(client.state.session.state().current()?.machine().is_ok())
}

/// The engine id of the first thread that is the one meant.
fn find_thread(client: &Client, id: Out<u32>, is_it: impl Fn(&ThreadSnapshot) -> bool) -> Answer {
    ask(client, id, |target| {
        let index = target.process()?.threads.iter().position(is_it);
        index.map(|i| i as u32).ok_or(HResult::E_NOINTERFACE)
    })
}

/// `GetCurrentThreadId`, `GetEventThread`.
pub fn current_thread(client: &Client, id: Out<u32>) -> Answer {
    ask(client, id, |target| Ok(target.current_thread as u32))
}

/// `SetCurrentThreadId`.
pub fn set_current_thread(client: &Client, id: u32) -> Answer {
    let mut state = client.state.session.state();
    let target = state.current_mut()?;
    if id >= threads_of(target) {
        return Err(HResult::E_NOINTERFACE);
    }
    target.current_thread = id as usize;
    OK
}

/// `GetCurrentProcessId`, `GetEventProcess`.
pub fn current_process(client: &Client, id: Out<u32>) -> Answer {
    ask(client, id, |target| Ok(target.id))
}

/// `SetCurrentProcessId`.
pub fn set_current_process(client: &Client, id: u32) -> Answer {
    let mut state = client.state.session.state();
    if !state.targets.iter().any(|t| t.id == id) {
        return Err(HResult::E_NOINTERFACE);
    }
    state.current = id;
    OK
}

/// `GetNumberThreads`: of the current process.
pub fn number_of_threads(client: &Client, number: Out<u32>) -> Answer {
    ask(client, number, |target| Ok(threads_of(target)))
}

/// `GetTotalNumberThreads`: of all, and of the process that has the most.
pub fn total_threads(client: &Client, total: Out<u32>, largest: Out<u32>) -> Answer {
    let state = client.state.session.state();
    let counts = || state.targets.iter().map(threads_of);
    total.put(counts().sum())?;
    largest.put_if_wanted(counts().max().unwrap_or(0));
    OK
}

/// `GetTotalNumberThreadsAndProcesses`.
pub fn totals(
    client: &Client,
    threads: Out<u32>,
    processes: Out<u32>,
    largest_threads: Out<u32>,
    largest_system_threads: Out<u32>,
    largest_system_processes: Out<u32>,
) -> Answer {
    let state = client.state.session.state();
    let counts = || state.targets.iter().map(threads_of);
    let total: u32 = counts().sum();
    threads.put(total)?;
    processes.put(state.targets.len() as u32)?;
    largest_threads.put_if_wanted(counts().max().unwrap_or(0));
    largest_system_threads.put_if_wanted(total);
    largest_system_processes.put_if_wanted(state.targets.len() as u32);
    OK
}

/// `GetThreadIdsByIndex`: engine and system ids.
pub fn thread_ids(
    client: &Client,
    start: u32,
    count: u32,
    ids: Out<u32>,
    system_ids: Out<u32>,
) -> Answer {
    let state = client.state.session.state();
    let target = state.current()?;
    let end = start.checked_add(count).filter(|end| *end <= threads_of(target));
    let end = end.ok_or(HResult::E_INVALIDARG)?;
    ids.put_array(count, start..end);
    match target.process() {
        Ok(process) => {
            let asked = process.threads.iter().skip(start as usize);
            system_ids.put_array(count, asked.map(|t| t.tid.0));
        }
        Err(_) => system_ids.put_array(count, (start..end).map(|_| 0)),
    }
    OK
}

/// `GetThreadIdByProcessor`: of a machine.
pub fn thread_by_processor(client: &Client, processor: u32, id: Out<u32>) -> Answer {
    ask(client, id, |target| {
        let count = target.machine()?.processors.len() as u32;
        if processor < count { Ok(processor) } else { Err(HResult::E_INVALIDARG) }
    })
}

/// `GetCurrentThreadDataOffset`: as the TEB; of a machine the KTHREAD that the
/// processor runs.
pub fn thread_data(client: &Client, offset: Out<u64>) -> Answer {
    if is_machine(client)? {
        ask_processor(client, offset, |_, processor| processor.current_thread.0)
    } else {
        thread_pointer(client, offset)
    }
}

/// `GetThreadIdByDataOffset`.
pub fn thread_by_data(client: &Client, offset: u64, id: Out<u32>) -> Answer {
    if !is_machine(client)? {
        return thread_by_pointer(client, offset, id);
    }
    ask(client, id, |target| {
        let mut processors = target.machine()?.processors.iter();
        let place = processors.position(|p| offset != 0 && p.current_thread.0 == offset);
        place.map(|i| i as u32).ok_or(HResult::E_NOINTERFACE)
    })
}

/// `GetCurrentThreadTeb`: the TEB; on Linux the thread pointer.
pub fn thread_pointer(client: &Client, offset: Out<u64>) -> Answer {
    ask_thread(client, offset, |thread| thread.thread_pointer)
}

/// `GetThreadIdByTeb`.
pub fn thread_by_pointer(client: &Client, offset: u64, id: Out<u32>) -> Answer {
    find_thread(client, id, |thread| thread.thread_pointer == offset)
}

/// `GetCurrentThreadSystemId`.
pub fn thread_system_id(client: &Client, id: Out<u32>) -> Answer {
    ask_thread(client, id, |thread| thread.tid.0)
}

/// `GetThreadIdBySystemId`.
pub fn thread_by_system_id(client: &Client, system_id: u32, id: Out<u32>) -> Answer {
    find_thread(client, id, |thread| thread.tid.0 == system_id)
}

/// `GetNumberProcesses`.
pub fn number_of_processes(client: &Client, number: Out<u32>) -> Answer {
    number.put(client.state.session.state().targets.len() as u32)?;
    OK
}

/// `GetProcessIdsByIndex`: engine and system ids.
pub fn process_ids(
    client: &Client,
    start: u32,
    count: u32,
    ids: Out<u32>,
    system_ids: Out<u32>,
) -> Answer {
    let state = client.state.session.state();
    let end = start.checked_add(count).ok_or(HResult::E_INVALIDARG)?;
    let asked = state.targets.get(start as usize..end as usize).ok_or(HResult::E_INVALIDARG)?;
    ids.put_array(count, asked.iter().map(|t| t.id));
    system_ids.put_array(count, asked.iter().map(|t| t.pid().0));
    OK
}

/// `GetCurrentProcessPeb`: the PEB; of a machine that of the process which the
/// processor runs. A Linux process has none: `E_NOTIMPL`.
pub fn peb(client: &Client, offset: Out<u64>) -> Answer {
    if is_machine(client)? {
        return ask_processor(client, offset, |machine, processor| {
            let mut processes = machine.processes.iter();
            let found = processes.find(|p| p.eprocess == processor.current_process);
            found.map_or(0, |process| process.peb.0)
        });
    }
    ask(client, offset, |target| match target.process()?.process.peb {
        0 => Err(HResult::E_NOTIMPL),
        peb => Ok(peb),
    })
}

/// `GetCurrentProcessDataOffset`: as the PEB; of a machine the KPROCESS that the
/// processor runs.
pub fn process_data(client: &Client, offset: Out<u64>) -> Answer {
    if is_machine(client)? {
        ask_processor(client, offset, |_, processor| processor.current_process.0)
    } else {
        peb(client, offset)
    }
}

/// `GetCurrentProcessSystemId`.
pub fn process_system_id(client: &Client, id: Out<u32>) -> Answer {
    ask(client, id, |target| Ok(target.process()?.process.pid.0))
}

/// `GetProcessIdBySystemId`.
pub fn process_by_system_id(client: &Client, system_id: u32, id: Out<u32>) -> Answer {
    let state = client.state.session.state();
    let is_it = |t: &&Target| t.process().is_ok_and(|p| p.process.pid.0 == system_id);
    let target = state.targets.iter().find(is_it);
    id.put(target.ok_or(HResult::E_NOINTERFACE)?.id)?;
    OK
}

/// `GetCurrentProcessExecutableName`.
pub fn executable(client: &Client, buffer: impl TextBuf, size: u32, needed: Out<u32>) -> Answer {
    let state = client.state.session.state();
    let snapshot = state.current()?.process()?;
    let path = snapshot.modules.first().map_or(&snapshot.process.name, |m| &m.path);
    buffer.fill(size, needed, path)
}

/// `GetCurrentSystemId`, `GetEventSystem`: there is one, 0.
pub fn system(client: &Client, id: Out<u32>) -> Answer {
    ask(client, id, |_| Ok(0))
}

/// `GetNumberSystems`.
pub fn number_of_systems(client: &Client, number: Out<u32>) -> Answer {
    number.put((!client.state.session.state().targets.is_empty()).into())?;
    OK
}
