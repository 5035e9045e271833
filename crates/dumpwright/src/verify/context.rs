//! Contexts: in the file, as large as the architecture's, and marked as such.

use super::report::{Report, Severity};
use crate::read::{Location, MAX_CONTEXT, Registers, context_shape};
use dumpwright_format::context::amd64::{CONTEXT_AMD64, CONTEXT_XSTATE};
use dumpwright_format::minidump::{StreamType, architecture_name};
use std::cmp::Ordering;

/// Checks a context, and gives its registers.
pub(super) fn check(
    report: &mut Report,
    stream: StreamType,
    architecture: Option<u16>,
    place: Location,
    whose: impl Fn() -> String,
) -> Option<Registers> {
    if place.size == 0 {
        report.warning(stream, None, || format!("{} has no context", whose()));
        return None;
    }
    let inside = report.in_file(stream, place, || format!("the context of {}", whose()));
    let architecture = architecture?;
    let shape = context_shape(architecture)?;
    if !inside || !report.may_read(place.size.min(MAX_CONTEXT)) {
        return None;
    }
    let name = architecture_name(architecture);
    if place.size < shape.size as u64 {
        report.error(stream, place.rva, || {
            let (size, least) = (place.size, shape.size);
            format!("the context of {} has {size} bytes; one of {name} has {least}", whose())
        });
        return None;
    }
    let registers = report.dump.registers(architecture, place).ok()??;
    let flags = registers.context_flags;
    if flags & shape.flag == 0 {
        report.error(stream, place.rva, || {
            format!(
                "the context of {} has flags {flags:#x}, which are not those of {name}",
                whose()
            )
        });
    }
    let extended = shape.flag == CONTEXT_AMD64 && flags & CONTEXT_XSTATE == CONTEXT_XSTATE;
    if extended && registers.extended.is_none() {
        // Windows leaves the flag in where it stores nothing behind the context.
        let severity = match place.size.cmp(&(shape.size as u64)) {
            Ordering::Greater => Severity::Error,
            _ => Severity::Warning,
        };
        report.add(severity, stream, place.rva, || {
            format!("the context of {} states extended registers that are not in it", whose())
        });
    }
    Some(registers)
}
