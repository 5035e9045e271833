//! Arbitrary bytes as an ELF core: opened as a target, described, and planned
//! as a dump. Nothing may panic, loop, or allocate out of proportion.

#![no_main]

mod scratch;

use dumpwright::plan::plan;
use dumpwright::target::ProcessTarget;
use dumpwright::target::core::CoreProcess;
use dumpwright::{DumpRequest, FormatFlags, Qualifier};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let file = scratch::file(bytes);
    let request = DumpRequest::new("x.dmp", Qualifier::Small).flags(
        FormatFlags::DUMP_MA
            | FormatFlags::USER_SMALL_PROCESS_THREAD_DATA
            | FormatFlags::USER_SMALL_MODULE_HEADERS
            | FormatFlags::USER_SMALL_ADD_AVX_XSTATE_CONTEXT
            | FormatFlags::USER_SMALL_FILTER_TRIAGE,
    );
    // No file of the machine may decide what happens.
    let nowhere = Path::new("/nonexistent");
    let opened = CoreProcess::open(Path::new("x.core"), file, &request.wants(), Some(nowhere));
    let Ok(core) = opened else { return };
    let _ = plan(core.snapshot(), core.memory(), &request);
});
