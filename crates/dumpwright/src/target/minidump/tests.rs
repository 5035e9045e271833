//! Dumps of dumps, held against their sources field by field.

use super::*;
use crate::observer::Observer;
use crate::read::synth::Synth;
use crate::read::{Source, samples};
use crate::redact::RedactPattern;
use crate::verify::verify;
use crate::{DumpRequest, FormatFlags, Output, Qualifier, write_dump};
use dumpwright_format::context::amd64::{CONTEXT_ALL, ContextAmd64};
use dumpwright_format::minidump as wire;
use proptest::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};
use zerocopy::{FromZeros, IntoBytes};

fn source(bytes: &[u8]) -> Minidump {
    Minidump::from_source(bytes.to_vec()).unwrap()
}

/// The dump of a dump.
fn dump_with(bytes: &[u8], change: impl FnOnce(DumpRequest) -> DumpRequest) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.dmp");
    let request = change(DumpRequest::new(&file, Qualifier::Small));
    let dump = Minidump::from_source(bytes.to_vec())?;
    let target = MinidumpProcess::open(dump, &request.wants())?;
    let output = Output::open(&request)?;
    write_dump(Box::new(target), &request, output, &() as &dyn Observer)?;
    Ok(std::fs::read(&file).unwrap())
}

fn dump(bytes: &[u8], flags: FormatFlags) -> Vec<u8> {
    dump_with(bytes, |request| request.flags(flags)).unwrap()
}

fn everything() -> FormatFlags {
    FormatFlags::DUMP_MA
        | FormatFlags::USER_SMALL_IGNORE_INACCESSIBLE_MEM
        | FormatFlags::USER_SMALL_ADD_AVX_XSTATE_CONTEXT
}

/// Samples of architectures that dumps are made of.
fn convertible() -> Vec<(String, Vec<u8>)> {
    let mut samples = samples::sound();
    samples.retain(|(_, bytes)| {
        let info = source(bytes).system_info().unwrap().unwrap();
        system::architecture(info.processor_architecture).is_some()
    });
    samples
}

