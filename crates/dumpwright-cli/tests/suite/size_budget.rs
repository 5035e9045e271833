//! `--max-size`: what is taken first, that the file never grows past it, and
//! that the dump says what is missing.

use crate::support::cli::{Written, dump, dumpwright};
use crate::support::dump::{Loaded, Memory};
use crate::support::readers::pypi_minidump;
use crate::support::target::Target;
use minidump::MinidumpThreadList;
use std::ops::Range;

type Ranges = Vec<Range<u64>>;

fn ranges(loaded: &Loaded) -> Ranges {
    loaded.memory().iter().map(Memory::range).collect()
}

fn size(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().map(|r| r.end - r.start).sum()
}

/// What of `all` is in none of `taken`.
fn without(all: &[Range<u64>], taken: &[Range<u64>]) -> Ranges {
    let mut left = all.to_vec();
    for cut in taken {
        let around = |r: Range<u64>| {
            let before = r.start..r.end.min(cut.start);
            let behind = r.start.max(cut.end)..r.end;
            [before, behind].into_iter().filter(|part| part.start < part.end)
        };
        left = left.into_iter().flat_map(around).collect();
    }
    left
}

fn within(some: &[Range<u64>], all: &[Range<u64>]) -> Ranges {
    without(some, &without(some, all))
}

/// The kinds of memory in the order of the promise, each without what an
/// earlier one has, found by dumps that hold nothing else.
fn kinds(target: &Target, crashed: u32, whole: &Loaded) -> Vec<(&'static str, Ranges)> {
    let tid = crashed.to_string();
    let with = |option| ranges(&dump(target, &[option, "-xt", &tid]).load());
    let small = dump(target, &["-m", "-xt", &tid]).load();
    let threads: MinidumpThreadList<'_> = small.get();
    let stack = |t: &minidump::MinidumpThread<'_>| {
        let stack = &t.raw.stack;
        stack.start_of_memory_range..stack.start_of_memory_range + u64::from(stack.memory.data_size)
    };
    let (own, others): (Vec<_>, Vec<_>) =
        threads.threads.iter().partition(|t| t.raw.thread_id == crashed);
    let kinds = [
        ("the crashed thread's stack", own.iter().copied().map(stack).collect()),
        ("other stacks", others.iter().copied().map(stack).collect()),
        ("code windows", ranges(&small)),
        ("indirect memory", with("-mi")),
        ("thread data", with("-mp")),
        ("private memory", with("-mw")),
        ("the rest", ranges(whole)),
    ];
    let mut seen = Ranges::new();
    let mut found = Vec::new();
    for (name, all) in kinds {
        let new = without(&within(&all, &ranges(whole)), &seen);
        assert!(size(&new) > 0, "nothing to test {name} by");
        seen.extend(new.iter().cloned());
        found.push((name, new));
    }
    found
}

/// The dump has of each kind all, or some and nothing of any later one.
#[track_caller]
fn assert_order(kinds: &[(&str, Ranges)], loaded: &Loaded) -> usize {
    let has = ranges(loaded);
    let mut full = 0;
    let mut short = None;
    for (name, all) in kinds {
        let taken = size(&within(all, &has));
        if let Some(before) = short {
            assert_eq!(taken, 0, "{name} was taken before all of {before}");
        } else if taken < size(all) {
            short = Some(name);
        } else {
            full += 1;
        }
    }
    full
}

/// What the summary says is missing is what is missing, and the dump says so too.
#[track_caller]
fn assert_told(written: &Written, whole: &Loaded) {
    let loaded = written.load();
    let missing = size(&without(&ranges(whole), &ranges(&loaded)));
    let left_out = written.summary["left_out"].as_array().unwrap();
    let told: u64 = left_out.iter().map(|l| l["bytes"].as_u64().unwrap()).sum();
    assert_eq!(told, missing, "{left_out:?}");
    for kind in left_out {
        let bytes = format!("{} bytes of", kind["bytes"]);
        assert!(loaded.soft_errors().contains(&bytes), "{bytes}: {}", loaded.soft_errors());
    }
}

/// What the refusal of a budget says is the least.
fn bytes_before_memory(target: &Target, options: &[&str]) -> u64 {
    let pid = target.pid().to_string();
    let mut arguments = vec!["dump", "-p", &pid, "-xt", &pid, "--max-size", "1000"];
    arguments.extend(options);
    arguments.push("-");
    let text = dumpwright(arguments).refused();
    let number = text.split(" bytes before").next().unwrap().rsplit(' ').next().unwrap();
    number.parse().unwrap_or_else(|_| panic!("no number: {text}"))
}

#[test]
fn every_budget_is_kept_and_filled_in_the_promised_order() {
    let target = Target::fixture("memory", &["{}"]);
    let crashed = target.ready["worker"]["tid"].as_u64().unwrap() as u32;
    let tid = crashed.to_string();
    for options in [&["-ma"][..], &["-mfwip"]] {
        let whole_dump = dump(&target, &[options, &["-xt", &tid]].concat());
        let whole = whole_dump.load();
        let kinds = kinds(&target, crashed, &whole);
        let bare = bytes_before_memory(&target, options);
        // In the middle of each kind, and beyond all.
        let mut budgets = vec![bare];
        let mut before = bare;
        for (_, all) in &kinds {
            budgets.push(before + size(all) / 2);
            before += size(all);
        }
        budgets.extend([before - 1, before + 100_000, 1 << 40]);
        let mut full = Vec::new();
        for budget in budgets {
            let limit = budget.to_string();
            let more = ["-xt", &tid, "--max-size", &limit];
            let written = dump(&target, &[options, &more].concat());
            let length = written.summary["size"].as_u64().unwrap();
            assert!(length <= budget, "{length} bytes of {budget}");
            full.push(assert_order(&kinds, &written.load()));
            assert_told(&written, &whole);
            if let Some(seen) = pypi_minidump(&written.file, &[]) {
                assert_eq!(seen["complaints"], serde_json::json!([]), "{budget}");
            }
        }
        assert_eq!(full.iter().max(), Some(&kinds.len()), "{options:?}: {full:?}");
        assert!(full.iter().any(|f| *f < 2), "{options:?}: {full:?}");
    }
}
