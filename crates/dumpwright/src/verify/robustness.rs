//! Any bytes: opening, showing and verifying them never panics, and never takes
//! long.

use super::verify;
use crate::info::{DumpInfo, TextOptions};
use crate::read::{Minidump, samples, synth::Synth};
use dumpwright_format::minidump::{self as wire, LocationDescriptor, StreamType};
use proptest::prelude::*;
use std::time::{Duration, Instant};
use zerocopy::FromZeros;

/// Far more than a debug build takes for what these tests make.
const LIMIT: Duration = Duration::from_secs(20);

fn exercise(bytes: Vec<u8>) {
    let start = Instant::now();
    let Ok(dump) = Minidump::from_source(bytes) else { return };
    let info = DumpInfo::new(&dump).expect("a slice can be read");
    let text = info.text(TextOptions { all: true });
    serde_json::to_string(&info).expect("information has a JSON form");
    verify(&dump);
    for entry in dump.directory().iter().take(64) {
        let _ = dump.stream_bytes(entry.stream_type);
    }
    let _ = dump.read_memory(0x7000, &mut [0; 16]);
    let took = start.elapsed();
    assert!(took < LIMIT, "{took:?} for {} bytes", dump.len());
    // Each line shows little of the dump; strings are paid for.
    assert!(text.len() as u64 <= dump.len() * 64 + (64 << 20), "{} bytes of text", text.len());
}

/// A dump with a stream of each type, all of the same small bytes.
fn every_stream(content: &[u8]) -> Synth {
    let mut synth = Synth::new();
    let breakpad = 0x4767_0001..=0x4767_000a;
    let others = [0x4350_0001, 0x4d7a_0001, 0x4d7a_0003, 0x4d7a_0004];
    for ty in (3..=24).chain(breakpad).chain(others) {
        synth.stream(StreamType(ty), content);
    }
    synth
}

/// Numbers that break things: small ones, sizes of structures, and edges.
fn edgy() -> impl Strategy<Value = u32> {
    prop_oneof![
        0..64u32,
        Just(u32::MAX),
        Just(0x7fff_ffff),
        Just(0x8000_0000),
        0..70_000u32,
        any::<u32>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_behind_a_signature(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let mut dump = b"MDMP\x93\xa7\0\0".to_vec();
        dump.extend(bytes);
        exercise(dump);
    }

    #[test]
    fn any_words_as_every_stream(words in proptest::collection::vec(edgy(), 0..48)) {
        let content: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        exercise(every_stream(&content).bytes());
    }

    #[test]
    fn real_dumps_with_words_changed(
        which in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), edgy(), any::<bool>()), 1..24),
        cut in proptest::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        thread_local! {
            static SAMPLES: Vec<(String, Vec<u8>)> = samples::user();
        }
        let sample = SAMPLES.with(|all| {
            (!all.is_empty()).then(|| all[which.index(all.len())].1.clone())
        });
        if let Some(mut bytes) = sample {
            for (at, word, near_start) in changes {
                // Half of them hit the first kilobytes, where the structures are.
                let range = if near_start { bytes.len().min(4096) } else { bytes.len() };
                let at = at.index(range - 4) & !3;
                bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            exercise(bytes);
        }
    }
}

#[test]
fn entries_that_share_what_is_large_do_not_multiply_it() {
    let mut synth = Synth::new();
    let mut system = wire::SystemInfo::new_zeroed();
    system.processor_architecture = wire::PROCESSOR_ARCHITECTURE_AMD64.into();
    synth.stream(StreamType::SYSTEM_INFO, zerocopy::IntoBytes::as_bytes(&system));
    let name = synth.string(&"n".repeat(65_000));
    let large = synth.put(&vec![1; 0x1_0000]);
    let place = LocationDescriptor { data_size: 0x1_0000.into(), rva: large.into() };
    let mut module = wire::Module::new_zeroed();
    module.size_of_image = 1.into();
    module.module_name_rva = name.into();
    module.cv_record = place;
    let modules: Vec<_> = (0..5000u32)
        .map(|index| {
            // Each name starts two bytes after the one before.
            let mut module = module;
            module.base_of_image = u64::from(index).into();
            module.module_name_rva = (name + index * 2 + 2).into();
            module
        })
        .collect();
    synth.list(StreamType::MODULE_LIST, &modules);
    let mut thread = wire::Thread::new_zeroed();
    thread.thread_context = place;
    thread.stack.memory = place;
    synth.list(StreamType::THREAD_LIST, &vec![thread; 5000]);
    let memory = wire::MemoryDescriptor { start_of_memory_range: 0.into(), memory: place };
    synth.list(StreamType::MEMORY_LIST, &vec![memory; 5000]);
    exercise(synth.bytes());
}
