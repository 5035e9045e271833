//! The exception stream of a dump of a dump, from what a fault handler left in
//! the memory that the source holds.

use crate::support::cli::dump;
use crate::support::redump::{redump, try_redump};
use crate::support::target::Target;

/// The raw Exception stream's record, thread and context of a dump.
fn exception(loaded: &crate::support::dump::Loaded) -> Vec<u8> {
    let stream = loaded.raw(6).expect("an exception").to_vec();
    let word = |at: usize| u32::from_le_bytes(stream[at..at + 4].try_into().unwrap()) as usize;
    // MINIDUMP_EXCEPTION_STREAM: the location of the context comes last.
    let (size, rva) = (word(160), word(164));
    [&stream[..160], &loaded.bytes[rva..rva + size]].concat()
}

#[test]
fn a_full_dump_gives_the_exception_that_the_process_gives() {
    let target = Target::fixture("crash", &[]);
    let full = dump(&target, &["-ma"]);
    let hex = |key: &str| format!("{:#x}", target.number(key));
    let (context, record, pointers) = (hex("ucontext"), hex("siginfo"), hex("pointers"));
    let tid = target.number("tid").to_string();
    for options in [
        &["-xp", &pointers][..],
        &["-xc", &context, "-xr", &record],
        &["-xc", &context, "-xt", &tid],
        &["-xr", &record],
        &["-xt", &tid],
    ] {
        let (live, again) = (dump(&target, options).load(), redump(&full.file, options).load());
        assert_eq!(exception(&live), exception(&again), "{options:?}");
        let sp = target.number("sp");
        assert_eq!(live.bytes_at(sp, 64), again.bytes_at(sp, 64), "{options:?}");
    }
    // Once there, it is carried, and can be taken for another.
    let small = redump(&full.file, &["-xp", &pointers]);
    let carried = redump(&small.file, &["-m"]);
    assert_eq!(exception(&small.load()), exception(&carried.load()));
    for (option, value) in [("-xc", "0x10"), ("-xr", "0x10"), ("-xp", "0x10"), ("-xt", "1")] {
        let (refused, run) = try_redump(&full.file, &[option, value], "x.dmp");
        let text = run.refused();
        assert!(text.contains(option) && text.contains(value), "{option} {value}: {text}");
        assert!(!refused.file.exists());
    }
}
