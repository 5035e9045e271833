//! The processors' clocks.

use super::status_error;
use std::io;
use windows_sys::Win32::System::Power::{
    CallNtPowerInformation, PROCESSOR_POWER_INFORMATION, ProcessorInformation,
};

/// The first processor's maximum, current and limited clock in MHz, and its
/// deepest and current idle state.
pub(in super::super) fn first_processor(processors: u32) -> io::Result<[u32; 5]> {
    // The call answers for all processors or not at all.
    let mut all = vec![PROCESSOR_POWER_INFORMATION::default(); processors.max(1) as usize];
    let bytes = size_of_val(all.as_slice()) as u32;
    // SAFETY: the buffer is writable for as many bytes as are named.
    let status = unsafe {
        CallNtPowerInformation(
            ProcessorInformation,
            std::ptr::null(),
            0,
            all.as_mut_ptr().cast(),
            bytes,
        )
    };
    if status < 0 {
        return Err(status_error(status));
    }
    let first = all[0];
    Ok([first.MaxMhz, first.CurrentMhz, first.MhzLimit, first.MaxIdleState, first.CurrentIdleState])
}
