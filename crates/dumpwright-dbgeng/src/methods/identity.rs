//! The client itself: its name, further clients, waiting for calls.

use super::OK;
use crate::abi::{Answer, Out, Raw, Text, TextBuf};
use crate::object::{Client, with_client};
use crate::session::{ClientState, lock, mask};
use dumpwright::HResult;
use std::time::{Duration, Instant};

/// `INFINITE`.
const INFINITE: u32 = u32::MAX;

/// `CreateClient`: another client of the same session.
pub fn create_client(client: &Client, other: Out<Raw>) -> Answer {
    if other.is_null() {
        return Err(HResult::E_POINTER);
    }
    other.put(Client::create(ClientState::of(client.state.session.clone())))?;
    OK
}

fn name() -> String {
    format!("dumpwright {} (process {})", env!("CARGO_PKG_VERSION"), std::process::id())
}

/// `GetIdentity`.
pub fn identity(_: &Client, buffer: impl TextBuf, size: u32, needed: Out<u32>) -> Answer {
    buffer.fill(size, needed, &name())
}

/// `OutputIdentity`: `format` holds one `%s`.
pub fn output_identity(client: &Client, _control: u32, flags: u32, format: impl Text) -> Answer {
    if flags != 0 {
        return Err(HResult::E_INVALIDARG);
    }
    let format = format.required()?;
    let text = format.trim_end_matches('\n').replacen("%s", &name(), 1);
    client.state.say(mask::NORMAL, &text);
    OK
}

/// `IsKernelDebuggerEnabled`: there is none.
pub fn kernel_debugger(_: &Client) -> Answer {
    Ok(HResult::S_FALSE)
}

/// `DispatchCallbacks`: waits for `ExitDispatch`, at most so many milliseconds.
/// Callbacks of this client come on the threads that call its methods, so
/// there is nothing to dispatch.
pub fn dispatch_callbacks(client: &Client, timeout: u32) -> Answer {
    let start = Instant::now();
    let mut exit = lock(&client.state.exit_dispatch);
    while !*exit {
        let wait = if timeout == INFINITE {
            Duration::from_secs(3600)
        } else {
            let all = Duration::from_millis(timeout.into());
            match all.checked_sub(start.elapsed()) {
                Some(left) if !left.is_zero() => left,
                _ => return Ok(HResult::S_FALSE),
            }
        };
        exit = client
            .state
            .dispatch
            .wait_timeout(exit, wait)
            .map_or_else(|poisoned| poisoned.into_inner().0, |(guard, _)| guard);
    }
    *exit = false;
    OK
}

/// `ExitDispatch`: ends the `DispatchCallbacks` of another client.
pub fn exit_dispatch(_: &Client, other: Raw) -> Answer {
    with_client(other, |other| {
        *lock(&other.state.exit_dispatch) = true;
        other.state.dispatch.notify_all();
        OK
    })
}
