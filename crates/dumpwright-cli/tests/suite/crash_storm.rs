//! Many crashes at a time.

use crate::support::cli::assert_verifies;
use crate::support::compile::{Kind, fixture};
use crate::support::crashes::{Installed, start};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const CRASHES: usize = 50;

/// Lets them crash at once; answers the outcomes and the dumps that are left.
fn storm(installed: &Installed) -> (Vec<String>, Vec<PathBuf>) {
    let program = installed.handler.copy(&fixture("crashes", Kind::Program), "crashes");
    let kinds = ["unmapped", "abort", "divide", "bus", "trap"];
    let children: Vec<_> =
        (0..CRASHES).map(|n| start(Command::new(&program).arg(kinds[n % kinds.len()]))).collect();
    let outcomes = children.into_iter().map(|child| {
        let crash = installed.end(child);
        crash.record["outcome"].as_str().unwrap().to_owned()
    });
    let outcomes = outcomes.collect();
    let mut left: Vec<_> =
        fs::read_dir(installed.handler.dumps()).unwrap().map(|e| e.unwrap().path()).collect();
    left.sort();
    (outcomes, left)
}

#[test]
fn a_storm_of_crashes_is_dumped_one_after_the_other() {
    let config =
        "parallel = 2\nwait = 60\ncount = 1000\nbudget = \"1M\"\n[program.\"{}/crashes\"]\n";
    let Some(installed) = Installed::new(config) else { return };
    let (outcomes, left) = storm(&installed);
    assert_eq!(outcomes, vec!["dumped"; CRASHES]);
    let bytes: u64 = left.iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(bytes <= 1 << 20, "{bytes} bytes");
    assert!(left.len() > 5 && left.len() < CRASHES, "{} dumps", left.len());
    for file in &left {
        assert!(file.to_str().unwrap().ends_with(".crash.dmp"), "{}", file.display());
    }
    // The last ones are those that stay.
    let record = installed.handler.record();
    let last = record.last().unwrap()["file"].as_str().unwrap();
    assert!(left.iter().any(|file| file.to_str() == Some(last)));
    for file in left.iter().step_by(5) {
        assert_verifies(file);
    }
}

#[test]
fn crashes_beyond_what_may_wait_are_recorded_and_skipped() {
    let config = "parallel = 1\nwait = 0\ncount = 5\n[program.\"{}/crashes\"]\n";
    let Some(installed) = Installed::new(config) else { return };
    let (outcomes, left) = storm(&installed);
    let count = |outcome: &str| outcomes.iter().filter(|o| *o == outcome).count();
    assert!(count("dumped") >= 1, "{outcomes:?}");
    assert_eq!(count("dumped") + count("skipped"), CRASHES, "{outcomes:?}");
    assert_eq!(left.len(), count("dumped").min(5));
    let record = installed.handler.record();
    let skipped = record.iter().filter(|entry| entry["outcome"] == "skipped");
    assert!(skipped.into_iter().all(|e| e["messages"][0].as_str().unwrap().contains("parallel")));
}
