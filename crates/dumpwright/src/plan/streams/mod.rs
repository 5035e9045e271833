//! Everything in a dump that is not memory: one file per family of streams.

mod audit;
mod carried;
mod exception;
mod handles;
mod linux;
mod memory_info;
mod modules;
mod process;
mod system;
mod threads;

use super::Context;
use super::assembly::{Assembly, Section, utf16};
use super::filter_text::Privacy;
use super::stacks::Stack;
use crate::address::RangeSet;
use crate::request::DumpRequest;
use dumpwright_format::FormatFlags;
use dumpwright_format::minidump::StreamType;

pub(crate) use audit::audit;
pub(crate) use carried::left_out;
pub use memory_info::MemoryInfoPlan;

/// Assembles all streams except memory lists, memory information and soft
/// errors. `memory` is what
/// the dump holds, so that threads describe no stack that it does not.
pub(crate) fn assemble(
    context: &Context<'_>,
    request: &DumpRequest,
    privacy: Privacy,
    stacks: &[Stack],
    memory: &RangeSet,
) -> Assembly {
    let snapshot = context.snapshot;
    let mut assembly = Assembly::default();
    let out = &mut assembly;
    system::system_info(snapshot, out);
    process::misc_info(snapshot, out);
    threads::thread_list(context, stacks, memory, out);
    threads::thread_names(snapshot, privacy, out);
    modules::module_list(snapshot, privacy, out);
    exception::exception(context, out);
    let has = snapshot.has;
    if context.has(FormatFlags::USER_SMALL_THREAD_INFO) && has.thread_info {
        threads::thread_info_list(snapshot, out);
    }
    if context.has(FormatFlags::USER_SMALL_UNLOADED_MODULES) && has.unloaded_modules {
        modules::unloaded_module_list(snapshot, privacy, out);
    }
    let has_handles = has.handles && snapshot.unix_side.is_none();
    if context.has(FormatFlags::USER_SMALL_HANDLE_DATA) && has_handles {
        handles::handle_data(snapshot, privacy, out);
    }
    process::token(snapshot, out);
    process::vm_counters(snapshot, out);
    system::system_memory_info(snapshot, out);
    linux::platform_streams(snapshot, privacy, out);
    linux::dso_debug(snapshot, privacy, out);
    linux::unix_side(snapshot, privacy, out);
    carried::streams(context, request, privacy, out);
    match &request.comment {
        Some(comment) => comment_streams(comment, out),
        None => carried::comments(snapshot, privacy, out),
    }
    assembly
}

/// The comment as CommentW, and as CommentA where it is ASCII: an ANSI code
/// page would be the reader's, not ours.
fn comment_streams(comment: &str, out: &mut Assembly) {
    if comment.is_ascii() {
        let mut bytes = comment.as_bytes().to_vec();
        bytes.push(0);
        out.stream(StreamType::COMMENT_A, Section::from_text(bytes));
    }
    let mut wide = utf16(comment);
    wide.extend([0; 2]);
    out.stream(StreamType::COMMENT_W, Section::from_text(wide));
}
