//! What a core that dumpwright wrote says beyond what cores say: the streams of
//! a minidump of the same process.

use super::notes::OwnNotes;
use crate::error::Result;
use crate::packed::Packed;
use crate::read::Minidump;
use crate::soft_error::SoftError;
use crate::target::linux::mapping::Mapping;
use crate::target::minidump::{MinidumpProcess, soft_errors};
use crate::target::{
    Architecture, ExceptionSource, ModuleSnapshot, Platform, ProcessSnapshot, Segment, Wants,
};
use std::sync::Arc;

/// The process as the streams show it, if there are any.
pub(super) fn recorded(
    ours: &OwnNotes<'_>,
    architecture: Architecture,
    wants: &Wants,
    troubles: &mut Vec<SoftError>,
) -> Option<ProcessSnapshot> {
    if let Some(text) = ours.soft_errors {
        soft_errors::parse(text, troubles);
    }
    let bytes: Arc<[u8]> = ours.streams?.into();
    // An exception that the request names is looked for in the core.
    let wants = Wants { exception: ExceptionSource::default(), ..wants.clone() };
    let read = || -> Result<ProcessSnapshot> {
        Ok(MinidumpProcess::open(Minidump::from_source(bytes)?, &wants)?.into_snapshot())
    };
    let fault = match read() {
        Ok(snapshot) => {
            let system = &snapshot.system;
            if system.platform() == Platform::Linux && system.architecture == architecture {
                return Some(snapshot);
            }
            "they are of another kind of system".to_owned()
        }
        Err(error) => error.to_string(),
    };
    let message = format!("the minidump's streams that it carries were left out: {fault}");
    troubles.push(SoftError::new("core", message));
    None
}

/// Puts in what was recorded in place of what was found out. Memory and where it
/// is stay the core's.
pub(super) fn complete(
    recorded: ProcessSnapshot,
    whole: bool,
    mappings: &Packed<Mapping>,
    snapshot: &mut ProcessSnapshot,
) {
    let mut original = recorded.original;
    if let Some(original) = original.as_mut().filter(|_| !whole) {
        original.full_memory = false;
    }
    let found = std::mem::take(&mut snapshot.threads);
    snapshot.threads = recorded.threads;
    for thread in &mut snapshot.threads {
        let same = found.iter().find(|found| found.tid == thread.tid);
        thread.local_storage = same.map(|found| found.local_storage.clone()).unwrap_or_default();
    }
    let found = std::mem::take(&mut snapshot.modules);
    snapshot.modules = recorded.modules;
    for module in &mut snapshot.modules {
        place(module, found.iter().find(|found| found.base == module.base), mappings);
    }
    snapshot.system = recorded.system;
    snapshot.process = recorded.process;
    snapshot.unloaded_modules = recorded.unloaded_modules;
    snapshot.handles = recorded.handles;
    snapshot.exception = recorded.exception;
    snapshot.platform_streams = recorded.platform_streams;
    snapshot.dso_debug = snapshot.dso_debug.take().or(recorded.dso_debug);
    snapshot.has = recorded.has;
    snapshot.original = original;
    snapshot.soft_errors.extend(recorded.soft_errors);
}

/// Says where the parts of a module are.
fn place(module: &mut ModuleSnapshot, found: Option<&ModuleSnapshot>, mappings: &Packed<Mapping>) {
    if let Some(found) = found {
        module.segments.clone_from(&found.segments);
        module.headers.clone_from(&found.headers);
        return;
    }
    let range = module.range();
    let parts = mappings.within(range).map(|m| (m.range.intersection(range), m.protection));
    module.segments = parts.map(|(range, protection)| Segment { range, protection }).collect();
}
