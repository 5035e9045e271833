//! Lists of runs of page frames, in order and without overlaps.

use super::{PageRun, Pfn};

/// Adds a run to a list in order, as part of the last one where it goes on there.
pub fn push_run(runs: &mut Vec<PageRun>, run: PageRun) {
    match runs.last_mut() {
        Some(last) if last.end() == run.base => last.count += run.count,
        _ => runs.push(run),
    }
}

/// What two lists of runs, each in order and without overlaps, have in common.
pub fn common_runs(a: &[PageRun], b: &[PageRun]) -> Vec<PageRun> {
    let mut runs = Vec::new();
    let (mut left, mut right) = (a.iter().peekable(), b.iter().peekable());
    while let (Some(l), Some(r)) = (left.peek(), right.peek()) {
        let (start, end) = (l.base.max(r.base).0, l.end().min(r.end()).0);
        if start < end {
            push_run(&mut runs, PageRun { base: Pfn(start), count: end - start });
        }
        if l.end() <= r.end() {
            left.next();
        } else {
            right.next();
        }
    }
    runs
}

/// Frames of a list of runs.
pub fn count_pages(runs: &[PageRun]) -> u64 {
    runs.iter().fold(0, |sum, run| sum.saturating_add(run.count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(base: u64, count: u64) -> PageRun {
        PageRun { base: Pfn(base), count }
    }

    proptest! {
        #[test]
        fn common_runs_are_those_of_both(
            a in prop::collection::vec((1_u64..20, 1_u64..20), 0..8),
            b in prop::collection::vec((1_u64..20, 1_u64..20), 0..8),
        ) {
            let build = |steps: Vec<(u64, u64)>| {
                let mut at = 0;
                steps.into_iter().map(|(gap, count)| {
                    at += gap;
                    let made = run(at, count);
                    at += count;
                    made
                }).collect::<Vec<_>>()
            };
            let (a, b) = (build(a), build(b));
            let within = |runs: &[PageRun], pfn| runs.iter().any(|r| r.contains(Pfn(pfn)));
            let common = common_runs(&a, &b);
            for pfn in 0..400 {
                prop_assert_eq!(within(&common, pfn), within(&a, pfn) && within(&b, pfn));
            }
        }
    }
}
