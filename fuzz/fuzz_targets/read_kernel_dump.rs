//! Arbitrary bytes through everything that reads foreign kernel dumps, and
//! through the plan and writer that make another dump of them: nothing may
//! panic, loop, or allocate out of proportion.

#![no_main]

use dumpwright::info::{KernelInfo, TextOptions};
use dumpwright::layout::kernel::KernelLayout;
use dumpwright::plan::kernel;
use dumpwright::read::kernel::KernelDump;
use dumpwright::target::machine::{PAGE_SIZE, PageRun, PhysicalMemory};
use dumpwright::{DumpRequest, KernelDumpType, Qualifier};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(dump) = KernelDump::from_source(Box::new(bytes.to_vec())) else { return };
    let info = KernelInfo::new(&dump, "fuzz");
    let _ = info.text(TextOptions { all: true });
    serde_json::to_string(&info).expect("information has a JSON form");
    let _ = dumpwright::verify::verify_kernel(&dump);
    let mut page = vec![0; PAGE_SIZE as usize];
    for run in dump.runs().iter().take(16) {
        let first = PageRun { base: run.base, count: 1 };
        let mut holes = Vec::new();
        dump.read_pages(first, &mut page, &mut holes);
        assert!(holes.is_empty(), "a page that the dump says it has can be read");
    }
    let machine = dump.machine();
    for kind in KernelDumpType::ALL {
        let mut request = DumpRequest::new("fuzz.dmp", Qualifier::Full);
        request.extensions.kernel_type = Some(kind);
        if let Ok(plan) = kernel::plan(&machine, &dump, &request) {
            let _ = KernelLayout::new(&plan, &machine);
        }
    }
});
