//! Open handles with type and name.
//!
//! Asking for a name can wait for whoever has the object open: a pipe or device
//! on which the target, which stands still, waits itself. So names are asked for
//! on a thread of its own, and one that does not answer is left behind with the
//! handle it waits for.

use super::sys::objects::StateQuery;
use super::sys::{information, objects};
use crate::fault;
use crate::soft_error::SoftError;
use crate::target::{HandleRecords, HandleSnapshot, Pid};
use dumpwright_format::minidump::{
    EVENT_INFORMATION_1, MUTANT_INFORMATION_1, MUTANT_INFORMATION_2, OBJ_INHERIT,
    SEMAPHORE_INFORMATION_1,
};
use std::io;
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};
use windows_sys::Wdk::Foundation::{OBJECT_INFORMATION_CLASS, ObjectTypeInformation};
use windows_sys::Wdk::System::SystemInformation::SYSTEM_INFORMATION_CLASS;
use windows_sys::Wdk::System::Threading::PROCESSINFOCLASS;

/// `ObjectNameInformation`, ntifs.h.
const OBJECT_NAME_INFORMATION: OBJECT_INFORMATION_CLASS = 1;
/// `ProcessHandleInformation`, since Windows 8.
const PROCESS_HANDLE_INFORMATION: PROCESSINFOCLASS = 51;
/// `SystemExtendedHandleInformation`: the handles of all processes.
const SYSTEM_EXTENDED_HANDLE_INFORMATION: SYSTEM_INFORMATION_CLASS = 64;
/// `MutantOwnerInformation`: process and thread that hold it.
const MUTANT_OWNER: u32 = 1;

/// How long one name may take.
const NAME_TIMEOUT: Duration = Duration::from_millis(200);
/// Names that may be left behind before no more are asked for.
const MOST_STUCK: usize = 8;
/// How long all names together may take: the target stands still meanwhile.
const NAMES_TIMEOUT: Duration = Duration::from_secs(5);

/// A handle as the kernel lists it.
#[derive(Clone, Copy, Debug)]
struct Listed {
    value: u64,
    access: u32,
    attributes: u32,
}

/// The handles of a process.
pub(super) fn read(
    process: BorrowedHandle<'_>,
    pid: Pid,
    notes: &mut Vec<SoftError>,
) -> Vec<HandleSnapshot> {
    let listed = match list(process, pid) {
        Ok(listed) => listed,
        Err(error) => {
            notes.push(SoftError::new("handles", format!("cannot be listed: {error}")));
            return Vec::new();
        }
    };
    let mut names = Names::default();
    listed.iter().map(|handle| describe(process, *handle, &mut names, notes)).collect()
}

fn describe(
    process: BorrowedHandle<'_>,
    listed: Listed,
    names: &mut Names,
    notes: &mut Vec<SoftError>,
) -> HandleSnapshot {
    let mut note = |message: String| {
        notes.push(SoftError::new(format!("handle {:#x}", listed.value), message));
    };
    let mut handle = HandleSnapshot {
        handle: listed.value,
        type_name: String::new(),
        object_name: String::new(),
        inherit: listed.attributes & OBJ_INHERIT != 0,
        granted_access: listed.access,
        details: String::new(),
        records: None,
    };
    match objects::duplicate(process, listed.value) {
        Ok(object) => {
            match information::text_of_object(object.as_handle(), ObjectTypeInformation) {
                Ok(name) => handle.type_name = name,
                Err(error) => note(format!("its type is not known: {error}")),
            }
            handle.records = records(process, listed, &handle.type_name, object.as_handle());
            match names.of(listed.value, object) {
                Ok(name) => handle.object_name = name,
                Err(why) => note(why),
            }
        }
        Err(error) => note(format!("its object cannot be asked for type and name: {error}")),
    }
    handle
}

/// What Windows tells of the object beside its name. None of it waits for
/// anyone.
fn records(
    process: BorrowedHandle<'_>,
    listed: Listed,
    type_name: &str,
    object: BorrowedHandle<'_>,
) -> Option<HandleRecords> {
    let [handles, pointers] = information::counts_of_object(object).ok()?;
    Some(HandleRecords {
        attributes: listed.attributes,
        // Our own copy counts, too.
        handle_count: handles.saturating_sub(1),
        pointer_count: pointers.saturating_sub(1),
        informations: states(process, listed.value, type_name).unwrap_or_default(),
    })
}

