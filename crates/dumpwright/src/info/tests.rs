//! The whole of `info`, on synthetic and on real dumps.

use super::*;
use crate::read::{Minidump, samples, synth::Synth};
use dumpwright_format::minidump::{self as wire, StreamType};
use zerocopy::{FromZeros, IntoBytes};

fn text(synth: &Synth, all: bool) -> String {
    DumpInfo::new(&synth.open()).unwrap().text(TextOptions { all })
}

fn linux_crash() -> Synth {
    let mut synth = Synth::new();
    let mut system = wire::SystemInfo::new_zeroed();
    system.processor_architecture = wire::PROCESSOR_ARCHITECTURE_AMD64.into();
    system.platform_id = wire::PLATFORM_LINUX.into();
    synth.stream(StreamType::SYSTEM_INFO, system.as_bytes());
    let mut exception = wire::ExceptionStream::new_zeroed();
    exception.thread_id = 7.into();
    exception.exception_record.exception_code = 11.into();
    exception.exception_record.exception_flags = 1.into();
    synth.stream(StreamType::EXCEPTION, exception.as_bytes());
    synth
}

#[test]
fn the_comment_comes_first() {
    let mut synth = Synth::new();
    synth.stream(StreamType::COMMENT_A, b"before the upgrade\0");
    assert!(text(&synth, false).starts_with("Comment: 'before the upgrade'\n"));
}

#[test]
fn a_signal_is_named_with_its_reason_and_address() {
    let text = text(&linux_crash(), false);
    assert!(text.contains("SIGSEGV (SEGV_MAPERR) at 0x0 in thread 7"), "{text}");
}

#[test]
fn a_long_list_says_how_much_of_it_is_not_shown() {
    let mut synth = Synth::new();
    let threads = vec![wire::Thread::new_zeroed(); 23];
    synth.list(StreamType::THREAD_LIST, &threads);
    let cut = text(&synth, false);
    assert!(cut.contains("Threads (23)") && cut.contains("... and 3 more; --all"), "{cut}");
    let whole = text(&synth, true);
    assert!(!whole.contains("more; --all"), "{whole}");
    assert_eq!(whole.lines().count(), cut.lines().count() + 2);
}

#[test]
fn a_damaged_stream_is_named_and_the_rest_is_shown() {
    let mut synth = linux_crash();
    synth.stream(StreamType::THREAD_LIST, &[0xff; 4]);
    let info = DumpInfo::new(&synth.open()).unwrap();
    assert_eq!(info.damage.len(), 1);
    assert!(info.damage[0].starts_with("ThreadList"), "{:?}", info.damage);
    assert!(info.exception.is_some());
}

#[test]
fn addresses_are_strings_in_json_and_fields_keep_their_names() {
    let json = serde_json::to_value(DumpInfo::new(&linux_crash().open()).unwrap()).unwrap();
    assert_eq!(json["exception"]["address"], "0x0");
    assert_eq!(json["exception"]["thread_id"], 7);
    assert_eq!(json["system"]["platform"], "Linux");
    for field in [
        "comment",
        "file",
        "system",
        "process",
        "exception",
        "streams",
        "threads",
        "modules",
        "unloaded_modules",
        "memory",
        "handles",
        "soft_errors",
        "damage",
    ] {
        assert!(json.get(field).is_some(), "{field}");
    }
}

#[test]
fn real_dumps_are_shown_without_damage() {
    for (name, bytes) in samples::sound() {
        let info = DumpInfo::new(&Minidump::from_source(bytes).unwrap()).unwrap();
        println!("== {name}\n{}", info.text(TextOptions::default()));
        assert_eq!(info.damage, [""; 0], "{name}");
        assert!(info.exception.is_some() && !info.threads.is_empty(), "{name}");
        assert!(info.threads.iter().all(|t| t.instruction_pointer.is_some()), "{name}");
        assert!(info.memory.by_kind.iter().map(|k| k.size).sum::<u64>() == info.memory.size);
    }
}
