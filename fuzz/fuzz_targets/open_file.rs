//! Arbitrary bytes as a file of any kind, packed or not: taken out of its
//! archives, opened as a process or a machine, and planned as a dump; that of a
//! process is written too. Nothing may panic, loop, or allocate out of
//! proportion, and what is written is a sound dump.

#![no_main]

mod scratch;

use dumpwright::layout::kernel::KernelLayout;
use dumpwright::layout::{DumpLayout, Layout};
use dumpwright::read::Minidump;
use dumpwright::target::ProcessTarget;
use dumpwright::target::dump_file::{Opened, open_target};
use dumpwright::target::machine::{MachineOptions, MachineTarget};
use dumpwright::{
    DumpRequest, FormatFlags, KernelDumpType, Observer, OpenOptions, Qualifier, plan, write,
};
use libfuzzer_sys::fuzz_target;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Pieces of 64 KiB that a file may unpack to: a few bytes can stand for
/// gigabytes, and the disk is what bounds them.
const PIECES: usize = 256;
/// Bytes that a dump may have to be written to memory here.
const WRITTEN: u64 = 64 << 20;

/// Gives an archive up that unpacks to much.
#[derive(Default)]
struct Patience(AtomicUsize);

impl Observer for Patience {
    fn is_cancelled(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed) >= PIECES
    }
}

fuzz_target!(|bytes: &[u8]| {
    let file = scratch::file(bytes);
    let request = DumpRequest::new("fuzz.dmp", Qualifier::Small).flags(
        FormatFlags::DUMP_MA
            | FormatFlags::USER_SMALL_PROCESS_THREAD_DATA
            | FormatFlags::USER_SMALL_MODULE_HEADERS,
    );
    let options = OpenOptions { sysroot: Some("/nonexistent".into()) };
    let machine = MachineOptions::default();
    let path = scratch::path(&file);
    match open_target(&path, &request.wants(), &options, &machine, &Patience::default()) {
        Ok(Opened::Process(process, _)) => dump_process(&*process, &request),
        Ok(Opened::Machine(machine)) => plan_machine(&*machine),
        Err(_) => {}
    }
});

fn dump_process(target: &dyn ProcessTarget, request: &DumpRequest) {
    let (snapshot, memory) = (target.snapshot(), target.memory());
    let Ok(plan) = plan::plan(snapshot, memory, request) else { return };
    let Ok(layout) = Layout::new(&plan, 0) else { return };
    if layout.file_size() > WRITTEN {
        return;
    }
    let mut out = Vec::new();
    let mut stream = write::Target::Stream(&mut out);
    let written = write::write_memory(&layout, &plan, snapshot, memory, &mut stream, &());
    let Ok(outcome) = written else { return };
    write::finish(&layout, &plan, &outcome, &mut out).expect("a vector takes all");
    Minidump::from_source(out).expect("what was written is a dump");
}

fn plan_machine(target: &dyn MachineTarget) {
    for kind in KernelDumpType::ALL {
        let mut request = DumpRequest::new("fuzz.dmp", Qualifier::Full);
        request.extensions.kernel_type = Some(kind);
        if let Ok(plan) = plan::kernel::plan(target.snapshot(), target.memory(), &request) {
            let _ = KernelLayout::new(&plan, target.snapshot());
        }
    }
}
