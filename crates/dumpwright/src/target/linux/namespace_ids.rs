//! Thread ids of another PID namespace: what a process in a container says of
//! itself, in the dumper's numbers.

use super::task::{self, TaskStatus};
use crate::target::{Pid, Tid};
use std::collections::HashMap;

/// From the ids that a process counts itself to those of the dumper.
#[derive(Debug, Default)]
pub(super) struct NamespaceIds {
    /// `None` where both count the same.
    outer: Option<HashMap<u32, Tid>>,
}

impl NamespaceIds {
    /// Of a process.
    pub(super) fn of(pid: Pid) -> Self {
        let pids = ids(pid, Tid(pid.0));
        if pids.len() < 2 {
            return NamespaceIds::default();
        }
        let threads = task::list(pid).unwrap_or_default().into_iter();
        let outer = threads.filter_map(|tid| Some((*ids(pid, tid).last()?, tid))).collect();
        NamespaceIds { outer: Some(outer) }
    }

    /// The dumper's number of a thread; `None` if there is no such thread.
    pub(super) fn outer(&self, inner: u32) -> Option<Tid> {
        match &self.outer {
            None => Some(Tid(inner)),
            Some(outer) => outer.get(&inner).copied(),
        }
    }
}

/// The ids of a thread, from the namespace of `/proc` inward.
fn ids(pid: Pid, tid: Tid) -> Vec<u32> {
    let status = TaskStatus::read(format!("/proc/{pid}/task/{tid}/status")).ok();
    let field = status.as_ref().and_then(|status| status.field("NSpid"));
    field.into_iter().flat_map(str::split_ascii_whitespace).flat_map(str::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_our_own_namespace_ids_stay_what_they_are() {
        let ids = NamespaceIds::of(Pid(std::process::id()));
        assert_eq!(ids.outer(4711), Some(Tid(4711)));
    }
}