#[test]
fn every_sample_is_carried_whole_by_a_full_dump_of_it() {
    let samples = convertible();
    assert!(samples.is_empty() || samples.len() >= 12, "{}", samples.len());
    for (name, bytes) in samples {
        let (old, new) = (source(&bytes), source(&dump(&bytes, everything())));
        assert_eq!(
            old.system_info().unwrap().map(|s| (
                s.cpu,
                s.csd_version,
                s.platform_id,
                s.processor_architecture,
                s.build_number
            )),
            new.system_info().unwrap().map(|s| (
                s.cpu,
                s.csd_version,
                s.platform_id,
                s.processor_architecture,
                s.build_number
            )),
            "{name}"
        );
        assert_eq!(old.header().time_date_stamp.get(), new.header().time_date_stamp.get());
        assert_eq!(old.misc_info().unwrap(), new.misc_info().unwrap(), "{name}");
        let threads = |dump: &Minidump| {
            let threads = dump.threads().unwrap().unwrap_or_default();
            threads
                .iter()
                .map(|t| {
                    let context = dump.context_bytes(t.context).unwrap_or_default();
                    (t.thread_id, t.suspend_count, t.priority_class, t.priority, t.teb, context)
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(threads(&old), threads(&new), "{name}");
        assert_eq!(old.thread_info().unwrap(), new.thread_info().unwrap(), "{name}");
        let names = |dump: &Minidump| {
            let names = dump.thread_names().unwrap().unwrap_or_default();
            names
                .into_iter()
                .filter_map(|n| Some((n.thread_id, n.name.filter(|name| !name.is_empty())?)))
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&old), names(&new), "{name}");
        let modules = |dump: &Minidump| {
            let (snapshots, records) = modules::modules(dump, &mut Vec::new()).unwrap();
            format!("{snapshots:?} {records:?}")
        };
        assert_eq!(modules(&old), modules(&new), "{name}");
        let exception = |dump: &Minidump| {
            dump.exception().unwrap().map(|e| {
                let context = dump.context_bytes(e.context).unwrap_or_default();
                (e.thread_id, e.code, e.flags, e.nested_record, e.address, e.parameters, context)
            })
        };
        assert_eq!(exception(&old), exception(&new), "{name}");
        let unloaded = |dump: &Minidump| {
            let unloaded = dump.unloaded_modules().unwrap();
            unloaded.map(|u| u.into_iter().map(|m| (m.base, m.size, m.name)).collect::<Vec<_>>())
        };
        assert_eq!(unloaded(&old), unloaded(&new), "{name}");
        let handles = |dump: &Minidump| {
            dump.handles().unwrap().map(|data| {
                let handles = data.handles.into_iter();
                handles
                    .map(|h| (h.handle, h.type_name, h.object_name, h.object_infos))
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(handles(&old), handles(&new), "{name}");
        // All memory, at its addresses.
        for range in old.memory_map().unwrap().ranges() {
            let (mut was, mut is) = (vec![0; range.size as usize], vec![0; range.size as usize]);
            old.read_memory(range.start, &mut was).unwrap();
            new.read_memory(range.start, &mut is).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(was, is, "{name}: {range:x?}");
        }
        carried_streams_are_equal(&name, &old, &new);
    }
}

/// Streams without pointers are there byte for byte.
fn carried_streams_are_equal(name: &str, old: &Minidump, new: &Minidump) {
    let moved = [
        StreamType::CRASHPAD_INFO,
        StreamType::MOZ_MACOS_CRASH_INFO,
        StreamType::MOZ_MACOS_BOOTARGS,
    ];
    for entry in old.directory() {
        let stream_type = entry.stream_type;
        let made = (3..=24).contains(&stream_type.0) && !matches!(stream_type.0, 13 | 18..=23);
        let dso = stream_type == StreamType::LINUX_DSO_DEBUG;
        if made || stream_type == StreamType::UNUSED || stream_type == StreamType::MOZ_SOFT_ERRORS {
            continue;
        }
        assert!(new.stream(stream_type).is_some(), "{name}: {stream_type}");
        if !dso && !moved.contains(&stream_type) {
            let bytes = |dump: &Minidump| dump.stream_bytes(stream_type).unwrap();
            assert_eq!(bytes(old), bytes(new), "{name}: {stream_type}");
        }
    }
    let list = |dump: &Minidump| {
        let debug = dump.dso_debug().unwrap();
        debug.map(|d| (d.version, d.brk, d.ldbase, d.dynamic, d.dynamic_bytes, d.entries))
    };
    assert_eq!(list(old), list(new), "{name}");
}

#[test]
fn every_sample_with_every_flag_gives_a_dump_without_new_faults() {
    let mut single = FormatFlags::USER_ONLY;
    single.remove(FormatFlags::USER_SMALL_NO_IGNORE_INACCESSIBLE_MEM);
    let single = single.iter().collect::<Vec<_>>();
    for (name, bytes) in convertible() {
        let faults = verify(&source(&bytes)).len();
        let combined = [
            FormatFlags::empty(),
            everything(),
            FormatFlags::USER_SMALL_FILTER_MEMORY
                | FormatFlags::USER_SMALL_FILTER_PATHS
                | FormatFlags::USER_SMALL_FILTER_TRIAGE
                | FormatFlags::USER_SMALL_NO_OPTIONAL_DATA,
        ];
        for flags in single.iter().copied().chain(combined) {
            let written = dump(&bytes, flags | FormatFlags::USER_SMALL_IGNORE_INACCESSIBLE_MEM);
            let found = verify(&source(&written));
            assert!(found.len() <= faults, "{name} {flags:?}: {found:#?}");
            if let Err(error) = minidump::Minidump::read(written.as_slice()) {
                panic!("{name} {flags:?}: {error}");
            }
        }
    }
}

#[test]
fn a_dump_of_a_dump_of_a_dump_is_the_same() {
    for (name, bytes) in convertible() {
        let once = dump(&bytes, everything());
        let twice = dump(&once, everything());
        let streams = |bytes: &[u8]| {
            let dump = source(bytes);
            dump.directory().iter().map(|e| (e.stream_type, e.location.size)).collect::<Vec<_>>()
        };
        let without_notes = |bytes: &[u8]| {
            let mut streams = streams(bytes);
            streams.retain(|(kind, _)| *kind != StreamType::MOZ_SOFT_ERRORS);
            streams
        };
        assert_eq!(without_notes(&once), without_notes(&twice), "{name}");
    }
}

#[test]
fn a_comment_is_kept_until_there_is_a_new_one() {
    for (_, bytes) in convertible().iter().take(1) {
        let first = dump_with(bytes, |request| request.comment("first")).unwrap();
        let kept = dump(&first, FormatFlags::empty());
        let comment = |bytes: &[u8]| source(bytes).stream_bytes(StreamType::COMMENT_A).unwrap();
        assert_eq!(comment(&kept).unwrap(), b"first\0");
        let second = dump_with(&kept, |request| request.comment("second")).unwrap();
        assert_eq!(comment(&second).unwrap(), b"second\0");
        let triage = dump(&kept, FormatFlags::USER_SMALL_FILTER_TRIAGE);
        assert_eq!(comment(&triage), None);
    }
}

#[test]
fn what_the_source_does_not_have_is_not_claimed() {
    for (name, bytes) in convertible() {
        let old = source(&bytes);
        let new = source(&dump(&bytes, everything()));
        let done = new.minidump_type();
        let has = |stream_type| old.stream(stream_type).is_some();
        assert_eq!(
            done.contains(MinidumpType::WITH_HANDLE_DATA),
            has(StreamType::HANDLE_DATA),
            "{name}"
        );
        assert_eq!(
            done.contains(MinidumpType::WITH_THREAD_INFO),
            has(StreamType::THREAD_INFO_LIST),
            "{name}"
        );
        if !old.minidump_type().contains(MinidumpType::WITH_FULL_MEMORY) {
            assert!(!done.contains(MinidumpType::WITH_FULL_MEMORY), "{name}");
            let notes =
                String::from_utf8(new.stream_bytes(StreamType::MOZ_SOFT_ERRORS).unwrap().unwrap());
            assert!(notes.unwrap().contains("FULL_MEMORY"), "{name}");
        }
    }
}

#[test]
fn an_architecture_that_dumps_are_not_made_of_is_refused_by_name() {
    for (_, bytes) in convertible().iter().take(1) {
        let at = source(bytes).stream(StreamType::SYSTEM_INFO).unwrap().location.rva as usize;
        for (number, named) in [(5, "arm"), (3, "ppc"), (0x8001, "unknown architecture")] {
            let mut other = bytes.clone();
            other[at..at + 2].copy_from_slice(&u16::to_le_bytes(number));
            let dump = source(&other);
            let error = MinidumpProcess::open(dump, &Wants::default()).err().unwrap();
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}

/// A source of which only the start is stored; all else is zero. Counts what is
/// read of it.
struct Counting {
    start: Vec<u8>,
    len: u64,
    read: Arc<AtomicU64>,
}

impl Source for Counting {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.read.fetch_add(buf.len() as u64, Ordering::Relaxed);
        buf.fill(0);
        let stored = self.start.get(offset as usize..).unwrap_or_default();
        let len = stored.len().min(buf.len());
        buf[..len].copy_from_slice(&stored[..len]);
        Ok(())
    }
}

#[test]
fn a_small_dump_of_a_full_one_reads_what_the_small_one_holds() {
    const STACK: u64 = 0x7000_0000;
    const TERABYTE: u64 = 1 << 40;
    let mut synth = Synth::new();
    let mut info = wire::SystemInfo::new_zeroed();
    info.processor_architecture = wire::PROCESSOR_ARCHITECTURE_AMD64.into();
    info.platform_id = wire::PLATFORM_WIN32_NT.into();
    synth.stream(StreamType::SYSTEM_INFO, info.as_bytes());
    let mut context = ContextAmd64::new_zeroed();
    context.context_flags = CONTEXT_ALL.into();
    context.rsp = (STACK + 0x1000).into();
    let mut thread = wire::Thread::new_zeroed();
    thread.thread_id = 1.into();
    thread.thread_context.rva = synth.put(context.as_bytes()).into();
    thread.thread_context.data_size = (size_of::<ContextAmd64>() as u32).into();
    synth.list(StreamType::THREAD_LIST, &[thread]);
    let words = [2, 0x1_0000, STACK, 0x4000, 0x10_0000_0000, TERABYTE];
    let list: Vec<u8> = words.iter().flat_map(|word: &u64| word.to_le_bytes()).collect();
    synth.stream(StreamType::MEMORY64_LIST, &list);
    synth.flags(MinidumpType::WITH_FULL_MEMORY.bits());
    let read = Arc::new(AtomicU64::new(0));
    let source = Counting { start: synth.bytes(), len: 2 * TERABYTE, read: read.clone() };

    let folder = tempfile::tempdir().unwrap();
    let request = DumpRequest::new(folder.path().join("x.dmp"), Qualifier::Small);
    let dump = Minidump::from_source(source).unwrap();
    let target = MinidumpProcess::open(dump, &request.wants()).unwrap();
    let output = Output::open(&request).unwrap();
    let summary = write_dump(Box::new(target), &request, output, &()).unwrap();
    assert!(summary.memory_bytes >= 0x3000);
    assert!(read.load(Ordering::Relaxed) < 100_000, "{read:?}");
}

#[test]
fn a_redaction_reaches_every_text_that_a_dump_carries() {
    const WORDS: [&str; 5] = ["windows", "crashpad", "system32", "linux", "library"];
    let patterns: Vec<RedactPattern> = WORDS
        .iter()
        .map(|word| RedactPattern { name: (*word).into(), regex: format!("(?i){word}") })
        .collect();
    let mut had = 0;
    for (name, bytes) in convertible() {
        let new = dump_with(&bytes, |mut request| {
            request.extensions.redact = patterns.clone();
            request.flags(everything())
        });
        let (was, is) = (bytes.to_ascii_lowercase(), new.unwrap().to_ascii_lowercase());
        for word in WORDS {
            let wide: Vec<u8> = word.bytes().flat_map(|b| [b, 0]).collect();
            for needle in [word.as_bytes(), &wide] {
                let finds = |hay: &[u8]| hay.windows(needle.len()).any(|w| w == needle);
                had += u32::from(finds(&was));
                assert!(!finds(&is), "{name}: {word}");
            }
        }
    }
    assert!(had == 0 || had > 20, "{had}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn hostile_dumps_never_panic_as_targets(
        index in any::<proptest::sample::Index>(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u32>()), 1..24),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
        flags in any::<u32>(),
    ) {
        let samples = samples::user();
        if samples.is_empty() {
            return Ok(());
        }
        let mut bytes = samples[index.index(samples.len())].1.clone();
        for (at, value) in changes {
            // Half of the changes go where the pointers are.
            let reach = if value % 2 == 0 { bytes.len() } else { 2000 };
            let at = at.index(reach.min(bytes.len() - 4)) & !3;
            let value = if value % 3 == 0 { value } else { value & 0xFFFF };
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let flags = FormatFlags::from_bits_truncate(flags & 0x3FFFF)
            | FormatFlags::USER_SMALL_IGNORE_INACCESSIBLE_MEM;
        let _ = dump_with(&bytes, |request| request.flags(flags));
    }
}
