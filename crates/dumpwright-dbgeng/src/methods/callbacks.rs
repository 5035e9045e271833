//! The callbacks of a client, and how it wants its output.

use super::OK;
use crate::abi::{Answer, Out, Raw, Text, TextBuf};
use crate::com::Callback;
use crate::object::Client;
use crate::session::{Callbacks, lock};

/// Hands a callback out, or null.
fn get(
    client: &Client,
    out: Out<Raw>,
    field: impl FnOnce(&Callbacks) -> &Option<Callback>,
) -> Answer {
    let callback = field(&lock(&client.state.callbacks)).clone();
    if out.is_null() {
        return Err(dumpwright::HResult::E_POINTER);
    }
    out.put(callback.map_or(Raw::NULL, |c| c.hand_out()))?;
    OK
}

/// Replaces a callback; null takes it away.
fn set(
    client: &Client,
    callback: Raw,
    field: impl FnOnce(&mut Callbacks) -> &mut Option<Callback>,
) -> Answer {
    let new = Callback::new(callback);
    // The old one is released without the lock.
    let old = std::mem::replace(field(&mut lock(&client.state.callbacks)), new);
    drop(old);
    OK
}

/// How many clients of the session have a callback.
fn count(client: &Client, out: Out<u32>, has: impl Fn(&Callbacks) -> bool) -> Answer {
    let clients = client.state.clients();
    out.put(clients.iter().filter(|c| has(&lock(&c.callbacks))).count() as u32)?;
    OK
}

/// `GetInputCallbacks`.
pub fn input(client: &Client, out: Out<Raw>) -> Answer {
    get(client, out, |c| &c.input)
}

/// `SetInputCallbacks`. Nothing here asks for input.
pub fn set_input(client: &Client, callback: Raw) -> Answer {
    set(client, callback, |c| &mut c.input)
}

/// `GetOutputCallbacks`.
pub fn output(client: &Client, out: Out<Raw>) -> Answer {
    get(client, out, |c| &c.output)
}

/// `SetOutputCallbacks`.
pub fn set_output(client: &Client, callback: Raw) -> Answer {
    set(client, callback, |c| &mut c.output)
}

/// `GetOutputCallbacksWide`.
pub fn output_wide(client: &Client, out: Out<Raw>) -> Answer {
    get(client, out, |c| &c.output_wide)
}

/// `SetOutputCallbacksWide`.
pub fn set_output_wide(client: &Client, callback: Raw) -> Answer {
    set(client, callback, |c| &mut c.output_wide)
}

/// `GetEventCallbacks`.
pub fn event(client: &Client, out: Out<Raw>) -> Answer {
    get(client, out, |c| &c.event)
}

/// `SetEventCallbacks`.
pub fn set_event(client: &Client, callback: Raw) -> Answer {
    set(client, callback, |c| &mut c.event)
}

/// `GetEventCallbacksWide`.
pub fn event_wide(client: &Client, out: Out<Raw>) -> Answer {
    get(client, out, |c| &c.event_wide)
}

/// `SetEventCallbacksWide`.
pub fn set_event_wide(client: &Client, callback: Raw) -> Answer {
    set(client, callback, |c| &mut c.event_wide)
}

/// `GetNumberInputCallbacks`.
pub fn number_input(client: &Client, out: Out<u32>) -> Answer {
    count(client, out, |c| c.input.is_some())
}

/// `GetNumberOutputCallbacks`.
pub fn number_output(client: &Client, out: Out<u32>) -> Answer {
    count(client, out, |c| c.output.is_some() || c.output_wide.is_some())
}

/// `GetNumberEventCallbacks`: those that want all of these events.
pub fn number_event(client: &Client, events: u32, out: Out<u32>) -> Answer {
    let mut count = 0;
    for other in client.state.clients() {
        let (narrow, wide) = {
            let callbacks = lock(&other.callbacks);
            (callbacks.event.clone(), callbacks.event_wide.clone())
        };
        let wants = |callback: Callback| callback.interest() & events == events;
        count += u32::from(narrow.is_some_and(wants)) + u32::from(wide.is_some_and(wants));
    }
    out.put(count)?;
    OK
}

/// `GetOutputMask`.
pub fn mask(client: &Client, out: Out<u32>) -> Answer {
    out.put(lock(&client.state.callbacks).mask)?;
    OK
}

/// `SetOutputMask`.
pub fn set_mask(client: &Client, mask: u32) -> Answer {
    lock(&client.state.callbacks).mask = mask;
    OK
}

/// `GetOutputWidth`.
pub fn width(client: &Client, out: Out<u32>) -> Answer {
    out.put(lock(&client.state.callbacks).width)?;
    OK
}

/// `SetOutputWidth`. Kept for the program: lines are not broken here.
pub fn set_width(client: &Client, width: u32) -> Answer {
    lock(&client.state.callbacks).width = width;
    OK
}

/// `GetOutputLinePrefix`.
pub fn line_prefix(client: &Client, buffer: impl TextBuf, size: u32, needed: Out<u32>) -> Answer {
    let prefix = lock(&client.state.callbacks).line_prefix.clone();
    buffer.fill(size, needed, &prefix)
}

/// `SetOutputLinePrefix`; null takes it away.
pub fn set_line_prefix(client: &Client, prefix: impl Text) -> Answer {
    lock(&client.state.callbacks).line_prefix = prefix.text()?.unwrap_or_default();
    OK
}

/// `FlushCallbacks`. Output is never kept back.
pub fn flush(_: &Client) -> Answer {
    OK
}
