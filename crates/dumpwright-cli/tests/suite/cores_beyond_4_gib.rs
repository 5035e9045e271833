//! Cores of more than 4 GiB, of which little is stored.

use crate::support::cli::{assert_verifies, dump_file, dump_pid};
use crate::support::compile::{Kind, fixture};
use crate::support::cores::{kernel_core, may_dump_core};
use crate::support::crashes::core_pattern_stays;
use crate::support::target::Target;
use crate::support::{mix, same_process::assert_same_memory};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

const SIZE: u64 = 6 << 30;
const STEP: u64 = 256 << 20;

/// What the fixture planted at its `n`th place.
fn planted(n: u64) -> [u8; 8] {
    (mix(n * 0x10001) | 0x8000_0000_0000_0000).to_le_bytes()
}

#[test]
fn a_core_of_more_than_4_gib_becomes_a_dump_and_a_core_again() {
    let _turn = core_pattern_stays();
    let program = fixture("spacious", Kind::Program);
    let arguments = [SIZE.to_string(), STEP.to_string()];
    let arguments = arguments.each_ref().map(String::as_str);
    let Some(mut target) = may_dump_core(program, &arguments) else { return };
    target.stop();
    let at = target.number("at");
    let ours = dump_pid(target.pid(), &["-ma", "--as", "core"]);
    let end = |target: &mut Target| {
        target.signal("QUIT");
        target.signal("CONT");
    };
    let Some(core) = kernel_core(&mut target, end) else { return };
    let metadata = fs::metadata(&core.file).unwrap();
    assert!(metadata.len() > SIZE, "{}", metadata.len());
    assert!(metadata.blocks() * 512 < 64 << 20, "it is sparse");
    let by_kernel = dump_file(&core.file, &["-ma"]);
    assert_verifies(&by_kernel.file);
    let loaded = by_kernel.load();
    assert!(loaded.bytes.len() < 64 << 20, "pages that were never used take no space");
    for n in 0..SIZE / STEP {
        assert_eq!(loaded.bytes_at(at + n * STEP, 8).as_deref(), Some(&planted(n)[..]), "{n}");
    }
    assert_same_memory(&loaded, &dump_file(&ours.file, &["-ma"]).load());
    let again = dump_file(&core.file, &["-ma", "--as", "core"]);
    assert_same_memory(&loaded, &dump_file(&again.file, &["-ma"]).load());

    // Cut off behind 4 GiB: what lies before is there, and what behind is missing.
    let file = File::options().write(true).open(&core.file).unwrap();
    file.set_len(5 << 30).unwrap();
    let cut = dump_file(&core.file, &["-ma"]);
    assert!(cut.mentions("truncated"), "{}", cut.summary);
    assert_verifies(&cut.file);
    let cut = cut.load();
    assert_eq!(cut.bytes_at(at + 16 * STEP, 8).as_deref(), Some(&planted(16)[..]));
    assert!(cut.bytes_at(at + 22 * STEP, 8).is_none());
}
