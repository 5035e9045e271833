//! What has been written so far, and whether to go on.

use super::Outcome;
use crate::error::{Error, Result};
use crate::observer::{Observer, Phase};
use crate::plan::{HolePolicy, MemoryPlan};
use crate::soft_error::{Hole, HoleReason};
use crate::target::ProcessSnapshot;

/// Holes that are kept one by one; further ones are only counted.
const MAX_HOLES: usize = 10_000;

/// Follows the memory into the dump, in the order of the addresses.
pub(super) struct Progress<'a> {
    pub plan: &'a MemoryPlan,
    pub snapshot: &'a ProcessSnapshot,
    pub observer: &'a dyn Observer,
    pub outcome: Outcome,
    done: u64,
    total: u64,
}

impl<'a> Progress<'a> {
    pub fn new(
        plan: &'a MemoryPlan,
        snapshot: &'a ProcessSnapshot,
        observer: &'a dyn Observer,
    ) -> Self {
        let outcome = Outcome::default();
        Progress { plan, snapshot, observer, outcome, done: 0, total: plan.len() }
    }

    /// Takes the holes of what was read next.
    pub fn check(&mut self, holes: Vec<Hole>) -> Result<()> {
        if self.observer.is_cancelled() {
            return Err(Error::Cancelled);
        }
        // Not a hole of the target's but the end of it, whatever the policy.
        if holes.iter().any(|hole| hole.reason == HoleReason::TargetEnded) {
            return Err(Error::ProcessEnded(self.snapshot.process.pid));
        }
        if let (HolePolicy::Fail, Some(hole)) = (self.plan.hole_policy, holes.first()) {
            return Err(self.inaccessible(hole));
        }
        for hole in holes {
            self.record(hole);
        }
        Ok(())
    }

    /// So many bytes more were written.
    pub fn advance(&mut self, bytes: usize) {
        self.done += bytes as u64;
        self.observer.progress(Phase::Write, self.done, self.total);
    }

    fn record(&mut self, hole: Hole) {
        let holes = &mut self.outcome.holes;
        let goes_on = holes.last().is_some_and(|last| hole.continues(last));
        if goes_on || holes.len() < MAX_HOLES {
            hole.add_to(holes);
        } else {
            self.outcome.unlisted_hole_bytes += hole.range.len();
        }
    }

    fn inaccessible(&self, hole: &Hole) -> Error {
        Error::InaccessibleMemory {
            range: hole.range,
            name: self.snapshot.mapping_name(hole.range.start),
            reason: hole.reason,
        }
    }
}
