//! Arbitrary bytes through everything that reads foreign dumps: nothing may
//! panic, loop, or allocate out of proportion.

#![no_main]

use dumpwright::info::{DumpInfo, TextOptions};
use dumpwright::read::Minidump;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(dump) = Minidump::from_source(bytes.to_vec()) else { return };
    // A source in memory cannot fail to be read, and damage is not an error.
    let info = DumpInfo::new(&dump).expect("a slice can be read");
    let _ = info.text(TextOptions { all: true });
    serde_json::to_string(&info).expect("information has a JSON form");
    let _ = dumpwright::verify::verify(&dump);

    let _ = dump.tokens();
    let _ = dump.dso_debug();
    let _ = dump.breakpad_info();
    for entry in dump.directory().iter().take(64) {
        let _ = dump.stream_bytes(entry.stream_type);
    }
    let mut buf = [0; 64];
    for address in info.threads.iter().filter_map(|thread| thread.stack_pointer) {
        let _ = dump.read_memory(address.0, &mut buf);
    }
});
