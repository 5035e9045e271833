//! The console's end.

use std::sync::OnceLock;
use windows_sys::Win32::System::Console::{CTRL_CLOSE_EVENT, SetConsoleCtrlHandler};

static HANDLER: OnceLock<fn()> = OnceLock::new();

/// Calls `handler`, on a thread of its own, when the console is closed. Windows
/// ends the process as soon as it returns, or after some seconds.
pub fn on_close(handler: fn()) {
    if HANDLER.set(handler).is_ok() {
        // It fails only without a console, and then none is closed.
        // SAFETY: the routine is a function of this program, which lives as long.
        unsafe { SetConsoleCtrlHandler(Some(routine), 1) };
    }
}

unsafe extern "system" fn routine(event: u32) -> i32 {
    if event != CTRL_CLOSE_EVENT {
        // The handlers before this one are asked then.
        return 0;
    }
    if let Some(handler) = HANDLER.get() {
        handler();
    }
    1
}