/// What there is to say of an object's state: type and bytes, as the dump has
/// them. `None` for kinds of which no layout is published.
fn states(process: BorrowedHandle<'_>, value: u64, type_name: &str) -> Option<Vec<(u32, Vec<u8>)>> {
    let (query, basic) = match type_name {
        "Event" => (StateQuery::Event, EVENT_INFORMATION_1),
        "Semaphore" => (StateQuery::Semaphore, SEMAPHORE_INFORMATION_1),
        "Mutant" => (StateQuery::Mutant, MUTANT_INFORMATION_1),
        _ => return None,
    };
    let object = objects::duplicate_to_query(process, value).ok()?;
    let bytes = |words: [u32; 2]| words.into_iter().flat_map(u32::to_le_bytes).collect();
    let basic_state = objects::state(object.as_handle(), query, 0).ok();
    let mut states: Vec<_> = basic_state.map(|words| (basic, bytes(words))).into_iter().collect();
    if matches!(query, StateQuery::Mutant) {
        // A CLIENT_ID, of which the dump has the lower halves.
        let owner = objects::state(object.as_handle(), query, MUTANT_OWNER).ok();
        states.extend(owner.map(|[pid, _, tid, _]| (MUTANT_INFORMATION_2, bytes([pid, tid]))));
    }
    Some(states)
}

fn list(process: BorrowedHandle<'_>, pid: Pid) -> io::Result<Vec<Listed>> {
    if let Ok(words) = information::of_process_growing(process, PROCESS_HANDLE_INFORMATION) {
        // Count, reserved; handle, handle count, pointer count, access and type
        // index, attributes.
        return Ok(entries(&words)
            .map(|[value, _, _, access, attributes]| Listed {
                value,
                access: access as u32,
                attributes: attributes as u32,
            })
            .collect());
    }
    let words = information::of_system(SYSTEM_EXTENDED_HANDLE_INFORMATION)?;
    // Count, reserved; object, process, handle, access and indices, attributes.
    Ok(entries(&words)
        .filter(|[_, owner, ..]| *owner == u64::from(pid.0))
        .map(|[_, _, value, access, attributes]| Listed {
            value,
            access: access as u32,
            attributes: attributes as u32,
        })
        .collect())
}

/// The entries behind a count and a reserved word.
fn entries(words: &[u64]) -> impl Iterator<Item = [u64; 5]> + '_ {
    let count = words.first().map_or(0, |count| *count as usize);
    let (whole, _) = words.get(2..).unwrap_or_default().as_chunks::<5>();
    whole.iter().copied().take(count)
}

/// Asks for names on a thread that may be left behind.
#[derive(Default)]
struct Names {
    worker: Option<(Sender<Question>, Receiver<io::Result<String>>)>,
    stuck: usize,
    spent: Duration,
}

/// A handle of the target's, and the object behind it.
struct Question {
    handle: u64,
    object: OwnedHandle,
}

impl Names {
    /// The name of an object; why there is none to be had otherwise.
    fn of(&mut self, handle: u64, object: OwnedHandle) -> Result<String, String> {
        if self.stuck >= MOST_STUCK {
            return Err("its name was not asked for, since others did not come".into());
        }
        if self.spent >= NAMES_TIMEOUT {
            return Err("its name was not asked for, since others took long".into());
        }
        let (questions, names) = match self.worker.take() {
            Some(worker) => worker,
            None => start().map_err(|error| format!("its name cannot be asked for: {error}"))?,
        };
        let since = Instant::now();
        if questions.send(Question { handle, object }).is_err() {
            return Err("its name cannot be asked for".into());
        }
        let answer = names.recv_timeout(NAME_TIMEOUT);
        self.spent += since.elapsed();
        match answer {
            Ok(name) => {
                self.worker = Some((questions, names));
                name.map_err(|error| format!("its name is not known: {error}"))
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                self.stuck += 1;
                Err("its name did not come, since its owner waits".into())
            }
        }
    }
}

fn start() -> io::Result<(Sender<Question>, Receiver<io::Result<String>>)> {
    let (to_worker, questions) = channel::<Question>();
    let (names, from_worker) = channel();
    thread::Builder::new().name("handle names".into()).spawn(move || {
        for Question { handle, object } in questions {
            fault::name_of(handle);
            let name = information::text_of_object(object.as_handle(), OBJECT_NAME_INFORMATION);
            if names.send(name).is_err() {
                break;
            }
        }
    })?;
    Ok((to_worker, from_worker))
}
