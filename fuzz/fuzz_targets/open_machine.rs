//! Arbitrary bytes as images of a machine's memory: LiME, ELF, raw, kernel
//! dumps, and what of a Windows guest is looked for in them. Nothing may panic,
//! loop, or allocate out of proportion.

#![no_main]

use dumpwright::target::machine::image::RawLayout;
use dumpwright::target::machine::{MachineOptions, PAGE_SIZE, PageRun, open_machine_source};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    for layout in [RawLayout::Guess, RawLayout::Flat, RawLayout::HoleFrom(2 * PAGE_SIZE)] {
        let options = MachineOptions { layout, ..MachineOptions::default() };
        let source = Box::new(bytes.to_vec());
        let Ok(Some(target)) = open_machine_source(source, Path::new("fuzz"), &options) else {
            continue;
        };
        let mut buf = vec![0; 4 * PAGE_SIZE as usize];
        for run in target.memory().runs().iter().take(16) {
            let part = PageRun { base: run.base, count: 4 };
            target.memory().read_pages(part, &mut buf, &mut Vec::new());
        }
    }
});
