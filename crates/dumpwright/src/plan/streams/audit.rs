//! What filters take out of everything that is no memory, for the audit list.

use super::carried;
use crate::plan::Context;
use crate::plan::assembly::Assembly;
use crate::plan::filter_text::Privacy;
use crate::redact::{Audit, AuditKind};
use crate::request::DumpRequest;
use crate::target::{ProcessSnapshot, Registers};
use dumpwright_format::FormatFlags;
use dumpwright_format::minidump::StreamType;

/// What filters change in streams, and leave out of a dump.
///
/// `assembly` has the streams as the dump will have them.
pub(crate) fn audit(
    context: &Context<'_>,
    request: &DumpRequest,
    privacy: Privacy,
    assembly: &Assembly,
) -> Audit {
    let mut audit = Audit::default();
    for stream in &context.snapshot.platform_streams {
        let (name, length) = (stream.stream_type.to_string(), stream.bytes.len());
        let kept = assembly.streams().iter().find(|(kind, _)| *kind == stream.stream_type);
        match kept {
            None => audit.stream(AuditKind::Stream, name, length),
            Some((_, kept)) if kept.to_stream() != stream.bytes => {
                audit.stream(AuditKind::StreamText, name, length);
            }
            Some(_) => {}
        }
    }
    let threads = context.snapshot.threads.iter().map(|thread| &thread.registers);
    let exception = context.snapshot.exception.iter().map(|exception| &exception.registers);
    let zeroed = |registers: &Registers| {
        let shown = context.registers(registers);
        shown.iter().zip(&registers.context).filter(|(shown, had)| shown != had).count() as u64
    };
    for (kind, bytes) in [
        (StreamType::THREAD_LIST, threads.map(zeroed).sum()),
        (StreamType::EXCEPTION, exception.map(zeroed).sum()),
    ] {
        if bytes > 0 {
            audit.stream(AuditKind::Registers, kind.to_string(), bytes);
        }
    }
    for (stream_type, removed) in names(context, privacy) {
        if removed > 0 {
            audit.stream(AuditKind::StreamText, stream_type.to_string(), removed);
        }
    }
    for stream in carried::forbidden(context, request, privacy) {
        let length = stream.section.bytes.len() as u64;
        audit.stream(AuditKind::Stream, stream.stream_type.to_string(), length);
    }
    let comments = context.snapshot.original.iter().flat_map(|original| &original.comments);
    for (stream_type, bytes) in comments {
        if privacy.triage && request.comment.is_none() {
            audit.stream(AuditKind::Stream, stream_type.to_string(), bytes.len() as u64);
        }
    }
    audit
}

/// How many bytes of UTF-8 the names in each list lose.
fn names(context: &Context<'_>, privacy: Privacy) -> [(StreamType, u64); 5] {
    let ProcessSnapshot { modules, unloaded_modules, threads, handles, dso_debug, .. } =
        context.snapshot;
    let lost = |name: &str, shown: &str| name.len().saturating_sub(shown.len()) as u64;
    let path = |path: &str| lost(path, &privacy.path(path));
    let program = context.snapshot.program_name();
    let handle = |name: &str, details: &str| {
        if privacy.triage {
            (name.len() + details.len()) as u64
        } else {
            path(name) + lost(details, &privacy.text(details))
        }
    };
    let if_asked = |flag, removed: u64| if context.has(flag) { removed } else { 0 };
    let entries = dso_debug.iter().flat_map(|debug| &debug.entries);
    [
        (StreamType::MODULE_LIST, modules.iter().map(|m| path(&m.path)).sum()),
        (
            StreamType::UNLOADED_MODULE_LIST,
            if_asked(
                FormatFlags::USER_SMALL_UNLOADED_MODULES,
                unloaded_modules.iter().map(|m| path(&m.name)).sum(),
            ),
        ),
        (
            StreamType::THREAD_NAMES,
            threads.iter().map(|t| lost(&t.name, &privacy.thread_name(&t.name, program))).sum(),
        ),
        (
            StreamType::HANDLE_DATA,
            if_asked(
                FormatFlags::USER_SMALL_HANDLE_DATA,
                handles.iter().map(|h| handle(&h.object_name, &h.details)).sum(),
            ),
        ),
        (StreamType::LINUX_DSO_DEBUG, entries.map(|entry| path(&entry.name)).sum()),
    ]
}
