//! Sound dumps stay without errors, and each fault is found.

use super::*;
use crate::read::{samples, synth::Synth};

fn errors(dump: &Minidump) -> Vec<String> {
    let faults = verify(dump);
    faults.iter().filter(|f| f.severity == Severity::Error).map(ToString::to_string).collect()
}

#[test]
fn dumps_of_real_writers_have_no_errors() {
    let mut unsound = Vec::new();
    for (name, bytes) in samples::sound() {
        let dump = Minidump::from_source(bytes).unwrap();
        for fault in verify(&dump) {
            println!("{name}: {fault}");
        }
        unsound.extend(errors(&dump).iter().map(|error| format!("{name}: {error}")));
    }
    assert_eq!(unsound, [""; 0]);
}

#[test]
fn unsound_samples_have_errors_or_are_refused() {
    for (name, bytes) in samples::user() {
        if samples::UNSOUND.contains(&name.as_str()) {
            println!("{name}: {:?}", Minidump::from_source(bytes.clone()).map(|d| errors(&d)));
            let unsound = Minidump::from_source(bytes).is_ok_and(|dump| errors(&dump).is_empty());
            assert!(!unsound, "{name}");
        }
    }
}
