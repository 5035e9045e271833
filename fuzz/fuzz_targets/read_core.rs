//! Arbitrary bytes as an ELF core: opened as a target, described, and planned
//! as a dump. Nothing may panic, loop, or allocate out of proportion.

#![no_main]

use dumpwright::plan::plan;
use dumpwright::target::ProcessTarget;
use dumpwright::target::core::CoreProcess;
use dumpwright::{DumpRequest, FormatFlags, Qualifier};
use libfuzzer_sys::fuzz_target;
use std::io::{Seek, Write};
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::tempfile().expect("a temporary file can be made");
    file.write_all(bytes).and_then(|()| file.rewind()).expect("it can be written");
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
