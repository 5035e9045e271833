//! What happened last, asked for.

use super::{ANY_ID, OK};
use crate::abi::{Answer, Buffer, Out, TextBuf};
use crate::events::LastEvent;
use crate::object::Client;
use crate::session::State;
use crate::target::{Origin, Subject, Target};
use dumpwright::HResult;

/// The event that a target stands for: what happened in it last, or the exception that
/// it came with, as a dump does.
fn event_of(state: &State, target: &Target) -> Option<LastEvent> {
    let happened = state.last_event.as_ref().filter(|event| event.process == target.id);
    happened.cloned().or_else(|| {
        let Subject::Process { snapshot, .. } = &target.subject else { return None };
        snapshot.exception.as_ref().map(|e| LastEvent::of_exception(target.id, e))
    })
}

/// `GetLastEventInformation`: type 0 and no words if nothing has happened.
#[expect(clippy::too_many_arguments, reason = "they are the method's")]
pub fn last(
    client: &Client,
    kind: Out<u32>,
    process: Out<u32>,
    thread: Out<u32>,
    extra: Buffer,
    extra_size: u32,
    extra_used: Out<u32>,
    description: impl TextBuf,
    description_size: u32,
    description_used: Out<u32>,
) -> Answer {
    let state = client.state.session.state();
    let target = state.current()?;
    let event = event_of(&state, target);
    tell(event.as_ref(), target, kind, process, thread)?;
    let bytes = event.as_ref().map(LastEvent::extra).unwrap_or_default();
    let platform = target.process().map_or(0, |process| process.system.platform_id);
    let words = event.map(|event| event.description(platform)).unwrap_or_default();
    drop(state);
    let extra = extra.put_if_wanted(extra_size, extra_used, &bytes);
    // A buffer of no characters is one that is not wanted.
    let described = match description.fill(description_size, description_used, &words) {
        Err(_) if description_size == 0 => HResult::S_OK,
        answer => answer?,
    };
    Ok(if extra == HResult::S_OK { described } else { extra })
}

/// `GetStoredEventInformation`: the exception that a dump holds, with its context; type
/// 0 if it holds none.
#[expect(clippy::too_many_arguments, reason = "they are the method's")]
pub fn stored(
    client: &Client,
    kind: Out<u32>,
    process: Out<u32>,
    thread: Out<u32>,
    context: Buffer,
    context_size: u32,
    context_used: Out<u32>,
    extra: Buffer,
    extra_size: u32,
    extra_used: Out<u32>,
) -> Answer {
    let state = client.state.session.state();
    let target = state.current()?;
    let (Origin::Dump(_), Ok(snapshot)) = (&target.origin, target.process()) else {
        return Err(HResult::E_UNEXPECTED);
    };
    let event = event_of(&state, target);
    tell(event.as_ref(), target, kind, process, thread)?;
    let bytes = event.as_ref().map(LastEvent::extra).unwrap_or_default();
    let registers = snapshot.exception.as_ref().map(|e| e.registers.context.clone());
    drop(state);
    let first = context.put_if_wanted(context_size, context_used, &registers.unwrap_or_default());
    let second = extra.put_if_wanted(extra_size, extra_used, &bytes);
    Ok(if first == HResult::S_OK { second } else { first })
}

/// Stores what kind of event it is and where it happened.
fn tell(
    event: Option<&LastEvent>,
    target: &Target,
    kind: Out<u32>,
    process: Out<u32>,
    thread: Out<u32>,
) -> Answer {
    if kind.is_null() || process.is_null() || thread.is_null() {
        return Err(HResult::E_POINTER);
    }
    let threads = target.process().map(|process| process.threads.as_slice()).unwrap_or_default();
    let place = match event {
        Some(event) => threads.iter().position(|t| t.tid == event.thread),
        None => Some(target.current_thread),
    };
    kind.put(event.map_or(0, LastEvent::number))?;
    process.put(target.id)?;
    thread.put(place.map_or(ANY_ID, |index| index as u32))?;
    OK
}
