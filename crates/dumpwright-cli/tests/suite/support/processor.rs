//! Stack traces by `minidump-processor`, the engine of minidump-stackwalk,
//! without symbols: frame pointers and stack scanning.

use super::dump::Loaded;
use minidump_processor::ProcessState;
use minidump_unwind::{Symbolizer, simple_symbol_supplier};
use std::collections::BTreeMap;

/// A frame of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Address of the instruction.
    pub instruction: u64,
    /// How the walker found it.
    pub trust: String,
    /// The module it is in.
    pub module: Option<String>,
}

/// What the processor makes of a dump.
#[track_caller]
pub fn process(loaded: &Loaded) -> ProcessState {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let symbols = Symbolizer::new(simple_symbol_supplier(Vec::new()));
    runtime
        .block_on(minidump_processor::process_minidump(&loaded.dump, &symbols))
        .unwrap_or_else(|e| panic!("minidump-processor cannot process the dump: {e}"))
}

/// The traces of all threads.
#[track_caller]
pub fn traces(loaded: &Loaded) -> BTreeMap<u32, Vec<Frame>> {
    let frame = |f: &minidump_unwind::StackFrame| Frame {
        instruction: f.instruction,
        trust: f.trust.as_str().to_owned(),
        module: f.module.as_ref().map(|m| file_name(&m.name).to_owned()),
    };
    process(loaded)
        .threads
        .iter()
        .map(|stack| (stack.thread_id, stack.frames.iter().map(frame).collect()))
        .collect()
}

/// The part of a path behind its last slash.
pub fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
