//! Arbitrary bytes as the target of a dump: nothing may panic, loop, or
//! allocate out of proportion, and what is written is a sound dump. The first
//! four bytes are format flags.

#![no_main]

use dumpwright::layout::Layout;
use dumpwright::read::Minidump;
use dumpwright::target::ProcessTarget;
use dumpwright::target::minidump::MinidumpProcess;
use dumpwright::{DumpRequest, FormatFlags, Qualifier, plan, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((flags, bytes)) = bytes.split_first_chunk() else { return };
    let flags = FormatFlags::from_bits_truncate(u32::from_le_bytes(*flags));
    let request = DumpRequest::new("fuzz.dmp", Qualifier::Small).flags(flags);
    if request.validate().is_err() {
        return;
    }
    let Ok(dump) = Minidump::from_source(bytes.to_vec()) else { return };
    let Ok(target) = MinidumpProcess::open(dump, &request.wants()) else { return };
    let (snapshot, memory) = (target.snapshot(), target.memory());
    let Ok(plan) = plan::plan(snapshot, memory, &request) else { return };
    let Ok(layout) = Layout::new(&plan, 0) else { return };
    let mut out = Vec::new();
    let mut stream = write::Target::Stream(&mut out);
    let written = write::write_memory(&layout, &plan, snapshot, memory, &mut stream, &());
    let Ok(outcome) = written else { return };
    write::finish(&layout, &plan, &outcome, &mut out).expect("a vector takes all");
    Minidump::from_source(out).expect("what was written is a dump");
});
